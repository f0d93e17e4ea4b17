"""Rows of `price_version` and `price`: written once in the operator's session, read by every role."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from billing.price import Price, PriceTier

PRICE_COLUMNS: Final = ", ".join(Price.__struct_fields__)


class PriceVersion(msgspec.Struct, frozen=True, kw_only=True):
    """One dated version of a source's prices."""

    price_version_id: UUID
    source: str
    source_version: str
    effective_from: datetime


async def lock_source(session: AsyncSession, source: str) -> None:
    """Let one writer of a source in at a time; held until the transaction ends."""
    await session.execute(
        text("SELECT pg_advisory_xact_lock(hashtext('signalbox.price:' || :source))"), {"source": source}
    )


async def effective_versions(
    session: AsyncSession, now: datetime, *, source: str | None = None
) -> tuple[tuple[PriceVersion, ...], datetime | None]:
    """The newest version in force of each source, oldest first, and when the next one takes effect."""
    rows = await session.execute(
        text("""
            SELECT * FROM (
                SELECT DISTINCT ON (source) price_version_id, source, source_version, effective_from FROM price_version
                WHERE effective_from <= :now AND (CAST(:source AS text) IS NULL OR source = :source)
                ORDER BY source, effective_from DESC, price_version_id DESC
            ) newest ORDER BY effective_from, price_version_id"""),
        {"now": now, "source": source},
    )
    versions = tuple(
        PriceVersion(
            price_version_id=row.price_version_id,
            source=row.source,
            source_version=row.source_version,
            effective_from=row.effective_from,
        )
        for row in rows
    )
    following = await session.execute(
        text("SELECT min(effective_from) FROM price_version WHERE effective_from > :now"), {"now": now}
    )
    return versions, following.scalar_one()


async def prices_of(session: AsyncSession, versions: Sequence[PriceVersion]) -> list[Price]:
    """The prices of these versions, in the versions' order."""
    rows = await session.execute(
        text(f"""
            SELECT {PRICE_COLUMNS} FROM price WHERE price_version_id = ANY (:ids)
            ORDER BY array_position(:ids, price_version_id), provider_name, model"""),  # noqa: S608 - a constant
        {"ids": [version.price_version_id for version in versions]},
    )
    return [Price(**dict(row._mapping) | {"tiers": msgspec.convert(row.tiers, tuple[PriceTier, ...])}) for row in rows]


async def add_price_version(session: AsyncSession, version: PriceVersion, prices: Sequence[Price]) -> None:
    """Store a version with all its prices."""
    await session.execute(
        text("""
            INSERT INTO price_version (price_version_id, source, source_version, effective_from)
            VALUES (:price_version_id, :source, :source_version, :effective_from)"""),
        msgspec.structs.asdict(version),
    )
    await session.execute(
        text(f"""
            INSERT INTO price ({PRICE_COLUMNS})
            SELECT {PRICE_COLUMNS} FROM json_populate_recordset(NULL::price, CAST(:prices AS json))"""),  # noqa: S608 - a constant
        {"prices": msgspec.json.encode([_row(price, version) for price in prices]).decode()},
    )


def _row(price: Price, version: PriceVersion) -> dict[str, object]:
    """Every column by its name: what is left out of a row of JSON is NULL, and no default."""
    return msgspec.structs.asdict(price) | {"price_version_id": version.price_version_id}
