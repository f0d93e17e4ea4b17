"""A route decision on a terminal: signals, rule, and each candidate with why it was or was not taken."""

import click
import msgspec

from app.commands.output import print_table
from app.routing import Evidence, PolicyDraft, RouteDecision, Verdict, decision_json
from billing import usd


def show_decision(decision: RouteDecision, *, is_json: bool) -> None:
    """Print a decision; as JSON it is the document that `POST /v1/route` answers."""
    if is_json:
        click.echo(decision_json(decision))
        return
    baseline = decision.baseline
    lines = {
        "task": _evidence(decision.signals.task),
        "domain": _evidence(decision.signals.domain),
        "input tokens": f"about {decision.signals.facts.input_tokens_estimate:,}, "
        f"at most {decision.signals.facts.input_tokens_bound:,}",
        "policy": f"{decision.policy_name}@{decision.policy_version}",
        "rule": decision.rule,
        "reason": decision.reason,
        "baseline": baseline.name if baseline else "—",
    }
    for name, value in lines.items():
        click.echo(f"{name + ':':14}{value}")
    print_table(
        ("rank", "candidate", "expected quality", "estimate", "bound", "why"),
        [_row(verdict) for verdict in decision.verdicts],
        numbers=("rank", "expected quality", "estimate", "bound"),
    )


def show_draft(draft: PolicyDraft, *, is_json: bool) -> None:
    """Print what was understood, what was not, and what the draft changes."""
    if is_json:
        click.echo(msgspec.json.format(msgspec.json.encode(draft)))
        return
    for rule in draft.understood:
        kind = "everything else" if rule.is_default else "nothing but these" if rule.is_guard else "rule"
        click.echo(f"{kind}: '{rule.said}' → {', '.join(rule.candidates)} ({rule.strategy})", err=True)
    for problem in draft.not_understood:
        click.echo(f"not understood: {problem}", err=True)
    click.echo(draft.diff)


def _evidence(evidence: Evidence) -> str:
    return f"{evidence.value} ({evidence.confidence:.2f}, by {evidence.decided_by}: {evidence.because})"


def _row(verdict: Verdict) -> tuple[str, ...]:
    taken = "tried first" if verdict.rank == 1 else "tried if those before it fail"
    return (
        str(verdict.rank or "—"),
        verdict.name,
        "—" if verdict.score is None else f"{verdict.score:.2f}",
        "—" if verdict.estimate_nano_usd is None else usd(verdict.estimate_nano_usd),
        "—" if verdict.bound_nano_usd is None else usd(verdict.bound_nano_usd),
        taken if verdict.excluded is None else f"{verdict.excluded}: {verdict.detail}",
    )
