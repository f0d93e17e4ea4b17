"""What the request path knows of tenants, in memory: keys, credentials and policies.

One per process, started by the program; called for each request. Loaded on demand, bounded, and kept
fresh by the change feed: a revoked key stops within a second, within five when notifications are
lost. Invariant: presented keys are remembered only as keyed hashes, and plaintext credentials for five
minutes at most.
"""

import asyncio
import hmac
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from sqlalchemy.exc import ProgrammingError

from tenants import example_repository, quality_repository
from tenants import snapshot_repository as repository
from tenants.cache import TenantCache
from tenants.change_feed import EVERYONE, POLL_INTERVAL_S, ChangeFeed
from tenants.contracts import Contract, contract_of
from tenants.credentials import secret_place
from tenants.crypto import Vault, WrappedKey, sealed_key_version, unseal
from tenants.database import DATABASE_ERRORS, Database
from tenants.errors import (
    DatabaseUnavailable,
    KeyExpired,
    KeyRevoked,
    KeyUnknown,
    NotFound,
    SecretRejected,
    TenantSuspended,
)
from tenants.feedback import MeasuredQuality, measured_of
from tenants.key_text import key_prefix
from tenants.plaintexts import Plaintexts
from tenants.principal import Principal, Scope
from tenants.tenancy import TenantStatus

KEYS_MAX: Final = 100_000
TENANTS_MAX: Final = 10_000
POLICIES_MAX: Final = 10_000
UNKNOWN_KEYS_MAX: Final = 10_000
UNKNOWN_KEY_S: Final = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialFacts:
    """A provider credential without its secret."""

    tenant_id: UUID
    credential_id: UUID
    provider_name: str
    name: str
    base_url: str | None
    weight: int = 1  # its share of the calls, beside others of the same provider
    contract: Contract | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPolicy:
    """The active version of a routing policy; `document` is JSON."""

    tenant_id: UUID
    name: str
    version: int
    document: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _KeyFacts:
    """A key that exists, and whether it is accepted."""

    principal: Principal
    expires_at: float  # seconds since 1970; infinity when it never does
    is_revoked: bool
    is_suspended: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _TenantFacts:
    """What one tenant has stored; the secrets are sealed."""

    credentials: tuple[CredentialFacts, ...]
    policy_names: tuple[str, ...]
    measured: tuple[MeasuredQuality, ...]
    sealed: Mapping[UUID, bytes] = field(repr=False)
    keys: Mapping[int, WrappedKey] = field(repr=False)


