"""The sandbox's addresses, as a plain ASGI application.

Invariant: every answer says that it is simulated, and every call ends with one entry in the log.

    POST /v1/chat/completions   OpenAI's chat, whole and streamed
    GET  /v1/models             the simulated models
    GET  /sandbox/calls         the log; `?after=SEQUENCE`; DELETE forgets
    POST /sandbox/faults        add a rule to the fault plan; GET lists, DELETE clears
    GET  /livez                 no key needed
"""

from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs

import msgspec

from app.sandbox.calls import CallLog
from app.sandbox.chat import ChatCall
from app.sandbox.exchange import Exchange
from app.sandbox.faults import FaultPlan, FaultRule
from app.sandbox.openai_wire import encode_error, encode_models

BODY_BYTES_MAX: Final = 32 * 1024 * 1024

Scope = Mapping[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class SandboxApp:
    """One simulated provider. `api_key` None takes any key; `time_scale` 0 answers at once."""

    def __init__(self, *, api_key: str | None = None, state: Path | None = None, time_scale: float = 1.0) -> None:
        self.calls = CallLog(state)
        self.faults = FaultPlan()
        self.time_scale = time_scale
        self._api_key = api_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        exchange = Exchange(scope, receive, send)
        path = scope["path"].rstrip("/")
        if path == "/livez":
            await exchange.respond(200, b'{"status":"ok"}')
        elif not self._is_key_right(exchange.header("authorization")):
            await exchange.respond(401, msgspec.json.encode(_WRONG_KEY))
        else:
            await self._route(exchange, scope["method"], path, scope.get("query_string", b""))

    async def _route(self, exchange: Exchange, method: str, path: str, query: bytes) -> None:
        match method, path:
            case "POST", "/v1/chat/completions":
                body = await exchange.body(BODY_BYTES_MAX)
                await ChatCall(self.calls, self.faults, exchange, time_scale=self.time_scale).serve(body)
            case "GET", "/v1/models":
                await exchange.respond(200, encode_models())
            case "GET", "/sandbox/calls":
                after = parse_qs(query.decode()).get("after", ["0"])[0]
                entries = self.calls.entries(after=int(after) if after.isdecimal() else 0)
                await exchange.respond(200, msgspec.json.encode({"data": entries}))
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
                error = encode_error(f"No such address: {method} {path}", "invalid_request_error", "not_found")
                await exchange.respond(404, msgspec.json.encode(error))

    async def _add_fault(self, exchange: Exchange, body: bytes) -> None:
        try:
            rule = msgspec.json.decode(body, type=FaultRule)
        except msgspec.MsgspecError as error:
            await exchange.respond(400, msgspec.json.encode(encode_error(str(error), "invalid_request_error")))
            return
        self.faults.add(rule)
        await exchange.respond(201, msgspec.json.encode(rule))

    def _is_key_right(self, header: str | None) -> bool:
        scheme, _, key = (header or "").partition(" ")
        return scheme.lower() == "bearer" and bool(key) and self._api_key in (None, key)


_WRONG_KEY: Final = encode_error(
    "Incorrect API key provided to the sandbox. Send any bearer key, or the one it was started with.",
    "invalid_request_error",
    "invalid_api_key",
)
