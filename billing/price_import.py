"""Compile the prices bundled with `genai-prices` into rows of our price book.

Called at start-up and by the command line, never on the request path. Reads the installed package
alone: its own updater, which would fetch over the network, is never started. Invariant: a row's price is
never below what the provider can charge for the tokens that we send and receive.
"""

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from billing.money import NANO_USD_PER_USD
from billing.price import Price, PriceTier, ServiceTier
from billing.price_book import IMPORTED_SOURCE, content_version, store_prices
from tenants import Database

if TYPE_CHECKING:
    from genai_prices.types import ConditionalPrice, ModelInfo, ModelPrice, PriceVariant, Provider, Tier, TieredPrices

# The package's providers that may become vendors here; a vendor's name is the package's id.
PROVIDERS: Final = frozenset(
    {
        "anthropic", "aws", "azure", "baseten", "cerebras", "cloudflare", "cohere", "databricks", "deepseek",
        "fireworks", "google", "groq", "minimax", "mistral", "moonshotai", "novita", "openai", "openrouter",
        "ovhcloud", "perplexity", "together", "x-ai", "zai",
    }
)  # fmt: skip
# Price keys that become a rate, in US dollars per million tokens.
TOKEN_RATES: Final[Mapping[str, str]] = {
    "input_mtok": "input_nano_usd_per_million",
    "output_mtok": "output_nano_usd_per_million",
    "cache_read_mtok": "cache_read_nano_usd_per_million",
    "cache_write_mtok": "cache_creation_nano_usd_per_million",
    "cache_write_1h_mtok": "cache_creation_1h_nano_usd_per_million",
    "output_reasoning_mtok": "reasoning_output_nano_usd_per_million",
    "input_audio_mtok": "audio_input_nano_usd_per_million",
    "output_audio_mtok": "audio_output_nano_usd_per_million",
    "input_image_mtok": "image_input_nano_usd_per_million",
    "output_image_mtok": "image_output_nano_usd_per_million",
}
REQUIRED_RATES: Final = frozenset({"input_nano_usd_per_million", "output_nano_usd_per_million"})
PER_THOUSAND_REQUESTS: Final = "requests_kcount"
# Charged only when a request asks for it (server tools, video input), which ours do not; and what is read from a
# cache of sound and pictures, which costs less than those do.
ONLY_ON_REQUEST: Final = frozenset(
    {
        "web_searches_kcount",
        "storage_searches_kcount",
        "cache_audio_read_mtok",
        "cache_image_read_mtok",
        "input_video_mtok",
    }
)
BATCH: Final = {"processing": "batch"}
ALWAYS_SEARCHES: Final = "search"
FREE_SUFFIX: Final = ":free"


class ImportReport(msgspec.Struct, frozen=True, kw_only=True):
    """What an import took and what it left out, by reason."""

    price_version_id: UUID | None = None
    source_version: str
    imported_count: int
    tiered_count: int  # models with other rates for long input or for batches
    dearest_hour_count: int  # models whose price depends on the hour, taken at the dearest
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
    # In a thread: it takes a second of work, and the operator's console asks for it beside running requests.
    prices, report = await asyncio.to_thread(lambda: compile_prices(_bundled_providers(), at))
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
    dearest_hour_count = 0
    for provider in providers:
        if provider.id not in PROVIDERS:
            left_out["provider is no vendor here"] += len(provider.models)
            continue
        for model in provider.models:
            try:
                price, is_by_hour = _price(provider.id, model, at)
            except _LeftOut as reason:
                left_out[str(reason)] += 1
                continue
            prices.append(price)
            dearest_hour_count += is_by_hour
    # Prices depend on the date as well as on the package, so the version names both.
    version = f"{installed_version('genai-prices')}+{content_version(prices)}"
    return prices, ImportReport(
        source_version=version,
        imported_count=len(prices),
        tiered_count=sum(bool(price.tiers) for price in prices),
        dearest_hour_count=dearest_hour_count,
        left_out=dict(left_out),
    )


def _bundled_providers() -> list["Provider"]:
    # Not at the top: the package takes 0.4 s and its data 0.2 s, which only an import of prices should pay.
    from genai_prices.data_snapshot import get_snapshot

    return list(get_snapshot().providers)


