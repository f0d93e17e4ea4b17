"""Serve one chat call over any wire: find its fault, answer whole or as a stream, and write its entry in the log.

Called by the application per request. Invariant: an entry is written when the call ends, however it ends.
"""

from datetime import UTC, datetime
from typing import Final

import msgspec

from app.sandbox.answers import REFUSED, answer, cached_tokens, call_id
from app.sandbox.calls import CallEntry, CallLog, CallOutcome
from app.sandbox.errors import CallerGone, ConnectionDropped, RequestRefused
from app.sandbox.exchange import Exchange
from app.sandbox.faults import (
    DELAY_MS_DEFAULT,
    Fault,
    FaultKind,
    FaultPlan,
    fault_in_text,
    fault_in_word,
    split_model,
)
from app.sandbox.models import SANDBOX_MODELS, SandboxModel
from app.sandbox.wire import Answered, Asked, Event, Refusal, Wire
from billing import Usage

HANG_S_MAX: Final = 600.0
# A sleep shorter than this costs more than it waits; a stream catches up instead.
PAUSE_S_MIN: Final = 0.004
# So that a caller who left is noticed also in a stream that never waits.
EVENTS_WITHOUT_PAUSE_MAX: Final = 8
WRONG_USAGE_FACTOR: Final = 1_000
RETRY_AFTER_S_DEFAULT: Final = 1
STREAM_ERROR: Final = "Simulated error in a stream."
_RETRIABLE: Final = (FaultKind.RATE_LIMITED, FaultKind.OVERLOADED)
_HALF_WAY: Final = (FaultKind.CUT, FaultKind.STALL, FaultKind.LATE_ERROR_EVENT, FaultKind.MALFORMED)
_STREAM_HEADERS: Final = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}


