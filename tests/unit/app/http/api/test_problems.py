"""Errors as problem+json: the table's words, the request's id, and nothing of a fault's inside."""

from typing import Any

import pytest
from litestar import Litestar, get
from litestar.exceptions import HTTPException
from litestar.testing import TestClient
from sqlalchemy.exc import IntegrityError, InterfaceError
from structlog.testing import capture_logs

from app.errors import ROW_BY_ERROR
from app.http.api.marks import marked
from app.http.api.problems import answer_problem, answer_unrouted
from billing import RateLimited
from tenants import FieldInvalid, KeyUnknown, TenantSuspended


def told(error: Exception) -> Any:
    @get("/api/x", middleware=[marked], exception_handlers={Exception: answer_problem})
    async def failing() -> None:
        raise error

    app = Litestar([failing], openapi_config=None, exception_handlers={HTTPException: answer_unrouted})
    with capture_logs() as logged, TestClient(app) as client:
        answer = client.get("/api/x")
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["request_id"] == answer.headers["x-signalbox-request-id"]
    return answer, logged


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (KeyUnknown(), 401, "invalid_api_key"),
        (TenantSuspended("Acme"), 403, "tenant_suspended"),
        (FieldInvalid("name", "name is ''."), 422, "field_invalid"),
        (OSError("the socket of the database"), 503, "database_unavailable"),
        (InterfaceError("SELECT secret", {}, OSError()), 503, "database_unavailable"),
        (RecursionError(), 400, "invalid_request"),
    ],
)
def test_an_error_is_told_in_the_tables_words(error: Exception, status: int, code: str) -> None:
    answer, logged = told(error)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert "secret" not in answer.text
    assert not logged


def test_a_fault_is_logged_by_its_place_and_told_without_its_inside() -> None:
    answer, [event] = told(IntegrityError("INSERT INTO api_key", {"secret": "canary"}, ValueError("canary")))
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal_error"
    assert "canary" not in answer.text + str(event)
    assert "test_problems.py" in event["where"]
    assert event["request_id"] == answer.json()["request_id"]


def test_a_wait_is_told_in_a_header() -> None:
    answer, _ = told(RateLimited(requests_per_minute=60, retry_after_ms=1_500, reset_ms=1_500))
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")


def test_every_code_of_the_table_makes_a_well_formed_type() -> None:
    assert all(row.code.replace("_", "").isalpha() and row.code.islower() for row in ROW_BY_ERROR.values())


@pytest.mark.parametrize(("path", "is_problem"), [("/api", True), ("/api/v9/x", True), ("/apix", False), ("/", False)])
def test_an_unknown_address_is_a_problem_under_the_api_only(path: str, is_problem: bool) -> None:
    app = Litestar([], openapi_config=None, exception_handlers={HTTPException: answer_unrouted})
    with TestClient(app) as client:
        answer = client.get(path)
    assert answer.status_code == 404
    assert (answer.headers["content-type"] == "application/problem+json") is is_problem
