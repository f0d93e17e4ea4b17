"""Every fault that the sandbox plays reaches Anthropic's SDK in Anthropic's shape, and is charged as generated."""

import asyncio
from typing import Any

import aiohttp
import anthropic
import openai
import pytest

from app.sandbox import CallOutcome, FaultKind, FaultRule, SandboxServer
from tests.integration.app.providers.sandbox_messages import THINK, VERSION, asked, entry, raw_text, refused


async def read_into(kinds: list[str], stream: Any) -> None:
    async for event in stream:
        kinds.append(event.type)  # noqa: PERF401 - what came before the error is looked at


@pytest.mark.parametrize(
    ("fault", "error", "status", "kind"),
    [
        ("400", anthropic.BadRequestError, 400, "invalid_request_error"),
        ("401", anthropic.AuthenticationError, 401, "authentication_error"),
        ("403", anthropic.PermissionDeniedError, 403, "permission_error"),
        ("404", anthropic.NotFoundError, 404, "not_found_error"),
        ("408", anthropic.APIStatusError, 408, "timeout_error"),
        ("context", anthropic.BadRequestError, 400, "invalid_request_error"),
        ("429", anthropic.RateLimitError, 429, "rate_limit_error"),
        ("quota", anthropic.APIStatusError, 402, "billing_error"),
        ("500", anthropic.InternalServerError, 500, "api_error"),
        ("503", anthropic.InternalServerError, 529, "overloaded_error"),
        ("504", anthropic.InternalServerError, 504, "timeout_error"),
        ("error", anthropic.InternalServerError, 500, "api_error"),
    ],
)
@pytest.mark.parametrize("is_streamed", [False, True])
async def test_each_refusal_raises_the_sdks_own_class(
    claude: anthropic.AsyncAnthropic,
    sandbox: SandboxServer,
    fault: str,
    error: type[anthropic.APIStatusError],
    status: int,
    kind: str,
    is_streamed: bool,
) -> None:
    if is_streamed and fault == "error":
        return  # then it is an event
    with pytest.raises(error) as caught:
        await claude.messages.create(**asked(f"[[fault:{fault}]]", stream=is_streamed))
    assert (caught.value.status_code, caught.value.type) == (status, kind)
    assert caught.value.request_id == caught.value.body["request_id"]
    assert caught.value.response.headers["x-sandbox"] == "simulated"
    assert (caught.value.response.headers.get("retry-after") is not None) is (fault in ("429", "503"))
    logged = await entry(sandbox)
    assert (logged.outcome, logged.fault, logged.cost_nano_usd) == (CallOutcome.REFUSED, fault, 0)


@pytest.mark.parametrize("fault", ["error", "late_error"])
async def test_an_error_in_a_stream_raises(
    claude: anthropic.AsyncAnthropic, sandbox: SandboxServer, fault: str
) -> None:
    stream = await claude.messages.create(**asked(f"[[fault:{fault}]]", stream=True))
    kinds: list[str] = []
    with pytest.raises(anthropic.APIStatusError) as caught:
        await read_into(kinds, stream)
    assert caught.value.type == "overloaded_error"
    assert ("content_block_start" in kinds) is (fault == "late_error")
    logged = await entry(sandbox)
    assert (logged.generated_tokens > 0) is (fault == "late_error")
    assert (logged.outcome, logged.output_tokens) == (CallOutcome.FAILED, logged.generated_tokens)


async def test_a_content_refusal_is_an_answer(claude: anthropic.AsyncAnthropic, sandbox: SandboxServer) -> None:
    answer = await claude.messages.create(**asked("[[fault:content]]"))
    assert (answer.stop_reason, answer.content) == ("refusal", [])
    assert answer.stop_details is not None
    assert answer.stop_details.type == "refusal"
    assert (await entry(sandbox)).cost_nano_usd > 0


