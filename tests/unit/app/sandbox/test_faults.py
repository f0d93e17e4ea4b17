"""Faults come when and where they were asked for."""

import pytest

from app.sandbox import Fault, FaultKind, FaultPlan, FaultRule
from app.sandbox.faults import fault_in_text, fault_in_word, split_model


@pytest.mark.parametrize("kind", list(FaultKind))
def test_a_prompt_asks_for_any_fault(kind: FaultKind) -> None:
    assert fault_in_text([f"please [[fault:{kind.value}]] now"], "swift-mini") == Fault(kind)


def test_a_fault_in_a_prompt_may_hit_one_model_only() -> None:
    texts = ["[[fault:500@swift-mini]] [[fault:delay=300@deep-large]]"]
    assert fault_in_text(texts, "swift-mini") == Fault(FaultKind.SERVER)
    assert fault_in_text(texts, "deep-large") == Fault(FaultKind.DELAY, 300)
    assert fault_in_text(texts, "coder-pro") is None


def test_an_unknown_fault_is_none() -> None:
    assert fault_in_text(["[[fault:meteor]]"], "swift-mini") is None
    assert fault_in_word("meteor") is None
    assert fault_in_word(None) is None
    assert split_model("some+model") == ("some+model", None)


def test_a_models_suffix_asks_for_a_fault() -> None:
    assert split_model("swift-mini+429") == ("swift-mini", Fault(FaultKind.RATE_LIMITED))
    assert split_model("swift-mini+delay=50") == ("swift-mini", Fault(FaultKind.DELAY, 50))


def test_a_rule_runs_out_and_takes_its_kinds_in_turn() -> None:
    plan = FaultPlan()
    plan.add(FaultRule(kinds=[FaultKind.SERVER, FaultKind.HANG], count=3))
    found = [plan.next_fault("swift-mini") for _ in range(5)]
    assert found == [Fault(FaultKind.SERVER), Fault(FaultKind.HANG), Fault(FaultKind.SERVER), None, None]


def test_a_rule_for_one_model_leaves_others_alone() -> None:
    plan = FaultPlan()
    plan.add(FaultRule(kinds=[FaultKind.CUT], model="deep-large"))
    assert plan.next_fault("swift-mini") is None
    assert plan.next_fault("deep-large") == Fault(FaultKind.CUT)


def test_a_seed_gives_the_same_faults_again() -> None:
    def faults(seed: int) -> list[bool]:
        plan = FaultPlan()
        plan.add(FaultRule(kinds=[FaultKind.SERVER], probability=0.1, seed=seed))
        return [plan.next_fault("swift-mini") is not None for _ in range(1_000)]

    assert faults(1) == faults(1) != faults(2)
    assert 50 < sum(faults(1)) < 150


def test_a_cleared_plan_has_no_faults() -> None:
    plan = FaultPlan()
    plan.add(FaultRule(kinds=[FaultKind.SERVER]))
    plan.clear()
    assert (plan.next_fault("swift-mini"), plan.rules()) == (None, ())
