"""What callers have asked for under an `idempotency-key`, for a day.

A row says which request came first under a key. Whether that request has ended, and whether it cost anything,
is what its record says: so ending a request writes nothing here. What leaves no record, a change by the
management API, keeps its answer in the row.
"""

from alembic import op

from migrations.statements import isolate_by_tenant, open_to, script

revision = "0007"
down_revision = "0006"

# The key and the body are kept as SHA-256: what a caller writes into a header is its own business. No foreign key:
# each would lock the same row of its tenant.
TABLE = """
CREATE TABLE idempotency_key (
    tenant_id uuid NOT NULL,
    api_key_id uuid NOT NULL,
    route text NOT NULL,
    key_hash bytea NOT NULL,
    body_hash bytea NOT NULL,
    request_id uuid NOT NULL,
    answer_status integer,
    answer bytea,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (tenant_id, api_key_id, route, key_hash)
);
CREATE INDEX idempotency_key_by_age ON idempotency_key (created_at);
"""

# Keys are taken in order, so that batches cannot deadlock. A key is free again when a day is over, when what came
# first under it ended without cost and without an answer, or when that can run no longer and holds nothing.
CLAIM = """
CREATE FUNCTION holds_reservation(tenant uuid, request uuid) RETURNS boolean
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
    SELECT EXISTS (SELECT FROM reservation r
                   WHERE r.tenant_id = tenant AND r.request_id = request AND r.state = 'held')
$$;
CREATE FUNCTION claim_idempotency_keys(
    tenant_ids uuid[], api_key_ids uuid[], routes text[], key_hashes bytea[], body_hashes bytea[], request_ids uuid[],
    running_s integer
) RETURNS TABLE (ordinal bigint, state text, request_id uuid, answer_status integer, answer bytea)
LANGUAGE plpgsql SET search_path = public, pg_temp SET plan_cache_mode = force_generic_plan
    SET enable_seqscan = off SET enable_bitmapscan = off AS $$
#variable_conflict use_column
DECLARE
    asked record;
    kept idempotency_key;
    ended record;
    has_ended boolean;
BEGIN
    FOR asked IN
        SELECT * FROM unnest(tenant_ids, api_key_ids, routes, key_hashes, body_hashes, request_ids) WITH ORDINALITY
            AS a(tenant_id, api_key_id, route, key_hash, body_hash, request_id, ordinal)
        ORDER BY a.tenant_id, a.api_key_id, a.route, a.key_hash, a.ordinal
    LOOP
        LOOP
            INSERT INTO idempotency_key (tenant_id, api_key_id, route, key_hash, body_hash, request_id)
                VALUES (asked.tenant_id, asked.api_key_id, asked.route, asked.key_hash, asked.body_hash,
                        asked.request_id)
                ON CONFLICT DO NOTHING;
            SELECT * INTO kept FROM idempotency_key k
                WHERE k.tenant_id = asked.tenant_id AND k.api_key_id = asked.api_key_id AND k.route = asked.route
                    AND k.key_hash = asked.key_hash FOR UPDATE;
            EXIT WHEN FOUND;  -- else it was purged in between
        END LOOP;
        SELECT r.outcome, r.billed_nano_usd INTO ended FROM request_record r
            WHERE r.tenant_id = kept.tenant_id AND r.request_id = kept.request_id;
        has_ended := FOUND OR kept.answer_status IS NOT NULL;
        IF kept.request_id <> asked.request_id AND (
            kept.created_at < clock_timestamp() - interval '1 day'
            OR ended.billed_nano_usd = 0 AND ended.outcome NOT IN ('ok', 'interrupted')
            OR NOT has_ended AND kept.created_at < clock_timestamp() - make_interval(secs => running_s)
                AND NOT holds_reservation(kept.tenant_id, kept.request_id)
        ) THEN
            UPDATE idempotency_key k SET body_hash = asked.body_hash, request_id = asked.request_id,
                                         answer_status = NULL, answer = NULL, created_at = clock_timestamp()
                WHERE k.tenant_id = asked.tenant_id AND k.api_key_id = asked.api_key_id AND k.route = asked.route
                    AND k.key_hash = asked.key_hash
                RETURNING * INTO kept;
        END IF;
        ordinal := asked.ordinal;
        request_id := kept.request_id; answer_status := kept.answer_status; answer := kept.answer;
        state := CASE WHEN kept.request_id = asked.request_id THEN 'first'
                      WHEN kept.body_hash <> asked.body_hash THEN 'conflict'
                      WHEN has_ended THEN 'completed'
                      ELSE 'running' END;
        RETURN NEXT;
    END LOOP;
END
$$;
"""


def upgrade() -> None:
    script(TABLE)
    script(CLAIM)
    isolate_by_tenant("idempotency_key")
    open_to("signalbox_meter", "idempotency_key")
    open_to("signalbox_operator", "idempotency_key", command="SELECT")
    op.execute("GRANT SELECT ON idempotency_key TO signalbox_app, signalbox_operator")
    op.execute("GRANT INSERT, SELECT, UPDATE, DELETE ON idempotency_key TO signalbox_meter")
    for function in ("holds_reservation", "claim_idempotency_keys"):
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO signalbox_meter")
