"""Row-level security and the keys under it, read from the catalog: a table without it cannot be merged."""

import asyncpg

from tests.migration.catalog import FUNCTIONS, POLICIES, TABLES, UNIQUE_INDEXES, keys, tenant_tables

# `migrations.statements.TENANT_MATCHES` as PostgreSQL says it back.
TENANT_MATCHES = "(tenant_id = (NULLIF(current_setting('signalbox.tenant_id'::text, true), ''::text))::uuid)"
# What each role is for; a policy for anybody else would be a mistake.
CROSS_TENANT_ROLES = {"signalbox_snapshot", "signalbox_meter", "signalbox_operator", "signalbox_owner"}


async def test_every_table_of_tenants_has_row_security_enabled_and_forced(catalog: asyncpg.Connection) -> None:
    rows = [row for row in await catalog.fetch(TABLES) if row["has_tenant"]]
    assert len(rows) > 20
    assert not [row["name"] for row in rows if not (row["is_enabled"] and row["is_forced"])]


async def test_the_app_role_reaches_its_tenant_and_no_other_policy_names_it(catalog: asyncpg.Connection) -> None:
    policies = await catalog.fetch(POLICIES)
    isolated = {}
    for policy in policies:
        assert "PUBLIC" not in policy["roles"], f"{policy['table_name']}: a policy for everybody"
        if "signalbox_app" in policy["roles"]:
            assert policy["table_name"] not in isolated, f"{policy['table_name']}: policies add up"
            isolated[policy["table_name"]] = policy
    tables = await tenant_tables(catalog)
    assert set(isolated) == set(tables)
    for table, policy in isolated.items():
        assert policy["command"] == "*", f"{table}: a verb is left open"
        assert policy["using"] == policy["with_check"] == TENANT_MATCHES, table


async def test_other_policies_belong_to_one_cross_tenant_role_each(catalog: asyncpg.Connection) -> None:
    for policy in await catalog.fetch(POLICIES):
        if policy["name"] == "tenant_isolation":
            continue
        assert len(policy["roles"]) == 1, policy
        assert set(policy["roles"]) <= CROSS_TENANT_ROLES
        is_read = policy["command"] in "rd"
        assert is_read or policy["with_check"] is not None, f"{policy['table_name']}.{policy['name']}: no WITH CHECK"
        assert policy["command"] == "a" or policy["using"] is not None


async def test_tenant_id_leads_every_key_and_every_unique_index(catalog: asyncpg.Connection) -> None:
    tables = set(await tenant_tables(catalog))
    primary = {key.table: key.columns for key in await keys(catalog, "p")}
    assert not [table for table in tables if primary.get(table, ("",))[0] != "tenant_id"]
    indexes = await catalog.fetch(UNIQUE_INDEXES)
    assert not [i["name"] for i in indexes if i["table_name"] in tables and i["first_column"] != "tenant_id"]


async def test_no_foreign_key_points_to_another_tenants_row(catalog: asyncpg.Connection) -> None:
    tables = set(await tenant_tables(catalog))
    for key in await keys(catalog, "f"):
        if key.table in tables and key.target in tables:
            assert key.columns[0] == key.target_columns[0] == "tenant_id", f"{key.table}.{key.name}"
        else:
            assert key.target not in tables, f"{key.table}.{key.name} points at tenants' rows without a tenant"


async def test_a_view_would_run_with_its_readers_rights(catalog: asyncpg.Connection) -> None:
    assert not [row["name"] for row in await catalog.fetch(TABLES) if row["kind"] in "mf"]
    views = "SELECT relname, reloptions FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace"
    assert not [
        view["relname"]
        for view in await catalog.fetch(views)
        if "security_invoker=true" not in (view["reloptions"] or ())
    ]


async def test_a_function_with_the_owners_rights_fixes_its_search_path_and_is_not_for_everybody(
    catalog: asyncpg.Connection,
) -> None:
    definers = [row for row in await catalog.fetch(FUNCTIONS) if row["is_definer"]]
    assert len(definers) >= 5
    for function in definers:
        assert "search_path=public, pg_temp" in function["settings"], function["signature"]
        assert "PUBLIC" not in function["executors"], function["signature"]


async def test_what_is_append_only_says_so_by_a_trigger(catalog: asyncpg.Connection) -> None:
    guarded = await catalog.fetch(
        "SELECT tgrelid::regclass::text AS table_name FROM pg_trigger WHERE tgname = 'append_only' AND tgenabled = 'O'"
    )
    assert {row["table_name"] for row in guarded} == {
        "adjustment", "attempt", "audit_checkpoint", "audit_event", "audit_link", "ledger_entry", "ledger_posting",
        "plan", "price", "price_version", "request_record",
    }  # fmt: skip
