"""What an attempt must hold before it is sent: room in the tenant's rates, then its bound in every budget.

Called by `attempts`. Invariant: an attempt that did not get all holds no money, and takes its rates once.
"""

from app.gateway.exchange import Attempt, Exchange
from app.routing import TYPICAL_OUTPUT_TOKENS, TYPICAL_OUTPUT_TOKENS_ELSE, Signals
from billing import CallerLimits, Meter, Reservation, Traffic, TrafficLimited


class Holds:
    """Takes rates and reserves money; one for each process."""

    def __init__(self, meter: Meter, traffic: Traffic) -> None:
        self._meter = meter
        self._traffic = traffic

    async def hold(self, exchange: Exchange, attempt: Attempt) -> None:
        """Hold what one attempt needs. Raises TrafficLimited, BudgetUsedUp, BudgetContended or MeterUnavailable."""
        principal, candidate = exchange.principal, attempt.ranked.candidate
        if exchange.limits is not None and exchange.limits.rates:
            await self._take(exchange, exchange.limits, candidate.name)
        await self._meter.reserve(
            Reservation(
                tenant_id=principal.tenant_id,
                project_id=principal.project_id,
                api_key_id=principal.api_key_id,
                request_id=exchange.call.request_id,
                attempt_id=attempt.attempt_id,
                amount_nano_usd=attempt.ranked.bound_nano_usd,
                provider_name=candidate.provider_name,
                model=candidate.model,
                credential_owner=candidate.credential_owner,
                is_simulated=candidate.is_simulated,
                end_user=exchange.end_user,
            )
        )

    async def release(self, exchange: Exchange) -> None:
        """Return the money of the exchange's last attempt, which cost nothing."""
        await self._meter.release(exchange.principal.tenant_id, exchange.attempts[-1].attempt_id)

    async def _take(self, exchange: Exchange, limits: CallerLimits, model_name: str) -> None:
        assert exchange.decision is not None
        try:
            taken = await self._traffic.take(
                exchange.call.request_id,
                limits,
                model_name=model_name,
                end_user=exchange.end_user,
                tokens=estimated_tokens(exchange.decision.signals),
            )
        except TrafficLimited as error:
            exchange.rates += error.states
            raise
        exchange.rates += tuple(taken)


def estimated_tokens(signals: Signals) -> int:
    """The tokens that a request will use, before it is known: its input, and the output it asks for or its task has."""
    facts, wanted = signals.facts, signals.facts.output_tokens_wanted
    if wanted is None:
        wanted = TYPICAL_OUTPUT_TOKENS.get(signals.task.value, TYPICAL_OUTPUT_TOKENS_ELSE)
    return facts.input_tokens_estimate + facts.image_tokens_bound + wanted * facts.choices
