"""What an attempt is charged: never more than was reserved, the rest absorbed."""

from datetime import UTC, datetime
from time import monotonic
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from app.gateway.exchange import Attempt
from app.routing import Candidate, Ranked
from billing import CredentialOwner, Outcome, Price, Usage

ID = UUID(int=1)


def attempt(*, bound: int, owner: CredentialOwner = "platform", rate_ppm: int = 1_000_000) -> Attempt:
    price = Price(
        price_version_id=ID,
        provider_name="p",
        model="m",
        input_nano_usd_per_million=1_000_000_000,
        output_nano_usd_per_million=2_000_000_000,
    )
    candidate = Candidate(
        provider_name="p", model="m", credential_id=ID, credential_owner=owner, price=price, rate_ppm=rate_ppm
    )
    return Attempt(
        attempt_id=ID,
        number=1,
        ranked=Ranked(candidate=candidate, bound_nano_usd=bound, output_tokens_limit=None),
        credential_id=ID,
        started_at=datetime.now(UTC),
        started=monotonic(),
    )


@given(st.integers(0, 10**9), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 3_000_000))
def test_the_charge_is_never_more_than_what_was_reserved(bound: int, tokens: int, output: int, rate: int) -> None:
    record = attempt(bound=bound, rate_ppm=rate).end(Outcome.OK, usage=Usage(input_tokens=tokens, output_tokens=output))
    assert 0 <= record.billed_nano_usd <= bound
    assert record.provider_cost_nano_usd == tokens * 1000 + output * 2000


def test_what_the_provider_bills_above_the_bound_is_absorbed() -> None:
    record = attempt(bound=1_500).end(Outcome.OK, usage=Usage(input_tokens=2))
    assert (record.billed_nano_usd, record.absorbed_nano_usd, record.provider_cost_nano_usd) == (1_500, 500, 2_000)


def test_with_the_tenants_own_credential_the_provider_is_paid_directly() -> None:
    record = attempt(bound=100, owner="tenant", rate_ppm=10_000).end(Outcome.OK, usage=Usage(input_tokens=2))
    assert (record.billed_nano_usd, record.absorbed_nano_usd, record.provider_cost_nano_usd) == (20, 0, 2_000)


def test_no_usage_means_that_nothing_is_charged() -> None:
    record = attempt(bound=100).end(Outcome.UPSTREAM_ERROR)
    assert (record.billed_nano_usd, record.provider_cost_nano_usd) == (0, 0)
