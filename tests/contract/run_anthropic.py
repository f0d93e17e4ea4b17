"""The official Python SDK of Anthropic, through the cases of the matrix."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

import anthropic
from anthropic import AsyncAnthropic
from anthropic.types import Message

from tests.contract.cases import AT_ONCE_MAX, Case, KeyName
from tests.contract.seen import Seen, SeenCall, SeenError


async def run(base_url: str, keys: Mapping[KeyName, str], cases: Sequence[Case]) -> list[Seen]:
    """Run the cases; what the SDK saw of each."""
    turns = asyncio.Semaphore(AT_ONCE_MAX)
    async with AsyncAnthropic(base_url=base_url, api_key=keys["good"], max_retries=0) as client:

        async def seen_of(case: Case) -> Seen:
            asking = client.with_options(api_key=keys[case.key], default_headers=dict(case.headers))
            async with turns:
                return await _run_one(asking, case)

        return await asyncio.gather(*map(seen_of, cases))


async def _run_one(client: AsyncAnthropic, case: Case) -> Seen:
    watched = _Watched()
    try:
        return await _ACTIONS[case.action](client, case.request, watched)
    except anthropic.APIError as error:
        return Seen(error=_error(error, watched), pieces=watched.pieces, request_id=watched.request_id)


class _Watched:
    """What is known of an answer that may yet break."""

    def __init__(self) -> None:
        self.pieces = 0
        self.cost: float | None = None
        self.request_id: str | None = None


async def _create(client: AsyncAnthropic, request: Mapping[str, Any], watched: _Watched) -> Seen:
    return _seen(await _answer(client, request, watched), watched)


async def _stream(client: AsyncAnthropic, request: Mapping[str, Any], watched: _Watched) -> Seen:
    return _seen(await _streamed(client, request, watched), watched)


async def _loop(client: AsyncAnthropic, request: Mapping[str, Any], watched: _Watched) -> Seen:
    first = await _answer(client, request, watched)
    return _seen(await _answer(client, _with_results(request, first), watched), watched, _calls(first))


async def _loop_stream(client: AsyncAnthropic, request: Mapping[str, Any], watched: _Watched) -> Seen:
    first = await _streamed(client, request, watched)
    return _seen(await _streamed(client, _with_results(request, first), watched), watched, _calls(first))


async def _cancel(client: AsyncAnthropic, request: Mapping[str, Any], watched: _Watched) -> Seen:
    stream = await client.messages.create(**request, stream=True)
    watched.request_id = stream.response.headers["x-signalbox-request-id"]
    text = ""
    async for event in stream:
        if event.type == "content_block_delta" and event.delta.type == "text_delta":
            text += event.delta.text
            break
    await stream.close()
    return Seen(text=text, request_id=watched.request_id)


async def _count(client: AsyncAnthropic, request: Mapping[str, Any], watched: _Watched) -> Seen:
    del watched
    return Seen(input_tokens=(await client.messages.count_tokens(**request)).input_tokens)


async def _models(client: AsyncAnthropic, request: Mapping[str, Any], watched: _Watched) -> Seen:
    del request, watched
    return Seen(models=tuple([model.id async for model in client.models.list()]))


async def _answer(client: AsyncAnthropic, request: Mapping[str, Any], watched: _Watched) -> Message:
    answered = await client.messages.with_raw_response.create(**request)
    watched.request_id = answered.headers["x-signalbox-request-id"]
    return await answered.parse()


async def _streamed(client: AsyncAnthropic, request: Mapping[str, Any], watched: _Watched) -> Message:
    async with client.messages.stream(**request) as stream:
        watched.request_id = stream.response.headers["x-signalbox-request-id"]
        async for event in stream:
            if event.type == "content_block_delta":
                watched.pieces += 1
            elif event.type == "message_delta":
                # The message that the SDK puts together keeps the counts it knows and no other.
                watched.cost = (event.usage.model_extra or {}).get("cost")
        return await stream.get_final_message()


def _with_results(request: Mapping[str, Any], first: Message) -> dict[str, Any]:
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "18 degrees"}
        for block in first.content
        if block.type == "tool_use"
    ]
    said = [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    return {**request, "messages": [*request["messages"], *said]}


def _seen(answer: Message, watched: _Watched, called: Sequence[SeenCall] = ()) -> Seen:
    thoughts = [block for block in answer.content if block.type == "thinking"]
    return Seen(
        text="".join(block.text for block in answer.content if block.type == "text"),
        thinking="".join(block.thinking for block in thoughts),
        signatures=sum(bool(block.signature) for block in thoughts),
        calls=(*called, *_calls(answer)),
        finish=answer.stop_reason,
        input_tokens=answer.usage.input_tokens,
        output_tokens=answer.usage.output_tokens,
        cost=watched.cost or (answer.usage.model_extra or {}).get("cost"),
        pieces=watched.pieces,
        request_id=watched.request_id,
    )


def _calls(answer: Message) -> tuple[SeenCall, ...]:
    return tuple(SeenCall(block.name, json.dumps(block.input)) for block in answer.content if block.type == "tool_use")


def _error(error: anthropic.APIError, watched: _Watched) -> SeenError:
    body: Any = error.body if isinstance(error.body, dict) else {}
    told = body.get("error", {})
    response = error.response if isinstance(error, anthropic.APIStatusError) else None
    retry_after = response.headers.get("retry-after") if response is not None else None
    return SeenError(
        class_name=type(error).__name__,
        # Inside a stream the SDK gives the status under which it began.
        status=response.status_code if response is not None and not watched.request_id else None,
        code=told.get("code") or told.get("type"),
        message=told.get("message", ""),
        retry_after_s=float(retry_after) if retry_after else None,
    )


_ACTIONS = {
    "create": _create,
    "stream": _stream,
    "loop": _loop,
    "loop_stream": _loop_stream,
    "cancel": _cancel,
    "count": _count,
    "models": _models,
}
