"""Errors as Anthropic's SDKs read them: as a body, or as an event inside a stream that has begun. Pure."""

from typing import Final
from uuid import UUID

import msgspec

from app.errors import message_of, row_of
from app.providers import BodyInvalid

# Anthropic's word for each status (its API's page on errors, 2026-11); the `code` beside it is ours.
_TYPE_BY_STATUS: Final = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}
_SERVERS_FAULT: Final = 500


def error_body(error: BaseException, request_id: UUID) -> bytes:
    """Anthropic's error object."""
    row = row_of(error)
    otherwise = "api_error" if row.status >= _SERVERS_FAULT else "invalid_request_error"
    return msgspec.json.encode(
        {
            "type": "error",
            "error": {
                "type": _TYPE_BY_STATUS.get(row.status, otherwise),
                "message": message_of(error),
                "param": error.param if isinstance(error, BodyInvalid) else None,
                "code": row.code,
            },
            "request_id": str(request_id),
        }
    )


def error_event(error: Exception, request_id: UUID) -> bytes:
    """An error inside a stream that has begun; no `message_stop` follows it."""
    return b"event: error\ndata: " + error_body(error, request_id) + b"\n\n"
