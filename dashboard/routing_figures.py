"""The figures of the page "Routing & quality", each with its sentence and its table.

Called by the page; drawn by `dashboard.figures`. Invariant: what is drawn and what stands in the table are the same
rows.
"""

import html
from collections import Counter
from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Final

from dashboard import formats
from dashboard.figures import Figure, colours_of, plotted
from dashboard.ranges import TimeRange
from dashboard.routing_repository import RouteCount
from dashboard.routing_sums import CONFIDENCE_STEPS, DecisionSums, ModelWorth

MODELS_MAX: Final = 10
TASKS_MAX: Final = 20
REASONS_MAX: Final = 12
MARKER_PIXELS: Final = (9, 26)
OTHER: Final = "other models"
NO_TASK: Final = "not classified"

Axis = Mapping[str, object]


def route_share(routes: Sequence[RouteCount], within: TimeRange) -> Figure:
    """A map of models and tasks: which part of a task's requests each model answered."""
    by_task: Counter[str] = Counter()
    by_model: Counter[str] = Counter()
    for route in routes:
        by_task[route.task or NO_TASK] += route.answered_count
        by_model[route.model] += route.answered_count
    tasks = [task for task, _ in by_task.most_common(TASKS_MAX)]
    models = [model for model, _ in by_model.most_common(MODELS_MAX)]
    cells: Counter[tuple[str, str]] = Counter()
    for route in routes:
        model = route.model if route.model in models else OTHER
        cells[route.task or NO_TASK, model] += route.answered_count
    columns = [*models, *([OTHER] if len(by_model) > len(models) else [])]
    shares = [[cells[task, model] / by_task[task] for model in columns] for task in tasks]
    written = [
        [formats.share(cells[task, model], by_task[task]) if cells[task, model] else "" for model in columns]
        for task in tasks
    ]
    trace = {
        "type": "heatmap", "x": [_escaped(each) for each in columns], "y": [_escaped(_words(task)) for task in tasks],
        "z": shares, "zmin": 0, "zmax": 1, "text": written, "texttemplate": "%{text}", "showscale": False,
        "xgap": 2, "ygap": 2, "hovertemplate": "%{y} → %{x}  %{z:.1%}<extra></extra>", "meta": {"colour": "c0"},
    }  # fmt: skip
    return Figure(
        figure_id="route-share",
        title="Which model gets which task",
        summary=_share_summary(by_task, by_model, cells, within),
        definition="Of the answered requests of a task, the part that each model answered; named models included.",
        json=plotted([trace] if tasks else [], _layout(xaxis={"type": "category"}, yaxis={"autorange": "reversed"})),
        columns=("Task", "Requests", *columns),
        rows=tuple(
            (_words(task), formats.count(by_task[task]), *(cell or "0%" for cell in row))
            for task, row in zip(tasks, written, strict=True)
        ),
        legend=(),
        note=f"Showing {len(tasks)} of {len(by_task)} tasks." if len(by_task) > len(tasks) else "",
    )


def cost_and_quality(models: Sequence[ModelWorth]) -> Figure:
    """Each model by what an answer of it costs and by the quality that is expected of its answers."""
    colours = colours_of([each.model for each in models])
    most = max((each.answered_count for each in models), default=1)
    traces = [
        {
            "type": "scatter", "mode": "markers", "name": _escaped(each.model),
            "x": [formats.usd(each.cost_nano_usd)], "y": [each.quality],
            "error_y": {"type": "data", "symmetric": False, "array": [each.high - each.quality],
                        "arrayminus": [each.quality - each.low], "thickness": 1, "width": 3},
            "marker": {"size": [_size(each.answered_count, most)]},
            "hovertemplate": f"{_escaped(each.model)}  %{{x:$,.6~f}} an answer, expected %{{y:.2f}}<extra></extra>",
            "meta": {"colour": colours[each.model]},
        }
        for each in models
    ]  # fmt: skip
    return Figure(
        figure_id="cost-quality",
        title="Cost against expected quality",
        summary=_worth_summary(models),
        definition="Billed per answer against expected quality, weighed by the tasks that the model got; bars are 95 % "
        "intervals and a larger mark has more answers.",
        json=plotted(
            traces,
            _layout(
                xaxis={"tickformat": "$,.5~f", "rangemode": "tozero"}, yaxis={"range": [0, 1], "tickformat": ".1f"}
            ),
        ),
        columns=("Model", "Answers", "Cost per answer", "Expected quality", "95 % interval"),
        rows=tuple(
            (
                each.model, formats.count(each.answered_count), formats.money(each.cost_nano_usd),
                f"{each.quality:.2f}", f"{each.low:.2f} – {each.high:.2f}",
            )
            for each in models
        ),
        legend=(),
    )  # fmt: skip


