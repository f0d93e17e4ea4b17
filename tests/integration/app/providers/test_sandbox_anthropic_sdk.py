"""The official Anthropic SDK takes the sandbox for Anthropic."""

import json
from typing import Any, Final

import anthropic
import openai
import pytest
from anthropic.types import Message

from app.providers import decode_messages, read_facts
from app.sandbox import SANDBOX_MODELS, CallOutcome, SandboxServer
from tests.integration.app.providers.sandbox_messages import THINK, asked, entry, raw, raw_text, refused, text
from tests.unit.app.providers.hostile_texts import HOSTILE

WEATHER: Final[Any] = {
    "name": "get_weather",
    "description": "The weather of a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}
CLOCK: Final[Any] = {"name": "read_clock", "input_schema": {"type": "object", "properties": {}}}
PIXEL: Final = "iVBORw0KGgo="


async def streamed(client: anthropic.AsyncAnthropic, request: dict[str, Any]) -> Message:
    async with client.messages.stream(**request) as stream:
        return await stream.get_final_message()


async def test_a_whole_answer(claude: anthropic.AsyncAnthropic, sandbox: SandboxServer) -> None:
    ids = {"x-signalbox-attempt-id": "attempt-1", "x-signalbox-request-id": "request-1"}
    answer = await claude.messages.create(**asked(), extra_headers=ids)
    assert text(answer).startswith("[simulated swift-mini]")
    assert (answer.type, answer.role, answer.stop_reason, answer.stop_sequence) == (
        "message",
        "assistant",
        "end_turn",
        None,
    )
    assert answer._request_id is not None
    logged = await entry(sandbox)
    assert (logged.attempt_id, logged.request_id, logged.call_id) == ("attempt-1", "request-1", answer.id)
    assert (logged.provider_name, logged.model) == ("sandbox-anthropic", "swift-mini")
    assert (logged.input_tokens, logged.output_tokens) == (answer.usage.input_tokens, answer.usage.output_tokens)
    assert (logged.outcome, logged.is_fully_delivered, logged.http_status) == (CallOutcome.ANSWERED, True, 200)
    assert logged.cost_nano_usd == SANDBOX_MODELS["swift-mini"].cost_nano_usd(logged.usage()) > 0


async def test_both_wires_give_the_same_answer_at_the_same_price(
    claude: anthropic.AsyncAnthropic, client: openai.AsyncOpenAI, sandbox: SandboxServer
) -> None:
    here = await claude.messages.create(**asked(system="Be brief"))
    there = await client.chat.completions.create(
        model="swift-mini",
        messages=[{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Tell me about tides"}],
    )
    assert text(here) == there.choices[0].message.content
    one, other = sandbox.calls
    assert (one.usage(), one.cost_nano_usd) == (other.usage(), other.cost_nano_usd)


REQUESTS: Final[dict[str, dict[str, Any]]] = {
    "text": asked(),
    "tools": asked("Read the clock and the weather in Oslo", tools=[WEATHER, CLOCK]),
    "thinking": asked(thinking=THINK),
    "thinking unseen": asked(thinking={"type": "adaptive", "display": "omitted"}),
    "thinking redacted": asked("Hello [[redacted_thinking]]", thinking={"type": "adaptive"}),
    "thinking and tools": asked("What is the weather in Oslo?", thinking=THINK, tools=[WEATHER]),
    "cut": asked(max_tokens=3),
    "cut in thinking": asked(max_tokens=4, thinking={"type": "adaptive"}),
    "nothing wanted": asked(max_tokens=0),
    "stop": asked(stop_sequences=["is", "]"]),
    "no room for a call": asked("Weather in Oslo?", tools=[WEATHER], max_tokens=2),
    "refusal": asked("[[fault:content]]"),
    "long": asked("word " * 3_000),
}


@pytest.mark.parametrize("name", list(REQUESTS))
async def test_a_stream_is_the_whole_answer_in_pieces(
    claude: anthropic.AsyncAnthropic, sandbox: SandboxServer, name: str
) -> None:
    whole = await claude.messages.create(**REQUESTS[name])
    # The SDK's own accumulator keeps the opening's details of usage, so they are compared by our log.
    together = await streamed(claude, REQUESTS[name])
    hide = {"id", "usage", "content", "parsed_output"}
    assert together.model_dump(exclude=hide) == whole.model_dump(exclude=hide)
    assert [_plain(block) for block in together.content] == [_plain(block) for block in whole.content]
    assert together.usage.output_tokens == whole.usage.output_tokens
    one, other = sandbox.calls
    assert (one.usage(), one.cost_nano_usd, one.generated_tokens) == (
        other.usage(),
        other.cost_nano_usd,
        other.generated_tokens,
    )
    assert one.outcome is other.outcome is CallOutcome.ANSWERED
    assert one.output_tokens == one.generated_tokens == whole.usage.output_tokens


def _plain(block: Any) -> dict[str, Any]:
    """A block without what a call alone has; signatures are checked where they are sent back."""
    dumped: dict[str, Any] = block.model_dump(exclude={"signature", "data", "parsed_output"}, exclude_none=True)
    return dumped


async def test_the_events_of_a_stream_come_in_the_vendors_order(sandbox: SandboxServer) -> None:
    body = asked("Weather in Oslo and read the clock", stream=True, thinking=THINK, tools=[WEATHER, CLOCK])
    found = [part.split("\n") for part in (await raw_text(sandbox, body)).strip().split("\n\n")]
    events = [json.loads(data.removeprefix("data: ")) for _, data in found]
    assert [name.removeprefix("event: ") for name, _ in found] == [event["type"] for event in events]
    kinds = [event["type"] for event in events if event["type"] != "content_block_delta"]
    block = ["content_block_start", "content_block_stop"]
    assert kinds == ["message_start", "ping", *block * 3, "message_delta", "message_stop"]
    assert [event["index"] for event in events if event["type"] == "content_block_start"] == [0, 1, 2]
    assert events[0]["message"]["usage"]["output_tokens"] == 1
    assert events[0]["message"]["stop_reason"] is None
    assert events[-2]["delta"]["stop_reason"] == "tool_use"
    assert events[-2]["usage"]["output_tokens"] == sandbox.calls[-1].output_tokens > 10


async def test_a_tool_call_and_its_result(claude: anthropic.AsyncAnthropic) -> None:
    request = asked("What is the weather in Oslo?", tools=[WEATHER, CLOCK])
    answer = await claude.messages.create(**request)
    (called,) = answer.content
    assert (answer.stop_reason, called.type, called.name) == ("tool_use", "tool_use", "get_weather")
    assert set(called.input) == {"city"}
    request["messages"] += [
        {"role": "assistant", "content": answer.content},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": called.id, "content": "rain"}]},
    ]
    after = await claude.messages.create(**request)
    assert (after.stop_reason, [block.type for block in after.content]) == ("end_turn", ["text"])


@pytest.mark.parametrize(
    ("choice", "called"),
    [
        ({"type": "auto"}, ["get_weather", "read_clock"]),
        ({"type": "auto", "disable_parallel_tool_use": True}, ["get_weather"]),
        ({"type": "any"}, ["get_weather", "read_clock"]),
        ({"type": "tool", "name": "read_clock"}, ["read_clock"]),
        ({"type": "none"}, []),
    ],
)
async def test_tools_are_chosen_as_asked(claude: anthropic.AsyncAnthropic, choice: Any, called: list[str]) -> None:
    request = asked("Read the clock and the weather", tools=[WEATHER, CLOCK], tool_choice=choice)
    answer = await claude.messages.create(**request)
    assert [block.name for block in answer.content if block.type == "tool_use"] == called


async def test_a_structured_answer_fits_its_schema(claude: anthropic.AsyncAnthropic) -> None:
    schema = {
        "type": "object",
        "properties": {"word": {"type": "string"}, "count": {"type": "integer", "minimum": 1, "maximum": 3}},
        "required": ["word", "count"],
        "additionalProperties": False,
    }
    config: Any = {"format": {"type": "json_schema", "schema": schema}}
    made = json.loads(text(await claude.messages.create(**asked(output_config=config))))
    assert isinstance(made["word"], str)
    assert 1 <= made["count"] <= 3
    del schema["additionalProperties"]
    assert "additionalProperties" in await refused(claude, output_config=config)


async def test_images_documents_and_results_with_images_are_counted(claude: anthropic.AsyncAnthropic) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    told = {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "high water at noon"}}
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}}
    calls = [{"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}}]
    result = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "rain"}, image]}
    plain = await claude.messages.create(**asked())
    seen = await claude.messages.create(**asked([{"type": "text", "text": "Tell me about tides"}, image, told, pdf]))
    assert seen.usage.input_tokens + seen.usage.cache_read_input_tokens > plain.usage.input_tokens + 765 + 1_500
    turns = [
        {"role": "user", "content": "Weather in Oslo?"},
        {"role": "assistant", "content": calls},
        {"role": "user", "content": [result]},
    ]
    answer = await claude.messages.create(**asked() | {"messages": turns, "tools": [WEATHER]})
    assert answer.usage.input_tokens > 765


