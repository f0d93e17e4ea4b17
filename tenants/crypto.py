"""All cryptography of Signalbox: the vault's envelope, the API keys' hash, the audit trail's signature.

The only importer of `cryptography`; needs nothing else but the standard library, so that the audit
verifier can stand on it. Invariant: key material leaves this file only as ciphertext, hash or signature.
"""

import hashlib
import hmac
import os
import struct
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tenants.errors import MasterKeyWrong, SecretRejected

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
# version of the format, version of the tenant key, nonce and wrapped data key, nonce and ciphertext
HEADER: Final = struct.Struct(f">BI{NONCE_BYTES}s{KEY_BYTES + TAG_BYTES}s{NONCE_BYTES}s")
FORMAT_VERSION: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a secret is stored; its ciphertext opens nowhere else."""

    tenant_id: UUID
    table: str
    column: str
    row: str

    def bound_to(self, key_version: int, purpose: str) -> bytes:
        """The additional data that AES-GCM authenticates."""
        return f"v1|{self.tenant_id}|{self.table}|{self.column}|{self.row}|{key_version}|{purpose}".encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class WrappedKey:
    """A tenant's key-encryption key as stored."""

    tenant_id: UUID
    version: int
    wrapped: bytes
    master_key_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TenantKey:
    """A tenant's key-encryption key, opened."""

    tenant_id: UUID
    version: int
    material: bytes = field(repr=False)


class Vault:
    """Everything derived from the master key, and nothing of the master key itself."""

    def __init__(self, master_key: bytes, master_key_id: str | None = None) -> None:
        """Raise MasterKeyWrong unless the key has 32 bytes; without an id, its fingerprint is the id."""
        if len(master_key) != KEY_BYTES:
            raise MasterKeyWrong(
                f"The master key has {len(master_key)} bytes and needs {KEY_BYTES}. "
                'Make one with `python -c "import base64, os; print(base64.b64encode(os.urandom(32)).decode())"`.'
            )
        self._wrapper = AESGCM(_derive(master_key, b"tenant-key wrapping"))
        self._pepper = _derive(master_key, b"api-key pepper")
        self._signer = Ed25519PrivateKey.from_private_bytes(_derive(master_key, b"audit signing"))
        self.master_key_id = master_key_id or _derive(master_key, b"master-key id")[:8].hex()
        self.audit_public_key = self._signer.public_key().public_bytes_raw()

    def __repr__(self) -> str:
        return f"Vault(master_key_id={self.master_key_id!r})"

    def api_key_hash(self, api_key: str) -> bytes:
        """What is stored of an API key: HMAC-SHA256 under the pepper."""
        return hmac.digest(self._pepper, api_key.encode(), "sha256")

    def new_tenant_key(self, tenant_id: UUID, version: int) -> WrappedKey:
        """Make a key-encryption key for a tenant; only its wrapped form exists after this."""
        place = _place_of_tenant_key(tenant_id)
        nonce = os.urandom(NONCE_BYTES)
        wrapped = self._wrapper.encrypt(nonce, os.urandom(KEY_BYTES), place.bound_to(version, self.master_key_id))
        return WrappedKey(
            tenant_id=tenant_id, version=version, wrapped=nonce + wrapped, master_key_id=self.master_key_id
        )

    def open_tenant_key(self, stored: WrappedKey) -> TenantKey:
        """Unwrap a tenant's key. Raises MasterKeyWrong when another master key wrapped it."""
        aad = _place_of_tenant_key(stored.tenant_id).bound_to(stored.version, stored.master_key_id)
        try:
            material = self._wrapper.decrypt(stored.wrapped[:NONCE_BYTES], stored.wrapped[NONCE_BYTES:], aad)
        except (InvalidTag, ValueError) as error:
            raise MasterKeyWrong(
                f"The master key '{self.master_key_id}' does not open the key of tenant {stored.tenant_id}, which was "
                f"written under the master key '{stored.master_key_id}'. Start with the master key that belongs to "
                "this database (SIGNALBOX_MASTER_KEY, SIGNALBOX_MASTER_KEY_FILE, or the key file in SIGNALBOX_HOME). "
                "Nothing was changed."
            ) from error
        return TenantKey(tenant_id=stored.tenant_id, version=stored.version, material=material)

    def sign_audit(self, statement: bytes) -> bytes:
        """Sign a statement about the audit trail with Ed25519."""
        return self._signer.sign(statement)


def seal(key: TenantKey, plaintext: str, place: Place) -> bytes:
    """Encrypt a secret under a fresh data key that the tenant's key wraps, bound to its place."""
    assert key.tenant_id == place.tenant_id
    data_key, wrap_nonce, nonce = os.urandom(KEY_BYTES), os.urandom(NONCE_BYTES), os.urandom(NONCE_BYTES)
    wrapped = AESGCM(key.material).encrypt(wrap_nonce, data_key, place.bound_to(key.version, "data-key"))
    ciphertext = AESGCM(data_key).encrypt(nonce, plaintext.encode(), place.bound_to(key.version, "secret"))
    return HEADER.pack(FORMAT_VERSION, key.version, wrap_nonce, wrapped, nonce) + ciphertext


def sealed_key_version(sealed: bytes) -> int:
    """The version of the tenant's key that a ciphertext needs."""
    return _unpack(sealed)[0]


def unseal(key: TenantKey, sealed: bytes, place: Place) -> str:
    """Decrypt a secret. Raises SecretRejected when it was changed or moved from another place."""
    version, wrap_nonce, wrapped, nonce = _unpack(sealed)
    try:
        data_key = AESGCM(key.material).decrypt(wrap_nonce, wrapped, place.bound_to(version, "data-key"))
        plaintext = AESGCM(data_key).decrypt(nonce, sealed[HEADER.size :], place.bound_to(version, "secret"))
    except InvalidTag as error:
        raise _rejected(place) from error
    return plaintext.decode()


def is_signed_by(public_key: bytes, statement: bytes, signature: bytes) -> bool:
    """Whether the Ed25519 signature of a statement is this key's."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, statement)
    except (InvalidSignature, ValueError):
        return False
    return True


def public_key_id(public_key: bytes) -> str:
    """A short name of a public key: the first 8 bytes of its SHA-256."""
    return hashlib.sha256(public_key).hexdigest()[:16]


def _derive(master_key: bytes, purpose: bytes) -> bytes:
    # RFC 5869; the master key is uniformly random, so no salt is needed: the purpose separates the keys.
    return HKDF(algorithm=hashes.SHA256(), length=KEY_BYTES, salt=None, info=b"signalbox v1 " + purpose).derive(
        master_key
    )


def _place_of_tenant_key(tenant_id: UUID) -> Place:
    return Place(tenant_id=tenant_id, table="tenant_key", column="wrapped", row=str(tenant_id))


def _unpack(sealed: bytes) -> tuple[int, bytes, bytes, bytes]:
    if len(sealed) < HEADER.size + TAG_BYTES or sealed[0] != FORMAT_VERSION:
        raise SecretRejected(
            f"A stored secret of {len(sealed)} bytes is not in a format that this version reads. "
            "Store the secret again, or upgrade Signalbox."
        )
    _, version, wrap_nonce, wrapped, nonce = HEADER.unpack_from(sealed)
    return version, wrap_nonce, wrapped, nonce


def _rejected(place: Place) -> SecretRejected:
    return SecretRejected(
        f"The secret stored in {place.table}.{place.column} of row {place.row}, tenant {place.tenant_id}, was changed "
        "or belongs elsewhere, and was not used. Store the secret again, and look at the audit trail."
    )
