"""Credit: what a tenant was given before it is used, prepaid or promotional.

A tenant's credit is a budget of the period 'credit', so that it is held by the same reservations and can no more
be overspent than any other: its limit is all that was ever granted, and what expires is spent. Simulated calls use
a credit of their own, in the currency XTS.
"""

from alembic import op

from migrations.statements import isolate_by_tenant, open_to, script

revision = "0015"
down_revision = "0014"

PERIODS = """
ALTER TABLE budget DROP CONSTRAINT budget_period_check;
ALTER TABLE budget ADD CONSTRAINT budget_period_check
    CHECK (period IN ('day', 'week', 'month', 'total', 'credit', 'credit_xts'));
ALTER TABLE budget ADD CHECK (period NOT IN ('credit', 'credit_xts') OR project_id IS NULL AND api_key_id IS NULL);
CREATE OR REPLACE FUNCTION budget_period_start(period text, time_zone text, at timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN period IN ('total', 'credit', 'credit_xts') THEN 'epoch'::timestamptz
                ELSE date_trunc(period, at AT TIME ZONE time_zone) AT TIME ZONE time_zone END
$$;
CREATE OR REPLACE FUNCTION budget_period_end(period text, time_zone text, period_start timestamptz) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN period IN ('total', 'credit', 'credit_xts') THEN NULL
        ELSE (period_start AT TIME ZONE time_zone + ('1 ' || period)::interval) AT TIME ZONE time_zone END
$$;
"""

# What is drawn and expired of a grant follows the budget's spent amount; the ledger's entries say the same.
GRANTS = """
CREATE TABLE credit_grant (
    tenant_id uuid NOT NULL REFERENCES tenant,
    grant_id uuid NOT NULL,
    kind text NOT NULL CHECK (kind IN ('prepaid', 'promotional')),
    currency text NOT NULL CHECK (currency IN ('USD', 'XTS')),
    amount_nano_usd bigint NOT NULL CHECK (amount_nano_usd > 0),
    expires_at timestamptz,
    note text NOT NULL,
    granted_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    drawn_nano_usd bigint NOT NULL DEFAULT 0 CHECK (drawn_nano_usd >= 0),
    expired_nano_usd bigint NOT NULL DEFAULT 0 CHECK (expired_nano_usd >= 0),
    PRIMARY KEY (tenant_id, grant_id),
    CHECK (drawn_nano_usd + expired_nano_usd <= amount_nano_usd)
);
ALTER TABLE ledger_entry DROP CONSTRAINT ledger_entry_account_check;
ALTER TABLE ledger_entry ADD CONSTRAINT ledger_entry_account_check CHECK (account IN (
    'accrued_usage', 'revenue', 'provider_cost', 'provider_payable', 'absorbed',
    'receivable', 'prepaid_credit', 'promotional_credit', 'promotion', 'breakage'));
"""

# The counters of a budget move in functions alone. A limit only ever grows here, so that no reservation that waits
# for the row can pass by an older and larger one: what expires is spent.
MOVES = """
CREATE FUNCTION raise_credit(tenant uuid, credit_period text, budget uuid, amount bigint) RETURNS uuid
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    INSERT INTO budget (tenant_id, budget_id, period, limit_nano_usd) VALUES (tenant, budget, credit_period, amount)
        ON CONFLICT (tenant_id, project_id, api_key_id, period) WHERE removed_at IS NULL
        DO UPDATE SET limit_nano_usd = budget.limit_nano_usd + excluded.limit_nano_usd
        RETURNING budget_id
$$;
CREATE FUNCTION lock_credit(tenant uuid, credit_period text)
RETURNS TABLE (budget_id uuid, limit_nano_usd bigint, spent_nano_usd bigint, reserved_nano_usd bigint)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO budget_period SELECT b.tenant_id, b.budget_id, 'epoch' FROM budget b
        WHERE b.tenant_id = tenant AND b.period = credit_period AND b.removed_at IS NULL ON CONFLICT DO NOTHING;
    RETURN QUERY SELECT b.budget_id, b.limit_nano_usd, p.spent_nano_usd, p.reserved_nano_usd
        FROM budget b JOIN budget_period p ON p.tenant_id = b.tenant_id AND p.budget_id = b.budget_id
        WHERE b.tenant_id = tenant AND b.period = credit_period AND b.removed_at IS NULL FOR UPDATE OF p;
END
$$;
CREATE FUNCTION spend_expired_credit(tenant uuid, budget uuid, amount bigint) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    UPDATE budget_period SET spent_nano_usd = spent_nano_usd + amount
        WHERE tenant_id = tenant AND budget_id = budget AND period_start = 'epoch'
$$;
CREATE FUNCTION credits_due(at timestamptz, rows_max integer) RETURNS TABLE (tenant_id uuid, currency text)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT g.tenant_id, g.currency FROM credit_grant g
        JOIN budget b ON b.tenant_id = g.tenant_id AND b.removed_at IS NULL
            AND b.period = CASE g.currency WHEN 'USD' THEN 'credit' ELSE 'credit_xts' END
        LEFT JOIN budget_period p ON p.tenant_id = b.tenant_id AND p.budget_id = b.budget_id
        GROUP BY g.tenant_id, g.currency
        HAVING max(coalesce(p.spent_nano_usd, 0)) <> sum(g.drawn_nano_usd + g.expired_nano_usd)
            AND (max(coalesce(p.spent_nano_usd, 0)) < sum(g.drawn_nano_usd + g.expired_nano_usd)
                 OR sum(g.amount_nano_usd) > sum(g.drawn_nano_usd + g.expired_nano_usd))
            OR bool_or(g.expires_at <= at
                       AND g.amount_nano_usd > g.drawn_nano_usd + g.expired_nano_usd)
        ORDER BY 1, 2 LIMIT rows_max
$$;
"""

BY_INDEX = """SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off"""

# As it was, but for the line that keeps simulated calls from real credit, and real calls from simulated.
RESERVE = f"""
CREATE OR REPLACE FUNCTION reserve_attempts(holder uuid, attempts json) RETURNS TABLE (
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
                AND b.period <> CASE WHEN a.is_simulated THEN 'credit' ELSE 'credit_xts' END
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


FUNCTIONS = {
    "raise_credit": "signalbox_operator",
    "lock_credit": "signalbox_meter",
    "spend_expired_credit": "signalbox_meter",
    "credits_due": "signalbox_meter",
}


def upgrade() -> None:
    for statement in (PERIODS, GRANTS, MOVES, RESERVE):
        script(statement)
    isolate_by_tenant("credit_grant")
    open_to("signalbox_meter", "credit_grant")
    open_to("signalbox_operator", "credit_grant")
    op.execute("CREATE POLICY admission ON credit_grant TO signalbox_owner USING (true) WITH CHECK (true)")
    for table in ("ledger_posting", "ledger_entry"):
        op.execute(f"CREATE POLICY credit ON {table} FOR INSERT TO signalbox_operator WITH CHECK (true)")
    op.execute("GRANT INSERT ON ledger_posting, ledger_entry, credit_grant TO signalbox_operator")
    op.execute("GRANT SELECT ON credit_grant TO signalbox_app, signalbox_meter, signalbox_operator")
    op.execute("GRANT UPDATE (drawn_nano_usd, expired_nano_usd) ON credit_grant TO signalbox_meter")
    for function, role in FUNCTIONS.items():
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {role}")
