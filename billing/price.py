"""What a model costs: exact integer arithmetic in nano-USD over one row of the price book.

Called by routing for bounds, by settlement for costs. Prices are nano-USD per million tokens, so that $0.0375 per
million is a whole number. Every amount is rounded up once, after its parts were added. Invariant: no usage costs
more than the bound of its tokens.
"""

from collections.abc import Iterator
from typing import Final, Literal
from uuid import UUID

import msgspec

from billing.usage import Usage

TOKENS_PER_PRICE: Final = 1_000_000
PARTS_PER_MILLION: Final = 1_000_000
ServiceTier = Literal["standard", "batch"]


class Rates(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Nano-USD per million tokens by kind. A kind without a price costs what the kind around it costs."""

    input_nano_usd_per_million: int
    output_nano_usd_per_million: int
    cache_read_nano_usd_per_million: int | None = None
    cache_creation_nano_usd_per_million: int | None = None  # kept for five minutes
    cache_creation_1h_nano_usd_per_million: int | None = None
    reasoning_output_nano_usd_per_million: int | None = None
    audio_input_nano_usd_per_million: int | None = None
    audio_output_nano_usd_per_million: int | None = None
    image_input_nano_usd_per_million: int | None = None
    image_output_nano_usd_per_million: int | None = None

    @property
    def dearest_input_nano_usd_per_million(self) -> int:
        """The most that an input token can cost. What the surfaces refuse, audio and an hour's cache, is not in it."""
        return max(
            self.input_nano_usd_per_million,
            self.cache_read_nano_usd_per_million or 0,
            self.cache_creation_nano_usd_per_million or 0,
            self.image_input_nano_usd_per_million or 0,
        )

    @property
    def dearest_output_nano_usd_per_million(self) -> int:
        """The most that an output token can cost; audio is refused."""
        return max(
            self.output_nano_usd_per_million,
            self.reasoning_output_nano_usd_per_million or 0,
            self.image_output_nano_usd_per_million or 0,
        )


class PriceTier(Rates, frozen=True, kw_only=True, omit_defaults=True):
    """Other rates of a whole call: for all its tokens, when its input is longer, or when it ran as a batch."""

    above_input_tokens: int = 0
    service_tier: ServiceTier = "standard"


class Price(Rates, frozen=True, kw_only=True, omit_defaults=True):
    """One model's price in one version of the price book. Tiers stand by length, and batches' behind all others."""

    price_version_id: UUID
    provider_name: str
    model: str
    per_request_nano_usd: int = 0
    context_tokens: int | None = None
    output_tokens_max: int | None = None
    is_declared_free: bool = False
    tiers: tuple[PriceTier, ...] = ()

    def cost_nano_usd(self, usage: Usage, service_tier: ServiceTier = "standard") -> int:
        """What the provider charges for this usage, in nano-USD, rounded up."""
        rates = self.rates_for(usage.input_tokens, service_tier) if self.tiers else self
        return _divide_up(_parts(rates, usage), TOKENS_PER_PRICE) + self.per_request_nano_usd

    def rates_for(self, input_tokens: int, service_tier: ServiceTier = "standard") -> Rates:
        """The rates of a call with so many input tokens. A batch without rates of its own costs as any call."""
        rates: Rates = self
        for tier in self.tiers:
            is_reached = input_tokens > tier.above_input_tokens or not tier.above_input_tokens
            if is_reached and tier.service_tier in ("standard", service_tier):
                rates = tier
        return rates

    def bound_nano_usd(self, *, input_tokens: int, output_tokens: int) -> int:
        """The most that up to this many tokens can cost: at the dearest rates of any tier they may reach."""
        dearest_input, dearest_output = self._dearest(input_tokens)
        parts = input_tokens * dearest_input + output_tokens * dearest_output
        return _divide_up(parts, TOKENS_PER_PRICE) + self.per_request_nano_usd

    def output_tokens_within(self, amount_nano_usd: int, *, input_tokens: int) -> int | None:
        """How many output tokens `amount_nano_usd` leaves after the input's bound; None when output is free."""
        _, dearest_output = self._dearest(input_tokens)
        if dearest_output == 0:
            return None
        left = amount_nano_usd - self.bound_nano_usd(input_tokens=input_tokens, output_tokens=0)
        return max(0, left) * TOKENS_PER_PRICE // dearest_output

    def dearest_by_length(self) -> Iterator[tuple[int, int, int]]:
        """From which input length on a token costs how much at most: (above, input, output), each dearer or as dear."""
        dearest_input, dearest_output = (
            self.dearest_input_nano_usd_per_million,
            self.dearest_output_nano_usd_per_million,
        )
        yield 0, dearest_input, dearest_output
        for tier in self.tiers:
            if tier.service_tier == "standard":
                dearest_input = max(dearest_input, tier.dearest_input_nano_usd_per_million)
                dearest_output = max(dearest_output, tier.dearest_output_nano_usd_per_million)
                yield tier.above_input_tokens, dearest_input, dearest_output

    def _dearest(self, input_tokens: int) -> tuple[int, int]:
        dearest = 0, 0
        for above, dearest_input, dearest_output in self.dearest_by_length():
            if input_tokens > above or not above:
                dearest = dearest_input, dearest_output
        return dearest


def billed_nano_usd(provider_cost_nano_usd: int, rate_ppm: int) -> int:
    """The tenant's amount for a provider's cost at a rate in parts per million, rounded up."""
    return _divide_up(provider_cost_nano_usd * rate_ppm, PARTS_PER_MILLION)


def _parts(rates: Rates, usage: Usage) -> int:
    """Tokens times rates: what has no part of its own kind is plain, and kinds do not overlap."""
    plain_input, plain_output = rates.input_nano_usd_per_million, rates.output_nano_usd_per_million
    parts = usage.input_tokens * plain_input + usage.output_tokens * plain_output
    if cached := usage.cache_read_input_tokens:
        parts += cached * (_or(rates.cache_read_nano_usd_per_million, plain_input) - plain_input)
    if written := usage.cache_creation_input_tokens:
        five_minutes = _or(rates.cache_creation_nano_usd_per_million, plain_input)
        parts += written * (five_minutes - plain_input)
        if hour := usage.cache_creation_1h_input_tokens:
            parts += hour * (_or(rates.cache_creation_1h_nano_usd_per_million, five_minutes) - five_minutes)
    if reasoned := usage.reasoning_output_tokens:
        parts += reasoned * (_or(rates.reasoning_output_nano_usd_per_million, plain_output) - plain_output)
    if media := usage.media:
        parts += media.audio_input_tokens * (_or(rates.audio_input_nano_usd_per_million, plain_input) - plain_input)
        parts += media.image_input_tokens * (_or(rates.image_input_nano_usd_per_million, plain_input) - plain_input)
        parts += media.audio_output_tokens * (_or(rates.audio_output_nano_usd_per_million, plain_output) - plain_output)
        parts += media.image_output_tokens * (_or(rates.image_output_nano_usd_per_million, plain_output) - plain_output)
    return max(0, parts)


def _or(own: int | None, around: int) -> int:
    return around if own is None else own


def _divide_up(amount: int, divisor: int) -> int:
    return -(-amount // divisor)
