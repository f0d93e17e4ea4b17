"""The time range in a page's URL: a preset that stays relative, or two dates; its zone, and what it is compared with.

Called by every page with numbers. Invariant: a range starts and ends on whole hours, the grain of
the rollups, so that a tile is the sum of the request records of exactly the window that is printed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from enum import Enum, StrEnum
from typing import Final, assert_never
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

HOUR: Final = timedelta(hours=1)
DAY: Final = timedelta(days=1)
WEEK: Final = timedelta(weeks=1)
RANGE_DAYS_MAX: Final = 400
FIRST_DAY: Final = date(2000, 1, 1)
FINE_UP_TO: Final = 6 * HOUR
HOURLY_UP_TO: Final = 8 * DAY

DEFAULT_PRESET: Final = "24h"
PRESETS: Final = {
    "1h": ("1 h", "the last hour", HOUR),
    "6h": ("6 h", "the last 6 hours", 6 * HOUR),
    "24h": ("24 h", "the last 24 hours", 24 * HOUR),
    "7d": ("7 d", "the last 7 days", 7 * DAY),
    "30d": ("30 d", "the last 30 days", 30 * DAY),
    "90d": ("90 d", "the last 90 days", 90 * DAY),
}
MONTHS: Final = {
    "mtd": ("Month to date", "this month so far"),
    "last-month": ("Last month", "the last whole month"),
}
# Offered beside the tenant's own zone and UTC; the URL takes any that this machine knows.
ZONES: Final = (
    "America/Los_Angeles", "America/Denver", "America/Chicago", "America/New_York", "America/Sao_Paulo",
    "Europe/London", "Europe/Berlin", "Europe/Helsinki", "Africa/Johannesburg", "Asia/Dubai", "Asia/Kolkata",
    "Asia/Shanghai", "Asia/Tokyo", "Australia/Sydney", "Pacific/Auckland",
)  # fmt: skip


class Comparison(StrEnum):
    """What a range is held against. Weeks keep weekdays together: a Monday is compared with a Monday."""

    PREVIOUS = "previous"
    WEEKS = "weeks"
    YEAR = "year"
    NONE = "none"


COMPARISONS: Final = {
    Comparison.PREVIOUS: ("the period before", "the equally long period before"),
    Comparison.WEEKS: ("the same weekdays before", "the same weekdays before"),
    Comparison.YEAR: ("a year before", "the same weekdays a year (52 weeks) before"),
    Comparison.NONE: ("nothing", "nothing"),
}


class Grain(Enum):
    """The width of one bar. Five minutes are read from request records, the others from rollups."""

    FIVE_MINUTES = timedelta(minutes=5)
    HOUR = HOUR
    DAY = DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRange:
    """A window of whole hours, `until` exclusive; `now` is where the open end stands at the moment."""

    preset: str  # a key of PRESETS or MONTHS, or 'custom'
    since: datetime
    until: datetime
    now: datetime
    grain: Grain
    zone: ZoneInfo
    home_zone: ZoneInfo | None = None  # the tenant's own, when another was asked for
    comparison: Comparison = Comparison.PREVIOUS
    problem: str = ""  # what was wrong with the URL's range, when this one replaces it

    @property
    def is_open(self) -> bool:
        """Whether the window still grows."""
        return self.now < self.until

    @property
    def words(self) -> str:
        """The window as a person says it."""
        named = MONTHS.get(self.preset) or PRESETS.get(self.preset)
        return named[1] if named else self.window

    @property
    def window(self) -> str:
        """The exact window with its zone, as printed beside the numbers."""
        since, until = (at.astimezone(self.zone) for at in (self.since, min(self.until, self.now)))
        return f"{since:%d %b %Y %H:%M} – {until:%d %b %Y %H:%M} {self.zone.key}"

    @property
    def query(self) -> dict[str, str]:
        """The parameters that lead back to this range, its zone and its comparison."""
        compared = {} if self.comparison is Comparison.PREVIOUS else {"compare": self.comparison.value}
        zoned = {"tz": self.zone.key} if self.home_zone else {}
        if self.preset != "custom":
            return {**({} if self.preset == DEFAULT_PRESET else {"range": self.preset}), **compared, **zoned}
        last = self.until.astimezone(self.zone) - timedelta(microseconds=1)
        first = (self.since + HOUR).astimezone(self.zone)  # a half-hour zone's day starts inside the hour
        return {"range": "custom", "from": f"{first:%Y-%m-%d}", "to": f"{last:%Y-%m-%d}", **compared, **zoned}

    @property
    def shift(self) -> timedelta:
        """How far back the compared period lies; zero without a comparison."""
        span = self.until - self.since
        match self.comparison:
            case Comparison.PREVIOUS:
                return span
            case Comparison.WEEKS:
                return -(-span // WEEK) * WEEK
            case Comparison.YEAR:
                return max(-(-span // WEEK), 52) * WEEK
            case Comparison.NONE:
                return timedelta()
        assert_never(self.comparison)

    @property
    def compared_words(self) -> str:
        """What the changes are against."""
        return COMPARISONS[self.comparison][1]

    def buckets(self) -> tuple[datetime, ...]:
        """The start of every bar up to now; days start at the zone's midnight, whatever the clock change does."""
        end = min(self.until, self.now)
        starts = []
        start = self.since
        while start < end:
            starts.append(start)
            start = _next_midnight(start, self.zone) if self.grain is Grain.DAY else start + self.grain.value
        return tuple(starts)


