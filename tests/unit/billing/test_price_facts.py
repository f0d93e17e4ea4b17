"""The whole price book against its source: what a call costs here is what genai-prices says that it costs.

The source computes by itself, from its own trees; so a rate that is lost, doubled or put on a wrong kind shows.
"""

from datetime import UTC, datetime
from decimal import ROUND_CEILING, Decimal
from typing import Final

import genai_prices
import pytest
from genai_prices.data_snapshot import get_snapshot
from genai_prices.types import ModelInfo, ModelPrice, TimeOfDateConstraint

from billing import Price, Usage
from billing.price_import import PROVIDERS, compile_prices

NOW: Final = datetime(2026, 11, 24, 12, tzinfo=UTC)
USAGES: Final = (
    Usage(input_tokens=1_000, output_tokens=500),
    Usage(input_tokens=150_000, output_tokens=8_000, cache_read_input_tokens=100_000),
    Usage(
        input_tokens=250_000, output_tokens=8_000, cache_read_input_tokens=100_000, cache_creation_input_tokens=10_000
    ),
    Usage(input_tokens=600_000, output_tokens=1, cache_read_input_tokens=1, cache_creation_input_tokens=1),
)
# What everyone knows, in US dollars per million tokens of input and output; above the length, where there is one.
# Anthropic's and OpenAI's pricing pages, as genai-prices 0.2.3 holds them.
KNOWN: Final = (
    ("anthropic", "claude-sonnet-4-5", 200_000, "3", "15", "6", "22.5"),
    ("anthropic", "claude-haiku-4-5", None, "1", "5", "1", "5"),
    ("anthropic", "claude-opus-4-7", None, "5", "25", "5", "25"),
    ("openai", "gpt-4o-mini", None, "0.15", "0.6", "0.15", "0.6"),
    ("openai", "gpt-5.5", 272_000, "5", "30", "10", "45"),
    ("google", "gemini-2.5-pro", 200_000, "1.25", "10", "2.5", "15"),
)


@pytest.fixture(scope="module")
def book() -> dict[tuple[str, str], Price]:
    prices, _ = compile_prices(get_snapshot().providers, NOW)
    return {(price.provider_name, price.model): price for price in prices}


@pytest.mark.parametrize(("provider_name", "model", "above", "plain", "output", "long", "long_output"), KNOWN)
def test_a_well_known_price_is_the_one_that_everyone_knows(
    book: dict[tuple[str, str], Price],
    provider_name: str,
    model: str,
    above: int | None,
    plain: str,
    output: str,
    long: str,
    long_output: str,
) -> None:
    price = book[provider_name, model]
    for tokens, dollars, output_dollars in ((above or 10**9, plain, output), ((above or 10**9) + 1, long, long_output)):
        rates = price.rates_for(tokens)
        assert rates.input_nano_usd_per_million == Decimal(dollars) * 10**9
        assert rates.output_nano_usd_per_million == Decimal(output_dollars) * 10**9


def test_every_model_of_the_book_costs_what_its_source_says(book: dict[tuple[str, str], Price]) -> None:
    compared = 0
    for provider in get_snapshot().providers:
        if provider.id not in PROVIDERS:
            continue
        for model in provider.models:
            price = book.get((provider.id, model.id))
            # By the hour the dearest is kept, on purpose.
            if price is None or _is_by_hour(model):
                continue
            source = model.get_prices(NOW)
            batch = model.get_prices(NOW, {"processing": "batch"})
            for usage in USAGES:
                for prices, service_tier in ((source, "standard"), (batch, "batch")):
                    expected = _nano_usd(prices, usage)
                    ours = price.cost_nano_usd(usage, service_tier)
                    # A rate or an amount below a nano-dollar is rounded up here.
                    assert 0 <= ours - expected <= 1, (provider.id, model.id, service_tier, usage)
                    compared += 1
    assert compared > 4_000


def _nano_usd(prices: ModelPrice, usage: Usage) -> int:
    told = prices.calc_price(
        genai_prices.Usage(
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cache_read_input_tokens,
            cache_write_tokens=usage.cache_creation_input_tokens,
        )
    )
    return int((told["total_price"] * 10**9).to_integral_value(rounding=ROUND_CEILING))


def _is_by_hour(model: ModelInfo) -> bool:
    """The dearest hour is kept, on purpose."""
    choices = model.prices if isinstance(model.prices, list) else []
    return any(isinstance(choice.constraint, TimeOfDateConstraint) for choice in choices)
