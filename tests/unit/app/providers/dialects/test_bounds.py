"""A candidate's bound holds for whatever its provider could count, in whichever dialect the request came."""

import json
from collections.abc import Callable
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.providers import candidates_for, decode_chat, decode_messages, read_facts
from app.routing import Candidate, NoCandidateLeft, RequestFacts, classify
from billing import Price, PriceBook
from tests.unit.app.providers.test_catalogue import credential, plan
from tests.unit.app.routing.builders import excluded_names, route

HEADROOM_NANO_USD = 10**14
CONTEXT_TOKENS = 200_000
OUTPUT_TOKENS = 100
FactsOf = Callable[[list[str], list[str], int], RequestFacts]

PAYLOAD = "A" * 4_000

# The most tokens of one image: by OpenAI's vision guide (a base and 8 tiles), and by Anthropic's, which knows no
# detail; so does Claude behind a vendor that speaks OpenAI's dialect.
MOST_OF_AN_IMAGE = {
    "openai/gpt-4o": {"low": 85, "high": 85 + 8 * 170},
    "openai/gpt-4o-mini": {"low": 2_833, "high": 2_833 + 8 * 5_667},
    "openrouter/anthropic/claude-sonnet-4.5": {"low": 4_784, "high": 4_784},
    "anthropic/claude-haiku-4-5": {"low": 4_784, "high": 4_784},
}


def price(name: str, context_tokens: int | None) -> Price:
    provider_name, _, model = name.partition("/")
    return Price(
        price_version_id=UUID(int=1),
        provider_name=provider_name,
        model=model,
        input_nano_usd_per_million=10**9,
        output_nano_usd_per_million=10**9,
        context_tokens=context_tokens,
    )


def candidates(context_tokens: int | None = CONTEXT_TOKENS) -> tuple[Candidate, ...]:
    shared = [credential(name) for name in ("openai", "openrouter", "anthropic")]
    prices = PriceBook([price(name, context_tokens) for name in MOST_OF_AN_IMAGE])
    return candidates_for(own=[], shared=shared, prices=prices, plan=plan())


def openai_facts(texts: list[str], details: list[str], documents: int) -> RequestFacts:
    url = f"data:image/png;base64,{PAYLOAD}"
    parts: list[object] = [{"type": "text", "text": text} for text in texts]
    parts += [{"type": "image_url", "image_url": {"url": url, "detail": detail}} for detail in details]
    parts += [{"type": "file", "file": {"file_data": f"data:application/pdf;base64,{PAYLOAD}"}}] * documents
    fields = {"model": "auto", "max_tokens": OUTPUT_TOKENS, "messages": [{"role": "user", "content": parts}]}
    return read_facts(decode_chat(json.dumps(fields, ensure_ascii=False).encode()))


def anthropic_facts(texts: list[str], details: list[str], documents: int) -> RequestFacts:
    source = {"type": "base64", "data": PAYLOAD}
    image = {"type": "image", "source": source | {"media_type": "image/png"}}
    blocks: list[object] = [{"type": "text", "text": text} for text in texts] + [image] * len(details)
    blocks += [{"type": "document", "source": source | {"media_type": "application/pdf"}}] * documents
    fields = {"model": "auto", "max_tokens": OUTPUT_TOKENS, "messages": [{"role": "user", "content": blocks}]}
    return read_facts(decode_messages(json.dumps(fields, ensure_ascii=False).encode()))


@pytest.mark.parametrize(("facts_of", "says_detail"), [(openai_facts, True), (anthropic_facts, False)])
@given(
    texts=st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=3),
    details=st.lists(st.sampled_from(["low", "high"]), max_size=5),
    documents=st.integers(0, 2),
)
def test_no_provider_can_count_more_than_its_candidate_is_bounded_by(
    facts_of: FactsOf, says_detail: bool, texts: list[str], details: list[str], documents: int
) -> None:
    facts = facts_of(texts, details, documents)
    decision = route(classify(facts), candidates=list(candidates()), headroom=HEADROOM_NANO_USD)
    assert len(decision.ranked) == len(MOST_OF_AN_IMAGE)
    text_tokens = sum(len(text.encode()) for text in texts)
    for ranked in decision.ranked:
        most = MOST_OF_AN_IMAGE[ranked.candidate.name]
        seen = text_tokens + sum(most[detail if says_detail else "high"] for detail in details)
        counted = max(seen, CONTEXT_TOKENS) if documents else seen
        assert ranked.bound_nano_usd >= ranked.candidate.bound_nano_usd(
            input_tokens=counted, output_tokens=OUTPUT_TOKENS
        )


@pytest.mark.parametrize("facts_of", [openai_facts, anthropic_facts])
def test_an_image_for_claude_is_not_bounded_by_another_providers_dearest(facts_of: FactsOf) -> None:
    decision = route(classify(facts_of(["x"], ["high"], 0)), candidates=list(candidates()), headroom=HEADROOM_NANO_USD)
    bounds = {ranked.candidate.name: ranked.bound_nano_usd for ranked in decision.ranked}
    assert bounds["anthropic/claude-haiku-4-5"] * 8 < bounds["openai/gpt-4o-mini"]


@pytest.mark.parametrize("facts_of", [openai_facts, anthropic_facts])
def test_a_document_passes_under_a_budget_where_the_context_is_known(facts_of: FactsOf) -> None:
    known, unknown = candidates(), candidates(None)
    mixed = [*known[:2], *unknown[2:]]
    decision = route(classify(facts_of(["x"], [], 1)), candidates=mixed, headroom=HEADROOM_NANO_USD)
    assert {ranked.candidate.name for ranked in decision.ranked} == {one.name for one in known[:2]}
    assert set(excluded_names(decision).values()) == {"unbounded"}


def test_a_prediction_is_refused_under_a_budget_though_every_context_is_known() -> None:
    fields = {"model": "auto", "messages": [{"role": "user", "content": "x"}], "prediction": {"type": "content"}}
    signals = classify(read_facts(decode_chat(json.dumps(fields).encode())))
    with pytest.raises(NoCandidateLeft) as caught:
        route(signals, candidates=list(candidates()), headroom=HEADROOM_NANO_USD)
    fallen = excluded_names(caught.value.decision)
    assert fallen.pop("anthropic/claude-haiku-4-5") == "not_capable"
    assert set(fallen.values()) == {"unbounded"}
    assert route(signals, candidates=list(candidates())).ranked
