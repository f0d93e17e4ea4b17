"""Faults come when and where they were asked for."""

from pathlib import Path

import msgspec
import pytest

from app.sandbox import Fault, FaultKind, FaultPlan, FaultRule
from app.sandbox.anthropic_wire import ANTHROPIC_WIRE
from app.sandbox.faults import fault_in_text, fault_in_word, read_plan, split_model
from app.sandbox.openai_wire import OPENAI_WIRE


@pytest.mark.parametrize("kind", list(FaultKind))
def test_a_prompt_asks_for_any_fault(kind: FaultKind) -> None:
    assert fault_in_text([f"please [[fault:{kind.value}]] now"], provider_name="sandbox", model="swift-mini") == Fault(
        kind
    )


def test_a_fault_in_a_prompt_may_hit_one_model_only() -> None:
    texts = ["[[fault:500@swift-mini]] [[fault:delay=300@deep-large]]"]
    assert fault_in_text(texts, provider_name="sandbox", model="swift-mini") == Fault(FaultKind.SERVER)
    assert fault_in_text(texts, provider_name="sandbox", model="deep-large") == Fault(FaultKind.DELAY, 300)
    assert fault_in_text(texts, provider_name="sandbox", model="coder-pro") is None


@pytest.mark.parametrize("target", ["swift-mini", "sandbox-anthropic", "sandbox-anthropic/swift-mini"])
def test_a_fault_in_a_prompt_may_name_a_provider_a_model_or_both(target: str) -> None:
    texts = [f"[[fault:500@{target}]]"]
    assert fault_in_text(texts, provider_name="sandbox-anthropic", model="swift-mini") == Fault(FaultKind.SERVER)
    assert fault_in_text(texts, provider_name="sandbox", model="deep-large") is None


def test_an_unknown_fault_is_none() -> None:
    assert fault_in_text(["[[fault:meteor]]"], provider_name="sandbox", model="swift-mini") is None
    assert fault_in_word("meteor") is None
    assert fault_in_word(None) is None
    assert split_model("some+model") == ("some+model", None)


def test_a_models_suffix_asks_for_a_fault() -> None:
    assert split_model("swift-mini+429") == ("swift-mini", Fault(FaultKind.RATE_LIMITED))
    assert split_model("swift-mini+delay=50") == ("swift-mini", Fault(FaultKind.DELAY, 50))


def test_a_rule_runs_out_and_takes_its_kinds_in_turn() -> None:
    plan = FaultPlan()
    plan.add(FaultRule(kinds=[FaultKind.SERVER, FaultKind.HANG], count=3))
    found = [plan.next_fault(provider_name="sandbox", model="swift-mini") for _ in range(5)]
    assert found == [Fault(FaultKind.SERVER), Fault(FaultKind.HANG), Fault(FaultKind.SERVER), None, None]


def test_a_rule_for_one_model_leaves_others_alone() -> None:
    plan = FaultPlan()
    plan.add(FaultRule(kinds=[FaultKind.CUT], model="deep-large"))
    assert plan.next_fault(provider_name="sandbox", model="swift-mini") is None
    assert plan.next_fault(provider_name="sandbox", model="deep-large") == Fault(FaultKind.CUT)


def test_a_seed_gives_the_same_faults_again() -> None:
    def faults(seed: int) -> list[bool]:
        plan = FaultPlan()
        plan.add(FaultRule(kinds=[FaultKind.SERVER], probability=0.1, seed=seed))
        return [plan.next_fault(provider_name="sandbox", model="swift-mini") is not None for _ in range(1_000)]

    assert faults(1) == faults(1) != faults(2)
    assert 50 < sum(faults(1)) < 150


def test_a_cleared_plan_has_no_faults() -> None:
    plan = FaultPlan()
    plan.add(FaultRule(kinds=[FaultKind.SERVER]))
    plan.clear()
    assert (plan.next_fault(provider_name="sandbox", model="swift-mini"), plan.rules()) == (None, ())


def test_a_rule_for_one_provider_leaves_its_twin_alone() -> None:
    plan = FaultPlan([FaultRule(kinds=[FaultKind.SLOW], provider_name="sandbox-anthropic")])
    assert plan.next_fault(provider_name="sandbox", model="swift-mini") is None
    assert plan.next_fault(provider_name="sandbox-anthropic", model="swift-mini") == Fault(FaultKind.SLOW)


@pytest.mark.parametrize(
    ("every", "burst", "fired"), [(5, 1, [0, 5, 10]), (6, 2, [0, 1, 6, 7]), (1, 1, list(range(12)))]
)
def test_bursts_come_in_turn(every: int, burst: int, fired: list[int]) -> None:
    plan = FaultPlan([FaultRule(kinds=[FaultKind.HANG], every=every, burst=burst)])
    found = [plan.next_fault(provider_name="sandbox", model="swift-mini") for _ in range(12)]
    assert [number for number, fault in enumerate(found) if fault] == fired


@pytest.mark.parametrize(
    "raw", [b"{}", b'[{"kinds": []}]', b'[{"kinds": ["500"], "every": 0}]', b'[{"kinds": ["500"], "evry": 2}]', b"["]
)
def test_a_plan_that_makes_no_sense_is_not_taken(raw: bytes) -> None:
    with pytest.raises(msgspec.MsgspecError):
        read_plan(raw)


def test_every_fault_of_the_first_group_has_its_words_on_both_wires() -> None:
    openai, anthropic = set(OPENAI_WIRE.refusals), set(ANTHROPIC_WIRE.refusals)
    assert openai == anthropic | {FaultKind.CONTENT}
    assert {kind for kind in FaultKind if kind.value.isdecimal()} < openai


def test_the_shipped_plan_fails_a_tenth_of_all_calls() -> None:
    plan = FaultPlan(read_plan(Path("app/sandbox/examples/a_tenth_fails.json").read_bytes()))
    found = [plan.next_fault(provider_name="sandbox", model="swift-mini") for _ in range(1_000)]
    kinds = [fault.kind for fault in found if fault]
    assert 95 <= len(kinds) <= 105
    assert all(19 <= kinds.count(kind) <= 21 for kind in ("429", "500", "hang", "cut", "slow"))
    # A provider that asks for a wait of an hour would take itself out of the run.
    assert all(fault.value == 1 for fault in found if fault and fault.kind is FaultKind.RATE_LIMITED)
