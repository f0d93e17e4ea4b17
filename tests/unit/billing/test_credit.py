"""Grants under any sequence of grants, calls, corrections and expiries hold together to the nano-dollar."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from billing import CreditGrant
from billing.credit import CreditMove, draw, expire, moved

START = datetime(2026, 11, 24, tzinfo=UTC)


def a_grant(number: int = 1, *, amount: int = 100, **fields: object) -> CreditGrant:
    grant = CreditGrant(
        tenant_id=UUID(int=1),
        grant_id=UUID(int=number),
        kind="prepaid",
        currency="USD",
        amount_nano_usd=amount,
        expires_at=None,
        note="",
        granted_by="test",
        created_at=START + timedelta(seconds=number),
    )
    return msgspec.structs.replace(grant, **fields)


def drawn_of(moves: list[CreditMove]) -> dict[int, int]:
    return {move.grant.grant_id.int: move.drawn_nano_usd for move in moves}


def test_gifts_go_first_then_what_expires_first_then_what_is_older() -> None:
    soon, later = START + timedelta(days=1), START + timedelta(days=9)
    grants = [
        a_grant(1),
        a_grant(2, expires_at=later),
        a_grant(3, kind="promotional"),
        a_grant(4, kind="promotional", expires_at=soon),
        a_grant(5),
    ]
    assert drawn_of(draw(grants, 450)) == {4: 100, 3: 100, 2: 100, 1: 100, 5: 50}


def test_what_is_given_back_comes_back_where_it_was_drawn_last() -> None:
    grants = [a_grant(1, kind="promotional", drawn_nano_usd=100), a_grant(2, drawn_nano_usd=30)]
    assert drawn_of(draw(grants, -50)) == {2: -30, 1: -20}


def test_what_the_grants_do_not_hold_stays_owed() -> None:
    assert drawn_of(draw([a_grant(1)], 130)) == {1: 100}
    assert draw([], 5) == []


def test_what_a_running_call_holds_does_not_expire_under_it() -> None:
    over = a_grant(1, expires_at=START)
    [move] = expire([over], START, free_nano_usd=60)
    assert move.expired_nano_usd == 60
    assert expire([over], START - timedelta(seconds=1), free_nano_usd=60) == []
    assert expire([over], START, free_nano_usd=-3) == []


class Credits(RuleBasedStateMachine):
    """A credit's budget beside its grants: as `draw_credit` moves both, in any order of what can happen."""

    def __init__(self) -> None:
        super().__init__()
        self.grants: list[CreditGrant] = []
        self.granted = self.spent = self.reserved = self.used = 0
        self.entries: dict[str, int] = {}
        self.now = START

    @rule(
        amount=st.integers(1, 200), kind=st.sampled_from(["prepaid", "promotional"]), days=st.none() | st.integers(1, 5)
    )
    def grant(self, amount: int, kind: str, days: int | None) -> None:
        expires_at = None if days is None else self.now + timedelta(days=days)
        self.grants.append(a_grant(len(self.grants) + 1, amount=amount, kind=kind, expires_at=expires_at))
        self.granted += amount
        self.post(kind, -amount)

    @rule(bound=st.integers(0, 150))
    def reserve(self, bound: int) -> None:
        if self.spent + self.reserved + bound <= self.granted:
            self.reserved += bound

    @rule(part=st.integers(0, 100))
    def settle(self, part: int) -> None:
        charge = self.reserved * part // 100
        self.reserved = 0
        self.spent += charge
        self.used += charge

    @rule(change=st.integers(-60, 60))
    def correct(self, change: int) -> None:
        """A statement or a new price says another amount of what was used."""
        change = max(change, -self.used)
        self.spent += change
        self.used += change

    @rule(days=st.integers(0, 3))
    def draw_and_expire(self, days: int) -> None:
        self.now += timedelta(days=days)
        counted = sum(grant.drawn_nano_usd + grant.expired_nano_usd for grant in self.grants)
        self.move(draw(self.grants, self.spent - counted))
        over = expire(self.grants, self.now, free_nano_usd=self.granted - self.spent - self.reserved)
        self.move(over)
        self.spent += sum(move.expired_nano_usd for move in over)
        assert sum(grant.drawn_nano_usd for grant in self.grants) == min(
            self.used, self.granted - sum(grant.expired_nano_usd for grant in self.grants)
        )

    @invariant()
    def no_grant_gives_more_than_it_has(self) -> None:
        for grant in self.grants:
            assert grant.drawn_nano_usd >= 0
            assert grant.expired_nano_usd >= 0
            assert grant.left_nano_usd >= 0

    @invariant()
    def what_is_owed_to_the_tenant_is_what_its_grants_have_left(self) -> None:
        for kind in ("prepaid", "promotional"):
            left = sum(grant.left_nano_usd for grant in self.grants if grant.kind == kind)
            assert self.entries.get(kind, 0) == -left

    def move(self, moves: list[CreditMove]) -> None:
        for each in moves:
            self.post(each.grant.kind, each.drawn_nano_usd + each.expired_nano_usd)
        self.grants = moved(self.grants, moves)

    def post(self, account: str, amount: int) -> None:
        self.entries[account] = self.entries.get(account, 0) + amount


TestCredits = Credits.TestCase
TestCredits.settings = settings(max_examples=500, stateful_step_count=25, deadline=None)
