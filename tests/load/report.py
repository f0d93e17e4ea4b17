"""The bench's figures for a reader: a table with the goals and each peer's ratio to ours, or JSON."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from rich.console import Console
from rich.table import Table

from tests.load.figures import GOALS, Goal
from tests.load.subjects import Subject

WIDTH: Final = 160


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One subject's figures: over all rounds, and round by round."""

    subject: Subject
    figures: Mapping[str, float]
    rounds: Sequence[Mapping[str, float]]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one run found out; `unavailable` says of each peer that could not be measured why."""

    measured: Sequence[Measured]  # ours first
    unavailable: Mapping[str, str]
    spins_us: Sequence[float]  # a fixed piece of work on the gateway's core, before each round


def as_json(report: Report) -> str:
    """All of it, the rounds too."""
    subjects: dict[str, Any] = {
        each.subject.name: {
            "is_on": each.subject.is_on,
            "version": each.subject.version,
            "figures": _rounded(each.figures),
            "rounds": [_rounded(one) for one in each.rounds],
        }
        for each in report.measured
    }
    told = {
        "machine": _machine() | {"spins_us": [round(spin) for spin in report.spins_us]},
        "subjects": subjects,
        "unavailable": report.unavailable,
        "goals": {name: goal.value for name, goal in GOALS.items()},
    }
    return json.dumps(told, indent=2) + "\n"


def show(report: Report) -> None:
    """Print the table and what is to be known about it."""
    console = Console(width=WIDTH)
    ours, *peers = report.measured
    table = Table("figure", "goal", ours.subject.name, title="The gateway on one core; × is the peer's figure to ours")
    for peer in peers:
        table.add_column(peer.subject.name, justify="right")
    for column in table.columns[1:3]:
        column.justify = "right"
    for name in dict.fromkeys(name for each in report.measured for name in each.figures):
        own = ours.figures.get(name)
        cells = [_with_ratio(peer.figures.get(name), own) for peer in peers]
        table.add_row(name, _goal(GOALS.get(name)), _against(own, GOALS.get(name)), *cells)
    console.print(table)
    for each in report.measured:
        console.print(f"{each.subject.name} {each.subject.version or ''}: on is {each.subject.is_on}.")
    for name, reason in report.unavailable.items():
        console.print(f"{name} could not be measured here: {reason}", markup=False)
    low, high = min(report.spins_us), max(report.spins_us)
    console.print(f"{_machine()}; a fixed piece of work took {low:,.0f} to {high:,.0f} µs of the gateway's core.")


def _machine() -> dict[str, str | int | None]:
    return {"machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}


def _rounded(figures: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in figures.items()}


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:,.1f}" if abs(value) >= 10 else f"{value:,.2f}"


def _goal(goal: Goal | None) -> str:
    return "" if goal is None else f"{'≥' if goal.is_least else '≤'} {_number(goal.value)}"


def _against(value: float | None, goal: Goal | None) -> str:
    if value is None:
        return "—"
    mark = "" if goal is None else " ✓" if goal.is_reached(value) else " ✗"
    return _number(value) + mark


def _with_ratio(value: float | None, own: float | None) -> str:
    if value is None:
        return "—"
    # A difference of two measurements may come out below zero; no ratio says anything of that.
    return f"{_number(value)} ({value / own:,.2f} ×)" if own and own > 0 <= value else _number(value)
