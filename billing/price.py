"""What a model costs: exact integer arithmetic in nano-USD over one row of the price book.

Prices are nano-USD per million tokens, so that $0.0375 per million is a whole number. Every amount is
rounded up once, after its parts were added.
"""

from typing import Final
from uuid import UUID

import msgspec

from billing.usage import Usage

TOKENS_PER_PRICE: Final = 1_000_000
PARTS_PER_MILLION: Final = 1_000_000


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """One model's price in one version of the price book. A missing cache price means "as input"."""

    price_version_id: UUID
    provider_name: str
    model: str
    input_nano_usd_per_million: int
    output_nano_usd_per_million: int
    cache_read_nano_usd_per_million: int | None = None
    cache_creation_nano_usd_per_million: int | None = None
    per_request_nano_usd: int = 0
    context_tokens: int | None = None
    output_tokens_max: int | None = None
    is_declared_free: bool = False

    def cost_nano_usd(self, usage: Usage) -> int:
        """What the provider charges for this usage, in nano-USD, rounded up."""
        cache_read, cache_creation = self._cache_prices()
        plain_tokens = usage.input_tokens - usage.cache_read_input_tokens - usage.cache_creation_input_tokens
        parts = (
            max(0, plain_tokens) * self.input_nano_usd_per_million
            + usage.cache_read_input_tokens * cache_read
            + usage.cache_creation_input_tokens * cache_creation
            + usage.output_tokens * self.output_nano_usd_per_million
        )
        return _divide_up(parts, TOKENS_PER_PRICE) + self.per_request_nano_usd

    def bound_nano_usd(self, *, input_tokens: int, output_tokens: int) -> int:
        """The most that this many tokens can cost: every input token at the dearest input price."""
        dearest_input = max(self.input_nano_usd_per_million, *self._cache_prices())
        parts = input_tokens * dearest_input + output_tokens * self.output_nano_usd_per_million
        return _divide_up(parts, TOKENS_PER_PRICE) + self.per_request_nano_usd

    def output_tokens_within(self, amount_nano_usd: int, *, input_tokens: int) -> int | None:
        """How many output tokens `amount_nano_usd` leaves after the input's bound; None when output is free."""
        if self.output_nano_usd_per_million == 0:
            return None
        left = amount_nano_usd - self.bound_nano_usd(input_tokens=input_tokens, output_tokens=0)
        return max(0, left) * TOKENS_PER_PRICE // self.output_nano_usd_per_million

    def _cache_prices(self) -> tuple[int, int]:
        plain = self.input_nano_usd_per_million
        read = plain if self.cache_read_nano_usd_per_million is None else self.cache_read_nano_usd_per_million
        made = plain if self.cache_creation_nano_usd_per_million is None else self.cache_creation_nano_usd_per_million
        return read, made


def billed_nano_usd(provider_cost_nano_usd: int, rate_ppm: int) -> int:
    """The tenant's amount for a provider's cost at a rate in parts per million, rounded up."""
    return _divide_up(provider_cost_nano_usd * rate_ppm, PARTS_PER_MILLION)


def _divide_up(amount: int, divisor: int) -> int:
    return -(-amount // divisor)
