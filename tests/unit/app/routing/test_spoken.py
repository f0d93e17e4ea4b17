"""Rules out of plain words: what is understood, what is told back, and that nothing wider than was said comes of it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.routing import check_policy, compile_policy, load_default_policy, write_policy
from app.routing.glob import compile_glob
from app.routing.spoken import TEXT_CHARACTERS_MAX, read_clauses
from app.routing.spoken_models import find_mention, words_of

KNOWN = (
    "mistral/open-mistral-7b", "mistral/mistral-large-2411", "anthropic/claude-sonnet-4-5", "anthropic/claude-sonnet-4",
    "anthropic/claude-opus-4-5", "openai/gpt-4o", "openai/gpt-4o-mini", "openai/gpt-5", "openai/gpt-5-mini",
    "sandbox/swift-mini", "sandbox/deep-large", "google/gemini-2.5-flash",
)  # fmt: skip
SONNETS = ("anthropic/claude-sonnet-4*",)


def understood(text: str, *own_tasks: str) -> list[tuple[Any, tuple[str, ...], str]]:
    rules, problems = read_clauses(text, KNOWN, own_tasks)
    assert not problems
    return [(rule.when, rule.candidates, rule.strategy) for rule in rules]


def test_the_sentence_of_the_brochure() -> None:
    said = "Route all customer support to Mistral 7B and financial questions to Claude Sonnet."
    assert understood(said) == [
        ({"task": "customer_support"}, ("mistral/open-mistral-7b",), "ordered"),
        ({"domain": "finance"}, SONNETS, "ordered"),
    ]


@pytest.mark.parametrize(
    ("said", "when", "candidates", "strategy"),
    [
        ("use GPT-5 for debugging", {"task": "code_debugging"}, ("openai/gpt-5",), "ordered"),
        ("GERMAN SUMMARIES TO GPT-4O MINI", {"language": "de", "task": "summarization"},
         ("openai/gpt-4o-mini",), "ordered"),
        ("legal and medical questions to claude opus", {"domain": {"in": ["legal", "medical"]}},
         ("anthropic/claude-opus-4-5",), "ordered"),
        ("poems go to sandbox/deep-large, then gpt 5", {"task": "creative_writing"},
         ("sandbox/deep-large", "openai/gpt-5"), "ordered"),
        ("small talk to the cheapest model", {"task": "small_talk"}, ("*",), "cheapest"),
        ("requests tagged vip to gemini 2.5 flash", {"tags": "vip"}, ("google/gemini-2.5-flash",), "ordered"),
        ("long translations to claude opus", {"input_tokens": {">": 8000}, "task": "translation"},
         ("anthropic/claude-opus-4-5",), "ordered"),
        ("requests with images should go to the best openai model", {"has_images": True}, ("openai/gpt-*",), "best"),
        ("refunds to swift-mini", {"task": "refund"}, ("sandbox/swift-mini",), "ordered"),
        ("everything else to swift mini", {}, ("sandbox/swift-mini",), "ordered"),
    ],
)  # fmt: skip
def test_clause(said: str, when: Any, candidates: tuple[str, ...], strategy: str) -> None:
    assert understood(said, "refund") == [(when, candidates, strategy)]


@pytest.mark.parametrize(
    ("said", "part"),
    [
        ("urgent customer support to claude opus", "'urgent' is no task"),
        ("poems to Bard", "no model is named that exists here"),
        ("hello there", "no model is named"),
        ("questions to gpt 5", "not said which requests"),
        ("never send medical questions to gpt 5", "say which models may"),
        ("x" * (TEXT_CHARACTERS_MAX + 1), "was not read"),
    ],
)
def test_what_is_not_understood_makes_no_rule(said: str, part: str) -> None:
    rules, problems = read_clauses(said, KNOWN)
    assert not rules
    assert any(part in problem for problem in problems)


@pytest.mark.parametrize("said", ["only use claude opus for legal advice", "keep legal advice on claude opus"])
def test_what_holds_to_models_becomes_a_guard(said: str) -> None:
    draft = write_policy(said, load_default_policy(), KNOWN)
    document = json.loads(bytes(draft.document))
    assert document["guards"] == [
        {"name": said, "when": {"sensitivity": "legal_advice"}, "candidates": ["anthropic/claude-opus-4-5"]}
    ]


def test_draft_is_a_policy_with_the_new_rules_first_and_tells_what_changes() -> None:
    draft = write_policy("translations to gpt 5. Everything else to swift-mini", load_default_policy(), KNOWN)
    policy = compile_policy(bytes(draft.document))
    assert policy.rules[0].name == "translations to gpt 5"
    assert policy.default.patterns[0].text == "sandbox/swift-mini"
    assert "+- name: translations to gpt 5" in draft.diff
    assert len(policy.rules) == len(compile_policy(load_default_policy()).rules) + 1


def test_rules_that_a_new_one_leaves_nothing_to_are_taken_out() -> None:
    then = {"candidates": ["*"], "strategy": "best"}
    before = {
        "rules": [{"name": "old", "when": {"task": "translation", "language": "de"}, "then": then}],
        "default": then,
    }
    for said in ("translations to gpt 5", "translations to gpt 4o"):
        draft = write_policy(said, json.dumps(before).encode(), KNOWN)
        before = json.loads(bytes(draft.document))
        assert [rule["name"] for rule in before["rules"]] == [said]
    assert "-- name: translations to gpt 5" in draft.diff


def test_saying_it_again_changes_nothing() -> None:
    once = write_policy("poems to gpt 5", load_default_policy(), KNOWN)
    again = write_policy("poems to gpt 5", bytes(once.document), KNOWN)
    assert again.diff == ""


SAID = (
    "route", "send", "use", "only", "keep", "never", "all", "everything", "else", "customer support", "legal", "german",
    "poems", "urgent", "to", "to", "for", "and", "or", "then", "tagged", "vip", ",", ".", ";", "-", "/", "ü", "gpt 5",
    "gpt", "4o mini", "claude sonnet", "opus", "the", "cheapest", "best", "model", "mistral 7b", "swift",
)  # fmt: skip
WORDS = st.lists(st.sampled_from(SAID), max_size=25)


@given(words=WORDS)
def test_whatever_is_said_the_draft_holds(words: list[str]) -> None:
    draft = write_policy(" ".join(words), load_default_policy(), [*KNOWN, "sandbox/coder-pro", "sandbox/steady-base"])
    assert check_policy(bytes(draft.document), [*KNOWN, "sandbox/coder-pro", "sandbox/steady-base"]) == ()


@given(text=st.text(max_size=60))
def test_any_text_is_read(text: str) -> None:
    read_clauses(text, KNOWN)


@given(words=WORDS)
def test_what_is_named_exists(words: list[str]) -> None:
    mention = find_mention(words_of(" ".join(words)), 0, KNOWN)
    for name in mention.candidates if mention else ():
        assert any(compile_glob(name)(known) for known in KNOWN)