async def test_thinking_comes_back_unchanged_or_not_at_all(claude: anthropic.AsyncAnthropic) -> None:
    request = asked("What is the weather in Oslo?", thinking=THINK, tools=[WEATHER])
    answer = await claude.messages.create(**request)
    thought, called = answer.content
    assert (thought.type, called.type) == ("thinking", "tool_use")
    assert thought.thinking.startswith("[simulated thinking of swift-mini]")
    details = answer.usage.output_tokens_details
    assert details is not None
    assert 0 < details.thinking_tokens < answer.usage.output_tokens
    result = {"role": "user", "content": [{"type": "tool_result", "tool_use_id": called.id, "content": "rain"}]}

    def turns(*blocks: Any) -> dict[str, Any]:
        return {**request, "messages": [*request["messages"], {"role": "assistant", "content": list(blocks)}, result]}

    after = await claude.messages.create(**turns(thought, called))
    assert [block.type for block in after.content] == ["thinking", "text"]
    other_text = thought.model_copy(update={"thinking": thought.thinking + " "})
    other_signature = thought.model_copy(update={"signature": after.content[0].signature})
    for changed in (other_text, other_signature, {"type": "thinking", "thinking": "", "signature": "nonsense"}):
        assert "Invalid `signature` in `thinking` block" in await refused(claude, **turns(changed, called))
    assert "thinking.signature: Field required" in await refused(
        claude, **turns({"type": "thinking", "thinking": "so"}, called)
    )
    assert "Expected `thinking` or `redacted_thinking`" in await refused(claude, **turns(called))


