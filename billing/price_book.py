"""The price book: dated versions of prices by source, read whole into memory.

Imports and declarations write versions; the request path reads the newest effective one of each
source. Invariant: a version is kept whole or not at all, and is never edited; unknown is not zero.
"""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession
from uuid_utils.compat import uuid7

from billing.errors import PriceBookRejected
from billing.price import Price, Rates
from billing.price_repository import PriceVersion, add_price_version, effective_versions, lock_source, prices_of
from tenants import Database

JUMP_FACTOR_MAX: Final = 10
PROBLEMS_NAMED_MAX: Final = 10
IMPORTED_SOURCE: Final = "genai-prices"
RATE_FIELDS: Final = Rates.__struct_fields__
PER_REQUEST: Final = "per_request_nano_usd"


class PriceBook:
    """The prices in force. `valid_until` is when the next stored version takes effect."""

    __slots__ = ("_by_model", "_by_provider", "valid_until", "versions")

    def __init__(
        self, prices: Iterable[Price], *, versions: tuple[PriceVersion, ...] = (), valid_until: datetime | None = None
    ) -> None:
        self._by_model = {(price.provider_name, price.model): price for price in prices}
        by_provider: dict[str, list[Price]] = {}
        for price in self._by_model.values():
            by_provider.setdefault(price.provider_name, []).append(price)
        self._by_provider = {name: tuple(held) for name, held in by_provider.items()}
        self.versions = versions
        self.valid_until = valid_until

    def __len__(self) -> int:
        return len(self._by_model)

    def get(self, provider_name: str, model: str) -> Price | None:
        """A model's price; None: unknown, which is not free."""
        return self._by_model.get((provider_name, model))

    def of_provider(self, provider_name: str) -> tuple[Price, ...]:
        """Every price of a provider."""
        return self._by_provider.get(provider_name, ())

    def is_valid(self, now: datetime) -> bool:
        """Tell whether no later version has taken effect since the book was read."""
        return self.valid_until is None or now < self.valid_until


async def read_price_book(session: AsyncSession, now: datetime) -> PriceBook:
    """Read the newest effective version of each source.

    Where two price a model, what someone declared wins over the import, then the later version.
    """
    found, valid_until = await effective_versions(session, now)
    versions = tuple(sorted(found, key=lambda version: version.source != IMPORTED_SOURCE))
    return PriceBook(await prices_of(session, versions), versions=versions, valid_until=valid_until)


async def declare_prices(
    database: Database,
    source: str,
    prices: Sequence[Price],
    *,
    effective_from: datetime | None = None,
    accept_jumps: bool = False,
) -> UUID:
    """Store prices that someone answers for (the sandbox, a price list by hand) as the source's next version.

    The same prices again store nothing. Returns the version in force. Raises PriceBookRejected.
    """
    return await store_prices(
        database,
        source,
        source_version=content_version(prices),
        prices=prices,
        effective_from=effective_from,
        accept_jumps=accept_jumps,
    )


async def store_prices(
    database: Database,
    source: str,
    *,
    source_version: str,
    prices: Sequence[Price],
    effective_from: datetime | None = None,
    accept_jumps: bool = False,
) -> UUID:
    """Store one version after checking it against the one before; idempotent per source version.

    Raises PriceBookRejected naming the implausible prices; then nothing is stored.
    """
    starts = effective_from or datetime.now(UTC)
    async with database.across_tenants() as session:
        await lock_source(session, source)
        versions, _ = await effective_versions(session, starts, source=source)
        if versions and versions[0].source_version == source_version:
            return versions[0].price_version_id
        problems = _problems(prices, await prices_of(session, versions), accept_jumps=accept_jumps)
        if problems:
            raise PriceBookRejected(_rejection(source, source_version, problems))
        version = PriceVersion(
            price_version_id=uuid7(), source=source, source_version=source_version, effective_from=starts
        )
        await add_price_version(session, version, prices)
    return version.price_version_id


def content_version(prices: Iterable[Price]) -> str:
    """A name for exactly these prices, whatever their order and version."""
    nobody = UUID(int=0)
    rows = sorted(msgspec.json.encode(msgspec.structs.replace(price, price_version_id=nobody)) for price in prices)
    return hashlib.sha256(b"\n".join(rows)).hexdigest()[:16]


def _problems(prices: Sequence[Price], before: Sequence[Price], *, accept_jumps: bool) -> list[str]:
    problems = []
    old = {(price.provider_name, price.model): price for price in before}
    seen: set[tuple[str, str]] = set()
    for price in prices:
        key = (price.provider_name, price.model)
        name = f"{price.provider_name}/{price.model}"
        if key in seen:
            problems.append(f"{name} stands twice")
        seen.add(key)
        problems += [f"{name} {field} is negative" for field, amount in _amounts(price).items() if amount < 0]
        if not price.is_declared_free and not any(_amounts(price).values()):
            problems.append(f"{name} costs nothing and nobody declared it free")
        elif key in old and not accept_jumps:
            problems += [f"{name} {jump}" for jump in _jumps(old[key], price)]
    return problems


def _jumps(before: Price, after: Price) -> list[str]:
    """What moved by more than the plausible factor, or became free."""
    old, new = _amounts(before), _amounts(after)
    return [
        f"{name} went from {old[name]} to {new[name]} nano-USD"
        for name in old
        if old[name] and name in new and not old[name] <= new[name] * JUMP_FACTOR_MAX <= old[name] * JUMP_FACTOR_MAX**2
    ]


def _amounts(price: Price) -> dict[str, int]:
    """Every amount of a price by its name; those of a tier begin with the tier's."""
    amounts = {PER_REQUEST: price.per_request_nano_usd} | _rates(price, "")
    for tier in price.tiers:
        amounts |= _rates(tier, f"{tier.service_tier} above {tier.above_input_tokens} ")
    return amounts


def _rates(rates: Rates, prefix: str) -> dict[str, int]:
    return {prefix + name: amount for name in RATE_FIELDS if (amount := getattr(rates, name)) is not None}


def _rejection(source: str, source_version: str, problems: Sequence[str]) -> str:
    named = "; ".join(problems[:PROBLEMS_NAMED_MAX])
    more = f"; and {len(problems) - PROBLEMS_NAMED_MAX} more" if len(problems) > PROBLEMS_NAMED_MAX else ""
    return (
        f"The prices of '{source}' {source_version} look wrong and none were kept: {named}{more}. "
        "Check them at the source; pass accept_jumps to take jumps that are real."
    )
