"""Two dialects are put together so that nothing is lost: golden files of all four pairs, and the SDKs' own types."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from anthropic.types import message_create_params as anthropic_params
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from openai.types.chat import completion_create_params as openai_params
from pydantic import TypeAdapter

from app.providers import (
    DIALECTS,
    VENDORS,
    AnswerMalformed,
    BodyInvalid,
    Cost,
    FailureKind,
    Interpreter,
    ProviderError,
    RequestBody,
    StreamReader,
    decode_chat,
    decode_messages,
    interpreter_between,
)
from app.providers.dialects.anthropic import AnthropicDeltaReader
from app.providers.dialects.openai import OpenAIDeltaWriter, write_completion
from app.providers.dialects.translation import TranslatingReader, Translation
from billing import Usage

FOLDER: Final = Path(__file__).parent.parent / "golden" / "translation"
NAMES: Final = ("openai", "anthropic")
PAIRS: Final = [(caller, provider) for caller in NAMES for provider in NAMES]
CROSSED: Final = [(caller, provider) for caller, provider in PAIRS if caller != provider]
MODELS: Final = {"openai": "gpt-5.2", "anthropic": "claude-sonnet-4-5"}
USAGE: Final = Usage(input_tokens=120, output_tokens=40, cache_read_input_tokens=64, cache_creation_input_tokens=16)
COST: Final = Cost(billed_nano_usd=2_500)
DECODERS: Final[dict[str, Callable[[bytes], RequestBody]]] = {"openai": decode_chat, "anthropic": decode_messages}


def golden(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def interpreter(caller: str, provider: str) -> Interpreter:
    """As the table has it, but dated by a clock that stands still."""
    rows: dict[str, Any] = {**DIALECTS}
    if caller == provider:
        return interpreter_between(rows[caller].name, rows[provider].name)
    common = rows["openai"].common
    stopped = msgspec.structs.replace(
        common,
        write_completion=partial(write_completion, clock=lambda: 7.0),
        write_deltas=partial(OpenAIDeltaWriter, clock=lambda: 7.0),
    )
    rows["openai"] = msgspec.structs.replace(rows["openai"], common=stopped)
    return Translation(rows[caller], rows[provider])


def read_stream(caller: str, provider: str, chunks: list[bytes]) -> tuple[StreamReader, bytes]:
    reader = interpreter(caller, provider).read_stream(wants_usage=True)
    forwarded = b"".join(reader.feed(chunk) for chunk in chunks)
    reader.close()
    return reader, forwarded


def encoded(caller: str, provider: str, raw: bytes) -> Any:
    return interpreter(caller, provider).encode_request(
        DECODERS[caller](raw), model=MODELS[provider], output_tokens_limit=None, vendor=VENDORS[provider]
    )


def facts(reader: StreamReader) -> tuple[object, ...]:
    return (
        *(reader.response_id, reader.model, reader.finish_reason, reader.usage, reader.has_content),
        *(reader.output_tokens_estimate(), repr(reader.failure), reader.ending(USAGE, COST)),
    )


def events(raw: bytes) -> Iterator[bytes]:
    for block in raw.split(b"\n\n"):
        yield from (line.removeprefix(b"data: ") for line in block.split(b"\n") if line.startswith(b"data: "))


def accumulated(caller: str, raw: bytes) -> ChatCompletion | Message:
    """The answer that the caller's own SDK makes of a stream."""
    if caller == "openai":
        state = ChatCompletionStreamState()
        for data in events(raw):
            if data != b"[DONE]":
                state.handle_chunk(ChatCompletionChunk.model_validate_json(data, strict=True))
        return state.get_final_completion()
    message, json_bufs = None, dict[int, bytes]()
    for data in events(raw):
        if json.loads(data)["type"] != "ping":
            event = TypeAdapter[Any](RawMessageStreamEvent).validate_json(data)
            message = accumulate_event(event=event, current_snapshot=message, json_bufs=json_bufs)
    assert message is not None
    return message


@pytest.mark.parametrize(("caller", "provider"), PAIRS)
def test_requests_are_as_the_golden_files_say(caller: str, provider: str) -> None:
    written = encoded(caller, provider, golden(f"{caller}.request.json"))
    told = {"headers": dict(written.headers), "dropped": list(written.dropped), "body": json.loads(written.body)}
    assert told == json.loads(golden(f"{caller}-{provider}.request.json"))


@pytest.mark.parametrize(("caller", "provider"), PAIRS)
def test_answers_are_as_the_golden_files_say(caller: str, provider: str) -> None:
    answer = golden(f"{provider}.answer.json")
    written = interpreter(caller, provider).write_answer(answer, USAGE, COST)
    assert json.loads(written) == json.loads(golden(f"{caller}-{provider}.answer.json"))


