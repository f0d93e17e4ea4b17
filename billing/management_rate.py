"""How often a tenant's programs may call the management API: a rate of its own, over all processes.

Called by the API's guard. Invariant: no window of time sees more of a tenant's calls than the rate and the burst,
and none of them takes anything off the rate of its model calls.
"""

from collections.abc import Sequence
from typing import Final
from uuid import UUID

from billing.connection import Connection
from billing.delivery import PROMPT_S, Delivery
from billing.errors import ManagementRateLimited, MeterUnavailable
from billing.meter_repository import take_management_request
from tenants import Database

REQUESTS_PER_MINUTE: Final = 600
REQUEST_BURST: Final = 200


async def admit_management(database: Database, tenant_id: UUID, *, prompt_s: float = PROMPT_S) -> None:
    """Take one request off the rate. Raises ManagementRateLimited or MeterUnavailable."""
    [retry_after_ms] = await Delivery(database, timeout_s=prompt_s).send(_take, [tenant_id])
    if not isinstance(retry_after_ms, int):
        raise MeterUnavailable("The request could not be counted. Nothing was done; retry shortly.")
    if retry_after_ms:
        raise ManagementRateLimited(requests_per_minute=REQUESTS_PER_MINUTE, retry_after_ms=retry_after_ms)


async def _take(connection: Connection, tenant_ids: Sequence[UUID]) -> list[int]:
    return [
        await take_management_request(
            connection, tenant_id, requests_per_minute=REQUESTS_PER_MINUTE, request_burst=REQUEST_BURST
        )
        for tenant_id in tenant_ids
    ]
