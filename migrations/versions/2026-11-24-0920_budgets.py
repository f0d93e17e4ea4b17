"""Budgets, reservations, the request-rate buckets, and the admission functions over them.

`signalbox_meter` holds EXECUTE on the functions and no privilege on the tables: limits move through
`admit_requests`, `reserve_attempts` and `settle_attempts` or not at all. Each takes a batch and locks
rows in key order, so that batches cannot deadlock.
"""

from alembic import op

from migrations.statements import isolate_by_tenant, open_to, script

revision = "0005"
down_revision = "0004"

TABLES = """
-- A budget covers the tenant, or one project, or one API key. A limit that is not set has no row.
CREATE TABLE budget (
    tenant_id uuid NOT NULL REFERENCES tenant,
    budget_id uuid NOT NULL,
    project_id uuid,
    api_key_id uuid,
    period text NOT NULL CHECK (period IN ('day', 'week', 'month', 'total')),
    time_zone text NOT NULL DEFAULT 'UTC',
    limit_nano_usd bigint NOT NULL CHECK (limit_nano_usd >= 0),
    created_at timestamptz NOT NULL DEFAULT now(),
    removed_at timestamptz,
    PRIMARY KEY (tenant_id, budget_id),
    FOREIGN KEY (tenant_id, project_id) REFERENCES project,
    FOREIGN KEY (tenant_id, api_key_id) REFERENCES api_key,
    CHECK (project_id IS NULL OR api_key_id IS NULL)
);
CREATE UNIQUE INDEX budget_active ON budget (tenant_id, project_id, api_key_id, period) NULLS NOT DISTINCT
    WHERE removed_at IS NULL;

-- fillfactor leaves room for heap-only updates: these rows change with every request.
CREATE TABLE budget_period (
    tenant_id uuid NOT NULL,
    budget_id uuid NOT NULL,
    period_start timestamptz NOT NULL,
    spent_nano_usd bigint NOT NULL DEFAULT 0 CHECK (spent_nano_usd >= 0),
    reserved_nano_usd bigint NOT NULL DEFAULT 0 CHECK (reserved_nano_usd >= 0),
    PRIMARY KEY (tenant_id, budget_id, period_start),
    FOREIGN KEY (tenant_id, budget_id) REFERENCES budget
) WITH (fillfactor = 50);

-- What was promised to a call that runs: held before it is sent, gone when it is settled. With what a record of
-- the call needs, should its process die. No foreign key: each would lock the same row of its tenant, thousands
-- of times a second. No second index: a row lives as long as its call, so that the table is small.
CREATE TABLE reservation (
    tenant_id uuid NOT NULL,
    attempt_id uuid NOT NULL,
    request_id uuid NOT NULL,
    process_id uuid NOT NULL,
    project_id uuid NOT NULL,
    api_key_id uuid NOT NULL,
    provider_name text NOT NULL,
    model text NOT NULL,
    credential_owner text NOT NULL CHECK (credential_owner IN ('platform', 'tenant')),
    is_simulated boolean NOT NULL,
    amount_nano_usd bigint NOT NULL CHECK (amount_nano_usd >= 0),
    budget_ids uuid[] NOT NULL,
    period_starts timestamptz[] NOT NULL,
    state text NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'released', 'orphaned')),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, attempt_id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 20000);

-- A process that serves calls says so again and again. When one falls silent, what it holds is lost.
CREATE TABLE gateway_process (
    process_id uuid PRIMARY KEY,
    beat_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Unlogged: after a crash every bucket is full again, which errs for the caller for one burst.
CREATE UNLOGGED TABLE rate_bucket (
    tenant_id uuid PRIMARY KEY,
    theoretical_arrival_at timestamptz NOT NULL
) WITH (fillfactor = 50);
"""

PERIODS = """
CREATE FUNCTION budget_period_start(period text, time_zone text, at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE period WHEN 'total' THEN 'epoch'::timestamptz
                       ELSE date_trunc(period, at AT TIME ZONE time_zone) AT TIME ZONE time_zone END
$$;
CREATE FUNCTION budget_period_end(period text, time_zone text, period_start timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE period WHEN 'total' THEN NULL
        ELSE (period_start AT TIME ZONE time_zone + ('1 ' || period)::interval) AT TIME ZONE time_zone END
$$;
"""

# Every look-up is one row by its whole key, in loops that say their order: no statistics can turn it into a scan.
BY_INDEX = """SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off"""

