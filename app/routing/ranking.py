"""A lineup held against one request: the order to try, and why the others fall. Called by `decide`.

Work that grows with the candidates is one pass over their prices and one sort; a row is looked at alone only
where its context or a cap may bar it. Invariant: `rank` bars exactly what looking at each row would bar.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Final

import msgspec

from app.routing.candidate import Candidate
from app.routing.circumstances import QUIET, Circumstances
from app.routing.constraints import Demand, Fit, examine, output_tokens_limits
from app.routing.decision import CandidateColumns, Exclusion, Fall, Ranked, Said, Verdict
from app.routing.lazily import Lazily
from app.routing.lineup import Capable, Lineup, Rated
from app.routing.ordering import Groups, by_latency, by_utility, drawn_by_weight, utilities_of
from app.routing.policy_document import Strategy
from app.routing.terms import PER_MILLION, terms_of


class Live(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured or drawn for one request, by row; empty where the choice does not look at it."""

    draw: str | None = None
    latencies_ms: Sequence[int | None] = ()
    utilities: Sequence[float | None] = ()
    answers: Mapping[int, Said] = {}  # of the rows that are tables and have one


NOTHING_LIVE: Final = Live()
NO_ANSWER: Final = Fall(Exclusion.NO_ANSWER, "its table has no answer to this request")


