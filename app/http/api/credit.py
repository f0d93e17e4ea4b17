"""`/credit`: what the tenant was given before it uses it, and what of it is left."""

from datetime import datetime
from uuid import UUID

import msgspec
from litestar import Controller, get

from app.http.api.access import Caller
from app.http.api.answers import answer_of
from app.http.api.services import Services
from billing import CreditKind, Currency, credit_states


class GrantAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """One grant; promotional credit is drawn first, then what expires first. Drawing follows within a minute."""

    grant_id: UUID
    kind: CreditKind
    amount_nano_usd: int
    amount_usd: str
    drawn_nano_usd: int
    drawn_usd: str
    expired_nano_usd: int
    expired_usd: str
    expires_at: datetime | None
    note: str
    created_at: datetime


class CreditAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Credit in one currency: granted = spent + reserved + left. XTS is for calls of simulated models."""

    currency: Currency
    granted_nano_usd: int
    granted_usd: str
    spent_nano_usd: int
    spent_usd: str
    reserved_nano_usd: int
    reserved_usd: str
    left_nano_usd: int
    left_usd: str
    grants: tuple[GrantAnswer, ...]


class CreditList(msgspec.Struct, frozen=True, kw_only=True):
    """The tenant's credit by currency; empty: it is billed for what it used."""

    data: tuple[CreditAnswer, ...]


class Credit(Controller):
    """What a tenant may spend of what it was given."""

    path = "/credit"
    tags = ("Credit",)

    @get(summary="Read the credit")
    async def read_credit(self, caller: Caller, services: Services) -> CreditList:
        """The state of the tenant's credit; a call that it does not hold is refused with 402."""
        async with services.database.tenant(caller.tenant_id) as session:
            states = await credit_states(session, caller.tenant_id)
        return CreditList(
            data=tuple(
                answer_of(CreditAnswer, state, grants=tuple(answer_of(GrantAnswer, grant) for grant in state.grants))
                for state in states
            )
        )
