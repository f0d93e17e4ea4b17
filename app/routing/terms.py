"""A price as one tenant is billed it, in plain numbers. Made once for a price, a rate and a dialect, for all.

Called when a lineup is made and when a candidate is examined. Invariant: a bound is the one of
`Candidate.bound_nano_usd`, to the nano-dollar; an estimate is rounded up once.
"""

from functools import lru_cache
from typing import Final

import msgspec

from app.routing.candidate import Candidate
from billing import Price, Rates, billed_nano_usd

PER_MILLION: Final = 1_000_000
TERMS_REMEMBERED_MAX: Final = 16_384  # a price book has about 1,000 prices, and a plan two rates


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What bounds, estimates and limits are computed from."""

    dearest_input_nano_usd_per_million: int
    dearest_output_nano_usd_per_million: int
    per_request_nano_usd: int
    rate_ppm: int
    context_tokens: int | None
    output_tokens_max: int | None
    image_tokens_max: int | None
    # From which input length on other prices count: (above, dearest input, dearest output); mostly none.
    long_context: tuple[tuple[int, int, int], ...]
    # Of an estimate: billed per million input and output tokens, and what is added before dividing by a million.
    estimate: tuple[int, int, int]
    long_estimates: tuple[tuple[int, int, int], ...]  # from which input length on: (above, per input, per output)

    def bound_nano_usd(self, input_tokens: int, output_tokens: int) -> int:
        """Give the most that the tenant can be billed for that many tokens."""
        per_input, per_output = self._dearest(input_tokens)
        parts = input_tokens * per_input + output_tokens * per_output
        cost_nano_usd = -(-parts // PER_MILLION) + self.per_request_nano_usd
        return -(-cost_nano_usd * self.rate_ppm // PER_MILLION)

    def output_tokens_within(self, cap_nano_usd: int, input_tokens: int) -> int:
        """Give the output tokens that fit under a billed amount which more of them would exceed."""
        # ceil(cost x rate) <= cap exactly when cost <= floor(cap / rate).
        cost_nano_usd = cap_nano_usd * PER_MILLION // self.rate_ppm
        per_input, per_output = self._dearest(input_tokens)
        left = cost_nano_usd + input_tokens * per_input // -PER_MILLION - self.per_request_nano_usd
        return max(0, left) * PER_MILLION // per_output

    def estimate_nano_usd(self, input_tokens: int, output_tokens: int) -> int:
        """Give what the tenant is likely billed for so many tokens."""
        per_input, per_output, flat = self.estimate
        for above, long_input, long_output in self.long_estimates:
            if input_tokens > above:
                per_input, per_output = long_input, long_output
        return (input_tokens * per_input + output_tokens * per_output + flat) // PER_MILLION

    def dearest_of_any_length(self) -> tuple[tuple[int, int], ...]:
        """Give the dearest input and output price of each length."""
        shortest = self.dearest_input_nano_usd_per_million, self.dearest_output_nano_usd_per_million
        return (shortest, *((per_input, per_output) for _, per_input, per_output in self.long_context))

    def is_free(self) -> bool:
        """Tell whether no amount of tokens costs the tenant anything."""
        return self.bound_nano_usd(PER_MILLION, PER_MILLION) == 0

    def _dearest(self, input_tokens: int) -> tuple[int, int]:
        dearest = self.dearest_input_nano_usd_per_million, self.dearest_output_nano_usd_per_million
        for above, per_input, per_output in self.long_context:
            if input_tokens > above:
                dearest = per_input, per_output
        return dearest


def terms_of(candidate: Candidate) -> Terms:
    """Give the terms of a candidate, whose price must be known."""
    assert candidate.price is not None
    return _terms(candidate.price, candidate.rate_ppm, candidate.image_tokens_max)


@lru_cache(maxsize=TERMS_REMEMBERED_MAX)
def _terms(price: Price, rate_ppm: int, image_tokens_max: int | None) -> Terms:
    (_, per_input, per_output), *long_context = price.dearest_by_length()
    flat = billed_nano_usd(price.per_request_nano_usd, rate_ppm)
    return Terms(
        dearest_input_nano_usd_per_million=per_input,
        dearest_output_nano_usd_per_million=per_output,
        per_request_nano_usd=price.per_request_nano_usd,
        rate_ppm=rate_ppm,
        context_tokens=price.context_tokens,
        output_tokens_max=price.output_tokens_max,
        image_tokens_max=image_tokens_max,
        long_context=tuple(long_context),
        estimate=(*_billed(price, rate_ppm), flat * PER_MILLION + PER_MILLION - 1),
        long_estimates=tuple(
            (tier.above_input_tokens, *_billed(tier, rate_ppm))
            for tier in price.tiers
            if tier.service_tier == "standard"
        ),
    )


def _billed(rates: Rates, rate_ppm: int) -> tuple[int, int]:
    return (
        billed_nano_usd(rates.input_nano_usd_per_million, rate_ppm),
        billed_nano_usd(rates.output_nano_usd_per_million, rate_ppm),
    )
