"""API keys are spelled so that junk is told from keys without a database."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants import KeyKind, KeyPrefix
from tenants.key_text import ALPHABET, key_prefix, new_key_text


@pytest.mark.parametrize("prefix", list(KeyPrefix))
def test_a_new_key_is_well_spelled(prefix: KeyPrefix) -> None:
    text = new_key_text(prefix)
    assert text.startswith(prefix)
    assert len(text) == len(prefix) + 49
    assert key_prefix(text) is prefix


def test_keys_do_not_repeat() -> None:
    assert len({new_key_text(KeyPrefix.LIVE) for _ in range(1_000)}) == 1_000


def test_management_is_the_only_kind_beside_model() -> None:
    assert [prefix.kind for prefix in KeyPrefix] == [KeyKind.MODEL, KeyKind.MODEL, KeyKind.MANAGEMENT]


@given(position=st.integers(0, 57), character=st.sampled_from(ALPHABET))
def test_a_typo_is_found(position: int, character: str) -> None:
    text = new_key_text(KeyPrefix.LIVE)
    typo = text[:position] + character + text[position + 1 :]
    assert (key_prefix(typo) is KeyPrefix.LIVE) == (typo == text)


@given(junk=st.text())
def test_junk_is_no_key(junk: str) -> None:
    assert key_prefix(junk) is None
    assert key_prefix("sbx_live_" + junk) is None
