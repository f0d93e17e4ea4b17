"""Reservations in budgets for end users and models: `reserve_attempts` and `settle_attempts` as they are now.

A budget's period is held for each end user of a template; hard budgets hold bounds, soft ones ask whether anything is
left, alerts only count. All that cover an attempt hold it, or none does.
"""

from migrations.statements import script

revision = "0018"
down_revision = "0017"

BY_INDEX = """SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off SET enable_mergejoin = off"""

# Which period of a template an end user spends in: its own, while there are not too many, else the one of all others.
# Who is new is counted, in the order of the keys, before anything else is locked.
PLACE = """
CREATE FUNCTION place_end_users(asked reservation[]) RETURNS reservation[]
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off SET enable_bitmapscan = off AS $$
DECLARE
    others CONSTANT text := '(others)';
    fresh record;
    attempt reservation;
    users text[];
BEGIN
    FOR fresh IN
        SELECT DISTINCT a.tenant_id, s.budget_id, s.period_start, s.end_user
        FROM unnest(asked) AS a CROSS JOIN LATERAL unnest(a.budget_ids, a.period_starts, a.budget_end_users)
            AS s(budget_id, period_start, end_user)
        WHERE s.end_user <> '' AND NOT EXISTS (
            SELECT FROM budget_period p WHERE p.tenant_id = a.tenant_id AND p.budget_id = s.budget_id
                AND p.period_start = s.period_start AND p.end_user = s.end_user)
        ORDER BY 1, 2, 3, 4
    LOOP
        INSERT INTO budget_period (tenant_id, budget_id, period_start)
            VALUES (fresh.tenant_id, fresh.budget_id, fresh.period_start) ON CONFLICT DO NOTHING;
        -- Waits for whoever counts at the same moment, and may be counting the same one.
        PERFORM FROM budget_period p WHERE p.tenant_id = fresh.tenant_id AND p.budget_id = fresh.budget_id
            AND p.period_start = fresh.period_start AND p.end_user = '' FOR UPDATE;
        CONTINUE WHEN EXISTS (
            SELECT FROM budget_period p WHERE p.tenant_id = fresh.tenant_id AND p.budget_id = fresh.budget_id
                AND p.period_start = fresh.period_start AND p.end_user = fresh.end_user);
        UPDATE budget_period p SET end_user_count = p.end_user_count + 1
            WHERE p.tenant_id = fresh.tenant_id AND p.budget_id = fresh.budget_id
                AND p.period_start = fresh.period_start AND p.end_user = ''
                AND p.end_user_count < (SELECT b.end_users_max FROM budget b
                                        WHERE b.tenant_id = fresh.tenant_id AND b.budget_id = fresh.budget_id);
        IF FOUND THEN
            INSERT INTO budget_period (tenant_id, budget_id, period_start, end_user)
                VALUES (fresh.tenant_id, fresh.budget_id, fresh.period_start, fresh.end_user);
        ELSE
            FOR place IN 1..cardinality(asked) LOOP
                attempt := asked[place];
                CONTINUE WHEN attempt.tenant_id <> fresh.tenant_id;
                users := attempt.budget_end_users;
                FOR number IN 1..cardinality(users) LOOP
                    IF attempt.budget_ids[number] = fresh.budget_id AND users[number] = fresh.end_user THEN
                        users[number] := others;
                    END IF;
                END LOOP;
                attempt.budget_end_users := users;
                asked[place] := attempt;
            END LOOP;
        END IF;
    END LOOP;
    RETURN asked;
END
$$;
"""

# All budgets that cover an attempt hold its amount, or none does; only what is refused is answered. A repeated
# attempt gets its first answer. Mostly a batch fits as a whole: then each budget moves once, by the sum. If not,
# that is undone, and each attempt is tried for itself, in order.
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
    has_end_user boolean;
