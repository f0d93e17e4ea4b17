"""What became of the prompts: one document of sums, and the tables that show it.

Called by `signalbox try`. Invariant: amounts are integer sums over every request that was sent, tries
that were repeated included, so that they equal the gateway's own records; what is unknown is counted.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import click
import msgspec

from app.commands.output import print_table
from app.commands.try_client import Exchanged, Tried
from app.commands.try_prompts import BadLine
from billing import usd

BAD_LINES_SHOWN: Final = 20
UNKNOWN: Final = "—"


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """The answered prompts of one model or rule."""

    requests: int
    share: float
    cost_nano_usd: int
    saved_nano_usd: int


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """The answered prompts of one task that one rule sent to one model."""

    task: str
    model: str
    rule: str
    requests: int
    share: float


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """Of the answered prompts."""

    p50: int
    p95: int


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """How often the gateway's task is the one that the file names."""

    labelled: int
    agreed: int


class TryReport(msgspec.Struct, frozen=True, kw_only=True):
    """The document. `requests_sent` counts repeated tries, `attempts` the calls to providers behind them."""

    prompts: int
    answered: int
    refused: dict[str, int]
    errors: dict[str, int]
    reasons: dict[str, str]  # one message for each code of `refused` and `errors`
    bad_lines: tuple[BadLine, ...]
    requests_sent: int
    attempts: int
    cost_nano_usd: int
    saved_nano_usd: int
    unknown_cost_count: int
    by_model: dict[str, Share]
    by_rule: dict[str, Share]
    routes: tuple[Route, ...]
    task_agreement: Agreement | None
    latency_ms: Percentiles | None
    first_token_ms: Percentiles | None
    wall_s: float


def summarize(
    tried: Sequence[Tried], bad_lines: tuple[BadLine, ...], *, wall_s: float, is_task_told: bool
) -> TryReport:
    """Sum up."""
    sent = [exchanged for each in tried for exchanged in each.exchanges]
    answered = [each for each in tried if each.last.ending == "answered"]
    return TryReport(
        prompts=len(tried),
        answered=len(answered),
        refused=_reasons(tried, "refused"),
        errors=_reasons(tried, "failed"),
        reasons={each.last.reason: each.last.message or "" for each in reversed(tried) if each.last.reason},
        bad_lines=bad_lines,
        requests_sent=len(sent),
        attempts=sum(exchanged.attempt_count for exchanged in sent),
        cost_nano_usd=sum(exchanged.cost_nano_usd or 0 for exchanged in sent),
        saved_nano_usd=sum(exchanged.saved_nano_usd or 0 for exchanged in sent),
        unknown_cost_count=sum(exchanged.cost_nano_usd is None for exchanged in sent),
        by_model=_shares(answered, lambda last: last.model or UNKNOWN),
        by_rule=_shares(answered, lambda last: last.route().get("rule", UNKNOWN)),
        routes=_routes(answered),
        # A task that was told proves nothing about the classifier.
        task_agreement=None if is_task_told else _agreement(tried),
        latency_ms=_percentiles([each.last.latency_ms for each in answered]),
        first_token_ms=_percentiles([ms for each in answered if (ms := each.last.first_token_ms) is not None]),
        wall_s=round(wall_s, 3),
    )


def print_report(report: TryReport) -> None:
    """Print the tables and the totals."""
    print_table(
        ("task", "model", "requests", "share", "why: the rule"),
        [(row.task, row.model, f"{row.requests:,}", _percent(row.share), row.rule) for row in report.routes],
        title="What went where",
        numbers=("requests", "share"),
    )
    for title, counts in (("Refused", report.refused), ("Errors", report.errors)):
        if counts:
            rows = [(code, f"{count:,}", report.reasons[code]) for code, count in counts.items()]
            print_table(("reason", "prompts", "such as"), rows, title=title, numbers=("prompts",))
    for name, value in _totals(report):
        click.echo(f"{name + ':':12}{value}")
    for bad in report.bad_lines[:BAD_LINES_SHOWN]:
        click.echo(f"line {bad.line}: {bad.reason}", err=True)
    if len(report.bad_lines) > BAD_LINES_SHOWN:
        click.echo(f"and {len(report.bad_lines) - BAD_LINES_SHOWN:,} more bad lines", err=True)


