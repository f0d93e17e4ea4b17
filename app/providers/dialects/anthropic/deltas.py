"""Anthropic's stream, read into deltas and written from them. One reader and one writer per attempt.

Called by `Translation`. Invariants: the reader's deltas and the writer's bytes do not depend on how events or
deltas were grouped; the writer keeps one block open at a time, and withholds the events that end a message
until `ending`, so that the caller's last byte follows the settlement.
"""

from collections.abc import Sequence
from typing import Final

import msgspec

from app.providers.dialects.anthropic.answer import (
    NULL,
    STREAM_STATUS,
    UsageShape,
    decode_counts,
    decode_error,
    encode_usage,
    usage_of,
    usage_with_cost,
)
from app.providers.dialects.anthropic.completion import Block, message_id, read_finish, tool_use_id, write_finish
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
from app.providers.dialects.conversation import EMPTY_OBJECT
from app.providers.dialects.sse import Event
from app.providers.dialects.values import Cost
from app.providers.errors import AnswerMalformed, UpstreamError
from billing import Usage

_NO_DELTAS: Final[tuple[Delta, ...]] = ()
_KEEP_ALIVE: Final = KeepAlive()
_MALFORMED: Final = "An event of the provider's stream is not an event of a message."


class _Message(msgspec.Struct):
    id: str | None = None
    model: str | None = None
    usage: msgspec.Raw = NULL


class _Change(msgspec.Struct):
    type: str = ""
    text: str = ""
    partial_json: str = ""
    thinking: str = ""
    signature: str = ""
    stop_reason: str | None = None
    stop_sequence: str | None = None


class _Event(msgspec.Struct):
    type: str
    index: int = 0
    message: _Message | None = None
    content_block: Block | None = None
    delta: _Change | None = None
    usage: msgspec.Raw = NULL


_decode: Final = msgspec.json.Decoder(_Event).decode


class AnthropicDeltaReader:
    """The DeltaReader of Anthropic's dialect."""

    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.failure: UpstreamError | None = None
        self.is_done = False
        self._counts = UsageShape()
        self._calls = 0
        self._positions: dict[int, int] = {}  # of the calls, by the index of their block
        self._silent: set[int] = set()  # calls whose arguments have not begun, by the index of their block

    def read(self, event: Event) -> Sequence[Delta]:
        """The deltas of one event; empty, and `failure` set, when it is an error or makes no sense."""
        if self.is_done or self.failure is not None or not event.data:
            return _NO_DELTAS
        try:
            decoded = _decode(event.data)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            self.failure = AnswerMalformed(_MALFORMED)
            return _NO_DELTAS
        match decoded.type:
            case "content_block_delta" if decoded.delta is not None:
                return self._read_change(decoded.index, decoded.delta)
            case "content_block_start" if decoded.content_block is not None:
                return self._read_start(decoded.index, decoded.content_block)
            case "content_block_stop":
                return self._read_stop(decoded.index)
            case "ping":
                return (_KEEP_ALIVE,)
            case "message_start" if decoded.message is not None:
                self._add_counts(decoded.message.usage, is_last=False)
                return (Started(decoded.message.id, decoded.message.model, input_usage=self.usage),)
            case "message_delta" if decoded.delta is not None:
                return self._read_last(decoded.delta, decoded.usage)
            case "message_stop":
                self.is_done = True
            case "error":
                self.failure = decode_error(STREAM_STATUS, event.data)
            case "content_block_delta" | "content_block_start" | "message_start" | "message_delta":
                self.failure = AnswerMalformed(_MALFORMED)
        return _NO_DELTAS  # an event that we do not know: Anthropic adds some within a version

    def _read_change(self, index: int, change: _Change) -> Sequence[Delta]:
        match change.type:
            case "text_delta" if change.text:
                return (TextDelta(change.text),)
            case "input_json_delta" if change.partial_json and index in self._positions:
                self._silent.discard(index)
                return (ToolArgumentsDelta(self._positions[index], change.partial_json),)
            case "thinking_delta" if change.thinking:
                return (ThinkingDelta(change.thinking),)
            case "signature_delta" if change.signature:
                return (SignatureDelta(change.signature),)
        return _NO_DELTAS

    def _read_start(self, index: int, block: Block) -> Sequence[Delta]:
        match block.type:
            case "text" if block.text:
                return (TextDelta(block.text),)
            case "thinking":
                deltas: list[Delta] = [ThinkingDelta(block.thinking)] if block.thinking else []
                return [*deltas, SignatureDelta(block.signature)] if block.signature else deltas
            case "redacted_thinking":
                return (RedactedDelta(block.data or ""),)
            case "tool_use":
                return self._read_call(index, block)
        return _NO_DELTAS

    def _read_call(self, index: int, block: Block) -> Sequence[Delta]:
        if not block.id or not block.name:
            self.failure = AnswerMalformed(_MALFORMED)
            return _NO_DELTAS
        position = self._positions[index] = self._calls
        self._calls += 1
        started = ToolCallStarted(position, block.id, block.name)
        if block.input in (EMPTY_OBJECT, NULL):
            self._silent.add(index)
            return (started,)
        try:
            return (started, ToolArgumentsDelta(position, bytes(block.input).decode()))
        except UnicodeDecodeError:
            self.failure = AnswerMalformed(_MALFORMED)
            return _NO_DELTAS

    def _read_stop(self, index: int) -> Sequence[Delta]:
        if index not in self._silent:
            return _NO_DELTAS
        # A call without arguments streams none; other dialects need the empty object said.
        self._silent.discard(index)
        return (ToolArgumentsDelta(self._positions[index], "{}"),)

    def _read_last(self, change: _Change, usage: msgspec.Raw) -> Sequence[Delta]:
        self._add_counts(usage, is_last=change.stop_reason is not None)
        if change.stop_reason is None:
            return _NO_DELTAS
        return (Finished(read_finish(change.stop_reason), change.stop_sequence),)

    def _add_counts(self, raw: msgspec.Raw, *, is_last: bool) -> None:
        """Lay later counts over earlier ones: each is of the whole message so far."""
        later = decode_counts(raw) or UsageShape()
        told = {name: count for name in UsageShape.__struct_fields__ if (count := getattr(later, name)) is not None}
        self._counts = msgspec.structs.replace(self._counts, **told)
        usage = usage_of(self._counts)
        # The start counts the output as well, as one token or so: only the end's count is of the whole.
        if usage is not None and not (is_last and later.output_tokens is not None):
            usage = msgspec.structs.replace(usage, is_estimated=True)
        self.usage = usage


