"""A lineup held against one request: the order to try, and why the others fall. Called by `decide`.

Work that grows with the candidates is one pass over their prices and one sort; a row is looked at alone only
where its context or a cap may bar it. Invariant: `rank` bars exactly what looking at each row would bar.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property

import msgspec

from app.routing.candidate import Candidate
from app.routing.constraints import Demand, Fit, examine, output_tokens_limits
from app.routing.decision import CandidateColumns, Exclusion, Fall, Ranked, Verdict
from app.routing.lazily import Lazily
from app.routing.lineup import Capable, Lineup, Rated
from app.routing.terms import PER_MILLION, terms_of


class Ranking(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """What became of a lineup's rows: each is in the order or has fallen."""

    lineup: Lineup
    demand: Demand
    rated: Rated
    estimates_nano_usd: list[int]  # by row
    order: list[int]  # rows, the first to try first
    falls: Mapping[int, Fall]  # by row
    baseline: Candidate | None  # the dearest that fits, whoever pays for it

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
            scores=self.rated.scores,
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
        )

    @cached_property
    def _verdicts(self) -> tuple[Verdict, ...]:
        lineup, task = self.lineup, self.demand.task
        ranked = [
            msgspec.structs.replace(
                _verdict(each.candidate, task, self.estimates_nano_usd[row]),
                rank=rank,
                bound_nano_usd=each.bound_nano_usd,
                output_tokens_limit=each.output_tokens_limit,
            )
            for rank, (row, each) in enumerate(zip(self.order, self.ranked(), strict=True), start=1)
        ]
        fallen: list[tuple[int, Candidate, Fall, int | None]] = [
            (lineup.places[row], lineup.candidates[row], fall, self.estimates_nano_usd[row])
            for row, fall in self.falls.items()
        ]
        fallen += [
            (one.place, one.candidate, one.fall, _estimate(one.candidate, self.demand))
            for one in lineup.barred
            if one.candidate is not None
        ]
        fallen.sort(key=lambda one: (one[0], one[1].name, one[1].credential_id.int))
        return (
            *ranked,
            *(_fallen(_verdict(candidate, task, estimate), fall) for _, candidate, fall, estimate in fallen),
            *(_fallen(Verdict(name=one.name, rank=None), one.fall) for one in lineup.barred if one.candidate is None),
        )


def rank(lineup: Lineup, demand: Demand) -> Ranking:
    """Order the rows that fit. Ties go to the cheaper, then to the tenant's own credential."""
    capable, rated = lineup.capable(demand.needs, demand.facts.features), lineup.rated(demand.task)
    falls = {**rated.falls, **capable.falls, **_barred_by_size(lineup, capable, demand)}
    input_tokens, output_tokens = demand.facts.input_tokens_estimate, demand.output_tokens_typical
    estimates = [
        (input_tokens * per_input + output_tokens * per_output + flat) // PER_MILLION
        for per_input, per_output, flat in lineup.estimates
    ]
    order: list[int] = []
    for group in rated.groups:
        order += sorted(group, key=estimates.__getitem__) if len(group) > 1 else group
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
    )


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
    owner = lineup.candidates[order[0]].credential_owner
    fall = Fall(Exclusion.OTHER_OWNER, f"the first choice is behind the {owner}'s credential, and fallback keeps to it")
    others = {row: fall for row in order if lineup.candidates[row].credential_owner != owner}
    return [row for row in order if row not in others], others


def _estimate(candidate: Candidate, demand: Demand) -> int | None:
    if candidate.price is None:
        return None
    per_input, per_output, flat = terms_of(candidate).estimate
    used = demand.facts.input_tokens_estimate * per_input + demand.output_tokens_typical * per_output
    return (used + flat) // PER_MILLION


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
