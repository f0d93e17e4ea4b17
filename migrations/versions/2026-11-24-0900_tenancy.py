"""Tenants, projects, members, console sessions, API keys, provider credentials and policies."""

from alembic import op

from migrations.statements import isolate_by_tenant, open_to, script

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE tenant (
    tenant_id uuid PRIMARY KEY,
    name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 120),
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended')),
    time_zone text NOT NULL DEFAULT 'UTC',
    created_at timestamptz NOT NULL DEFAULT now()
);

-- The tenant's key-encryption keys, each wrapped by the master key; the newest version encrypts.
CREATE TABLE tenant_key (
    tenant_id uuid NOT NULL REFERENCES tenant,
    version integer NOT NULL,
    wrapped bytea NOT NULL,
    master_key_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, version)
);

CREATE TABLE project (
    tenant_id uuid NOT NULL REFERENCES tenant,
    project_id uuid NOT NULL,
    name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 120),
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, project_id),
    UNIQUE (tenant_id, name)
);

CREATE TABLE member (
    tenant_id uuid NOT NULL REFERENCES tenant,
    member_id uuid NOT NULL,
    email text NOT NULL CHECK (email = lower(email)),
    password_hash text NOT NULL,
    role text NOT NULL CHECK (role IN ('owner', 'admin', 'billing', 'developer', 'auditor', 'viewer', 'operator')),
    created_at timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz,
    PRIMARY KEY (tenant_id, member_id),
    UNIQUE (tenant_id, email),
    -- Staff see across tenants: whatever runs in a tenant's session cannot make its member one of them.
    CHECK ((role = 'operator') = (tenant_id = '00000000-0000-7000-8000-000000000000'))
);
CREATE INDEX member_email ON member (email);

CREATE TABLE console_session (
    tenant_id uuid NOT NULL,
    session_hash bytea NOT NULL,
    member_id uuid NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, session_hash),
    FOREIGN KEY (tenant_id, member_id) REFERENCES member
);

CREATE TABLE api_key (
    tenant_id uuid NOT NULL,
    api_key_id uuid NOT NULL,
    project_id uuid NOT NULL,
    name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 120),
    kind text NOT NULL CHECK (kind IN ('model', 'management')),
    prefix text NOT NULL,
    last_four text NOT NULL,
    key_hash bytea NOT NULL,
    scopes text[] NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    PRIMARY KEY (tenant_id, api_key_id),
    FOREIGN KEY (tenant_id, project_id) REFERENCES project
);
-- Not unique: a unique index without tenant_id could not be distributed; 256 random bits do not collide.
CREATE INDEX api_key_hash ON api_key (key_hash);

CREATE TABLE provider_credential (
    tenant_id uuid NOT NULL REFERENCES tenant,
    credential_id uuid NOT NULL,
    provider_name text NOT NULL,
    name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 120),
    base_url text,
    secret bytea NOT NULL,
    last_four text NOT NULL,
    weight integer NOT NULL DEFAULT 1 CHECK (weight BETWEEN 1 AND 1000),
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz,
    PRIMARY KEY (tenant_id, credential_id),
    UNIQUE (tenant_id, name)
);

-- Versions are never edited; publishing one makes it the active version of its name.
CREATE TABLE routing_policy (
    tenant_id uuid NOT NULL REFERENCES tenant,
    name text NOT NULL CHECK (name ~ '^[a-z0-9][a-z0-9_-]{0,63}$'),
    version integer NOT NULL,
    document jsonb NOT NULL,
    is_active boolean NOT NULL DEFAULT false,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, name, version)
);
CREATE UNIQUE INDEX routing_policy_active ON routing_policy (tenant_id, name) WHERE is_active;
"""

TENANT_TABLES = (
    "tenant", "tenant_key", "project", "member", "console_session", "api_key", "provider_credential", "routing_policy",
)  # fmt: skip

GRANTS = """
GRANT SELECT ON tenant, tenant_key, project, member, console_session, api_key, provider_credential, routing_policy
    TO signalbox_app;
GRANT INSERT ON tenant_key, project, member, console_session, api_key, provider_credential, routing_policy
    TO signalbox_app;
GRANT UPDATE (name, time_zone) ON tenant TO signalbox_app;
GRANT UPDATE (name) ON project TO signalbox_app;
GRANT UPDATE (password_hash, role, disabled_at) ON member TO signalbox_app;
GRANT DELETE ON console_session TO signalbox_app;
GRANT UPDATE (name, expires_at, revoked_at) ON api_key TO signalbox_app;
GRANT UPDATE (name, disabled_at) ON provider_credential TO signalbox_app;
GRANT UPDATE (is_active) ON routing_policy TO signalbox_app;

