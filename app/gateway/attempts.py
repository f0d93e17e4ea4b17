"""Step 5: try the candidates in their order until one answers.

Called by the pipeline. Invariants: nothing is sent before its bound is reserved and committed; every
call that was sent is an attempt of the exchange; an attempt that cost nothing gives its bound back
before the next one reserves.
"""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic

from uuid_utils.compat import uuid7

from app.gateway.causes import Move, exhausted, move_after, outcome_of, read_retry_after
from app.gateway.exchange import Attempt, Exchange
from app.gateway.tenant_view import TenantView
from app.providers import (
    Answer,
    Interpreter,
    StreamReader,
    Timeouts,
    Transport,
    UpstreamCall,
    UpstreamError,
    UpstreamRefused,
    UpstreamResponse,
    endpoint_url,
    interpreter_between,
    request_headers,
    vendor_of,
)
from app.routing import RouteDecision
from billing import BudgetContended, BudgetUsedUp, Meter, Outcome, Reservation, Usage
from tenants import Snapshot


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLimits:
    """How long and how often the gateway tries; from the settings."""

    attempts_max: int = 3
    request_deadline_s: float = 600.0
    connect_timeout_s: float = 5.0
    first_byte_timeout_s: float = 60.0
    idle_timeout_s: float = 60.0

    def timeouts(self, received_at: float) -> Timeouts:
        """The waits of a call that is sent now, within what the request's deadline leaves."""
        return Timeouts(
            connect_s=self.connect_timeout_s,
            first_byte_s=self.first_byte_timeout_s,
            idle_s=self.idle_timeout_s,
            total_s=max(0.0, received_at + self.request_deadline_s - monotonic()),
        )