def _price(provider_name: str, model: "ModelInfo", at: datetime) -> tuple[Price, bool]:
    """A model's row, and whether it is the dearest of several hours."""
    choices = list(_in_force(model.prices, at))
    searches = any(_is_charged(choice, "web_searches_kcount") for choice in choices) and ALWAYS_SEARCHES in model.id
    if searches:
        raise _LeftOut("priced by web_searches_kcount")
    base = _dearest(choices, 0)
    per_request = max(_per_request(choice) for choice in choices)
    is_free = not per_request and not any(base.values())
    if is_free and not model.id.endswith(FREE_SUFFIX):
        raise _LeftOut("no price, and not declared free")
    if not is_free and not base.keys() >= REQUIRED_RATES:
        raise _LeftOut("no price of input or output tokens")
    batch = [variant.prices for variant in model.price_variants or () if _is_batch(variant, at)][:1]
    price = Price(
        price_version_id=UUID(int=0),
        provider_name=provider_name,
        model=model.id,
        per_request_nano_usd=per_request,
        context_tokens=model.context_window or None,
        is_declared_free=is_free,
        tiers=tuple(_tiers(choices, batch)),
        **{**dict.fromkeys(REQUIRED_RATES, 0), **base},
    )
    return price, len(choices) > 1


def _tiers(standard: Sequence["ModelPrice"], batch: Sequence["ModelPrice"]) -> Iterator[PriceTier]:
    """The rates beyond each length at which one changes; those of batches, from the first token on, behind them."""
    lengths = sorted({tier.start for choice in (*standard, *batch) for tiered in _tiered(choice) for tier in tiered})
    for above in lengths:
        yield _tier(_dearest(standard, above + 1), above, "standard")
    for above in (0, *lengths) if batch else ():
        # What a batch has no price for costs what it costs in any call.
        yield _tier(_dearest(standard, above + 1) | _dearest(batch, above + 1), above, "batch")


def _tier(rates: Mapping[str, int], above: int, service_tier: ServiceTier) -> PriceTier:
    return msgspec.convert({**rates, "above_input_tokens": above, "service_tier": service_tier}, PriceTier)


def _dearest(choices: Iterable["ModelPrice"], input_tokens: int) -> dict[str, int]:
    """The rates of a call of some length, each the dearest of the choices."""
    rates: dict[str, int] = {}
    for choice in choices:
        for key, value in choice.__dict__.items():
            if not _is_charged(choice, key) or key == PER_THOUSAND_REQUESTS or key in ONLY_ON_REQUEST:
                continue
            if key not in TOKEN_RATES:
                raise _LeftOut(f"priced by {key}")
            nano_usd = _nano_usd(_at_length(value, input_tokens))
            rates[TOKEN_RATES[key]] = max(rates.get(TOKEN_RATES[key], 0), nano_usd)
    return rates


def _at_length(value: "Decimal | TieredPrices", input_tokens: int) -> Decimal:
    if isinstance(value, Decimal):
        return value
    return next((tier.price for tier in reversed(value.tiers) if input_tokens > tier.start), value.base)


def _tiered(choice: "ModelPrice") -> list[list["Tier"]]:
    return [
        value.tiers
        for key, value in choice.__dict__.items()
        if key in TOKEN_RATES and value is not None and not isinstance(value, Decimal)
    ]


def _per_request(choice: "ModelPrice") -> int:
    dollars = choice.__dict__.get(PER_THOUSAND_REQUESTS)
    return 0 if dollars is None else _nano_usd(_at_length(dollars, 0).scaleb(-3))


def _is_charged(choice: "ModelPrice", key: str) -> bool:
    return not key.startswith("_") and choice.__dict__.get(key) is not None


def _is_batch(variant: "PriceVariant", at: datetime) -> bool:
    return variant.when == BATCH and (variant.constraint is None or variant.constraint.active(at))


def _in_force(prices: "ModelPrice | list[ConditionalPrice]", at: datetime) -> Iterator["ModelPrice"]:
    """The price valid on the day; where the day's price changes by the hour, each of them."""
    if not isinstance(prices, list):
        yield prices
        return
    for conditional in reversed(prices):
        constraint = conditional.constraint
        if constraint is not None and hasattr(constraint, "start_time"):
            yield conditional.prices
        elif constraint is None or constraint.active(at):
            yield conditional.prices
            return


def _nano_usd(dollars: Decimal) -> int:
    if not dollars.is_finite():
        raise _LeftOut("price is not a number")
    return int((dollars * NANO_USD_PER_USD).to_integral_value(rounding=ROUND_CEILING))
