"""The straight line of a request. Read `answer` top-down; no other file decides the order.

    1 authenticate   2 admit   3 classify   4 route   5 attempt   6 settle   7 respond

Admit once, reserve per attempt, settle once. Invariant: from the moment a caller is known, whatever
ends its request, exactly one record of it is settled.
"""

import asyncio
from functools import partial
from types import TracebackType
from typing import Final
from uuid import UUID

import msgspec
from uuid_utils.compat import uuid7

from app.errors import row_of
from app.gateway.attempts import Attempts, Opened
from app.gateway.call import Call, Refused, Reply
from app.gateway.errors import KeyMissing
from app.gateway.exchange import Exchange
from app.gateway.repeats import Repeats
from app.gateway.reply import count_reply, decision_headers, stream_reply, whole_reply
from app.gateway.settlement import Settlement
from app.gateway.tenant_view import TenantView, TenantViews
from app.routing import Exclusion, NoCandidateLeft, OverBudget, RouteDecision, classify, decide, names_model
from billing import (
    Admission,
    AdmissionRequest,
    BudgetContended,
    BudgetUsedUp,
    Meter,
    Outcome,
    RateLimited,
    Reservation,
    Traffic,
)
from tenants import Principal, Scope, ScopeMissing, Snapshot

READ_IN_THREAD_BYTES: Final = 262_144  # of a body, from which on classifying it takes tens of milliseconds


