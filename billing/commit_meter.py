"""The meter in `commit` mode: every step is a committed batch in PostgreSQL.

One for each process, built by `app/main.py`, called by the pipeline through the seam `Meter`. Invariant:
when `reserve` returns, the amount is held and committed; when `settle` returns, the record is written or
kept as a dead letter. Whatever the database does, nothing is admitted on a guess.
"""

from collections.abc import Callable, Sequence
from time import monotonic_ns
from typing import Final, TypeVar
from uuid import UUID

import structlog

from billing.allowance import Allowances, admission, refusal
from billing.batching import Batcher
from billing.budget_repository import find_budget_name
from billing.budgets import budget_contended, budget_used_up
from billing.connection import Connection
from billing.delivery import PATIENT_S, PROMPT_S, Delivery, Refusal
from billing.errors import BillingError, BudgetContended, BudgetUsedUp, MeterUnavailable, RateLimited
from billing.heartbeat import BEAT_EVERY_S, Heartbeat
from billing.meter import Admission, AdmissionRequest, BudgetFacts, Reservation
from billing.meter_repository import (
    ReservationRow,
    admit_batch,
    keep_dead_letter,
    release_batch,
    reserve_batch,
)
from billing.records import RequestRecord
from billing.settlement_repository import settle_batch
from tenants import DATABASE_ERRORS, Database

BATCH_MAX: Final = 64
QUEUE_MAX: Final = 10_000

RETRY_AFTER_S_MAX: Final = 2
Answer = TypeVar("Answer")
log = structlog.get_logger(__name__)