@pytest.mark.parametrize(("caller", "provider"), PAIRS)
def test_streams_are_as_the_golden_files_say(caller: str, provider: str) -> None:
    reader, forwarded = read_stream(caller, provider, [golden(f"{provider}.stream.sse")])
    assert reader.failure is None
    assert forwarded + reader.ending(USAGE, COST) == golden(f"{caller}-{provider}.stream.sse")
    assert (reader.finish_reason, reader.has_content, reader.model) == ("tool_calls", True, reader.model)
    assert reader.usage is not None
    assert reader.usage.input_tokens == 120


@pytest.mark.parametrize(("caller", "provider"), PAIRS)
def test_errors_have_a_kind_and_keep_no_prose(caller: str, provider: str) -> None:
    for row in json.loads(golden(f"{provider}.errors.json")):
        error = interpreter(caller, provider).decode_error(row["status"], json.dumps(row["body"]).encode())
        assert (error.kind, error.status) == (FailureKind(row["kind"]), row["status"])
        assert "SECRET-PROSE" not in repr(error) + str(error) + str(vars(error))


def test_an_answer_that_cannot_be_written_fails_while_the_request_can_move_on() -> None:
    call = b'{"type":"tool_use","id":"t","name":"f","input":{"a":"\xff"}}'
    with pytest.raises(AnswerMalformed):
        interpreter("openai", "anthropic").decode_answer(b'{"content":[%b],"stop_reason":"tool_use"}' % call)
    reader = interpreter("openai", "anthropic").read_stream(wants_usage=False)
    assert reader.feed(b'data: {"type":"content_block_start","index":0,"content_block":%b}\n\n' % call) == b""
    assert isinstance(reader.failure, AnswerMalformed)


@pytest.mark.parametrize("text", [r'"\ud800"', "1e999"])
def test_a_schema_that_is_no_json_is_the_callers_mistake(text: str) -> None:
    tool = '{"type":"function","function":{"name":"f","strict":true,"parameters":{"type":"object","default":%s}}}'
    body = '{"model":"m","messages":[{"role":"user","content":"x"}],"tools":[%s]}' % (tool % text)
    with pytest.raises(BodyInvalid):
        encoded("openai", "anthropic", body.encode())


@pytest.mark.parametrize("caller", NAMES)
def test_requests_are_of_the_providers_sdks_own_types(caller: str) -> None:
    openai, anthropic = openai_params.CompletionCreateParamsStreaming, anthropic_params.MessageCreateParamsStreaming
    request = golden(f"{caller}.request.json")
    checked: Any = TypeAdapter(openai).validate_json(encoded(caller, "openai", request).body)
    assert all(map(list, (checked["messages"], checked["tools"])))  # they are checked as they are taken
    checked = TypeAdapter(anthropic).validate_json(encoded(caller, "anthropic", request).body)
    assert all(map(list, (checked["messages"], checked["tools"])))


@pytest.mark.parametrize(
    ("caller", "provider", "message"),
    [
        ("openai", "anthropic", b'{"role":"user","content":"x","name":"\xff"}'),
        ("anthropic", "openai", b'{"role":"assistant","content":[{"type":"thinking","thinking":"\xff"}]}'),
        (
            "anthropic",
            "openai",
            b'{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f","input":{"a":"\xff"}}]}',
        ),
    ],
)
def test_text_that_is_none_is_the_callers_mistake(caller: str, provider: str, message: bytes) -> None:
    with pytest.raises(BodyInvalid):
        encoded(caller, provider, b'{"model":"m","max_tokens":9,"messages":[%b]}' % message)


@pytest.mark.parametrize("provider", NAMES)
def test_answers_are_of_the_callers_sdks_own_types(provider: str) -> None:
    answer = golden(f"{provider}.answer.json")
    for caller, kind in (("openai", ChatCompletion), ("anthropic", Message)):
        kind.model_validate_json(interpreter(caller, provider).write_answer(answer, USAGE, COST), strict=True)


@pytest.mark.parametrize(("caller", "provider"), PAIRS)
def test_a_stream_makes_the_answer_that_was_streamed(caller: str, provider: str) -> None:
    reader, forwarded = read_stream(caller, provider, [golden(f"{provider}.stream.sse")])
    answer = accumulated(caller, forwarded + reader.ending(USAGE, COST))
    if isinstance(answer, Message):
        said = "".join(block.text for block in answer.content if block.type == "text")
        thought = "".join(block.thinking for block in answer.content if block.type == "thinking")
        calls = [(block.name, block.input) for block in answer.content if block.type == "tool_use"]
        assert answer.usage.output_tokens == 40  # the SDK keeps no field that it does not know
    else:
        message: Any = answer.choices[0].message.to_dict()
        said, thought = message["content"], message.get("reasoning_content")
        calls = [
            (entry["function"]["name"], json.loads(entry["function"]["arguments"])) for entry in message["tool_calls"]
        ]
        assert answer.usage is not None
        assert (answer.usage.total_tokens, answer.usage.to_dict()["cost"]) == (160, 2.5e-6)
    assert (said, thought) == ("I look ☃.", "It may be Oslo.")
    assert calls == [("get_weather", {"city": "Oslo"}), ("get_weather", {})]


