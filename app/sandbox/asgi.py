"""The sandbox's addresses, as a plain ASGI application.

Invariant: every answer says that it is simulated, and every call ends with one entry in the log.

    POST /v1/chat/completions       OpenAI's chat, whole and streamed
    POST /v1/messages               Anthropic's, whole and streamed
    POST /v1/messages/count_tokens  what a request would count; no call of the log
    GET  /v1/models                 the simulated models
    GET  /sandbox/calls             the log; `?after=SEQUENCE`; DELETE forgets
    POST /sandbox/faults            add a rule to the fault plan; GET lists, DELETE clears
    GET  /livez                     no key needed
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from app.sandbox.anthropic_wire import ANTHROPIC_WIRE, count_tokens
from app.sandbox.calls import CallLog
from app.sandbox.chat import ChatCall
from app.sandbox.errors import RequestRefused
from app.sandbox.exchange import Exchange
from app.sandbox.faults import FaultKind, FaultPlan, FaultRule
from app.sandbox.models import SANDBOX_MODELS
from app.sandbox.openai_wire import OPENAI_WIRE, encode_models
from app.sandbox.statement import statement_csv
from app.sandbox.wire import Refusal, Wire

BODY_BYTES_MAX: Final = 32 * 1024 * 1024

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class SandboxApp:
    """The simulated providers. `api_key` None takes any key; `time_scale` 0 answers at once."""

    def __init__(
        self,
        *,
        api_key: str | None = None,
        state: Path | None = None,
        time_scale: float = 1.0,
        faults: Iterable[FaultRule] = (),
    ) -> None:
        self.calls = CallLog(state)
        self.faults = FaultPlan(faults)
        self.time_scale = time_scale
        self._api_key = api_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        exchange = Exchange(scope, receive, send)
        path = scope["path"].rstrip("/")
        wire = _wire_of(path)
        if path == "/livez":
            await exchange.respond(200, b'{"status":"ok"}')
        elif not self._is_key_right(exchange, wire):
            await _refuse(exchange, wire, FaultKind.UNAUTHORIZED, _WRONG_KEY)
        else:
            await self._route(exchange, scope["method"], path, scope.get("query_string", b""))

    async def _route(self, exchange: Exchange, method: str, path: str, query: bytes) -> None:
        wire = _wire_of(path)
        match method, path:
            case "POST", "/v1/chat/completions" | "/v1/messages":
                body = await exchange.body(BODY_BYTES_MAX)
                await ChatCall(self.calls, self.faults, exchange, wire, time_scale=self.time_scale).serve(body)
            case "POST", "/v1/messages/count_tokens":
                await _count_tokens(exchange, await exchange.body(BODY_BYTES_MAX))
            case "GET", "/v1/models":
                await exchange.respond(200, encode_models())
            case "GET", "/sandbox/calls":
                after = parse_qs(query.decode()).get("after", ["0"])[0]
                entries = self.calls.entries(after=int(after) if after.isdecimal() else 0)
                await exchange.respond(200, msgspec.json.encode({"data": entries}))
            case "GET", "/sandbox/statement":
                statement = statement_csv(self.calls.entries())
                await exchange.respond(200, statement.encode(), {"content-type": "text/csv; charset=utf-8"})
            case "DELETE", "/sandbox/calls":
                self.calls.clear()
                await exchange.respond(204, b"")
            case "POST", "/sandbox/faults":
                await self._add_fault(exchange, await exchange.body(BODY_BYTES_MAX))
            case "GET", "/sandbox/faults":
                await exchange.respond(200, msgspec.json.encode({"data": self.faults.rules()}))
            case "DELETE", "/sandbox/faults":
                self.faults.clear()
                await exchange.respond(204, b"")
            case _:
                await _refuse(exchange, wire, FaultKind.NOT_FOUND, f"No such address: {method} {path}")

    async def _add_fault(self, exchange: Exchange, body: bytes) -> None:
        try:
            rule = msgspec.json.decode(body, type=FaultRule)
        except msgspec.MsgspecError as error:
            await _refuse(exchange, OPENAI_WIRE, FaultKind.BAD_REQUEST, str(error))
            return
        self.faults.add(rule)
        await exchange.respond(201, msgspec.json.encode(rule))

    def _is_key_right(self, exchange: Exchange, wire: Wire) -> bool:
        name = next((name for name in wire.key_headers if exchange.header(name)), "")
        header = exchange.header(name) or ""
        key = _bearer(header) if name == "authorization" else header
        return bool(key) and self._api_key in (None, key)


def _wire_of(path: str) -> Wire:
    return ANTHROPIC_WIRE if path.startswith("/v1/messages") else OPENAI_WIRE


def _bearer(header: str) -> str:
    scheme, _, key = header.partition(" ")
    return key if scheme.lower() == "bearer" else ""


async def _count_tokens(exchange: Exchange, body: bytes) -> None:
    try:
        counted = count_tokens(body, exchange.headers)
    except RequestRefused as refused:
        await _refuse(exchange, ANTHROPIC_WIRE, FaultKind.BAD_REQUEST, str(refused))
        return
    if counted.request_model not in SANDBOX_MODELS:
        await _refuse(exchange, ANTHROPIC_WIRE, FaultKind.NOT_FOUND, f"model: {counted.request_model[:64]}")
        return
    await exchange.respond(200, counted.body)


async def _refuse(exchange: Exchange, wire: Wire, kind: FaultKind, message: str) -> None:
    """Refuse what never became a call."""
    row = wire.refusals[kind]
    refusal = Refusal(row.status, row.kind, message, row.code)
    await exchange.respond(row.status, wire.encode_error(refusal, "req_none"))


_WRONG_KEY: Final = "Incorrect API key provided to the sandbox. Send any key, or the one it was started with."
