"""`/keys`: the tenant's API keys. A key itself is answered once, when it is made.

Invariant: nobody hands out a scope that its own key does not hold, but that of calling models.
"""

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec
from litestar import Controller, delete, get, post
from litestar.params import FromPath, JSONBody

from app.http.api.access import Caller
from app.http.api.answers import PAGE, After, Limit, Page, answer_of, page_of
from app.http.api.once import SHOWS_SECRET
from app.http.api.projects import Name
from app.http.api.services import Services
from tenants import (
    APIKey,
    CreatedKey,
    FieldInvalid,
    KeyKind,
    KeyPrefix,
    Scope,
    create_key,
    list_keys,
    revoke_key,
    rotate_key,
)

LIFETIME_DAYS_MAX: Final = 3_650
OVERLAP_S: Final = 86_400

KeyState = Literal["live", "expired", "revoked"]


class NewKey(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a key is made of: the tenant's first project when none is named, every scope that may be given when none is.

    A test key is a model key that people can tell from a live one.
    """

    name: Name
    kind: KeyKind = KeyKind.MODEL
    is_test: bool = False
    project_id: UUID | None = None
    scopes: Annotated[tuple[Scope, ...], msgspec.Meta(min_length=1, max_length=len(Scope))] | None = None
    expires_at: datetime | None = None


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the old key still works."""

    overlap_s: Annotated[int, msgspec.Meta(ge=0, le=30 * 86_400)] = OVERLAP_S


class KeyAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it can be shown."""

    api_key_id: UUID
    project_id: UUID
    name: str
    kind: KeyKind
    prefix: str
    last_four: str
    scopes: tuple[Scope, ...]
    state: KeyState
    created_by: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class CreatedKeyAnswer(KeyAnswer, frozen=True, kw_only=True):
    """A new key; `api_key` is the key itself, and this is the only time it is seen."""

    api_key: str

    def __repr__(self) -> str:
        return f"CreatedKeyAnswer(api_key_id={self.api_key_id})"


class Keys(Controller):
    """Keys of every project of the tenant."""

    path = "/keys"
    tags = ("Keys",)

    @get(summary="List keys, newest first")
    async def list_keys(
        self, caller: Caller, services: Services, limit: Limit = PAGE, after: After = None
    ) -> Page[KeyAnswer]:
        """With those that no longer work."""
        now = services.now()
        keys = await list_keys(services.database, caller.tenant_id, after=after, limit=limit + 1)
        return page_of([_answer(each, now) for each in keys], lambda key: key.api_key_id, limit=limit)

    @post(summary="Create a key", opt={SHOWS_SECRET: True})
    async def create_key(self, caller: Caller, services: Services, data: JSONBody[NewKey]) -> CreatedKeyAnswer:
        """Keep `api_key` now: only its hash is stored."""
        if data.expires_at is not None:
            _refuse_long_life(data.expires_at, services.now())
        created = await create_key(
            services.database,
            services.vault,
            caller.principal.actor,
            caller.tenant_id,
            name=data.name,
            project_id=data.project_id,
            prefix=_prefix(data),
            scopes=data.scopes,
            held=caller.principal.scopes,
            expires_at=data.expires_at,
        )
        return _created(created, services.now())

    @post("/{api_key_id:uuid}/rotate", summary="Replace a key", opt={SHOWS_SECRET: True})
    async def rotate_key(
        self, caller: Caller, services: Services, api_key_id: FromPath[UUID], data: JSONBody[Rotation | None] = None
    ) -> CreatedKeyAnswer:
        """Create a key like this one; this one stops after the overlap, a day when none is given."""
        created = await rotate_key(
            services.database,
            services.vault,
            caller.principal.actor,
            caller.tenant_id,
            api_key_id,
            overlap_s=(data or Rotation()).overlap_s,
            held=caller.principal.scopes,
        )
        return _created(created, services.now())

    @delete("/{api_key_id:uuid}", summary="Revoke a key")
    async def revoke_key(self, caller: Caller, services: Services, api_key_id: FromPath[UUID]) -> None:
        """It stops everywhere within a second. Revoking again changes nothing."""
        await revoke_key(services.database, caller.principal.actor, caller.tenant_id, api_key_id)


def _prefix(new: NewKey) -> KeyPrefix:
    match new.kind, new.is_test:
        case KeyKind.MANAGEMENT, False:
            return KeyPrefix.MANAGEMENT
        case KeyKind.MANAGEMENT, True:
            raise FieldInvalid("is_test", "Only a model key can be a test key. Leave out is_test, or kind.")
        case _:
            return KeyPrefix.TEST if new.is_test else KeyPrefix.LIVE


def _refuse_long_life(expires_at: datetime, now: datetime) -> None:
    # What has no zone is refused by the service.
    if expires_at.tzinfo is not None and expires_at > now + timedelta(days=LIFETIME_DAYS_MAX):
        raise FieldInvalid(
            "expires_at",
            f"expires_at is {expires_at.isoformat()}; give a moment within {LIFETIME_DAYS_MAX:,} days, "
            "or leave it out for a key that does not expire.",
        )


def _created(created: CreatedKey, now: datetime) -> CreatedKeyAnswer:
    made = created.key
    return answer_of(
        CreatedKeyAnswer, made, api_key=created.secret, scopes=tuple(sorted(made.scopes)), state=_state(made, now)
    )


def _answer(key: APIKey, now: datetime) -> KeyAnswer:
    return answer_of(KeyAnswer, key, scopes=tuple(sorted(key.scopes)), state=_state(key, now))


def _state(key: APIKey, now: datetime) -> KeyState:
    if key.revoked_at is not None:
        return "revoked"
    return "live" if key.is_live(now) else "expired"