_encode: Final = msgspec.json.encode
_PING: Final = b'event: ping\ndata: {"type":"ping"}\n\n'
_START: Final = (
    b'event: message_start\ndata: {"type":"message_start","message":{"id":%b,"type":"message","role":"assistant",'
    b'"model":%b,"content":[],"stop_reason":null,"stop_sequence":null,"usage":%b}}\n\n'
)
_BLOCK_START: Final = (
    b'event: content_block_start\ndata: {"type":"content_block_start","index":%d,"content_block":%b}\n\n'
)
_BLOCK_DELTA: Final = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":{"type":"%b","%b":'
)
_DELTA_END: Final = b"}}\n\n"
_BLOCK_STOP: Final = b'event: content_block_stop\ndata: {"type":"content_block_stop","index":%d}\n\n'
_END: Final = (
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":%b,"stop_sequence":%b},"usage":%b}\n\n'
    b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
)
_TEXT: Final = b'{"type":"text","text":""}'
_THINKING: Final = b'{"type":"thinking","thinking":"","signature":""}'
_REDACTED: Final = b'{"type":"redacted_thinking","data":%b}'
_TOOL_USE: Final = b'{"type":"tool_use","id":%b,"name":%b,"input":{}}'


class _WaitingCall(msgspec.Struct):
    """A call that began while another was open."""

    started: ToolCallStarted
    arguments: list[str] = []


