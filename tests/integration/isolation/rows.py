"""A row of any table, made from the catalog alone, so that a new table is tested the day it is made.

Called by the isolation tests as superuser, whom row security does not hold back. A row takes its keys
from the rows it points to, the first literal of a CHECK that lists some, and otherwise a value by type.
"""

import itertools
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Self
from uuid import UUID

import asyncpg
from uuid_utils.compat import uuid7

from tests.migration.catalog import COLUMNS, TABLES, Key, keys

Row = dict[str, object]
# Tried in turn: some columns want lower case, some upper, some a sum of zero.
TEXTS: Final = ("a", "ABC")
NUMBERS: Final = (1, 0)

# What a trigger checks as a foreign key would.
BY_TRIGGER: Final = (
    Key(
        "ledger_entry", "entries_balance",
        ("tenant_id", "posting_id"), "ledger_posting", ("tenant_id", "posting_id"),
    ),
)  # fmt: skip

CHECKS = """
SELECT c.conrelid::regclass::text AS table_name, pg_get_constraintdef(c.oid) AS definition FROM pg_constraint c
WHERE c.contype = 'c' AND c.connamespace = 'public'::regnamespace
"""
LISTED_VALUES = re.compile(r"\(\(?(\w+) = ANY \(\(?ARRAY\['([^']+)'")


@dataclass(slots=True)
class Shape:
    """What the catalog says that a row must have: columns with their types, keys, and listed values by table."""

    order: list[str]
    types: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    points_to: dict[str, list[Key]] = field(default_factory=lambda: defaultdict(list))
    literals: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))

    @classmethod
    async def read(cls, connection: asyncpg.Connection) -> Self:
        """Ask the catalog once."""
        rows = await connection.fetch(TABLES)
        foreign = [*await keys(connection, "f"), *BY_TRIGGER]
        tables = [row["name"] for row in rows if row["kind"] in "rp" and not row["is_partition"]]
        shape = cls(list(_in_order(tables, foreign)))
        for column in await connection.fetch(COLUMNS):
            if column["is_required"] and not column["has_default"]:
                shape.types[column["table_name"]][column["name"]] = column["type"]
        for key in foreign:
            shape.points_to[key.table].append(key)
        for check in await connection.fetch(CHECKS):
            if match := LISTED_VALUES.search(check["definition"]):
                shape.literals[check["table_name"]][match[1]] = match[2]
        return shape


async def fill(connection: asyncpg.Connection, shape: Shape, tenants: tuple[UUID, ...]) -> None:
    """Put one row of each tenant into every table, in the order of the foreign keys."""
    for table in shape.order:
        for tenant_id in tenants:
            await _insert_first_that_fits(connection, shape, table, tenant_id)


async def a_row(
    connection: asyncpg.Connection, shape: Shape, table: str, tenant_id: UUID, *, text: str = "a", number: int = 1
) -> Row:
    """Values for the columns that need one: a row that is not in the table yet."""
    types = shape.types[table]
    row = {name: shape.literals[table].get(name) or _value(types[name], text, number) for name in types}
    if "tenant_id" in row:
        row["tenant_id"] = tenant_id
    for key in shape.points_to[table]:
        row |= await _pointed_at(connection, key, row)
    return row


def insertion(table: str, row: Mapping[str, object], *, after: str = "") -> str:
    """The statement for a row; its values are the arguments."""
    places = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    return f"INSERT INTO {table} ({', '.join(row)}) VALUES ({places}) {after}"


async def _insert_first_that_fits(connection: asyncpg.Connection, shape: Shape, table: str, tenant_id: UUID) -> None:
    refused = None
    for text, number in itertools.product(TEXTS, NUMBERS):
        row = await a_row(connection, shape, table, tenant_id, text=text, number=number)
        try:
            # A trigger may have made the row before us.
            await connection.execute(insertion(table, row, after="ON CONFLICT DO NOTHING"), *row.values())
            return
        except asyncpg.IntegrityConstraintViolationError as error:
            refused = error
    raise AssertionError(f"no row could be made for {table}: {refused}")


async def _pointed_at(connection: asyncpg.Connection, key: Key, row: Row) -> Row:
    columns = [column for column in key.columns if column != "tenant_id" and column in row]
    if not columns:
        return {}
    is_tenants = "tenant_id" in key.target_columns
    where, arguments = ("WHERE tenant_id = $1", [row["tenant_id"]]) if is_tenants else ("", [])
    found = await connection.fetchrow(f"SELECT * FROM {key.target} {where} LIMIT 1", *arguments)
    assert found is not None, f"{key.table} points to {key.target}, which has no row"
    return {column: found[key.target_columns[key.columns.index(column)]] for column in columns}


def _in_order(tables: list[str], foreign: list[Key]) -> Iterator[str]:
    waiting = list(tables)
    while waiting:
        ready = [t for t in waiting if not any(k.table == t != k.target and k.target in waiting for k in foreign)]
        assert ready, f"foreign keys go in a circle: {waiting}"
        yield from ready
        waiting = [table for table in waiting if table not in ready]


def _value(type_name: str, text: str, number: int) -> object:
    match type_name:
        case "uuid":
            return uuid7()
        case "text" | "character varying":
            return text
        case "bytea":
            return bytes(32)
        case "timestamp with time zone":
            return datetime.now(UTC)
        case "smallint" | "integer" | "bigint" | "real" | "double precision":
            return number
        case "boolean":
            return False
        case "json" | "jsonb":
            return "{}"
        case _ if type_name.endswith("[]"):
            return []
    raise AssertionError(f"how does a value of type {type_name} look? Say it here.")
