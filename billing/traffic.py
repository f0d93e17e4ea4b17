"""A tenant's limits that are not money, as the request path meets them: enter, take, end.

One for each process, built by `app/main.py`. Invariant: with its record a request has ended: its slots are free
for others, and its tokens are what it used.
"""

from collections.abc import Sequence
from uuid import UUID

from billing.concurrency import Concurrency
from billing.delivery import PROMPT_S
from billing.meter import RateState
from billing.records import RequestRecord
from billing.traffic_limit import CallerLimits
from billing.traffic_rates import TrafficRates
from tenants import Database


class Traffic:
    """`deadline_s`: after which every request has ended; `prompt_s`: how long one waits for the database to begin."""

    def __init__(self, database: Database, process_id: UUID, *, deadline_s: float, prompt_s: float = PROMPT_S) -> None:
        self._concurrency = Concurrency(database, process_id, deadline_s=deadline_s, prompt_s=prompt_s)
        self._rates = TrafficRates(database)

    async def enter(self, request_id: UUID, limits: CallerLimits) -> None:
        """Let a request begin. Raises ConcurrencyLimited or MeterUnavailable."""
        await self._concurrency.enter(request_id, limits.concurrency)

    async def take(
        self, request_id: UUID, limits: CallerLimits, *, model_name: str, end_user: str | None, tokens: int
    ) -> Sequence[RateState]:
        """Let a request call a model; what it took before is not taken twice.

        Raises TrafficLimited or MeterUnavailable.
        """
        rates = limits.rates_of(model_name, has_end_user=end_user is not None)
        if not rates:
            return ()
        return await self._rates.take(request_id, rates, end_user=end_user or "", tokens=tokens)

    def leave(self, request_id: UUID) -> None:
        """End a request that makes no record."""
        self._concurrency.leave(request_id)

    def end(self, record: RequestRecord) -> None:
        """End a request. Idempotent."""
        self._concurrency.leave(record.request_id)
        self._rates.end(record)

    async def close(self) -> None:
        """Wait for what is in flight, and give back what this process was lent."""
        await self._rates.close()
        await self._concurrency.close()
