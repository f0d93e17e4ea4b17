"""Builders with defaults: tenants with a project and a key, records, attempts, and the books' sums."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import text
from uuid_utils.compat import uuid7

from billing import (
    AdmissionRequest,
    AttemptRecord,
    CommitMeter,
    CredentialOwner,
    Outcome,
    RequestRecord,
    Reservation,
    Usage,
)
from tenants import Database

USD = 1_000_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """A tenant with one project and one key, and what its tables say."""

    database: Database
    tenant_id: UUID
    project_id: UUID
    api_key_id: UUID

    async def value(self, sql: str, **parameters: object) -> Any:
        """One value read as the tenant."""
        async with self.database.tenant(self.tenant_id) as session:
            return (await session.execute(text(sql), parameters)).scalar_one()

    async def rows(self, sql: str, **parameters: object) -> list[Any]:
        """Rows read as the tenant."""
        async with self.database.tenant(self.tenant_id) as session:
            return list((await session.execute(text(sql), parameters)).all())

    async def budget(
        self, limit_nano_usd: int, *, period: str = "month", project: bool = False, key: bool = False
    ) -> UUID:
        """Write a budget without an audit event."""
        budget_id = uuid7()
        async with self.database.tenant(self.tenant_id) as session:
            await session.execute(
                text("""INSERT INTO budget (tenant_id, budget_id, project_id, api_key_id, period, limit_nano_usd)
                        VALUES (:tenant_id, :budget_id, :project_id, :api_key_id, :period, :limit)"""),
                {
                    "tenant_id": self.tenant_id,
                    "budget_id": budget_id,
                    "project_id": self.project_id if project else None,
                    "api_key_id": self.api_key_id if key else None,
                    "period": period,
                    "limit": limit_nano_usd,
                },
            )
        return budget_id

    def admission(self, *, requests_per_minute: int = 600, request_burst: int = 100) -> AdmissionRequest:
        return AdmissionRequest(
            tenant_id=self.tenant_id,
            project_id=self.project_id,
            api_key_id=self.api_key_id,
            requests_per_minute=requests_per_minute,
            request_burst=request_burst,
        )

    def reservation(
        self,
        amount_nano_usd: int,
        *,
        request_id: UUID | None = None,
        attempt_id: UUID | None = None,
        **fields: Any,
    ) -> Reservation:
        return Reservation(
            tenant_id=self.tenant_id,
            project_id=self.project_id,
            api_key_id=self.api_key_id,
            request_id=request_id or uuid7(),
            attempt_id=attempt_id or uuid7(),
            amount_nano_usd=amount_nano_usd,
            **fields,
        )

    def record(self, *attempts: AttemptRecord, **fields: Any) -> RequestRecord:
        last = attempts[-1] if attempts else None
        defaults: dict[str, Any] = {
            "request_id": uuid7(),
            "operation_name": "chat",
            "surface": "openai",
            "is_streamed": False,
            "started_at": datetime.now(UTC),
            "request_model": "auto",
            "outcome": Outcome.OK if last else Outcome.UNROUTABLE,
            "http_status": 200 if last else 422,
            "latency_ms": 120,
            "provider_name": last.provider_name if last else None,
            "response_model": last.model if last else None,
        }
        return RequestRecord(
            tenant_id=self.tenant_id,
            project_id=self.project_id,
            api_key_id=self.api_key_id,
            attempts=attempts,
            **(defaults | fields),
        )


def an_attempt(
    *,
    billed_nano_usd: int = 1_100,
    provider_cost_nano_usd: int | None = 1_000,
    credential_owner: CredentialOwner = "platform",
    **fields: Any,
) -> AttemptRecord:
    """One answered attempt."""
    defaults: dict[str, Any] = {
        "attempt_id": uuid7(),
        "attempt_number": 1,
        "provider_name": "openai",
        "model": "gpt-4o-mini",
        "credential_id": uuid4(),
        "started_at": datetime.now(UTC),
        "outcome": Outcome.OK,
        "latency_ms": 100,
        "reserved_nano_usd": billed_nano_usd,
        "usage": Usage(input_tokens=100, output_tokens=20, cache_read_input_tokens=10),
    }
    return AttemptRecord(
        billed_nano_usd=billed_nano_usd,
        provider_cost_nano_usd=provider_cost_nano_usd,
        credential_owner=credential_owner,
        **(defaults | fields),
    )


async def a_tenant(database: Database, name: str = "acme", *, time_zone: str = "UTC") -> Books:
    """A tenant with a project 'search' and a key 'server'."""
    tenant_id, project_id, api_key_id = uuid7(), uuid7(), uuid7()
    async with database.across_tenants() as session:
        await session.execute(
            text("INSERT INTO tenant (tenant_id, name, time_zone) VALUES (:id, :name, :time_zone)"),
            {"id": tenant_id, "name": name, "time_zone": time_zone},
        )
    async with database.tenant(tenant_id) as session:
        await session.execute(
            text("INSERT INTO project (tenant_id, project_id, name) VALUES (:t, :p, 'search')"),
            {"t": tenant_id, "p": project_id},
        )
        await session.execute(
            text("""INSERT INTO api_key (tenant_id, api_key_id, project_id, name, kind, prefix, last_four, key_hash,
                                         scopes, created_by)
                    VALUES (:t, :k, :p, 'server', 'model', 'sbx_live_', 'abcd', '\\x00', '{}', 'test')"""),
            {"t": tenant_id, "k": api_key_id, "p": project_id},
        )
    return Books(database=database, tenant_id=tenant_id, project_id=project_id, api_key_id=api_key_id)


async def spend(meter: CommitMeter, books: Books, amount_nano_usd: int) -> RequestRecord:
    """Reserve and settle one request that costs exactly its bound."""
    attempt = an_attempt(billed_nano_usd=amount_nano_usd)
    record = books.record(attempt)
    await meter.reserve(books.reservation(amount_nano_usd, request_id=record.request_id, attempt_id=attempt.attempt_id))
    await meter.settle(record)
    return record
