"""What the request path knows of a tenant: plan, candidates and routes by its policies, in memory.

Built on demand from the snapshots of `tenants` and `billing`, dropped when either announces a change.
Invariant: a view is never edited, so a request that holds one sees one consistent state.
"""

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from app.providers import candidates_for
from app.routing import (
    ANSWERS_PROVIDER,
    NO_CREDENTIAL,
    Candidate,
    Examples,
    Measured,
    Policy,
    PolicyNotFound,
    QualityEvidence,
    QualitySource,
    RouteTable,
    compile_policy,
    load_examples,
)
from billing import BillingSnapshot, Plan, TenantLimits
from tenants import EVERYONE, PLATFORM_TENANT_ID, CredentialFacts, MeasuredQuality, Snapshot

DEFAULT_POLICY: Final = "default"
VIEWS_MAX: Final = 10_000
# What answers by rule is behind no credential, and has one that opens nothing.
NO_POOL: Final = {
    NO_CREDENTIAL: (
        CredentialFacts(
            tenant_id=PLATFORM_TENANT_ID,
            credential_id=NO_CREDENTIAL,
            provider_name=ANSWERS_PROVIDER,
            name=ANSWERS_PROVIDER,
            base_url=None,
        ),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantView:
    """One tenant as the request path sees it."""

    plan: Plan
    candidates: tuple[Candidate, ...]
    pools: Mapping[UUID, tuple[CredentialFacts, ...]]  # by a candidate's credential: all that may stand in for it
    tables: Mapping[str, RouteTable]  # by the name of their policy
    measured: Measured  # what moves the candidates' expected quality
    limits: TenantLimits
    examples: Examples | None  # by which requests are told, where the tenant has some

    @property
    def policies(self) -> Collection[str]:
        """The names of the policies."""
        return self.tables.keys()

    def table(self, policy_name: str | None) -> RouteTable:
        """The routes by a policy, `default` when none is named. Raises PolicyNotFound."""
        wanted = policy_name or DEFAULT_POLICY
        table = self.tables.get(wanted)
        if table is None:
            known = ", ".join(sorted(self.tables)) or "none"
            raise PolicyNotFound(f"No policy is called '{wanted}' here; there are: {known}.")
        return table

    def policy(self, name: str | None) -> Policy:
        """The policy by name, `default` when none is named. Raises PolicyNotFound."""
        return self.table(name).policy


class TenantViews:
    """A bounded cache of views."""

    def __init__(self, snapshot: Snapshot, billing: BillingSnapshot) -> None:
        self._snapshot = snapshot
        self._billing = billing
        self._views: OrderedDict[UUID, TenantView] = OrderedDict()
        self._generation = 0
        snapshot.subscribe(self._drop)

    async def of(self, tenant_id: UUID) -> TenantView:
        """The tenant's view, from memory or built now."""
        view = self._views.get(tenant_id)
        if view is not None:
            return view
        generation = self._generation
        view = await self._build(tenant_id)
        # A change announced while the view was being built may be missing from it: use it once, keep it not.
        if generation == self._generation:
            self._views[tenant_id] = view
            if len(self._views) > VIEWS_MAX:
                self._views.popitem(last=False)
        return view

    async def _build(self, tenant_id: UUID) -> TenantView:
        plan = await self._billing.plan(tenant_id)
        own = await self._snapshot.credentials(tenant_id)
        shared = await self._snapshot.credentials(PLATFORM_TENANT_ID)
        policies: dict[str, Policy] = {}
        for owner in (PLATFORM_TENANT_ID, tenant_id):
            for name in await self._snapshot.policy_names(owner):
                stored = await self._snapshot.policy(owner, name)
                if stored is not None:
                    policies[name] = compile_policy(stored.document, name=name, version=stored.version)
        prices = await self._billing.price_book()
        measured = _measured(await self._snapshot.measured_quality(tenant_id))
        candidates = candidates_for(own=own, shared=shared, prices=prices, plan=plan, measured=measured)
        return TenantView(
            plan=plan,
            limits=await self._billing.limits(tenant_id),
            examples=None if (built := await self._snapshot.example_index(tenant_id)) is None else load_examples(built),
            candidates=candidates,
            pools=_pools(own) | _pools(shared) | NO_POOL,
            measured=measured,
            tables={
                name: RouteTable(policy, candidates, plan_allows=plan.allows, plan_id=plan.plan_id)
                for name, policy in policies.items()
            },
        )

    def _drop(self, tenant_id: UUID) -> None:
        self._generation += 1
        if tenant_id in (EVERYONE, PLATFORM_TENANT_ID):
            self._views.clear()
        else:
            self._views.pop(tenant_id, None)


def _pools(credentials: Sequence[CredentialFacts]) -> dict[UUID, tuple[CredentialFacts, ...]]:
    """Credentials of one owner and provider, by the first of them: what a candidate names stands for all."""
    by_provider: dict[str, list[CredentialFacts]] = {}
    for credential in credentials:
        by_provider.setdefault(credential.provider_name, []).append(credential)
    return {pool[0].credential_id: tuple(pool) for pool in by_provider.values()}


def _measured(rows: Sequence[MeasuredQuality]) -> Measured:
    """Evidence by the name of the candidate that it is about."""
    by_model: dict[str, list[QualityEvidence]] = {}
    for row in rows:
        evidence = QualityEvidence(
            task=row.task, source=QualitySource(row.source), prompts=row.prompts, reached=row.reached
        )
        by_model.setdefault(row.model, []).append(evidence)
    return {model: tuple(evidence) for model, evidence in by_model.items()}