def parse_range(query: Mapping[str, str], *, now: datetime, zone: ZoneInfo) -> TimeRange:
    """Read `range`, `from`, `to`, `compare` and `tz`. What makes no sense becomes the default and says so."""
    home, wanted, problems = zone, query.get("tz", ""), []
    if wanted and wanted != home.key:
        zone = zone_of(wanted)
        if zone.key != wanted:
            problems.append(f"No time zone is called “{wanted[:40]}”.")
            zone = home
    comparison = Comparison.PREVIOUS
    if compare := query.get("compare", ""):
        if compare in set(Comparison):
            comparison = Comparison(compare)
        else:
            problems.append(f"Nothing is compared by “{compare[:20]}”; use {', '.join(Comparison)}.")
    window = _window_of(query, now=now, zone=zone)
    return replace(
        window,
        comparison=comparison,
        home_zone=None if zone.key == home.key else home,
        problem=" ".join(filter(None, (window.problem, *problems))),
    )


def zone_of(name: str) -> ZoneInfo:
    """The zone of a name, or UTC when this machine does not know it."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def _window_of(query: Mapping[str, str], *, now: datetime, zone: ZoneInfo) -> TimeRange:
    preset = query.get("range") or DEFAULT_PRESET
    if preset in PRESETS:
        return _preset_range(preset, now=now, zone=zone)
    if preset in MONTHS:
        return _month_range(preset, now=now, zone=zone)
    if preset == "custom":
        try:
            first, last = date.fromisoformat(query.get("from", "")), date.fromisoformat(query.get("to", ""))
        except ValueError:
            return _preset_range(DEFAULT_PRESET, now=now, zone=zone, problem="A custom range needs two dates.")
        return _custom_range(first, last, now=now, zone=zone)
    problem = f"No range is called “{preset[:20]}”; use {', '.join((*PRESETS, *MONTHS))} or two dates."
    return _preset_range(DEFAULT_PRESET, now=now, zone=zone, problem=problem)


def _preset_range(preset: str, *, now: datetime, zone: ZoneInfo, problem: str = "") -> TimeRange:
    span = PRESETS[preset][2]
    running_hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    grain = _grain_of(span)
    since = _midnight(now.astimezone(zone).date() - span + DAY, zone) if grain is Grain.DAY else running_hour - span
    return TimeRange(
        preset=preset, since=since, until=running_hour + HOUR, now=now, grain=grain, zone=zone, problem=problem
    )


def _month_range(preset: str, *, now: datetime, zone: ZoneInfo) -> TimeRange:
    this_month = now.astimezone(zone).date().replace(day=1)
    running_hour = now.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    since, until = _midnight(this_month, zone), running_hour + HOUR
    if preset == "last-month":
        since, until = _midnight((this_month - DAY).replace(day=1), zone), since
    return TimeRange(preset=preset, since=since, until=until, now=now, grain=_grain_of(until - since), zone=zone)


def _custom_range(first: date, last: date, *, now: datetime, zone: ZoneInfo) -> TimeRange:
    today = now.astimezone(zone).date()
    problem = ""
    if last < first:
        problem = f"The range ends on {last}, before it starts on {first}."
    elif (last - first).days >= RANGE_DAYS_MAX:
        problem = f"The range spans {(last - first).days + 1} days; at most {RANGE_DAYS_MAX} can be shown at once."
    elif first < FIRST_DAY:
        problem = f"The range starts on {first}; there is nothing from before {FIRST_DAY}."
    elif first > today:
        problem = f"The range starts on {first}, which is still to come."
    if problem:
        return _preset_range(DEFAULT_PRESET, now=now, zone=zone, problem=problem)
    since, until = _midnight(first, zone), _midnight(min(last, today) + DAY, zone)
    return TimeRange(preset="custom", since=since, until=until, now=now, grain=_grain_of(until - since), zone=zone)


def _grain_of(span: timedelta) -> Grain:
    if span <= FINE_UP_TO:
        return Grain.FIVE_MINUTES
    return Grain.HOUR if span <= HOURLY_UP_TO else Grain.DAY


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    # A zone whose offset is not whole hours starts its day inside an hour of the rollups: the hour before counts.
    start = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    return start.replace(minute=0, second=0, microsecond=0)


def _next_midnight(start: datetime, zone: ZoneInfo) -> datetime:
    return _midnight((start + HOUR).astimezone(zone).date() + DAY, zone)
