"""The time range in the URL."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.ranges import MONTHS, PRESETS, RANGE_DAYS_MAX, WEEK, Comparison, Grain, parse_range, zone_of

NOW = datetime(2026, 11, 24, 9, 5, tzinfo=UTC)
BERLIN, KOLKATA, UTC_ZONE = zone_of("Europe/Berlin"), zone_of("Asia/Kolkata"), zone_of("UTC")


def test_without_a_range_the_last_day_is_shown() -> None:
    within = parse_range({}, now=NOW, zone=UTC_ZONE)
    assert (within.since, within.until) == (NOW.replace(day=23, minute=0), NOW.replace(hour=10, minute=0))
    assert within.window == "23 Nov 2026 09:00 – 24 Nov 2026 09:05 UTC"
    assert within.query == {}


@pytest.mark.parametrize("preset", [*PRESETS, *MONTHS])
@pytest.mark.parametrize("zone", [UTC_ZONE, BERLIN, KOLKATA])
@given(minutes=st.integers(min_value=0, max_value=60 * 24 * 366))
def test_a_range_is_whole_hours_and_its_bars_cover_it_without_a_gap(preset: str, zone: object, minutes: int) -> None:
    now = NOW - timedelta(minutes=minutes)
    within = parse_range({"range": preset}, now=now, zone=zone)  # type: ignore[arg-type]  # parametrized
    starts = within.buckets()
    assert starts[0] == within.since
    assert starts[-1] <= now
    assert now < within.until or preset == "last-month"
    assert all(edge.minute == edge.second == 0 for edge in (within.since.astimezone(UTC), within.until.astimezone(UTC)))
    assert all(a < b for a, b in pairwise(starts))
    assert within.shift == within.until - within.since
    assert now - within.since >= timedelta(hours=1) or preset == "mtd"
    assert len(starts) <= 400


def test_a_day_starts_at_the_zone_s_midnight_also_when_the_clock_changes() -> None:
    query = {"range": "custom", "from": "2026-10-24", "to": "2026-10-26"}
    within = parse_range(query, now=NOW, zone=BERLIN)
    assert next(f"{start.astimezone(BERLIN):%d %H:%M}" for start in within.buckets()) == "24 00:00"
    assert within.until - within.since == timedelta(hours=73)
    long = parse_range({"range": "custom", "from": "2026-10-15", "to": "2026-11-03"}, now=NOW, zone=BERLIN)
    assert long.grain is Grain.DAY
    assert {f"{start.astimezone(BERLIN):%H:%M}" for start in long.buckets()} == {"00:00"}
    assert len(long.buckets()) == 20


@pytest.mark.parametrize("zone", [UTC_ZONE, BERLIN, KOLKATA])
def test_a_custom_range_leads_back_to_itself(zone: object) -> None:
    query = {"range": "custom", "from": "2026-11-02", "to": "2026-11-24"}
    assert parse_range(query, now=NOW, zone=zone).query == query  # type: ignore[arg-type]  # parametrized


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"range": "13h"}, "No range is called “13h”"),
        ({"range": "<script>"}, "No range is called"),
        ({"range": "custom"}, "needs two dates"),
        ({"range": "custom", "from": "2026-02-30", "to": "2026-03-01"}, "needs two dates"),
        ({"range": "custom", "from": "2026-11-05", "to": "2026-11-01"}, "before it starts"),
        ({"range": "custom", "from": "2020-01-01", "to": "2026-11-01"}, f"at most {RANGE_DAYS_MAX}"),
        ({"range": "custom", "from": "2027-01-01", "to": "2027-01-02"}, "still to come"),
        ({"range": "custom", "from": "0001-01-01", "to": "9999-12-31"}, f"at most {RANGE_DAYS_MAX}"),
    ],
)
def test_a_range_without_sense_becomes_the_default_and_says_why(query: dict[str, str], says: str) -> None:
    within = parse_range(query, now=NOW, zone=UTC_ZONE)
    assert says in within.problem
    assert within.preset == "24h"


@pytest.mark.parametrize(("first", "last"), [("0001-01-01", "0001-01-02"), ("2026-11-24", "9999-12-31")])
def test_dates_at_the_ends_of_time_are_no_fault(first: str, last: str) -> None:
    for zone in (UTC_ZONE, BERLIN, zone_of("America/Los_Angeles")):
        within = parse_range({"range": "custom", "from": first, "to": last}, now=NOW, zone=zone)
        assert within.buckets()


def test_an_unknown_zone_is_utc() -> None:
    assert zone_of("Mars/Olympus").key == zone_of("../../etc/passwd").key == "UTC"


@pytest.mark.parametrize("zone", [UTC_ZONE, BERLIN, KOLKATA])
def test_months_start_at_the_zone_s_midnight(zone: ZoneInfo) -> None:
    so_far, last = (parse_range({"range": name}, now=NOW, zone=zone) for name in ("mtd", "last-month"))
    slack = timedelta(hours=1)  # a half-hour zone's day starts inside an hour of the rollups
    assert datetime(2026, 11, 1, tzinfo=zone) - so_far.since < slack
    assert last.until == so_far.since
    assert datetime(2026, 10, 1, tzinfo=zone) - last.since < slack
    assert not last.is_open
    assert so_far.is_open


@pytest.mark.parametrize("preset", [*PRESETS, *MONTHS])
@pytest.mark.parametrize("comparison", [Comparison.WEEKS, Comparison.YEAR])
def test_weekdays_are_compared_with_their_own(preset: str, comparison: Comparison) -> None:
    within = parse_range({"range": preset, "compare": comparison}, now=NOW, zone=UTC_ZONE)
    assert within.shift % WEEK == timedelta()
    assert within.shift >= within.until - within.since
    assert within.since - within.shift <= within.since - (within.until - within.since)


def test_nothing_is_compared_when_nothing_was_asked_for() -> None:
    within = parse_range({"compare": "none"}, now=NOW, zone=UTC_ZONE)
    assert not within.shift
    assert within.query == {"compare": "none"}


def test_another_zone_than_the_tenant_s_stays_in_the_address() -> None:
    within = parse_range({"range": "7d", "tz": "Asia/Tokyo"}, now=NOW, zone=BERLIN)
    assert within.zone.key == "Asia/Tokyo"
    assert within.query == {"range": "7d", "tz": "Asia/Tokyo"}
    assert parse_range({"tz": "Europe/Berlin"}, now=NOW, zone=BERLIN).query == {}


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ({"tz": "Mars/Olympus"}, "No time zone is called “Mars/Olympus”."),
        ({"tz": "../../etc/passwd"}, "No time zone is called"),
        ({"tz": "x" * 500}, "No time zone is called"),
        ({"compare": "<b>"}, "Nothing is compared by “<b>”"),
    ],
)
def test_a_zone_or_comparison_without_sense_is_the_default_and_says_why(query: dict[str, str], says: str) -> None:
    within = parse_range(query, now=NOW, zone=BERLIN)
    assert says in within.problem
    assert (within.zone, within.comparison) == (BERLIN, Comparison.PREVIOUS)
