"""Limits that are not money: how many requests at once, and how many requests or tokens in a minute or a day.

A limit that is not set has no row. How many run at once is held in leases: a process leases slots of a limit for
a while and lends them to its requests, so that the sum over all processes is never above the limit.
"""

from alembic import op

from migrations.statements import isolate_by_tenant, open_to, script

revision = "0012"
down_revision = "0011"

TABLES = """
ALTER TABLE plan ADD concurrent_requests integer NOT NULL DEFAULT 50 CHECK (concurrent_requests > 0);

-- A limit covers the tenant, one project or one API key; with `is_per_end_user` each of the end users there has one
-- of its own. `model` is a name as provider/model in which * stands for anything. A bucket holds `burst_count`.
CREATE TABLE traffic_limit (
    tenant_id uuid NOT NULL REFERENCES tenant,
    limit_id uuid NOT NULL,
    project_id uuid,
    api_key_id uuid,
    is_per_end_user boolean NOT NULL DEFAULT false,
    model text,
    kind text NOT NULL CHECK (kind IN ('concurrent_requests', 'requests_per_minute', 'requests_per_day',
                                       'tokens_per_minute', 'tokens_per_day')),
    limit_count bigint NOT NULL CHECK (limit_count > 0),
    burst_count bigint CHECK (burst_count > 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    removed_at timestamptz,
    PRIMARY KEY (tenant_id, limit_id),
    FOREIGN KEY (tenant_id, project_id) REFERENCES project,
    FOREIGN KEY (tenant_id, api_key_id) REFERENCES api_key,
    CHECK (project_id IS NULL OR api_key_id IS NULL),
    CHECK (kind <> 'concurrent_requests' OR NOT is_per_end_user AND model IS NULL AND burst_count IS NULL)
);
CREATE UNIQUE INDEX traffic_limit_active ON traffic_limit
    (tenant_id, project_id, api_key_id, is_per_end_user, model, kind) NULLS NOT DISTINCT WHERE removed_at IS NULL;

-- Logged: after a crash of the server the requests still run. A plan's limit has its tenant's id.
CREATE TABLE slot_lease (
    tenant_id uuid NOT NULL,
    limit_id uuid NOT NULL,
    process_id uuid NOT NULL,
    slots integer NOT NULL CHECK (slots > 0),
    ends_at timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, limit_id, process_id)
) WITH (fillfactor = 50);
"""

# A process says how many of its requests run and how many want to begin. It gets room for all of them and a few to
# spare, or else what there is; what runs already is never taken away. A lease of a process that died ends by itself,
# and not before the deadline of the last request that could have begun under it.
LEASE = """
CREATE FUNCTION lease_slots(
    holder uuid, tenant_ids uuid[], limit_ids uuid[], slots_max integer[], used integer[], wanted integer[],
    lease_s integer
) RETURNS TABLE (ordinal bigint, granted integer, spare integer)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off SET enable_bitmapscan = off AS $$
#variable_conflict use_column
DECLARE
    asked record;
    room integer;
    now_at timestamptz;
    process_count bigint;
BEGIN
    SELECT greatest(1, count(*)) INTO process_count FROM gateway_process p
        WHERE p.beat_at > clock_timestamp() - interval '120 seconds';
    FOR asked IN
        SELECT * FROM unnest(tenant_ids, limit_ids, slots_max, used, wanted) WITH ORDINALITY
            AS a(tenant_id, limit_id, slots_max, used, wanted, ordinal)
        ORDER BY a.tenant_id, a.limit_id
    LOOP
        PERFORM pg_advisory_xact_lock(hashtextextended(asked.tenant_id::text || asked.limit_id, 0));
        now_at := clock_timestamp();
        DELETE FROM slot_lease l WHERE l.tenant_id = asked.tenant_id AND l.limit_id = asked.limit_id
            AND l.ends_at <= now_at;
        SELECT greatest(0, asked.slots_max - coalesce(sum(l.slots), 0)) INTO room FROM slot_lease l
            WHERE l.tenant_id = asked.tenant_id AND l.limit_id = asked.limit_id AND l.process_id <> holder;
        ordinal := asked.ordinal;
        -- What all processes may keep idle together is a sixteenth of the limit.
        spare := asked.slots_max / (16 * process_count);
        granted := greatest(asked.used, least(room, asked.used + asked.wanted + spare));
        IF granted = 0 THEN
            DELETE FROM slot_lease l WHERE l.tenant_id = asked.tenant_id AND l.limit_id = asked.limit_id
                AND l.process_id = holder;
        ELSE
            INSERT INTO slot_lease VALUES (asked.tenant_id, asked.limit_id, holder, granted,
                                           now_at + make_interval(secs => lease_s))
                ON CONFLICT (tenant_id, limit_id, process_id)
                DO UPDATE SET slots = excluded.slots, ends_at = excluded.ends_at;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
CREATE FUNCTION end_slot_leases(holder uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    DELETE FROM slot_lease WHERE process_id = holder OR ends_at < clock_timestamp()
$$;
"""


def upgrade() -> None:
    script(TABLES)
    script(LEASE)
    for table in ("traffic_limit", "slot_lease"):
        isolate_by_tenant(table)
        open_to("signalbox_operator", table, command="SELECT")
        op.execute(f"GRANT SELECT ON {table} TO signalbox_app, signalbox_operator")
    op.execute("CREATE POLICY admission ON slot_lease TO signalbox_owner USING (true) WITH CHECK (true)")
    open_to("signalbox_snapshot", "traffic_limit", command="SELECT")
    op.execute("GRANT SELECT ON traffic_limit TO signalbox_snapshot")
    op.execute("GRANT INSERT, UPDATE (limit_count, burst_count, removed_at) ON traffic_limit TO signalbox_app")
    op.execute(
        "CREATE TRIGGER announce AFTER INSERT OR UPDATE OR DELETE ON traffic_limit "
        "FOR EACH ROW EXECUTE FUNCTION announce_change()"
    )
    for function in ("lease_slots", "end_slot_leases"):
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO signalbox_meter")