class CommitMeter:
    """Implements `Meter`. `on_dead_letter` is called with tenant, request and reason, to alert."""

    def __init__(
        self,
        database: Database,
        process_id: UUID,
        *,
        on_dead_letter: Callable[[UUID, UUID, str], None] = lambda tenant_id, request_id, reason: None,
        batch_max: int = BATCH_MAX,
        queue_max: int = QUEUE_MAX,
        timeout_s: float = PATIENT_S,
        prompt_s: float = PROMPT_S,
        beat_every_s: int = BEAT_EVERY_S,
        now_ns: Callable[[], int] = monotonic_ns,
    ) -> None:
        self._database = database
        self._process_id = process_id
        self._on_dead_letter = on_dead_letter
        self._delivery = Delivery(database, timeout_s=timeout_s)
        self._prompt = Delivery(database, timeout_s=min(timeout_s, prompt_s))
        self._now_ns = now_ns
        self._allowances = Allowances()
        self._open: set[UUID] = set()
        self._heartbeat = Heartbeat(
            self._prompt, process_id, is_open=self._open.__contains__, release=self.release, every_s=beat_every_s
        )
        self._admissions = Batcher(self._admit_all, batch_max=batch_max, queue_max=queue_max)
        self._reservations = Batcher(
            self._reserve_all,
            batch_max=batch_max,
            queue_max=queue_max,
            on_unheard=self._release_unheard,
        )
        self._releases = Batcher(self._release_all, batch_max=batch_max, queue_max=queue_max)
        self._settlements = Batcher(self._settle_all, batch_max=batch_max, queue_max=queue_max)

    async def admit(self, request: AdmissionRequest) -> Admission:
        """Take one request off the rate. Raises RateLimited or MeterUnavailable.

        A budget that is used up does not refuse here: models that cost nothing may still answer.
        """
        return self._allowances.take(request, self._now_ns()) or await self._admissions.submit(request)

    async def reserve(self, reservation: Reservation) -> None:
        """Hold an attempt's bound in every budget that covers it, or in none; committed on return.

        Raises BudgetUsedUp, BudgetContended or MeterUnavailable; then, and when cancelled, nothing stays held.
        """
        self._allowances.see(reservation.api_key_id, reservation.amount_nano_usd)
        try:
            refused = await self._reservations.submit(reservation)
        except MeterUnavailable:
            self._release_unheard(reservation)  # it may be held all the same
            raise
        if refused is not None:
            self._open.discard(reservation.attempt_id)
            raise await self._budget_error(reservation, refused)

    async def release(self, tenant_id: UUID, attempt_id: UUID) -> None:
        """Return an attempt that cost nothing. Idempotent. Raises MeterUnavailable; settling returns it too."""
        await self._releases.submit((tenant_id, attempt_id))

    async def settle(self, record: RequestRecord) -> None:
        """Write the record and move its money; committed on return, counted once however often it is called.

        A record that the database refuses is kept as a dead letter, its reservations stay held while this process
        lives. Raises MeterUnavailable when the database is away: call again.
        """
        await self._settlements.submit(record)

    async def close(self) -> None:
        """Wait for everything that is in flight; call it when no request runs any more."""
        await self._admissions.drain()
        await self._reservations.drain()
        await self._heartbeat.stop()  # nothing is reserved any more, and what it still releases goes with the rest
        await self._settlements.drain()
        await self._releases.drain()

    def drop(self, tenant_id: UUID) -> None:
        """Forget what is known of a tenant's rate and budgets; give it to the change feed."""
        self._allowances.drop(tenant_id)

    async def _admit_all(self, requests: Sequence[AdmissionRequest]) -> Sequence[Admission | BillingError]:
        """Ask once for all requests of a caller; what the last batch brought may serve some without asking."""
        asked_at_ns = self._now_ns()
        answers: dict[int, Admission | BillingError] = {}
        callers: dict[AdmissionRequest, list[int]] = {}
        for place, request in enumerate(requests):
            try:
                admitted = self._allowances.take(request, asked_at_ns)
            except RateLimited as error:
                answers[place] = error
                continue
            if admitted is not None:
                answers[place] = admitted
            else:
                callers.setdefault(request, []).append(place)
        asked = [(request, len(places)) for request, places in callers.items()]
        grants = await self._prompt.send(admit_batch, asked) if asked else ()
        for (request, wanted), places, grant in zip(asked, callers.values(), map(_heard, grants), strict=True):
            if isinstance(grant, MeterUnavailable):
                answers |= dict.fromkeys(places, grant)
                continue
            self._allowances.keep(request, grant, asked_at_ns, min(wanted, grant.granted))
            for number, place in enumerate(places, 1):
                is_granted = number <= grant.granted
                answers[place] = (
                    admission(request, grant, grant.granted - number, 0) if is_granted else refusal(request, grant, 0)
                )
        return [answers[place] for place in range(len(requests))]

    async def _reserve_all(
        self, reservations: Sequence[Reservation]
    ) -> Sequence[ReservationRow | MeterUnavailable | None]:
        async def reserve(connection: Connection, batch: Sequence[Reservation]) -> Sequence[ReservationRow | None]:
            return await reserve_batch(connection, self._process_id, batch)

        await self._heartbeat.start()
        self._open.update(reservation.attempt_id for reservation in reservations)
        return [_heard(answer) for answer in await self._prompt.send(reserve, reservations)]

    async def _release_all(self, attempts: Sequence[tuple[UUID, UUID]]) -> Sequence[MeterUnavailable | None]:
        async def release(connection: Connection, batch: Sequence[tuple[UUID, UUID]]) -> Sequence[None]:
            await release_batch(connection, batch)
            self._open.difference_update(attempt_id for _, attempt_id in batch)
            return [None] * len(batch)

        return [_heard(answer) for answer in await self._delivery.send(release, attempts)]

    async def _settle_all(self, records: Sequence[RequestRecord]) -> Sequence[MeterUnavailable | None]:
        async def settle(connection: Connection, batch: Sequence[RequestRecord]) -> Sequence[None]:
            await settle_batch(connection, self._process_id, batch)
            self._open.difference_update(attempt.attempt_id for record in batch for attempt in record.attempts)
            return [None] * len(batch)

        answers: list[MeterUnavailable | None] = []
        for record, answer in zip(records, await self._delivery.send(settle, records), strict=True):
            answers.append(await self._bury(record, answer) if isinstance(answer, Refusal) else answer)
        return answers

    async def _bury(self, record: RequestRecord, refusal: Refusal) -> MeterUnavailable | None:
        async def keep(connection: Connection, letters: Sequence[RequestRecord]) -> Sequence[None]:
            await keep_dead_letter(connection, letters[0], refusal.reason)
            return [None]

        try:
            [kept] = await self._delivery.send(keep, [record])
        except MeterUnavailable as error:
            return error
        if kept is not None:
            return MeterUnavailable("A record was refused and could not be kept as a dead letter either. Retry it.")
        log.error(
            "record_refused",
            tenant_id=str(record.tenant_id),
            request_id=str(record.request_id),
            reason=refusal.reason,
        )
        self._on_dead_letter(record.tenant_id, record.request_id, refusal.reason)
        return None

    async def _budget_error(
        self, reservation: Reservation, row: ReservationRow
    ) -> BudgetUsedUp | BudgetContended | MeterUnavailable:
        try:
            async with self._database.tenant(reservation.tenant_id) as session:
                named = await find_budget_name(session, reservation.tenant_id, row.budget_id)
        except DATABASE_ERRORS:
            return MeterUnavailable("The budget that refuses could not be read. Nothing was charged; retry shortly.")
        assert named is not None, "budgets are marked as removed and never deleted"
        facts = BudgetFacts(
            scope=named.scope,
            scope_name=named.scope_name,
            period=named.period,
            model=named.model,
            end_user=reservation.end_user if named.is_per_end_user else None,
            limit_nano_usd=row.limit_nano_usd,
            spent_nano_usd=row.spent_nano_usd,
            reserved_nano_usd=row.reserved_nano_usd,
            resets_at=row.resets_at,
        )
        if row.outcome == "exceeded":
            return budget_used_up(facts, reservation.amount_nano_usd)
        # The attempt's id is random: callers that collided do not come back together.
        retry_after_s = 1 + reservation.attempt_id.int % RETRY_AFTER_S_MAX
        return budget_contended(facts, reservation.amount_nano_usd, retry_after_s=retry_after_s)

    def _release_unheard(self, reservation: Reservation) -> None:
        self._open.discard(reservation.attempt_id)
        try:
            released = self._releases.submit((reservation.tenant_id, reservation.attempt_id))
        except MeterUnavailable:
            return
        released.add_done_callback(lambda done: done.cancelled() or done.exception())


def _heard(answer: Answer | Refusal | MeterUnavailable) -> Answer | MeterUnavailable:
    """For a step that must be certain, a refused row is as good as no answer."""
    if isinstance(answer, Refusal):
        return MeterUnavailable(f"{answer.reason} Nothing was charged.")
    return answer
