"""Who may do what, compared with `grants.txt`: the list that DESIGN's five roles were promised.

When a version changes a grant on purpose, change the list in the same commit; the diff is the review.
"""

from itertools import groupby
from pathlib import Path

import asyncpg

from tests.migration.catalog import FUNCTIONS, ROLES, TABLE_GRANTS, TABLES

GRANTS = Path(__file__).with_name("grants.txt")
# Rows of nobody: plans and prices are the same for all; the rest is kept by functions and by Alembic.
TABLES_WITHOUT_TENANT = {"gateway_process", "plan", "price", "price_version", "schema_version", "sign_in_attempt"}


async def test_every_grant_stands_in_the_list_and_every_listed_grant_holds(catalog: asyncpg.Connection) -> None:
    assert await _grants(catalog) == GRANTS.read_text()


async def test_the_roles_have_no_power_of_their_own(catalog: asyncpg.Connection) -> None:
    roles = await catalog.fetch(ROLES)
    powers = ("rolsuper", "rolbypassrls", "rolcreaterole", "rolcreatedb", "rolreplication")
    named = [role for role in roles if role["name"] != "signalbox_bootstrap"]
    assert len(named) == 5
    for role in named:
        assert not [power for power in powers if role[power]], role["name"]
        assert not role["member_of"], f"{role['name']} can become another role"


async def test_the_owner_owns_everything_and_the_others_nothing(catalog: asyncpg.Connection) -> None:
    owners = {row["owner"] for statement in (TABLES, FUNCTIONS) for row in await catalog.fetch(statement)}
    assert owners == {"signalbox_owner"}


async def test_nobody_may_truncate_reference_or_hang_triggers_on_a_table(catalog: asyncpg.Connection) -> None:
    refused = {"TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN"}
    assert not [row for row in await catalog.fetch(TABLE_GRANTS) if row["privilege"] in refused or row["is_grantable"]]


async def test_a_table_without_tenant_is_one_of_a_named_few(catalog: asyncpg.Connection) -> None:
    assert {row["name"] for row in await catalog.fetch(TABLES) if not row["has_tenant"]} == TABLES_WITHOUT_TENANT


async def test_only_the_owner_makes_objects_and_nobody_is_given_rights_in_advance(catalog: asyncpg.Connection) -> None:
    creators = "SELECT rolname FROM pg_roles WHERE has_schema_privilege(oid, 'public', 'CREATE') AND NOT rolsuper"
    # In the fresh database `pg_database_owner` stands for its owner.
    assert {row["rolname"] for row in await catalog.fetch(creators)} <= {"signalbox_owner", "pg_database_owner"}
    assert not await catalog.fetch("SELECT FROM pg_default_acl")


async def _grants(catalog: asyncpg.Connection) -> str:
    rows = await catalog.fetch(TABLE_GRANTS)
    lines = []
    for (table, role), granted in groupby(rows, key=lambda row: (row["name"], row["role"])):
        privileges: dict[str, list[str]] = {}
        for row in granted:
            privileges.setdefault(row["privilege"], []).extend([row["column_name"]] if row["column_name"] else [])
        words = [verb + (f" ({', '.join(columns)})" if columns else "") for verb, columns in sorted(privileges.items())]
        lines.append(f"{table:22} {role.removeprefix('signalbox_'):9} {', '.join(words)}")
    for row in await catalog.fetch(FUNCTIONS):
        executors = ", ".join(role.removeprefix("signalbox_") for role in row["executors"]) or "nobody"
        lines.append(f"{row['signature']} {executors}")
    return "\n".join(lines) + "\n"
