"""Amounts are written the same whichever way is taken, and words are held to their rows."""

import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.providers import Cost
from app.providers.dialects.fields import Fields, decode_fields, refused_field, with_amounts
from billing import Usage

OWN: Fields = {"own": msgspec.Raw(b"1")}
NAMES = st.sampled_from(["prompt_tokens", "cost", "saved", "details", "été", "a\\b", 'q"', "", "usage"]) | st.text(
    st.characters(exclude_categories=["Cs"]), max_size=4
)
VALUES = st.recursive(
    st.none() | st.integers(-(2**53), 2**53) | st.sampled_from(["", "}", "cost", '"saved"', "\\", "é", "a:b"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)
AMOUNTS = st.none() | st.integers(-(10**12), 10**12)


def written(raw: bytes, cost: Cost) -> Any:
    answer = with_amounts(raw, Usage(), cost, encode_usage=lambda _: OWN)
    return json.loads(answer, parse_float=Decimal, parse_int=Decimal)


def dollars(cost: Cost) -> dict[str, Decimal]:
    amounts = {"cost": cost.billed_nano_usd, "saved": cost.saved_nano_usd}
    return {name: Decimal(amount) / 10**9 for name, amount in amounts.items() if amount is not None}


@settings(deadline=None)
@given(
    usage=st.dictionaries(NAMES, VALUES, max_size=4) | VALUES,
    others=st.dictionaries(NAMES.filter(lambda name: name != "usage"), VALUES, max_size=3),
    billed=AMOUNTS,
    saved=AMOUNTS,
    is_ascii=st.booleans(),
    indent=st.sampled_from([None, 1]),
    separators=st.sampled_from([(",", ":"), (" ,\t", " :\r\n ")]),
)
def test_amounts_are_all_that_is_changed_however_the_answer_is_spelled(
    usage: object,
    others: dict[str, object],
    billed: int | None,
    saved: int | None,
    is_ascii: bool,
    indent: int | None,
    separators: tuple[str, str],
) -> None:
    given_fields = {**others, "usage": usage}
    raw = json.dumps(given_fields, ensure_ascii=is_ascii, indent=indent, separators=separators).encode()
    cost = Cost(billed_nano_usd=billed, saved_nano_usd=saved)
    given_counts = usage if isinstance(usage, dict) else {}
    counts = {name: count for name, count in given_counts.items() if name not in ("cost", "saved")}
    expected = json.loads(json.dumps(given_fields), parse_int=Decimal)
    expected["usage"] = json.loads(json.dumps(counts or {"own": 1}), parse_int=Decimal) | dollars(cost)
    assert written(raw, cost) == expected


@pytest.mark.parametrize(
    "usage",
    [
        b'{"a":1,"cost":2,"cost":3}',
        b'{"a":1,"\\u0063ost":2}',
        b'{"a":1,"sav\\u0065d":2,"saved":3}',
        b'{"a":1,"a":1}',
        b'{ "a" : 1 }',
        b'{"cost":2,"a":1}',
    ],
)
def test_a_vendors_amount_never_stands_beside_ours(usage: bytes) -> None:
    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        names = [name for name, _ in pairs if name in ("cost", "saved", "usage")]
        assert len(names) == len(set(names))
        return dict(pairs)

    cost = Cost(billed_nano_usd=7, saved_nano_usd=-7)
    raw = with_amounts(b'{"usage":1,"usage":' + usage + b"}", Usage(), cost, encode_usage=lambda _: OWN)
    assert json.loads(raw, parse_float=Decimal, object_pairs_hook=once)["usage"] == {"a": 1, **dollars(cost)}
    unknown = with_amounts(b'{"usage":' + usage + b"}", Usage(), Cost(), encode_usage=lambda _: OWN)
    assert json.loads(unknown)["usage"] == {"a": 1}


@pytest.mark.parametrize(
    ("raw", "refused"),
    [
        (b'{"tier":"auto"}', None),
        (b'{"tier":null,"search":null}', None),
        (b'{"other":"x"}', None),
        (b'{"tier":"fast"}', ("tier", "wait")),
        (b'{"tier":"\xff"}', ("tier", "wait")),
        (b'{"tier":"auto","search":{}}', ("search", "look yourself")),
        (b'{"search":1,"tier":["auto"]}', ("tier", "wait")),
        (b'{"ti\\u0065r":"fast"}', ("tier", "wait")),
        (b'{"tier":"auto","tier":"fast"}', ("tier", "wait")),
    ],
)
def test_a_field_holds_a_word_of_its_row_or_nothing(raw: bytes, refused: tuple[str, str] | None) -> None:
    rows = {"tier": (("auto",), "wait"), "search": ((), "look yourself")}
    assert refused_field(decode_fields(raw), rows) == refused
