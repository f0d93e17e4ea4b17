"""Cost by kind of token, and the waterfall: parts that make up the whole."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from billing import Price
from dashboard.request_cost import attempt_costs
from dashboard.rows import AttemptFacts, PricedModel, RequestFacts
from dashboard.waterfall import waterfall
from tests.unit.dashboard.builders import a_request, an_attempt

AT = datetime(2026, 11, 24, tzinfo=UTC)
tokens = st.integers(min_value=0, max_value=3_000_000)
rates = st.integers(min_value=0, max_value=90_000_000_000)


def priced(**fields: int) -> PricedModel:
    prices = {"input_nano_usd_per_million": 3_000_000_000, "output_nano_usd_per_million": 15_000_000_000}
    price = Price(price_version_id=UUID(int=1), provider_name="openai", model="gpt-4o-mini", **(prices | fields))
    return PricedModel(price=price, source="test", source_version="1", effective_from=AT)


def used(cached: int, written: int, plain: int, reasoned: int, said: int, billed: int) -> AttemptFacts:
    return an_attempt(
        input_tokens=cached + written + plain, cache_read_input_tokens=cached, cache_creation_input_tokens=written,
        output_tokens=reasoned + said, reasoning_output_tokens=reasoned, billed_nano_usd=billed,
    )  # fmt: skip


@given(
    attempt=st.builds(used, tokens, tokens, tokens, tokens, tokens, st.integers(0, 10**15)),
    cached=rates, per_request=st.integers(0, 10**9), plain=rates,
)  # fmt: skip
def test_the_parts_are_the_amount_to_the_nano_dollar(
    attempt: AttemptFacts, cached: int, per_request: int, plain: int
) -> None:
    price = priced(
        cache_read_nano_usd_per_million=cached, per_request_nano_usd=per_request, input_nano_usd_per_million=plain
    )
    [cost] = attempt_costs([attempt], {1: price})
    amounts = [part.amount_nano_usd for part in cost.parts]
    if None not in amounts:
        assert sum(amounts) == attempt.billed_nano_usd  # type: ignore[arg-type]  # none is None
    else:
        assert set(amounts) == {None}, "nothing tells how it is made up"
    assert sum(part.tokens or 0 for part in cost.parts) == attempt.input_tokens + attempt.output_tokens


def test_a_kind_without_a_price_costs_what_the_kind_around_it_costs() -> None:
    [cost] = attempt_costs([used(100, 0, 100, 50, 50, 1_000_000)], {1: priced()})
    assert {part.kind: part.nano_usd_per_million for part in cost.parts} == {
        "Input": 3_000_000_000, "Read from cache": 3_000_000_000, "Output": 15_000_000_000, "Reasoning": 15_000_000_000,
    }  # fmt: skip


def test_without_a_price_tokens_are_told_and_amounts_are_not() -> None:
    [cost] = attempt_costs([used(0, 0, 100, 0, 50, 1_000)], {})
    assert [(part.tokens, part.amount_nano_usd) for part in cost.parts] == [(100, None), (50, None)]
    assert cost.amount_nano_usd == 1_000


def test_with_the_own_credential_it_is_the_provider_s_charge() -> None:
    attempt = an_attempt(credential_owner="tenant", provider_cost_nano_usd=700, billed_nano_usd=9)
    [cost] = attempt_costs([attempt], {1: priced()})
    assert (cost.is_direct, cost.amount_nano_usd) == (True, 700)
    [unknown] = attempt_costs([an_attempt(credential_owner="tenant", provider_cost_nano_usd=None)], {1: priced()})
    assert {part.amount_nano_usd for part in unknown.parts} == {None}


@given(
    pauses=st.lists(st.integers(0, 5_000), max_size=4), lengths=st.lists(st.integers(0, 60_000), max_size=4),
    rest=st.integers(0, 500),
)  # fmt: skip
def test_the_steps_cover_the_request_without_overlap(pauses: list[int], lengths: list[int], rest: int) -> None:
    at, attempts = 0, []
    for number, (pause, length) in enumerate(zip(pauses, lengths, strict=False), start=1):
        at += pause
        started = AT + timedelta(milliseconds=at)
        attempts.append(an_attempt(attempt_number=number, started_at=started, latency_ms=length))
        at += length
    facts: RequestFacts = a_request(started_at=AT, latency_ms=at + rest)
    steps = waterfall(facts, attempts)
    assert steps[0].start_ms == 0
    assert all(a.start_ms + a.length_ms == b.start_ms for a, b in pairwise(steps))
    assert steps[-1].start_ms + steps[-1].length_ms == facts.latency_ms
    assert sum(step.label.startswith("Attempt") for step in steps) == len(attempts)
    assert all(0 <= step.left_percent <= 100 - step.width_percent + 1e-9 for step in steps)


def test_an_attempt_that_outlived_its_request_stays_in_the_picture() -> None:
    late = an_attempt(started_at=AT + timedelta(milliseconds=10), latency_ms=900)
    steps = waterfall(a_request(started_at=AT, latency_ms=100), [late])
    assert max(step.left_percent + step.width_percent for step in steps) <= 100 + 1e-9


def test_clocks_that_disagree_move_no_attempt_before_the_request() -> None:
    early = an_attempt(started_at=AT - timedelta(seconds=3), latency_ms=50)
    assert [step.start_ms for step in waterfall(a_request(started_at=AT, latency_ms=60), [early])] == [0, 0, 50]
