"""A tenant's labelled prompts, and the index of them that the request path reads.

The index is stored beside the prompts it was built of and changed with them in one transaction, so that the request
path reads one row and no prompt. That row alone announces a change: thousands of prompts are one change.
"""

from alembic import op

from migrations.statements import isolate_by_tenant, open_to, script

revision = "0016"
down_revision = "0015"

TABLES = """
CREATE TABLE example (
    tenant_id uuid NOT NULL REFERENCES tenant,
    example_id uuid NOT NULL,
    prompt text NOT NULL,
    prompt_sha256 bytea NOT NULL,
    task text NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, example_id),
    UNIQUE (tenant_id, prompt_sha256)
);

CREATE TABLE example_index (
    tenant_id uuid PRIMARY KEY REFERENCES tenant,
    built bytea NOT NULL,
    example_count integer NOT NULL CHECK (example_count >= 0),
    built_at timestamptz NOT NULL DEFAULT now()
);
CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON example_index
    FOR EACH ROW EXECUTE FUNCTION announce_change();
"""

GRANTS = {
    "example": "DELETE, INSERT, SELECT, UPDATE (task, created_by, created_at)",
    "example_index": "INSERT, SELECT, UPDATE (built, example_count, built_at)",
}


def upgrade() -> None:
    script(TABLES)
    for table, verbs in GRANTS.items():
        isolate_by_tenant(table)
        op.execute(f"GRANT {verbs} ON {table} TO signalbox_app")
    open_to("signalbox_snapshot", "example_index", command="SELECT")
    op.execute("GRANT SELECT (tenant_id, built) ON example_index TO signalbox_snapshot")