# The generic cell rate algorithm: one timestamp a tenant, on the server's clock. Who asks for some may get more,
# for the second that follows, but of what the bucket holds an eighth at most: near the limit it is one by one.
ADMIT = f"""
CREATE FUNCTION admit_requests(
    tenant_ids uuid[], project_ids uuid[], api_key_ids uuid[], requests_per_minute integer[], bursts integer[],
    wanted integer[]
) RETURNS TABLE (
    ordinal bigint, granted integer, remaining integer, retry_after_ms integer, reset_ms integer,
    headroom_nano_usd bigint, unspent_nano_usd bigint
)
LANGUAGE plpgsql SECURITY DEFINER {BY_INDEX} AS $$
#variable_conflict use_column
DECLARE
    request record;
    stored timestamptz;
    arrival timestamptz;
    now_at timestamptz;
    interval_s double precision;
    backlog_s double precision;
    available integer;
BEGIN
    FOR request IN
        SELECT * FROM unnest(tenant_ids, project_ids, api_key_ids, requests_per_minute, bursts, wanted)
            WITH ORDINALITY AS r(tenant_id, project_id, api_key_id, per_minute, burst, wanted, ordinal)
        ORDER BY r.tenant_id, r.ordinal
    LOOP
        SELECT b.theoretical_arrival_at INTO stored
            FROM rate_bucket b WHERE b.tenant_id = request.tenant_id FOR UPDATE;
        IF NOT FOUND THEN
            INSERT INTO rate_bucket VALUES (request.tenant_id, clock_timestamp()) ON CONFLICT (tenant_id) DO NOTHING;
            SELECT b.theoretical_arrival_at INTO stored
                FROM rate_bucket b WHERE b.tenant_id = request.tenant_id FOR UPDATE;
        END IF;
        now_at := clock_timestamp();
        interval_s := 60.0 / request.per_minute;
        -- A full bucket's backlog is `burst` intervals. More is left over from a slower plan, and is forgiven.
        arrival := least(greatest(stored, now_at), now_at + make_interval(secs => interval_s * request.burst));
        backlog_s := extract(epoch FROM arrival - now_at);
        available := floor(request.burst - backlog_s / interval_s + 1e-6);
        ordinal := request.ordinal;
        granted := least(available, request.wanted
            + greatest(0, least(request.per_minute / 60, (available - request.wanted) / 8)));
        retry_after_ms := 0;
        IF granted > 0 THEN
            arrival := arrival + make_interval(secs => interval_s * granted);
            backlog_s := backlog_s + interval_s * granted;
            UPDATE rate_bucket b SET theoretical_arrival_at = arrival WHERE b.tenant_id = request.tenant_id;
        END IF;
        IF granted < request.wanted THEN
            retry_after_ms := ceil((backlog_s - interval_s * (request.burst - 1)) * 1000);
        END IF;
        remaining := greatest(0, floor(request.burst - backlog_s / interval_s + 1e-6));
        reset_ms := ceil(backlog_s * 1000);
        headroom_nano_usd := NULL; unspent_nano_usd := NULL;
        SELECT h.limit_nano_usd - h.spent - h.reserved, h.limit_nano_usd - h.spent
            INTO headroom_nano_usd, unspent_nano_usd
            FROM (
                SELECT b.limit_nano_usd, coalesce(p.spent_nano_usd, 0) AS spent,
                       coalesce(p.reserved_nano_usd, 0) AS reserved
                FROM budget b LEFT JOIN LATERAL (
                    SELECT p.spent_nano_usd, p.reserved_nano_usd FROM budget_period p
                    WHERE p.tenant_id = b.tenant_id AND p.budget_id = b.budget_id
                        AND p.period_start = budget_period_start(b.period, b.time_zone, now_at)
                    OFFSET 0
                ) p ON true
                WHERE b.tenant_id = request.tenant_id AND b.removed_at IS NULL
                    AND (b.project_id IS NULL OR b.project_id = request.project_id)
                    AND (b.api_key_id IS NULL OR b.api_key_id = request.api_key_id)
            ) h
            ORDER BY (h.limit_nano_usd - h.spent <= 0) DESC, h.limit_nano_usd - h.spent - h.reserved LIMIT 1;
        RETURN NEXT;
    END LOOP;
END
$$;
"""

