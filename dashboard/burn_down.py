"""How a budget burns down: what was left at each moment of its running period, and where that leads.

Called by the limits page. Pure. Invariant: the line ends at what the budget itself says is left now; the bars
before it are taken from there back, so that figure, table and budget cannot disagree.
"""

import html
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from billing import Budget
from dashboard import formats
from dashboard.figures import Figure, LegendRow, plotted

# The step of a line by the budget's period; what never resets has no period to draw.
STEPS: Final = {"day": timedelta(hours=1), "week": timedelta(hours=6), "month": timedelta(days=1)}
FORECAST_FROM: Final = 20  # a twentieth of the period must have passed


def has_figure(budget: Budget) -> bool:
    """Whether what was spent under it stands in the rollups: one scope, all models, no single end users."""
    return budget.period in STEPS and budget.model is None and not budget.is_per_end_user


def steps_of(budget: Budget, now: datetime) -> list[datetime]:
    """The beginnings of the line's steps up to now, on whole hours."""
    start = budget.period_start.replace(minute=0, second=0, microsecond=0)
    step = STEPS[budget.period]
    return [start + place * step for place in range(max(1, -(-(now - start) // step)))]


def forecast_of(budget: Budget, now: datetime) -> int | None:
    """What the period will have spent at its end; None while it is too young to tell, or never ends."""
    if budget.resets_at is None or (now - budget.period_start) * FORECAST_FROM < budget.resets_at - budget.period_start:
        return None
    return budget.forecast_nano_usd(now)


def burn_down(budget: Budget, spent_nano_usd: Sequence[int], now: datetime, zone: ZoneInfo) -> Figure:
    """The figure of a budget; `spent_nano_usd` has one sum for each of its steps."""
    assert budget.resets_at is not None
    starts, ends_at = steps_of(budget, now), budget.resets_at
    left = _left(budget, spent_nano_usd)
    moments = [*starts, now]
    forecast = forecast_of(budget, now)
    traces = [
        _line("even pace", [starts[0], ends_at], [budget.limit_nano_usd, 0], zone, colour="previous", dash="dot"),
        _line("left", moments, left, zone, colour="c0", dash="solid"),
    ]
    left_at_end = None if forecast is None else budget.limit_nano_usd - forecast
    if left_at_end is not None:
        traces.append(_line("forecast", [now, ends_at], [left[-1], left_at_end], zone, colour="c0", dash="dash"))
    return Figure(
        figure_id="burn-down",
        title=f"What is left of {name_of(budget)}",
        summary=_summary(budget, forecast, zone),
        definition="The limit less what was spent up to each moment, not less what calls in flight hold; the forecast "
        "goes on at the period's pace so far.",
        json=plotted(traces, _LAYOUT),
        columns=("Time", "Spent before it", "Left"),
        rows=(
            *(_row(formats.minute(moment, zone), budget, amount) for moment, amount in zip(moments, left, strict=True)),
            _row(f"{formats.minute(ends_at, zone)} (forecast)", budget, left_at_end),
        ),
        legend=(
            LegendRow("c0", "Left", formats.money(left[-1])),
            LegendRow("previous", "Even pace", "to $0 at the reset"),
        ),
        note="" if forecast is not None else "The period is too young for a forecast.",
    )


def name_of(budget: Budget) -> str:
    """A budget as a person names it."""
    return f"the {_PERIODS[budget.period]} budget of {budget.scope_name}"


_PERIODS: Final = {"day": "daily", "week": "weekly", "month": "monthly", "total": "total"}
_LAYOUT: Final[dict[str, object]] = {
    "hovermode": "x unified",
    "dragmode": False,
    "showlegend": False,
    "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
    "xaxis": {"type": "date", "automargin": True, "fixedrange": True, "showgrid": False, "nticks": 8},
    "yaxis": {"automargin": True, "fixedrange": True, "nticks": 5, "tickformat": "$,.6~f", "zeroline": True},
}


def _left(budget: Budget, spent_nano_usd: Sequence[int]) -> list[int]:
    """What was left at the start of each step and is left now. Spent before the budget was set counts for nothing."""
    left = [budget.limit_nano_usd - budget.spent_nano_usd]
    for amount in reversed(spent_nano_usd):
        left.append(min(budget.limit_nano_usd, left[-1] + amount))
    return left[::-1]


def _line(
    name: str, moments: Sequence[datetime], amounts: Sequence[int], zone: ZoneInfo, *, colour: str, dash: str
) -> dict[str, object]:
    return {
        "type": "scatter", "mode": "lines", "name": html.escape(name),
        # Without an offset, so that plotly draws the tenant's zone and not the viewer's.
        "x": [f"{moment.astimezone(zone):%Y-%m-%dT%H:%M}" for moment in moments],
        "y": [formats.usd(amount) for amount in amounts],
        "line": {"width": 1.5 if dash == "dot" else 2, "dash": dash},
        "hovertemplate": f"{html.escape(name)}  %{{y:$,.6~f}}<extra></extra>", "meta": {"colour": colour},
    }  # fmt: skip


def _summary(budget: Budget, forecast: int | None, zone: ZoneInfo) -> str:
    left = budget.limit_nano_usd - budget.spent_nano_usd
    now = f"{formats.money(max(0, left))} of {formats.money(budget.limit_nano_usd)} is left"
    resets = f"it resets {formats.minute(budget.resets_at, zone)}"
    if forecast is None:
        return f"{now}; {resets}."
    verdict = "within the limit" if forecast <= budget.limit_nano_usd else "above the limit"
    return f"{now}; {resets}. At this pace the period ends at {formats.money(forecast)}, {verdict}."


def _row(moment: str, budget: Budget, left_nano_usd: int | None) -> tuple[str, str, str]:
    spent = None if left_nano_usd is None else budget.limit_nano_usd - left_nano_usd
    return moment, formats.exact_money(spent), formats.exact_money(left_nano_usd)
