"""A price as one tenant is billed it, in plain numbers. Made once for a price, a rate and a dialect, for all.

Called when a lineup is made and when a candidate is examined. Invariant: a bound is the one of
`Candidate.bound_nano_usd`, to the nano-dollar; an estimate is rounded up once.
"""

from functools import lru_cache
from typing import Final

import msgspec

from app.routing.candidate import Candidate
from billing import Price, billed_nano_usd

PER_MILLION: Final = 1_000_000
TERMS_REMEMBERED_MAX: Final = 16_384  # a price book has about 1,000 prices, and a plan two rates


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What bounds, estimates and limits are computed from."""

    dearest_input_nano_usd_per_million: int
    output_nano_usd_per_million: int
    per_request_nano_usd: int
    rate_ppm: int
    context_tokens: int | None
    output_tokens_max: int | None
    image_tokens_max: int | None
    # Of an estimate: billed per million input and output tokens, and what is added before dividing by a million.
    estimate: tuple[int, int, int]

    def bound_nano_usd(self, input_tokens: int, output_tokens: int) -> int:
        """Give the most that the tenant can be billed for that many tokens."""
        parts = (
            input_tokens * self.dearest_input_nano_usd_per_million + output_tokens * self.output_nano_usd_per_million
        )
        cost_nano_usd = -(-parts // PER_MILLION) + self.per_request_nano_usd
        return -(-cost_nano_usd * self.rate_ppm // PER_MILLION)

    def output_tokens_within(self, cap_nano_usd: int, input_tokens: int) -> int:
        """Give the output tokens that fit under a billed amount which more of them would exceed."""
        # ceil(cost x rate) <= cap exactly when cost <= floor(cap / rate).
        cost_nano_usd = cap_nano_usd * PER_MILLION // self.rate_ppm
        parts = input_tokens * self.dearest_input_nano_usd_per_million
        left = cost_nano_usd + parts // -PER_MILLION - self.per_request_nano_usd
        return max(0, left) * PER_MILLION // self.output_nano_usd_per_million

    def is_free(self) -> bool:
        """Tell whether no amount of tokens costs the tenant anything."""
        return self.bound_nano_usd(PER_MILLION, PER_MILLION) == 0


def terms_of(candidate: Candidate) -> Terms:
    """Give the terms of a candidate, whose price must be known."""
    assert candidate.price is not None
    return _terms(candidate.price, candidate.rate_ppm, candidate.image_tokens_max)


@lru_cache(maxsize=TERMS_REMEMBERED_MAX)
def _terms(price: Price, rate_ppm: int, image_tokens_max: int | None) -> Terms:
    most = price.bound_nano_usd(input_tokens=PER_MILLION, output_tokens=0)
    flat = billed_nano_usd(price.per_request_nano_usd, rate_ppm)
    return Terms(
        dearest_input_nano_usd_per_million=most - price.per_request_nano_usd,
        output_nano_usd_per_million=price.output_nano_usd_per_million,
        per_request_nano_usd=price.per_request_nano_usd,
        rate_ppm=rate_ppm,
        context_tokens=price.context_tokens,
        output_tokens_max=price.output_tokens_max,
        image_tokens_max=image_tokens_max,
        estimate=(
            billed_nano_usd(price.input_nano_usd_per_million, rate_ppm),
            billed_nano_usd(price.output_nano_usd_per_million, rate_ppm),
            flat * PER_MILLION + PER_MILLION - 1,
        ),
    )