# All budgets that cover an attempt hold its amount, or none does; only what is refused is answered. A repeated
# attempt gets its first answer. Mostly a batch fits as a whole: then each budget moves once, by the sum. If not,
# that is undone, and each attempt is tried for itself, in order.
RESERVE = f"""
CREATE FUNCTION reserve_attempts(holder uuid, attempts json) RETURNS TABLE (
    ordinal bigint, outcome text, budget_id uuid, limit_nano_usd bigint,
    spent_nano_usd bigint, reserved_nano_usd bigint, resets_at timestamptz
)
LANGUAGE plpgsql SECURITY DEFINER {BY_INDEX} AS $$
#variable_conflict use_column
DECLARE
    now_at timestamptz := clock_timestamp();
    asked reservation[];
    attempt reservation;
    scope record;
    held bigint;
BEGIN
    -- A budget that is made after this covers the next call.
    SELECT array_agg(
            ROW (a.tenant_id, a.attempt_id, a.request_id, holder, a.project_id, a.api_key_id, a.provider_name, a.model,
                 a.credential_owner, a.is_simulated, a.amount_nano_usd, b.ids, b.starts, 'held', now_at)::reservation
            ORDER BY a.ordinality)
        INTO asked
        FROM ROWS FROM (json_populate_recordset(NULL::reservation, attempts)) WITH ORDINALITY AS a
        CROSS JOIN LATERAL (
            SELECT coalesce(array_agg(b.budget_id), '{{}}') AS ids,
                   coalesce(array_agg(budget_period_start(b.period, b.time_zone, now_at)), '{{}}') AS starts
            FROM budget b WHERE b.tenant_id = a.tenant_id AND b.removed_at IS NULL
                AND (b.project_id IS NULL OR b.project_id = a.project_id)
                AND (b.api_key_id IS NULL OR b.api_key_id = a.api_key_id)
        ) b;
    IF NOT EXISTS (SELECT FROM unnest(asked) AS a WHERE a.budget_ids <> '{{}}') THEN
        INSERT INTO reservation SELECT a.* FROM unnest(asked) AS a ORDER BY a.tenant_id, a.attempt_id
            ON CONFLICT DO NOTHING;
        RETURN;
    END IF;
    BEGIN
        FOR scope IN
            SELECT a.tenant_id, s.budget_id, s.period_start, sum(a.amount_nano_usd)::bigint AS amount
            FROM unnest(asked) AS a
            CROSS JOIN LATERAL unnest(a.budget_ids, a.period_starts) AS s(budget_id, period_start)
            WHERE a.amount_nano_usd > 0 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
        LOOP
            LOOP
                UPDATE budget_period p SET reserved_nano_usd = p.reserved_nano_usd + scope.amount
                    WHERE p.tenant_id = scope.tenant_id AND p.budget_id = scope.budget_id
                        AND p.period_start = scope.period_start
                        AND p.spent_nano_usd + p.reserved_nano_usd + scope.amount <= (
                            SELECT b.limit_nano_usd FROM budget b
                            WHERE b.tenant_id = scope.tenant_id AND b.budget_id = scope.budget_id);
                EXIT WHEN FOUND;
                INSERT INTO budget_period VALUES (scope.tenant_id, scope.budget_id, scope.period_start)
                    ON CONFLICT DO NOTHING;
                IF NOT FOUND THEN
                    RAISE EXCEPTION USING ERRCODE = 'SBX01';  -- the period is there, and has no room
                END IF;
            END LOOP;
        END LOOP;
        INSERT INTO reservation SELECT a.* FROM unnest(asked) AS a ORDER BY a.tenant_id, a.attempt_id
            ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS held = ROW_COUNT;
        IF held = cardinality(asked) THEN
            RETURN;
        END IF;
        RAISE EXCEPTION USING ERRCODE = 'SBX01';  -- a repeated attempt would be held twice
    EXCEPTION WHEN SQLSTATE 'SBX01' THEN
        NULL;
    END;
    FOR scope IN
        SELECT DISTINCT a.tenant_id, s.budget_id, s.period_start
        FROM unnest(asked) AS a CROSS JOIN LATERAL unnest(a.budget_ids, a.period_starts) AS s(budget_id, period_start)
        ORDER BY 1, 2, 3
    LOOP
        INSERT INTO budget_period VALUES (scope.tenant_id, scope.budget_id, scope.period_start) ON CONFLICT DO NOTHING;
        PERFORM 1 FROM budget_period p WHERE p.tenant_id = scope.tenant_id AND p.budget_id = scope.budget_id
            AND p.period_start = scope.period_start FOR UPDATE;
    END LOOP;
    FOR place IN 1..cardinality(asked) LOOP
        attempt := asked[place];
        -- What fills the budget may be this very attempt, reserved before and asked for again.
        CONTINUE WHEN EXISTS (SELECT FROM reservation r
                              WHERE r.tenant_id = attempt.tenant_id AND r.attempt_id = attempt.attempt_id);
        SELECT CASE WHEN p.spent_nano_usd + attempt.amount_nano_usd > b.limit_nano_usd THEN 'exceeded'
                    ELSE 'contended' END,
               b.budget_id, b.limit_nano_usd, p.spent_nano_usd, p.reserved_nano_usd,
               budget_period_end(b.period, b.time_zone, s.period_start)
            INTO outcome, budget_id, limit_nano_usd, spent_nano_usd, reserved_nano_usd, resets_at
            FROM unnest(attempt.budget_ids, attempt.period_starts) AS s(budget_id, period_start)
            CROSS JOIN LATERAL (
                SELECT * FROM budget b WHERE b.tenant_id = attempt.tenant_id AND b.budget_id = s.budget_id OFFSET 0
            ) b
            CROSS JOIN LATERAL (
                SELECT * FROM budget_period p WHERE p.tenant_id = attempt.tenant_id AND p.budget_id = s.budget_id
                    AND p.period_start = s.period_start OFFSET 0
            ) p
            WHERE attempt.amount_nano_usd > 0
                AND p.spent_nano_usd + p.reserved_nano_usd + attempt.amount_nano_usd > b.limit_nano_usd
            ORDER BY (p.spent_nano_usd + attempt.amount_nano_usd > b.limit_nano_usd) DESC, b.limit_nano_usd LIMIT 1;
        IF FOUND THEN
            ordinal := place;
            RETURN NEXT;
            CONTINUE;
        END IF;
        INSERT INTO reservation SELECT attempt.* ON CONFLICT DO NOTHING;
        IF FOUND AND attempt.amount_nano_usd > 0 THEN
            FOR number IN 1..cardinality(attempt.budget_ids) LOOP
                UPDATE budget_period p SET reserved_nano_usd = p.reserved_nano_usd + attempt.amount_nano_usd
                    WHERE p.tenant_id = attempt.tenant_id AND p.budget_id = attempt.budget_ids[number]
                        AND p.period_start = attempt.period_starts[number];
            END LOOP;
        END IF;
    END LOOP;
END
$$;
"""

