"""What a request cost by kind of token and attempt. Pure.

Called by the request page. Invariant: the parts of an attempt sum to its amount to the nano-dollar: the amount is
split by tokens × price, and what a whole number leaves over goes to the largest remainders.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from billing import Price
from dashboard.rows import AttemptFacts, PricedModel


@dataclass(frozen=True, slots=True)
class CostPart:
    """One kind of token of one attempt; None is not known."""

    kind: str
    tokens: int | None
    nano_usd_per_million: int | None
    amount_nano_usd: int | None


@dataclass(frozen=True, slots=True)
class AttemptCost:
    """An attempt's amount in parts. `is_direct` says that the tenant pays it to the provider itself."""

    attempt: AttemptFacts
    priced: PricedModel | None
    amount_nano_usd: int | None
    is_direct: bool
    parts: tuple[CostPart, ...]


def attempt_costs(attempts: Sequence[AttemptFacts], prices: Mapping[int, PricedModel]) -> tuple[AttemptCost, ...]:
    """Each attempt's cost; `prices` by attempt number, of those whose price is known."""
    return tuple(_cost(attempt, prices.get(attempt.attempt_number)) for attempt in attempts)


def _cost(attempt: AttemptFacts, priced: PricedModel | None) -> AttemptCost:
    is_direct = attempt.credential_owner == "tenant"
    amount = attempt.provider_cost_nano_usd if is_direct else attempt.billed_nano_usd
    kinds = _kinds(attempt, priced.price if priced else None)
    weights = [tokens * (rate or 0) for _, tokens, rate in kinds]
    if priced and priced.price.per_request_nano_usd:
        kinds.append(("Per request", 1, None))
        weights.append(priced.price.per_request_nano_usd * 1_000_000)
    amounts: Sequence[int | None] = _split(amount, weights) if amount is not None else [None] * len(kinds)
    parts = tuple(
        CostPart(kind, None if kind == "Per request" else tokens, rate, part if sum(weights) else None)
        for (kind, tokens, rate), part in zip(kinds, amounts, strict=True)
    )
    return AttemptCost(attempt, priced, amount, is_direct, parts)


def _kinds(attempt: AttemptFacts, price: Price | None) -> list[tuple[str, int, int | None]]:
    """Kind, tokens and rate; a kind without a rate of its own costs what the kind around it costs."""
    rates = price.rates_for(attempt.input_tokens) if price else None

    def rate(kind: str, around: int | None = None) -> int | None:
        own: int | None = getattr(rates, f"{kind}_nano_usd_per_million", None)
        return around if own is None else own

    cached, written, reasoned = (
        attempt.cache_read_input_tokens, attempt.cache_creation_input_tokens, attempt.reasoning_output_tokens,
    )  # fmt: skip
    plain, output = rate("input"), rate("output")
    rows = [
        ("Input", attempt.input_tokens - cached - written, plain),
        ("Read from cache", cached, rate("cache_read", plain)),
        ("Written to cache", written, rate("cache_creation", plain)),
        ("Output", attempt.output_tokens - reasoned, output),
        ("Reasoning", reasoned, rate("reasoning_output", output)),
    ]
    return [row for row in rows if row[1]]


def _split(amount: int, weights: Sequence[int]) -> list[int]:
    whole = sum(weights)
    if whole == 0:
        return [0] * len(weights)
    parts = [amount * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda place: -(amount * weights[place] % whole))
    for place in by_remainder[: amount - sum(parts)]:
        parts[place] += 1
    return parts
