"""The official OpenAI SDK takes the sandbox for OpenAI."""

import asyncio
import json
from typing import Any

import openai
import pytest

from app.sandbox import SANDBOX_MODELS, CallOutcome, FaultKind, SandboxServer

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def asked(text: str = "Tell me about tides") -> list[Any]:
    return [{"role": "user", "content": text}]


async def entry(sandbox: SandboxServer) -> Any:
    """The last call, once its server side has ended."""
    for _ in range(400):
        if sandbox.calls:
            return sandbox.calls[-1]
        await asyncio.sleep(0.005)
    raise AssertionError("no call was logged")


async def test_a_whole_answer(client: openai.AsyncOpenAI, sandbox: SandboxServer) -> None:
    answer = await client.chat.completions.create(
        model="swift-mini",
        messages=asked(),
        extra_headers={"x-signalbox-attempt-id": "attempt-1", "x-signalbox-request-id": "request-1"},
    )
    assert answer.choices[0].message.content.startswith("[simulated swift-mini]")
    assert (answer.system_fingerprint, answer.choices[0].finish_reason) == ("sandbox", "stop")
    logged = await entry(sandbox)
    assert (logged.attempt_id, logged.request_id, logged.call_id) == ("attempt-1", "request-1", answer.id)
    assert (logged.input_tokens, logged.output_tokens) == (answer.usage.prompt_tokens, answer.usage.completion_tokens)
    assert (logged.outcome, logged.is_fully_delivered, logged.http_status) == (CallOutcome.ANSWERED, True, 200)
    assert logged.cost_nano_usd == SANDBOX_MODELS["swift-mini"].cost_nano_usd(logged.usage()) > 0


async def test_who_has_the_answer_finds_its_entry(client: openai.AsyncOpenAI, sandbox: SandboxServer) -> None:
    for number in range(1, 21):
        await client.chat.completions.create(model="swift-mini", messages=asked(), max_tokens=2)
        assert len(sandbox.calls) == number


async def test_the_same_request_gets_the_same_text(client: openai.AsyncOpenAI) -> None:
    answers = [await client.chat.completions.create(model="deep-large", messages=asked()) for _ in range(2)]
    assert answers[0].choices[0].message.content == answers[1].choices[0].message.content
    assert answers[0].id != answers[1].id


async def test_a_stream_is_the_whole_answer_in_pieces(client: openai.AsyncOpenAI, sandbox: SandboxServer) -> None:
    whole = await client.chat.completions.create(model="steady-base", messages=asked())
    stream = await client.chat.completions.create(
        model="steady-base", messages=asked(), stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert (chunks[-1].choices, chunks[-1].usage) == ([], whole.usage)
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert sandbox.calls[-1].generated_tokens == whole.usage.completion_tokens


async def test_a_stream_without_usage_asked_has_none(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model="swift-mini", messages=asked(), stream=True)
    chunks = [chunk async for chunk in stream]
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


async def test_several_choices(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="swift-mini", messages=asked(), n=3)
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    stream = await client.chat.completions.create(model="swift-mini", messages=asked(), n=3, stream=True)
    texts = {0: "", 1: "", 2: ""}
    async for chunk in stream:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert [choice.message.content for choice in answer.choices] == list(texts.values())


async def test_a_tool_call_and_its_result(client: openai.AsyncOpenAI) -> None:
    messages = asked("What is the weather in Oslo?")
    answer = await client.chat.completions.create(model="coder-pro", messages=messages, tools=[WEATHER])
    called = answer.choices[0].message.tool_calls[0]
    assert (answer.choices[0].finish_reason, called.function.name) == ("tool_calls", "get_weather")
    assert set(json.loads(called.function.arguments)) == {"city"}
    messages += [answer.choices[0].message, {"role": "tool", "tool_call_id": called.id, "content": "rain"}]
    after = await client.chat.completions.create(model="coder-pro", messages=messages, tools=[WEATHER])
    assert (after.choices[0].finish_reason, after.choices[0].message.tool_calls) == ("stop", None)


async def test_a_tool_calls_arguments_are_streamed(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="coder-pro", messages=asked("Hello"), tools=[WEATHER], tool_choice="required", stream=True
    )
    calls = [call async for chunk in stream for call in chunk.choices[0].delta.tool_calls or ()]
    assert (calls[0].function.name, calls[0].id is not None, len(calls) > 2) == ("get_weather", True, True)
    assert set(json.loads("".join(call.function.arguments or "" for call in calls))) == {"city"}


async def test_a_json_answer_fits_its_schema(client: openai.AsyncOpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"word": {"type": "string"}, "count": {"type": "integer", "minimum": 1, "maximum": 3}},
        "required": ["word", "count"],
        "additionalProperties": False,
    }
    answer = await client.chat.completions.create(
        model="swift-mini",
        messages=asked(),
        response_format={"type": "json_schema", "json_schema": {"name": "w", "schema": schema}},
    )
    made = json.loads(answer.choices[0].message.content)
    assert isinstance(made["word"], str)
    assert 1 <= made["count"] <= 3