# A reservation ends once: settling deletes it, and whoever comes second finds nothing to move. A charge of NULL
# releases: that is remembered for a day, for a charge that arrives after all is still spent. What a lost process
# held is kept as spent and remembered as orphaned, until the true charge comes and replaces it.
SETTLE = f"""
CREATE FUNCTION settle_attempts(
    tenant_ids uuid[], attempt_ids uuid[], charges bigint[], is_lost boolean DEFAULT false
) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER {BY_INDEX} AS $$
DECLARE
    attempt record;
    ended record;
    ended_count bigint := 0;
    move record;
    owners uuid[] := '{{}}';
    ids uuid[] := '{{}}';
    starts timestamptz[] := '{{}}';
    freed bigint[] := '{{}}';
    charged bigint[] := '{{}}';
BEGIN
    FOR attempt IN
        SELECT * FROM unnest(tenant_ids, attempt_ids, charges) AS c(tenant_id, attempt_id, charge) ORDER BY 1, 2
    LOOP
        IF attempt.charge IS NULL THEN
            UPDATE reservation r SET state = 'released'
                WHERE r.tenant_id = attempt.tenant_id AND r.attempt_id = attempt.attempt_id AND r.state = 'held'
                RETURNING r.budget_ids, r.period_starts, r.amount_nano_usd AS freed, 0::bigint AS charged INTO ended;
        ELSIF is_lost THEN
            UPDATE reservation r SET state = 'orphaned'
                WHERE r.tenant_id = attempt.tenant_id AND r.attempt_id = attempt.attempt_id AND r.state = 'held'
                RETURNING r.budget_ids, r.period_starts, r.amount_nano_usd AS freed, attempt.charge AS charged INTO ended;
        ELSE
            DELETE FROM reservation r WHERE r.tenant_id = attempt.tenant_id AND r.attempt_id = attempt.attempt_id
                RETURNING r.budget_ids, r.period_starts,
                          CASE r.state WHEN 'held' THEN r.amount_nano_usd ELSE 0 END AS freed,
                          attempt.charge - CASE r.state WHEN 'orphaned' THEN r.amount_nano_usd ELSE 0 END AS charged
                INTO ended;
        END IF;
        CONTINUE WHEN NOT FOUND;
        ended_count := ended_count + 1;
        CONTINUE WHEN ended.budget_ids = '{{}}';
        owners := owners || array_fill(attempt.tenant_id, ARRAY[cardinality(ended.budget_ids)]);
        ids := ids || ended.budget_ids;
        starts := starts || ended.period_starts;
        freed := freed || array_fill(ended.freed, ARRAY[cardinality(ended.budget_ids)]);
        charged := charged || array_fill(ended.charged, ARRAY[cardinality(ended.budget_ids)]);
    END LOOP;
    FOR move IN
        SELECT m.tenant_id, m.budget_id, m.period_start, sum(m.freed)::bigint AS freed, sum(m.charged)::bigint AS charged
        FROM unnest(owners, ids, starts, freed, charged) AS m(tenant_id, budget_id, period_start, freed, charged)
        GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
    LOOP
        UPDATE budget_period p SET reserved_nano_usd = p.reserved_nano_usd - move.freed,
                                   spent_nano_usd = p.spent_nano_usd + move.charged
            WHERE p.tenant_id = move.tenant_id AND p.budget_id = move.budget_id AND p.period_start = move.period_start;
    END LOOP;
    RETURN ended_count;
END
$$;
"""

