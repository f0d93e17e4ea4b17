"""What the console is given by the composition root; handed to every page as a dependency."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import UUID

from litestar.di import NamedDependency

from billing import Feature
from dashboard.catalogue import ModelLine, ProviderChoice
from dashboard.policy_desk import NoDesk, PolicyDesk
from dashboard.routing_sums import QualityLine
from tenants import ConsoleSession, Database, FieldInvalid, Vault


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


async def nothing_expected(_: UUID) -> Sequence[QualityLine]:
    """A table of expected quality without rows, where no request path stands beside the console."""
    return ()


async def no_models(_: UUID) -> Sequence[ModelLine]:
    """No model, where no request path stands beside the console."""
    return ()


async def nothing_offered(provider_name: str, _: str | None) -> None:
    """Refuse every credential, where no request path could use it."""
    raise FieldInvalid("provider_name", f"No provider is called '{provider_name}' here.")


async def every_feature(_: UUID, __: Feature) -> None:
    """Every feature is in the plan, where no request path stands beside the console."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleServices:
    """`is_https` says that browsers reach the console over TLS: cookies are then bound to it.

    `vault` spells and seals what is secret; `quality` gives a tenant's table of expected quality, as its request
    path reads it, and `models` what it can call; `policies` reads policies and tries them. `check_offer` raises
    FieldInvalid for a credential (its provider's name and its address) that no request could use, `require_feature`
    FeatureNotInPlan for what a tenant's plan does not unlock.
    """

    database: Database
    vault: Vault
    is_https: bool
    quality: Callable[[UUID], Awaitable[Sequence[QualityLine]]] = nothing_expected
    policies: PolicyDesk = field(default_factory=NoDesk)
    models: Callable[[UUID], Awaitable[Sequence[ModelLine]]] = no_models
    provider_choices: Sequence[ProviderChoice] = ()
    check_offer: Callable[[str, str | None], Awaitable[None]] = nothing_offered
    require_feature: Callable[[UUID, Feature], Awaitable[None]] = every_feature
    now: Callable[[], datetime] = utc_now


# As page functions ask for them; `dashboard.routes` provides both.
Services: TypeAlias = NamedDependency[ConsoleServices]
Session: TypeAlias = NamedDependency[ConsoleSession]
