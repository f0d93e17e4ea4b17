"""Rates of requests and tokens that a tenant sets: one bucket for each limit, and for each end user of one.

The generic cell rate algorithm on the server's clock, as for the plan's rate: a bucket is one moment, until which
what was taken has drained. A request takes from all its buckets or from none.
"""

from alembic import op

from migrations.statements import isolate_by_tenant, open_to, script

revision = "0013"
down_revision = "0012"

# Unlogged: after a crash every bucket is full again, which errs for the caller for one burst. A bucket whose moment
# has passed is full, and need not be kept.
TABLE = """
CREATE UNLOGGED TABLE traffic_bucket (
    tenant_id uuid NOT NULL,
    limit_id uuid NOT NULL,
    end_user text NOT NULL DEFAULT '',
    theoretical_arrival_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, limit_id, end_user)
) WITH (fillfactor = 50);
"""

BY_INDEX = """SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off"""

# Rows of one request stand together and have one number in `asks`. All buckets of a batch are locked first, in the
# order of their keys, so that batches cannot deadlock.
TAKE = f"""
CREATE FUNCTION take_traffic(
    asks integer[], tenant_ids uuid[], limit_ids uuid[], end_users text[], limit_counts bigint[], capacities bigint[],
    periods_s integer[], amounts bigint[]
) RETURNS TABLE (is_taken boolean, remaining bigint, reset_ms bigint, retry_after_ms bigint)
LANGUAGE plpgsql SECURITY DEFINER {BY_INDEX} AS $$
DECLARE
    bucket record;
    now_at timestamptz;
    arrival timestamptz;
    arrivals timestamptz[];
    intervals_s double precision[];
    backlog_s double precision;
    first integer := 1;
    past integer;
BEGIN
    FOR bucket IN
        SELECT DISTINCT * FROM unnest(tenant_ids, limit_ids, end_users) AS b(tenant_id, limit_id, end_user)
        ORDER BY 1, 2, 3
    LOOP
        PERFORM FROM traffic_bucket b WHERE b.tenant_id = bucket.tenant_id AND b.limit_id = bucket.limit_id
            AND b.end_user = bucket.end_user FOR UPDATE;
        IF NOT FOUND THEN
            INSERT INTO traffic_bucket (tenant_id, limit_id, end_user)
                VALUES (bucket.tenant_id, bucket.limit_id, bucket.end_user)
                ON CONFLICT (tenant_id, limit_id, end_user) DO UPDATE
                SET theoretical_arrival_at = traffic_bucket.theoretical_arrival_at;
        END IF;
    END LOOP;
    now_at := clock_timestamp();
    WHILE first <= cardinality(asks) LOOP
        past := first;
        is_taken := true;
        WHILE past <= cardinality(asks) AND asks[past] = asks[first] LOOP
            SELECT greatest(b.theoretical_arrival_at, now_at) INTO arrival FROM traffic_bucket b
                WHERE b.tenant_id = tenant_ids[past] AND b.limit_id = limit_ids[past] AND b.end_user = end_users[past];
            arrivals[past] := arrival;
            intervals_s[past] := periods_s[past]::double precision / limit_counts[past];
            backlog_s := extract(epoch FROM arrival - now_at);
            is_taken := is_taken
                AND backlog_s + amounts[past] * intervals_s[past] <= capacities[past] * intervals_s[past] + 1e-6;
            past := past + 1;
        END LOOP;
        FOR place IN first .. past - 1 LOOP
            IF is_taken THEN
                arrivals[place] := arrivals[place] + make_interval(secs => amounts[place] * intervals_s[place]);
                UPDATE traffic_bucket b SET theoretical_arrival_at = arrivals[place]
                    WHERE b.tenant_id = tenant_ids[place] AND b.limit_id = limit_ids[place]
                        AND b.end_user = end_users[place];
            END IF;
            backlog_s := extract(epoch FROM arrivals[place] - now_at);
            remaining := greatest(0, floor(capacities[place] - backlog_s / intervals_s[place] + 1e-6));
            reset_ms := ceil(backlog_s * 1000);
            retry_after_ms := CASE WHEN is_taken THEN 0 ELSE greatest(0, ceil(
                (backlog_s + (amounts[place] - capacities[place]) * intervals_s[place]) * 1000)) END;
            RETURN NEXT;
        END LOOP;
        first := past;
    END LOOP;
END
$$;
-- What was taken by an estimate is brought to what was used. That may leave a bucket in debt.
CREATE FUNCTION correct_traffic(
    tenant_ids uuid[], limit_ids uuid[], end_users text[], limit_counts bigint[], periods_s integer[],
    amounts bigint[]
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER {BY_INDEX} AS $$
DECLARE
    move record;
BEGIN
    FOR move IN
        SELECT m.tenant_id, m.limit_id, m.end_user,
               sum(m.amount * m.period_s::double precision / m.limit_count) AS moved_s
        FROM unnest(tenant_ids, limit_ids, end_users, limit_counts, periods_s, amounts)
            AS m(tenant_id, limit_id, end_user, limit_count, period_s, amount)
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    LOOP
        UPDATE traffic_bucket b
            SET theoretical_arrival_at = CASE WHEN move.moved_s < 0 THEN b.theoretical_arrival_at
                ELSE greatest(b.theoretical_arrival_at, clock_timestamp()) END + make_interval(secs => move.moved_s)
            WHERE b.tenant_id = move.tenant_id AND b.limit_id = move.limit_id AND b.end_user = move.end_user;
    END LOOP;
END
$$;
CREATE FUNCTION purge_traffic_buckets(rows_max integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    purged bigint;
BEGIN
    DELETE FROM traffic_bucket WHERE (tenant_id, limit_id, end_user) IN (
        SELECT b.tenant_id, b.limit_id, b.end_user FROM traffic_bucket b
        WHERE b.theoretical_arrival_at < clock_timestamp() - interval '1 minute'
        LIMIT rows_max FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN purged;
END
$$;
"""


def upgrade() -> None:
    script(TABLE)
    script(TAKE)
    isolate_by_tenant("traffic_bucket")
    op.execute("CREATE POLICY admission ON traffic_bucket TO signalbox_owner USING (true) WITH CHECK (true)")
    open_to("signalbox_operator", "traffic_bucket", command="SELECT")
    op.execute("GRANT SELECT ON traffic_bucket TO signalbox_app, signalbox_operator")
    for function in ("take_traffic", "correct_traffic", "purge_traffic_buckets"):
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO signalbox_meter")
