"""The audit trail: events written with their change, a hash chain per tenant, signed checkpoints.

`audit_event.payload` is the exact bytes that the chain covers; nothing here is ever updated.
"""

from alembic import op

from migrations.statements import isolate_by_tenant, open_to, script

revision = "0003"
down_revision = "0002"

TABLES = """
CREATE TABLE audit_event (
    tenant_id uuid NOT NULL REFERENCES tenant,
    audit_event_id uuid NOT NULL,
    payload bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, audit_event_id)
);

-- The events that are not in the chain yet, so that the sequencer never searches the trail. Triggers add
-- and remove them: no role can, so an event is pending or linked, never forgotten.
CREATE TABLE audit_pending (
    tenant_id uuid NOT NULL,
    audit_event_id uuid NOT NULL,
    PRIMARY KEY (tenant_id, audit_event_id),
    FOREIGN KEY (tenant_id, audit_event_id) REFERENCES audit_event
);

-- hash = SHA-256(previous hash || length of payload, 8 bytes big-endian || payload)
CREATE TABLE audit_link (
    tenant_id uuid NOT NULL,
    sequence bigint NOT NULL CHECK (sequence > 0),
    audit_event_id uuid NOT NULL,
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    PRIMARY KEY (tenant_id, sequence),
    UNIQUE (tenant_id, audit_event_id),
    FOREIGN KEY (tenant_id, audit_event_id) REFERENCES audit_event
);

CREATE TABLE audit_checkpoint (
    tenant_id uuid NOT NULL,
    sequence bigint NOT NULL,
    statement bytea NOT NULL,
    signature bytea NOT NULL,
    public_key_id text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, sequence),
    FOREIGN KEY (tenant_id, sequence) REFERENCES audit_link
);

CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql
AS $$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation'; END $$;
"""

PENDING = """
CREATE POLICY pending ON audit_pending TO signalbox_owner USING (true) WITH CHECK (true);
CREATE FUNCTION await_audit_link() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$ BEGIN INSERT INTO audit_pending VALUES (NEW.tenant_id, NEW.audit_event_id); RETURN NULL; END $$;
CREATE FUNCTION end_audit_wait() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
BEGIN
    DELETE FROM audit_pending WHERE tenant_id = NEW.tenant_id AND audit_event_id = NEW.audit_event_id;
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION await_audit_link, end_audit_wait FROM PUBLIC;
CREATE TRIGGER pending AFTER INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION await_audit_link();
CREATE TRIGGER pending AFTER INSERT ON audit_link FOR EACH ROW EXECUTE FUNCTION end_audit_wait();
GRANT SELECT ON audit_pending TO signalbox_app, signalbox_operator;
"""

APPEND_ONLY = ("audit_event", "audit_link", "audit_checkpoint")


def upgrade() -> None:
    script(TABLES)
    isolate_by_tenant("audit_pending")
    open_to("signalbox_operator", "audit_pending", command="SELECT")
    script(PENDING)
    for table in APPEND_ONLY:
        isolate_by_tenant(table)
        open_to("signalbox_operator", table)
        op.execute(f"GRANT SELECT, INSERT ON {table} TO signalbox_app, signalbox_operator")
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
