"""Credit: grants of a tenant, in which order they are drawn, and what of them expires. Pure.

Called by `credits` when usage is drawn from credit, and by whoever shows what is left. Invariant: what is drawn and
expired of all grants together is what the credit's budget has spent, as far as the grants reach; of no grant more
than its amount.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal
from uuid import UUID

import msgspec

from billing.ledger import Currency

CreditKind = Literal["prepaid", "promotional"]
NEVER: Final = "9999"


class CreditGrant(msgspec.Struct, frozen=True, kw_only=True):
    """An amount that a tenant may use before it pays for more. Promotional credit is a gift."""

    tenant_id: UUID
    grant_id: UUID
    kind: CreditKind
    currency: Currency
    amount_nano_usd: int
    expires_at: datetime | None
    note: str
    granted_by: str
    created_at: datetime
    drawn_nano_usd: int = 0
    expired_nano_usd: int = 0

    @property
    def left_nano_usd(self) -> int:
        """What is neither drawn nor expired."""
        return self.amount_nano_usd - self.drawn_nano_usd - self.expired_nano_usd

    def is_expired(self, now: datetime) -> bool:
        """Tell whether nothing may be drawn of it any more."""
        return self.expires_at is not None and self.expires_at <= now


class CreditMove(msgspec.Struct, frozen=True, kw_only=True):
    """What is drawn of a grant, and what expires of it; a negative draw gives back."""

    grant: CreditGrant
    drawn_nano_usd: int = 0
    expired_nano_usd: int = 0


def draw(grants: Sequence[CreditGrant], amount_nano_usd: int) -> list[CreditMove]:
    """Draw an amount: promotional first, then what expires first, then what is older. Less than nothing gives back.

    What the grants do not hold is left out: it stays owed.
    """
    moves = []
    left = amount_nano_usd
    for grant in sorted(grants, key=_order, reverse=amount_nano_usd < 0):
        part = min(left, grant.left_nano_usd) if left > 0 else max(left, -grant.drawn_nano_usd)
        if part:
            moves.append(CreditMove(grant=grant, drawn_nano_usd=part))
            left -= part
    return moves


def expire(grants: Sequence[CreditGrant], now: datetime, *, free_nano_usd: int) -> list[CreditMove]:
    """Let expire what is left of grants whose time is over, as far as no call that runs holds it."""
    moves = []
    for grant in sorted(grants, key=_order):
        part = min(grant.left_nano_usd, max(0, free_nano_usd)) if grant.is_expired(now) else 0
        if part:
            moves.append(CreditMove(grant=grant, expired_nano_usd=part))
            free_nano_usd -= part
    return moves


def moved(grants: Sequence[CreditGrant], moves: Sequence[CreditMove]) -> list[CreditGrant]:
    """The grants after their moves."""
    by_id = {grant.grant_id: grant for grant in grants}
    for move in moves:
        grant = by_id[move.grant.grant_id]
        by_id[grant.grant_id] = msgspec.structs.replace(
            grant,
            drawn_nano_usd=grant.drawn_nano_usd + move.drawn_nano_usd,
            expired_nano_usd=grant.expired_nano_usd + move.expired_nano_usd,
        )
    return list(by_id.values())


def _order(grant: CreditGrant) -> tuple[bool, str, datetime, int]:
    expires = grant.expires_at.isoformat() if grant.expires_at else NEVER
    return grant.kind != "promotional", expires, grant.created_at, grant.grant_id.int
