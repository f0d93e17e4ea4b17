"""Errors of the management API as problem+json (RFC 9457), from the one table in `app/errors.py`.

Called at the API's edge only. Invariant: a caller reads the error's own words and the request's id, and
nothing of a fault's inside; a log reads where it happened, and nothing of what was sent.
"""

import traceback
from http import HTTPStatus
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog
from litestar import Response
from litestar.exceptions import ClientException, HTTPException, MethodNotAllowedException, ValidationException
from litestar.exceptions.responses import create_exception_response
from sqlalchemy.exc import DataError, IntegrityError, ProgrammingError

from app.errors import FAULT, message_of, retry_after_s, row_of
from app.http.api.access import AnyRequest
from app.http.api.marks import marks_of, request_id_of
from app.routing import PolicyInvalid
from tenants import DATABASE_ERRORS, DatabaseUnavailable, FieldInvalid

MEDIA_TYPE: Final = "application/problem+json"
# What the framework refuses before a route is reached or while its input is read.
CODE_BY_STATUS: Final = {
    400: "invalid_request",
    404: "route_not_found",
    405: "method_not_allowed",
    413: "request_too_large",
}
log = structlog.get_logger(__name__)


class ProblemPlace(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong with what was sent; `field` is missing where the detail says the place itself."""

    detail: str
    field: str | None = None


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What went wrong. Programs read `code`, people `detail`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: UUID
    errors: tuple[ProblemPlace, ...] = ()


def answer_problem(request: AnyRequest, error: Exception) -> Response[Any]:
    """The answer to a request that failed. A fault of ours is logged here."""
    request_id, error = request_id_of(request.scope), _named(error)
    if isinstance(error, HTTPException):
        detail = _http_detail(request, error)
        response = _response(error.status_code, _http_code(error), detail, request_id, _places(error))
        response.headers.update(error.headers or {})
        return response
    row = row_of(error)
    if row is FAULT:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        # Where and what class, not the text: a database error quotes its statement.
        where = f"{frame.filename}:{frame.lineno}"
        log.error("api_request_failed", request_id=str(request_id), error_type=type(error).__name__, where=where)
    response = _response(row.status, row.code, message_of(error), request_id, _places(error))
    if (wait_s := retry_after_s(error)) is not None:
        response.headers["retry-after"] = str(wait_s)
    return response


def answer_unrouted(request: AnyRequest, error: HTTPException) -> Response[Any]:
    """The answer where no route was found: a problem under `/api`, the framework's own elsewhere."""
    path = request.scope["path"]
    is_ours = path == "/api" or path.startswith("/api/")
    if not is_ours:
        return create_exception_response(request, error)
    response = answer_problem(request, error)
    response.headers.update(marks_of(request.scope))
    return response


def _response(
    status: int, code: str, detail: str, request_id: UUID, places: tuple[ProblemPlace, ...]
) -> Response[Problem]:
    problem = Problem(
        type=f"urn:signalbox:problem:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        request_id=request_id,
        errors=places,
    )
    headers = {"www-authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else {}
    return Response(problem, status_code=status, media_type=MEDIA_TYPE, headers=headers)


def _named(error: Exception) -> Exception:
    """The error that has words for a caller, of one that has none.

    A database that is away is nobody's fault; one that refuses a statement is ours.
    """
    if isinstance(error, RecursionError):
        # Nothing here goes deeper than what a caller sent.
        return ClientException("The body is nested too deeply to be read. Flatten it.")
    is_refusal = isinstance(error, DataError | IntegrityError | ProgrammingError)
    return DatabaseUnavailable() if isinstance(error, DATABASE_ERRORS) and not is_refusal else error


def _http_code(error: HTTPException) -> str:
    return CODE_BY_STATUS.get(error.status_code, "invalid_request" if error.status_code < 500 else FAULT.code)


def _http_detail(request: AnyRequest, error: HTTPException) -> str:
    match error:
        case MethodNotAllowedException():
            return f"{request.scope['path']} does not take {request.method}; the header 'allow' says what it takes."
        case HTTPException(status_code=404):
            return "There is no such route. /api/openapi.json lists all of them."
        case ValidationException():
            return "The request does not hold what it should; 'errors' names each place."
        case _:
            return error.detail or HTTPStatus(error.status_code).phrase


def _places(error: Exception) -> tuple[ProblemPlace, ...]:
    match error:
        case PolicyInvalid():
            return tuple(ProblemPlace(detail=problem) for problem in error.problems)
        case FieldInvalid():
            return (ProblemPlace(field=error.field, detail=str(error)),)
        case ValidationException(extra=list(found)):
            return tuple(
                ProblemPlace(field=each.get("key") or None, detail=each["message"])
                for each in found
                if isinstance(each, dict) and "message" in each
            )
        case _:
            return ()
