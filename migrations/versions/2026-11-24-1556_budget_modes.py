"""Budgets for each end user and for models, what they do when they are used, and events as they fill.

A budget for each end user is a template: one row, and a period of its own for each end user that comes, at most so
many; whoever comes after those shares one. Days, weeks and months begin at the first moment of their first day.
"""

from alembic import op

from migrations.statements import isolate_by_tenant, open_to, script

revision = "0017"
down_revision = "0016"

TABLES = """
ALTER TABLE budget
    ADD is_per_end_user boolean NOT NULL DEFAULT false,
    ADD end_users_max integer NOT NULL DEFAULT 10000 CHECK (end_users_max > 0),
    ADD model text,
    ADD model_like text GENERATED ALWAYS AS (
        replace(replace(replace(replace(model, '\\', '\\\\'), '_', '\\_'), '%', '\\%'), '*', '%')) STORED,
    ADD mode text NOT NULL DEFAULT 'hard' CHECK (mode IN ('hard', 'soft', 'alert')),
    ADD cheaper_from_percent smallint CHECK (cheaper_from_percent BETWEEN 1 AND 100);
DROP INDEX budget_active;
CREATE UNIQUE INDEX budget_active ON budget (tenant_id, project_id, api_key_id, is_per_end_user, model, period)
    NULLS NOT DISTINCT WHERE removed_at IS NULL;

-- Of a template the row without an end user counts those that came; nothing is spent in it. At `event_at_nano_usd`
-- spent it is looked whether a threshold was passed: first at half of the limit.
ALTER TABLE budget_period
    ADD end_user text NOT NULL DEFAULT '',
    ADD end_user_count integer NOT NULL DEFAULT 0,
    ADD event_at_nano_usd bigint NOT NULL DEFAULT 0,
    DROP CONSTRAINT budget_period_pkey,
    ADD PRIMARY KEY (tenant_id, budget_id, period_start, end_user);
ALTER TABLE reservation ADD end_user text, ADD budget_end_users text[] NOT NULL DEFAULT '{}';
-- Calls that run during the upgrade are held in budgets of the old kind.
UPDATE reservation SET budget_end_users = array_fill(''::text, ARRAY[cardinality(budget_ids)])
    WHERE budget_ids <> '{}';

-- Once for each threshold and period: what a budget's owner is told. No foreign key: money moves while it is
-- written, and a lock on the budget would wait for whoever changes it.
CREATE TABLE budget_event (
    tenant_id uuid NOT NULL,
    budget_id uuid NOT NULL,
    period_start timestamptz NOT NULL,
    end_user text NOT NULL DEFAULT '',
    threshold_percent smallint NOT NULL,
    limit_nano_usd bigint NOT NULL,
    spent_nano_usd bigint NOT NULL,
    raised_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, budget_id, period_start, end_user, threshold_percent)
);
CREATE INDEX budget_event_newest ON budget_event (tenant_id, raised_at);
"""

# Where clocks go back over midnight, a day's first moment comes twice, and the first one counts.
PERIODS = """
CREATE FUNCTION first_moment(local_time timestamp, time_zone text) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN (local_time AT TIME ZONE time_zone - interval '1 hour') AT TIME ZONE time_zone = local_time
                THEN local_time AT TIME ZONE time_zone - interval '1 hour'
                ELSE local_time AT TIME ZONE time_zone END
$$;
CREATE OR REPLACE FUNCTION budget_period_start(period text, time_zone text, at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN period IN ('total', 'credit', 'credit_xts') THEN 'epoch'::timestamptz
                WHEN time_zone = 'UTC' THEN date_trunc(period, at, 'UTC')
                ELSE first_moment(date_trunc(period, at AT TIME ZONE time_zone), time_zone) END
$$;
CREATE OR REPLACE FUNCTION budget_period_end(period text, time_zone text, period_start timestamptz)
RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN period IN ('total', 'credit', 'credit_xts') THEN NULL
        ELSE first_moment(date_trunc(period, period_start AT TIME ZONE time_zone) + ('1 ' || period)::interval,
                          time_zone) END
$$;
"""

