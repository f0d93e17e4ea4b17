"""`/requests`: the list of requests, refused ones too, and each one with its attempts and its decision.

Invariant: another tenant's request, or one outside a model key's project, reads like one that does not exist.
"""

from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Controller, get
from litestar.params import FromPath, FromQuery, QueryParameter

from app.gateway.errors import RequestUnknown
from app.http.api.access import Caller
from app.http.api.answers import PAGE, After, Limit, Page, answer_of
from app.http.api.bounds import FilterText, Moment, moment_of
from app.http.api.services import Services
from app.http.request_view import request_view
from billing import CredentialOwner, RequestFilters, find_request, list_requests

HTTPStatusCode = Annotated[int | None, QueryParameter(ge=100, le=599)]


class RequestLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the list of requests. An unknown cost is null."""

    request_id: UUID
    project_id: UUID
    api_key_id: UUID
    started_at: datetime
    is_streamed: bool
    request_model: str
    provider_name: str | None
    response_model: str | None
    task: str | None
    policy_name: str | None
    rule: str | None
    outcome: str
    http_status: int
    error_type: str | None
    attempt_count: int
    input_tokens: int
    output_tokens: int
    is_simulated: bool
    billed_nano_usd: int
    billed_usd: str
    baseline_nano_usd: int | None
    baseline_usd: str | None
    latency_ms: int
    first_token_ms: int | None


class AttemptAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One call to a provider."""

    attempt_number: int
    attempt_id: UUID
    provider_name: str
    model: str
    credential_id: UUID | None
    credential_owner: CredentialOwner
    started_at: datetime
    outcome: str
    http_status: int | None
    error_type: str | None
    error_message: str | None
    response_id: str | None
    latency_ms: int
    first_token_ms: int | None
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    reasoning_output_tokens: int
    is_usage_estimated: bool
    is_simulated: bool
    billed_nano_usd: int
    billed_usd: str
    provider_cost_nano_usd: int | None
    provider_cost_usd: str | None


class RequestAnswer(RequestLine, frozen=True, kw_only=True):
    """A request with its attempts in order, and the decision that says why each candidate was or was not taken."""

    client_request_id: str | None
    operation_name: str
    surface: str
    domain: str | None
    policy_version: int | None
    tags: tuple[str, ...]
    metadata: dict[str, str]
    end_user: str | None
    error_message: str | None
    finish_reason: str | None
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    reasoning_output_tokens: int
    is_usage_estimated: bool
    baseline_model: str | None
    overhead_ms: float | None
    attempts: tuple[AttemptAnswer, ...]
    decision: msgspec.Raw


class Requests(Controller):
    """The account of every request."""

    path = "/requests"
    tags = ("Requests",)

    @get(summary="List requests, newest first")
    async def list_requests(
        self,
        caller: Caller,
        services: Services,
        since: Moment = None,
        until: Moment = None,
        outcome: FilterText = None,
        http_status: HTTPStatusCode = None,
        provider_name: FilterText = None,
        model: FilterText = None,
        task: FilterText = None,
        project_id: FromQuery[UUID | None] = None,
        api_key_id: FromQuery[UUID | None] = None,
        limit: Limit = PAGE,
        after: After = None,
    ) -> Page[RequestLine]:
        """A provider or model also finds the requests that only tried it. `since` is included, `until` is not."""
        filters = RequestFilters(
            since=moment_of("since", since) if since else None,
            until=moment_of("until", until) if until else None,
            outcome=outcome,
            http_status=http_status,
            provider_name=provider_name,
            model=model,
            task=task,
            project_id=caller.project_within_reach(project_id),
            api_key_id=api_key_id,
        )
        async with services.database.tenant(caller.tenant_id) as session:
            page = await list_requests(session, caller.tenant_id, filters, after, limit=limit)
        return Page(
            data=tuple(answer_of(RequestLine, each) for each in page.requests),
            has_more=page.next_cursor is not None,
            last_id=str(page.requests[-1].request_id) if page.requests else None,
        )

    @get("/{request_id:uuid}", summary="Show one request")
    async def show_request(self, caller: Caller, services: Services, request_id: FromPath[UUID]) -> RequestAnswer:
        """The id stands in the header x-signalbox-request-id of every answer of the gateway."""
        async with services.database.tenant(caller.tenant_id) as session:
            stored = await find_request(session, caller.tenant_id, request_id)
        if stored is None or caller.project_within_reach() not in (None, stored.project_id):
            raise RequestUnknown(str(request_id))
        stored = request_view(stored)
        attempts = tuple(answer_of(AttemptAnswer, each) for each in stored.attempts)
        return answer_of(RequestAnswer, stored, attempts=attempts)
