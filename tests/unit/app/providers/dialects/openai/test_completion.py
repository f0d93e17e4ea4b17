"""A whole answer in OpenAI's words is read into the common form and written from it, with nothing lost."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from app.providers import AnswerMalformed, Cost, FailureKind, UpstreamRefused
from app.providers.dialects.completion import Completion, Finish
from app.providers.dialects.conversation import Part, RedactedThinking, Refusal, Text, Thinking, ToolCall
from app.providers.dialects.openai import decode_answer, read_completion, write_completion
from billing import Usage
from tests.unit.app.providers.golden import golden

USAGE = Usage(
    input_tokens=100,
    output_tokens=20,
    cache_read_input_tokens=60,
    cache_creation_input_tokens=30,
    reasoning_output_tokens=5,
)
COST = Cost(billed_nano_usd=2_500, saved_nano_usd=1)


def answer(message: dict[str, Any], finish_reason: str | None = "stop", **fields: Any) -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}
    return json.dumps({"id": "c", "model": "m", "created": 7, "choices": [choice], **fields}).encode()


def parts_of(**message: Any) -> tuple[Part, ...]:
    return read_completion(answer(message)).parts


def test_an_answer_is_read() -> None:
    completion = read_completion(golden("answer.json"))
    assert (completion.response_id, completion.finish) == ("chatcmpl-abc", Finish.STOP)
    assert completion.created == 1767225600
    assert completion.usage == decode_answer(golden("answer.json")).usage


def test_parallel_calls_are_read() -> None:
    completion = read_completion(golden("answer.tools.json"))
    assert completion.finish is Finish.TOOL_CALLS
    assert completion.parts == (
        ToolCall("call_1", "get_weather", msgspec.Raw(b'{"city": "Oslo"}')),
        ToolCall("call_2", "get_weather", msgspec.Raw(b'{"city": "Rome"}')),
    )


def test_reasoning_is_read_once() -> None:
    detail = {"type": "reasoning.text", "text": "Hm", "signature": "c2ln"}
    assert parts_of(content="Ok", reasoning="Hm", reasoning_details=[detail]) == (Thinking("Hm", "c2ln"), Text("Ok"))
    assert parts_of(content="Ok", reasoning_content="Hm") == (Thinking("Hm"), Text("Ok"))
    encrypted = {"type": "reasoning.encrypted", "data": "ZW5j"}
    assert parts_of(content="Ok", reasoning="Hm", reasoning_details=[encrypted]) == (
        Thinking("Hm"),
        RedactedThinking("ZW5j"),
        Text("Ok"),
    )


def test_content_in_pieces_is_read() -> None:
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}
    assert parts_of(content=[thinking, {"type": "text", "text": "Ok"}]) == (Thinking("Hm"), Text("Ok"))


def test_calls_as_some_vendors_write_them() -> None:
    call = {"function": {"name": "look", "arguments": {"a": 1}}}
    assert parts_of(tool_calls=[call], function_call={"name": "find", "arguments": ""}) == (
        ToolCall("call_0", "look", msgspec.Raw(b'{"a":1}')),
        ToolCall("call_1", "find", msgspec.Raw(b"{}")),
    )


@pytest.mark.parametrize(
    ("word", "message", "finish"),
    [
        ("stop", {"content": "x"}, Finish.STOP),
        ("length", {"content": "x"}, Finish.LENGTH),
        ("model_length", {"content": "x"}, Finish.CONTEXT_FULL),
        ("content_filter", {"content": ""}, Finish.REFUSED),
        ("function_call", {"function_call": {"name": "look"}}, Finish.TOOL_CALLS),
        ("stop", {"tool_calls": [{"id": "c", "function": {"name": "look"}}]}, Finish.TOOL_CALLS),
        ("stop", {"refusal": "No."}, Finish.REFUSED),
        ("a_new_word", {"content": "x"}, Finish.STOP),
        (None, {"content": "x"}, Finish.STOP),
    ],
)
def test_why_the_model_stopped(word: str | None, message: dict[str, Any], finish: Finish) -> None:
    assert read_completion(answer(message, word)).finish is finish


@pytest.mark.parametrize(
    ("word", "kind"),
    [("error", FailureKind.SERVER), ("insufficient_system_resource", FailureKind.OVERLOADED)],
)
def test_an_answer_that_broke_off_is_no_answer(word: str, kind: FailureKind) -> None:
    with pytest.raises(UpstreamRefused) as caught:
        read_completion(answer({"content": "x"}, word))
    assert caught.value.kind is kind


@pytest.mark.parametrize(
    "raw",
    [
        *(b"", b"{", b"[]", b"{}", b'{"choices": []}', b"\xff", b"null"),
        answer({"content": 3}),
        answer({"tool_calls": [{}]}),
        b'{"choices": [{"message": null}]}',
    ],
)
def test_what_is_no_completion_is_malformed(raw: bytes) -> None:
    with pytest.raises(AnswerMalformed):
        read_completion(raw)


def test_an_error_inside_a_200_is_a_refusal() -> None:
    with pytest.raises(UpstreamRefused) as caught:
        read_completion(b'{"error": {"message": "x", "code": "rate_limit_exceeded"}}')
    assert caught.value.kind is FailureKind.RATE_LIMITED


def test_an_answer_is_written_whole() -> None:
    parts = (
        Thinking("Hm", "c2ln"),
        RedactedThinking("ZW5j"),
        Text("One "),
        Text("two"),
        ToolCall("c1", "look", msgspec.Raw(b'{"a": 1}')),
    )
    completion = Completion(response_id="msg_1", model="claude", parts=parts, finish=Finish.TOOL_CALLS)
    raw = write_completion(completion, USAGE, COST, clock=lambda: 9.5)
    assert json.loads(raw) == {
        "id": "msg_1",
        "object": "chat.completion",
        "created": 9,
        "model": "claude",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "One two",
                    "refusal": None,
                    "reasoning_content": "Hm",
                    "reasoning_details": [
                        {"type": "reasoning.text", "index": 0, "text": "Hm", "signature": "c2ln"},
                        {"type": "reasoning.encrypted", "index": 1, "data": "ZW5j"},
                    ],
                    "tool_calls": [
                        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": '{"a": 1}'}}
                    ],
                },
                "logprobs": None,
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {
            "prompt_tokens": 100,
            "completion_tokens": 20,
            "total_tokens": 120,
            "prompt_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 30},
            "completion_tokens_details": {"reasoning_tokens": 5},
            "cost": 0.0000025,
            "saved": 0.000000001,
        },
    }


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12)
CALLS = st.builds(ToolCall, WORDS, WORDS, st.just(msgspec.Raw(b'{"a": [1]}')))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.builds(Thinking, WORDS, st.none() | WORDS) | st.builds(RedactedThinking, WORDS), max_size=3),
    st.lists(st.builds(Text, WORDS), max_size=1),
    st.lists(st.builds(Refusal, WORDS), max_size=1),
    st.lists(CALLS, max_size=3),
    st.sampled_from(Finish),
)
def test_an_answer_comes_back_as_it_was_and_is_of_the_sdks_own_type(
    thoughts: list[Part], texts: list[Part], refusals: list[Part], calls: list[Part], finish: Finish
) -> None:
    parts = (*thoughts, *texts, *refusals, *calls)
    completion = Completion(
        response_id="r", model="m", parts=parts, finish=finish, created=7, usage=Usage(input_tokens=3, output_tokens=2)
    )
    raw = write_completion(completion, Usage(input_tokens=3, output_tokens=2), Cost())
    again = read_completion(raw)
    assert (again.parts, again.usage, again.response_id, again.created) == (parts, completion.usage, "r", 7)
    ChatCompletion.model_validate_json(raw, strict=True)
