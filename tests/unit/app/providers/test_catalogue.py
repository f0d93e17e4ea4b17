"""The candidates of a tenant: whose credential, at which rate, with what known of the model."""

from collections.abc import Iterable
from uuid import UUID, uuid4

import pytest
from msgspec import structs

from app.providers import VENDORS, candidates_for, priors_of
from app.providers.capabilities import capabilities_of, is_chat_model
from app.providers.dialects.bounds import CLAUDE_IMAGE_TOKENS_MAX
from app.routing import Candidate, Capability, Measured, QualityEvidence, QualitySource, measured_beliefs
from app.sandbox import SANDBOX_MODELS, sandbox_prices
from billing import Plan, Price, PriceBook
from tenants import PLATFORM_TENANT_ID, CredentialFacts

TENANT_ID = UUID(int=7)
VERSION = UUID(int=1)


def credential(provider_name: str, *, tenant_id: UUID = PLATFORM_TENANT_ID) -> CredentialFacts:
    return CredentialFacts(
        tenant_id=tenant_id, credential_id=uuid4(), provider_name=provider_name, name=provider_name, base_url=None
    )


def price(provider_name: str, model: str) -> Price:
    return Price(
        price_version_id=VERSION,
        provider_name=provider_name,
        model=model,
        input_nano_usd_per_million=1_000,
        output_nano_usd_per_million=2_000,
    )


def plan(*, markup_ppm: int = 200_000, own_credential_fee_ppm: int = 50_000) -> Plan:
    return Plan(
        plan_id="test",
        name="Test",
        monthly_price_nano_usd=0,
        requests_per_minute=60,
        request_burst=10,
        allowed_models=("*",),
        features=(),
        markup_ppm=markup_ppm,
        own_credential_fee_ppm=own_credential_fee_ppm,
    )


PRICES = PriceBook(
    [price("openai", "gpt-4o"), price("openai", "whisper-1"), price("groq", "odd-model"), *sandbox_prices(VERSION)]
)


def build(*, own: Iterable[CredentialFacts] = (), shared: Iterable[CredentialFacts] = ()) -> dict[str, object]:
    return {one.name: one for one in candidates_for(own=own, shared=shared, prices=PRICES, plan=plan())}


def test_a_tenants_own_credential_wins_over_the_platforms() -> None:
    mine, theirs = credential("openai", tenant_id=TENANT_ID), credential("openai")
    found = build(own=[mine], shared=[theirs, credential("groq")])
    assert (found["openai/gpt-4o"].credential_id, found["openai/gpt-4o"].credential_owner) == (
        mine.credential_id,
        "tenant",
    )
    assert found["openai/gpt-4o"].rate_ppm == 50_000
    assert (found["groq/odd-model"].credential_owner, found["groq/odd-model"].rate_ppm) == ("platform", 1_200_000)


def test_without_a_credential_there_is_no_candidate() -> None:
    assert build() == {}
    assert set(build(shared=[credential("openai")])) == {"openai/gpt-4o"}


def test_the_first_of_several_credentials_is_taken() -> None:
    first, second = credential("groq", tenant_id=TENANT_ID), credential("groq", tenant_id=TENANT_ID)
    assert build(own=[first, second])["groq/odd-model"].credential_id == first.credential_id


def test_a_provider_without_a_row_is_passed_over() -> None:
    assert build(own=[credential("retired-vendor", tenant_id=TENANT_ID)]) == {}


def test_models_that_do_not_chat_are_no_candidates() -> None:
    assert "openai/whisper-1" not in build(shared=[credential("openai")])


def test_an_unknown_models_capabilities_are_unknown_and_not_none() -> None:
    assert build(shared=[credential("groq")])["groq/odd-model"].capabilities is None
    assert build(shared=[credential("openai")])["openai/gpt-4o"].capabilities == frozenset(Capability)


def test_the_dialect_says_what_an_image_counts_at_most() -> None:
    prices = PriceBook([price("openai", "gpt-4o"), price("anthropic", "claude-haiku-4-5")])
    shared = [credential("openai"), credential("anthropic")]
    found = {one.name: one for one in candidates_for(own=[], shared=shared, prices=prices, plan=plan())}
    assert found["openai/gpt-4o"].image_tokens_max is None
    assert found["anthropic/claude-haiku-4-5"].image_tokens_max == CLAUDE_IMAGE_TOKENS_MAX


def test_simulated_models_say_so_and_tell_their_skill() -> None:
    found = build(shared=[credential("sandbox")])
    assert set(found) == {f"sandbox/{name}" for name in SANDBOX_MODELS}
    assert all(one.is_simulated for one in found.values())
    assert (
        found["sandbox/coder-pro"].quality["code_generation"] > found["sandbox/swift-mini"].quality["code_generation"]
    )
    assert found["sandbox/deep-large"].price.output_nano_usd_per_million == 15 * 10**9


