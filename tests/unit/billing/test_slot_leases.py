"""Slots lent to a process: never more in use than lent, all limits of a request or none, and nothing kept for ever."""

from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from billing.errors import ConcurrencyLimited
from billing.slot_leases import BEGIN_S, FULL_NS, NS_PER_S, ConcurrencyLimit, Lease, SlotLeases

DEADLINE_S = 600
NOW = 1_000 * NS_PER_S


def a_limit(slots_max: int = 10) -> ConcurrencyLimit:
    return ConcurrencyLimit(tenant_id=uuid4(), limit_id=uuid4(), slots_max=slots_max, scope="Tenant 'acme'")


def grant(leases: SlotLeases, lease: Lease, granted: int, *, spare: int = 0, is_enough: bool = True) -> None:
    leases.freeze(lease)
    leases.keep(lease, granted=granted, spare=spare, is_enough=is_enough, asked_at_ns=NOW)


def entered(leases: SlotLeases, *limits: ConcurrencyLimit, at: int = NOW) -> UUID | None:
    """Let a request try; one that would have to ask the database goes away."""
    request_id = uuid4()
    if not leases.enter(request_id, limits, at):
        return request_id
    leases.leave(request_id)
    return None


def asked(leases: SlotLeases, *limits: ConcurrencyLimit, at: int = NOW) -> list[Lease]:
    """What a request would have to ask the database for."""
    request_id = uuid4()
    lacking = leases.enter(request_id, limits, at)
    leases.leave(request_id)
    return lacking


def with_slots(count: int, *limits: ConcurrencyLimit, spare: int = 0) -> SlotLeases:
    leases = SlotLeases(deadline_s=DEADLINE_S)
    for lease in asked(leases, *limits):
        grant(leases, lease, count, spare=spare)
    return leases


def test_no_more_run_than_were_lent() -> None:
    limit = a_limit()
    leases = with_slots(3, limit)
    assert [entered(leases, limit) is not None for _ in range(5)] == [True, True, True, False, False]


def test_a_request_holds_a_slot_of_every_limit_or_of_none() -> None:
    wide, narrow = a_limit(), a_limit()
    leases = with_slots(2, wide)
    [lacking] = asked(leases, wide, narrow)
    assert lacking.limit is narrow
    assert [entered(leases, wide) is not None for _ in range(3)] == [True, True, False]


def test_what_a_request_leaves_another_takes_and_it_leaves_but_once() -> None:
    limit = a_limit()
    leases = with_slots(1, limit, spare=1)
    first = entered(leases, limit)
    assert first is not None
    assert entered(leases, limit) is None
    leases.leave(first)
    leases.leave(first)
    assert entered(leases, limit) is not None
    assert entered(leases, limit) is None


def test_more_idle_slots_than_may_be_kept_are_to_be_given_back() -> None:
    limit = a_limit()
    leases = with_slots(4, limit, spare=1)
    requests = [entered(leases, limit) for _ in range(4)]
    assert [len(leases.leave(request)) for request in requests if request] == [0, 0, 1, 1]


def test_while_the_database_is_asked_nobody_begins() -> None:
    limit = a_limit()
    leases = with_slots(4, limit)
    assert entered(leases, limit) is not None
    [lease] = leases._leases.values()
    assert leases.freeze(lease) == 1
    assert entered(leases, limit) is None


def test_a_limit_that_was_full_refuses_for_a_moment_without_asking() -> None:
    limit = a_limit(1)
    leases = SlotLeases(deadline_s=DEADLINE_S)
    [lease] = asked(leases, limit)
    grant(leases, lease, 0, is_enough=False)
    with pytest.raises(ConcurrencyLimited, match="allows 1 requests at once"):
        leases.enter(uuid4(), (limit,), NOW + FULL_NS - 1)
    assert asked(leases, limit, at=NOW + FULL_NS) == [lease]


def test_nobody_begins_under_a_lease_that_may_end_before_its_request() -> None:
    limit = a_limit()
    leases = with_slots(5, limit)
    assert entered(leases, limit, at=NOW + BEGIN_S * NS_PER_S - 1) is not None
    assert entered(leases, limit, at=NOW + BEGIN_S * NS_PER_S) is None


def test_a_lowered_limit_is_asked_about_anew() -> None:
    limit = a_limit(10)
    leases = with_slots(5, limit)
    lowered = ConcurrencyLimit(tenant_id=limit.tenant_id, limit_id=limit.limit_id, slots_max=2, scope=limit.scope)
    assert entered(leases, lowered) is None


def test_what_nobody_gave_back_ends_with_the_requests_deadline() -> None:
    limit = a_limit()
    leases = with_slots(1, limit)
    assert entered(leases, limit) is not None
    later = NOW + DEADLINE_S * NS_PER_S
    assert asked(leases, limit, at=later - 1)[0].used == 1
    assert asked(leases, limit, at=later)[0].used == 0


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("enter"), st.integers(1, 3)),
        st.tuples(st.just("leave"), st.integers(0, 9)),
        st.tuples(st.just("lend"), st.integers(0, 6)),
    )
)


@given(steps=STEPS)
def test_used_is_what_runs_and_never_above_what_was_lent(steps: list[tuple[str, int]]) -> None:
    limits = (a_limit(6), a_limit(6))
    leases = SlotLeases(deadline_s=DEADLINE_S)
    running: dict[UUID, tuple[ConcurrencyLimit, ...]] = {}
    for kind, number in steps:
        if kind == "enter":
            covering = tuple(limit for place, limit in enumerate(limits) if number >> place & 1)
            request_id = uuid4()
            try:
                lacking = leases.enter(request_id, covering, NOW)
            except ConcurrencyLimited:
                continue
            running[request_id] = covering
            for lease in lacking:
                grant(leases, lease, lease.used + number - 1, is_enough=number > 1)
                if not leases.lend(lease, NOW):
                    leases.leave(request_id)
                    del running[request_id]
                    break
                leases.hold(request_id, lease)
        elif kind == "leave" and running:
            request_id = list(running)[number % len(running)]
            leases.leave(request_id)
            del running[request_id]
        elif kind == "lend":
            for lease in leases._leases.values():
                grant(leases, lease, max(lease.used, number), is_enough=number % 2 == 0)
        for limit_id, lease in leases._leases.items():
            assert lease.used == sum(limit.limit_id == limit_id for held in running.values() for limit in held)
            assert lease.used <= lease.slots
