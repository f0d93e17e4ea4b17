"""A stream in OpenAI's words, read event by event into the common form and written from it.

Called by `TranslatingReader`, one of each per attempt. Invariants: the writer's bytes do not depend on how the
deltas were grouped; usage and `[DONE]` are withheld until `ending`.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Final, assert_never

import msgspec

from app.providers.dialects.completion import (
    Delta,
    Finish,
    Finished,
    KeepAlive,
    RedactedDelta,
    RefusalDelta,
    SignatureDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ToolArgumentsDelta,
    ToolCallStarted,
)
from app.providers.dialects.conversation import Text
from app.providers.dialects.fields import NULL, UNREADABLE, encode
from app.providers.dialects.openai.answer import decode_error, decode_usage, usage_with_cost
from app.providers.dialects.openai.completion import (
    Piece,
    own_call_id,
    own_response_id,
    read_finish,
    read_pieces,
    write_finish,
)
from app.providers.dialects.openai.reasoning import ENCRYPTED, TEXT, ReasoningDetail
from app.providers.dialects.sse import Event
from app.providers.dialects.values import Cost
from app.providers.errors import AnswerMalformed, UpstreamError, UpstreamRefused
from billing import Usage

_DONE: Final = b"[DONE]"
_NO_ERROR: Final = (NULL, msgspec.Raw(b'""'), msgspec.Raw(b"[]"))
_KEEP_ALIVE: Final = b": keep-alive\n\n"


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | dict[str, msgspec.Raw] | None = None


class _ToolCall(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct):
    content: str | list[Piece] | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    reasoning_details: list[ReasoningDetail] | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    created: int | None = None
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = NULL
    error: msgspec.Raw = NULL


_decode: Final = msgspec.json.Decoder(_Chunk).decode


class OpenAIDeltaReader:
    """The DeltaReader of OpenAI's dialect. Reads the first choice; a request for more is not translated."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.failure: UpstreamError | None = None
        self.is_done = False
        self._has_started = False
        self._has_finished = False
        self._has_refused = False
        self._call_ids: list[str | None] = []  # by position
        self._position_by_index: dict[int | None, int] = {}

    def read(self, event: Event) -> Sequence[Delta]:
        """The deltas of one event; empty, and `failure` set, when it is an error or makes no sense."""
        if not event.data:
            return (KeepAlive(),)
        if event.data == _DONE:
            self.is_done = True
            # Some vendors give no reason in the end.
            return () if self._has_finished or not self._has_started else (self._finished(None),)
        try:
            chunk = _decode(event.data)
            if chunk.error not in _NO_ERROR:
                raise decode_error(200, event.data)
            return list(self._chunk(chunk))
        except UpstreamRefused as refused:
            self.failure = refused
        except UNREADABLE:
            self.failure = AnswerMalformed("An event of the provider's stream is not a chat completion chunk.")
        return ()

    def _chunk(self, chunk: _Chunk) -> Iterator[Delta]:
        if chunk.usage != NULL:
            self.usage = decode_usage(chunk.usage) or self.usage
        if not self._has_started:
            self._has_started = True
            yield Started(chunk.id, chunk.model, chunk.created)
        for choice in chunk.choices or ():
            if choice.index != 0 or self._has_finished:
                continue
            if choice.delta is not None:
                yield from self._said(choice.delta)
            if choice.finish_reason is not None:
                yield self._finished(choice.finish_reason)

    def _said(self, delta: _Delta) -> Iterator[Delta]:
        details = delta.reasoning_details or ()
        thought = delta.reasoning_content or delta.reasoning
        if thought and not any(detail.text or detail.summary for detail in details):
            yield ThinkingDelta(thought)
        yield from _reasoned(details)
        if delta.content:
            if isinstance(delta.content, str):
                yield TextDelta(delta.content)
            else:
                for part in read_pieces(delta.content):
                    yield TextDelta(part.text) if isinstance(part, Text) else ThinkingDelta(part.text)
        if delta.refusal:
            self._has_refused = True
            yield RefusalDelta(delta.refusal)
        for call in delta.tool_calls or ():
            yield from self._called(call)
        if delta.function_call is not None:
            yield from self._called(_ToolCall(function=delta.function_call))

    def _called(self, call: _ToolCall) -> Iterator[Delta]:
        function = call.function or _Function()
        position = self._position_by_index.get(call.index)
        # Some vendors give every call the index 0, or none: then a new id begins a new call.
        if position is None or (call.id and function.name and call.id != self._call_ids[position]):
            position = len(self._call_ids)
            self._call_ids.append(call.id)
            self._position_by_index[call.index] = position
            yield ToolCallStarted(position, call.id or own_call_id(position), function.name or "")
        arguments = function.arguments
        if text := encode(arguments).decode() if isinstance(arguments, dict) else arguments:
            yield ToolArgumentsDelta(position, text)

    def _finished(self, word: str | None) -> Finished:
        finish = read_finish(word, has_calls=bool(self._call_ids), has_refused=self._has_refused)
        self._has_finished = True
        return Finished(finish)


