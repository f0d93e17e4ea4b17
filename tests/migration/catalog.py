"""What PostgreSQL itself says of our schema; the tests compare this with what was meant."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

# Everything of ours, partitions too: each could be named in a query of its own.
TABLES = """
SELECT c.oid, c.relname AS name, c.relrowsecurity AS is_enabled, c.relforcerowsecurity AS is_forced,
       c.relispartition AS is_partition, c.relkind::text AS kind, pg_get_userbyid(c.relowner) AS owner,
       EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id') AS has_tenant
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
ORDER BY c.relname
"""

# One row for each privilege on a whole table or on one column; the owner's own are not listed.
TABLE_GRANTS = """
SELECT c.relname AS name, g.privilege_type AS privilege, NULL AS column_name, g.is_grantable,
       CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END AS role
FROM pg_class c CROSS JOIN LATERAL aclexplode(c.relacl) g
WHERE c.relnamespace = 'public'::regnamespace AND g.grantee <> c.relowner
UNION ALL
SELECT c.relname, g.privilege_type, a.attname, g.is_grantable,
       CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid CROSS JOIN LATERAL aclexplode(a.attacl) g
WHERE c.relnamespace = 'public'::regnamespace AND g.grantee <> c.relowner
ORDER BY 1, 5, 2, 3
"""

# Without an explicit list PostgreSQL lets everybody execute a function: acldefault says so.
FUNCTIONS = """
SELECT p.oid::regprocedure::text AS signature, p.proname AS name, p.prosecdef AS is_definer,
       coalesce(p.proconfig, '{}') AS settings, pg_get_userbyid(p.proowner) AS owner,
       pg_get_function_result(p.oid) = 'trigger' AS is_trigger,
       ARRAY(SELECT CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(g.grantee) END
             FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) g
             WHERE g.grantee <> p.proowner ORDER BY 1) AS executors
FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace ORDER BY 1
"""

POLICIES = """
SELECT p.polname AS name, p.polrelid::regclass::text AS table_name, p.polcmd::text AS command,
       p.polpermissive AS is_permissive,
       ARRAY(SELECT CASE r WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(r) END FROM unnest(p.polroles) r) AS roles,
       pg_get_expr(p.polqual, p.polrelid) AS using, pg_get_expr(p.polwithcheck, p.polrelid) AS with_check
FROM pg_policy p ORDER BY 2, 1
"""

# `columns` and `target_columns` in the key's own order. What partitions inherit is not listed again.
KEYS = """
SELECT c.conrelid::regclass::text AS table_name, c.conname AS name, c.contype::text AS kind,
       c.confrelid::regclass::text AS target,
       ARRAY(SELECT a.attname FROM unnest(c.conkey) WITH ORDINALITY k(number, place)
             JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.number ORDER BY k.place) AS columns,
       ARRAY(SELECT a.attname FROM unnest(c.confkey) WITH ORDINALITY k(number, place)
             JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.number ORDER BY k.place) AS target_columns
FROM pg_constraint c WHERE c.connamespace = 'public'::regnamespace AND c.contype IN ('p', 'u', 'f')
    AND c.conparentid = 0 ORDER BY 1, 2
"""

UNIQUE_INDEXES = """
SELECT i.indrelid::regclass::text AS table_name, i.indexrelid::regclass::text AS name,
       (SELECT a.attname FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = i.indkey[0]) AS first_column
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
WHERE i.indisunique AND c.relnamespace = 'public'::regnamespace ORDER BY 1, 2
"""

COLUMNS = """
SELECT c.relname AS table_name, a.attname AS name, format_type(a.atttypid, NULL) AS type,
       a.attnotnull AS is_required, a.atthasdef AS has_default
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') ORDER BY c.relname, a.attnum
"""

ROLES = """
SELECT r.rolname AS name, r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolcreatedb, r.rolreplication,
       ARRAY(SELECT pg_get_userbyid(m.roleid) FROM pg_auth_members m WHERE m.member = r.oid) AS member_of
FROM pg_roles r WHERE r.rolname LIKE 'signalbox\\_%' ORDER BY 1
"""


@dataclass(frozen=True, slots=True)
class Key:
    """A primary, unique or foreign key."""

    table: str
    name: str
    columns: tuple[str, ...]
    target: str
    target_columns: tuple[str, ...]


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A bare connection to a SQLAlchemy address; for looking, and for trying what no session offers."""
    connection = await asyncpg.connect(url.replace("postgresql+asyncpg", "postgresql"))
    try:
        yield connection
    finally:
        await connection.close()


async def tenant_tables(connection: asyncpg.Connection) -> list[str]:
    """The tables that hold rows of tenants; a partition's rows are reached through its parent."""
    rows = await connection.fetch(TABLES)
    return [row["name"] for row in rows if row["has_tenant"] and row["kind"] in "rp" and not row["is_partition"]]


async def keys(connection: asyncpg.Connection, kind: str) -> list[Key]:
    """The keys of one kind: 'p' primary, 'u' unique, 'f' foreign."""
    return [
        Key(row["table_name"], row["name"], tuple(row["columns"]), row["target"], tuple(row["target_columns"]))
        for row in await connection.fetch(KEYS)
        if row["kind"] == kind
    ]
