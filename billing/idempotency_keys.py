"""What came first under a caller's `idempotency-key`, over all processes.

Called by the gateway for a call that brings such a key, and by the management API for a change; other calls
pay nothing. Invariant: of the requests under one key in a day at most one is told that it is the first, unless
the first ended without cost and without an answer.
"""

from collections.abc import Sequence
from typing import Final

from billing.batching import Batcher
from billing.connection import Connection
from billing.delivery import PROMPT_S, Delivery, Refusal
from billing.errors import BillingError, MeterUnavailable
from billing.idempotency import Claim, Claimed, ClaimState
from billing.idempotency_repository import claim_batch, drop_claim, keep_answer
from tenants import Database

BATCH_MAX: Final = 64
QUEUE_MAX: Final = 10_000


class IdempotencyKeys:
    """Claims keys in batches. `running_s_max`: how long a request may run that has left no trace."""

    def __init__(self, database: Database, *, running_s_max: int, prompt_s: float = PROMPT_S) -> None:
        self._running_s_max = running_s_max
        self._delivery = Delivery(database, timeout_s=prompt_s)
        self._claims = Batcher(self._claim_all, batch_max=BATCH_MAX, queue_max=QUEUE_MAX)

    async def claim(self, claim: Claim) -> Claimed:
        """Whose the key is now; committed on return. Raises MeterUnavailable."""
        return await self._claims.submit(claim)

    async def keep(self, claim: Claim, status: int, answer: bytes | None) -> None:
        """Keep the answer to what came first; None: that it was answered, and not how. Raises MeterUnavailable."""

        async def keep(connection: Connection, claims: Sequence[Claim]) -> Sequence[None]:
            for each in claims:
                await keep_answer(connection, each, status, answer)
            return [None] * len(claims)

        await self._delivery.send(keep, [claim])

    async def drop(self, claim: Claim) -> None:
        """Free the key of a request that changed nothing. Raises MeterUnavailable."""

        async def drop(connection: Connection, claims: Sequence[Claim]) -> Sequence[None]:
            for each in claims:
                await drop_claim(connection, each)
            return [None] * len(claims)

        await self._delivery.send(drop, [claim])

    async def close(self) -> None:
        """Wait for everything that is in flight."""
        await self._claims.drain()

    async def _claim_all(self, claims: Sequence[Claim]) -> Sequence[Claimed | BillingError]:
        async def claim(connection: Connection, batch: Sequence[Claim]) -> Sequence[Claimed]:
            rows = await claim_batch(connection, batch, running_s=self._running_s_max)
            return [
                Claimed(
                    state=ClaimState(row["state"]),
                    request_id=row["request_id"],
                    answer_status=row["answer_status"],
                    answer=row["answer"],
                )
                for row in rows
            ]

        return [
            MeterUnavailable(f"{answer.reason} Nothing was charged.") if isinstance(answer, Refusal) else answer
            for answer in await self._delivery.send(claim, claims)
        ]
