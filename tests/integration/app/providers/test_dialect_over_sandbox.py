"""Dialect, transport and sandbox together: what a call says and what the sandbox says of it are the same."""

import json
from collections.abc import AsyncIterator
from uuid import UUID, uuid4

import pytest

from app.providers import (
    DIALECTS,
    FailureKind,
    StreamCut,
    StreamReader,
    Timeouts,
    Transport,
    UpstreamCall,
    UpstreamError,
    decode_chat,
    endpoint_url,
    read_facts,
    request_headers,
    vendor_of,
)
from app.sandbox import SANDBOX_MODELS, CallOutcome, FaultKind, SandboxServer
from tests.unit.app.providers.hostile_texts import HOSTILE

OPENAI = DIALECTS["openai"]
SANDBOX = vendor_of("sandbox")


def call(
    sandbox: SandboxServer, raw: bytes, *, attempt_id: UUID | None = None, model: str = "swift-mini"
) -> UpstreamCall:
    return UpstreamCall(
        url=endpoint_url(SANDBOX, sandbox.base_url, OPENAI.path),
        headers=request_headers(SANDBOX, "key", attempt_id=attempt_id or uuid4(), request_id=uuid4()),
        body=OPENAI.encode_request(decode_chat(raw), model=model, output_tokens_limit=None, vendor=SANDBOX).body,
        credential_owner="platform",
        timeouts=Timeouts(first_byte_s=0.3, idle_s=0.3),
    )


def request(text: str, **fields: object) -> bytes:
    return json.dumps({"model": "auto", "messages": [{"role": "user", "content": text}], **fields}).encode()


async def read_stream(transport: Transport, sent: UpstreamCall) -> StreamReader:
    reader = OPENAI.read_stream(wants_usage=False)
    response = await transport.send(sent)
    if response.status != 200:
        raise OPENAI.decode_error(response.status, await response.read())
    async for chunk in response.chunks():
        reader.feed(chunk)
    reader.close()
    if reader.failure is not None:
        raise reader.failure
    return reader


@pytest.mark.parametrize("model", list(SANDBOX_MODELS))
async def test_usage_is_what_the_sandbox_charged(sandbox: SandboxServer, model: str) -> None:
    attempt_ids = [uuid4(), uuid4()]
    async with Transport() as transport:
        whole = await transport.send(call(sandbox, request("Hello"), attempt_id=attempt_ids[0], model=model))
        answer = OPENAI.decode_answer(await whole.read())
        sent = call(sandbox, request("Hello", stream=True), attempt_id=attempt_ids[1], model=model)
        reader = await read_stream(transport, sent)
    assert whole.headers["x-sandbox"] == "simulated"
    logged = sandbox.calls
    assert [entry.attempt_id for entry in logged] == [str(attempt_id) for attempt_id in attempt_ids]
    assert [entry.usage() for entry in logged] == [answer.usage, reader.usage]
    assert [entry.call_id for entry in logged] == [answer.response_id, reader.response_id]
    assert answer.usage == reader.usage


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (FaultKind.BAD_REQUEST, FailureKind.INVALID),
        (FaultKind.UNAUTHORIZED, FailureKind.AUTH),
        (FaultKind.CONTEXT, FailureKind.CONTEXT_EXCEEDED),
        (FaultKind.CONTENT, FailureKind.CONTENT_REFUSED),
        (FaultKind.RATE_LIMITED, FailureKind.RATE_LIMITED),
        (FaultKind.OUT_OF_CREDIT, FailureKind.OUT_OF_CREDIT),
        (FaultKind.SERVER, FailureKind.SERVER),
        (FaultKind.OVERLOADED, FailureKind.OVERLOADED),
        (FaultKind.HANG, FailureKind.TIMEOUT),
        (FaultKind.STALL, FailureKind.TIMEOUT),
        (FaultKind.CUT, FailureKind.CUT),
        (FaultKind.ERROR_EVENT, FailureKind.OVERLOADED),
        (FaultKind.LATE_ERROR_EVENT, FailureKind.OVERLOADED),
        (FaultKind.MALFORMED, FailureKind.MALFORMED),
    ],
)
async def test_every_fault_is_read_as_its_kind(sandbox: SandboxServer, fault: FaultKind, kind: FailureKind) -> None:
    async with Transport() as transport:
        with pytest.raises(UpstreamError) as caught:
            await read_stream(transport, call(sandbox, request(f"Hello [[fault:{fault}]]", stream=True)))
    assert caught.value.kind is kind


@pytest.mark.parametrize("fault", [FaultKind.MALFORMED, FaultKind.CUT])
async def test_a_broken_whole_answer_is_no_answer(sandbox: SandboxServer, fault: FaultKind) -> None:
    async with Transport() as transport:
        response = await transport.send(call(sandbox, request(f"Hello [[fault:{fault}]]")))
        with pytest.raises(UpstreamError):
            OPENAI.decode_answer(await response.read())


async def test_a_stream_left_early_is_estimated_near_what_was_generated(sandbox: SandboxServer) -> None:
    reader = OPENAI.read_stream(wants_usage=False)
    sent = call(sandbox, request("Hello [[fault:cut]]", stream=True), model="deep-large")
    async with Transport() as transport:
        chunks = (await transport.send(sent)).chunks()
        with pytest.raises(StreamCut):
            await _feed_all(reader, chunks)
    assert sandbox.calls[-1].outcome is CallOutcome.FAILED
    generated = sandbox.calls[-1].generated_tokens
    assert generated <= reader.output_tokens_estimate() <= generated * 1.5


@pytest.mark.parametrize("text", HOSTILE)
async def test_the_sandbox_never_counts_beyond_the_bound(sandbox: SandboxServer, text: str) -> None:
    tools = [{"type": "function", "function": {"name": "f", "description": text[:500]}} for _ in range(60)]
    schema = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object", "description": text}}}
    raw = request(text, tools=tools, tool_choice="none", response_format=schema)
    async with Transport() as transport:
        response = await transport.send(call(sandbox, raw))
        answer = OPENAI.decode_answer(await response.read())
    assert answer.usage is not None
    assert answer.usage.input_tokens <= read_facts(decode_chat(raw)).input_tokens_bound


async def _feed_all(reader: StreamReader, chunks: AsyncIterator[bytes]) -> None:
    async for chunk in chunks:
        reader.feed(chunk)
