"""Answers: exact dollars beside nano-dollars, and pages that hold each item once."""

from dataclasses import dataclass
from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.http.api.answers import answer_of, page_of, page_within
from tenants import FieldInvalid


@dataclass(frozen=True)
class Stored:
    name: str
    billed_nano_usd: int
    baseline_nano_usd: int | None
    secret: str = "not to be told"


class Told(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    billed_nano_usd: int
    billed_usd: str
    baseline_usd: str | None
    state: str


@given(st.integers(-(10**18), 10**18))
def test_an_amount_in_dollars_is_exactly_its_nano_dollars(billed_nano_usd: int) -> None:
    told = answer_of(Told, Stored("a", billed_nano_usd, None), state="live")
    assert Decimal(told.billed_usd) * 10**9 == told.billed_nano_usd == billed_nano_usd
    assert told.baseline_usd is None
    assert told.state == "live"
    assert b"not to be told" not in msgspec.json.encode(told)


@given(st.lists(st.integers(), unique=True).map(lambda ids: [str(each) for each in ids]), st.integers(1, 5))
def test_following_the_last_id_reads_a_list_once_and_in_order(ids: list[str], limit: int) -> None:
    read: list[str] = []
    after = None
    for _ in range(len(ids) + 1):
        page = page_within(ids, lambda each: each, limit=limit, after=after)
        assert len(page.data) <= limit
        read += page.data
        after = page.last_id
        if not page.has_more:
            break
    assert read == ids


def test_a_page_that_is_just_full_has_no_more() -> None:
    assert not page_of(["a", "b"], lambda each: each, limit=2).has_more
    assert page_of(["a", "b", "c"], lambda each: each, limit=2).has_more
    assert page_of([], lambda each: each, limit=2).last_id is None


def test_an_id_that_is_not_in_the_list_is_refused() -> None:
    with pytest.raises(FieldInvalid, match="'z'"):
        page_within(["a"], lambda each: each, limit=1, after="z")
