"""How numbers read."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard import formats


@pytest.mark.parametrize(
    ("nano_usd", "written"),
    [
        (None, "—"),
        (0, "$0.00"),
        (1, "$0.000000001"),
        (99_999, "$0.000099999"),
        (100_000, "$0.000100"),
        (10_400_000, "$0.0104"),
        (999_940_000, "$0.9999"),
        (1_000_000_000, "$1.00"),
        (1_234_567_890_000, "$1,234.57"),
        (-250_000_000, "−$0.2500"),
    ],
)
def test_money_has_more_decimals_the_smaller_it_is(nano_usd: int | None, written: str) -> None:
    assert formats.money(nano_usd) == written


@given(st.integers(min_value=-(10**18), max_value=10**18))
def test_exact_money_loses_no_nano_dollar(nano_usd: int) -> None:
    written = formats.exact_money(nano_usd).replace("$", "").replace(",", "").replace("−", "-")
    whole, _, nano = written.partition(".")
    sign = -1 if whole.startswith("-") else 1
    assert len(nano) == 9
    assert sign * (int(whole.lstrip("-")) * 10**9 + int(nano)) == nano_usd


@pytest.mark.parametrize(
    ("part", "whole", "written"),
    [
        (0, 0, "—"),
        (0, 7, "0%"),
        (7, 7, "100%"),
        (1, 3, "33.3%"),
        (1, 100_000, "<0.1%"),
        (99_999, 100_000, ">99.9%"),
        (-1, 4, "−25.0%"),
    ],
)
def test_a_share_is_never_rounded_to_none_or_all(part: int, whole: int, written: str) -> None:
    assert formats.share(part, whole) == written


@pytest.mark.parametrize(
    ("milliseconds", "written"),
    [
        (None, "—"),
        (0, "0 ms"),
        (3, "3 ms"),
        (1.66, "1.7 ms"),
        (820, "820 ms"),
        (1_240, "1.24 s"),
        (125_000, "2 min 05 s"),
    ],
)
def test_a_duration_has_the_unit_a_person_would_say(milliseconds: float | None, written: str) -> None:
    assert formats.duration(milliseconds) == written


@pytest.mark.parametrize(
    ("current", "previous", "written"),
    [
        (5, None, "—"),
        (5, 0, "—"),
        (None, 5, "—"),
        (100, 100, "±0%"),
        (103, 100, "+3.0%"),
        (80, 100, "−20%"),
        (1400, 100, "14×"),
        (-50, 100, "−150%"),
    ],
)
def test_a_change_against_nothing_is_unknown(current: int | None, previous: int | None, written: str) -> None:
    assert formats.change(current, previous) == written


def test_a_share_changes_in_points() -> None:
    assert [formats.points(0.95, 0.9), formats.points(0.9, 0.9), formats.points(0.9, None)] == ["+5.0 pt", "±0 pt", "—"]


def test_long_ago_is_told_coarsely() -> None:
    now = datetime(2026, 11, 24, tzinfo=UTC)
    ages = [timedelta(seconds=4), timedelta(minutes=3), timedelta(hours=5, minutes=50), timedelta(days=9)]
    assert [formats.ago(now - age, now) for age in ages] == ["just now", "3 min ago", "5 h ago", "9 d ago"]
    assert formats.ago(None, now) == "never"


def test_large_counts_are_compact() -> None:
    assert [formats.count(n) for n in (None, 0, 9_999_999, 12_340_000, 4_560_000_000)] == [
        "—", "0", "9,999,999", "12.3M", "4.56B",
    ]  # fmt: skip