@pytest.mark.parametrize(("caller", "provider"), CROSSED)
def test_a_stream_cut_at_any_byte_reads_the_same(caller: str, provider: str) -> None:
    text = golden(f"{provider}.stream.sse")
    reader, forwarded = read_stream(caller, provider, [text])
    whole = (facts(reader), forwarded)
    for cut in range(len(text) + 1):
        reader, forwarded = read_stream(caller, provider, [text[:cut], text[cut:]])
        assert (facts(reader), forwarded) == whole
    reader, forwarded = read_stream(caller, provider, [bytes([byte]) for byte in text])
    assert (facts(reader), forwarded) == whole


@pytest.mark.parametrize(
    ("caller", "provider", "end"),
    [("anthropic", "openai", b'"tool_calls"}'), ("openai", "anthropic", b'"stop_reason":"')],
)
def test_a_stream_stopped_before_its_finish_is_never_taken_for_whole(caller: str, provider: str, end: bytes) -> None:
    text = golden(f"{provider}.stream.sse")
    for cut in range(text.index(end)):
        reader, _ = read_stream(caller, provider, [text[:cut]])
        assert reader.failure is not None
        assert reader.failure.kind is FailureKind.CUT


@pytest.mark.parametrize(("caller", "provider"), CROSSED)
def test_a_last_event_without_its_blank_line_is_heard(caller: str, provider: str) -> None:
    text = golden(f"{provider}.stream.sse")
    reader, forwarded = read_stream(caller, provider, [text])
    shorter, forwarded_shorter = read_stream(caller, provider, [text.rstrip(b"\n")])
    assert shorter.failure is None
    assert forwarded_shorter + shorter.ending(USAGE, COST) == forwarded + reader.ending(USAGE, COST)


def test_a_finish_without_its_blank_line_is_heard_and_written() -> None:
    text = golden("openai.stream.sse")
    finish = text[: text.index(b'"finish_reason":"tool_calls"}]}') + len(b'"finish_reason":"tool_calls"}]}')]
    reader, forwarded = read_stream("anthropic", "openai", [finish])
    assert (reader.failure, reader.finish_reason) == (None, "tool_calls")
    answer = accumulated("anthropic", forwarded + reader.ending(USAGE, COST))
    assert isinstance(answer, Message)
    assert answer.stop_reason == "tool_use"


@pytest.mark.parametrize(
    ("caller", "provider", "event", "kind"),
    [
        (
            "anthropic",
            "openai",
            b'data: {"error":{"message":"x","code":"rate_limit_exceeded"}}\n\n',
            FailureKind.RATE_LIMITED,
        ),
        ("anthropic", "openai", b"data: {\n\n", FailureKind.MALFORMED),
        (
            "openai",
            "anthropic",
            b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"x"}}\n\n',
            FailureKind.OVERLOADED,
        ),
        ("openai", "anthropic", b"data: 3\n\n", FailureKind.MALFORMED),
    ],
)
def test_after_a_failure_nothing_more_is_forwarded(caller: str, provider: str, event: bytes, kind: FailureKind) -> None:
    blocks = [block + b"\n\n" for block in golden(f"{provider}.stream.sse").split(b"\n\n") if block]
    for place in range(1, len(blocks) - 2):
        before, after = b"".join(blocks[:place]), b"".join(blocks[place:])
        reader, forwarded = read_stream(caller, provider, [before + event + after, after])
        assert reader.failure is not None
        assert reader.failure.kind is kind
        assert forwarded == interpreter(caller, provider).read_stream(wants_usage=True).feed(before)


@pytest.mark.parametrize(("caller", "provider"), CROSSED)
def test_content_has_begun_with_the_first_word_alone(caller: str, provider: str) -> None:
    blocks = [block + b"\n\n" for block in golden(f"{provider}.stream.sse").split(b"\n\n") if block]
    first = next(place for place, block in enumerate(blocks) if b"It may" in block)
    reader = interpreter(caller, provider).read_stream(wants_usage=True)
    reader.feed(b"".join(blocks[:first]))
    assert not reader.has_content
    reader.feed(blocks[first])
    assert reader.has_content


