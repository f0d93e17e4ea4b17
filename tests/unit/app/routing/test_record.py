"""What a record keeps of a decision explains every candidate."""

from typing import Any

import msgspec
import pytest
from hypothesis import given

from app.routing import Candidate, Capability, NoCandidateLeft, decision_json, decision_record, explain_record
from app.routing.lineup import BARRED_LISTED_MAX
from app.routing.record import RESERVES_KEPT
from tests.unit.app.routing.builders import compile_document, make_candidate, make_policy, make_signals, route
from tests.unit.app.routing.test_decisions_hold import CANDIDATES, CAPS, CHOICES, SIGNALS


def explained(record: bytes) -> dict[str, Any]:
    shown: dict[str, Any] = msgspec.json.decode(explain_record(record))
    return shown


@given(signals=SIGNALS, default=CHOICES, candidates=CANDIDATES, headroom=CAPS)
def test_record_explains_what_was_shown(
    signals: Any, default: dict[str, Any], candidates: list[Candidate], headroom: int | None
) -> None:
    try:
        decision = route(signals, compile_document({"default": default}), candidates=candidates, headroom=headroom)
    except NoCandidateLeft as error:
        decision = error.decision
    shown, kept = msgspec.json.decode(decision_json(decision)), explained(decision_record(decision))
    verdicts, kept_verdicts = shown.pop("candidates"), kept.pop("candidates")
    assert kept == shown

    def told(verdict: dict[str, Any]) -> tuple[object, ...]:
        return tuple(
            verdict[key] for key in ("name", "excluded", "detail", "score", "credential_owner", "is_simulated")
        )

    count = len(decision.ranked)
    for verdict, kept_verdict in zip(verdicts[:count], kept_verdicts[:count], strict=True):
        is_reserve_kept = verdict["rank"] <= RESERVES_KEPT
        assert kept_verdict == (
            verdict if is_reserve_kept else verdict | {"bound_nano_usd": None, "output_tokens_limit": None}
        )
    barred = {"unknown_price", "not_in_plan"}
    fallen = [verdict for verdict in verdicts[count:] if verdict["excluded"] not in barred]
    kept_fallen = [verdict for verdict in kept_verdicts[count:] if verdict["excluded"] not in barred]
    assert sorted(map(repr, fallen)) == sorted(map(repr, kept_fallen))
    assert {told(verdict)[:3] for verdict in verdicts} == {told(verdict)[:3] for verdict in kept_verdicts}


def test_what_the_plan_bars_is_listed_up_to_a_number() -> None:
    candidates = [make_candidate(f"x/{number}") for number in range(BARRED_LISTED_MAX + 8)]
    decision = route(
        policy=make_policy(["*", "y/gone"]), candidates=[*candidates, make_candidate()], allowed={"sandbox/steady-base"}
    )
    record = msgspec.json.decode(decision_record(decision))
    assert record["candidates"]["unlisted"] == 8
    names = [verdict["name"] for verdict in explained(decision_record(decision))["candidates"]]
    assert len(names) == 1 + BARRED_LISTED_MAX + 1
    assert {"sandbox/steady-base", "y/gone"} <= set(names)


def test_one_reason_is_written_once_however_many_fall_for_it() -> None:
    plain = [make_candidate(f"x/{number}", capabilities=frozenset()) for number in range(40)]
    able = make_candidate("x/able", capabilities=frozenset(Capability))
    record = decision_record(route(make_signals(has_tools=True), candidates=[*plain, able]))
    assert record.count(b"needs tools") == 1
    assert sum(verdict["excluded"] == "not_capable" for verdict in explained(record)["candidates"]) == 40


def test_record_is_much_smaller_than_what_is_shown() -> None:
    decision = route(candidates=[make_candidate(f"provider/model-{number}") for number in range(60)])
    assert len(decision_record(decision)) * 4 < len(decision_json(decision))


@pytest.mark.parametrize("stored", [b"null", b'{"rule":"r","candidates":[{"name":"a/b"}]}', b'{"rule":"r"}'])
def test_what_was_stored_in_another_form_passes_as_it_is(stored: bytes) -> None:
    assert explain_record(stored) == stored