def _reasoned(details: Sequence[ReasoningDetail]) -> Iterator[Delta]:
    for detail in details:
        if detail.type == ENCRYPTED:
            if detail.data:
                yield RedactedDelta(detail.data)
            continue
        if text := detail.text or detail.summary:
            yield ThinkingDelta(text)
        if detail.signature:
            yield SignatureDelta(detail.signature)


class OpenAIDeltaWriter:
    """The DeltaWriter of OpenAI's dialect. `clock` dates a stream that the provider did not date."""

    def __init__(self, *, wants_usage: bool, clock: Callable[[], float] = time.time) -> None:
        self._wants_usage = wants_usage
        self._clock = clock
        self._head = b""  # of every chunk, up to its choices; empty: not begun
        self._reasoning_index = 0
        self._is_reasoning_open = False

    def write(self, deltas: Sequence[Delta]) -> bytes:
        """Whole events for the caller."""
        return b"".join([self._event(delta) for delta in deltas])

    def ending(self, usage: Usage, cost: Cost) -> bytes:
        """The usage chunk with the amounts, if the caller asked for it, and `[DONE]`."""
        last = b"data: [DONE]\n\n"
        if self._wants_usage:
            counts = encode(usage_with_cost(usage, cost))
            last = self._begun() + self._head + b'"choices":[],"usage":' + counts + b"}\n\n" + last
        return last

    def _event(self, delta: Delta) -> bytes:
        match delta:
            case TextDelta():
                return self._said(b'"content":' + encode(delta.text))
            case ToolArgumentsDelta():
                call = b'"tool_calls":[{"index":%d,"function":{"arguments":%b}}]'
                return self._said(call % (delta.position, encode(delta.json_text)))
            case ThinkingDelta():
                text = encode(delta.text)
                detail = ReasoningDetail(TEXT, index=self._opened_reasoning(), text=delta.text)
                return self._chunk(b'"reasoning_content":' + text + b',"reasoning_details":[' + encode(detail) + b"]")
            case SignatureDelta():
                detail = ReasoningDetail(TEXT, index=self._opened_reasoning(), signature=delta.signature)
                self._close_reasoning()
                return self._chunk(b'"reasoning_details":[' + encode(detail) + b"]")
            case RedactedDelta():
                self._close_reasoning()
                detail = ReasoningDetail(ENCRYPTED, index=self._opened_reasoning(), data=delta.data)
                self._close_reasoning()
                return self._chunk(b'"reasoning_details":[' + encode(detail) + b"]")
            case ToolCallStarted():
                call = b'"tool_calls":[{"index":%d,"id":%b,"type":"function","function":{"name":%b,"arguments":""}}]'
                return self._said(call % (delta.position, encode(delta.tool_call_id), encode(delta.name)))
            case RefusalDelta():
                return self._said(b'"refusal":' + encode(delta.text))
            case Finished():
                return self._chunk(b"", delta.finish)
            case Started():
                return self._begun(delta)
            case KeepAlive():
                return _KEEP_ALIVE
        assert_never(delta)

    def _said(self, fields: bytes) -> bytes:
        self._close_reasoning()
        return self._chunk(fields)

    def _chunk(self, fields: bytes, finish: Finish | None = None) -> bytes:
        begun = b"" if self._head else self._begun()
        reason = b"null" if finish is None else b'"%b"' % write_finish(finish).encode()
        choice = b'"choices":[{"index":0,"delta":{%b},"finish_reason":%b}]}\n\n'
        return begun + self._head + choice % (fields, reason)

    def _begun(self, started: Started | None = None) -> bytes:
        if self._head:
            return b""
        created = started.created if started is not None and started.created is not None else int(self._clock())
        response_id = (started.response_id if started is not None else None) or own_response_id(created)
        model = (started.model if started is not None else None) or ""
        self._head = b'data: {"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,' % (
            encode(response_id),
            created,
            encode(model),
        )
        return self._chunk(b'"role":"assistant","content":""')

    def _opened_reasoning(self) -> int:
        self._is_reasoning_open = True
        return self._reasoning_index

    def _close_reasoning(self) -> None:
        if self._is_reasoning_open:
            self._is_reasoning_open = False
            self._reasoning_index += 1
