"""Console sessions: signing in with email and password, finding the session of a cookie, signing out.

Called by the console. Invariants: a session's token is 256 random bits of which only the hash is
stored; an email that nobody has takes as long as a wrong password.
"""

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from tenants import repository
from tenants.audit import record_audit
from tenants.database import Database
from tenants.errors import FieldInvalid, ScopeMissing, SignInBlocked, SignInFailed
from tenants.fields import PASSWORD_CHARACTERS_MAX, email_of
from tenants.passwords import is_password
from tenants.principal import PLATFORM_TENANT_ID, ROLE_SCOPES, Actor, MemberRole, Scope

SESSION_LIFETIME: Final = timedelta(hours=12)
TOKEN_BYTES: Final = 32
# Counted by email over all processes, in the database; the right password clears the count.
ATTEMPTS_MAX: Final = 10
ATTEMPT_WINDOW_S: Final = 900


class TenantKind(StrEnum):
    """Which console is signed in to: a customer's, or the operator's."""

    CUSTOMER = "customer"
    PLATFORM = "platform"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsoleSession:
    """A signed-in member. `cookie_value` is the secret that the browser keeps."""

    tenant_id: UUID
    tenant_name: str
    member_id: UUID
    email: str
    role: MemberRole
    csrf_token: str = field(repr=False)
    cookie_value: str = field(repr=False)
    expires_at: datetime

    @property
    def actor(self) -> Actor:
        """The member, as an audit event names it."""
        kind = "operator" if self.role is MemberRole.OPERATOR else "member"
        return Actor(kind=kind, id=str(self.member_id), name=self.email)

    def require(self, scope: Scope) -> None:
        """Raise ScopeMissing unless the member's role holds the scope."""
        if scope not in ROLE_SCOPES[self.role]:
            raise ScopeMissing(scope, f"the role '{self.role}'")


async def sign_in(database: Database, email: str, password: str, *, within: TenantKind) -> ConsoleSession:
    """Open a session for the member with this email and password, in a customer's tenant or the platform.

    Raises SignInFailed, or SignInBlocked after too many tries. A member of several tenants enters the
    one, oldest first, whose password this is.
    """
    candidates = await _candidates(database, email, within)
    if len(password) > PASSWORD_CHARACTERS_MAX:
        raise SignInFailed
    for tenant_id, member_id, password_hash in candidates:
        if await is_password(password_hash, password):
            return await _open(database, email, tenant_id, member_id)
    if not candidates:
        await is_password(None, password)
    raise SignInFailed


async def find_session(database: Database, cookie_value: str) -> ConsoleSession | None:
    """The session of a cookie; None when it is malformed, unknown, expired, or its member is disabled."""
    parsed = _parse(cookie_value)
    if parsed is None:
        return None
    tenant_id, token = parsed
    async with database.tenant(tenant_id) as session:
        return await _find(session, tenant_id, token)


async def sign_out(database: Database, cookie_value: str) -> None:
    """End the session of a cookie, if there is one."""
    parsed = _parse(cookie_value)
    if parsed is None:
        return
    tenant_id, token = parsed
    async with database.tenant(tenant_id) as session:
        found = await _find(session, tenant_id, token)
        member_id = await repository.delete_console_session(session, tenant_id, _hash(token))
        if found is not None and member_id is not None:
            await record_audit(session, tenant_id, found.actor, "member.signed_out", f"member:{member_id}")


async def _candidates(database: Database, email: str, within: TenantKind) -> list[tuple[UUID, UUID, str]]:
    try:
        email = email_of("email", email)
    except FieldInvalid:
        return []
    async with database.nobody() as session:
        # Counted before the password is looked at: guesses sent at the same moment all count.
        wait_s = await repository.count_sign_in_attempt(
            session, email, attempts_max=ATTEMPTS_MAX, window_s=ATTEMPT_WINDOW_S
        )
        candidates = await repository.sign_in_candidates(session, email)
    if wait_s is not None:
        raise SignInBlocked(
            f"There were more than {ATTEMPTS_MAX} tries to sign in with this email. "
            f"Wait {-(-wait_s // 60)} min, then try again.",
            retry_after_s=wait_s,
        )
    is_platform = within is TenantKind.PLATFORM
    return [candidate for candidate in candidates if (candidate[0] == PLATFORM_TENANT_ID) == is_platform]


async def _open(database: Database, email: str, tenant_id: UUID, member_id: UUID) -> ConsoleSession:
    token = secrets.token_bytes(TOKEN_BYTES)
    async with database.tenant(tenant_id) as session:
        await repository.clear_sign_in_attempts(session, email.strip())
        await repository.insert_console_session(
            session,
            tenant_id,
            member_id,
            session_hash=_hash(token),
            expires_at=datetime.now(UTC) + SESSION_LIFETIME,
        )
        opened = await _find(session, tenant_id, token)
        if opened is None:  # disabled while the password was verified
            raise SignInFailed
        await record_audit(session, tenant_id, opened.actor, "member.signed_in", f"member:{member_id}")
    return opened


async def _find(session: AsyncSession, tenant_id: UUID, token: bytes) -> ConsoleSession | None:
    found = await repository.find_console_session(session, tenant_id, _hash(token))
    if found is None:
        return None
    member, tenant_name, expires_at = found
    return ConsoleSession(
        tenant_id=tenant_id,
        tenant_name=tenant_name,
        member_id=member.member_id,
        email=member.email,
        role=MemberRole(member.role),
        csrf_token=hmac.digest(token, b"signalbox v1 csrf", "sha256").hex(),
        cookie_value=f"{tenant_id.hex}.{base64.urlsafe_b64encode(token).decode()}",
        expires_at=expires_at,
    )


def _parse(cookie_value: str) -> tuple[UUID, bytes] | None:
    # The tenant stands in the cookie so that the lookup runs under that tenant's row security.
    tenant, _, token = cookie_value.partition(".")
    try:
        parsed = UUID(hex=tenant), base64.b64decode(token, altchars=b"-_", validate=True)
    except ValueError:
        return None
    return parsed if len(parsed[1]) == TOKEN_BYTES else None


def _hash(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