async def test_max_tokens_and_stop_are_kept(client: openai.AsyncOpenAI) -> None:
    short = await client.chat.completions.create(model="swift-mini", messages=asked(), max_tokens=5)
    assert (short.choices[0].finish_reason, short.usage.completion_tokens) == ("length", 5)
    stopped = await client.chat.completions.create(model="swift-mini", messages=asked(), stop=["]"])
    assert stopped.choices[0].message.content == "[simulated swift-mini"


async def test_a_long_prompt_counts_as_partly_cached(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="swift-mini", messages=asked("word " * 3_000))
    assert answer.usage.prompt_tokens >= 3_000
    assert answer.usage.prompt_tokens_details.cached_tokens >= 1_024


async def test_the_models_are_listed(client: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == list(SANDBOX_MODELS)


@pytest.mark.parametrize(
    ("fault", "error", "status"),
    [
        ("400", openai.BadRequestError, 400),
        ("context", openai.BadRequestError, 400),
        ("content", openai.BadRequestError, 400),
        ("401", openai.AuthenticationError, 401),
        ("429", openai.RateLimitError, 429),
        ("quota", openai.RateLimitError, 429),
        ("500", openai.InternalServerError, 500),
        ("503", openai.InternalServerError, 503),
        ("error", openai.InternalServerError, 500),
    ],
)
async def test_each_refusal_raises_the_sdks_own_class(
    client: openai.AsyncOpenAI, sandbox: SandboxServer, fault: str, error: type[openai.APIStatusError], status: int
) -> None:
    with pytest.raises(error) as caught:
        await client.chat.completions.create(model="swift-mini", messages=asked(f"[[fault:{fault}]]"))
    assert caught.value.status_code == status
    assert caught.value.response.headers["x-sandbox"] == "simulated"
    assert (caught.value.response.headers.get("retry-after") is not None) is (fault in ("429", "503"))
    logged = await entry(sandbox)
    assert (logged.outcome, logged.fault, logged.cost_nano_usd) == (CallOutcome.REFUSED, fault, 0)


@pytest.mark.parametrize("fault", ["error", "late_error"])
async def test_an_error_in_a_stream_raises(client: openai.AsyncOpenAI, fault: str) -> None:
    stream = await client.chat.completions.create(model="swift-mini", messages=asked(f"[[fault:{fault}]]"), stream=True)
    with pytest.raises(openai.APIError, match="Simulated error"):
        [chunk async for chunk in stream]


async def test_a_cut_stream_breaks_and_is_charged_for_what_was_generated(
    client: openai.AsyncOpenAI, sandbox: SandboxServer
) -> None:
    stream = await client.chat.completions.create(model="swift-mini", messages=asked("[[fault:cut]]"), stream=True)
    with pytest.raises(openai.APIConnectionError):
        [chunk async for chunk in stream]
    logged = await entry(sandbox)
    assert (logged.outcome, logged.is_fully_delivered) == (CallOutcome.FAILED, False)
    assert 0 < logged.generated_tokens == logged.output_tokens
    assert logged.cost_nano_usd > 0


@pytest.mark.parametrize(("fault", "is_streamed"), [("hang", False), ("hang", True), ("stall", False)])
async def test_a_hang_lasts_until_the_client_leaves(
    client: openai.AsyncOpenAI, sandbox: SandboxServer, fault: str, is_streamed: bool
) -> None:
    with pytest.raises(openai.APITimeoutError):
        await client.chat.completions.create(
            model="swift-mini", messages=asked(f"[[fault:{fault}]]"), stream=is_streamed, timeout=0.1
        )
    assert (await entry(sandbox)).outcome is CallOutcome.CLIENT_GONE


async def test_a_client_that_leaves_a_stream_is_noticed_and_charged_for_what_came() -> None:
    async with (
        SandboxServer(time_scale=40) as sandbox,
        openai.AsyncOpenAI(base_url=sandbox.base_url, api_key="any", max_retries=0) as client,
    ):
        stream = await client.chat.completions.create(model="swift-mini", messages=asked(), stream=True)
        async for chunk in stream:
            if chunk.choices[0].delta.content:
                break
        await stream.close()
        logged = await entry(sandbox)
    assert logged.outcome is CallOutcome.CLIENT_GONE
    assert 0 < logged.generated_tokens == logged.output_tokens < 20


async def test_wrong_usage_and_no_usage(client: openai.AsyncOpenAI) -> None:
    wrong = await client.chat.completions.create(model="swift-mini", messages=asked("[[fault:wrong_usage]]"))
    assert wrong.usage.prompt_tokens >= 1_000
    none = await client.chat.completions.create(model="swift-mini", messages=asked("[[fault:no_usage]]"))
    assert none.usage is None


async def test_a_delay_is_waited_and_answered(client: openai.AsyncOpenAI) -> None:
    for fault in ("delay=20", "slow=20"):
        answer = await client.chat.completions.create(model="swift-mini", messages=asked(f"[[fault:{fault}]]"))
        assert answer.choices[0].message.content


async def test_faults_come_by_suffix_by_metadata_and_by_plan(
    client: openai.AsyncOpenAI, sandbox: SandboxServer
) -> None:
    with pytest.raises(openai.RateLimitError):
        await client.chat.completions.create(model="swift-mini+429", messages=asked())
    with pytest.raises(openai.RateLimitError):
        await client.chat.completions.create(model="swift-mini", messages=asked(), metadata={"sandbox_fault": "429"})
    with pytest.raises(openai.RateLimitError):
        await client.chat.completions.create(
            model="swift-mini", messages=asked(), extra_headers={"x-sandbox-fault": "429"}
        )
    sandbox.fail(FaultKind.SERVER, model="swift-mini", count=1)
    await client.chat.completions.create(model="deep-large", messages=asked())
    with pytest.raises(openai.InternalServerError):
        await client.chat.completions.create(model="swift-mini", messages=asked())
    await client.chat.completions.create(model="swift-mini", messages=asked())


async def test_an_unknown_model_is_not_found(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="swift-mini"):
        await client.chat.completions.create(model="gpt-4o", messages=asked())


async def test_a_prompt_beyond_the_context_is_refused(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.chat.completions.create(model="swift-mini", messages=asked("word " * 130_000))
    assert caught.value.code == "context_length_exceeded"


async def test_a_wrong_key_is_refused_when_one_was_set() -> None:
    async with (
        SandboxServer(api_key="right") as sandbox,
        openai.AsyncOpenAI(base_url=sandbox.base_url, api_key="wrong", max_retries=0) as client,
    ):
        with pytest.raises(openai.AuthenticationError):
            await client.chat.completions.create(model="swift-mini", messages=asked())
        assert sandbox.calls == []
        answer = await client.with_options(api_key="right").chat.completions.create(
            model="swift-mini", messages=asked()
        )
        assert answer.choices