# Locked, so that nobody settles meanwhile what is about to be counted as lost, and what is being settled is passed
# over. A server that has just started has heard of nobody yet.
LOST = """
CREATE FUNCTION beat_process(process uuid) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO gateway_process VALUES (process, clock_timestamp())
        ON CONFLICT (process_id) DO UPDATE SET beat_at = excluded.beat_at
$$;
CREATE FUNCTION held_reservations(holder uuid, age_s integer) RETURNS SETOF reservation
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT * FROM reservation r WHERE r.process_id = holder AND r.state = 'held'
        AND r.created_at < clock_timestamp() - make_interval(secs => age_s)
$$;
CREATE FUNCTION lost_reservations(silent_s integer, rows_max integer) RETURNS SETOF reservation
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.* FROM reservation r
        WHERE r.state = 'held' AND r.created_at < clock_timestamp() - make_interval(secs => silent_s)
            AND pg_postmaster_start_time() < clock_timestamp() - make_interval(secs => silent_s)
            AND NOT EXISTS (SELECT FROM gateway_process p WHERE p.process_id = r.process_id
                AND p.beat_at >= clock_timestamp() - make_interval(secs => silent_s))
        ORDER BY r.tenant_id, r.attempt_id LIMIT rows_max FOR UPDATE SKIP LOCKED
$$;
CREATE FUNCTION orphaned_reservations(tenant_ids uuid[], attempt_ids uuid[]) RETURNS SETOF reservation
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT r.* FROM reservation r
        WHERE (r.tenant_id, r.attempt_id) IN (SELECT * FROM unnest(tenant_ids, attempt_ids)) AND r.state = 'orphaned'
        ORDER BY r.tenant_id, r.attempt_id FOR UPDATE
$$;
"""

# A process that was silent for a day is forgotten with what was released a day ago.
PURGE = """
CREATE FUNCTION purge_reservations(rows_max integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    purged bigint;
BEGIN
    DELETE FROM reservation WHERE (tenant_id, attempt_id) IN (
        SELECT r.tenant_id, r.attempt_id FROM reservation r
        WHERE r.created_at < now() - interval '1 day' AND r.state = 'released'
        LIMIT rows_max FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS purged = ROW_COUNT;
    DELETE FROM gateway_process WHERE beat_at < now() - interval '1 day';
    RETURN purged;
END
$$;
"""

FUNCTIONS = (
    "admit_requests",
    "reserve_attempts",
    "settle_attempts",
    "beat_process",
    "held_reservations",
    "lost_reservations",
    "orphaned_reservations",
    "purge_reservations",
)


def upgrade() -> None:
    for statement in (TABLES, PERIODS, ADMIT, RESERVE, SETTLE, LOST, PURGE):
        script(statement)
    for table in ("budget", "budget_period", "reservation", "rate_bucket"):
        isolate_by_tenant(table)
        op.execute(f"CREATE POLICY admission ON {table} TO signalbox_owner USING (true) WITH CHECK (true)")
        open_to("signalbox_operator", table, command="SELECT")
        op.execute(f"GRANT SELECT ON {table} TO signalbox_app, signalbox_operator")
    op.execute("GRANT INSERT, UPDATE (limit_nano_usd, removed_at) ON budget TO signalbox_app")
    for function in FUNCTIONS:
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO signalbox_meter")
