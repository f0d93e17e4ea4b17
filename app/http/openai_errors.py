"""Errors as OpenAI's SDKs read them: as a body, or as an event inside a stream that has begun. Pure."""

from uuid import UUID

import msgspec

from app.errors import message_of, row_of
from app.providers import BodyInvalid


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


def error_event(error: Exception, request_id: UUID) -> bytes:
    """An error inside a stream that has begun; no `[DONE]` follows it."""
    return b"data: " + error_body(error, request_id) + b"\n\n"
