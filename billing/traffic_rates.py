"""The rates that a tenant sets: requests and tokens in a minute or a day, over all processes.

Asked before each attempt that one covers, told of each record; a request that none covers never comes here.
Invariants: a request takes from all buckets that cover it or from none; it takes of each once, however often it
is tried; tokens are taken by estimate and brought to what was used.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from billing.batching import Batcher
from billing.delivery import Delivery, Refusal
from billing.errors import BillingError, MeterUnavailable, RequestAboveRate, TrafficLimited
from billing.meter import RateState
from billing.records import AttemptRecord, RequestRecord
from billing.traffic_limit import RateLimit
from billing.traffic_repository import BucketAnswer, Correction, TrafficAsk, correct_batch, take_batch
from tenants import Database

BATCH_MAX: Final = 64
QUEUE_MAX: Final = 10_000
STATEMENT_TIMEOUT_S: Final = 5
REQUESTS_REMEMBERED_MAX: Final = 100_000


@dataclass(slots=True)
class _Taken:
    """What one request took: of each limit, for whom and how much."""

    end_user: str
    tokens: int
    rates: list[RateLimit] = field(default_factory=list)


class TrafficRates:
    """Takes and corrects in batches."""

    def __init__(self, database: Database) -> None:
        self._delivery = Delivery(database, timeout_s=STATEMENT_TIMEOUT_S)
        self._takes = Batcher(self._take_all, batch_max=BATCH_MAX, queue_max=QUEUE_MAX, on_unheard=self._put_back)
        self._corrections = Batcher(self._correct_all, batch_max=BATCH_MAX, queue_max=QUEUE_MAX)
        self._taken: OrderedDict[UUID, _Taken] = OrderedDict()

    async def take(
        self, request_id: UUID, rates: Sequence[RateLimit], *, end_user: str, tokens: int
    ) -> tuple[RateState, ...]:
        """Take one request and its tokens off the rates that it has not taken from yet.

        Raises TrafficLimited, with the state of what refused, or MeterUnavailable; then nothing was taken.
        """
        known = self._taken.get(request_id)
        fresh = tuple(rate for rate in rates if known is None or rate not in known.rates)
        if not fresh:
            return ()
        asked = TrafficAsk(rates=fresh, end_user=end_user, tokens=tokens)
        answers = await self._takes.submit(asked)
        if not answers[0].is_taken:
            raise _refusal(asked, answers)
        taken = self._taken.setdefault(request_id, _Taken(end_user, tokens))
        taken.rates += fresh
        if len(self._taken) > REQUESTS_REMEMBERED_MAX:
            self._taken.popitem(last=False)
        return tuple(map(_state, fresh, answers))

    def end(self, record: RequestRecord) -> None:
        """Bring what a request took in tokens to what it used. Idempotent, and nobody waits for it."""
        taken = self._taken.pop(record.request_id, None) if self._taken else None
        if taken is None:
            return
        for rate in taken.rates:
            if rate.kind.is_of_tokens:
                self._correct(rate, taken.end_user, _tokens_of(record.attempts, rate) - taken.tokens)

    async def close(self) -> None:
        """Wait for everything that is in flight."""
        await self._takes.drain()
        await self._corrections.drain()

    def _put_back(self, asked: TrafficAsk) -> None:
        """Give back the tokens of a request that hung up while it asked; that it came is counted."""
        for rate in asked.rates:
            if asked.was_taken and rate.kind.is_of_tokens:
                self._correct(rate, asked.end_user, -asked.tokens)

    def _correct(self, rate: RateLimit, end_user: str, tokens: int) -> None:
        if not tokens:
            return
        try:
            corrected = self._corrections.submit(Correction(rate=rate, end_user=end_user, tokens=tokens))
        except MeterUnavailable:
            return  # the bucket drains by itself
        corrected.add_done_callback(lambda done: done.cancelled() or done.exception())

    async def _take_all(self, asked: Sequence[TrafficAsk]) -> Sequence[Sequence[BucketAnswer] | BillingError]:
        answers: list[Sequence[BucketAnswer] | BillingError] = []
        for each, answer in zip(asked, await self._delivery.send(take_batch, asked), strict=True):
            if isinstance(answer, Refusal):
                answers.append(MeterUnavailable(f"{answer.reason} Nothing was charged."))
            else:
                answers.append(answer)
                each.was_taken = not isinstance(answer, MeterUnavailable) and answer[0].is_taken
        return answers

    async def _correct_all(self, corrections: Sequence[Correction]) -> Sequence[BillingError | None]:
        return [
            MeterUnavailable(answer.reason) if isinstance(answer, Refusal) else answer
            for answer in await self._delivery.send(correct_batch, corrections)
        ]


def _tokens_of(attempts: Sequence[AttemptRecord], rate: RateLimit) -> int:
    return sum(
        attempt.usage.input_tokens + attempt.usage.output_tokens
        for attempt in attempts
        if rate.covers(f"{attempt.provider_name}/{attempt.model}")
    )


def _state(rate: RateLimit, answer: BucketAnswer) -> RateState:
    return RateState(
        is_of_tokens=rate.kind.is_of_tokens,
        limit_count=rate.limit_count,
        remaining=answer.remaining,
        reset_ms=answer.reset_ms,
    )


def _refusal(asked: TrafficAsk, answers: Sequence[BucketAnswer]) -> TrafficLimited:
    """The error of the bucket that makes the request wait longest."""
    rate, answer = max(zip(asked.rates, answers, strict=True), key=lambda pair: pair[1].retry_after_ms)
    amount = asked.amount_of(rate)
    refused = RequestAboveRate if amount > rate.capacity else TrafficLimited
    return refused(
        scope=rate.scope,
        kind=rate.kind.words,
        limit_count=rate.limit_count,
        capacity=rate.capacity,
        amount=amount,
        retry_after_ms=max(1, answer.retry_after_ms),
        is_of_model=rate.model is not None,
        states=tuple(map(_state, asked.rates, answers)),
    )
