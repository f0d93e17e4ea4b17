"""What is remembered of latencies: means that follow, and are forgotten."""

from app.gateway.pace import FORGOTTEN_S, MEASURED_MAX, Pace
from tests.unit.app.routing.builders import make_candidate

ONE = make_candidate("x/one")


def test_a_change_comes_through_within_a_dozen_answers() -> None:
    pace = Pace()
    pace.took(ONE, 100, is_streamed=True, now=0)
    for second in range(12):
        pace.took(ONE, 1_000, is_streamed=True, now=second)
    latency_ms = pace.latency_ms_at(ONE, True, 12)
    assert latency_ms is not None
    assert 900 < latency_ms < 1_000


def test_streams_and_whole_answers_are_measured_apart() -> None:
    pace = Pace()
    pace.took(ONE, 100, is_streamed=True, now=0)
    assert pace.latency_ms_at(ONE, False, 0) is None


def test_what_was_not_measured_lately_is_not_known() -> None:
    pace = Pace()
    pace.took(ONE, 100, is_streamed=False, now=0)
    assert pace.latency_ms_at(ONE, False, FORGOTTEN_S) == 100
    assert pace.latency_ms_at(ONE, False, FORGOTTEN_S + 1) is None
    pace.took(ONE, 7, is_streamed=False, now=FORGOTTEN_S + 1)
    assert pace.latency_ms_at(ONE, False, FORGOTTEN_S + 1) == 7


def test_credentials_are_measured_apart_and_memory_is_bounded() -> None:
    pace = Pace()
    for number in range(MEASURED_MAX + 10):
        pace.took(make_candidate(credential=number), number, is_streamed=False, now=0)
    assert pace.latency_ms_at(make_candidate(credential=5), False, 0) is None
    assert pace.latency_ms_at(make_candidate(credential=MEASURED_MAX), False, 0) == MEASURED_MAX
