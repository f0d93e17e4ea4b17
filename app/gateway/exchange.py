"""One request from its arrival to its record: what each step of the straight line found, in one place.

The pipeline fills it, the record is made from it. Invariant: whatever ends the request, `record`
tells all that happened up to then.
"""

from datetime import UTC, datetime
from time import monotonic
from typing import Final
from uuid import UUID

import msgspec

from app.gateway.call import Call, ChatRequest
from app.gateway.repeats import Turn
from app.providers import Answer
from app.routing import Candidate, Ranked, RouteDecision, decision_record
from billing import Admission, AttemptRecord, CallerLimits, Outcome, RateState, RequestRecord, Usage, billed_nano_usd
from tenants import Principal

ERROR_MESSAGE_CHARS_MAX: Final = 500
# What a caller names as it likes is kept at a length that a name has: a body may be megabytes.
NAME_CHARS_MAX: Final = 256
NO_DECISION: Final = msgspec.Raw(b"null")


def _now() -> datetime:
    return datetime.now(UTC)


class Attempt(msgspec.Struct, kw_only=True):
    """One call to a provider while it runs; `end` turns it into its record, once."""

    attempt_id: UUID
    number: int
    ranked: Ranked
    credential_id: UUID
    started_at: datetime
    started: float  # monotonic seconds
    first_token_ms: int | None = None
    is_sent: bool = False  # the provider may have it
    is_accepted: bool = False  # the provider answered 200: from here on it bills what it reads and writes

    @property
    def model(self) -> str:
        """The provider's name of the model."""
        return self.ranked.candidate.model

    def sent(self) -> None:
        """The call leaves for the provider."""
        self.is_sent = True

    def end(
        self,
        outcome: Outcome,
        *,
        usage: Usage | None = None,
        answer: Answer | None = None,
        http_status: int | None = None,
        error_type: str | None = None,
        error_message: str | None = None,
    ) -> AttemptRecord:
        """The record of the finished attempt. No usage means that the provider charged nothing."""
        candidate = self.ranked.candidate
        price = candidate.price
        assert price is not None, "a candidate without a price is never attempted"
        cost = 0 if usage is None else price.cost_nano_usd(usage)
        billed = billed_nano_usd(cost, candidate.rate_ppm)
        # What was not reserved is not charged: the budget's promise holds even when a provider overcounts.
        charged = min(billed, self.ranked.bound_nano_usd)
        return AttemptRecord(
            attempt_id=self.attempt_id,
            attempt_number=self.number,
            provider_name=candidate.provider_name,
            model=candidate.model,
            credential_id=self.credential_id,
            credential_owner=candidate.credential_owner,
            started_at=self.started_at,
            outcome=outcome,
            latency_ms=elapsed_ms(self.started),
            first_token_ms=self.first_token_ms,
            reserved_nano_usd=self.ranked.bound_nano_usd,
            usage=usage or Usage(),
            billed_nano_usd=charged,
            provider_cost_nano_usd=cost,
            absorbed_nano_usd=billed - charged if candidate.credential_owner == "platform" else 0,
            price_version_id=price.price_version_id,
            http_status=http_status,
            error_type=error_type,
            error_message=error_message,
            response_id=answer.response_id if answer else None,
            is_simulated=candidate.is_simulated,
        )


class Exchange(msgspec.Struct, kw_only=True):
    """The state of one request; fields are set in the order of the straight line."""

    call: Call
    principal: Principal
    started_at: datetime = msgspec.field(default_factory=_now)
    limits: CallerLimits | None = None
    admission: Admission | None = None
    rates: tuple[RateState, ...] = ()  # of the tenant's own limits, as they were when an attempt took from them
    request: ChatRequest | None = None
    turn: Turn | None = None  # of a call that is the first under its idempotency key
    decision: RouteDecision | None = None
    attempts: list[AttemptRecord] = msgspec.field(default_factory=list)
    served_by: Candidate | None = None
    answer: Answer | None = None
    dropped_params: tuple[str, ...] = ()  # of the caller's fields, those that the provider was not told
    upstream_ms: float = 0.0

    @property
    def end_user(self) -> str | None:
        """Whom the caller names as its end user, at a length that a name has."""
        return (self.request.body.end_user or "")[:NAME_CHARS_MAX] or None if self.request else None

    def usage(self) -> Usage:
        """What all attempts used together."""
        return sum((attempt.usage for attempt in self.attempts), Usage())

    def billed_nano_usd(self) -> int:
        """What all attempts bill together."""
        return sum(attempt.billed_nano_usd for attempt in self.attempts)

    def baseline_nano_usd(self) -> int | None:
        """What the dearest eligible candidate would have billed for the tokens that were used."""
        baseline = self.decision.baseline if self.decision else None
        if baseline is None or baseline.price is None or self.served_by is None:
            return None
        return billed_nano_usd(baseline.price.cost_nano_usd(self.attempts[-1].usage), baseline.rate_ppm)

    def overhead_ms(self) -> float:
        """The gateway's own share of the time so far, in milliseconds."""
        return (monotonic() - self.call.received_at) * 1000 - self.upstream_ms

    def record(self, outcome: Outcome, http_status: int, error: BaseException | None = None) -> RequestRecord:
        """The request's record as things stand."""
        decision, request, served = self.decision, self.request, self.served_by
        baseline = decision.baseline if decision and served else None
        return RequestRecord(
            tenant_id=self.principal.tenant_id,
            request_id=self.call.request_id,
            project_id=self.principal.project_id,
            api_key_id=self.principal.api_key_id,
            client_request_id=self.call.client_request_id,
            operation_name=self.call.operation_name,
            surface=self.call.surface,
            is_streamed=request.facts.is_streamed if request else False,
            started_at=self.started_at,
            request_model=request.facts.request_model[:NAME_CHARS_MAX] if request else "",
            provider_name=served.provider_name if served else None,
            response_model=served.model if served else None,
            task=decision.signals.task.value if decision else None,
            domain=decision.signals.domain.value if decision else None,
            policy_name=decision.policy_name if decision else None,
            policy_version=decision.policy_version if decision else None,
            rule=decision.rule if decision else None,
            decision=msgspec.Raw(decision_record(decision)) if decision else NO_DECISION,
            tags=request.hints.tags if request else (),
            metadata=request.hints.metadata if request else {},
            end_user=self.end_user,
            outcome=outcome,
            http_status=http_status,
            error_type=type(error).__name__ if error else None,
            error_message=str(error)[:ERROR_MESSAGE_CHARS_MAX] if error else None,
            finish_reason=self.answer.finish_reason if self.answer else None,
            attempts=tuple(self.attempts),
            baseline_nano_usd=self.baseline_nano_usd(),
            baseline_model=baseline.name if baseline else None,
            latency_ms=elapsed_ms(self.call.received_at),
            first_token_ms=self._first_token_ms(),
            overhead_ms=self.overhead_ms(),
        )

    def _first_token_ms(self) -> int | None:
        last = self.attempts[-1] if self.attempts and self.served_by else None
        if last is None or last.first_token_ms is None:
            return None
        waited_ms = int((last.started_at - self.started_at).total_seconds() * 1000)
        return max(0, waited_ms) + last.first_token_ms


def elapsed_ms(since: float) -> int:
    """Whole milliseconds since a moment of the monotonic clock."""
    return int((monotonic() - since) * 1000)
