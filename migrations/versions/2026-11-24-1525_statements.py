"""Providers' statements as they were read, and any number of adjustments of one request.

An adjustment holds the whole truth as it was known; the one with the highest number counts.
"""

from alembic import op

from migrations.statements import isolate_by_tenant, open_to, script

revision = "0014"
down_revision = "0013"

ADJUSTMENTS = """
ALTER TABLE adjustment
    ADD COLUMN adjustment_number integer NOT NULL DEFAULT 1,
    ADD COLUMN reason text NOT NULL DEFAULT 'settled_late'
        CHECK (reason IN ('settled_late', 'statement', 'unresolved', 'rerated'));
ALTER TABLE adjustment DROP CONSTRAINT adjustment_pkey;
ALTER TABLE adjustment ADD PRIMARY KEY (tenant_id, request_id, adjustment_number);
"""

# A call that a provider's statement names, once, however often it is read. What belongs to no tenant of ours is kept
# under the platform's. `call_id` is our attempt's id, or else the provider's id of its answer.
STATEMENTS = """
CREATE TABLE statement_line (
    tenant_id uuid NOT NULL REFERENCES tenant,
    provider_name text NOT NULL,
    call_id text NOT NULL,
    request_id uuid,
    attempt_id uuid,
    model text NOT NULL,
    started_at timestamptz NOT NULL,
    cost_nano_usd bigint NOT NULL CHECK (cost_nano_usd >= 0),
    read_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, provider_name, call_id)
);
CREATE INDEX statement_line_by_time ON statement_line (started_at);
"""

UNRESOLVED = """
CREATE FUNCTION unresolved_reservations(age_s integer, rows_max integer) RETURNS SETOF reservation
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT * FROM reservation r WHERE r.state = 'orphaned'
        AND r.created_at < clock_timestamp() - make_interval(secs => age_s)
        ORDER BY r.tenant_id, r.request_id, r.attempt_id LIMIT rows_max
$$;
"""


def upgrade() -> None:
    for statement in (ADJUSTMENTS, STATEMENTS, UNRESOLVED):
        script(statement)
    isolate_by_tenant("statement_line")
    open_to("signalbox_meter", "statement_line")
    open_to("signalbox_operator", "statement_line", command="SELECT")
    op.execute("GRANT SELECT ON statement_line TO signalbox_app, signalbox_operator")
    op.execute(
        "GRANT SELECT, INSERT, DELETE, UPDATE (request_id, attempt_id, model, started_at, cost_nano_usd, read_at)"
        " ON statement_line TO signalbox_meter"
    )
    op.execute("REVOKE ALL ON FUNCTION unresolved_reservations FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION unresolved_reservations TO signalbox_meter")
