"""The console's desk for policies, over the same views, checks and decisions as a request meets.

Built by `app/main.py`. Invariant: nothing is sent, reserved, recorded or published; what may take long runs in a
thread, so that requests go on.
"""

import asyncio
from typing import Final
from uuid import UUID

import msgspec

from app.gateway.tenant_view import TenantView, TenantViews
from app.providers import decode_chat, read_facts
from app.routing import (
    AUTO,
    NoCandidateLeft,
    PolicyInvalid,
    RequestFacts,
    RouteTable,
    RoutingError,
    SpokenRule,
    check_policy,
    classify,
    compile_policy,
    decide,
    decision_json,
    json_of_yaml,
    load_default_policy,
    write_policy,
    yaml_of,
)
from billing import list_budgets
from dashboard import Drafted, PolicyText, Trial, TrialRequest
from tenants import Database

TEXT_CHARACTERS_MAX: Final = 262_144
PROMPT_CHARACTERS_MAX: Final = 20_000


class RoutingDesk:
    """Policies of any tenant, as its requests would meet them."""

    def __init__(self, database: Database, views: TenantViews) -> None:
        self._database = database
        self._views = views

    def first_document(self) -> bytes:
        """The document to begin with: the platform's own."""
        return load_default_policy()

    async def read(self, text: str) -> PolicyText:
        """A policy in JSON, byte for byte, or in YAML."""
        if not text.strip():
            return PolicyText(problem="the policy is empty; draft one from plain words, or write its rules")
        if len(text) > TEXT_CHARACTERS_MAX:
            return PolicyText(
                problem=f"the policy has {len(text):,} characters and may have {TEXT_CHARACTERS_MAX:,}; split it"
            )
        return await asyncio.to_thread(_read, text)

    async def problems(self, tenant_id: UUID, document: bytes) -> tuple[str, ...]:
        """Every problem of a document, with its path, models that the tenant does not reach included."""
        view = await self._views.of(tenant_id)
        return await asyncio.to_thread(check_policy, document, _model_names(view))

    async def draft(self, tenant_id: UUID, words: str, document: bytes) -> Drafted:
        """Work plain words into a document that holds."""
        view = await self._views.of(tenant_id)
        draft = await asyncio.to_thread(write_policy, words, document, _model_names(view))
        return Drafted(
            document=bytes(draft.document),
            understood=tuple(map(_told_back, draft.understood)),
            not_understood=draft.not_understood,
        )

    async def decide(self, tenant_id: UUID, name: str, document: bytes, request: TrialRequest) -> Trial:
        """Where a request would go by a document that holds, within what the tenant's own budgets leave."""
        if not 0 < len(request.prompt.strip()) <= PROMPT_CHARACTERS_MAX:
            return Trial(problem=f"Write a prompt of 1 to {PROMPT_CHARACTERS_MAX:,} characters to try.")
        view = await self._views.of(tenant_id)
        headroom, unspent = await self._room(tenant_id)
        try:
            return Trial(decision=await asyncio.to_thread(_decide, view, name, document, request, headroom, unspent))
        except RoutingError as error:
            return Trial(problem=str(error))

    async def _room(self, tenant_id: UUID) -> tuple[int | None, int | None]:
        """Headroom and unspent nano-USD of the tenant's tightest budget; no project and no key is asking."""
        async with self._database.tenant(tenant_id) as session:
            budgets = [
                each
                for each in await list_budgets(session, tenant_id)
                if (each.scope, each.mode, each.model, each.is_per_end_user) == ("tenant", "hard", None, False)
            ]
        unspent = [each.limit_nano_usd - each.spent_nano_usd for each in budgets]
        headroom = [left - each.reserved_nano_usd for left, each in zip(unspent, budgets, strict=True)]
        return min(headroom, default=None), min(unspent, default=None)


def _read(text: str) -> PolicyText:
    try:
        document = text.encode()
        if not text.lstrip().startswith("{"):
            document = json_of_yaml(document)
        return PolicyText(document=document, yaml=yaml_of(document))
    except PolicyInvalid as error:
        return PolicyText(problem=error.problems[0])
    except (ValueError, RecursionError) as error:
        return PolicyText(problem=f"not a policy in JSON: {error}")


def _decide(
    view: TenantView, name: str, document: bytes, request: TrialRequest, headroom: int | None, unspent: int | None
) -> bytes:
    policy = compile_policy(document, name=name)
    facts = _facts(request)
    try:
        decision = decide(
            classify(facts, keywords=policy.keywords, examples=view.examples),
            RouteTable(policy, view.candidates, plan_allows=view.plan.allows, plan_id=view.plan.plan_id),
            headroom_nano_usd=headroom,
            unspent_nano_usd=unspent,
        )
    except NoCandidateLeft as error:
        decision = error.decision
    return decision_json(decision)


def _facts(request: TrialRequest) -> RequestFacts:
    body = {"model": request.model or AUTO, "messages": [{"role": "user", "content": request.prompt}]}
    # Through the dialect, so that tokens are counted as they are for a request.
    metadata = {"task": request.task} if request.task else None
    return read_facts(decode_chat(msgspec.json.encode(body)), tags=request.tags, metadata=metadata)


def _told_back(rule: SpokenRule) -> str:
    kind = "everything else" if rule.is_default else "nothing but these" if rule.is_guard else "a rule"
    return f"“{rule.said}” → {', '.join(rule.candidates)} ({rule.strategy.value}; {kind})"


def _model_names(view: TenantView) -> frozenset[str]:
    return frozenset(candidate.name for candidate in view.candidates)
