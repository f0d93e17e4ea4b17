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

APPEND_ONLY = ("audit_event", "audit_link", "audit_checkpoint")


def upgrade() -> None:
    script(TABLES)
    for table in APPEND_ONLY:
        isolate_by_tenant(table)
        open_to("signalbox_operator", table)
        op.execute(f"GRANT SELECT, INSERT ON {table} TO signalbox_app, signalbox_operator")
        op.execute(
            f"CREATE TRIGGER append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()"
        )
