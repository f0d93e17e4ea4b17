"""Errors as OpenAI's SDKs read them: as a reply, or as an event inside a stream that has begun."""

from typing import Final
from uuid import UUID

import msgspec
import structlog

from app.errors import FAULT, message_of, retry_after_s, row_of
from app.gateway.call import Headers, Reply
from app.providers import BodyInvalid

JSON: Final = (b"content-type", b"application/json")
log = structlog.get_logger(__name__)


def error_reply(error: BaseException, request_id: UUID, headers: Headers) -> Reply:
    """The reply to a call that failed. A fault of ours is logged here, and told without its inside."""
    row = row_of(error)
    if row is FAULT:
        log.error("request_failed", request_id=str(request_id), error_type=type(error).__name__, exc_info=error)
    extra: Headers = [JSON]
    if (wait_s := retry_after_s(error)) is not None:
        extra.append((b"retry-after", str(wait_s).encode()))
    if not row.may_retry:
        extra.append((b"x-should-retry", b"false"))
    return Reply(status=row.status, headers=[*headers, *extra], body=error_body(error, request_id))


def error_event(error: Exception, request_id: UUID) -> bytes:
    """An error inside a stream that has begun; no `[DONE]` follows it."""
    return b"data: " + error_body(error, request_id) + b"\n\n"


def error_body(error: BaseException, request_id: UUID) -> bytes:
    """OpenAI's error object, with the request's id beside it."""
    row = row_of(error)
    return msgspec.json.encode(
        {
            "error": {
                "message": message_of(error),
                "type": row.type,
                "param": error.param if isinstance(error, BodyInvalid) else None,
                "code": row.code,
                "metadata": {"request_id": str(request_id)},
            }
        }
    )
