"""Step 5: try the candidates, as `tries` orders them, until one answers.

Called by the pipeline. Invariants: nothing is sent before its bound is reserved and committed; every
call that was sent is an attempt of the exchange; an attempt that cost nothing gives its bound back
before the next one reserves; all of them share the request's one deadline.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic
from typing import Final

import msgspec
from uuid_utils.compat import uuid7

from app.gateway.causes import exhausted, read_retry_after
from app.gateway.charges import estimated_usage, keep_failed, tokens_of
from app.gateway.errors import UpstreamResting
from app.gateway.exchange import Attempt, Exchange
from app.gateway.health import Health
from app.gateway.holds import Holds
from app.gateway.pace import Pace
from app.gateway.tenant_view import TenantView
from app.gateway.tries import Tries, Try
from app.providers import (
    DIALECTS,
    WRITTEN_DIALECT,
    AnswerTooLarge,
    Interpreter,
    StreamReader,
    Timeouts,
    Transport,
    UpstreamCall,
    UpstreamError,
    UpstreamResponse,
    UpstreamTimeout,
    WrittenResponse,
    endpoint_url,
    interpreter_between,
    request_headers,
    vendor_of,
    write_response,
)
from app.routing import RouteDecision
from billing import BudgetContended, BudgetUsedUp, Outcome, TrafficLimited
from tenants import CredentialFacts, Snapshot

MS_PER_S: Final = 1000
# Signs of life before a stream's first content are held back; an hour of them is less.
BEFORE_CONTENT_BYTES_MAX: Final = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptLimits:
    """How long and how often the gateway tries; from the settings."""

    attempts_max: int = 3
    request_deadline_s: float = 600.0
    connect_timeout_s: float = 5.0
    first_byte_timeout_s: float = 60.0  # of a stream
    answer_timeout_s: float = 300.0  # of a whole answer, whose first byte comes when all of it is written
    idle_timeout_s: float = 60.0

    def left_s(self, received_at: float) -> float:
        """What the request's deadline leaves."""
        return max(0.0, received_at + self.request_deadline_s - monotonic())

    def timeouts(self, received_at: float, *, is_streamed: bool) -> Timeouts:
        """The waits of a call that is sent now, within what the request's deadline leaves."""
        return Timeouts(
            connect_s=self.connect_timeout_s,
            first_byte_s=self.first_byte_timeout_s if is_streamed else self.answer_timeout_s,
            idle_s=self.idle_timeout_s,
            total_s=self.left_s(received_at),
        )


class OpenStream(msgspec.Struct, kw_only=True):
    """A stream whose first content has come; what is left of it waits in `chunks`.

    `report` tells how it ended, once: None for well, an upstream's error, or what else ended it.
    """

    attempt: Attempt
    response: UpstreamResponse | WrittenResponse
    reader: StreamReader
    first: bytes
    chunks: AsyncIterator[bytes]
    report: Callable[[BaseException | None], None]


class Opened(msgspec.Struct, frozen=True, kw_only=True):
    """What the first candidate that answered gave: a whole answer, or a stream that has begun."""

    interpreter: Interpreter
    body: bytes = b""
    stream: OpenStream | None = None


