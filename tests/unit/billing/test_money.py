"""Amounts in words."""

import pytest

from billing import usd


@pytest.mark.parametrize(
    ("amount_nano_usd", "words"),
    [
        (0, "$0.00"),
        (50_000_000_000, "$50.00"),
        (1_234_560_000_000, "$1,234.56"),
        (1, "$0.000000001"),
        (375_000, "$0.000375"),
        (1_500_000_000, "$1.50"),
        (-20_000_000, "-$0.02"),
    ],
)
def test_amounts_are_written_exactly(amount_nano_usd: int, words: str) -> None:
    assert usd(amount_nano_usd) == words