class AnthropicDeltaWriter:
    """The DeltaWriter of Anthropic's dialect. Its streams tell usage and amounts whether or not it is wanted."""

    def __init__(self, *, wants_usage: bool) -> None:
        self._finished = Finished(Finish.STOP)
        self._has_started = False
        self._blocks = 0
        self._open: bytes = b""  # the kind of the open block, as its deltas name it; empty: none is open
        self._beginning = b""  # of the open block's deltas
        self._position = -1  # of the open call
        self._arguments: list[str] = []  # of the open call
        self._indices: dict[int, int] = {}  # of the calls' blocks, by the calls' positions
        self._waiting: dict[int, _WaitingCall] = {}

    def write(self, deltas: Sequence[Delta]) -> bytes:
        """Whole events for the caller."""
        out: list[bytes] = []
        for delta in deltas:
            match delta:
                case TextDelta() | RefusalDelta():
                    self._write_text(out, b"text", _TEXT, delta.text)
                case ToolArgumentsDelta():
                    self._write_arguments(out, delta)
                case ThinkingDelta():
                    self._write_text(out, b"thinking", _THINKING, delta.text)
                case ToolCallStarted():
                    self._start_call(out, delta)
                case KeepAlive():
                    out.append(_PING)
                case SignatureDelta():
                    self._write_signature(out, delta.signature)
                case RedactedDelta():
                    self._close(out)
                    self._open_block(out, b"redacted", _REDACTED % _encode(delta.data))
                    self._close(out)
                case Started():
                    self._start(out, delta)
                case Finished():
                    self._close(out)
                    self._finished = delta
        return b"".join(out)

    def ending(self, usage: Usage, cost: Cost) -> bytes:
        """The event that tells why the model stopped, with usage and amounts, and the one that ends the stream."""
        out: list[bytes] = []
        if not self._has_started:
            self._start(out, Started(None, None))
        self._close(out)
        reason, sequence = _encode(write_finish(self._finished.finish)), _encode(self._finished.stop_sequence)
        out.append(_END % (reason, sequence, _encode(usage_with_cost(usage, cost))))
        return b"".join(out)

    def _start(self, out: list[bytes], started: Started) -> None:
        if self._has_started:
            return
        self._has_started = True
        usage = _encode(encode_usage(started.input_usage or Usage()))
        out.append(_START % (_encode(message_id(started.response_id)), _encode(started.model or ""), usage))

    def _write_text(self, out: list[bytes], kind: bytes, block: bytes, text: str) -> None:
        if not text:
            return
        if self._open != kind:
            self._close(out)
            self._open_block(out, kind, block)
        out.append(self._beginning + _encode(text) + _DELTA_END)

    def _write_signature(self, out: list[bytes], signature: str) -> None:
        if self._open != b"thinking":  # reasoning whose text the provider keeps to itself
            self._close(out)
            self._open_block(out, b"thinking", _THINKING)
        beginning = _BLOCK_DELTA % (self._blocks - 1, b"signature_delta", b"signature")
        out.append(beginning + _encode(signature) + _DELTA_END)
        self._close(out)

    def _start_call(self, out: list[bytes], started: ToolCallStarted) -> None:
        if self._open == b"input_json" and (self._waiting or not self._has_whole_arguments()):
            # Calls may be interleaved, and blocks may not: this one waits until the message ends, or text comes.
            self._waiting[started.position] = _WaitingCall(started)
            return
        self._close(out)
        self._open_call(out, started)

    def _write_arguments(self, out: list[bytes], delta: ToolArgumentsDelta) -> None:
        waiting = self._waiting.get(delta.position)
        if not delta.json_text:
            return
        if waiting is not None:
            waiting.arguments.append(delta.json_text)
        elif self._open == b"input_json" and delta.position == self._position:
            self._arguments.append(delta.json_text)
            out.append(self._beginning + _encode(delta.json_text) + _DELTA_END)
        elif delta.position in self._indices and not delta.json_text.isspace():
            # Text cut the call in two. Its block is closed, but clients put a delta where its index says.
            beginning = _BLOCK_DELTA % (self._indices[delta.position], b"input_json_delta", b"partial_json")
            out.append(beginning + _encode(delta.json_text) + _DELTA_END)

    def _open_call(self, out: list[bytes], started: ToolCallStarted) -> None:
        block = _TOOL_USE % (_encode(tool_use_id(started.tool_call_id)), _encode(started.name))
        self._indices[started.position] = self._blocks
        self._open_block(out, b"input_json", block)
        self._position, self._arguments = started.position, []

    def _has_whole_arguments(self) -> bool:
        try:
            msgspec.json.decode("".join(self._arguments), type=dict[str, msgspec.Raw])
        except (msgspec.MsgspecError, RecursionError):
            return False
        return True

    def _open_block(self, out: list[bytes], kind: bytes, block: bytes) -> None:
        if not self._has_started:
            self._start(out, Started(None, None))
        out.append(_BLOCK_START % (self._blocks, block))
        field = b"partial_json" if kind == b"input_json" else kind
        self._open, self._beginning = kind, _BLOCK_DELTA % (self._blocks, kind + b"_delta", field)
        self._blocks += 1

    def _close(self, out: list[bytes]) -> None:
        """Close the open block, and let the calls that still wait follow it."""
        self._close_block(out)
        for call in self._waiting.values():
            self._open_call(out, call.started)
            if call.arguments:
                out.append(self._beginning + _encode("".join(call.arguments)) + _DELTA_END)
            self._close_block(out)
        self._waiting.clear()

    def _close_block(self, out: list[bytes]) -> None:
        if self._open:
            out.append(_BLOCK_STOP % (self._blocks - 1))
            self._open = b""
