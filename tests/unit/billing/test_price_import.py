"""Compiling price trees into rows: tiers by length and batch, the dearest hour, left out what cannot be said."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from genai_prices.types import (
    ClauseEquals,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)

from billing import Price, Usage
from billing.price_import import ImportReport, compile_prices

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_dollars_become_nano_usd_per_million() -> None:
    [price] = _compile(_prices(input_mtok="0.0375", output_mtok="0.15", cache_read_mtok="0.01"))
    assert price.input_nano_usd_per_million == 37_500_000
    assert price.output_nano_usd_per_million == 150_000_000
    assert price.cache_read_nano_usd_per_million == 10_000_000
    assert price.cache_creation_nano_usd_per_million is None
    assert price.context_tokens == 128_000


def test_a_fraction_of_a_nano_dollar_is_rounded_up() -> None:
    [price] = _compile(_prices(input_mtok="0.0000000001", output_mtok="1"))
    assert price.input_nano_usd_per_million == 1


def test_a_price_by_context_length_becomes_a_tier_for_the_whole_call() -> None:
    tiered = TieredPrices(base=Decimal("1.25"), tiers=[Tier(start=200_000, price=Decimal("2.5"))])
    [price], report = _compiled(ModelPrice(input_mtok=tiered, output_mtok=Decimal(10)))
    assert price.input_nano_usd_per_million == 1_250_000_000
    assert price.rates_for(200_000).input_nano_usd_per_million == 1_250_000_000
    assert price.rates_for(200_001).input_nano_usd_per_million == 2_500_000_000
    assert price.rates_for(200_001).output_nano_usd_per_million == 10_000_000_000
    assert report.tiered_count == 1


def test_a_batch_has_rates_of_its_own_which_no_call_is_billed() -> None:
    [price], _ = _compiled(
        _prices(input_mtok="3", output_mtok="15", cache_read_mtok="0.3"),
        variants=[PriceVariant({"processing": "batch"}, _prices(input_mtok="1.5", output_mtok="7.5"))],
    )
    usage = Usage(input_tokens=1_000_000, output_tokens=1_000_000, cache_read_input_tokens=1_000_000)
    assert price.cost_nano_usd(usage) == 15_300_000_000
    assert price.cost_nano_usd(usage, "batch") == 7_800_000_000
    assert price.bound_nano_usd(input_tokens=10, output_tokens=10) == 180_000


def test_every_kind_of_token_that_the_source_prices_is_kept() -> None:
    [price] = _compile(
        _prices(
            input_mtok="1", output_mtok="2", cache_write_mtok="3", cache_write_1h_mtok="4", output_reasoning_mtok="5",
            input_audio_mtok="6", output_audio_mtok="7", input_image_mtok="8", output_image_mtok="9",
        )
    )  # fmt: skip
    kept = (
        price.cache_creation_nano_usd_per_million, price.cache_creation_1h_nano_usd_per_million,
        price.reasoning_output_nano_usd_per_million, price.audio_input_nano_usd_per_million,
        price.audio_output_nano_usd_per_million, price.image_input_nano_usd_per_million,
        price.image_output_nano_usd_per_million,
    )  # fmt: skip
    assert kept == tuple(dollars * 1_000_000_000 for dollars in range(3, 10))


def test_the_price_valid_on_the_day_is_taken() -> None:
    [price] = _compile(
        [
            ConditionalPrice(prices=_prices(input_mtok="1", output_mtok="1")),
            ConditionalPrice(StartDateConstraint(date(2026, 11, 1)), prices=_prices(input_mtok="2", output_mtok="2")),
            ConditionalPrice(StartDateConstraint(date(2026, 12, 1)), prices=_prices(input_mtok="3", output_mtok="3")),
        ]
    )
    assert price.input_nano_usd_per_million == 2_000_000_000


def test_a_price_by_the_hour_is_taken_at_its_dearest_hour() -> None:
    off_peak = TimeOfDateConstraint(time(11, tzinfo=UTC), time(13, tzinfo=UTC))
    [price] = _compile(
        [
            ConditionalPrice(prices=_prices(input_mtok="5", output_mtok="5")),
            ConditionalPrice(off_peak, prices=_prices(input_mtok="1", output_mtok="9")),
        ]
    )
    assert price.input_nano_usd_per_million == 5_000_000_000
    assert price.output_nano_usd_per_million == 9_000_000_000


def test_a_price_per_request_is_kept() -> None:
    [price] = _compile(_prices(input_mtok="1", output_mtok="1", requests_kcount="12"))
    assert price.per_request_nano_usd == 12_000_000


def test_what_a_row_cannot_say_is_left_out_and_counted() -> None:
    for prices, reason in (
        (_prices(input_mtok="1", output_mtok="1", output_citation_mtok="2"), "priced by output_citation_mtok"),
        (_prices(input_mtok="1"), "no price of input or output tokens"),
        (ModelPrice(), "no price, and not declared free"),
    ):
        rows, report = _compiled(prices)
        assert rows == []
        assert report.left_out == {reason: 1}


def test_free_is_what_the_name_declares_free() -> None:
    [price] = _compile(ModelPrice(), model_id="llama:free")
    assert price.is_declared_free


def test_server_tools_on_request_do_not_keep_a_model_out_but_search_models_always_search() -> None:
    prices = _prices(input_mtok="1", output_mtok="1", web_searches_kcount="10")
    assert len(_compile(prices)) == 1
    assert _compile(prices, model_id="gpt-search-preview") == []


def test_providers_keep_their_names_and_strangers_are_counted() -> None:
    [price] = _compile(_prices(input_mtok="1", output_mtok="1"), provider_id="x-ai")
    assert price.provider_name == "x-ai"
    rows, report = _compiled(_prices(input_mtok="1", output_mtok="1"), provider_id="cursor")
    assert rows == []
    assert report.left_out == {"provider is no vendor here": 1}


def test_the_version_changes_with_the_prices() -> None:
    _, first = _compiled(_prices(input_mtok="1", output_mtok="1"))
    _, same = _compiled(_prices(input_mtok="1", output_mtok="1"))
    _, other = _compiled(_prices(input_mtok="1", output_mtok="2"))
    assert first.source_version == same.source_version != other.source_version


def _prices(**dollars: str) -> ModelPrice:
    return ModelPrice(**{key: Decimal(value) for key, value in dollars.items()})


def _compile(prices: ModelPrice | list[ConditionalPrice], **fields: Any) -> list[Price]:
    return _compiled(prices, **fields)[0]


def _compiled(
    prices: ModelPrice | list[ConditionalPrice],
    *,
    model_id: str = "small",
    provider_id: str = "openai",
    variants: list[PriceVariant] | None = None,
) -> tuple[list[Price], ImportReport]:
    model = ModelInfo(
        id=model_id, match=ClauseEquals(model_id), context_window=128_000, prices=prices, price_variants=variants or []
    )
    provider = Provider(id=provider_id, name=provider_id, api_pattern="", models=[model])
    return compile_prices([provider], NOW)