GRANT SELECT (tenant_id, name, status, time_zone) ON tenant TO signalbox_snapshot;
GRANT SELECT (tenant_id, version, wrapped, master_key_id) ON tenant_key TO signalbox_snapshot;
GRANT SELECT (tenant_id, project_id, name) ON project TO signalbox_snapshot;
GRANT SELECT (tenant_id, api_key_id, project_id, name, kind, key_hash, scopes, expires_at, revoked_at)
    ON api_key TO signalbox_snapshot;
GRANT SELECT (tenant_id, credential_id, provider_name, name, base_url, secret, weight, created_at, disabled_at)
    ON provider_credential TO signalbox_snapshot;
GRANT SELECT (tenant_id, name, version, document, is_active) ON routing_policy TO signalbox_snapshot;

GRANT SELECT, INSERT ON tenant TO signalbox_operator;
GRANT UPDATE (name, status) ON tenant TO signalbox_operator;
-- A new tenant is made in one transaction with its key, its first project and its owner.
GRANT INSERT ON tenant_key, project, member TO signalbox_operator;
"""

# Signing in starts before the tenant is known: this function, and nothing else, looks across tenants by email.
SIGN_IN = """
CREATE POLICY sign_in ON member FOR SELECT TO signalbox_owner USING (true);
CREATE FUNCTION sign_in_candidates(wanted_email text)
RETURNS TABLE (tenant_id uuid, member_id uuid, password_hash text, role text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp
AS 'SELECT m.tenant_id, m.member_id, m.password_hash, m.role FROM member m
    WHERE m.email = lower(wanted_email) AND m.disabled_at IS NULL ORDER BY m.created_at LIMIT 20';
REVOKE ALL ON FUNCTION sign_in_candidates FROM PUBLIC;
GRANT EXECUTE ON FUNCTION sign_in_candidates TO signalbox_app;

-- Tries to sign in by email, known or not. Reached through the two functions only.
CREATE TABLE sign_in_attempt (
    email_hash bytea PRIMARY KEY,
    attempts integer NOT NULL,
    window_ends_at timestamptz NOT NULL
);
CREATE INDEX sign_in_attempt_window ON sign_in_attempt (window_ends_at);

-- Counts a try before its password is looked at, so that tries at the same moment all count.
-- Returns NULL when it may go on, else the seconds to wait.
CREATE FUNCTION count_sign_in_attempt(wanted_email text, attempts_max integer, window_s integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
    counted sign_in_attempt;
BEGIN
    INSERT INTO sign_in_attempt AS a
        VALUES (sha256(convert_to(lower(wanted_email), 'UTF8')), 1, now() + make_interval(secs => window_s))
        ON CONFLICT (email_hash) DO UPDATE SET
            attempts = CASE WHEN a.window_ends_at < now() THEN 1 ELSE a.attempts + 1 END,
            window_ends_at = CASE WHEN a.window_ends_at < now() THEN excluded.window_ends_at ELSE a.window_ends_at END
        RETURNING * INTO counted;
    -- After the row is ours, and past what others hold: two tries that sweep cannot wait for each other.
    DELETE FROM sign_in_attempt WHERE email_hash IN (
        SELECT email_hash FROM sign_in_attempt WHERE window_ends_at < now() LIMIT 100 FOR UPDATE SKIP LOCKED);
    IF counted.attempts <= attempts_max THEN
        RETURN NULL;
    END IF;
    RETURN ceil(extract(epoch FROM counted.window_ends_at - now()));
END
$$;
CREATE FUNCTION clear_sign_in_attempts(wanted_email text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp
AS 'DELETE FROM sign_in_attempt WHERE email_hash = sha256(convert_to(lower(wanted_email), ''UTF8''))';
REVOKE ALL ON FUNCTION count_sign_in_attempt, clear_sign_in_attempts FROM PUBLIC;
GRANT EXECUTE ON FUNCTION count_sign_in_attempt, clear_sign_in_attempts TO signalbox_app;
"""


def upgrade() -> None:
    op.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    script(TABLES)
    for table in TENANT_TABLES:
        isolate_by_tenant(table)
    for table in ("tenant", "tenant_key", "project", "api_key", "provider_credential", "routing_policy"):
        open_to("signalbox_snapshot", table, command="SELECT")
    open_to("signalbox_operator", "tenant")
    for table in ("tenant_key", "project", "member"):
        open_to("signalbox_operator", table, command="INSERT")
    script(GRANTS)
    script(SIGN_IN)
