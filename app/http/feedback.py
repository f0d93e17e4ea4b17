"""`POST /v1/feedback`: what an application says of an answer, under the model key that asked for it.

It calls no model and bills nothing. Invariant: a key speaks of its own project's requests only, and what it says of
one again replaces what it said before.
"""

from collections.abc import Sequence
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from litestar.handlers import BaseRouteHandler
from litestar.types import Receive, Send
from litestar.types import Scope as Connection

from app.gateway.errors import RequestUnknown
from app.gateway.pipeline import Pipeline
from app.http.asgi import headers_of, read_body, send_body
from app.http.openai import WIRE
from app.http.replies import JSON
from app.http.surface import asgi_route, ids_of, presented_key
from app.providers import BodyInvalid
from billing import StoredRequest, find_request
from tenants import (
    COMMENT_CHARACTERS_MAX,
    EXAMPLE_CHARACTERS_MAX,
    Database,
    RatedRequest,
    Scope,
    give_feedback,
)

PATH: Final = "/v1/feedback"
BODY_BYTES_MAX: Final = 65_536
SCORE_OF_THUMB: Final = {"up": 1.0, "down": 0.0}

Comment = Annotated[str, msgspec.Meta(max_length=COMMENT_CHARACTERS_MAX)]
Example = Annotated[str, msgspec.Meta(max_length=EXAMPLE_CHARACTERS_MAX)]


class FeedbackBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is said: a score or a thumb, the task that it really was, the prompt as an example of it, a comment."""

    request_id: UUID
    score: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    thumb: Literal["up", "down"] | None = None
    task: str | None = None
    example: Example | None = None
    comment: Comment | None = None


class FeedbackSurface:
    """The endpoint over one pipeline."""

    def __init__(self, pipeline: Pipeline, database: Database) -> None:
        self._pipeline = pipeline
        self._database = database

    def routes(self) -> Sequence[BaseRouteHandler]:
        """The route, for the application."""
        return (asgi_route(WIRE, PATH, {"POST": self._give}),)

    async def _give(self, request_id: UUID, scope: Connection, receive: Receive, send: Send) -> None:
        headers = headers_of(scope)
        principal = await self._pipeline.authenticate(presented_key(headers), Scope.MODELS_CALL)
        body = _read(await read_body(headers, receive, limit_bytes=BODY_BYTES_MAX))
        async with self._database.tenant(principal.tenant_id) as session:
            stored = await find_request(session, principal.tenant_id, body.request_id)
        # As with `/v1/requests/{id}`: of another project's request it is not told that it exists.
        if stored is None or stored.project_id != principal.project_id:
            raise RequestUnknown(str(body.request_id))
        kept = await give_feedback(
            self._database,
            principal.tenant_id,
            rated_request(stored, api_key_id=principal.api_key_id),
            score=SCORE_OF_THUMB[body.thumb] if body.thumb else body.score,
            task_correction=body.task,
            example=body.example,
            comment=body.comment,
        )
        await send_body(send, 200, [JSON, *ids_of(request_id, scope)], msgspec.json.encode(kept))


def rated_request(stored: StoredRequest, *, api_key_id: UUID) -> RatedRequest:
    """What a record tells of the request that feedback is about: the model is the candidate that served it."""
    served = [attempt for attempt in stored.attempts if attempt.outcome == "ok"]
    return RatedRequest(
        request_id=stored.request_id,
        project_id=stored.project_id,
        api_key_id=api_key_id,
        model=f"{served[-1].provider_name}/{served[-1].model}" if served else "",
        task=stored.task or "",
    )


def _read(raw: bytes) -> FeedbackBody:
    try:
        body = msgspec.json.decode(raw, type=FeedbackBody)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BodyInvalid(None, f"The feedback does not hold: {error}.") from error
    if body.thumb is not None and body.score is not None:
        raise BodyInvalid("thumb", "The feedback has both a thumb and a score. Give one of them.")
    return body
