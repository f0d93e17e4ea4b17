"""Changes that come again under an `idempotency-key`: made once, and answered as the first time.

The router calls `turn_taker` before a route and puts `answers_kept` around all of them. Invariants: what is asked
for under a key is done at most once a day; an answer that shows a secret is never kept.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog
from litestar import Response
from litestar.types import ASGIApp, Message, Receive, Send
from litestar.types import Scope as Connection

from app.gateway.errors import AlreadyCompleted, HeaderInvalid, IdempotencyConflict, RequestRunning
from app.http.api.access import STATE_KEY, AnyRequest, Presented
from app.http.api.marks import request_id_of
from app.http.asgi import headers_of
from app.http.hints import IDEMPOTENCY_KEY_CHARS_MAX, idempotency_key
from billing import Claim, ClaimState, IdempotencyKeys, MeterUnavailable, digest

# For a route's `opt`: its answer holds a secret, which is shown this once.
SHOWS_SECRET: Final = "shows_secret"  # noqa: S105 - the name of a mark
CLAIM_KEY: Final = "idempotency_claim"
HEADER: Final = b"idempotency-key"
REPLAYED: Final = {"idempotent-replayed": "true"}
WHERE_TO_LOOK: Final = "Its answer showed a secret, which is shown once: look at the list, make another if it was lost"
OK, REFUSED = 200, 300
log = structlog.get_logger(__name__)


def turn_taker(keys: IdempotencyKeys) -> Callable[[AnyRequest], Awaitable[Response[bytes] | None]]:
    """What the router does before a route: None lets it go on, else the answer of the first time.

    Raises HeaderInvalid, IdempotencyConflict, RequestRunning, AlreadyCompleted or MeterUnavailable.
    """

    async def take_turn(request: AnyRequest) -> Response[bytes] | None:
        headers = headers_of(request.scope)
        if request.method != "POST" or HEADER not in headers:
            return None
        key = idempotency_key(headers)
        if key is None:
            raise HeaderInvalid(HEADER.decode(), f"1 to {IDEMPOTENCY_KEY_CHARS_MAX} characters of printable ASCII")
        caller: Presented = request.state[STATE_KEY]
        claim = Claim(
            tenant_id=caller.tenant_id,
            api_key_id=caller.principal.api_key_id,
            route=f"POST {request.scope['path']}",
            key_hash=digest(key),
            body_hash=digest(await request.body()),
            request_id=request_id_of(request.scope),
        )
        claimed = await keys.claim(claim)
        match claimed.state:
            case ClaimState.CONFLICT:
                raise IdempotencyConflict
            case ClaimState.RUNNING:
                raise RequestRunning
            case ClaimState.COMPLETED:
                if claimed.answer is None:
                    raise AlreadyCompleted(claimed.request_id, WHERE_TO_LOOK)
                return Response(
                    claimed.answer, status_code=claimed.answer_status, media_type="application/json", headers=REPLAYED
                )
            case ClaimState.FIRST:
                request.scope["state"][CLAIM_KEY] = claim
                return None

    return take_turn


def answers_kept(keys: IdempotencyKeys) -> Callable[[ASGIApp], ASGIApp]:
    """A middleware: what a turn was answered is kept before its last byte leaves; a refusal frees the key."""

    def middleware(app: ASGIApp) -> ASGIApp:
        async def answer(scope: Connection, receive: Receive, send: Send) -> None:
            status, parts = 0, list[bytes]()

            async def send_kept(message: Message) -> None:
                nonlocal status
                if message["type"] == "http.response.start":
                    status = message["status"]
                elif message["type"] == "http.response.body":
                    parts.append(message["body"])
                    claim = scope["state"].get(CLAIM_KEY)
                    if claim is not None and not message.get("more_body"):
                        await _end(keys, claim, scope, status, b"".join(parts))
                await send(message)

            await app(scope, receive, send_kept if HEADER in headers_of(scope) else send)

        return answer

    return middleware


async def _end(keys: IdempotencyKeys, claim: Claim, scope: Connection, status: int, body: bytes) -> None:
    route: Any = scope["route_handler"]
    try:
        if OK <= status < REFUSED:
            await keys.keep(claim, status, None if route.opt.get(SHOWS_SECRET) else body)
        else:
            await keys.drop(claim)
    except MeterUnavailable as error:
        # The change stands and its caller is told so; whoever repeats it is told that it still runs.
        log.warning("answer_not_kept", request_id=str(claim.request_id), reason=str(error))
