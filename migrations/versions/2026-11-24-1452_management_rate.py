"""The request rate of the management API: one timestamp a tenant, on the server's clock, in a table of its own."""

from alembic import op

from migrations.statements import isolate_by_tenant, open_to, script

revision = "0009"
down_revision = "0008"

# Unlogged, like the rate of model calls: after a crash every bucket is full again.
RATE = """
CREATE UNLOGGED TABLE management_rate (
    tenant_id uuid PRIMARY KEY,
    theoretical_arrival_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- The generic cell rate algorithm; 0: the request is taken, else milliseconds until one fits.
CREATE FUNCTION take_management_request(tenant uuid, per_minute integer, burst integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    stored timestamptz;
    arrival timestamptz;
    now_at timestamptz;
    step interval := make_interval(secs => 60.0 / per_minute);
BEGIN
    INSERT INTO management_rate VALUES (tenant, clock_timestamp()) ON CONFLICT DO NOTHING;
    SELECT theoretical_arrival_at INTO stored FROM management_rate WHERE tenant_id = tenant FOR UPDATE;
    now_at := clock_timestamp();
    arrival := greatest(stored, now_at) + step;
    IF arrival > now_at + step * burst THEN
        RETURN greatest(1, ceil(extract(epoch FROM arrival - now_at - step * burst) * 1000));
    END IF;
    UPDATE management_rate SET theoretical_arrival_at = arrival WHERE tenant_id = tenant;
    RETURN 0;
END
$$;
"""


def upgrade() -> None:
    script(RATE)
    isolate_by_tenant("management_rate")
    op.execute("CREATE POLICY admission ON management_rate TO signalbox_owner USING (true) WITH CHECK (true)")
    open_to("signalbox_operator", "management_rate", command="SELECT")
    op.execute("GRANT SELECT ON management_rate TO signalbox_app, signalbox_operator")
    op.execute("REVOKE ALL ON FUNCTION take_management_request FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION take_management_request TO signalbox_meter")
