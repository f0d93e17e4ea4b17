"""Serve one chat call: find its fault, answer whole or as a stream, and write its entry in the log.

Called by the application per request. Invariant: an entry is written when the call ends, however it ends.
"""

import json
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from app.sandbox.answers import Choice, Prompt, answer, cached_tokens, call_id
from app.sandbox.calls import CallEntry, CallLog, CallOutcome
from app.sandbox.errors import CallerGone, ConnectionDropped
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
from app.sandbox.openai_wire import (
    ChatRequest,
    encode_answer,
    encode_chunks,
    encode_error,
    encode_event,
    encode_usage_chunk,
    read_prompt,
)
from billing import Usage

HANG_S_MAX: Final = 600.0
# A sleep shorter than this costs more than it waits; a stream catches up instead.
PAUSE_S_MIN: Final = 0.004
# So that a caller who left is noticed also in a stream that never waits.
EVENTS_WITHOUT_PAUSE_MAX: Final = 8
CHOICES_MAX: Final = 128
WRONG_USAGE_FACTOR: Final = 1_000

# kind: (status, error type, code, message)
_REFUSALS: Final[dict[FaultKind, tuple[int, str, str | None, str]]] = {
    FaultKind.BAD_REQUEST: (400, "invalid_request_error", "invalid_value", "Simulated invalid request."),
    FaultKind.UNAUTHORIZED: (401, "invalid_request_error", "invalid_api_key", "Simulated wrong key."),
    FaultKind.CONTEXT: (400, "invalid_request_error", "context_length_exceeded", "Simulated context overflow."),
    FaultKind.CONTENT: (400, "invalid_request_error", "content_policy_violation", "Simulated content refusal."),
    FaultKind.RATE_LIMITED: (429, "requests", "rate_limit_exceeded", "Simulated rate limit."),
    FaultKind.OUT_OF_CREDIT: (429, "insufficient_quota", "insufficient_quota", "Simulated empty account."),
    FaultKind.SERVER: (500, "server_error", None, "Simulated server error."),
    FaultKind.OVERLOADED: (503, "server_error", "overloaded", "Simulated overload."),
}
_ERROR_EVENT: Final = encode_event(encode_error("Simulated error in a stream.", "server_error", "overloaded"))
_BROKEN_EVENT: Final = b'data: {"id": "chatcmpl-\n\ndata: [DONE]\n\n'
_HALF_WAY: Final = (FaultKind.CUT, FaultKind.STALL, FaultKind.LATE_ERROR_EVENT, FaultKind.MALFORMED)
_STREAM_HEADERS: Final = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}
RETRY_AFTER_S_DEFAULT: Final = 1