EVENTS = """
CREATE FUNCTION raise_budget_events(
    tenant uuid, budget uuid, started_at timestamptz, who text, is_refusing boolean
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    thresholds CONSTANT integer[] := ARRAY[50, 80, 95, 100];
    now_spent bigint;
    now_limit bigint;
BEGIN
    SELECT p.spent_nano_usd, b.limit_nano_usd INTO now_spent, now_limit
        FROM budget b JOIN budget_period p USING (tenant_id, budget_id)
        WHERE b.tenant_id = tenant AND b.budget_id = budget AND p.period_start = started_at AND p.end_user = who;
    INSERT INTO budget_event (tenant_id, budget_id, period_start, end_user, threshold_percent, limit_nano_usd,
                              spent_nano_usd)
        SELECT tenant, budget, started_at, who, t, now_limit, now_spent FROM unnest(thresholds) AS t
        WHERE now_spent > 0 AND (now_spent::numeric * 100 >= now_limit::numeric * t OR is_refusing)
        ON CONFLICT DO NOTHING;
    UPDATE budget_period p SET event_at_nano_usd = coalesce((
            SELECT min(ceil(now_limit::numeric * t / 100))::bigint FROM unnest(thresholds) AS t
            WHERE now_spent::numeric * 100 < now_limit::numeric * t), 9223372036854775807)
        WHERE p.tenant_id = tenant AND p.budget_id = budget AND p.period_start = started_at AND p.end_user = who;
END
$$;
-- Another limit has other thresholds: they are looked at when money moves next, of a lowered one now.
CREATE FUNCTION look_at_thresholds() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    started_at timestamptz := budget_period_start(NEW.period, NEW.time_zone, clock_timestamp());
    who text;
BEGIN
    UPDATE budget_period p SET event_at_nano_usd = 0 WHERE p.tenant_id = NEW.tenant_id
        AND p.budget_id = NEW.budget_id AND p.period_start = started_at;
    IF NEW.limit_nano_usd < OLD.limit_nano_usd THEN
        FOR who IN
            SELECT p.end_user FROM budget_period p WHERE p.tenant_id = NEW.tenant_id
                AND p.budget_id = NEW.budget_id AND p.period_start = started_at
                AND p.spent_nano_usd::numeric * 2 >= NEW.limit_nano_usd ORDER BY p.end_user
        LOOP
            PERFORM raise_budget_events(NEW.tenant_id, NEW.budget_id, started_at, who, false);
        END LOOP;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER look_at_thresholds AFTER UPDATE OF limit_nano_usd ON budget
    FOR EACH ROW WHEN (NEW.limit_nano_usd <> OLD.limit_nano_usd) EXECUTE FUNCTION look_at_thresholds();
"""

BY_INDEX = """SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off"""

# As it was, over the index as it is now.
CREDIT = """
CREATE OR REPLACE FUNCTION raise_credit(tenant uuid, credit_period text, budget uuid, amount bigint) RETURNS uuid
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO budget (tenant_id, budget_id, period, limit_nano_usd) VALUES (tenant, budget, credit_period, amount)
        ON CONFLICT (tenant_id, project_id, api_key_id, is_per_end_user, model, period) WHERE removed_at IS NULL
        DO UPDATE SET limit_nano_usd = budget.limit_nano_usd + excluded.limit_nano_usd
        RETURNING budget_id
$$;
"""

# As before, and whether a budget is so far used that cheaper models are preferred. What covers single models or end
# users is not told here: neither is known yet. Credit for simulated calls bars no real one.
ADMIT = f"""
DROP FUNCTION admit_requests;
CREATE FUNCTION admit_requests(
    tenant_ids uuid[], project_ids uuid[], api_key_ids uuid[], requests_per_minute integer[], bursts integer[],
    wanted integer[]
) RETURNS TABLE (
    ordinal bigint, granted integer, remaining integer, retry_after_ms integer, reset_ms integer,
    headroom_nano_usd bigint, unspent_nano_usd bigint, prefers_cheaper boolean
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
        headroom_nano_usd := NULL; unspent_nano_usd := NULL; prefers_cheaper := NULL;
        SELECT CASE WHEN h.is_binding THEN h.limit_nano_usd - h.spent - h.reserved END,
               CASE WHEN h.is_binding THEN h.limit_nano_usd - h.spent END,
               bool_or((h.spent + h.reserved)::numeric * 100 >= h.limit_nano_usd::numeric * h.cheaper_from_percent)
                   OVER ()
            INTO headroom_nano_usd, unspent_nano_usd, prefers_cheaper
            FROM (
                SELECT b.limit_nano_usd, b.cheaper_from_percent, coalesce(p.spent_nano_usd, 0) AS spent,
                       coalesce(p.reserved_nano_usd, 0) AS reserved,
                       b.mode = 'hard' OR b.mode = 'soft' AND p.spent_nano_usd >= b.limit_nano_usd AS is_binding
                FROM budget b LEFT JOIN LATERAL (
                    SELECT p.spent_nano_usd, p.reserved_nano_usd FROM budget_period p
                    WHERE p.tenant_id = b.tenant_id AND p.budget_id = b.budget_id
                        AND p.period_start = budget_period_start(b.period, b.time_zone, now_at) AND p.end_user = ''
                    OFFSET 0
                ) p ON true
                WHERE b.tenant_id = request.tenant_id AND b.removed_at IS NULL
                    AND (b.project_id IS NULL OR b.project_id = request.project_id)
                    AND (b.api_key_id IS NULL OR b.api_key_id = request.api_key_id)
                    AND b.model IS NULL AND NOT b.is_per_end_user AND b.period <> 'credit_xts'
            ) h
            ORDER BY h.is_binding DESC, (h.limit_nano_usd - h.spent <= 0) DESC,
                     h.limit_nano_usd - h.spent - h.reserved LIMIT 1;
        RETURN NEXT;
    END LOOP;
END
$$;
"""


def upgrade() -> None:
    for statement in (TABLES, PERIODS, EVENTS, CREDIT, ADMIT):
        script(statement)
    isolate_by_tenant("budget_event")
    op.execute("CREATE POLICY admission ON budget_event TO signalbox_owner USING (true) WITH CHECK (true)")
    open_to("signalbox_operator", "budget_event", command="SELECT")
    op.execute("GRANT SELECT ON budget_event TO signalbox_app, signalbox_operator")
    op.execute("GRANT UPDATE (mode, cheaper_from_percent, end_users_max) ON budget TO signalbox_app")
    for function in ("raise_budget_events", "look_at_thresholds", "admit_requests"):
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
    op.execute("GRANT EXECUTE ON FUNCTION admit_requests TO signalbox_meter")