def test_an_event_without_an_end_is_too_large() -> None:
    reader = interpreter("anthropic", "openai").read_stream(wants_usage=True)
    assert reader.feed(b"data: " + b"x" * (9 * 1024 * 1024)) == b""
    reader.close()
    assert reader.failure is not None
    assert reader.failure.kind is FailureKind.TOO_LARGE


def test_a_stream_that_only_says_that_it_is_done_is_cut() -> None:
    reader, _ = read_stream("anthropic", "openai", [b"data: [DONE]\n\n"])
    assert reader.failure is not None


def test_what_came_is_estimated_by_events_and_by_bytes() -> None:
    reader, _ = read_stream("anthropic", "openai", [golden("openai.stream.sse")])
    assert reader.output_tokens_estimate() == 17  # 66 bytes of text and arguments
    chunk = b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n'
    assert read_stream("anthropic", "openai", [chunk % b"a" * 50])[0].output_tokens_estimate() == 50
    assert read_stream("anthropic", "openai", [chunk % ("ü" * 400).encode()])[0].output_tokens_estimate() == 200


LOOP_REQUEST: Final[dict[str, Any]] = {
    "model": "m",
    "messages": [{"role": "user", "content": "Weather?"}],
    "max_tokens": 4096,
}


@pytest.mark.parametrize("is_streamed", [True, False])
def test_what_claude_thought_survives_a_loop_of_tools_through_openais_sdk(is_streamed: bool) -> None:
    if is_streamed:
        reader, forwarded = read_stream("openai", "anthropic", [golden("anthropic.stream.sse")])
        answer = accumulated("openai", forwarded + reader.ending(USAGE, COST))
    else:
        raw = interpreter("openai", "anthropic").write_answer(golden("anthropic.answer.json"), USAGE, COST)
        answer = ChatCompletion.model_validate_json(raw)
    assert isinstance(answer, ChatCompletion)
    message = answer.choices[0].message.model_dump(exclude_none=True)
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "snow"} for call in message["tool_calls"]]
    messages = [*LOOP_REQUEST["messages"], message, *results]
    again = encoded("openai", "anthropic", json.dumps({**LOOP_REQUEST, "messages": messages}).encode())
    blocks = json.loads(again.body)["messages"][1]["content"]
    given = json.loads(golden("anthropic.answer.json"))["content"]
    assert [block for block in blocks if block["type"] != "text"] == [
        block for block in given if block["type"] != "text"
    ]
    assert again.dropped == ()


def test_what_deepseek_thought_survives_a_loop_of_tools_through_anthropics_sdk() -> None:
    raw = interpreter("anthropic", "openai").write_answer(golden("openai.answer.json"), USAGE, COST)
    said = Message.model_validate_json(raw).to_dict()["content"]
    results = [{"type": "tool_result", "tool_use_id": f"call_{number}", "content": "snow"} for number in (1, 2)]
    messages = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": said},
        {"role": "user", "content": results},
    ]
    body = decode_messages(json.dumps({**LOOP_REQUEST, "messages": messages}).encode())
    again = interpreter("anthropic", "openai").encode_request(
        body, model="deepseek-chat", output_tokens_limit=None, vendor=VENDORS["deepseek"]
    )
    assert again.dropped == ()
    message = json.loads(again.body)["messages"][1]
    given = json.loads(golden("openai.answer.json"))["choices"][0]["message"]
    assert message["reasoning_content"] == given["reasoning_content"]
    assert message["tool_calls"] == given["tool_calls"]


JSON_VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4), lambda inner: st.lists(inner, max_size=2)
)
MESSAGES: Final = st.fixed_dictionaries(
    {},
    optional={
        name: JSON_VALUES | st.just([{"id": "c", "function": {"name": "look", "arguments": "{"}}])
        for name in ("content", "refusal", "reasoning_content", "reasoning_details", "tool_calls", "function_call")
    },
)


@settings(max_examples=200, deadline=None)
@given(MESSAGES, st.sampled_from(["stop", "error", "x", None]))
def test_an_answer_whose_facts_could_be_read_can_be_written(message: dict[str, Any], word: str | None) -> None:
    translation = interpreter("anthropic", "openai")
    raw = json.dumps({"choices": [{"message": message, "finish_reason": word}]}).encode()
    try:
        translation.decode_answer(raw)
    except ProviderError:
        return
    Message.model_validate_json(translation.write_answer(raw, USAGE, COST), strict=True)


def test_the_table_holds_every_pair() -> None:
    for caller in DIALECTS.values():
        for provider in DIALECTS.values():
            assert interpreter_between(caller.name, provider.name).path == provider.path
    reader = interpreter_between("openai", "anthropic").read_stream(wants_usage=False)
    assert isinstance(reader, TranslatingReader)
    assert isinstance(TranslatingReader(AnthropicDeltaReader(), OpenAIDeltaWriter(wants_usage=False)).usage, type(None))
