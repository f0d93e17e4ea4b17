"""Builders of routing's values, with defaults that say "nothing special"."""

import json
from typing import Any
from uuid import UUID

from app.routing import (
    Candidate,
    Capability,
    Evidence,
    Policy,
    RequestFacts,
    RouteDecision,
    RouteTable,
    Signals,
    decide,
)
from app.routing import compile_policy as compile_bytes
from billing import CredentialOwner, Price, PriceTier

NANO_USD_PER_USD = 1_000_000_000
SOME_REQUEST = UUID(int=7)


def make_candidate(
    name: str = "sandbox/steady-base",
    *,
    usd_per_million: float = 1,
    owner: CredentialOwner = "platform",
    credential: int = 1,
    rate_ppm: int = 1_000_000,
    context_tokens: int | None = None,
    output_tokens_max: int | None = None,
    capabilities: frozenset[Capability] | None = None,
    quality: dict[str, float] | None = None,
    is_priced: bool = True,
    image_tokens_max: int | None = None,
    long_above_tokens: int | None = None,
) -> Candidate:
    """A model whose output costs four times its input, and both twice as much for long input."""
    provider_name, _, model = name.partition("/")
    nano_usd = round(usd_per_million * NANO_USD_PER_USD)
    tiers = (
        PriceTier(
            above_input_tokens=long_above_tokens or 0,
            input_nano_usd_per_million=2 * nano_usd,
            output_nano_usd_per_million=8 * nano_usd,
        ),
    )
    price = Price(
        price_version_id=UUID(int=0),
        provider_name=provider_name,
        model=model,
        input_nano_usd_per_million=nano_usd,
        output_nano_usd_per_million=4 * nano_usd,
        context_tokens=context_tokens,
        output_tokens_max=output_tokens_max,
        tiers=tiers if long_above_tokens is not None else (),
    )
    return Candidate(
        provider_name=provider_name,
        model=model,
        credential_id=UUID(int=credential),
        credential_owner=owner,
        price=price if is_priced else None,
        rate_ppm=rate_ppm,
        capabilities=capabilities,
        quality=quality or {},
        image_tokens_max=image_tokens_max,
    )


def make_facts(instruction: str = "Say something.", **fields: Any) -> RequestFacts:
    given = {"request_model": "auto", "input_tokens_bound": 1_000, "input_tokens_estimate": 250, **fields}
    return RequestFacts(instruction=instruction, **given)


def make_signals(task: str = "open_qa", domain: str = "general", *, confidence: float = 0.8, **facts: Any) -> Signals:
    return Signals(
        task=Evidence(value=task, confidence=confidence, decided_by="keyword", because="the word 'x'"),
        domain=Evidence(value=domain, confidence=confidence, decided_by="default", because="nothing tells"),
        facts=make_facts(**facts),
    )


def make_document(
    candidates: list[str] | None = None, *, strategy: str = "ordered", rules: list[Any] | None = None, **fields: Any
) -> dict[str, Any]:
    choice = {"candidates": candidates or ["*"], "strategy": strategy}
    return {"rules": rules or [], "default": choice, **fields}


def compile_document(document: dict[str, Any]) -> Policy:
    return compile_bytes(json.dumps(document).encode(), name="default", version=3)


def make_policy(candidates: list[str] | None = None, **fields: Any) -> Policy:
    return compile_document(make_document(candidates, **fields))


def route(
    signals: Signals | None = None,
    policy: Policy | None = None,
    *,
    candidates: list[Candidate] | None = None,
    allowed: set[str] | None = None,
    headroom: int | None = None,
    unspent: int | None = None,
    request_id: UUID = SOME_REQUEST,
    latencies_ms: dict[str, int] | None = None,
) -> RouteDecision:
    """Decide; `allowed` of None is a plan that includes every model. Latencies are by name."""
    measured = latencies_ms or {}
    return decide(
        signals or make_signals(),
        RouteTable(
            policy or make_policy(),
            (make_candidate(),) if candidates is None else tuple(candidates),
            plan_allows=lambda name: allowed is None or name in allowed,
            plan_id="pro",
        ),
        headroom_nano_usd=headroom,
        unspent_nano_usd=unspent,
        request_id=request_id,
        latency_ms_of=lambda candidate, _is_streamed: measured.get(candidate.name),
    )


def ranked_names(decision: RouteDecision) -> list[str]:
    return [ranked.candidate.name for ranked in decision.ranked]


def excluded_names(decision: RouteDecision) -> dict[str, str]:
    return {verdict.name: str(verdict.excluded) for verdict in decision.verdicts if verdict.excluded}
