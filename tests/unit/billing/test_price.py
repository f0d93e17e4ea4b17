"""A price's bound is never below what usage within it can cost."""

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from billing import MediaTokens, Price, PriceTier, Usage, billed_nano_usd

per_million = st.integers(0, 10**12)
tokens = st.integers(0, 10**6)
RATES = {
    "input_nano_usd_per_million": per_million,
    "output_nano_usd_per_million": per_million,
    "cache_read_nano_usd_per_million": st.none() | per_million,
    "cache_creation_nano_usd_per_million": st.none() | per_million,
    "reasoning_output_nano_usd_per_million": st.none() | per_million,
    "image_input_nano_usd_per_million": st.none() | per_million,
    "image_output_nano_usd_per_million": st.none() | per_million,
}
tiers = st.lists(
    st.builds(
        PriceTier,
        above_input_tokens=st.integers(1, 10**6),
        service_tier=st.sampled_from(["standard", "batch"]),
        **RATES,
    ),
    max_size=3,
).map(lambda found: tuple(sorted(found, key=lambda tier: (tier.service_tier == "batch", tier.above_input_tokens))))
prices = st.builds(
    Price,
    price_version_id=st.just(UUID(int=0)),
    provider_name=st.just("openai"),
    model=st.just("small"),
    per_request_nano_usd=st.integers(0, 10**9),
    tiers=tiers,
    **RATES,
)


@given(prices, tokens, tokens, tokens, tokens, tokens, tokens, st.integers(0, 10**6))
def test_usage_within_its_bound_never_costs_more(
    price: Price, plain: int, read: int, made: int, pictured: int, output: int, reasoned: int, unused: int
) -> None:
    usage = Usage(
        input_tokens=plain + read + made + pictured,
        output_tokens=output + reasoned,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=made,
        reasoning_output_tokens=reasoned,
        media=MediaTokens(image_input_tokens=pictured, image_output_tokens=output),
    )
    assert price.cost_nano_usd(usage) <= price.bound_nano_usd(
        input_tokens=usage.input_tokens + unused, output_tokens=usage.output_tokens
    )


@given(prices, tokens, tokens, tokens)
def test_an_amount_is_its_kinds_added_and_rounded_once(price: Price, read: int, made: int, hour: int) -> None:
    usage = Usage(
        input_tokens=read + made + hour,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=made + hour,
        cache_creation_1h_input_tokens=hour,
    )
    rates = price.rates_for(usage.input_tokens)
    plain = rates.input_nano_usd_per_million
    five_minutes = rates.cache_creation_nano_usd_per_million
    five_minutes = plain if five_minutes is None else five_minutes
    parts = (
        read * (plain if (own := rates.cache_read_nano_usd_per_million) is None else own)
        + made * five_minutes
        + hour * (five_minutes if (own := rates.cache_creation_1h_nano_usd_per_million) is None else own)
    )
    assert price.cost_nano_usd(usage) - price.per_request_nano_usd == -(-parts // 1_000_000)


@given(prices, tokens, st.integers(0, 10**15))
def test_the_output_that_fits_an_amount_stays_within_it(price: Price, input_tokens: int, amount: int) -> None:
    fitting = price.output_tokens_within(amount, input_tokens=input_tokens)
    if fitting:
        assert price.bound_nano_usd(input_tokens=input_tokens, output_tokens=fitting) <= amount


@given(st.integers(0, 10**15), st.integers(0, 3_000_000))
def test_billing_rounds_up_once(cost: int, rate_ppm: int) -> None:
    billed = billed_nano_usd(cost, rate_ppm)
    assert billed * 1_000_000 >= cost * rate_ppm > (billed - 1) * 1_000_000 or billed == 0
