"""Compile the prices bundled with `genai-prices` into rows of our price book.

Called at start-up and by the command line, never on the request path. Reads the installed package
alone: its own updater, which would fetch over the network, is never started. Invariant: a row's price is
never below what the provider can charge for the tokens that we send and receive.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from billing.money import NANO_USD_PER_USD
from billing.price import Price
from billing.price_book import IMPORTED_SOURCE, content_version, store_prices
from tenants import Database

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, Provider, TieredPrices

# The package's providers that may become vendors here; a vendor's name is the package's id.
PROVIDERS: Final = frozenset(
    {
        "anthropic", "aws", "azure", "baseten", "cerebras", "cloudflare", "cohere", "databricks", "deepseek",
        "fireworks", "google", "groq", "minimax", "mistral", "moonshotai", "novita", "openai", "openrouter",
        "ovhcloud", "perplexity", "together", "x-ai", "zai",
    }
)  # fmt: skip
# Price keys that become a column, in US dollars per million tokens.
TOKEN_COLUMNS: Final[Mapping[str, str]] = {
    "input_mtok": "input_nano_usd_per_million",
    "output_mtok": "output_nano_usd_per_million",
    "cache_read_mtok": "cache_read_nano_usd_per_million",
    "cache_write_mtok": "cache_creation_nano_usd_per_million",
}
PER_THOUSAND_REQUESTS: Final = "requests_kcount"
# Charged only when a request asks for it (server tools, hour-long caching, audio and video input), which ours do not.
ONLY_ON_REQUEST: Final = frozenset(
    {
        "cache_write_1h_mtok",
        "web_searches_kcount",
        "storage_searches_kcount",
        "input_audio_mtok",
        "cache_audio_read_mtok",
        "input_video_mtok",
    }
)
ALWAYS_SEARCHES: Final = "search"
FREE_SUFFIX: Final = ":free"


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import took and what it left out, by reason."""

    price_version_id: UUID | None = None
    source_version: str
    imported_count: int
    dearest_tier_count: int  # models whose price depends on context length or hour, taken at the dearest
    left_out: dict[str, int]


class _LeftOut(Exception):
    """This model's price cannot be a row; the message is the reason it is counted under."""


async def import_price_book(
    database: Database, *, now: datetime | None = None, accept_jumps: bool = False
) -> ImportReport:
    """Store the bundled prices that are valid now as a dated version; the same prices again store nothing.

    Raises PriceBookRejected when prices moved implausibly since the version before.
    """
    at = now or datetime.now(UTC)
    prices, report = compile_prices(_bundled_providers(), at)
    version_id = await store_prices(
        database,
        IMPORTED_SOURCE,
        source_version=report.source_version,
        prices=prices,
        effective_from=at,
        accept_jumps=accept_jumps,
    )
    return msgspec.structs.replace(report, price_version_id=version_id)


def compile_prices(providers: Iterable["Provider"], at: datetime) -> tuple[list[Price], ImportReport]:
    """Turn the package's price trees into flat rows valid at a moment."""
    prices: list[Price] = []
    left_out: Counter[str] = Counter()
    dearest_tier_count = 0
    for provider in providers:
        if provider.id not in PROVIDERS:
            left_out["provider is no vendor here"] += len(provider.models)
            continue
        for model in provider.models:
            try:
                price, is_dearest = _flat_price(provider.id, model, at)
            except _LeftOut as reason:
                left_out[str(reason)] += 1
                continue
            prices.append(price)
            dearest_tier_count += is_dearest
    # Prices depend on the date as well as on the package, so the version names both.
    version = f"{installed_version('genai-prices')}+{content_version(prices)}"
    return prices, ImportReport(
        source_version=version,
        imported_count=len(prices),
        dearest_tier_count=dearest_tier_count,
        left_out=dict(left_out),
    )


def _bundled_providers() -> list["Provider"]:
    # Not at the top: the package takes 0.4 s and its data 0.2 s, which only an import of prices should pay.
    from genai_prices.data_snapshot import get_snapshot

    return list(get_snapshot().providers)


def _flat_price(provider_name: str, model: "ModelInfo", at: datetime) -> tuple[Price, bool]:
    choices = list(_prices_in_force(model, at))
    columns: dict[str, int] = {}
    is_dearest = len(choices) > 1
    for choice in choices:
        for key, value in choice.__dict__.items():
            if value is None or key.startswith("_") or (key in ONLY_ON_REQUEST and not _always_asks(key, model.id)):
                continue
            column, nano_usd = _column(key, value)
            columns[column] = max(columns.get(column, 0), nano_usd)
            is_dearest = is_dearest or not isinstance(value, Decimal)
    is_free = not any(columns.values())
    if is_free and not model.id.endswith(FREE_SUFFIX):
        raise _LeftOut("no price, and not declared free")
    if not is_free and not {"input_nano_usd_per_million", "output_nano_usd_per_million"} <= columns.keys():
        raise _LeftOut("no price of input or output tokens")
    price = Price(
        price_version_id=UUID(int=0),
        provider_name=provider_name,
        model=model.id,
        input_nano_usd_per_million=columns.get("input_nano_usd_per_million", 0),
        output_nano_usd_per_million=columns.get("output_nano_usd_per_million", 0),
        cache_read_nano_usd_per_million=columns.get("cache_read_nano_usd_per_million"),
        cache_creation_nano_usd_per_million=columns.get("cache_creation_nano_usd_per_million"),
        per_request_nano_usd=columns.get("per_request_nano_usd", 0),
        context_tokens=model.context_window or None,
        is_declared_free=is_free,
    )
    return price, is_dearest


def _prices_in_force(model: "ModelInfo", at: datetime) -> Iterator["ModelPrice"]:
    """The price valid on the day; where the day's price changes by the hour, each of them."""
    if not isinstance(model.prices, list):
        yield model.prices
        return
    for conditional in reversed(model.prices):
        constraint = conditional.constraint
        if constraint is not None and hasattr(constraint, "start_time"):
            yield conditional.prices
        elif constraint is None or constraint.active(at):
            yield conditional.prices
            return


def _always_asks(key: str, model_id: str) -> bool:
    """Search models search on every request, asked or not."""
    return key == "web_searches_kcount" and ALWAYS_SEARCHES in model_id


def _column(key: str, value: "Decimal | TieredPrices") -> tuple[str, int]:
    dollars = value if isinstance(value, Decimal) else max(value.base, *(tier.price for tier in value.tiers))
    if key in TOKEN_COLUMNS:
        return TOKEN_COLUMNS[key], _nano_usd(dollars)
    if key == PER_THOUSAND_REQUESTS:
        return "per_request_nano_usd", _nano_usd(dollars.scaleb(-3))
    raise _LeftOut(f"priced by {key}")


def _nano_usd(dollars: Decimal) -> int:
    if not dollars.is_finite():
        raise _LeftOut("price is not a number")
    return int((dollars * NANO_USD_PER_USD).to_integral_value(rounding=ROUND_CEILING))
