"""Tiles and sparklines."""

from dashboard.pages.overview import TILES
from dashboard.sparkline import sparkline
from dashboard.tiles import Tile, tiles
from dashboard.usage import UsageSums


def by_name(current: UsageSums, previous: UsageSums | None = None) -> dict[str, Tile]:
    return {tile.name: tile for tile in tiles(current, previous or UsageSums(), [current, current], TILES)}


def test_without_requests_ratios_are_unknown_and_sums_are_zero() -> None:
    shown = {name: tile.value for name, tile in by_name(UsageSums()).items()}
    assert shown == {
        "spend": "$0.00",
        "requests": "0",
        "cost_per_query": "—",
        "success_rate": "—",
        "p95_latency": "—",
        "saved": "—",
    }


def test_saving_counts_only_what_has_a_baseline_and_says_how_much_that_is() -> None:
    sums = UsageSums(
        billed_nano_usd=4_000_000_000, baseline_nano_usd=10_000_000_000, baselined_billed_nano_usd=3_000_000_000
    )
    saved = by_name(sums)["saved"]
    assert saved.value == "$7.00"
    assert saved.note == "70.0% of baseline · covers 75.0% of spend"


def test_a_loss_against_the_baseline_is_shown_as_one() -> None:
    sums = UsageSums(
        billed_nano_usd=3_000_000_000, baseline_nano_usd=2_000_000_000, baselined_billed_nano_usd=3_000_000_000
    )
    assert by_name(sums)["saved"].value == "−$1.00"


def test_cost_per_query_counts_answers_only() -> None:
    sums = UsageSums(request_count=10, answered_count=4, billed_nano_usd=2_000_000_000)
    assert by_name(sums)["cost_per_query"].value == "$0.5000"


def test_slower_is_bad_and_more_answers_are_good() -> None:
    before = UsageSums(request_count=10, answered_count=8, latency_histogram=(0,) * 10 + (8,))
    now = UsageSums(request_count=10, answered_count=9, latency_histogram=(0,) * 20 + (9,))
    shown = by_name(now, before)
    assert shown["p95_latency"].tone == "bad"
    assert (shown["success_rate"].tone, shown["success_rate"].change) == ("good", "+10.0 pt")
    assert shown["requests"].tone == "flat"


def test_spend_tells_of_what_is_paid_directly_and_of_unknown_costs() -> None:
    sums = UsageSums(own_credential_cost_nano_usd=2_500_000_000, unpriced_count=3)
    assert by_name(sums)["spend"].note == "plus $2.50 paid directly to providers · 3 requests of unknown provider cost"


def test_a_gap_in_values_is_a_gap_in_the_line() -> None:
    assert sparkline([1, None, 1, 2]).count("M") == 2
    assert sparkline([None, 3]) == ""
    assert sparkline([]) == ""
    assert sparkline([0, 0]) == "M0.0 26.0L120.0 26.0"