def _totals(report: TryReport) -> Iterable[tuple[str, str]]:
    refused, errors = sum(report.refused.values()), sum(report.errors.values())
    yield "prompts", f"{report.prompts:,}: {report.answered:,} answered, {refused:,} refused, {errors:,} failed"
    if report.bad_lines:
        yield "bad lines", f"{len(report.bad_lines):,}, not sent"
    yield "attempts", f"{report.attempts:,} calls to providers for {report.requests_sent:,} requests"
    unknown = f" and {report.unknown_cost_count:,} of unknown cost" if report.unknown_cost_count else ""
    yield "cost", f"{usd(report.cost_nano_usd)}{unknown}"
    dearest_nano_usd = report.cost_nano_usd + report.saved_nano_usd
    part = f" ({report.saved_nano_usd * 100 // dearest_nano_usd} %)" if dearest_nano_usd > 0 else ""
    yield "saved", f"{usd(report.saved_nano_usd)}{part} against always using the dearest candidate"
    if (agreement := report.task_agreement) is not None:
        share = _percent(agreement.agreed / agreement.labelled)
        yield "tasks", f"{agreement.agreed:,} of {agreement.labelled:,} as the file names them ({share})"
    if (latency := report.latency_ms) is not None:
        yield "latency", f"p50 {latency.p50:,} ms, p95 {latency.p95:,} ms"
    if (first := report.first_token_ms) is not None:
        yield "first token", f"p50 {first.p50:,} ms, p95 {first.p95:,} ms"
    yield "time", f"{report.wall_s:,.1f} s"


def _reasons(tried: Sequence[Tried], ending: str) -> dict[str, int]:
    return dict(Counter(each.last.reason or UNKNOWN for each in tried if each.last.ending == ending).most_common())


def _shares(answered: Sequence[Tried], name_of: Callable[[Exchanged], str]) -> dict[str, Share]:
    groups: dict[str, list[Tried]] = {}
    for each in answered:
        groups.setdefault(name_of(each.last), []).append(each)
    return {
        name: Share(
            requests=len(group),
            share=round(len(group) / len(answered), 4),
            cost_nano_usd=sum(one.cost_nano_usd or 0 for each in group for one in each.exchanges),
            saved_nano_usd=sum(one.saved_nano_usd or 0 for each in group for one in each.exchanges),
        )
        for name, group in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    }


def _routes(answered: Sequence[Tried]) -> tuple[Route, ...]:
    counts = Counter(
        (route.get("task", UNKNOWN), each.last.model or UNKNOWN, route.get("rule", UNKNOWN))
        for each in answered
        for route in (each.last.route(),)
    )
    return tuple(
        Route(task=task, model=model, rule=rule, requests=count, share=round(count / len(answered), 4))
        for (task, model, rule), count in sorted(counts.items(), key=lambda item: (item[0][0], -item[1], item[0]))
    )


def _agreement(tried: Sequence[Tried]) -> Agreement | None:
    pairs = [(each.prompt.task, task) for each in tried if each.prompt.task and (task := each.last.route().get("task"))]
    agreed = sum(named == decided for named, decided in pairs)
    return Agreement(labelled=len(pairs), agreed=agreed) if pairs else None


def _percentiles(values: Sequence[int]) -> Percentiles | None:
    if not values:
        return None
    ordered = sorted(values)

    def nearest(percent: int) -> int:
        return ordered[max(1, -(-len(ordered) * percent // 100)) - 1]

    return Percentiles(p50=nearest(50), p95=nearest(95))


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"
