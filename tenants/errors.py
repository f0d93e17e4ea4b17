"""Errors of tenants. They carry facts, not HTTP, and never a secret.

TenantError
├── KeyRejected              an API key is not accepted
│   ├── KeyUnknown           it is not ours, or of another database
│   ├── KeyExpired           its time is over
│   └── KeyRevoked           someone revoked it
├── TenantSuspended          the key is good, its tenant is suspended
├── ScopeMissing             the key or the role does not hold the scope
├── SignInFailed             email and password do not belong together
│   └── SignInBlocked        too many tries for this email, or too many at once
├── NotFound                 nothing of this kind has this id, for this tenant
├── NameTaken                another one has this name already
├── VersionOutdated          someone published a newer version meanwhile
├── FieldInvalid             a field does not make sense; names the field
├── LimitReached             the tenant holds as many of these as it may
├── MasterKeyWrong           the master key does not open what is stored
├── SecretRejected           a ciphertext does not belong where it stands
├── AuditBroken              an audit record does not fit its chain
└── DatabaseUnavailable      the database did not answer; nothing was changed
"""

from datetime import datetime
from uuid import UUID


class TenantError(Exception):
    """The root."""


class KeyRejected(TenantError):
    """An API key is not accepted."""


class KeyUnknown(KeyRejected):
    """No API key is spelled like this."""

    def __init__(self) -> None:
        super().__init__(
            "The API key is not known here. Keys look like sbx_live_…, sbx_test_… or sbm_…; "
            "copy it again, or create one under API keys."
        )


class KeyExpired(KeyRejected):
    """The API key's time is over."""

    def __init__(self, key_name: str, expired_at: datetime) -> None:
        super().__init__(
            f"The API key '{key_name}' expired {expired_at:%Y-%m-%dT%H:%MZ}. Create or rotate one under API keys."
        )
        self.expired_at = expired_at


class KeyRevoked(KeyRejected):
    """The API key was revoked."""

    def __init__(self, key_name: str) -> None:
        super().__init__(f"The API key '{key_name}' was revoked. Create another one under API keys.")


class TenantSuspended(TenantError):
    """The key is good, but its tenant is suspended."""

    def __init__(self, tenant_name: str) -> None:
        super().__init__(f"The tenant '{tenant_name}' is suspended. Ask the operator of this gateway to resume it.")


class ScopeMissing(TenantError):
    """The caller does not hold the scope that this needs."""

    def __init__(self, scope: str, caller: str = "this caller") -> None:
        super().__init__(f"This needs the scope '{scope}', which {caller} does not hold. Use a key or role that does.")
        self.scope = scope


class SignInFailed(TenantError):
    """Email and password do not belong together; says no more, so that it tells no one who is a member."""

    def __init__(self, message: str = "The email or the password is not right. Check both and try again.") -> None:
        super().__init__(message)


class SignInBlocked(SignInFailed):
    """Too many tries; the right password is not accepted either until `retry_after_s` have passed."""

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NotFound(TenantError):
    """Nothing of this kind has this id, as far as this tenant can see."""

    def __init__(self, kind: str, found_by: UUID | str) -> None:
        super().__init__(f"There is no {kind} '{found_by}'. List them to find the right id.")
        self.kind = kind
        self.id = str(found_by)


class NameTaken(TenantError):
    """Another one of this kind has this name."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"There is already a {kind} called '{name}'. Choose another name.")
        self.kind = kind
        self.name = name


class VersionOutdated(TenantError):
    """The version that was to be replaced is not the active one any more."""

    def __init__(self, kind: str, name: str, version: int) -> None:
        state = f"is at version {version}" if version else "does not exist yet"
        super().__init__(f"The {kind} '{name}' {state}, so nothing was changed. Read it again and repeat the change.")
        self.version = version


class FieldInvalid(TenantError):
    """A field does not make sense; the message says its value, unless that is secret, and what to do."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class LimitReached(TenantError):
    """The tenant holds as many of these as it may."""

    def __init__(self, kind: str, limit: int) -> None:
        super().__init__(f"A tenant can have {limit:,} of: {kind}. Remove one that is not used, then try again.")
        self.kind = kind
        self.limit = limit


class MasterKeyWrong(TenantError):
    """The master key is malformed, or does not open what is stored."""


class SecretRejected(TenantError):
    """A ciphertext does not belong to the tenant, table, column and row where it stands, or was changed."""


class AuditBroken(TenantError):
    """An audit record does not fit its chain; `line` and `sequence` name the first that does not."""

    def __init__(self, message: str, *, line: int | None = None, sequence: int | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.sequence = sequence


class DatabaseUnavailable(TenantError):
    """The database did not answer; nothing was changed."""

    def __init__(self) -> None:
        super().__init__("The database does not answer. Try again in a moment; `signalbox doctor` says more.")
