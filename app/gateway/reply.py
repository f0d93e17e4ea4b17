"""Steps 6 and 7: the reply with its headers; a stream that is settled before its last bytes leave."""

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

from app.gateway.attempts import Opened, OpenStream
from app.gateway.call import Headers, Reply
from app.gateway.charges import estimated_usage
from app.gateway.errors import StreamBroken
from app.gateway.exchange import Exchange
from app.gateway.settlement import Settlement
from app.providers import Answer, Cost, UpstreamError, usd
from app.routing import route_header
from billing import Admission, Outcome, RateState, Usage

JSON: Final = (b"content-type", b"application/json")
EVENT_STREAM: Final = (b"content-type", b"text/event-stream; charset=utf-8")
DROPPED_CHARACTERS_MAX: Final = 1_024
DROPPED_NAME_CHARACTERS_MAX: Final = 64
# What parts a list, or cannot stand in a header.
_NO_WORD_OF_A_LIST: Final = re.compile(r"[^!-+\--~]")
NOT_STORED: Final = (b"cache-control", b"no-store")


def whole_reply(exchange: Exchange, opened: Opened) -> Reply:
    """The reply to a request that was answered whole and is settled."""
    cost = cost_of(exchange)
    headers = [JSON, NOT_STORED, *decision_headers(exchange)]
    if cost.billed_nano_usd is not None:
        headers.append((b"x-signalbox-cost-usd", usd(cost.billed_nano_usd)))
    if cost.saved_nano_usd is not None:
        headers.append((b"x-signalbox-saved-usd", usd(cost.saved_nano_usd)))
    body = opened.interpreter.write_answer(opened.body, exchange.attempts[-1].usage, cost)
    return Reply(status=200, headers=headers, body=body)


def count_reply(exchange: Exchange, counted: int | None) -> Reply:
    """The reply to a question for a number of tokens; None: the provider did not count, and a header says so."""
    assert exchange.request is not None
    count = exchange.request.facts.input_tokens_estimate if counted is None else counted
    headers = [JSON, NOT_STORED, *decision_headers(exchange)]
    if counted is None:
        headers.append((b"x-signalbox-estimated", b"true"))
    return Reply(status=200, headers=headers, body=b'{"input_tokens":%d}' % count)


async def stream_reply(exchange: Exchange, stream: OpenStream, settlement: Settlement) -> Reply:
    """The reply to a request whose stream has begun. Its cost stands in the last chunk."""
    headers = [EVENT_STREAM, NOT_STORED, *decision_headers(exchange)]
    relay = _relay(exchange, stream, settlement)
    # Entered here, because closing a generator that never ran would neither settle nor close the upstream.
    await anext(relay)
    return Reply(status=200, headers=headers, stream=relay)


async def _relay(exchange: Exchange, stream: OpenStream, settlement: Settlement) -> AsyncGenerator[bytes, None]:
    """Pass the stream on; settle once, before its last bytes or when it ends before them."""
    is_settled = False
    try:
        yield b""
        yield stream.first
        failure: UpstreamError | None = None
        try:
            async with aclosing(_forwarded(stream)) as forwarded:
                async for passed in forwarded:
                    yield passed
        except UpstreamError as error:
            failure = error
        usage = _end(exchange, stream, failure)
        stream.report(failure)
        broken = StreamBroken(f"The answer broke off: {failure} What was sent so far is billed.") if failure else None
        is_settled = True
        await settlement.settle(exchange.record(Outcome.INTERRUPTED if broken else Outcome.OK, 200, broken))
        if broken:
            yield exchange.call.error_event(broken, exchange.call.request_id)
        else:
            yield stream.reader.ending(usage, cost_of(exchange))
    finally:
        stream.response.close()
        if not is_settled:
            # The client hung up: what was generated so far is charged by our own count.
            stream.report(asyncio.CancelledError())
            _end(exchange, stream, None, is_abandoned=True)
            await settlement.settle(exchange.record(Outcome.INTERRUPTED, 200))


async def _forwarded(stream: OpenStream) -> AsyncGenerator[bytes, None]:
    """What the reader lets through, to the stream's end. Raises UpstreamError when it breaks."""
    reader = stream.reader
    async for chunk in stream.chunks:
        passed = reader.feed(chunk)
        if passed:
            yield passed
        if reader.failure is not None:
            raise reader.failure
    reader.close()
    if reader.failure is not None:
        raise reader.failure


