"""Which limits cover a caller and a call, and what the errors about them say."""

from uuid import UUID, uuid4

import pytest

from billing import PLANS, LimitInvalid, LimitKind, TrafficLimit
from billing.traffic_limit import DAY_S, MINUTE_S, RateLimit, TenantLimits
from billing.traffic_limits import check_limit

TENANT, PROJECT, OTHER_PROJECT, KEY, OTHER_KEY = (UUID(int=number) for number in range(1, 6))


def a_limit(kind: LimitKind = LimitKind.REQUESTS_PER_MINUTE, **fields: object) -> TrafficLimit:
    defaults: dict[str, object] = {
        "limit_id": uuid4(), "project_id": None, "api_key_id": None, "scope": "tenant", "scope_name": "acme",
        "is_per_end_user": False, "model": None, "limit_count": 60, "burst_count": None,
    }  # fmt: skip
    return TrafficLimit(kind=kind, **{**defaults, **fields})  # type: ignore[arg-type] # fields by their names


def rates(*limits: TrafficLimit, model: str = "openai/gpt-4o", end_user: bool = False) -> list[UUID]:
    """The limits that cover a call of the key."""
    caller = TenantLimits(TENANT, PLANS[0], limits).of(PROJECT, KEY)
    return [rate.limit_id for rate in caller.rates_of(model, has_end_user=end_user)]


def test_a_caller_meets_the_limits_of_its_tenant_project_and_key_and_no_others() -> None:
    tenants, projects, keys = a_limit(), a_limit(project_id=PROJECT), a_limit(api_key_id=KEY)
    others = (a_limit(project_id=OTHER_PROJECT), a_limit(api_key_id=OTHER_KEY))
    assert rates(tenants, projects, keys, *others) == [tenants.limit_id, projects.limit_id, keys.limit_id]


def test_a_models_limit_covers_what_its_pattern_names() -> None:
    exact, family, other = a_limit(model="openai/gpt-4o"), a_limit(model="openai/*"), a_limit(model="anthropic/*")
    assert rates(exact, family, other) == [exact.limit_id, family.limit_id]
    assert rates(exact, family, other, model="openai/o3") == [family.limit_id]


def test_a_limit_for_each_end_user_covers_calls_that_name_one() -> None:
    each = a_limit(is_per_end_user=True)
    assert rates(each) == []
    assert rates(each, end_user=True) == [each.limit_id]


def test_a_tenant_without_limits_has_its_plans_alone() -> None:
    caller = TenantLimits(TENANT, PLANS[0]).of(PROJECT, KEY)
    assert [limit.slots_max for limit in caller.concurrency] == [PLANS[0].concurrent_requests]
    assert caller.rates == ()


def test_how_many_at_once_is_held_beside_the_plan_and_is_no_rate() -> None:
    caller = TenantLimits(TENANT, PLANS[0], [a_limit(LimitKind.CONCURRENT_REQUESTS, limit_count=3)]).of(PROJECT, KEY)
    assert [limit.slots_max for limit in caller.concurrency] == [PLANS[0].concurrent_requests, 3]
    assert caller.rates == ()


@pytest.mark.parametrize("kind", LimitKind)
def test_a_kind_says_over_how_long_and_what_it_counts(kind: LimitKind) -> None:
    assert kind.period_s == (DAY_S if kind.endswith("_per_day") else MINUTE_S)
    assert kind.is_of_tokens == kind.startswith("tokens")
    assert kind.words.replace(" ", "_") == kind


def test_a_bucket_holds_its_burst_or_as_much_as_the_limit() -> None:
    caller = TenantLimits(TENANT, PLANS[0], [a_limit(), a_limit(burst_count=5)]).of(PROJECT, KEY)
    assert [(rate.limit_count, rate.capacity) for rate in caller.rates] == [(60, 60), (60, 5)]


def test_a_limit_says_in_words_what_it_covers() -> None:
    assert a_limit(model="openai/*", is_per_end_user=True).words == (
        "Tenant 'acme', for each end user, for model 'openai/*'"
    )


@pytest.mark.parametrize(
    ("kind", "fields", "word"),
    [
        (LimitKind.TOKENS_PER_DAY, {"limit_count": 0}, "limit_count is 0"),
        (LimitKind.TOKENS_PER_DAY, {"limit_count": 10**13}, "from 1 to 1,000,000,000,000"),
        (LimitKind.CONCURRENT_REQUESTS, {"limit_count": 10**7}, "from 1 to 1,000,000"),
        (LimitKind.TOKENS_PER_DAY, {"burst_count": 0}, "burst_count is 0"),
        (LimitKind.TOKENS_PER_DAY, {"model": ""}, "model has 0 characters"),
        (LimitKind.TOKENS_PER_DAY, {"is_in_both": True}, "not both"),
        (LimitKind.CONCURRENT_REQUESTS, {"model": "openai/*"}, "before a request is read"),
        (LimitKind.CONCURRENT_REQUESTS, {"is_per_end_user": True}, "before a request is read"),
        (LimitKind.CONCURRENT_REQUESTS, {"burst_count": 3}, "before a request is read"),
    ],
)
def test_what_makes_no_sense_is_refused_by_its_name(kind: LimitKind, fields: dict[str, object], word: str) -> None:
    given: dict[str, object] = {
        "limit_count": 5, "burst_count": None, "is_in_both": False, "is_per_end_user": False, "model": None,
    }  # fmt: skip
    given |= fields
    with pytest.raises(LimitInvalid, match=word):
        check_limit(kind, given.pop("limit_count"), given.pop("burst_count"), **given)  # type: ignore[arg-type] # as above


def test_a_rate_covers_a_model_by_its_whole_name() -> None:
    rate = RateLimit(
        tenant_id=TENANT, limit_id=KEY, kind=LimitKind.TOKENS_PER_DAY, limit_count=1, capacity=1, model="openai/o*",
        is_per_end_user=False, scope="Tenant 'acme'",
    )  # fmt: skip
    assert rate.covers("openai/o3")
    assert not rate.covers("azure/openai/o3")