class Pipeline:
    """Answers calls; one for each process. Its parts are passed in by `app/main.py`."""

    def __init__(
        self,
        *,
        snapshot: Snapshot,
        views: TenantViews,
        meter: Meter,
        traffic: Traffic,
        attempts: Attempts,
        settlement: Settlement,
        repeats: Repeats,
    ) -> None:
        self._snapshot = snapshot
        self._views = views
        self._meter = meter
        self._traffic = traffic
        self._attempts = attempts
        self._settlement = settlement
        self._repeats = repeats

    async def answer(self, call: Call) -> Reply:
        """The reply to one call.

        Raises KeyMissing, KeyRejected, TenantSuspended or ScopeMissing before the caller is known, Refused
        around any other error after; `app/errors.py` maps them.
        """
        principal = await self.authenticate(call.presented_key, Scope.MODELS_CALL)  # 1
        exchange = Exchange(call=call, principal=principal)
        with _Recorded(exchange, self._settlement):
            view = await self._views.of(principal.tenant_id)
            await self._enter(exchange, view)
            await self._admit(exchange, view)  # 2
            exchange.request = await call.read()
            if call.idempotency_key is not None:
                joined = await self._repeats.join(call, principal, exchange.request)
                if isinstance(joined, Reply):
                    self._traffic.leave(call.request_id)
                    return joined  # and no record: both are one request
                exchange.turn = joined
            decision = await self._route(exchange, view)  # 3, 4
            opened = await self._open(exchange, decision, view)  # 5
        return await self._respond(exchange, opened)  # 6, 7

    async def count_tokens(self, call: Call) -> Reply:
        """How many input tokens a call has: counted by the model that would answer it, else estimated here.

        It is routed as a call is, since it carries the same content, and recorded at no cost. Raises as `answer`.
        """
        principal = await self.authenticate(call.presented_key, Scope.MODELS_CALL)
        exchange = Exchange(call=call, principal=principal)
        with _Recorded(exchange, self._settlement):
            view = await self._views.of(principal.tenant_id)
            await self._enter(exchange, view)
            await self._admit(exchange, view)
            exchange.request = await call.read()
            decision = await self._route(exchange, view)
            counted = await self._attempts.count_tokens(exchange, decision, view)
        await self._settlement.settle(exchange.record(Outcome.OK, 200))
        return count_reply(exchange, counted)

    async def explain(self, call: Call) -> RouteDecision:
        """The decision that `answer` would take now, also one that leaves no candidate.

        Nothing is sent, reserved or recorded, but it counts against the request rate.
        """
        principal = await self.authenticate(call.presented_key, Scope.MODELS_CALL)
        view = await self._views.of(principal.tenant_id)
        exchange = Exchange(call=call, principal=principal)
        await self._admit(exchange, view)
        exchange.request = await call.read()
        try:
            return await self._decide(exchange, view)
        except NoCandidateLeft as error:
            return error.decision

    async def authenticate(self, presented_key: str | None, scope: Scope) -> Principal:
        """Who calls. Raises KeyMissing, KeyRejected, TenantSuspended or ScopeMissing."""
        if not presented_key:
            raise KeyMissing
        principal = self._snapshot.cached_principal(presented_key) or await self._snapshot.principal(presented_key)
        if scope not in principal.scopes:
            raise ScopeMissing(scope)
        return principal

    async def view(self, tenant_id: UUID) -> TenantView:
        """What a tenant can call: its plan, candidates and policies."""
        return await self._views.of(tenant_id)

    async def _enter(self, exchange: Exchange, view: TenantView) -> None:
        """Take the request's slots; its record, or the reply that it joined, gives them back."""
        principal = exchange.principal
        exchange.limits = view.limits.of(principal.project_id, principal.api_key_id)
        await self._traffic.enter(exchange.call.request_id, exchange.limits)

    async def _admit(self, exchange: Exchange, view: TenantView) -> None:
        request = AdmissionRequest(
            tenant_id=exchange.principal.tenant_id,
            project_id=exchange.principal.project_id,
            api_key_id=exchange.principal.api_key_id,
            requests_per_minute=view.plan.requests_per_minute,
            request_burst=view.plan.request_burst,
        )
        try:
            exchange.admission = await self._meter.admit(request)
        except RateLimited as error:
            # A refusal tells the state of the rate too.
            exchange.admission = Admission(
                rate_limit=error.requests_per_minute, rate_remaining=0, rate_reset_ms=error.reset_ms
            )
            raise

    async def _route(self, exchange: Exchange, view: TenantView) -> RouteDecision:
        try:
            return await self._decide(exchange, view)
        except NoCandidateLeft as error:
            exchange.decision = error.decision
            if isinstance(error, OverBudget):
                await self._name_the_budget(exchange, error.decision)
            raise

    async def _decide(self, exchange: Exchange, view: TenantView) -> RouteDecision:
        request, admission = exchange.request, exchange.admission
        assert request is not None
        assert admission is not None
        table = view.table(request.facts.policy_name)
        tell = partial(
            classify,
            request.facts,
            keywords=table.policy.keywords,
            examples=view.examples,
            decides_route=table.policy.reads_all or not names_model(request.facts.request_model),
        )
        # All text is read for what is sensitive in it; of megabytes that takes a second, in which others must go on.
        is_long = len(request.facts.content) > READ_IN_THREAD_BYTES
        exchange.decision = decide(
            await asyncio.to_thread(tell) if is_long else tell(),
            table,
            headroom_nano_usd=admission.headroom_nano_usd,
            unspent_nano_usd=admission.unspent_nano_usd,
            prefers_cheaper=admission.prefers_cheaper,
            request_id=exchange.call.request_id,
            latency_ms_of=self._attempts.pace.latency_ms,
        )
        return exchange.decision

    async def _open(self, exchange: Exchange, decision: RouteDecision, view: TenantView) -> Opened:
        """Try the candidates. Where budgets refuse that the route did not know of, decide once more within their room.

        What covers an end user or a model is asked about when a bound is reserved, and what is known of the others may
        be a second old; an output limit that the caller did not say can be cut to what is left.
        """
        try:
            return await self._attempts.open(exchange, decision, view)
        except (BudgetUsedUp, BudgetContended) as error:
            admission, request = exchange.admission, exchange.request
            assert admission is not None
            assert request is not None
            room = error.facts.limit_nano_usd - error.facts.spent_nano_usd - error.facts.reserved_nano_usd
            is_known = admission.headroom_nano_usd is not None and admission.headroom_nano_usd <= room
            if is_known or room <= 0 or request.facts.output_tokens_wanted is not None or exchange.attempts:
                raise
            exchange.admission = msgspec.structs.replace(
                admission,
                headroom_nano_usd=room,
                unspent_nano_usd=error.facts.limit_nano_usd - error.facts.spent_nano_usd,
            )
        return await self._attempts.open(exchange, await self._route(exchange, view), view)

    async def _name_the_budget(self, exchange: Exchange, decision: RouteDecision) -> None:
        """Ask the meter for the cheapest candidate's bound, so that the error names scope, limit, used and reset."""
        short = [
            verdict
            for verdict in decision.verdicts
            if verdict.excluded is Exclusion.OVER_BUDGET and verdict.bound_nano_usd
        ]
        if not short:
            return
        cheapest = min(short, key=lambda verdict: verdict.bound_nano_usd or 0)
        provider_name, _, model = cheapest.name.partition("/")
        principal, attempt_id = exchange.principal, uuid7()
        await self._meter.reserve(
            Reservation(
                tenant_id=principal.tenant_id,
                project_id=principal.project_id,
                api_key_id=principal.api_key_id,
                request_id=exchange.call.request_id,
                attempt_id=attempt_id,
                amount_nano_usd=cheapest.bound_nano_usd or 0,
                provider_name=provider_name,
                model=model,
                is_simulated=cheapest.is_simulated,
                end_user=exchange.end_user,
            )
        )
        await self._meter.release(principal.tenant_id, attempt_id)

    async def _respond(self, exchange: Exchange, opened: Opened) -> Reply:
        try:
            if opened.stream is not None:
                reply = await stream_reply(exchange, opened.stream, self._settlement)
            else:
                await self._settlement.settle(exchange.record(Outcome.OK, 200))
                reply = whole_reply(exchange, opened)
        except BaseException as error:
            if exchange.turn is not None:
                exchange.turn.end(error)
            raise
        if exchange.turn is not None:
            exchange.turn.end(reply)
        return reply


class _Recorded:
    """Settles a known caller's request that ends by an error, and gives the error the headers of its reply."""

    def __init__(self, exchange: Exchange, settlement: Settlement) -> None:
        self._exchange = exchange
        self._settlement = settlement

    def __enter__(self) -> None:
        """Nothing to open."""

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None:
            return
        if self._exchange.turn is not None:
            self._exchange.turn.end(error)
        row = row_of(error)
        self._settlement.begin(self._exchange.record(row.outcome, row.status, error))
        if isinstance(error, Exception):
            raise Refused(error, decision_headers(self._exchange)) from error