@dataclass(slots=True, kw_only=True)
class OpenStream:
    """A stream whose first content has come; what is left of it waits in `chunks`."""

    attempt: Attempt
    response: UpstreamResponse
    reader: StreamReader
    first: bytes
    chunks: AsyncIterator[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What the first candidate that answered gave: a whole answer, or a stream that has begun."""

    dialect: Interpreter
    body: bytes = b""
    stream: OpenStream | None = None


class Attempts:
    """Makes the calls of an exchange."""

    def __init__(self, *, meter: Meter, transport: Transport, snapshot: Snapshot, limits: AttemptLimits) -> None:
        self._meter = meter
        self._transport = transport
        self._snapshot = snapshot
        self._limits = limits

    async def open(self, exchange: Exchange, decision: RouteDecision, view: TenantView) -> Opened:
        """The first answer of the ranked candidates.

        Raises BudgetUsedUp or BudgetContended when no bound could be held, UpstreamRejected or
        UpstreamUnreachable when every candidate that was tried failed.
        """
        assert exchange.request is not None
        tries_max = 1 if exchange.request.facts.no_fallback else self._limits.attempts_max
        refusal: BudgetUsedUp | BudgetContended | None = None
        failure: UpstreamError | None = None
        for ranked in decision.ranked:
            if len(exchange.attempts) >= tries_max:
                break
            attempt = Attempt(
                attempt_id=uuid7(),
                number=len(exchange.attempts) + 1,
                ranked=ranked,
                started_at=datetime.now(UTC),
                started=monotonic(),
            )
            try:
                await self._reserve(exchange, attempt)
            except (BudgetUsedUp, BudgetContended) as error:
                refusal = error
                continue
            try:
                return await self._call(exchange, attempt, view)
            except UpstreamError as error:
                failure = error
                self._keep(exchange, attempt, error)
                if move_after(error) is Move.STOP:
                    break
                await self._meter.release(exchange.principal.tenant_id, attempt.attempt_id)
            except BaseException as error:
                # Kept too, whatever it is: settling the record gives back what the attempt has reserved.
                self._keep_unanswered(exchange, attempt, error)
                raise
        if failure is not None:
            raise exhausted(exchange, failure) from failure
        assert refusal is not None, "decide() ranks at least one candidate or raises"
        raise refusal

    async def _reserve(self, exchange: Exchange, attempt: Attempt) -> None:
        principal = exchange.principal
        await self._meter.reserve(
            Reservation(
                tenant_id=principal.tenant_id,
                project_id=principal.project_id,
                api_key_id=principal.api_key_id,
                request_id=exchange.call.request_id,
                attempt_id=attempt.attempt_id,
                amount_nano_usd=attempt.ranked.bound_nano_usd,
            )
        )

    async def _call(self, exchange: Exchange, attempt: Attempt, view: TenantView) -> Opened:
        request = exchange.request
        assert request is not None
        candidate = attempt.ranked.candidate
        credential = view.credentials[candidate.credential_id]
        vendor = vendor_of(candidate.provider_name)
        dialect = interpreter_between(request.body.dialect, vendor.dialect)
        secret = await self._snapshot.secret(credential.tenant_id, credential.credential_id)
        encoded = dialect.encode_request(
            request.body,
            model=candidate.model,
            output_tokens_limit=attempt.ranked.output_tokens_limit,
            vendor=vendor,
        )
        call = UpstreamCall(
            url=endpoint_url(vendor, credential.base_url, dialect.path),
            headers=request_headers(vendor, secret, attempt_id=attempt.attempt_id, request_id=exchange.call.request_id),
            body=encoded.body,
            credential_owner=candidate.credential_owner,
            timeouts=self._limits.timeouts(exchange.call.received_at),
        )
        sent = monotonic()
        try:
            response = await self._transport.send(call)
            try:
                opened = await self._read(exchange, attempt, response, dialect)
            except BaseException:
                response.close()
                raise
        finally:
            exchange.upstream_ms += (monotonic() - sent) * 1000
        exchange.served_by = candidate
        return opened

    async def _read(
        self, exchange: Exchange, attempt: Attempt, response: UpstreamResponse, dialect: Interpreter
    ) -> Opened:
        request = exchange.request
        assert request is not None
        if response.status != 200:
            refusal = dialect.decode_error(response.status, await response.read())
            refusal.retry_after_s = read_retry_after(response.headers)
            raise refusal
        if request.facts.is_streamed:
            return Opened(
                dialect=dialect,
                stream=await _begin(attempt, response, dialect.read_stream(wants_usage=request.body.wants_usage)),
            )
        body = await response.read()
        answer = exchange.answer = dialect.decode_answer(body)
        usage = answer.usage or estimated_usage(exchange, output_tokens=_tokens_of(answer))
        exchange.attempts.append(attempt.end(Outcome.OK, usage=usage, answer=answer, http_status=200))
        return Opened(dialect=dialect, body=body)

    def _keep(self, exchange: Exchange, attempt: Attempt, error: UpstreamError) -> None:
        status = error.status if isinstance(error, UpstreamRefused) else None
        exchange.attempts.append(
            attempt.end(outcome_of(error), http_status=status, error_type=error.kind, error_message=str(error))
        )

    def _keep_unanswered(self, exchange: Exchange, attempt: Attempt, error: BaseException) -> None:
        # A caller that hangs up before any content was relayed is charged nothing.
        is_hang_up = isinstance(error, asyncio.CancelledError)
        exchange.attempts.append(
            attempt.end(Outcome.CANCELLED if is_hang_up else Outcome.GATEWAY_FAULT, error_type=type(error).__name__)
        )


async def _begin(attempt: Attempt, response: UpstreamResponse, reader: StreamReader) -> OpenStream:
    """Read on to the first content, so that what fails before it can still move to the next candidate."""
    chunks = response.chunks()
    first = b""
    async for chunk in chunks:
        first += reader.feed(chunk)
        if reader.failure is not None or reader.has_content:
            break
    else:
        reader.close()
    if reader.failure is not None:
        raise reader.failure
    attempt.first_token_ms = int((monotonic() - attempt.started) * 1000)
    return OpenStream(attempt=attempt, response=response, reader=reader, first=first, chunks=chunks)


def estimated_usage(exchange: Exchange, *, output_tokens: int) -> Usage:
    """Usage by our own count, for when the provider's never came; flagged as estimated."""
    assert exchange.request is not None
    return Usage(
        input_tokens=exchange.request.facts.input_tokens_estimate, output_tokens=output_tokens, is_estimated=True
    )


def _tokens_of(answer: Answer) -> int:
    return -(-answer.output_bytes // 4)
