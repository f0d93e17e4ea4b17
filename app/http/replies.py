"""Errors as replies, in the words of whichever surface the caller speaks.

Called at the edge only. Invariant: whatever goes wrong, the caller reads an error of its own dialect with
the request's id; a fault of ours says nothing of its inside.
"""

from typing import Final, Protocol
from uuid import UUID

import structlog

from app.errors import FAULT, retry_after_s, row_of
from app.gateway.call import Headers, Reply

JSON: Final = (b"content-type", b"application/json")
log = structlog.get_logger(__name__)


class WriteError(Protocol):
    """Write an error's body in a surface's words."""

    def __call__(self, error: BaseException, request_id: UUID) -> bytes: ...


def error_reply(error: BaseException, request_id: UUID, headers: Headers, write: WriteError) -> Reply:
    """The reply to a call that failed. A fault of ours is logged here."""
    row = row_of(error)
    if row is FAULT:
        log.error("request_failed", request_id=str(request_id), error_type=type(error).__name__, exc_info=error)
    extra: Headers = [JSON]
    if (wait_s := retry_after_s(error)) is not None:
        extra.append((b"retry-after", str(wait_s).encode()))
    if not row.may_retry:
        extra.append((b"x-should-retry", b"false"))
    return Reply(status=row.status, headers=[*headers, *extra], body=write(error, request_id))
