"""Amounts and moments of a command line: exact, or refused."""

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.commands.amounts import nano_usd_of, read_moment
from billing import usd

OPTION = click.Option(["--since"])


@given(st.integers(0, 10**18))
def test_an_amount_that_we_print_is_read_back_to_the_nano_dollar(amount_nano_usd: int) -> None:
    assert nano_usd_of(usd(amount_nano_usd).removeprefix("$").replace(",", "")) == amount_nano_usd


@given(st.integers(0, 10**9), st.text("0123456789", max_size=60), st.sampled_from("123456789"))
def test_an_amount_finer_than_a_nano_dollar_is_never_rounded(whole: int, digits: str, last: str) -> None:
    fraction = "000000000" + digits + last
    assert nano_usd_of(f"{whole}.{fraction}") is None


@pytest.mark.parametrize("text", ["", "x", "1.2.3", "nan", "inf", "-inf", "1e999999999", "1e-999999999", "0x10"])
def test_what_is_no_amount_is_none(text: str) -> None:
    assert nano_usd_of(text) is None


def test_a_moment_without_zone_is_utc() -> None:
    context = click.Context(click.Command("x"))
    for text, expected in (
        ("2026-12-01", "2026-12-01T00:00:00+00:00"),
        ("2026-12-01T08:00Z", "2026-12-01T08:00:00+00:00"),
        ("2026-12-01T08:00+02:00", "2026-12-01T08:00:00+02:00"),
    ):
        moment = read_moment(context, OPTION, text)
        assert moment is not None
        assert moment.isoformat() == expected
    with pytest.raises(click.BadParameter, match="'soon' is not a moment"):
        read_moment(context, OPTION, "soon")
