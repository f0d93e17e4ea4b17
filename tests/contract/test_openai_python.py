"""The official `openai` Python SDK against the running gateway: answers, streams, tools, errors of its own classes."""

from collections.abc import AsyncIterator

import openai
import pytest
from openai import AsyncOpenAI

from app.sandbox import FaultKind
from billing import set_budget
from tenants import SYSTEM
from tests.world import World

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
QUESTION = [{"role": "user", "content": "What is the weather in Paris? Use the tool."}]


@pytest.fixture
async def client(world: World) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{world.base_url}/v1", api_key=world.acme.key, max_retries=0) as client:
        yield client


async def test_a_whole_answer(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "Hello"}])
    assert answer.choices[0].message.content
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer.usage.model_extra
    assert answer.usage.model_extra["cost"] > 0


async def test_a_streamed_answer(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="auto",
        messages=[{"role": "user", "content": "Hello"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.model_extra
    assert chunks[-1].usage.model_extra["cost"] > 0


async def test_a_tool_call(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(
        model="auto", messages=QUESTION, tools=[WEATHER], tool_choice="required"
    )
    [call] = answer.choices[0].message.tool_calls or []
    assert call.type == "function"
    assert call.function.name == "get_weather"
    assert answer.choices[0].finish_reason == "tool_calls"


async def test_a_streamed_tool_call_keeps_its_arguments(client: AsyncOpenAI) -> None:
    async with client.chat.completions.stream(
        model="auto", messages=QUESTION, tools=[WEATHER], tool_choice="required"
    ) as stream:
        final = await stream.get_final_completion()
    [call] = final.choices[0].message.tool_calls or []
    assert '"city"' in call.function.arguments


async def test_a_json_schema_is_passed_through(client: AsyncOpenAI) -> None:
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    answer = await client.chat.completions.create(
        model="auto",
        messages=[{"role": "user", "content": "Name a city as JSON"}],
        response_format={"type": "json_schema", "json_schema": {"name": "city", "schema": schema}},
    )
    assert '"city"' in (answer.choices[0].message.content or "")


async def test_models_are_listed(client: AsyncOpenAI) -> None:
    assert "sandbox/deep-large" in [model.id async for model in client.models.list()]


async def test_a_bad_key_raises_authentication_error(world: World) -> None:
    async with AsyncOpenAI(base_url=f"{world.base_url}/v1", api_key="sbx_live_wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError):
            await client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "Hello"}])


async def test_a_spent_budget_raises_402_that_names_the_budget(world: World, client: AsyncOpenAI) -> None:
    await set_budget(world.database, SYSTEM, world.acme.tenant_id, period="month", limit_nano_usd=0)
    with pytest.raises(openai.APIStatusError, match="budget") as raised:
        await client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "Hello"}])
    assert raised.value.status_code == 402
    assert raised.value.code == "budget_exceeded"


@pytest.mark.parametrize(
    ("model", "expected"),
    [("sandbox/none", openai.NotFoundError), ("", openai.BadRequestError)],
)
async def test_wrong_models_raise_the_sdks_own_errors(client: AsyncOpenAI, model: str, expected: type) -> None:
    with pytest.raises(expected):
        await client.chat.completions.create(model=model, messages=[{"role": "user", "content": "Hello"}])


async def test_an_upstream_rate_limit_raises_rate_limit_error(world: World, client: AsyncOpenAI) -> None:
    world.sandbox.fail(FaultKind.RATE_LIMITED)
    with pytest.raises(openai.RateLimitError):
        await client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "Hello"}])


async def test_a_stream_that_breaks_raises_inside_the_loop(world: World, client: AsyncOpenAI) -> None:
    world.sandbox.fail(FaultKind.CUT)
    stream = await client.chat.completions.create(
        model="auto", messages=[{"role": "user", "content": "Hello"}], stream=True
    )
    with pytest.raises(openai.APIError, match="broke off"):
        async for _ in stream:
            pass
