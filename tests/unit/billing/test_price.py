"""A price's bound is never below what usage within it can cost."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from billing import Price, Usage, billed_nano_usd

per_million = st.integers(0, 10**12)
prices = st.builds(
    Price,
    price_version_id=st.just(UUID(int=0)),
    provider_name=st.just("openai"),
    model=st.just("small"),
    input_nano_usd_per_million=per_million,
    output_nano_usd_per_million=per_million,
    cache_read_nano_usd_per_million=st.none() | per_million,
    cache_creation_nano_usd_per_million=st.none() | per_million,
    per_request_nano_usd=st.integers(0, 10**9),
)
tokens = st.integers(0, 10**6)


@given(prices, tokens, tokens, tokens, tokens)
def test_usage_within_its_bound_never_costs_more(price: Price, plain: int, read: int, made: int, output: int) -> None:
    usage = Usage(
        input_tokens=plain + read + made,
        output_tokens=output,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=made,
    )
    assert price.cost_nano_usd(usage) <= price.bound_nano_usd(
        input_tokens=usage.input_tokens, output_tokens=usage.output_tokens
    )


@given(prices, tokens, st.integers(0, 10**15))
def test_the_output_that_fits_an_amount_stays_within_it(price: Price, input_tokens: int, amount: int) -> None:
    fitting = price.output_tokens_within(amount, input_tokens=input_tokens)
    if fitting:
        assert price.bound_nano_usd(input_tokens=input_tokens, output_tokens=fitting) <= amount


@given(st.integers(0, 10**15), st.integers(0, 3_000_000))
def test_billing_rounds_up_once(cost: int, rate_ppm: int) -> None:
    billed = billed_nano_usd(cost, rate_ppm)
    assert billed * 1_000_000 >= cost * rate_ppm > (billed - 1) * 1_000_000 or billed == 0