class Attempts:
    """Makes the calls of an exchange."""

    def __init__(
        self, *, holds: Holds, transport: Transport, snapshot: Snapshot, limits: AttemptLimits, health: Health
    ) -> None:
        self._holds = holds
        self._transport = transport
        self._snapshot = snapshot
        self._limits = limits
        self._health = health
        self.pace = Pace()

    async def open(self, exchange: Exchange, decision: RouteDecision, view: TenantView) -> Opened:
        """The first answer of the ranked candidates.

        Raises BudgetUsedUp, BudgetContended or TrafficLimited when no bound could be held, UpstreamRejected or
        UpstreamUnreachable when every candidate that was tried failed, UpstreamResting when none may be tried now.
        """
        assert exchange.request is not None
        tries = Tries(
            decision,
            view.pools,
            self._health,
            tries_max=1 if exchange.request.facts.no_fallback else self._limits.attempts_max,
        )
        refusal: BudgetUsedUp | BudgetContended | TrafficLimited | None = None
        failure: UpstreamError | None = None
        while (next_try := tries.next(monotonic())) is not None:
            if next_try.wait_s >= self._limits.left_s(exchange.call.received_at):
                break
            if failure is not None and not exchange.attempts[-1].billed_nano_usd:
                await self._holds.release(exchange)
            if next_try.wait_s:
                await asyncio.sleep(next_try.wait_s)
            attempt = _attempt(exchange, next_try)
            if not self._health.begin(attempt.credential_id, attempt.model, monotonic()):
                tries.pass_over(whole_candidate=False)
                continue
            try:
                if next_try.ranked.answer is None:
                    await self._hold(exchange, attempt)
                return await self._call(exchange, attempt, next_try)
            except (BudgetUsedUp, BudgetContended, TrafficLimited) as error:
                refusal = error
                if isinstance(error, TrafficLimited) and not error.is_of_model:
                    break  # any candidate would meet it
                tries.pass_over(whole_candidate=True)
            except UpstreamError as error:
                failure = error
                tries.failed(error)
        if failure is not None:
            raise exhausted(exchange, failure) from failure
        if refusal is not None:
            raise refusal
        raise UpstreamResting(tuple(ranked.candidate.name for ranked in decision.ranked), tries.soonest_s(monotonic()))

    async def _hold(self, exchange: Exchange, attempt: Attempt) -> None:
        """Hold what an attempt needs that `health` let through. Raises as `Holds.hold`."""
        try:
            await self._holds.hold(exchange, attempt)
        except BaseException as error:
            self._health.end(attempt.credential_id, attempt.model, monotonic(), error)
            raise

    async def _call(self, exchange: Exchange, attempt: Attempt, this_try: Try) -> Opened:
        """Make one call; whatever becomes of it, it is an attempt of the exchange and known to `health`."""
        try:
            opened = await self._send(exchange, attempt, this_try)
        except BaseException as error:
            self._health.end(attempt.credential_id, attempt.model, monotonic(), error)
            keep_failed(exchange, attempt, error)
            raise
        if opened.stream is None:
            self._health.end(attempt.credential_id, attempt.model, monotonic(), None)
        served = exchange.served_by = attempt.ranked.candidate
        is_streamed = opened.stream is not None
        latency_ms = (attempt.first_token_ms or 0) if is_streamed else exchange.attempts[-1].latency_ms
        self.pace.took(served, latency_ms, is_streamed=is_streamed, now=monotonic())
        return opened

    async def count_tokens(self, exchange: Exchange, decision: RouteDecision, view: TenantView) -> int | None:
        """The first candidate's own count of the input, where it speaks the caller's dialect and can count; else None.

        It is free and asked once; whatever fails, the gateway's own estimate has to do.
        """
        request = exchange.request
        assert request is not None
        ranked = decision.ranked[0]
        if ranked.answer is not None:
            return None
        dialect = DIALECTS[vendor_of(ranked.candidate.provider_name).dialect]
        pool = view.pools[ranked.candidate.credential_id]
        credential = self._health.choose(pool, ranked.candidate.model, frozenset(), monotonic())
        if dialect.name != request.body.dialect or dialect.token_count is None or credential is None:
            return None
        attempt = _attempt(exchange, Try(ranked=ranked, credential=credential))
        interpreter = interpreter_between(request.body.dialect, dialect.name)
        try:
            # Not told a limit of ours: a count takes no limit, and refuses a request that has one.
            call = await self._upstream_call(
                exchange, attempt, credential, interpreter, path=dialect.token_count.path, output_tokens_limit=None
            )
            response = await self._transport.send(call)
            try:
                body = await response.read()
                if response.status != 200:
                    raise interpreter.decode_error(response.status, body)
                count = dialect.token_count.decode(body)
            finally:
                response.close()
        except UpstreamError as error:
            keep_failed(exchange, attempt, error)
            return None
        exchange.attempts.append(attempt.end(Outcome.OK, http_status=200))
        exchange.served_by = ranked.candidate
        return count

    async def _send(self, exchange: Exchange, attempt: Attempt, this_try: Try) -> Opened:
        request, said = exchange.request, attempt.ranked.answer
        assert request is not None
        if said is not None:
            interpreter = interpreter_between(request.body.dialect, WRITTEN_DIALECT)
            written = write_response(
                said.text, response_id=said.name, model=attempt.model, is_streamed=request.facts.is_streamed
            )
            return await self._read(exchange, attempt, written, interpreter)
        vendor = vendor_of(attempt.ranked.candidate.provider_name)
        interpreter = interpreter_between(request.body.dialect, vendor.dialect)
        call = await self._upstream_call(
            exchange,
            attempt,
            this_try.credential,
            interpreter,
            path=interpreter.path,
            output_tokens_limit=attempt.ranked.output_tokens_limit,
        )
        sent = monotonic()
        try:
            return await self._exchange(exchange, attempt, call, interpreter, _patience_s(exchange, this_try))
        finally:
            exchange.upstream_ms += (monotonic() - sent) * MS_PER_S

    async def _upstream_call(
        self,
        exchange: Exchange,
        attempt: Attempt,
        credential: CredentialFacts,
        interpreter: Interpreter,
        *,
        path: str,
        output_tokens_limit: int | None,
    ) -> UpstreamCall:
        request, candidate = exchange.request, attempt.ranked.candidate
        assert request is not None
        vendor = vendor_of(candidate.provider_name)
        encoded = interpreter.encode_request(
            request.body, model=candidate.model, output_tokens_limit=output_tokens_limit, vendor=vendor
        )
        exchange.dropped_params = encoded.dropped
        secret = await self._snapshot.secret(credential.tenant_id, credential.credential_id)
        headers = request_headers(vendor, secret, attempt_id=attempt.attempt_id, request_id=exchange.call.request_id)
        return UpstreamCall(
            url=endpoint_url(vendor, credential.base_url, path),
            headers={**headers, **dict(encoded.headers)} if encoded.headers else headers,
            body=encoded.body,
            credential_owner=candidate.credential_owner,
            tenant_id=exchange.principal.tenant_id,
            on_sent=attempt.sent,
            timeouts=self._limits.timeouts(exchange.call.received_at, is_streamed=request.facts.is_streamed),
        )

    async def _exchange(
        self,
        exchange: Exchange,
        attempt: Attempt,
        call: UpstreamCall,
        interpreter: Interpreter,
        patience_s: float | None,
    ) -> Opened:
        """Send and read, as far as the whole answer or a stream's first content; that is what patience waits for."""
        if patience_s is None:
            return await self._send_and_read(exchange, attempt, call, interpreter)
        clock = asyncio.timeout(patience_s)
        try:
            async with clock:
                return await self._send_and_read(exchange, attempt, call, interpreter)
        except TimeoutError:
            if not clock.expired():
                raise
            raise UpstreamTimeout("first_token", patience_s) from None

    async def _send_and_read(
        self, exchange: Exchange, attempt: Attempt, call: UpstreamCall, interpreter: Interpreter
    ) -> Opened:
        response = await self._transport.send(call)
        try:
            return await self._read(exchange, attempt, response, interpreter)
        except BaseException:
            response.close()
            raise

    async def _read(
        self,
        exchange: Exchange,
        attempt: Attempt,
        response: UpstreamResponse | WrittenResponse,
        interpreter: Interpreter,
    ) -> Opened:
        request = exchange.request
        assert request is not None
        if response.status != 200:
            refusal = interpreter.decode_error(response.status, await response.read())
            refusal.retry_after_s = read_retry_after(response.headers)
            raise refusal
        attempt.is_accepted = True
        if request.facts.is_streamed:
            reader = interpreter.read_stream(wants_usage=request.body.wants_usage)
            return Opened(interpreter=interpreter, stream=await self._begin(attempt, response, reader))
        body = await response.read()
        answer = exchange.answer = interpreter.decode_answer(body)
        usage = answer.usage or estimated_usage(exchange, output_tokens=tokens_of(answer))
        exchange.attempts.append(attempt.end(Outcome.OK, usage=usage, answer=answer, http_status=200))
        return Opened(interpreter=interpreter, body=body)

    async def _begin(
        self, attempt: Attempt, response: UpstreamResponse | WrittenResponse, reader: StreamReader
    ) -> OpenStream:
        """Read on to the first content, so that what fails before it can still move to the next candidate."""
        chunks = response.chunks()
        first = b""
        async for chunk in chunks:
            first += reader.feed(chunk)
            if reader.failure is not None or reader.has_content:
                break
            if len(first) > BEFORE_CONTENT_BYTES_MAX:
                raise AnswerTooLarge(f"The provider sent {BEFORE_CONTENT_BYTES_MAX} bytes of a stream without content.")
        else:
            reader.close()
        if reader.failure is not None:
            raise reader.failure
        attempt.first_token_ms = int((monotonic() - attempt.started) * MS_PER_S)

        def report(error: BaseException | None) -> None:
            self._health.end(attempt.credential_id, attempt.model, monotonic(), error)

        return OpenStream(attempt=attempt, response=response, reader=reader, first=first, chunks=chunks, report=report)


def _patience_s(exchange: Exchange, this_try: Try) -> float | None:
    """How long the rule waits for a stream's first token; the last candidate has all the time there is."""
    decision, request = exchange.decision, exchange.request
    assert decision is not None
    assert request is not None
    if decision.first_token_ms_max is None or not request.facts.is_streamed or not this_try.has_next:
        return None
    return decision.first_token_ms_max / MS_PER_S


def _attempt(exchange: Exchange, this_try: Try) -> Attempt:
    return Attempt(
        attempt_id=uuid7(),
        number=len(exchange.attempts) + 1,
        ranked=this_try.ranked,
        credential_id=this_try.credential.credential_id,
        started_at=datetime.now(UTC),
        started=monotonic(),
    )
