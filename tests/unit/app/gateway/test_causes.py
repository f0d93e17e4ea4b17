"""What a failed attempt means for the request."""

import pytest

from app.gateway.causes import CAUSES, Move, outcome_of, read_retry_after
from app.providers import ConnectFailed, FailureKind, StreamCut, UpstreamError, UpstreamRefused, UpstreamTimeout
from billing import Outcome


@pytest.mark.parametrize(
    ("error", "move"),
    [
        (UpstreamRefused(FailureKind.INVALID, 400), Move.STOP),
        (UpstreamRefused(FailureKind.CONTENT_REFUSED, 400), Move.AS_POLICY_SAYS),
        (UpstreamRefused(FailureKind.AUTH, 401), Move.NEXT),
        (UpstreamRefused(FailureKind.RATE_LIMITED, 429), Move.NEXT),
        (UpstreamRefused(FailureKind.CONTEXT_EXCEEDED, 400), Move.LONGER),
        (UpstreamRefused(FailureKind.SERVER, 500), Move.NEXT),
        (ConnectFailed("refused"), Move.NEXT),
        (UpstreamTimeout("first_byte", 1.0), Move.NEXT),
        (StreamCut("cut"), Move.NEXT),
    ],
)
def test_only_what_the_caller_did_wrong_stops(error: UpstreamError, move: Move) -> None:
    assert CAUSES[error.kind].move is move


def test_every_kind_of_failure_has_a_row() -> None:
    assert set(CAUSES) == set(FailureKind)


def test_a_time_out_is_told_apart() -> None:
    assert outcome_of(UpstreamTimeout("idle", 1.0)) is Outcome.UPSTREAM_TIMEOUT
    assert outcome_of(StreamCut("cut")) is Outcome.UPSTREAM_ERROR


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "999999"}, 3600),
        ({"retry-after": "9" * 5_000}, None),  # more digits than Python reads
        ({"retry-after": "Tue, 01 Dec"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after": "Tue, 24 Nov 2015 10:00:00 GMT"}, 0),
        ({"retry-after": "Tue, 24 Nov 2099 10:00:00 GMT"}, 3600),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_bounded_seconds(headers: dict[str, str], seconds: float | None) -> None:
    assert read_retry_after(headers) == seconds
