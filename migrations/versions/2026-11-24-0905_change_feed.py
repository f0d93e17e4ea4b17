"""The change feed: a notification and a pollable row for every configuration change.

Triggers write it, so that no code path can forget: what the request path caches is dropped within
a second by NOTIFY, and within five by polling `change` when notifications are lost.
"""

from alembic import op

from migrations.statements import isolate_by_tenant, open_to, script

revision = "0002"
down_revision = "0001"

CHANGE = """
CREATE TABLE change (
    tenant_id uuid PRIMARY KEY,
    changed_at timestamptz NOT NULL
);
CREATE INDEX change_changed_at ON change (changed_at);

CREATE FUNCTION announce_change() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp
AS $$
DECLARE
    changed uuid := coalesce(to_jsonb(NEW) ->> 'tenant_id', to_jsonb(OLD) ->> 'tenant_id',
                             '00000000-0000-0000-0000-000000000000');
BEGIN
    INSERT INTO change VALUES (changed, clock_timestamp())
        ON CONFLICT (tenant_id) DO UPDATE SET changed_at = excluded.changed_at;
    PERFORM pg_notify('signalbox_change', changed::text);
    RETURN NULL;
END
$$;
REVOKE ALL ON FUNCTION announce_change FROM PUBLIC;
CREATE POLICY announce ON change TO signalbox_owner USING (true) WITH CHECK (true);
"""

WATCHED = ("tenant", "tenant_key", "project", "api_key", "provider_credential", "routing_policy")


def upgrade() -> None:
    script(CHANGE)
    isolate_by_tenant("change")
    open_to("signalbox_snapshot", "change", command="SELECT")
    op.execute("GRANT SELECT ON change TO signalbox_app, signalbox_snapshot")
    for table in WATCHED:
        op.execute(
            f"CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON {table} "
            "FOR EACH ROW EXECUTE FUNCTION announce_change()"
        )