class ChatCall:
    """One call of `/v1/chat/completions`."""

    def __init__(self, calls: CallLog, faults: FaultPlan, exchange: Exchange, *, time_scale: float) -> None:
        self._calls = calls
        self._faults = faults
        self._exchange = exchange
        self._time_scale = time_scale
        self._is_logged = False
        self._entry = CallEntry(
            sequence=calls.next_sequence(),
            call_id="",
            attempt_id=exchange.header("x-signalbox-attempt-id"),
            request_id=exchange.header("x-signalbox-request-id"),
            model="",
            is_streamed=False,
            started_at=datetime.now(UTC),
        )

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
            request = msgspec.json.decode(body, type=ChatRequest)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            await self._refuse(400, encode_error(f"Invalid body: {error}", "invalid_request_error"))
            return
        entry.model, fault = split_model(request.model)
        entry.is_streamed = request.stream
        model = SANDBOX_MODELS.get(entry.model)
        if model is None or not 1 <= (request.n or 1) <= CHOICES_MAX:
            await self._refuse(*_unusable(request, model))
            return
        fault = fault or self._fault_of(request)
        entry.fault = fault.kind.value if fault else None
        prompt = read_prompt(request)
        if prompt.input_tokens > model.context_tokens:
            fault = Fault(FaultKind.CONTEXT)
        entry.call_id = "chatcmpl-" + call_id(*prompt.texts, model.name, str(entry.sequence))
        if not await self._fails_before_content(fault):
            await self._answer(model, prompt, request, fault)

    def _fault_of(self, request: ChatRequest) -> Fault | None:
        return (
            fault_in_word(self._exchange.header("x-sandbox-fault"))
            or fault_in_word((request.metadata or {}).get("sandbox_fault"))
            or fault_in_text(reversed(request.texts()), self._entry.model)
            or self._faults.next_fault(self._entry.model)
        )

    async def _fails_before_content(self, fault: Fault | None) -> bool:
        """Play the faults that leave no answer; True if one did."""
        if fault is None:
            return False
        match fault.kind:
            case FaultKind.HANG:
                await self._exchange.wait(HANG_S_MAX)
                return True
            case FaultKind.DELAY:
                await self._exchange.wait((fault.value or DELAY_MS_DEFAULT) / 1000)
        if fault.kind not in _REFUSALS:
            return False
        status, kind, code, message = _REFUSALS[fault.kind]
        headers = {}
        if fault.kind in (FaultKind.RATE_LIMITED, FaultKind.OVERLOADED):
            headers["retry-after"] = str(RETRY_AFTER_S_DEFAULT if fault.value is None else fault.value)
        await self._refuse(status, encode_error(message, kind, code), headers)
        return True

    async def _refuse(self, status: int, error: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self._entry.http_status, self._entry.generated_tokens = status, 0
        self._log_whole(CallOutcome.REFUSED)
        await self._exchange.respond(status, msgspec.json.encode(error), headers)

    async def _answer(self, model: SandboxModel, prompt: Prompt, request: ChatRequest, fault: Fault | None) -> None:
        choices = [answer(model, prompt, choice=number) for number in range(request.n or 1)]
        usage = self._account(prompt, sum(choice.output_tokens() for choice in choices), fault)
        kind = fault.kind if fault else None
        if not request.stream:
            await self._answer_whole(model, choices, None if kind is FaultKind.NO_USAGE else usage, fault)
            return
        events = encode_chunks(self._entry.call_id, model.name, choices, has_usage_field=request.wants_usage)
        has_usage = request.wants_usage and kind is not FaultKind.NO_USAGE
        last = (encode_usage_chunk(self._entry.call_id, model.name, usage) if has_usage else b"") + b"data: [DONE]\n\n"
        await self._stream(model, events, last, fault)

    def _account(self, prompt: Prompt, output_tokens: int, fault: Fault | None) -> Usage:
        """Write into the entry what the answer will count when it is whole."""
        factor = WRONG_USAGE_FACTOR if fault and fault.kind is FaultKind.WRONG_USAGE else 1
        entry = self._entry
        entry.input_tokens, entry.output_tokens = prompt.input_tokens * factor, output_tokens * factor
        entry.cached_tokens = cached_tokens(prompt.input_tokens)
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
        if entry.generated_tokens > 0:
            entry.cost_nano_usd = SANDBOX_MODELS[entry.model].cost_nano_usd(entry.usage())
        self._calls.write(entry)

    async def _answer_whole(
        self, model: SandboxModel, choices: list[Choice], usage: Usage | None, fault: Fault | None
    ) -> None:
        entry, kind = self._entry, fault.kind if fault else None
        entry.generated_tokens = sum(choice.output_tokens() for choice in choices)
        slow_s = self._slow_s(fault)
        tokens_s = entry.generated_tokens / model.tokens_per_s
        await self._exchange.wait(slow_s + (model.first_token_ms / 1000 + tokens_s) * self._time_scale)
        if kind in (FaultKind.ERROR_EVENT, FaultKind.LATE_ERROR_EVENT):
            await self._refuse(500, encode_error("Simulated server error.", "server_error"))
            return
        body = encode_answer(entry.call_id, model.name, choices, usage)
        entry.http_status = 200
        if kind in (FaultKind.CUT, FaultKind.STALL):
            await self._exchange.start(200, {"content-type": "application/json", "content-length": str(len(body))})
            await self._exchange.write(body[: len(body) // 2])
            if kind is FaultKind.STALL:
                await self._exchange.wait(HANG_S_MAX)
            raise ConnectionDropped
        if kind is FaultKind.MALFORMED:
            body = body[: len(body) // 2]
        self._log_whole(CallOutcome.FAILED if kind is FaultKind.MALFORMED else CallOutcome.ANSWERED)
        await self._exchange.respond(200, body)

    async def _stream(
        self, model: SandboxModel, events: list[tuple[bytes, int]], last: bytes, fault: Fault | None
    ) -> None:
        kind = fault.kind if fault else None
        self._entry.http_status = 200
        await self._exchange.start(200, _STREAM_HEADERS)
        await self._exchange.wait(self._slow_s(fault) + model.first_token_ms / 1000 * self._time_scale)
        if kind is not FaultKind.ERROR_EVENT:
            await self._write_events(model, events[: max(2, len(events) // 2)] if kind in _HALF_WAY else events)
        match kind:
            case FaultKind.CUT:
                raise ConnectionDropped
            case FaultKind.STALL:
                await self._exchange.wait(HANG_S_MAX)
                return
            case FaultKind.ERROR_EVENT | FaultKind.LATE_ERROR_EVENT:
                outcome, end = CallOutcome.FAILED, _ERROR_EVENT
            case FaultKind.MALFORMED:
                outcome, end = CallOutcome.FAILED, _BROKEN_EVENT
            case _:
                outcome, end = CallOutcome.ANSWERED, last
        self._log_whole(outcome)
        await self._exchange.write(end, is_last=True)

    async def _write_events(self, model: SandboxModel, events: list[tuple[bytes, int]]) -> None:
        owed_s = 0.0
        for number, (event, tokens) in enumerate(events):
            owed_s += tokens / model.tokens_per_s * self._time_scale
            if owed_s >= PAUSE_S_MIN or number % EVENTS_WITHOUT_PAUSE_MAX == 0:
                await self._exchange.wait(owed_s)
                owed_s = 0.0
            await self._exchange.write(event)
            self._entry.generated_tokens += tokens

    def _slow_s(self, fault: Fault | None) -> float:
        if fault is None or fault.kind is not FaultKind.SLOW:
            return 0.0
        return (fault.value or DELAY_MS_DEFAULT) / 1000


def _unusable(request: ChatRequest, model: SandboxModel | None) -> tuple[int, dict[str, Any]]:
    if model is None:
        known = ", ".join(SANDBOX_MODELS)
        message = f"The model {json.dumps(request.model[:64])} does not exist in the sandbox. It has: {known}."
        return 404, encode_error(message, "invalid_request_error", "model_not_found", "model")
    return 400, encode_error(f"'n' must be between 1 and {CHOICES_MAX}.", "invalid_request_error", param="n")
