"""Who: tenants, projects, members, API keys, credentials, policies as stored, and the audit trail."""

from tenants.database import Base, Database, DatabaseRole
from tenants.principal import PLATFORM_TENANT_ID, SYSTEM, Actor, MemberRole, Principal, Scope

__all__ = [
    "PLATFORM_TENANT_ID",
    "SYSTEM",
    "Actor",
    "Base",
    "Database",
    "DatabaseRole",
    "MemberRole",
    "Principal",
    "Scope",
]