def _end(exchange: Exchange, stream: OpenStream, failure: UpstreamError | None, *, is_abandoned: bool = False) -> Usage:
    reader = stream.reader
    usage = reader.usage or estimated_usage(exchange, output_tokens=reader.output_tokens_estimate())
    answer = exchange.answer = Answer(
        usage=usage, finish_reason=reader.finish_reason, response_id=reader.response_id, model=reader.model
    )
    exchange.attempts.append(
        stream.attempt.end(
            Outcome.INTERRUPTED if failure or is_abandoned else Outcome.OK,
            usage=usage,
            answer=answer,
            http_status=200,
            error_type=failure.kind if failure else None,
            error_message=str(failure) if failure else None,
        )
    )
    return usage


def cost_of(exchange: Exchange) -> Cost:
    """What the caller is told of its cost."""
    billed, baseline = exchange.billed_nano_usd(), exchange.baseline_nano_usd()
    return Cost(billed_nano_usd=billed, saved_nano_usd=None if baseline is None else baseline - billed)


def decision_headers(exchange: Exchange) -> Headers:
    """The headers that every reply carries, as far as the request came: ids, route, attempts, rate."""
    call = exchange.call
    headers: Headers = [(b"x-signalbox-request-id", str(call.request_id).encode())]
    headers.append((b"x-request-id", (call.client_request_id or str(call.request_id)).encode()))
    headers.append((b"request-id", headers[0][1]))  # where Anthropic's SDKs look
    if exchange.served_by is not None:
        headers.append((b"x-signalbox-model", exchange.served_by.model.encode()))
        headers.append((b"x-signalbox-provider", exchange.served_by.provider_name.encode()))
    if exchange.decision is not None:
        headers.append((b"x-signalbox-route", route_header(exchange.decision).encode("ascii", "replace")))
        headers.append((b"x-signalbox-overhead-ms", f"{exchange.overhead_ms():.2f}".encode()))
        if any(ranked.is_output_shrunk for ranked in exchange.decision.ranked[:1]):
            headers.append((b"x-signalbox-output-tokens-limit", _shrunk_limit(exchange)))
    if exchange.dropped_params and exchange.served_by is not None:
        headers.append((b"x-signalbox-dropped-params", dropped_header(exchange.dropped_params)))
    # The attempt of a stream that has begun is kept when the stream ends.
    attempts_made = len(exchange.attempts) + (1 if exchange.answer is None and exchange.served_by else 0)
    if attempts_made:
        headers.append((b"x-signalbox-attempts", str(attempts_made).encode()))
    if exchange.admission is not None:
        headers.extend(rate_headers(exchange.admission, exchange.rates))
    return headers


def dropped_header(names: Sequence[str]) -> bytes:
    """Names of fields as a list in one header of bounded length. A caller may name a field as it likes."""
    listed: list[str] = []
    room = DROPPED_CHARACTERS_MAX
    for name in names:
        word = _NO_WORD_OF_A_LIST.sub("?", name[:DROPPED_NAME_CHARACTERS_MAX])
        room -= len(word) + 1
        if room < 0:
            return f"{','.join(listed)},+{len(names) - len(listed)}".encode()
        listed.append(word)
    return ",".join(listed).encode()


def rate_headers(admission: Admission, rates: Sequence[RateState]) -> Headers:
    """The rates in OpenAI's spelling: of the plan's and the tenant's own the tightest, for requests and for tokens."""
    plans = RateState(
        is_of_tokens=False,
        limit_count=admission.rate_limit,
        remaining=admission.rate_remaining,
        reset_ms=admission.rate_reset_ms,
    )
    headers = _tightest([plans, *(rate for rate in rates if not rate.is_of_tokens)], b"requests")
    of_tokens = [rate for rate in rates if rate.is_of_tokens]
    return headers + _tightest(of_tokens, b"tokens") if of_tokens else headers


def _tightest(rates: Sequence[RateState], unit: bytes) -> Headers:
    rate = min(rates, key=lambda each: each.remaining) if len(rates) > 1 else rates[0]
    return [
        (b"x-ratelimit-limit-" + unit, str(rate.limit_count).encode()),
        (b"x-ratelimit-remaining-" + unit, str(rate.remaining).encode()),
        (b"x-ratelimit-reset-" + unit, f"{rate.reset_ms}ms".encode()),
    ]


def _shrunk_limit(exchange: Exchange) -> bytes:
    assert exchange.decision is not None
    return str(exchange.decision.ranked[0].output_tokens_limit).encode()
