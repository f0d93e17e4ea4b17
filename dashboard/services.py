"""What the console is given by the composition root; handed to every page as a dependency."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from litestar.di import NamedDependency

from tenants import ConsoleSession, Database


def utc_now() -> datetime:
    """The clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleServices:
    """`is_https` says that browsers reach the console over TLS: cookies are then bound to it."""

    database: Database
    is_https: bool
    now: Callable[[], datetime] = utc_now


# As page functions ask for them; `dashboard.routes` provides both.
Services: TypeAlias = NamedDependency[ConsoleServices]
Session: TypeAlias = NamedDependency[ConsoleSession]