@pytest.mark.parametrize("name", ["thinking unseen", "thinking redacted"])
async def test_unseen_thinking_is_charged_and_known_again(claude: anthropic.AsyncAnthropic, name: str) -> None:
    request = REQUESTS[name]
    answer = await claude.messages.create(**request)
    thought = answer.content[0].model_dump()
    assert not thought.get("thinking")
    assert answer.usage.output_tokens > len(text(answer)) / 6
    again = {"role": "assistant", "content": answer.content}
    more = [*request["messages"], again, {"role": "user", "content": "And now?"}]
    assert await claude.messages.create(**request | {"messages": more})
    field = "data" if "data" in thought else "signature"
    changed = {**thought, field: thought[field][::-1]}
    more[-2] = {"role": "assistant", "content": [changed, *answer.content[1:]]}
    assert "Invalid `signature`" in await refused(claude, **request | {"messages": more})


async def test_stop_sequences_and_limits_are_told(claude: anthropic.AsyncAnthropic) -> None:
    stopped = await claude.messages.create(**REQUESTS["stop"])
    assert (stopped.stop_reason, stopped.stop_sequence, text(stopped)) == (
        "stop_sequence",
        "]",
        "[simulated swift-mini",
    )
    cut = await claude.messages.create(**REQUESTS["cut"])
    assert (cut.stop_reason, cut.usage.output_tokens) == ("max_tokens", 3)
    cut_thinking = await claude.messages.create(**REQUESTS["cut in thinking"])
    assert (cut_thinking.stop_reason, [block.type for block in cut_thinking.content]) == ("max_tokens", ["thinking"])


