"""The statements about idempotency keys, over the pool of `signalbox_meter`.

Called by `IdempotencyKeys` and by the worker's purge. Invariant: one statement each, and a key that is younger
than a day is deleted only by the request that holds it.
"""

from collections.abc import Sequence
from typing import Final

from billing.connection import Connection
from billing.idempotency import Claim
from tenants import Database

PURGE_ROWS_MAX: Final = 10_000


async def claim_batch(connection: Connection, claims: Sequence[Claim], *, running_s: int) -> Sequence[Connection]:
    """A row for each claim, in order: whose its key is."""
    rows: Sequence[Connection] = await connection.fetch(
        "SELECT * FROM claim_idempotency_keys($1, $2, $3, $4, $5, $6, $7) ORDER BY ordinal",
        [claim.tenant_id for claim in claims],
        [claim.api_key_id for claim in claims],
        [claim.route for claim in claims],
        [claim.key_hash for claim in claims],
        [claim.body_hash for claim in claims],
        [claim.request_id for claim in claims],
        running_s,
    )
    return rows


async def keep_answer(connection: Connection, claim: Claim, status: int, answer: bytes | None) -> None:
    """Keep the answer that a claim's request was given."""
    await connection.execute(
        """UPDATE idempotency_key SET answer_status = $6, answer = $7
           WHERE tenant_id = $1 AND api_key_id = $2 AND route = $3 AND key_hash = $4 AND request_id = $5""",
        claim.tenant_id, claim.api_key_id, claim.route, claim.key_hash, claim.request_id, status, answer,
    )  # fmt: skip


async def drop_claim(connection: Connection, claim: Claim) -> None:
    """Free a key, if it is still the claim's."""
    await connection.execute(
        """DELETE FROM idempotency_key
           WHERE tenant_id = $1 AND api_key_id = $2 AND route = $3 AND key_hash = $4 AND request_id = $5""",
        claim.tenant_id, claim.api_key_id, claim.route, claim.key_hash, claim.request_id,
    )  # fmt: skip


async def purge_idempotency_keys(database: Database) -> int:
    """Delete keys that are older than a day; return how many."""
    pool = await database.meter_pool()
    total = 0
    while True:
        purged: int = await pool.fetchval(
            """WITH old AS (
                   SELECT tenant_id, api_key_id, route, key_hash FROM idempotency_key
                   WHERE created_at < now() - interval '1 day' LIMIT $1 FOR UPDATE SKIP LOCKED
               ), purged AS (
                   DELETE FROM idempotency_key k USING old o
                   WHERE (k.tenant_id, k.api_key_id, k.route, k.key_hash)
                         = (o.tenant_id, o.api_key_id, o.route, o.key_hash) RETURNING 1
               ) SELECT count(*) FROM purged""",
            PURGE_ROWS_MAX,
        )
        total += purged
        if purged < PURGE_ROWS_MAX:
            return total
