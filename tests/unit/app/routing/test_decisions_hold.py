"""Properties of decisions over random policies, candidates, plans and caps."""

from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.routing import Candidate, Capability, NoCandidateLeft, RequestFacts, RouteDecision
from app.routing.glob import compile_glob
from tests.unit.app.routing.builders import compile_document, make_candidate, make_signals, route

MODELS = ("a/one", "a/two", "b/one", "b/two", "c/three")

CANDIDATES = st.lists(
    st.builds(
        make_candidate,
        st.sampled_from(MODELS),
        usd_per_million=st.sampled_from([0, 0.1, 3, 75]),
        owner=st.sampled_from(["platform", "tenant"]),
        credential=st.integers(1, 9),
        rate_ppm=st.sampled_from([0, 50_000, 1_000_000, 1_250_000]),
        context_tokens=st.sampled_from([None, 100, 8_000, 200_000]),
        output_tokens_max=st.sampled_from([None, 16, 4_096]),
        capabilities=st.sampled_from([None, frozenset(), frozenset(Capability)]),
        quality=st.dictionaries(st.sampled_from(["", "open_qa"]), st.floats(0, 1)),
        is_priced=st.booleans(),
        image_tokens_max=st.sampled_from([None, 0, 4_784, 90_000]),
        long_above_tokens=st.sampled_from([None, None, 100, 999, 3_999, 100_000]),
    ),
    max_size=8,
    unique_by=lambda candidate: (candidate.name, candidate.credential_id),
)
CHOICES = st.builds(
    lambda candidates, extra, may_change_owner: {
        "candidates": candidates, **extra, "may_change_owner": may_change_owner
    },
    st.lists(st.sampled_from([*MODELS, "*", "a/*", "*/one", "z/none"]), min_size=1, max_size=4, unique=True),
    st.sampled_from(
        [
            {"strategy": "ordered"},
            {"strategy": "cheapest"},
            {"strategy": "cheapest", "quality_at_least": 0.5},
            {"strategy": "best"},
            {"strategy": "best", "cost_usd_max": 0.01},
            {"strategy": "ordered", "quality_at_least": 0.2, "cost_usd_max": 1},
            {"strategy": "fastest"},
            {"strategy": "fastest", "latency_ms_max": 300},
            {"strategy": "balanced", "quality_per_usd": 20},
            {"strategy": "balanced", "quality_per_usd": 3, "quality_per_second": 0.5},
            {"strategy": "cheapest", "latency_ms_max": 100},
        ]
    ),
    st.booleans(),
)  # fmt: skip
SIGNALS = st.builds(
    make_signals,
    input_tokens_bound=st.integers(0, 400_000),
    input_tokens_estimate=st.integers(0, 100_000),
    output_tokens_wanted=st.none() | st.integers(1, 50_000),
    choices=st.integers(1, 4),
    has_tools=st.booleans(),
    has_images=st.booleans(),
    is_streamed=st.booleans(),
    images=st.sampled_from([0, 0, 1, 20]),
    image_tokens_bound=st.sampled_from([0, 4_784, 48_169]),
    is_unbounded=st.booleans(),
    is_output_unbounded=st.sampled_from([False, False, True]),
    cost_nano_usd_max=st.none() | st.integers(0, 10**10),
    tags=st.lists(st.sampled_from(["vip", "task:planning", "*"]), max_size=2).map(tuple),
)
CAPS = st.none() | st.integers(-(10**6), 10**10)


def counts(candidate: Candidate, facts: RequestFacts) -> Iterator[int]:
    """What a provider could count of a request: all that we see, or where there is more, its whole context."""
    yield facts.input_tokens_bound
    if facts.images:
        own = candidate.image_tokens_max
        yield facts.input_tokens_bound + (facts.image_tokens_bound if own is None else facts.images * own)
    if facts.is_unbounded and candidate.price is not None:
        yield candidate.price.context_tokens or 0


@given(
    signals=SIGNALS,
    vip=CHOICES,
    default=CHOICES,
    candidates=CANDIDATES,
    allowed=st.sets(st.sampled_from(MODELS)),
    headroom=CAPS,
    latencies_ms=st.dictionaries(st.sampled_from(MODELS), st.integers(1, 900)),
    data=st.data(),
)
def test_decision_keeps_its_promises(
    signals: Any,
    vip: dict[str, Any],
    default: dict[str, Any],
    candidates: list[Candidate],
    allowed: set[str],
    headroom: int | None,
    latencies_ms: dict[str, int],
    data: st.DataObject,
) -> None:
    rules = [{"name": "vip", "when": {"tags": "vip"}, "then": vip}]
    policy = compile_document({"rules": rules, "default": default})

    def decided(given_candidates: list[Candidate]) -> RouteDecision:
        try:
            return route(
                signals,
                policy,
                candidates=given_candidates,
                allowed=allowed,
                headroom=headroom,
                latencies_ms=latencies_ms,
            )
        except NoCandidateLeft as error:
            return error.decision

    decision = decided(candidates)
    choice = vip if decision.rule == "vip" else default
    named = [one for one in candidates if any(compile_glob(name)(one.name) for name in choice["candidates"])]
    missing = [verdict for verdict in decision.verdicts if verdict.excluded == "not_available"]
    assert len(decision.verdicts) - len(missing) == len(named)
    assert all((verdict.rank is None) != (verdict.excluded is None) for verdict in decision.verdicts)
    ranks = [verdict.rank for verdict in decision.verdicts if verdict.rank is not None]
    assert ranks == list(range(1, len(decision.ranked) + 1))

    assert bool(decision.ranked) == (decision.refusal is None)
    facts = signals.facts
    owners = {ranked.candidate.credential_owner for ranked in decision.ranked}
    assert choice["may_change_owner"] or len(owners) <= 1
    for ranked in decision.ranked:
        candidate = ranked.candidate
        assert candidate in named
        assert latencies_ms.get(candidate.name, 0) <= choice.get("latency_ms_max", 900)
        assert candidate.name in allowed
        assert candidate.price is not None
        assert candidate.capabilities is None or candidate.capabilities or not (facts.has_tools or facts.has_images)
        for cap in (headroom, facts.cost_nano_usd_max):
            assert cap is None or ranked.bound_nano_usd <= max(cap, 0)
            assert cap is None or not facts.is_output_unbounded or ranked.bound_nano_usd == 0
            is_seen = not facts.is_unbounded or candidate.price.context_tokens is not None
            assert cap is None or is_seen or ranked.bound_nano_usd == 0
        limit = ranked.output_tokens_limit or facts.output_tokens_wanted
        for input_tokens in counts(candidate, facts):
            least = candidate.bound_nano_usd(input_tokens=input_tokens, output_tokens=limit * facts.choices)
            assert ranked.bound_nano_usd >= least
    assert (decision.baseline is None) == (not decision.ranked)
    assert decided(data.draw(st.permutations(candidates))) == decision