async def test_cached_input_stands_beside_the_rest(claude: anthropic.AsyncAnthropic, sandbox: SandboxServer) -> None:
    usage = (await claude.messages.create(**REQUESTS["long"])).usage
    logged = await entry(sandbox)
    assert usage.cache_read_input_tokens == logged.cached_tokens >= 1_024
    assert usage.input_tokens + usage.cache_read_input_tokens == logged.input_tokens
    assert usage.cache_creation_input_tokens == 0


async def test_tokens_are_counted_as_they_are_charged_and_no_call_is_logged(
    claude: anthropic.AsyncAnthropic, sandbox: SandboxServer
) -> None:
    request = asked("Hello there", system="Be brief", tools=[WEATHER])
    counted = await claude.messages.count_tokens(**{name: request[name] for name in request if name != "max_tokens"})
    assert sandbox.calls == []
    assert (await claude.messages.create(**request)).usage.input_tokens == counted.input_tokens
    with pytest.raises(anthropic.BadRequestError, match="at least one message"):
        await claude.messages.count_tokens(model="swift-mini", messages=[])
    with pytest.raises(anthropic.NotFoundError):
        await claude.messages.count_tokens(model="claude-opus-9", messages=request["messages"])


@pytest.mark.parametrize("text", HOSTILE)
async def test_the_sandbox_never_counts_beyond_the_bound(sandbox: SandboxServer, text: str) -> None:
    body = asked(
        [{"type": "text", "text": text.strip() or "so"}],
        system=text.strip() or "so",
        tools=[{"name": f"f{n}", "description": text[:500], "input_schema": {"type": "object"}} for n in range(60)],
        output_config={"format": {"type": "json_schema", "schema": {"type": "string", "description": text}}},
    )
    status, counted = await raw(sandbox, body, path="messages/count_tokens")
    assert status == 200, counted
    assert counted["input_tokens"] <= read_facts(decode_messages(json.dumps(body).encode())).input_tokens_bound


async def test_the_key_comes_either_way_and_the_version_must(sandbox: SandboxServer) -> None:
    async with SandboxServer(api_key="right") as locked:
        assert (await raw(locked, asked(), **{"x-api-key": "right"}))[0] == 200
        assert (await raw(locked, asked(), **{"x-api-key": "", "authorization": "Bearer right"}))[0] == 200
        status, body = await raw(locked, asked(), **{"x-api-key": "wrong", "authorization": "Bearer right"})
        assert (status, body["type"], body["error"]["type"]) == (401, "error", "authentication_error")
        # OpenAI's own address does not know this header.
        assert (await raw(locked, asked(), path="chat/completions", **{"x-api-key": "right"}))[0] == 401
        assert len(locked.calls) == 2
    status, body = await raw(sandbox, asked(), **{"anthropic-version": ""})
    assert (status, body["error"]["message"]) == (400, "anthropic-version: header is required")


async def test_what_the_vendor_does_not_know_is_refused_unless_a_beta_asks(sandbox: SandboxServer) -> None:
    for field in ("n", "max_completion_tokens", "response_format", "context_management"):
        status, body = await raw(sandbox, asked(**{field: 1}))
        assert (status, field in body["error"]["message"]) == (400, True)
    assert (await raw(sandbox, asked(context_management={}), **{"anthropic-beta": "context-2025"}))[0] == 200
