"""The price book as stored: versions, checks, precedence, and what the snapshot keeps."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
import pytest

from billing import BillingSnapshot, Price, PriceBookRejected, declare_prices, import_price_book
from tenants import PLATFORM_TENANT_ID, Database
from tests.integration.billing.builders import Books

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def a_price(model: str = "swift-mini", *, provider_name: str = "sandbox", dollars: int = 1, **fields: object) -> Price:
    nano_usd = dollars * 1_000_000_000
    return msgspec.structs.replace(
        Price(
            price_version_id=UUID(int=0),
            provider_name=provider_name,
            model=model,
            input_nano_usd_per_million=nano_usd,
            output_nano_usd_per_million=4 * nano_usd,
        ),
        **fields,
    )


async def test_the_bundled_book_is_imported_once(database: Database) -> None:
    first = await import_price_book(database, now=NOW)
    again = await import_price_book(database, now=NOW + timedelta(minutes=1))
    assert first.price_version_id == again.price_version_id
    assert first.imported_count > 1_000
    assert sum(first.left_out.values()) > 0
    book = await BillingSnapshot(database, now=lambda: NOW).price_book()
    assert len(book) == first.imported_count
    price = book.get("openai", "gpt-4o-mini")
    assert price is not None
    assert price.price_version_id == first.price_version_id
    assert book.get("openai", "no-such-model") is None
    assert len(book.of_provider("anthropic")) > 10


async def test_declaring_the_same_prices_again_stores_nothing(database: Database) -> None:
    one, two = a_price(), a_price("deep-large", dollars=9)
    first = await declare_prices(database, "sandbox", (one, two))
    assert await declare_prices(database, "sandbox", (two, one)) == first


async def test_a_jump_is_rejected_whole_unless_accepted(database: Database) -> None:
    await declare_prices(database, "sandbox", (a_price(), a_price("deep-large")))
    dearer = (a_price(dollars=11), a_price("deep-large", dollars=2))
    with pytest.raises(PriceBookRejected, match="swift-mini input_nano_usd_per_million went from"):
        await declare_prices(database, "sandbox", dearer)
    assert (await _price(database)).input_nano_usd_per_million == 1_000_000_000
    await declare_prices(database, "sandbox", dearer, accept_jumps=True)
    assert (await _price(database)).input_nano_usd_per_million == 11_000_000_000


async def test_a_price_that_falls_to_nothing_is_a_jump(database: Database) -> None:
    await declare_prices(database, "sandbox", (a_price(),))
    with pytest.raises(PriceBookRejected):
        await declare_prices(database, "sandbox", (a_price(dollars=0, is_declared_free=True),))


@pytest.mark.parametrize(
    "price", [a_price(output_nano_usd_per_million=-1), a_price(dollars=0)], ids=["negative", "undeclared zero"]
)
async def test_an_implausible_price_is_rejected(database: Database, price: Price) -> None:
    with pytest.raises(PriceBookRejected):
        await declare_prices(database, "sandbox", (price,), accept_jumps=True)


async def test_a_model_that_stands_twice_is_rejected(database: Database) -> None:
    with pytest.raises(PriceBookRejected, match="stands twice"):
        await declare_prices(database, "sandbox", (a_price(), a_price()))


async def test_a_later_version_waits_for_its_date(database: Database) -> None:
    await declare_prices(database, "sandbox", (a_price(),), effective_from=NOW)
    later = NOW + timedelta(days=1)
    await declare_prices(database, "sandbox", (a_price(dollars=2),), effective_from=later)
    clock = [NOW]
    snapshot = BillingSnapshot(database, now=lambda: clock[0])
    before = (await snapshot.price_book()).get("sandbox", "swift-mini")
    clock[0] = later
    after = (await snapshot.price_book()).get("sandbox", "swift-mini")
    assert before is not None
    assert after is not None
    assert after.input_nano_usd_per_million == 2 * before.input_nano_usd_per_million


async def test_a_declared_price_wins_over_a_later_import(database: Database) -> None:
    declared = a_price("gpt-4o-mini", provider_name="openai", dollars=3)
    await declare_prices(database, "contract", (declared,), effective_from=NOW - timedelta(days=1))
    await import_price_book(database, now=NOW)
    price = (await BillingSnapshot(database, now=lambda: NOW).price_book()).get("openai", "gpt-4o-mini")
    assert price is not None
    assert price.input_nano_usd_per_million == 3_000_000_000


async def test_the_snapshot_reads_once_until_a_change_is_announced(database: Database, books: Books) -> None:
    await declare_prices(database, "sandbox", (a_price(),))
    snapshot = BillingSnapshot(database)
    book = await snapshot.price_book()
    assert await snapshot.price_book() is book
    snapshot.drop(books.tenant_id)
    assert await snapshot.price_book() is book
    for everyone in (UUID(int=0), PLATFORM_TENANT_ID):
        before = await snapshot.price_book()
        snapshot.drop(everyone)
        assert await snapshot.price_book() is not before


async def _price(database: Database) -> Price:
    price = (await BillingSnapshot(database).price_book()).get("sandbox", "swift-mini")
    assert price is not None
    return price