def exclusions(sums: DecisionSums) -> Figure:
    """Why candidates were not taken."""
    reasons = sums.excluded.most_common(REASONS_MAX)
    bars = {
        "type": "bar", "orientation": "h", "x": [count for _, count in reasons],
        "y": [_escaped(_words(reason)) for reason, _ in reasons],
        "hovertemplate": "%{y}  %{x:,} candidates<extra></extra>", "meta": {"colour": "refused"},
    }  # fmt: skip
    total = sum(sums.excluded.values())
    if reasons:
        first, count = reasons[0]
        part = formats.share(count, total)
        summary = f"{formats.count(total)} times a candidate was not taken; {part} of them: {_words(first)}."
    else:
        summary = "No candidate fell."
    return Figure(
        figure_id="exclusions",
        title="Why candidates fell",
        summary=summary,
        definition="Candidates that a rule named and that could not be tried, by the reason of the decision.",
        json=plotted(
            [bars] if reasons else [], _layout(xaxis={"rangemode": "tozero"}, yaxis={"autorange": "reversed"})
        ),
        columns=("Reason", "Candidates", "Requests"),
        rows=tuple(
            (_words(reason), formats.count(count), formats.count(sums.requests_with[reason]))
            for reason, count in reasons
        ),
        legend=(),
        note=_read_note(sums),
    )


def confidence(sums: DecisionSums) -> Figure:
    """How sure the classification of the task was."""
    steps = [f"{step / CONFIDENCE_STEPS:.1f} – {(step + 1) / CONFIDENCE_STEPS:.1f}" for step in range(CONFIDENCE_STEPS)]
    total = sum(sums.confidence)
    bars = {
        "type": "bar", "x": [step[:3] for step in steps], "y": sums.confidence, "customdata": steps,
        "hovertemplate": "%{customdata}  %{y:,} requests<extra></extra>", "meta": {"colour": "c3"},
    }  # fmt: skip
    decided = ", ".join(f"{_words(who)} {formats.share(count, total)}" for who, count in sums.decided_by.most_common())
    sure = sum(sums.confidence[CONFIDENCE_STEPS // 2 :])
    return Figure(
        figure_id="confidence",
        title="How sure the task was",
        summary=f"Of {formats.share(sure, total)} of the requests the task was told with at least even odds; "
        f"decided by {decided}."
        if total
        else "No request was classified.",
        definition="The confidence of the task of each decision, in tenths, and who decided it.",
        json=plotted([bars] if total else [], _layout(xaxis={"type": "category"}, yaxis={"rangemode": "tozero"})),
        columns=("Confidence", "Requests"),
        rows=tuple((step, formats.count(count)) for step, count in zip(steps, sums.confidence, strict=True) if count),
        legend=(),
        note=_read_note(sums),
    )


def _layout(*, xaxis: Axis, yaxis: Axis) -> dict[str, object]:
    fixed: Axis = {"automargin": True, "fixedrange": True, "zeroline": False}
    return {
        "dragmode": False,
        "showlegend": False,
        "bargap": 0.18,
        "margin": {"l": 8, "r": 8, "t": 8, "b": 8},
        "xaxis": {**fixed, "showgrid": False, **xaxis},
        "yaxis": {**fixed, **yaxis},
    }


def _share_summary(
    by_task: Counter[str], by_model: Counter[str], cells: Counter[tuple[str, str]], within: TimeRange
) -> str:
    if not by_task:
        return f"No request was answered in {within.words}."
    task, count = by_task.most_common(1)[0]
    model = max(by_model, key=lambda name: cells[task, name])
    return (
        f"{formats.count(sum(by_task.values()))} answers by {len(by_model)} models; most were {_words(task)}, and "
        f"{model} got {formats.share(cells[task, model], count)} of it."
    )


def _worth_summary(models: Sequence[ModelWorth]) -> str:
    if not models:
        return "No model with an expected quality was used."
    best = max(models, key=lambda each: each.quality)
    cheapest = min(models, key=lambda each: each.cost_nano_usd)
    if best is cheapest:
        return f"{best.model} is both the cheapest and the one expected to be best."
    return (
        f"Expected best: {best.model} ({best.quality:.2f}) at {formats.money(best.cost_nano_usd)} an answer; cheapest: "
        f"{cheapest.model} ({cheapest.quality:.2f}) at {formats.money(cheapest.cost_nano_usd)}."
    )


def _read_note(sums: DecisionSums) -> str:
    return f"From the newest {formats.count(sums.decisions)} decisions." if sums.decisions else ""


def _size(count: int, most: int) -> int:
    least, largest = MARKER_PIXELS
    return least + round((largest - least) * sqrt(count / most))


def _words(name: str) -> str:
    return name.replace("_", " ")


def _escaped(name: str) -> str:
    return html.escape(name)
