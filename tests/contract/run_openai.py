"""The official Python SDK of OpenAI, through the cases of the matrix."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import openai
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion, ChatCompletionMessage

from tests.contract.cases import AT_ONCE_MAX, Case, KeyName
from tests.contract.seen import Seen, SeenCall, SeenError


async def run(base_url: str, keys: Mapping[KeyName, str], cases: Sequence[Case]) -> list[Seen]:
    """Run the cases; what the SDK saw of each."""
    turns = asyncio.Semaphore(AT_ONCE_MAX)
    async with AsyncOpenAI(base_url=f"{base_url}/v1", api_key=keys["good"], max_retries=0) as client:

        async def seen_of(case: Case) -> Seen:
            asking = client.with_options(api_key=keys[case.key], default_headers=dict(case.headers))
            async with turns:
                return await _run_one(asking, case)

        return await asyncio.gather(*map(seen_of, cases))


async def _run_one(client: AsyncOpenAI, case: Case) -> Seen:
    watched = _Watched()
    try:
        return await _ACTIONS[case.action](client, case.request, watched)
    except openai.APIError as error:
        return Seen(error=_error(error), pieces=watched.pieces, request_id=watched.request_id)


class _Watched:
    """What is known of an answer that may yet break."""

    def __init__(self) -> None:
        self.pieces = 0
        self.request_id: str | None = None


async def _create(client: AsyncOpenAI, request: Mapping[str, Any], watched: _Watched) -> Seen:
    return _seen(await _answer(client, request, watched), watched)


async def _stream(client: AsyncOpenAI, request: Mapping[str, Any], watched: _Watched) -> Seen:
    return _seen(await _streamed(client, request, watched), watched)


async def _loop(client: AsyncOpenAI, request: Mapping[str, Any], watched: _Watched) -> Seen:
    first = await _answer(client, request, watched)
    return _seen(await _answer(client, _with_results(request, first), watched), watched, _calls(first))


async def _loop_stream(client: AsyncOpenAI, request: Mapping[str, Any], watched: _Watched) -> Seen:
    first = await _streamed(client, request, watched)
    return _seen(await _streamed(client, _with_results(request, first), watched), watched, _calls(first))


async def _cancel(client: AsyncOpenAI, request: Mapping[str, Any], watched: _Watched) -> Seen:
    stream = await client.chat.completions.create(**request, stream=True)
    watched.request_id = stream.response.headers["x-signalbox-request-id"]
    text = ""
    async for chunk in stream:
        text += chunk.choices[0].delta.content or "" if chunk.choices else ""
        if text:
            break
    await stream.close()
    return Seen(text=text, request_id=watched.request_id)


async def _models(client: AsyncOpenAI, request: Mapping[str, Any], watched: _Watched) -> Seen:
    del request, watched
    return Seen(models=tuple([model.id async for model in client.models.list()]))


async def _answer(client: AsyncOpenAI, request: Mapping[str, Any], watched: _Watched) -> ChatCompletion:
    answered = await client.chat.completions.with_raw_response.create(**request)
    watched.request_id = answered.headers["x-signalbox-request-id"]
    return answered.parse()


async def _streamed(client: AsyncOpenAI, request: Mapping[str, Any], watched: _Watched) -> ChatCompletion:
    async with client.chat.completions.stream(**request, stream_options={"include_usage": True}) as stream:
        watched.request_id = stream._response.headers["x-signalbox-request-id"]
        async for event in stream:
            if event.type in ("content.delta", "tool_calls.function.arguments.delta"):
                watched.pieces += 1
        return await stream.get_final_completion()


def _with_results(request: Mapping[str, Any], first: ChatCompletion) -> dict[str, Any]:
    message = first.choices[0].message
    results = [{"role": "tool", "tool_call_id": call.id, "content": "18 degrees"} for call in message.tool_calls or []]
    said = message.model_dump(exclude_none=True, exclude={"parsed"})
    for call in said.get("tool_calls", []):
        call["function"].pop("parsed_arguments", None)
    return {**request, "messages": [*request["messages"], said, *results]}


def _seen(answer: ChatCompletion, watched: _Watched, called: Sequence[SeenCall] = ()) -> Seen:
    choice, usage = answer.choices[0], answer.usage
    assert usage is not None
    assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens
    extra = choice.message.model_extra or {}
    return Seen(
        text=choice.message.content or "",
        thinking=extra.get("reasoning_content") or "",
        signatures=sum(bool(detail.get("signature")) for detail in extra.get("reasoning_details") or ()),
        calls=(*called, *_calls(answer)),
        finish=choice.finish_reason,
        input_tokens=usage.prompt_tokens,
        output_tokens=usage.completion_tokens,
        cost=(usage.model_extra or {}).get("cost"),
        pieces=watched.pieces,
        request_id=watched.request_id,
    )


def _calls(answer: ChatCompletion) -> tuple[SeenCall, ...]:
    message: ChatCompletionMessage = answer.choices[0].message
    return tuple(
        SeenCall(call.function.name, call.function.arguments)
        for call in message.tool_calls or []
        if call.type == "function"
    )


def _error(error: openai.APIError) -> SeenError:
    response = error.response if isinstance(error, openai.APIStatusError) else None
    retry_after = response.headers.get("retry-after") if response is not None else None
    return SeenError(
        class_name=type(error).__name__,
        status=response.status_code if response is not None else None,
        code=error.code,
        message=error.message,
        retry_after_s=float(retry_after) if retry_after else None,
    )


_ACTIONS = {
    "create": _create,
    "stream": _stream,
    "loop": _loop,
    "loop_stream": _loop_stream,
    "cancel": _cancel,
    "models": _models,
}
