"""What is granted ahead never lets more through than the plan says, and never tells what is old."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing import AdmissionRequest, RateLimited
from billing.allowance import AGE_NS_MAX, NS_PER_MINUTE, ROOM_FOR_CALLS, Allowances, Grant

KEY, OTHER_KEY = UUID(int=3), UUID(int=4)
NOW_NS = 10**15


def a_request(*, api_key_id: UUID = KEY, requests_per_minute: int = 60, request_burst: int = 10) -> AdmissionRequest:
    return AdmissionRequest(
        tenant_id=UUID(int=1),
        project_id=UUID(int=2),
        api_key_id=api_key_id,
        requests_per_minute=requests_per_minute,
        request_burst=request_burst,
    )


def a_grant(
    granted: int = 5, *, retry_after_ms: int = 0, headroom: int | None = None, unspent: int | None = None
) -> Grant:
    return Grant(
        granted=granted,
        remaining=3,
        retry_after_ms=retry_after_ms,
        reset_ms=4_000,
        headroom_nano_usd=headroom,
        unspent_nano_usd=unspent,
    )


def kept(grant: Grant, *, taken: int = 1) -> Allowances:
    allowances = Allowances()
    allowances.keep(a_request(), grant, NOW_NS, taken)
    return allowances


def test_what_was_granted_is_given_and_then_asked_for_again() -> None:
    allowances = kept(a_grant(3))
    told = [allowances.take(a_request(), NOW_NS) for _ in range(3)]
    assert [one.rate_remaining if one else None for one in told] == [4, 3, None]


def test_a_grant_empties_at_the_plans_rate_whether_it_is_used_or_not() -> None:
    allowances = kept(a_grant(3), taken=0)
    # At 60 a minute, half a second empties one of three: two are left, and using them counts against the same.
    assert allowances.take(a_request(), NOW_NS + AGE_NS_MAX // 2) is not None
    assert allowances.take(a_request(), NOW_NS + AGE_NS_MAX // 2) is not None
    assert allowances.take(a_request(), NOW_NS + AGE_NS_MAX // 2) is None


def test_a_grant_is_forgotten_after_a_second() -> None:
    allowances = Allowances()
    slow = a_request(requests_per_minute=1)
    allowances.keep(slow, a_grant(9), NOW_NS, 0)
    assert allowances.take(slow, NOW_NS + AGE_NS_MAX) is not None
    assert allowances.take(slow, NOW_NS + AGE_NS_MAX + 1) is None


def test_a_refusal_holds_until_its_time_to_retry_and_counts_down() -> None:
    allowances = kept(a_grant(0, retry_after_ms=300), taken=0)
    with pytest.raises(RateLimited) as refused:
        allowances.take(a_request(), NOW_NS + 100_000_000)
    assert (refused.value.retry_after_ms, refused.value.reset_ms) == (200, 3_900)
    assert allowances.take(a_request(), NOW_NS + 300_000_000) is None


def test_another_key_and_another_plan_have_nothing_of_it() -> None:
    allowances = kept(a_grant())
    assert allowances.take(a_request(api_key_id=OTHER_KEY), NOW_NS) is None
    assert allowances.take(a_request(request_burst=11), NOW_NS) is None


def test_a_budget_is_told_from_memory_only_with_room_for_many_calls_like_the_callers() -> None:
    allowances = kept(a_grant(headroom=1_000, unspent=2_000))
    assert allowances.take(a_request(), NOW_NS) is None, "what its calls cost is not known"
    allowances.see(KEY, 1_000 // ROOM_FOR_CALLS)
    admission = allowances.take(a_request(), NOW_NS)
    assert admission is not None
    assert (admission.headroom_nano_usd, admission.unspent_nano_usd) == (1_000, 2_000)
    allowances.see(KEY, 1_000 // ROOM_FOR_CALLS + 1)
    assert allowances.take(a_request(), NOW_NS) is None


def test_a_change_of_the_tenant_is_asked_for_at_once() -> None:
    allowances = kept(a_grant())
    allowances.drop(UUID(int=9))
    assert allowances.take(a_request(), NOW_NS) is not None
    allowances.drop(UUID(int=1))
    assert allowances.take(a_request(), NOW_NS) is None


def test_the_callers_kept_are_bounded() -> None:
    allowances = Allowances(allowances_max=1)
    allowances.keep(a_request(), a_grant(), NOW_NS, 0)
    allowances.keep(a_request(api_key_id=OTHER_KEY), a_grant(), NOW_NS, 0)
    assert allowances.take(a_request(), NOW_NS) is None
    assert allowances.take(a_request(api_key_id=OTHER_KEY), NOW_NS) is not None


@given(
    per_minute=st.integers(60, 6_000),
    burst=st.integers(1, 200),
    calls=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 400_000_000), st.integers(1, 30)), max_size=60),
)
def test_no_window_sees_more_than_rate_and_burst_over_several_processes(
    per_minute: int, burst: int, calls: list[tuple[int, int, int]]
) -> None:
    processes = [Allowances() for _ in range(3)]
    request = a_request(requests_per_minute=per_minute, request_burst=burst)
    interval_ns = -(-NS_PER_MINUTE // per_minute)
    now_ns = arrival_ns = NOW_NS
    admitted: list[int] = []
    for process, pause_ns, times in calls:
        now_ns += pause_ns
        for _ in range(times):
            try:
                if processes[process].take(request, now_ns) is not None:
                    admitted.append(now_ns)
                    continue
            except RateLimited:
                continue
            # The database's bucket, which grants as much as it holds: more than ours ever would.
            arrival_ns = max(arrival_ns, now_ns)
            granted = (burst * interval_ns - (arrival_ns - now_ns)) // interval_ns
            arrival_ns += granted * interval_ns
            processes[process].keep(request, a_grant(granted, retry_after_ms=1), now_ns, min(1, granted))
            if granted:
                admitted.append(now_ns)
    for first, since_ns in enumerate(admitted):
        for count, until_ns in enumerate(admitted[first:], 1):
            assert count <= burst + (until_ns - since_ns) * per_minute // NS_PER_MINUTE
