"""What the management API is given by the composition root; handed to every route as a dependency."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from litestar.di import NamedDependency

from app.gateway.quality_table import QualityRow
from billing import Feature, IdempotencyKeys
from tenants import CheckAddress, Database, Principal, Vault


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagementServices:
    """`principal` finds who presents a key, `admit` takes a call off its tenant's rate.

    `known_models` are the models that a tenant's policy may name.
    `require_feature` passes where the tenant's plan unlocks it. `quality` gives a tenant's table of expected quality.
    """

    database: Database
    vault: Vault
    principal: Callable[[str], Awaitable[Principal]]
    admit: Callable[[UUID], Awaitable[None]]
    require_feature: Callable[[UUID, Feature], Awaitable[None]]
    known_models: Callable[[UUID], Awaitable[Collection[str]]]
    quality: Callable[[UUID], Awaitable[Sequence[QualityRow]]]
    check_address: CheckAddress
    idempotency_keys: IdempotencyKeys
    now: Callable[[], datetime] = utc_now


# As routes ask for them; `app.http.api.routes` provides them.
Services = NamedDependency[ManagementServices]
