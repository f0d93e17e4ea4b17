"""Calls that come again under an `idempotency-key`: the first is answered, the others get its answer or none.

Called by the pipeline, for a call that brings such a key. A twin joins a whole answer that is under way in this
process; elsewhere, and for streams, it is told to come back. Invariant: what came under a key and was answered
or billed is not sent to a provider again for a day, by whichever process.
"""

import asyncio
from typing import Final
from uuid import UUID

import msgspec

from app.gateway.call import Call, ChatRequest, Reply
from app.gateway.errors import AlreadyCompleted, IdempotencyConflict, RequestRunning
from billing import Claim, ClaimState, IdempotencyKeys, digest
from tenants import Principal

# Stripe's name for it; there is no other in use.
REPLAYED: Final = (b"idempotent-replayed", b"true")
WHERE_TO_READ: Final = "Read what became of it at GET /v1/requests/{id}"

Place = tuple[UUID, str, bytes]


class Turn:
    """The first call under a key, while it runs here. Whoever holds it ends it, once."""

    def __init__(self, running: dict[Place, "Turn"], place: Place, request: ChatRequest) -> None:
        self.body_hash = request.body_hash
        self.is_streamed = request.facts.is_streamed
        self._running = running
        self._place = place
        self._answered: asyncio.Future[Reply | Exception] = asyncio.get_running_loop().create_future()
        running[place] = self

    def end(self, ending: Reply | BaseException) -> None:
        """Tell the twins how the call ended; from now on the database knows it."""
        self._running.pop(self._place, None)
        if not self._answered.done():
            self._answered.set_result(ending if isinstance(ending, Reply | Exception) else RequestRunning())

    async def reply(self) -> Reply:
        """What the call was answered, once it is. Raises what it ended by, RequestRunning for a stream."""
        ending = await asyncio.shield(self._answered)
        if isinstance(ending, Exception):
            raise ending
        return msgspec.structs.replace(ending, headers=[*ending.headers, REPLAYED])


class Repeats:
    """The calls with a key that run in this process."""

    def __init__(self, keys: IdempotencyKeys) -> None:
        self._keys = keys
        self._running: dict[Place, Turn] = {}

    async def join(self, call: Call, principal: Principal, request: ChatRequest) -> Turn | Reply:
        """A turn for the first call under its key, which must end it; for a later one the first one's reply.

        Raises IdempotencyConflict, RequestRunning, AlreadyCompleted or MeterUnavailable, and what ended the first.
        """
        assert call.idempotency_key is not None
        route = f"{call.surface}/{call.operation_name}"
        place = principal.api_key_id, route, call.idempotency_key
        if (first := self._running.get(place)) is not None:
            if first.body_hash != request.body_hash:
                raise IdempotencyConflict
            if first.is_streamed:
                raise RequestRunning
            return await first.reply()
        turn = Turn(self._running, place, request)
        try:
            await self._claim(
                Claim(
                    tenant_id=principal.tenant_id,
                    api_key_id=principal.api_key_id,
                    route=route,
                    key_hash=digest(call.idempotency_key),
                    body_hash=request.body_hash,
                    request_id=call.request_id,
                )
            )
        except BaseException as error:
            turn.end(error)
            raise
        return turn

    async def _claim(self, claim: Claim) -> None:
        claimed = await self._keys.claim(claim)
        match claimed.state:
            case ClaimState.CONFLICT:
                raise IdempotencyConflict
            case ClaimState.RUNNING:
                raise RequestRunning
            case ClaimState.COMPLETED:
                raise AlreadyCompleted(claimed.request_id, WHERE_TO_READ.replace("{id}", str(claimed.request_id)))
            case ClaimState.FIRST:
                return
