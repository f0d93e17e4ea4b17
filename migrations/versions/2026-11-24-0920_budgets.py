"""Budgets, reservations, the request-rate buckets, and the admission functions over them.

`signalbox_meter` holds EXECUTE on the functions and no privilege on the tables: limits move through
`admit_requests`, `reserve_attempts` and `settle_attempts` or not at all. Each takes a batch, locks
rows in key order (so batches cannot deadlock), and answers per row.
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

-- No foreign key: each would lock the same row of its tenant, thousands of times a second.
CREATE TABLE reservation (
    tenant_id uuid NOT NULL,
    attempt_id uuid NOT NULL,
    request_id uuid NOT NULL,
    process_id uuid NOT NULL,
    amount_nano_usd bigint NOT NULL CHECK (amount_nano_usd >= 0),
    budget_ids uuid[] NOT NULL,
    period_starts timestamptz[] NOT NULL,
    state text NOT NULL DEFAULT 'held' CHECK (state IN ('held', 'settled', 'released', 'orphaned')),
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, attempt_id)
);
CREATE INDEX reservation_open ON reservation (process_id, created_at) WHERE state IN ('held', 'orphaned');
-- Rows come in the order of time, so a few bytes a page tell the purge where the old ones lie.
CREATE INDEX reservation_age ON reservation USING brin (created_at);

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

# Calls are batches of a few rows over large tables: an index lookup for each row is always right, while a
# plan cached when the tables were small could scan them. One plan for every batch size: planning anew for
# each call took longer than running it.
BY_INDEX = """SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off"""

# The generic cell rate algorithm: one timestamp a tenant, on the server's clock.
ADMIT = f"""
CREATE FUNCTION admit_requests(
    tenant_ids uuid[], project_ids uuid[], api_key_ids uuid[], requests_per_minute integer[], bursts integer[]
) RETURNS TABLE (
    ordinal bigint, is_admitted boolean, remaining integer, retry_after_ms integer, reset_ms integer,
    headroom_nano_usd bigint, unspent_nano_usd bigint, budget_id uuid
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
BEGIN
    FOR request IN
        SELECT * FROM unnest(tenant_ids, project_ids, api_key_ids, requests_per_minute, bursts)
            WITH ORDINALITY AS r(tenant_id, project_id, api_key_id, per_minute, burst, ordinal)
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
        ordinal := request.ordinal;
        is_admitted := backlog_s <= interval_s * (request.burst - 1) + 1e-6;
        retry_after_ms := 0;
        IF is_admitted THEN
            arrival := arrival + make_interval(secs => interval_s);
            backlog_s := backlog_s + interval_s;
        ELSE
            retry_after_ms := ceil((backlog_s - interval_s * (request.burst - 1)) * 1000);
        END IF;
        IF arrival IS DISTINCT FROM stored THEN
            UPDATE rate_bucket b SET theoretical_arrival_at = arrival WHERE b.tenant_id = request.tenant_id;
        END IF;
        remaining := greatest(0, floor(request.burst - backlog_s / interval_s + 1e-6));
        reset_ms := ceil(backlog_s * 1000);
        headroom_nano_usd := NULL; unspent_nano_usd := NULL; budget_id := NULL;
        SELECT h.limit_nano_usd - h.spent - h.reserved, h.limit_nano_usd - h.spent, h.budget_id
            INTO headroom_nano_usd, unspent_nano_usd, budget_id
            FROM (
                SELECT b.budget_id, b.limit_nano_usd,
                       coalesce(p.spent_nano_usd, 0) AS spent, coalesce(p.reserved_nano_usd, 0) AS reserved
                FROM budget b LEFT JOIN budget_period p
                    ON p.tenant_id = b.tenant_id AND p.budget_id = b.budget_id
                    AND p.period_start = budget_period_start(b.period, b.time_zone, now_at)
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

# All budgets that cover an attempt hold its amount, or none does. A repeated attempt gets its first answer.
RESERVE = f"""
CREATE FUNCTION reserve_attempts(
    holder uuid, tenant_ids uuid[], project_ids uuid[], api_key_ids uuid[],
    request_ids uuid[], attempt_ids uuid[], amounts bigint[]
) RETURNS TABLE (
    ordinal bigint, outcome text, budget_id uuid, limit_nano_usd bigint,
    spent_nano_usd bigint, reserved_nano_usd bigint, resets_at timestamptz
)
LANGUAGE plpgsql SECURITY DEFINER {BY_INDEX} AS $$
#variable_conflict use_column
DECLARE
    attempt record;
    now_at timestamptz := clock_timestamp();
    locked_ids uuid[];
    scope_ids uuid[];
    scope_starts timestamptz[];
BEGIN
    INSERT INTO budget_period (tenant_id, budget_id, period_start)
        SELECT DISTINCT b.tenant_id, b.budget_id, budget_period_start(b.period, b.time_zone, now_at)
        FROM unnest(tenant_ids, project_ids, api_key_ids) AS a(tenant_id, project_id, api_key_id)
        JOIN budget b ON b.tenant_id = a.tenant_id AND b.removed_at IS NULL
            AND (b.project_id IS NULL OR b.project_id = a.project_id)
            AND (b.api_key_id IS NULL OR b.api_key_id = a.api_key_id)
        ORDER BY 1, 2, 3
        ON CONFLICT DO NOTHING;
    -- Only budgets locked here, in key order, are checked and moved below: one that is made meanwhile covers
    -- the next call. Without that, its row would be moved unlocked, or missing when the attempt is settled.
    SELECT coalesce(array_agg(locked.budget_id), '{{}}') INTO locked_ids FROM (
        SELECT p.budget_id FROM budget_period p
            JOIN budget b ON b.tenant_id = p.tenant_id AND b.budget_id = p.budget_id
            WHERE p.tenant_id = ANY (tenant_ids) AND b.removed_at IS NULL
                AND p.period_start = budget_period_start(b.period, b.time_zone, now_at)
                AND (b.project_id IS NULL OR b.project_id = ANY (project_ids))
                AND (b.api_key_id IS NULL OR b.api_key_id = ANY (api_key_ids))
            ORDER BY p.tenant_id, p.budget_id, p.period_start FOR UPDATE OF p
    ) locked;
    -- Mostly the whole batch fits: then it is held in one statement. Repeated attempts are summed too, which errs
    -- towards the loop below.
    PERFORM 1 FROM (
        SELECT b.tenant_id, b.budget_id, min(b.limit_nano_usd) AS limit_nano_usd, sum(a.amount) AS amount,
               min(budget_period_start(b.period, b.time_zone, now_at)) AS starts
            FROM unnest(tenant_ids, project_ids, api_key_ids, amounts) AS a(tenant_id, project_id, api_key_id, amount)
            JOIN budget b ON b.tenant_id = a.tenant_id AND b.budget_id = ANY (locked_ids)
                AND (b.project_id IS NULL OR b.project_id = a.project_id)
                AND (b.api_key_id IS NULL OR b.api_key_id = a.api_key_id)
            WHERE a.amount > 0
            GROUP BY b.tenant_id, b.budget_id
        ) wanted
        JOIN budget_period p ON p.tenant_id = wanted.tenant_id AND p.budget_id = wanted.budget_id
            AND p.period_start = wanted.starts
        WHERE p.spent_nano_usd + p.reserved_nano_usd + wanted.amount > wanted.limit_nano_usd;
    IF NOT FOUND THEN
        WITH asked AS (
            SELECT a.tenant_id, a.attempt_id, a.request_id, a.amount, scopes.ids, scopes.starts
                FROM unnest(tenant_ids, project_ids, api_key_ids, request_ids, attempt_ids, amounts)
                    AS a(tenant_id, project_id, api_key_id, request_id, attempt_id, amount)
                CROSS JOIN LATERAL (
                    SELECT coalesce(array_agg(b.budget_id), '{{}}') AS ids,
                           coalesce(array_agg(budget_period_start(b.period, b.time_zone, now_at)), '{{}}') AS starts
                        FROM budget b WHERE b.tenant_id = a.tenant_id AND b.budget_id = ANY (locked_ids)
                            AND (b.project_id IS NULL OR b.project_id = a.project_id)
                            AND (b.api_key_id IS NULL OR b.api_key_id = a.api_key_id)
                ) scopes
        ), held AS (
            INSERT INTO reservation (tenant_id, attempt_id, request_id, process_id, amount_nano_usd, budget_ids, period_starts)
                SELECT a.tenant_id, a.attempt_id, a.request_id, holder, a.amount, a.ids, a.starts
                    FROM asked a ORDER BY a.tenant_id, a.attempt_id
                ON CONFLICT DO NOTHING
                RETURNING reservation.tenant_id, reservation.budget_ids, reservation.period_starts,
                          reservation.amount_nano_usd
        ), moves AS (
            SELECT h.tenant_id, s.id, s.starts, sum(h.amount_nano_usd)::bigint AS amount
                FROM held h CROSS JOIN LATERAL unnest(h.budget_ids, h.period_starts) AS s(id, starts)
                GROUP BY 1, 2, 3
        )
        UPDATE budget_period p SET reserved_nano_usd = p.reserved_nano_usd + m.amount
            FROM moves m WHERE p.tenant_id = m.tenant_id AND p.budget_id = m.id AND p.period_start = m.starts
                AND m.amount > 0;
        RETURN QUERY SELECT n, 'held', NULL::uuid, NULL::bigint, NULL::bigint, NULL::bigint, NULL::timestamptz
            FROM generate_series(1, cardinality(attempt_ids)::bigint) AS n;
        RETURN;
    END IF;
    FOR attempt IN
        SELECT * FROM unnest(tenant_ids, project_ids, api_key_ids, request_ids, attempt_ids, amounts)
            WITH ORDINALITY AS a(tenant_id, project_id, api_key_id, request_id, attempt_id, amount, ordinal)
        ORDER BY a.ordinal
    LOOP
        ordinal := attempt.ordinal; outcome := 'held';
        budget_id := NULL; limit_nano_usd := NULL; spent_nano_usd := NULL; reserved_nano_usd := NULL; resets_at := NULL;
        SELECT coalesce(array_agg(b.budget_id ORDER BY b.budget_id), '{{}}'),
               coalesce(array_agg(budget_period_start(b.period, b.time_zone, now_at) ORDER BY b.budget_id), '{{}}')
            INTO scope_ids, scope_starts
            FROM budget b WHERE b.tenant_id = attempt.tenant_id AND b.budget_id = ANY (locked_ids)
                AND (b.project_id IS NULL OR b.project_id = attempt.project_id)
                AND (b.api_key_id IS NULL OR b.api_key_id = attempt.api_key_id);
        SELECT CASE WHEN p.spent_nano_usd + attempt.amount > b.limit_nano_usd THEN 'exceeded' ELSE 'contended' END,
               b.budget_id, b.limit_nano_usd, p.spent_nano_usd, p.reserved_nano_usd,
               budget_period_end(b.period, b.time_zone, p.period_start)
            INTO outcome, budget_id, limit_nano_usd, spent_nano_usd, reserved_nano_usd, resets_at
            FROM unnest(scope_ids, scope_starts) AS s(id, starts)
            JOIN budget b ON b.tenant_id = attempt.tenant_id AND b.budget_id = s.id
            JOIN budget_period p ON p.tenant_id = attempt.tenant_id AND p.budget_id = s.id AND p.period_start = s.starts
            WHERE attempt.amount > 0 AND p.spent_nano_usd + p.reserved_nano_usd + attempt.amount > b.limit_nano_usd
            ORDER BY (p.spent_nano_usd + attempt.amount > b.limit_nano_usd) DESC, b.limit_nano_usd LIMIT 1;
        IF FOUND THEN
            -- What fills the budget may be this very attempt, reserved before and asked for again.
            IF EXISTS (SELECT FROM reservation r
                       WHERE r.tenant_id = attempt.tenant_id AND r.attempt_id = attempt.attempt_id) THEN
                outcome := 'held';
            END IF;
        ELSE
            outcome := 'held';
            INSERT INTO reservation (tenant_id, attempt_id, request_id, process_id, amount_nano_usd, budget_ids, period_starts)
                VALUES (attempt.tenant_id, attempt.attempt_id, attempt.request_id, holder, attempt.amount, scope_ids, scope_starts)
                ON CONFLICT DO NOTHING;
            IF FOUND AND attempt.amount > 0 AND cardinality(scope_ids) > 0 THEN
                UPDATE budget_period p SET reserved_nano_usd = p.reserved_nano_usd + attempt.amount
                    FROM unnest(scope_ids, scope_starts) AS s(id, starts)
                    WHERE p.tenant_id = attempt.tenant_id AND p.budget_id = s.id AND p.period_start = s.starts;
            END IF;
        END IF;
        RETURN NEXT;
    END LOOP;
END
$$;
"""

# An attempt leaves 'held' once; whoever comes second moves nothing. A charge that arrives after a release
# is still spent, for it was: the caller counts each record once.
SETTLE = f"""
CREATE FUNCTION settle_attempts(tenant_ids uuid[], attempt_ids uuid[], charges bigint[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER {BY_INDEX} AS $$
DECLARE
    moved bigint;
BEGIN
    PERFORM 1 FROM reservation r
        WHERE (r.tenant_id, r.attempt_id) IN (SELECT * FROM unnest(tenant_ids, attempt_ids))
        ORDER BY r.tenant_id, r.attempt_id FOR UPDATE;
    PERFORM 1 FROM budget_period p
        WHERE (p.tenant_id, p.budget_id, p.period_start) IN (
            SELECT r.tenant_id, s.id, s.starts
            FROM reservation r CROSS JOIN LATERAL unnest(r.budget_ids, r.period_starts) AS s(id, starts)
            WHERE (r.tenant_id, r.attempt_id) IN (SELECT * FROM unnest(tenant_ids, attempt_ids)))
        ORDER BY p.tenant_id, p.budget_id, p.period_start FOR UPDATE;
    WITH due AS (
        SELECT r.tenant_id, r.attempt_id, r.budget_ids, r.period_starts, c.charge,
               CASE WHEN r.state = 'released' THEN 0 ELSE r.amount_nano_usd END AS freed
            FROM unnest(tenant_ids, attempt_ids, charges) AS c(tenant_id, attempt_id, charge)
            JOIN reservation r ON r.tenant_id = c.tenant_id AND r.attempt_id = c.attempt_id
            WHERE r.state IN ('held', 'orphaned') OR (r.state = 'released' AND c.charge > 0)
    ), settled AS (
        UPDATE reservation r SET state = CASE WHEN d.charge = 0 THEN 'released' ELSE 'settled' END
            FROM due d WHERE r.tenant_id = d.tenant_id AND r.attempt_id = d.attempt_id
            RETURNING d.tenant_id, d.budget_ids, d.period_starts, d.freed, d.charge
    ), moves AS (
        SELECT t.tenant_id, s.id, s.starts, sum(t.freed)::bigint AS freed, sum(t.charge)::bigint AS charged
            FROM settled t CROSS JOIN LATERAL unnest(t.budget_ids, t.period_starts) AS s(id, starts)
            GROUP BY 1, 2, 3
    ), applied AS (
        UPDATE budget_period p SET reserved_nano_usd = p.reserved_nano_usd - m.freed,
                                   spent_nano_usd = p.spent_nano_usd + m.charged
            FROM moves m WHERE p.tenant_id = m.tenant_id AND p.budget_id = m.id AND p.period_start = m.starts
            RETURNING 1
    )
    SELECT count(*) INTO moved FROM settled;
    RETURN moved;
END
$$;
"""

# What is settled stands in the record; the closed reservation is kept a day, so that late answers find it.
PURGE = """
CREATE FUNCTION purge_reservations(rows_max integer) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    purged bigint;
BEGIN
    DELETE FROM reservation WHERE (tenant_id, attempt_id) IN (
        SELECT r.tenant_id, r.attempt_id FROM reservation r
        WHERE r.created_at < now() - interval '1 day' AND r.state IN ('settled', 'released')
        LIMIT rows_max FOR UPDATE SKIP LOCKED);
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN purged;
END
$$;
"""

FUNCTIONS = (
    "admit_requests(uuid[], uuid[], uuid[], integer[], integer[])",
    "reserve_attempts(uuid, uuid[], uuid[], uuid[], uuid[], uuid[], bigint[])",
    "settle_attempts(uuid[], uuid[], bigint[])",
    "purge_reservations(integer)",
)


def upgrade() -> None:
    for statement in (TABLES, PERIODS, ADMIT, RESERVE, SETTLE, PURGE):
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