class Ranking(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What became of a lineup's rows: each is in the order or has fallen."""

    lineup: Lineup
    demand: Demand
    rated: Rated
    estimates_nano_usd: list[int]  # by row
    order: list[int]  # rows, the first to try first
    falls: Mapping[int, Fall]  # by row
    baseline: Candidate | None  # the dearest that fits, whoever pays for it
    live: Live = NOTHING_LIVE

    def ranked(self) -> Sequence[Ranked]:
        """Give what to try, in order."""
        return Lazily(len(self.order), self._ranked)

    def verdicts(self) -> Sequence[Verdict]:
        """Give what became of every candidate that the choice names: the ranked first, then in the choice's order."""
        count = len(self.order) + len(self.falls) + len(self.lineup.barred)
        return Lazily(count, lambda place: self._verdicts[place])

    def columns(self) -> CandidateColumns:
        """Give the verdicts in columns."""
        fixed = self.lineup.columns
        return CandidateColumns(
            names=fixed.names,
            credential_owners=fixed.credential_owners,
            are_simulated=fixed.are_simulated,
            groups=fixed.groups,
            scores=self.rated.scores,
            latencies_ms=self.live.latencies_ms,
            estimates_nano_usd=self.estimates_nano_usd,
            order=self.order,
            falls=self.falls,
            barred=fixed.barred,
            unlisted_count=fixed.unlisted_count,
        )

    def _ranked(self, place: int) -> Ranked:
        row = self.order[place]
        fit = examine(self.lineup.terms[row], self.demand)
        assert isinstance(fit, Fit), "rank() orders what fits"
        return Ranked(
            candidate=self.lineup.candidates[row],
            bound_nano_usd=fit.bound_nano_usd,
            output_tokens_limit=fit.output_tokens_limit,
            is_output_shrunk=fit.is_output_shrunk,
            answer=self.live.answers.get(row),
        )

    @cached_property
    def _verdicts(self) -> tuple[Verdict, ...]:
        lineup, task = self.lineup, self.demand.task
        ranked = [
            msgspec.structs.replace(
                self._told(row),
                rank=rank,
                bound_nano_usd=each.bound_nano_usd,
                output_tokens_limit=each.output_tokens_limit,
            )
            for rank, (row, each) in enumerate(zip(self.order, self.ranked(), strict=True), start=1)
        ]
        fallen = [
            (lineup.places[row], lineup.candidates[row], _fallen(self._told(row), fall))
            for row, fall in self.falls.items()
        ]
        fallen += [
            (
                one.place,
                one.candidate,
                _fallen(_verdict(one.candidate, task, _estimate(one.candidate, self.demand)), one.fall),
            )
            for one in lineup.barred
            if one.candidate is not None
        ]
        fallen.sort(key=lambda one: (one[0], one[1].name, one[1].credential_id.int))
        return (
            *ranked,
            *(verdict for _, _, verdict in fallen),
            *(_fallen(Verdict(name=one.name, rank=None), one.fall) for one in lineup.barred if one.candidate is None),
        )

    def _told(self, row: int) -> Verdict:
        """Tell of a row all but what became of it."""
        verdict = _verdict(self.lineup.candidates[row], self.demand.task, self.estimates_nano_usd[row])
        live = self.live
        return msgspec.structs.replace(
            verdict,
            place=self.lineup.places[row],
            latency_ms=live.latencies_ms[row] if live.latencies_ms else None,
            utility=live.utilities[row] if live.utilities else None,
        )


def rank(
    lineup: Lineup, demand: Demand, circumstances: Circumstances = QUIET, *, prefers_cheaper: bool = False
) -> Ranking:
    """Order the rows that fit, by the choice's strategy or the cheapest first.

    Ties go to the cheaper, then to the tenant's own credential.
    """
    capable, rated = lineup.capable(demand.needs, demand.facts.features), lineup.rated(demand.task)
    falls = {**rated.falls, **capable.falls, **_barred_by_size(lineup, capable, demand)}
    input_tokens, output_tokens = demand.facts.input_tokens_estimate, demand.output_tokens_typical
    estimates = [
        (input_tokens * per_input + output_tokens * per_output + flat) // PER_MILLION
        for per_input, per_output, flat in lineup.estimates
    ]
    if input_tokens > lineup.long_context_above:
        for row in lineup.long_context_rows:
            estimates[row] = lineup.terms[row].estimate_nano_usd(input_tokens, output_tokens)
    live = NOTHING_LIVE
    if lineup.is_live:
        live = _live(lineup, rated, estimates, demand, circumstances)
        falls |= {row: NO_ANSWER for row, _ in lineup.tables if row not in live.answers}
        falls |= _too_slow(lineup.choice.latency_ms_max, live.latencies_ms)
    if prefers_cheaper:
        order = sorted(lineup.by_tie, key=estimates.__getitem__)
    else:
        order = _ordered(lineup, rated.groups, estimates, live)
    fitting = lineup.by_tie
    if falls:
        order = [row for row in order if row not in falls]
        fitting = tuple(row for row in fitting if row not in falls)
    # The last of equals: the one that would have been tried last.
    baseline = lineup.candidates[max(reversed(fitting), key=estimates.__getitem__)] if fitting else None
    if lineup.is_mixed and order and not lineup.choice.may_change_owner:
        order, others = _keep_owner(lineup, order)
        falls |= others
    return Ranking(
        lineup=lineup,
        demand=demand,
        rated=rated,
        estimates_nano_usd=estimates,
        order=order,
        falls=falls,
        baseline=baseline,
        live=live,
    )


def _ordered(lineup: Lineup, groups: Groups, estimates: Sequence[int], live: Live) -> list[int]:
    match lineup.choice.strategy:
        case Strategy.FASTEST:
            return by_latency(lineup.by_tie, live.latencies_ms, estimates, live.draw or "0")
        case Strategy.BALANCED:
            return by_utility(lineup.by_tie, live.utilities, estimates)
        case Strategy.WEIGHTED:
            entries = [
                (pattern.text, weight)
                for pattern, weight in zip(lineup.choice.patterns, lineup.choice.weights, strict=True)
            ]
            groups = drawn_by_weight(groups, lineup.places, entries, live.draw or "0")
        case Strategy.ORDERED | Strategy.CHEAPEST | Strategy.BEST:
            pass
    order: list[int] = []
    for group in groups:
        order += sorted(group, key=estimates.__getitem__) if len(group) > 1 else group
    return order


def _live(lineup: Lineup, rated: Rated, estimates: Sequence[int], demand: Demand, circumstances: Circumstances) -> Live:
    choice, is_streamed = lineup.choice, demand.facts.is_streamed
    latencies_ms: Sequence[int | None] = ()
    if choice.reads_latency:
        latencies_ms = [circumstances.latency_ms_of(candidate, is_streamed) for candidate in lineup.candidates]
    utilities: Sequence[float | None] = ()
    if choice.strategy is Strategy.BALANCED:
        utilities = utilities_of(
            rated.qualities,
            estimates,
            latencies_ms,
            quality_per_usd=choice.quality_per_usd,
            quality_per_second=choice.quality_per_second,
        )
    draw = circumstances.draw() if choice.draws else None
    answers = {}
    if circumstances.situation is not None:
        found = [(row, table.answer_to(circumstances.situation)) for row, table in lineup.tables]
        answers = {row: said for row, said in found if said is not None}
    return Live(answers=answers, draw=draw, latencies_ms=latencies_ms, utilities=utilities)


def _too_slow(most_ms: int | None, latencies_ms: Sequence[int | None]) -> dict[int, Fall]:
    """Bar the rows that lately were slower than the rule allows; one that was not measured may show what it does."""
    if most_ms is None:
        return {}
    return {
        row: Fall(Exclusion.TOO_SLOW, f"it took {latency_ms:,} ms lately; the rule asks for at most {most_ms:,}")
        for row, latency_ms in enumerate(latencies_ms)
        if latency_ms is not None and latency_ms > most_ms
    }


def _barred_by_size(lineup: Lineup, capable: Capable, demand: Demand) -> dict[int, Fall]:
    """Look at the rows that the input, the output limit or a cap may bar; one amount above all bounds spares most."""
    facts, cap = demand.facts, demand.cap_nano_usd()
    least, most = output_tokens_limits(facts)
    doubtful = capable.narrower_than(facts.input_tokens_estimate + least)
    if cap is not None:
        image_tokens = max(facts.image_tokens_bound, facts.images * lineup.image_tokens_max)
        bound = lineup.bound_nano_usd_most(
            input_tokens=facts.input_tokens_bound + image_tokens, output_tokens=most * facts.choices
        )
        if facts.is_unbounded or facts.is_output_unbounded or bound > cap:
            doubtful = capable.rows
    outcomes = [(row, examine(lineup.terms[row], demand)) for row in doubtful]
    return {row: outcome for row, outcome in outcomes if isinstance(outcome, Fall)}


def _keep_owner(lineup: Lineup, order: list[int]) -> tuple[list[int], dict[int, Fall]]:
    """Part an order in the rows whose credential has the first one's owner, and the others, fallen.

    A fallback must not change who pays the provider unless the policy says that it may.
    """
    owners = [lineup.candidates[row].credential_owner for row in order if not lineup.candidates[row].stays_here]
    if not owners:
        return order, {}
    owner = owners[0]
    fall = Fall(Exclusion.OTHER_OWNER, f"the first choice is behind the {owner}'s credential, and fallback keeps to it")
    others = {
        row: fall
        for row in order
        if not lineup.candidates[row].stays_here and lineup.candidates[row].credential_owner != owner
    }
    return [row for row in order if row not in others], others


def _estimate(candidate: Candidate, demand: Demand) -> int | None:
    if candidate.price is None:
        return None
    return terms_of(candidate).estimate_nano_usd(demand.facts.input_tokens_estimate, demand.output_tokens_typical)


def _verdict(candidate: Candidate, task: str, estimate_nano_usd: int | None) -> Verdict:
    return Verdict(
        name=candidate.name,
        rank=None,
        score=candidate.quality.get(task, candidate.quality.get("")),
        estimate_nano_usd=estimate_nano_usd,
        credential_owner=candidate.credential_owner,
        is_simulated=candidate.is_simulated,
    )


def _fallen(verdict: Verdict, fall: Fall) -> Verdict:
    return msgspec.structs.replace(
        verdict, excluded=fall.exclusion, detail=fall.detail, bound_nano_usd=fall.bound_nano_usd
    )