class ChatCall:
    """One call that asks a model for an answer."""

    def __init__(self, calls: CallLog, faults: FaultPlan, exchange: Exchange, wire: Wire, *, time_scale: float) -> None:
        self._calls = calls
        self._faults = faults
        self._exchange = exchange
        self._wire = wire
        self._time_scale = time_scale
        self._is_logged = False
        self._entry = CallEntry(
            sequence=calls.next_sequence(),
            call_id="",
            attempt_id=exchange.header("x-signalbox-attempt-id"),
            request_id=exchange.header("x-signalbox-request-id"),
            provider_name=wire.provider_name,
            model="",
            is_streamed=False,
            started_at=datetime.now(UTC),
        )
        self._request_id = f"req_{call_id(str(self._entry.sequence), str(self._entry.started_at))}"
        self._headers = {wire.request_id_header: self._request_id}

    async def serve(self, body: bytes) -> None:
        """Answer, and log what became of it."""
        try:
            await self._serve(body)
        except CallerGone:
            self._log(CallOutcome.CLIENT_GONE)
        except ConnectionDropped:
            self._log(CallOutcome.FAILED)
            raise
        finally:
            self._log(CallOutcome.FAILED)  # cancelled, because the server stops
            await self._exchange.end()

    async def _serve(self, body: bytes) -> None:
        entry = self._entry
        try:
            asked = self._wire.read(body, self._exchange.headers)
        except RequestRefused as refused:
            await self._refuse(self._refusal(FaultKind.BAD_REQUEST, str(refused), param=refused.param))
            return
        entry.model, fault = split_model(asked.request_model)
        entry.is_streamed = asked.is_streamed
        model = SANDBOX_MODELS.get(entry.model)
        if model is None:
            known = ", ".join(SANDBOX_MODELS)
            message = f"The model '{asked.request_model[:64]}' does not exist in the sandbox. It has: {known}."
            await self._refuse(self._refusal(FaultKind.NOT_FOUND, message))
            return
        fault = fault or self._fault_of(asked)
        entry.fault = fault.kind.value if fault else None
        if asked.prompt.input_tokens > model.context_tokens:
            fault = Fault(FaultKind.CONTEXT)
        entry.call_id = self._wire.call_id_prefix + call_id(*asked.prompt.texts, model.name, str(entry.sequence))
        if not await self._fails_before_content(model, asked, fault):
            await self._answer(model, asked, fault)

    def _fault_of(self, asked: Asked) -> Fault | None:
        names = {"provider_name": self._wire.provider_name, "model": self._entry.model}
        return (
            fault_in_word(self._exchange.header("x-sandbox-fault"))
            or fault_in_word(asked.fault_word)
            or fault_in_text(reversed(asked.prompt.texts), **names)
            or self._faults.next_fault(**names)
        )

    async def _fails_before_content(self, model: SandboxModel, asked: Asked, fault: Fault | None) -> bool:
        """Play the faults that leave no answer; True if one did."""
        if fault is None:
            return False
        match fault.kind:
            case FaultKind.HANG:
                await self._exchange.wait(HANG_S_MAX)
                return True
            case FaultKind.DELAY:
                await self._exchange.wait((fault.value or DELAY_MS_DEFAULT) / 1000)
        refusal = self._wire.refusals.get(fault.kind)
        if refusal is None:
            return False
        message = refusal.message.format(
            input_tokens=max(asked.prompt.input_tokens, model.context_tokens + 1), context_tokens=model.context_tokens
        )
        headers = {}
        if fault.kind in _RETRIABLE:
            headers["retry-after"] = str(RETRY_AFTER_S_DEFAULT if fault.value is None else fault.value)
        await self._refuse(msgspec.structs.replace(refusal, message=message), headers)
        return True

    def _refusal(self, kind: FaultKind, message: str, *, param: str | None = None) -> Refusal:
        refusal = self._wire.refusals[kind]
        return msgspec.structs.replace(refusal, message=message, param=param or refusal.param)

    async def _refuse(self, refusal: Refusal, headers: dict[str, str] | None = None) -> None:
        self._entry.http_status, self._entry.generated_tokens = refusal.status, 0
        self._log_whole(CallOutcome.REFUSED)
        body = self._wire.encode_error(refusal, self._request_id)
        await self._exchange.respond(refusal.status, body, self._headers | (headers or {}))

    async def _answer(self, model: SandboxModel, asked: Asked, fault: Fault | None) -> None:
        kind = fault.kind if fault else None
        choices = tuple(
            # A wire without a word for this refusal answers with it.
            REFUSED if kind is FaultKind.CONTENT else answer(model, asked.prompt, choice=number)
            for number in range(asked.choice_count)
        )
        self._entry.reasoning_tokens = sum(len(choice.thinking) for choice in choices)
        usage = self._account(asked, sum(choice.output_tokens() for choice in choices), fault)
        answered = Answered(
            call_id=self._entry.call_id,
            model=model.name,
            asked=asked,
            choices=choices,
            usage=None if kind is FaultKind.NO_USAGE else usage,
        )
        if asked.is_streamed:
            await self._stream(model, answered, fault)
        else:
            await self._answer_whole(model, answered, fault)

    def _account(self, asked: Asked, output_tokens: int, fault: Fault | None) -> Usage:
        """Write into the entry what the answer will count when it is whole."""
        factor = WRONG_USAGE_FACTOR if fault and fault.kind is FaultKind.WRONG_USAGE else 1
        entry, input_tokens = self._entry, asked.prompt.input_tokens
        entry.input_tokens, entry.output_tokens = input_tokens * factor, output_tokens * factor
        entry.cached_tokens = cached_tokens(input_tokens)
        return entry.usage()

    def _log_whole(self, outcome: CallOutcome) -> None:
        """Log before the last byte is sent, so that who has the answer finds its entry. Raises CallerGone."""
        self._exchange.raise_if_gone()
        self._entry.is_fully_delivered = True
        self._log(outcome)

    def _log(self, outcome: CallOutcome) -> None:
        """Write the entry, the first time this is called.

        Charges as vendors do: a whole answer by its usage, a part by what was generated, an error nothing.
        """
        if self._is_logged:
            return
        self._is_logged = True
        entry = self._entry
        entry.outcome = outcome
        if outcome is not CallOutcome.ANSWERED:
            entry.output_tokens = entry.generated_tokens
            entry.reasoning_tokens = min(entry.reasoning_tokens, entry.generated_tokens)
        if outcome is CallOutcome.ANSWERED or entry.generated_tokens > 0:
            entry.cost_nano_usd = SANDBOX_MODELS[entry.model].cost_nano_usd(entry.usage())
        self._calls.write(entry)

    async def _answer_whole(self, model: SandboxModel, answered: Answered, fault: Fault | None) -> None:
        entry, kind = self._entry, fault.kind if fault else None
        entry.generated_tokens = sum(choice.output_tokens() for choice in answered.choices)
        tokens_s = entry.generated_tokens / model.tokens_per_s
        await self._exchange.wait(_slow_s(fault) + (model.first_token_ms / 1000 + tokens_s) * self._time_scale)
        if kind in (FaultKind.ERROR_EVENT, FaultKind.LATE_ERROR_EVENT):
            await self._refuse(self._wire.refusals[FaultKind.SERVER])
            return
        body = self._wire.encode_answer(answered)
        entry.http_status = 200
        if kind in (FaultKind.CUT, FaultKind.STALL):
            headers = {"content-type": "application/json", "content-length": str(len(body)), **self._headers}
            await self._exchange.start(200, headers)
            await self._exchange.write(body[: len(body) // 2])
            if kind is FaultKind.STALL:
                await self._exchange.wait(HANG_S_MAX)
            raise ConnectionDropped
        if kind is FaultKind.MALFORMED:
            body = body[: len(body) // 2]
        self._log_whole(CallOutcome.FAILED if kind is FaultKind.MALFORMED else CallOutcome.ANSWERED)
        await self._exchange.respond(200, body, self._headers)

    async def _stream(self, model: SandboxModel, answered: Answered, fault: Fault | None) -> None:
        kind = fault.kind if fault else None
        self._entry.http_status = 200
        await self._exchange.start(200, _STREAM_HEADERS | self._headers)
        if opening := self._wire.encode_opening(answered):
            await self._exchange.write(opening)
        await self._exchange.wait(_slow_s(fault) + model.first_token_ms / 1000 * self._time_scale)
        if kind is not FaultKind.ERROR_EVENT:
            events = self._wire.encode_events(answered)
            await self._write_events(model, _first_half(events) if kind in _HALF_WAY else events)
        match kind:
            case FaultKind.CUT:
                raise ConnectionDropped
            case FaultKind.STALL:
                await self._exchange.wait(HANG_S_MAX)
                return
            case FaultKind.ERROR_EVENT | FaultKind.LATE_ERROR_EVENT:
                error = self._refusal(FaultKind.OVERLOADED, STREAM_ERROR)
                outcome, end = CallOutcome.FAILED, self._wire.encode_error_event(error, self._request_id)
            case FaultKind.MALFORMED:
                outcome, end = CallOutcome.FAILED, self._wire.broken_event
            case _:
                outcome, end = CallOutcome.ANSWERED, self._wire.encode_ending(answered)
        self._log_whole(outcome)
        await self._exchange.write(end, is_last=True)

    async def _write_events(self, model: SandboxModel, events: list[Event]) -> None:
        owed_s = 0.0
        for number, (event, tokens) in enumerate(events):
            owed_s += tokens / model.tokens_per_s * self._time_scale
            if owed_s >= PAUSE_S_MIN or number % EVENTS_WITHOUT_PAUSE_MAX == 0:
                await self._exchange.wait(owed_s)
                owed_s = 0.0
            await self._exchange.write(event)
            self._entry.generated_tokens += tokens


def _slow_s(fault: Fault | None) -> float:
    if fault is None or fault.kind is not FaultKind.SLOW:
        return 0.0
    return (fault.value or DELAY_MS_DEFAULT) / 1000


def _first_half(events: list[Event]) -> list[Event]:
    """The events that bring the first half of the tokens, and one token at least."""
    total, sent = sum(tokens for _, tokens in events), 0
    for number, (_, tokens) in enumerate(events, 1):
        sent += tokens
        if sent * 2 >= max(total, 1):
            return events[:number]
    return events
