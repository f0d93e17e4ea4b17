"""A breaker opens on enough failures, lets one probe through, and closes when it goes well."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.gateway.breaker import FAILURES_LEAST, PAUSE_S, PAUSE_S_MAX, WATCHED_FOR_S, Breaker, Ending


def opened(now: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(FAILURES_LEAST):
        breaker.end(now, Ending.BAD)
    return breaker


def test_it_opens_after_enough_failures_and_says_for_how_long() -> None:
    breaker = Breaker()
    for _ in range(FAILURES_LEAST - 1):
        breaker.end(0.0, Ending.BAD)
    assert breaker.begin(0.0)
    breaker.end(0.0, Ending.BAD)
    assert not breaker.begin(0.0)
    assert breaker.wait_s(0.5) == pytest.approx(PAUSE_S - 0.5)


def test_failures_that_are_the_smaller_part_do_not_open_it() -> None:
    breaker = Breaker()
    for number in range(60):
        breaker.end(0.0, Ending.BAD if number % 3 == 0 else Ending.GOOD)
    assert breaker.begin(0.0)


def test_old_failures_are_forgotten() -> None:
    breaker = Breaker()
    for place in range(FAILURES_LEAST):
        breaker.end(place * (WATCHED_FOR_S / 2), Ending.BAD)
    assert breaker.begin(WATCHED_FOR_S * 3)


def test_one_probe_goes_through_at_a_time() -> None:
    breaker = opened()
    assert breaker.begin(PAUSE_S)
    assert not breaker.begin(PAUSE_S)
    assert breaker.wait_s(PAUSE_S) > 0


def test_a_good_probe_closes_it() -> None:
    breaker = opened()
    assert breaker.begin(PAUSE_S)
    breaker.end(PAUSE_S, Ending.GOOD)
    assert breaker.wait_s(PAUSE_S) == 0
    assert breaker.begin(PAUSE_S)


def test_a_bad_probe_opens_it_for_twice_as_long_up_to_a_limit() -> None:
    breaker, now, pause_s = opened(), 0.0, PAUSE_S
    for _ in range(10):
        now += pause_s
        assert breaker.begin(now)
        breaker.end(now, Ending.BAD)
        pause_s = min(PAUSE_S_MAX, pause_s * 2)
        assert breaker.wait_s(now) == pytest.approx(pause_s)


def test_a_probe_that_says_nothing_lets_the_next_one_through() -> None:
    breaker = opened()
    assert breaker.begin(PAUSE_S)
    breaker.end(PAUSE_S, Ending.NEITHER)
    assert breaker.begin(PAUSE_S)


def test_calls_that_began_before_it_opened_do_not_take_the_probes_place() -> None:
    breaker = opened()
    breaker.end(0.1, Ending.BAD)
    breaker.end(0.1, Ending.NEITHER)
    assert not breaker.begin(0.1)
    assert breaker.begin(PAUSE_S)


@given(st.lists(st.tuples(st.sampled_from(list(Ending)), st.floats(0, 5)), max_size=200))
def test_it_never_stays_shut_for_ever(calls: list[tuple[Ending, float]]) -> None:
    breaker, now = Breaker(), 0.0
    for ending, passed_s in calls:
        now += passed_s
        if breaker.begin(now):
            breaker.end(now, ending)
    assert breaker.begin(now + PAUSE_S_MAX + 1)