@pytest.mark.parametrize("name", [row.name for row in VENDORS.values() if row.is_simulated])
def test_a_tenants_own_sandbox_is_no_candidate(name: str) -> None:
    prices = PriceBook([*PRICES.of_provider("sandbox"), price(name, "swift-mini")])
    own = [credential(name, tenant_id=TENANT_ID)]
    assert candidates_for(own=own, shared=[], prices=prices, plan=plan()) == ()
    assert candidates_for(own=[], shared=own, prices=prices, plan=plan()) != ()


def test_candidates_come_in_the_order_of_their_names() -> None:
    found = list(build(shared=[credential(name) for name in reversed(list(VENDORS))]))
    assert found == sorted(found)


@pytest.mark.parametrize(
    "model",
    [
        "text-embedding-3-small", "whisper-1", "tts-1-hd", "gpt-4o-transcribe", "gpt-image-1", "gpt-realtime",
        "moderation", "babbage-002", "gpt-3.5-turbo-instruct", "meta-llama/llama-guard-4-12b", "mistral-ocr-latest",
        "codestral-embed-2505",
        "openai/gpt-5:batch", "ft:gpt-4o", "gpt-4o-audio-preview", "sonar-deep-research",
    ],
)  # fmt: skip
def test_prices_that_are_not_for_chat_are_known(model: str) -> None:
    assert not is_chat_model(model)


@pytest.mark.parametrize(
    ("model", "capabilities"),
    [
        ("gpt-4o-mini", set(Capability)),
        ("openai/gpt-4o-mini", set(Capability)),
        ("o1-mini", set()),
        ("o3-mini", {Capability.TOOLS, Capability.JSON_SCHEMA}),
        ("anthropic/claude-3.5-sonnet", {Capability.TOOLS, Capability.IMAGES}),
        ("llama-3.3-70b-versatile", {Capability.TOOLS}),
        ("deepseek-chat", {Capability.TOOLS}),
        ("grok-3-mini", {Capability.TOOLS, Capability.JSON_SCHEMA}),
        ("pixtral-12b", set(Capability)),
        ("claude-2", set()),
        ("claude-3-haiku", {Capability.TOOLS, Capability.IMAGES}),
        ("claude-4-sonnet", {Capability.TOOLS, Capability.IMAGES}),
        ("claude-opus-4-1", {Capability.TOOLS, Capability.IMAGES}),
        ("claude-sonnet-4-20250514", {Capability.TOOLS, Capability.IMAGES}),
        ("claude-haiku-4-5-20251001", set(Capability)),
        ("anthropic/claude-sonnet-4.5", set(Capability)),
        ("claude-opus-5-5", set(Capability)),
        ("claude-mythos-5-2", set(Capability)),
    ],
)
def test_known_families_have_their_capabilities(model: str, capabilities: set[Capability]) -> None:
    assert is_chat_model(model)
    assert capabilities_of(model) == capabilities


def test_expected_quality_comes_from_public_outcomes_or_else_from_the_price() -> None:
    found = build(shared=[credential("openai"), credential("groq")])
    assert found["openai/gpt-4o"].quality == {
        task: belief.value for task, belief in (measured_beliefs("gpt-4o") or {}).items()
    }
    assert found["groq/odd-model"].quality[""] < found["openai/gpt-4o"].quality[""]


def test_what_a_tenant_measured_moves_its_own_candidates_only() -> None:
    shared = [credential("openai"), credential("groq")]
    evidence = QualityEvidence(task="triage", source=QualitySource.EVALUATION, prompts=200, reached=190)

    def build_with(measured: Measured) -> dict[str, Candidate]:
        built = candidates_for(own=[], shared=shared, prices=PRICES, plan=plan(), measured=measured)
        return {one.name: one for one in built}

    theirs, ours = build_with({}), build_with({"groq/odd-model": (evidence,)})
    assert ours["groq/odd-model"].quality["triage"] > 0.9
    assert ours["openai/gpt-4o"].quality["triage"] > theirs["openai/gpt-4o"].quality[""], "these prompts are easy"
    assert "triage" not in theirs["groq/odd-model"].quality
    assert theirs["openai/gpt-4o"].quality is build_with({})["openai/gpt-4o"].quality, "one object for all tenants"


def test_a_model_declared_free_is_not_judged_by_its_price() -> None:
    free = Price(
        price_version_id=VERSION, provider_name="groq", model="free-model", is_declared_free=True,
        input_nano_usd_per_million=0, output_nano_usd_per_million=0,
    )  # fmt: skip
    built = candidates_for(own=[], shared=[credential("groq")], prices=PriceBook([free]), plan=plan())
    assert built[0].quality == {}


def test_of_a_model_that_no_vendor_lists_nothing_is_believed() -> None:
    (known,) = (one for one in build(shared=[credential("openai")]).values())
    own = structs.replace(known, provider_name="of-our-own")
    priors = priors_of([known, own])
    assert priors["openai/gpt-4o"].source is QualitySource.PUBLIC
    assert priors["of-our-own/gpt-4o"].source is QualitySource.NONE
