"""Decisions in words, in a header and as JSON, without the prompt."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.routing import NoCandidateLeft, classify, decision_json, route_header
from app.routing.dollars import usd
from app.routing.words import HEADER_CHARACTERS_MAX
from tests.unit.app.routing.builders import make_facts, make_policy, make_signals, route


def test_header_has_its_fields_in_order() -> None:
    assert route_header(route()) == (
        "policy=default@3;rule=default;task=open_qa;confidence=0.80;"
        "reason=task open_qa by the word 'x' -> no rule holds, so the default -> sandbox/steady-base"
    )


@given(name=st.text(min_size=1, max_size=200).filter(str.strip), task=st.text(max_size=300))
def test_header_is_printable_ascii_and_bounded(name: str, task: str) -> None:
    rules = [{"name": name, "then": {"candidates": ["*"], "strategy": "best"}}]
    header = route_header(route(make_signals(task), make_policy(rules=rules)))
    assert header.isascii()
    assert header.isprintable()
    assert len(header) <= HEADER_CHARACTERS_MAX
    assert header.count(";") <= 4


def test_json_tells_all_but_the_prompt() -> None:
    secret = "my secret love of Zanzibar, translated"
    facts = make_facts(f"Translate: {secret}", system=secret, metadata={"who": secret}, tags=(secret,))
    facts = msgspec.structs.replace(facts, images=2, image_tokens_bound=9_568, is_output_unbounded=True)
    decision = route(classify(facts))
    encoded = decision_json(decision)
    assert b"secret" not in encoded
    assert "secret" not in route_header(decision)
    shown = msgspec.json.decode(encoded)
    assert shown["task"]["value"] == "translation"
    assert shown["baseline_model"] == "sandbox/steady-base"
    assert shown["candidates"][0]["rank"] == 1
    assert shown["request"]["input_tokens_estimate"] == 250
    assert (shown["request"]["images"], shown["request"]["image_tokens_bound"]) == (2, 9_568)
    assert shown["request"]["is_output_unbounded"]


def test_refused_decision_can_be_stored() -> None:
    with pytest.raises(NoCandidateLeft) as caught:
        route(allowed=set())
    shown = msgspec.json.decode(decision_json(caught.value.decision))
    assert shown["refusal"] == str(caught.value)
    assert shown["candidates"][0]["excluded"] == "not_in_plan"
    assert shown["reason"].endswith("nothing left")


@pytest.mark.parametrize(
    ("amount", "written"),
    [(0, "$0.00"), (1, "$0.000000001"), (1_250_000_000, "$1.25"), (-500_000_000, "-$0.50"), (10**18, "$1000000000.00")],
)
def test_amounts_are_exact(amount: int, written: str) -> None:
    assert usd(amount) == written