@pytest.mark.parametrize("fault", ["cut", "malformed"])
async def test_a_broken_stream_is_charged_for_what_was_generated(
    claude: anthropic.AsyncAnthropic, sandbox: SandboxServer, fault: str
) -> None:
    stream = await claude.messages.create(**asked(f"[[fault:{fault}]]", stream=True, thinking=THINK))
    with pytest.raises(Exception, match="peer closed" if fault == "cut" else "Expecting value"):
        [event async for event in stream]
    logged = await entry(sandbox)
    assert logged.outcome is CallOutcome.FAILED
    assert 0 < logged.generated_tokens == logged.output_tokens
    assert 0 < logged.reasoning_tokens <= logged.output_tokens
    assert logged.cost_nano_usd > 0


@pytest.mark.parametrize(("fault", "is_streamed"), [("hang", False), ("hang", True), ("stall", False)])
async def test_a_hang_lasts_until_the_client_leaves(
    claude: anthropic.AsyncAnthropic, sandbox: SandboxServer, fault: str, is_streamed: bool
) -> None:
    with pytest.raises(anthropic.APITimeoutError):
        await claude.messages.create(**asked(f"[[fault:{fault}]]", stream=is_streamed), timeout=0.1)
    assert (await entry(sandbox)).outcome is CallOutcome.CLIENT_GONE


async def test_a_slow_first_token_comes_after_the_opening(sandbox: SandboxServer) -> None:
    """The opening and its ping are there at once, and neither is a token: nobody may take them for one."""
    body = asked("[[fault:slow=60000]]", stream=True)
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{sandbox.base_url}/messages", json=body, headers=VERSION) as response,
    ):
        seen = await response.content.readuntil(b'{"type":"ping"}\n\n')
        assert seen.count(b"event: ") == 2
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(response.content.readany(), 0.05)
    assert (await entry(sandbox)).generated_tokens == 0


async def test_a_client_that_leaves_a_stream_is_charged_for_what_came() -> None:
    async with (
        SandboxServer(time_scale=40) as sandbox,
        anthropic.AsyncAnthropic(base_url=sandbox.base_url.removesuffix("/v1"), api_key="any", max_retries=0) as client,
    ):
        stream = await client.messages.create(**asked(stream=True))
        async for event in stream:
            if event.type == "content_block_delta":
                break
        await stream.close()
        logged = await entry(sandbox)
    assert logged.outcome is CallOutcome.CLIENT_GONE
    assert 0 < logged.generated_tokens == logged.output_tokens < 20


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_wrong_usage_and_no_usage(sandbox: SandboxServer, is_streamed: bool) -> None:
    none = await raw_text(sandbox, asked("[[fault:no_usage]]", stream=is_streamed))
    assert '"usage":' not in none
    wrong = await raw_text(sandbox, asked("[[fault:wrong_usage]]", stream=is_streamed))
    logged = sandbox.calls[-1]
    assert logged.output_tokens == logged.generated_tokens * 1_000
    assert f'"output_tokens":{logged.output_tokens}' in wrong


async def test_a_prompt_beyond_the_context_is_refused_in_the_vendors_words(claude: anthropic.AsyncAnthropic) -> None:
    assert "prompt is too long: 130" in await refused(claude, **asked("word " * 130_000))


async def test_a_plan_hits_one_provider_alone(
    claude: anthropic.AsyncAnthropic, client: openai.AsyncOpenAI, sandbox: SandboxServer
) -> None:
    sandbox.faults.add(FaultRule(kinds=[FaultKind.RATE_LIMITED], provider_name="sandbox-anthropic"))
    with pytest.raises(anthropic.RateLimitError):
        await claude.messages.create(**asked())
    assert await client.chat.completions.create(model="swift-mini", messages=[{"role": "user", "content": "Hello"}])


async def test_an_unknown_model_is_not_found(claude: anthropic.AsyncAnthropic) -> None:
    with pytest.raises(anthropic.NotFoundError, match="swift-mini"):
        await claude.messages.create(**asked(model="claude-opus-9"))
