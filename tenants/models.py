"""The tables of tenancy and audit as SQLAlchemy sees them; the schema itself is in migrations/.

Used by the repositories only. No relationships: what is read is what was selected.
"""

from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, BigInteger, DateTime, FetchedValue, Integer, LargeBinary, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, MappedColumn, mapped_column

from tenants.database import Base


def _id(*, is_key: bool = False) -> MappedColumn[UUID]:
    return mapped_column(Uuid, primary_key=is_key)


def _text(*, is_key: bool = False) -> MappedColumn[str]:
    return mapped_column(Text, primary_key=is_key)


def _time() -> MappedColumn[datetime]:
    return mapped_column(DateTime(timezone=True))


def _created() -> MappedColumn[datetime]:
    return mapped_column(DateTime(timezone=True), server_default=FetchedValue())


class TenantRow(Base):
    """A customer, or the platform itself."""

    __tablename__ = "tenant"
    tenant_id: Mapped[UUID] = _id(is_key=True)
    name: Mapped[str] = _text()
    status: Mapped[str] = mapped_column(Text, server_default=FetchedValue())
    time_zone: Mapped[str] = mapped_column(Text, server_default=FetchedValue())
    created_at: Mapped[datetime] = _created()


class TenantKeyRow(Base):
    """A tenant's key-encryption key, wrapped."""

    __tablename__ = "tenant_key"
    tenant_id: Mapped[UUID] = _id(is_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    wrapped: Mapped[bytes] = mapped_column(LargeBinary)
    master_key_id: Mapped[str] = _text()
    created_at: Mapped[datetime] = _created()


class ProjectRow(Base):
    """A tenant's project."""

    __tablename__ = "project"
    tenant_id: Mapped[UUID] = _id(is_key=True)
    project_id: Mapped[UUID] = _id(is_key=True)
    name: Mapped[str] = _text()
    created_at: Mapped[datetime] = _created()


class MemberRow(Base):
    """A person who signs in."""

    __tablename__ = "member"
    tenant_id: Mapped[UUID] = _id(is_key=True)
    member_id: Mapped[UUID] = _id(is_key=True)
    email: Mapped[str] = _text()
    password_hash: Mapped[str] = _text()
    role: Mapped[str] = _text()
    created_at: Mapped[datetime] = _created()
    disabled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class ConsoleSessionRow(Base):
    """A signed-in member; the token is stored as a hash."""

    __tablename__ = "console_session"
    tenant_id: Mapped[UUID] = _id(is_key=True)
    session_hash: Mapped[bytes] = mapped_column(LargeBinary, primary_key=True)
    member_id: Mapped[UUID] = _id()
    created_at: Mapped[datetime] = _created()
    expires_at: Mapped[datetime] = _time()


class APIKeyRow(Base):
    """An API key; the key is stored as a keyed hash."""

    __tablename__ = "api_key"
    tenant_id: Mapped[UUID] = _id(is_key=True)
    api_key_id: Mapped[UUID] = _id(is_key=True)
    project_id: Mapped[UUID] = _id()
    name: Mapped[str] = _text()
    kind: Mapped[str] = _text()
    prefix: Mapped[str] = _text()
    last_four: Mapped[str] = _text()
    key_hash: Mapped[bytes] = mapped_column(LargeBinary)
    scopes: Mapped[list[str]] = mapped_column(ARRAY(Text))
    created_by: Mapped[str] = _text()
    created_at: Mapped[datetime] = _created()
    expires_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    revoked_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class CredentialRow(Base):
    """A provider credential; the secret is sealed."""

    __tablename__ = "provider_credential"
    tenant_id: Mapped[UUID] = _id(is_key=True)
    credential_id: Mapped[UUID] = _id(is_key=True)
    provider_name: Mapped[str] = _text()
    name: Mapped[str] = _text()
    base_url: Mapped[str | None] = mapped_column(Text)
    secret: Mapped[bytes] = mapped_column(LargeBinary)
    last_four: Mapped[str] = _text()
    weight: Mapped[int]
    contract: Mapped[object] = mapped_column(JSONB(none_as_null=True))
    created_by: Mapped[str] = _text()
    created_at: Mapped[datetime] = _created()
    disabled_at: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))


class PolicyRow(Base):
    """One version of a routing policy; never edited."""

    __tablename__ = "routing_policy"
    tenant_id: Mapped[UUID] = _id(is_key=True)
    name: Mapped[str] = _text(is_key=True)
    version: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    # Read and written as JSON text, so that nothing here rebuilds a document.
    document: Mapped[str] = mapped_column(JSONB)
    is_active: Mapped[bool]
    created_by: Mapped[str] = _text()
    created_at: Mapped[datetime] = _created()


class ChangeRow(Base):
    """When something of a tenant last changed; written by triggers."""

    __tablename__ = "change"
    tenant_id: Mapped[UUID] = _id(is_key=True)
    changed_at: Mapped[datetime] = _time()


class AuditEventRow(Base):
    """One audit event, as the exact bytes that the chain covers."""

    __tablename__ = "audit_event"
    tenant_id: Mapped[UUID] = _id(is_key=True)
    audit_event_id: Mapped[UUID] = _id(is_key=True)
    payload: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime] = _created()


class AuditPendingRow(Base):
    """An audit event that has no place in the chain yet; triggers add and remove it."""

    __tablename__ = "audit_pending"
    tenant_id: Mapped[UUID] = _id(is_key=True)
    audit_event_id: Mapped[UUID] = _id(is_key=True)


class AuditLinkRow(Base):
    """An audit event's place in its tenant's chain."""

    __tablename__ = "audit_link"
    tenant_id: Mapped[UUID] = _id(is_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    audit_event_id: Mapped[UUID] = _id()
    hash: Mapped[bytes] = mapped_column(LargeBinary)


class AuditCheckpointRow(Base):
    """A signed statement about the head of a tenant's chain."""

    __tablename__ = "audit_checkpoint"
    tenant_id: Mapped[UUID] = _id(is_key=True)
    sequence: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    statement: Mapped[bytes] = mapped_column(LargeBinary)
    signature: Mapped[bytes] = mapped_column(LargeBinary)
    public_key_id: Mapped[str] = _text()
    created_at: Mapped[datetime] = _created()
