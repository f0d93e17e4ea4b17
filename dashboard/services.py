"""What the console is given by the composition root; handed to every page as a dependency."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import UUID

from litestar.di import NamedDependency

from dashboard.policy_desk import NoDesk, PolicyDesk
from dashboard.routing_sums import QualityLine
from tenants import ConsoleSession, Database, Vault


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


async def nothing_expected(_: UUID) -> Sequence[QualityLine]:
    """A table of expected quality without rows, where no request path stands beside the console."""
    return ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleServices:
    """`is_https` says that browsers reach the console over TLS: cookies are then bound to it.

    `vault` spells and seals what is secret; `quality` gives a tenant's table of expected quality, as its request
    path reads it; `policies` reads policies and tries them.
    """

    database: Database
    vault: Vault
    is_https: bool
    quality: Callable[[UUID], Awaitable[Sequence[QualityLine]]] = nothing_expected
    policies: PolicyDesk = field(default_factory=NoDesk)
    now: Callable[[], datetime] = utc_now


# As page functions ask for them; `dashboard.routes` provides both.
Services: TypeAlias = NamedDependency[ConsoleServices]
Session: TypeAlias = NamedDependency[ConsoleSession]