BEGIN
    -- A budget that is made after this covers the next call.
    SELECT array_agg(
            ROW (a.tenant_id, a.attempt_id, a.request_id, holder, a.project_id, a.api_key_id, a.provider_name, a.model,
                 a.credential_owner, a.is_simulated, a.amount_nano_usd, b.ids, b.starts, 'held', now_at, a.end_user,
                 b.end_users)::reservation
            ORDER BY a.ordinality), bool_or(b.has_end_user)
        INTO asked, has_end_user
        FROM ROWS FROM (json_populate_recordset(NULL::reservation, attempts)) WITH ORDINALITY AS a
        CROSS JOIN LATERAL (
            SELECT coalesce(array_agg(b.budget_id), '{{}}') AS ids,
                   coalesce(array_agg(budget_period_start(b.period, b.time_zone, now_at)), '{{}}') AS starts,
                   coalesce(array_agg(CASE WHEN b.is_per_end_user THEN a.end_user ELSE '' END), '{{}}') AS end_users,
                   bool_or(b.is_per_end_user) AS has_end_user
            FROM budget b WHERE b.tenant_id = a.tenant_id AND b.removed_at IS NULL
                AND (b.project_id IS NULL OR b.project_id = a.project_id)
                AND (b.api_key_id IS NULL OR b.api_key_id = a.api_key_id)
                AND b.period <> CASE WHEN a.is_simulated THEN 'credit' ELSE 'credit_xts' END
                AND (NOT b.is_per_end_user OR a.end_user IS NOT NULL)
                AND (b.model_like IS NULL OR a.provider_name || '/' || a.model LIKE b.model_like)
        ) b;
    IF NOT EXISTS (SELECT FROM unnest(asked) AS a WHERE a.budget_ids <> '{{}}') THEN
        INSERT INTO reservation SELECT a.* FROM unnest(asked) AS a ORDER BY a.tenant_id, a.attempt_id
            ON CONFLICT DO NOTHING;
        RETURN;
    END IF;
    IF has_end_user THEN
        asked := place_end_users(asked);
    END IF;
    BEGIN
        FOR scope IN
            SELECT a.tenant_id, s.budget_id, s.period_start, s.end_user, sum(a.amount_nano_usd)::bigint AS amount
            FROM unnest(asked) AS a
            CROSS JOIN LATERAL unnest(a.budget_ids, a.period_starts, a.budget_end_users)
                AS s(budget_id, period_start, end_user)
            WHERE a.amount_nano_usd > 0 GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
        LOOP
            LOOP
                UPDATE budget_period p SET reserved_nano_usd = p.reserved_nano_usd + scope.amount
                    WHERE p.tenant_id = scope.tenant_id AND p.budget_id = scope.budget_id
                        AND p.period_start = scope.period_start AND p.end_user = scope.end_user
                        AND (SELECT CASE b.mode
                                WHEN 'hard' THEN p.spent_nano_usd + p.reserved_nano_usd + scope.amount <= b.limit_nano_usd
                                WHEN 'soft' THEN p.spent_nano_usd < b.limit_nano_usd
                                ELSE true END
                             FROM budget b WHERE b.tenant_id = scope.tenant_id AND b.budget_id = scope.budget_id);
                EXIT WHEN FOUND;
                INSERT INTO budget_period (tenant_id, budget_id, period_start, end_user, event_at_nano_usd)
                    SELECT b.tenant_id, b.budget_id, scope.period_start, scope.end_user, (b.limit_nano_usd + 1) / 2
                    FROM budget b WHERE b.tenant_id = scope.tenant_id AND b.budget_id = scope.budget_id
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
        SELECT DISTINCT a.tenant_id, s.budget_id, s.period_start, s.end_user
        FROM unnest(asked) AS a CROSS JOIN LATERAL unnest(a.budget_ids, a.period_starts, a.budget_end_users)
            AS s(budget_id, period_start, end_user)
        ORDER BY 1, 2, 3, 4
    LOOP
        INSERT INTO budget_period (tenant_id, budget_id, period_start, end_user, event_at_nano_usd)
            SELECT b.tenant_id, b.budget_id, scope.period_start, scope.end_user, (b.limit_nano_usd + 1) / 2
            FROM budget b WHERE b.tenant_id = scope.tenant_id AND b.budget_id = scope.budget_id
            ON CONFLICT DO NOTHING;
        PERFORM 1 FROM budget_period p WHERE p.tenant_id = scope.tenant_id AND p.budget_id = scope.budget_id
            AND p.period_start = scope.period_start AND p.end_user = scope.end_user FOR UPDATE;
    END LOOP;
    FOR place IN 1..cardinality(asked) LOOP
        attempt := asked[place];
        -- What fills the budget may be this very attempt, reserved before and asked for again.
        CONTINUE WHEN EXISTS (SELECT FROM reservation r
                              WHERE r.tenant_id = attempt.tenant_id AND r.attempt_id = attempt.attempt_id);
        SELECT CASE WHEN b.mode = 'soft' OR p.spent_nano_usd + attempt.amount_nano_usd > b.limit_nano_usd
                    THEN 'exceeded' ELSE 'contended' END,
               b.budget_id, b.limit_nano_usd, p.spent_nano_usd, p.reserved_nano_usd,
               budget_period_end(b.period, b.time_zone, s.period_start)
            INTO outcome, budget_id, limit_nano_usd, spent_nano_usd, reserved_nano_usd, resets_at
            FROM unnest(attempt.budget_ids, attempt.period_starts, attempt.budget_end_users)
                AS s(budget_id, period_start, end_user)
            CROSS JOIN LATERAL (
                SELECT * FROM budget b WHERE b.tenant_id = attempt.tenant_id AND b.budget_id = s.budget_id OFFSET 0
            ) b
            CROSS JOIN LATERAL (
                SELECT * FROM budget_period p WHERE p.tenant_id = attempt.tenant_id AND p.budget_id = s.budget_id
                    AND p.period_start = s.period_start AND p.end_user = s.end_user OFFSET 0
            ) p
            WHERE attempt.amount_nano_usd > 0 AND CASE b.mode
                WHEN 'hard' THEN p.spent_nano_usd + p.reserved_nano_usd + attempt.amount_nano_usd > b.limit_nano_usd
                WHEN 'soft' THEN p.spent_nano_usd >= b.limit_nano_usd
                ELSE false END
            ORDER BY (p.spent_nano_usd + attempt.amount_nano_usd > b.limit_nano_usd) DESC, b.limit_nano_usd LIMIT 1;
        IF FOUND THEN
            ordinal := place;
            IF outcome = 'exceeded' AND spent_nano_usd::numeric * 100 >= limit_nano_usd::numeric * 95 THEN
                PERFORM raise_budget_events(attempt.tenant_id, budget_id,
                    attempt.period_starts[array_position(attempt.budget_ids, budget_id)],
                    attempt.budget_end_users[array_position(attempt.budget_ids, budget_id)], true);
            END IF;
            RETURN NEXT;
            CONTINUE;
        END IF;
        INSERT INTO reservation SELECT attempt.* ON CONFLICT DO NOTHING;
        IF FOUND AND attempt.amount_nano_usd > 0 THEN
            FOR number IN 1..cardinality(attempt.budget_ids) LOOP
                UPDATE budget_period p SET reserved_nano_usd = p.reserved_nano_usd + attempt.amount_nano_usd
                    WHERE p.tenant_id = attempt.tenant_id AND p.budget_id = attempt.budget_ids[number]
                        AND p.period_start = attempt.period_starts[number]
                        AND p.end_user = attempt.budget_end_users[number];
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
CREATE OR REPLACE FUNCTION settle_attempts(
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
    users text[] := '{{}}';
    is_due boolean;
    freed bigint[] := '{{}}';
    charged bigint[] := '{{}}';
BEGIN
    FOR attempt IN
        SELECT * FROM unnest(tenant_ids, attempt_ids, charges) AS c(tenant_id, attempt_id, charge) ORDER BY 1, 2
    LOOP
        IF attempt.charge IS NULL THEN
            UPDATE reservation r SET state = 'released'
                WHERE r.tenant_id = attempt.tenant_id AND r.attempt_id = attempt.attempt_id AND r.state = 'held'
                RETURNING r.budget_ids, r.period_starts, r.budget_end_users, r.amount_nano_usd AS freed,
                          0::bigint AS charged INTO ended;
        ELSIF is_lost THEN
            UPDATE reservation r SET state = 'orphaned'
                WHERE r.tenant_id = attempt.tenant_id AND r.attempt_id = attempt.attempt_id AND r.state = 'held'
                RETURNING r.budget_ids, r.period_starts, r.budget_end_users, r.amount_nano_usd AS freed,
                          attempt.charge AS charged INTO ended;
        ELSE
            DELETE FROM reservation r WHERE r.tenant_id = attempt.tenant_id AND r.attempt_id = attempt.attempt_id
                RETURNING r.budget_ids, r.period_starts, r.budget_end_users,
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
        users := users || ended.budget_end_users;
        freed := freed || array_fill(ended.freed, ARRAY[cardinality(ended.budget_ids)]);
        charged := charged || array_fill(ended.charged, ARRAY[cardinality(ended.budget_ids)]);
    END LOOP;
    FOR move IN
        SELECT m.tenant_id, m.budget_id, m.period_start, m.end_user,
               sum(m.freed)::bigint AS freed, sum(m.charged)::bigint AS charged
        FROM unnest(owners, ids, starts, users, freed, charged)
            AS m(tenant_id, budget_id, period_start, end_user, freed, charged)
        GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    LOOP
        UPDATE budget_period p SET reserved_nano_usd = p.reserved_nano_usd - move.freed,
                                   spent_nano_usd = p.spent_nano_usd + move.charged
            WHERE p.tenant_id = move.tenant_id AND p.budget_id = move.budget_id AND p.period_start = move.period_start
                AND p.end_user = move.end_user
            RETURNING p.spent_nano_usd >= p.event_at_nano_usd INTO is_due;
        IF is_due THEN
            PERFORM raise_budget_events(move.tenant_id, move.budget_id, move.period_start, move.end_user, false);
        END IF;
    END LOOP;
    RETURN ended_count;
END
$$;
"""


def upgrade() -> None:
    for statement in (PLACE, RESERVE, SETTLE):
        script(statement)
    script("REVOKE ALL ON FUNCTION place_end_users FROM PUBLIC")