class Snapshot:
    """The cached facts of tenants. Methods that load raise DatabaseUnavailable when they cannot."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        *,
        poll_interval_s: float = POLL_INTERVAL_S,
        is_listening: bool = True,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._vault = vault
        self._now = now
        self._keys: TenantCache[bytes, _KeyFacts] = TenantCache(self._load_key, entries_max=KEYS_MAX)
        self._tenants: TenantCache[UUID, _TenantFacts] = TenantCache(self._load_tenant, entries_max=TENANTS_MAX)
        self._policies: TenantCache[tuple[UUID, str], StoredPolicy] = TenantCache(
            self._load_policy, entries_max=POLICIES_MAX
        )
        self._plaintexts = Plaintexts(time.monotonic)
        self._unknown_keys: OrderedDict[bytes, float] = OrderedDict()
        self._subscribers: list[Callable[[UUID], None]] = []
        self._feed = ChangeFeed(database, self._on_change, poll_interval_s=poll_interval_s, is_listening=is_listening)

    async def start(self) -> None:
        """Start to hear of changes."""
        await self._feed.start()

    async def stop(self) -> None:
        """Stop hearing of changes, and forget everything, since it would go stale."""
        await self._feed.stop()
        self._drop(EVERYONE)

    def subscribe(self, callback: Callable[[UUID], None]) -> None:
        """Call back with the tenant that changed. EVERYONE (zero) and PLATFORM_TENANT_ID concern all tenants."""
        self._subscribers.append(callback)

    def cached_principal(self, presented_key: str) -> Principal | None:
        """The principal if the key is in memory and accepted; else None, and `principal` tells why."""
        if not presented_key.isascii():
            return None
        facts = self._keys.cached(self._vault.api_key_hash(presented_key))
        if facts is None or facts.is_revoked or facts.is_suspended or facts.expires_at <= self._now():
            return None
        return facts.principal

    async def principal(self, presented_key: str) -> Principal:
        """The caller behind a key. Raises KeyUnknown, KeyRevoked, KeyExpired, TenantSuspended."""
        if key_prefix(presented_key) is None:
            raise KeyUnknown
        key_hash = self._vault.api_key_hash(presented_key)
        if self._unknown_keys.get(key_hash, 0.0) > self._now():
            raise KeyUnknown
        facts = await self._keys.get(key_hash)
        if facts is None:
            self._remember_unknown(key_hash)
            raise KeyUnknown
        principal = facts.principal
        if facts.is_revoked:
            raise KeyRevoked(principal.key_name)
        if facts.expires_at <= self._now():
            raise KeyExpired(principal.key_name, datetime.fromtimestamp(facts.expires_at, UTC))
        if facts.is_suspended:
            raise TenantSuspended(principal.tenant_name)
        return principal

    async def credentials(self, tenant_id: UUID) -> tuple[CredentialFacts, ...]:
        """The tenant's own credentials that are not disabled, oldest first."""
        return (await self._tenant(tenant_id)).credentials

    async def secret(self, tenant_id: UUID, credential_id: UUID) -> str:
        """The plaintext of a credential, for one call. Raises NotFound, SecretRejected, MasterKeyWrong."""
        facts = await self._tenant(tenant_id)
        sealed = facts.sealed.get(credential_id)
        if sealed is None:
            raise NotFound("provider credential", credential_id)
        opened = self._plaintexts.get(credential_id, sealed)
        if opened is not None:
            return opened
        key = facts.keys.get(sealed_key_version(sealed))
        if key is None:
            raise SecretRejected(
                f"The secret of provider credential {credential_id} needs a tenant key that is gone. Store it again."
            )
        secret = unseal(self._vault.open_tenant_key(key), sealed, secret_place(tenant_id, credential_id))
        self._plaintexts.put(credential_id, sealed, secret)
        return secret

    async def policy(self, tenant_id: UUID, name: str) -> StoredPolicy | None:
        """The tenant's active policy of this name."""
        # Names come from callers, so one that does not exist must not cost a read each time.
        if name not in await self.policy_names(tenant_id):
            return None
        return await self._policies.get((tenant_id, name))

    async def policy_names(self, tenant_id: UUID) -> tuple[str, ...]:
        """The names of the tenant's policies, sorted."""
        return (await self._tenant(tenant_id)).policy_names

    async def measured_quality(self, tenant_id: UUID) -> tuple[MeasuredQuality, ...]:
        """What the tenant measured of models, as it was folded last."""
        return (await self._tenant(tenant_id)).measured

    async def example_index(self, tenant_id: UUID) -> bytes | None:
        """The index of the tenant's examples. Not kept here: it is large, and kept by whoever makes it ready."""
        with _reads():
            async with self._database.snapshot() as session:
                return await example_repository.find_index(session, tenant_id)

    async def _tenant(self, tenant_id: UUID) -> _TenantFacts:
        facts = await self._tenants.get(tenant_id)
        assert facts is not None
        return facts

    def _on_change(self, tenant_id: UUID) -> None:
        self._drop(tenant_id)
        loop = asyncio.get_running_loop()
        for callback in self._subscribers:
            # Not called from here: a subscriber that fails must not stop the feed.
            loop.call_soon(callback, tenant_id)

    def _drop(self, tenant_id: UUID) -> None:
        self._unknown_keys.clear()
        self._plaintexts.clear()
        for cache in (self._keys, self._tenants, self._policies):
            if tenant_id == EVERYONE:
                cache.clear()
            else:
                cache.drop_tenant(tenant_id)

    def _remember_unknown(self, key_hash: bytes) -> None:
        self._unknown_keys[key_hash] = self._now() + UNKNOWN_KEY_S
        if len(self._unknown_keys) > UNKNOWN_KEYS_MAX:
            self._unknown_keys.popitem(last=False)

    async def _load_key(self, key_hash: bytes) -> tuple[UUID, _KeyFacts] | None:
        with _reads():
            async with self._database.snapshot() as session:
                row = await repository.find_key(session, key_hash)
        if row is None or not hmac.compare_digest(row.key_hash, key_hash):
            return None
        principal = Principal(
            tenant_id=row.tenant_id,
            project_id=row.project_id,
            api_key_id=row.api_key_id,
            tenant_name=row.tenant_name,
            project_name=row.project_name,
            key_name=row.name,
            scopes=frozenset(map(Scope, row.scopes)),
        )
        return row.tenant_id, _KeyFacts(
            principal=principal,
            expires_at=row.expires_at.timestamp() if row.expires_at else float("inf"),
            is_revoked=row.revoked_at is not None,
            is_suspended=row.tenant_status != TenantStatus.ACTIVE,
        )

    async def _load_tenant(self, tenant_id: UUID) -> tuple[UUID, _TenantFacts]:
        with _reads():
            async with self._database.snapshot() as session:
                credentials = await repository.select_credentials(session, tenant_id)
                keys = await repository.select_tenant_keys(session, tenant_id)
                policy_names = await repository.select_policy_names(session, tenant_id)
                measured = await quality_repository.select_evidence(session, tenant_id)
        return tenant_id, _TenantFacts(
            credentials=tuple(
                CredentialFacts(
                    tenant_id=tenant_id,
                    credential_id=row.credential_id,
                    provider_name=row.provider_name,
                    name=row.name,
                    base_url=row.base_url,
                    weight=row.weight,
                    contract=contract_of(row.contract),
                )
                for row in credentials
            ),
            policy_names=policy_names,
            measured=measured_of(measured),
            sealed={row.credential_id: row.secret for row in credentials},
            keys={key.version: key for key in keys},
        )

    async def _load_policy(self, key: tuple[UUID, str]) -> tuple[UUID, StoredPolicy] | None:
        tenant_id, name = key
        with _reads():
            async with self._database.snapshot() as session:
                found = await repository.find_policy(session, tenant_id, name)
        if found is None:
            return None
        version, document = found
        return tenant_id, StoredPolicy(tenant_id=tenant_id, name=name, version=version, document=document.encode())


@contextmanager
def _reads() -> Iterator[None]:
    try:
        yield
    except ProgrammingError:
        raise  # a fault of ours, or a schema that was not migrated
    except DATABASE_ERRORS as error:
        raise DatabaseUnavailable from error
