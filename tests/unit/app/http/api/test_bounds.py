"""Moments that a query may hold."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from app.http.api.bounds import moment_of
from tenants import FieldInvalid


def test_a_moment_is_read_in_utc() -> None:
    given = datetime(2026, 11, 1, 1, tzinfo=timezone(timedelta(hours=2)))
    assert moment_of("since", given) == datetime(2026, 10, 31, 23, tzinfo=UTC)
    assert moment_of("since", given).tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 11, 1),
        datetime(1969, 12, 31, tzinfo=UTC),
        datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-12))),
        datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=12))),
    ],
)
def test_what_is_no_moment_of_ours_is_refused(value: datetime) -> None:
    with pytest.raises(FieldInvalid, match="since"):
        moment_of("since", value)
