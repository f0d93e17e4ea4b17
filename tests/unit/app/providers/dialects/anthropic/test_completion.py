"""Whole answers are read without loss and written as the SDK's own Message."""

import json
from typing import Any

import msgspec
import pytest
from anthropic.types import Message

from app.providers import AnswerMalformed, Cost, FailureKind, UpstreamRefused
from app.providers.dialects.anthropic.completion import message_id, read_completion, tool_use_id, write_completion
from app.providers.dialects.completion import Completion, Finish
from app.providers.dialects.conversation import Part, RedactedThinking, Refusal, Text, Thinking, ToolCall
from billing import Usage

USAGE = Usage(
    input_tokens=100,
    output_tokens=20,
    cache_read_input_tokens=60,
    cache_creation_input_tokens=10,
    reasoning_output_tokens=5,
)
COST = Cost(billed_nano_usd=1_250_000, saved_nano_usd=0)
ARGUMENTS = msgspec.Raw(b'{"a":1}')
REASONS = {
    "end_turn": Finish.STOP,
    "stop_sequence": Finish.STOP_SEQUENCE,
    "max_tokens": Finish.LENGTH,
    "tool_use": Finish.TOOL_CALLS,
    "pause_turn": Finish.PAUSED,
    "refusal": Finish.REFUSED,
    "model_context_window_exceeded": Finish.CONTEXT_FULL,
}


def answer(*content: Any, **fields: Any) -> bytes:
    return msgspec.json.encode(
        {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "claude-opus-5",
            "content": content,
            "stop_reason": "end_turn",
            "stop_sequence": None,
            "usage": {"input_tokens": 30, "output_tokens": 20, "cache_read_input_tokens": 60},
            **fields,
        }
    )


def completion(*parts: Part, **fields: Any) -> Completion:
    values = {"response_id": "msg_1", "model": "claude-opus-5", "finish": Finish.STOP, **fields}
    return Completion(parts=parts, **values)


def write(written: Completion, usage: Usage = USAGE, cost: Cost = COST) -> Message:
    return Message.model_validate(json.loads(write_completion(written, usage, cost)))


def test_an_answer_is_read_with_its_blocks_in_their_order() -> None:
    raw = answer(
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "eHh4"},
        {"type": "text", "text": "So.", "citations": None},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}, "caller": {"type": "direct"}},
    )
    assert read_completion(raw) == completion(
        Thinking("Hm.", "c2ln"),
        RedactedThinking("eHh4"),
        Text("So."),
        ToolCall("toolu_1", "f", ARGUMENTS),
        usage=Usage(input_tokens=90, output_tokens=20, cache_read_input_tokens=60),
    )


def test_blocks_of_the_providers_own_tools_are_passed_over() -> None:
    raw = answer(
        {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "a"}},
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []},
        {"type": "of_next_year"},
        {"type": "text", "text": ""},
        {"type": "text", "text": "a"},
    )
    assert read_completion(raw).parts == (Text("a"),)


@pytest.mark.parametrize(("word", "finish"), REASONS.items())
def test_each_reason_to_stop_is_read_and_written(word: str, finish: Finish) -> None:
    assert read_completion(answer(stop_reason=word, stop_sequence="END")).finish is finish
    assert write(completion(finish=finish)).stop_reason == word


def test_every_finish_has_a_word() -> None:
    assert set(REASONS.values()) == set(Finish)


@pytest.mark.parametrize("word", [None, "of_next_year"])
def test_an_unknown_reason_reads_as_a_stop(word: str | None) -> None:
    assert read_completion(answer(stop_reason=word)).finish is Finish.STOP


def test_the_stop_text_is_read_and_written() -> None:
    read = read_completion(answer(stop_reason="stop_sequence", stop_sequence="END"))
    assert read.stop_sequence == write(read).stop_sequence == "END"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"id":"msg_1"}',
        b'{"content":"text"}',
        b"\xff",
        answer({"type": "tool_use", "name": "f"}),
        answer({"type": "tool_use", "id": "t"}),
        answer({"text": "no type"}),
        answer({"type": "text", "text": 1}),
        b'{"content":[' + b"[" * 3_000,
    ],
)
def test_an_answer_that_is_no_message_is_malformed(raw: bytes) -> None:
    with pytest.raises(AnswerMalformed):
        read_completion(raw)


def test_an_error_inside_an_answer_is_raised() -> None:
    with pytest.raises(UpstreamRefused) as caught:
        read_completion(b'{"type":"error","error":{"type":"overloaded_error","message":"secret"}}')
    assert caught.value.kind is FailureKind.OVERLOADED
    assert "secret" not in str(caught.value)


def test_an_answer_without_usage_is_read() -> None:
    assert read_completion(answer(usage=None)).usage is None


def test_an_answer_is_written_as_the_sdk_reads_it() -> None:
    message = write(
        completion(
            Thinking("Hm."),
            RedactedThinking("eHh4"),
            Text("So."),
            ToolCall("call_1", "f", ARGUMENTS),
            finish=Finish.TOOL_CALLS,
        )
    )
    assert [block.type for block in message.content] == ["thinking", "redacted_thinking", "text", "tool_use"]
    assert message.content[3].to_dict() == {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}}
    assert (message.id, message.role, message.model) == ("msg_1", "assistant", "claude-opus-5")


def test_a_refusal_is_written_as_text() -> None:
    message = write(completion(Refusal("No."), finish=Finish.REFUSED))
    assert message.stop_reason == "refusal"
    assert message.content[0].to_dict()["text"] == "No."


def test_usage_leaves_the_cache_out_of_the_input_and_tells_the_amounts_exactly() -> None:
    raw = write_completion(completion(), USAGE, COST)
    assert b'"cost":0.00125' in raw
    assert b'"saved":0' in raw
    usage = Message.model_validate(json.loads(raw)).usage
    assert (usage.input_tokens, usage.output_tokens) == (30, 20)
    assert (usage.cache_read_input_tokens, usage.cache_creation_input_tokens) == (60, 10)
    assert usage.output_tokens_details is not None
    assert usage.output_tokens_details.thinking_tokens == 5
    assert b"cost" not in write_completion(completion(), USAGE, Cost())


def test_arguments_that_are_no_object_are_kept_as_text() -> None:
    block = write(completion(ToolCall("t", "f", msgspec.Raw(b'{"a":')))).content[0]
    assert block.to_dict()["input"] == {"arguments": '{"a":'}


def test_ids_that_were_given_are_kept_and_others_made() -> None:
    assert message_id("msg_1") == "msg_1"
    assert message_id("chatcmpl-1") == "msg_chatcmpl-1"
    assert message_id(None) != message_id(None)
    assert message_id(None).startswith("msg_")
    assert tool_use_id("call_1") == "call_1"
    assert tool_use_id("").startswith("toolu_")


def test_what_was_read_is_written_again() -> None:
    raw = answer(
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "text", "text": "Grüße", "citations": None},
        {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": 1}},
    )
    read = read_completion(raw)
    assert read.usage is not None
    again = read_completion(write_completion(read, read.usage, Cost()))
    assert again == read
