"""Exports: the same rows as the page, in every format, cut and gone on with."""

import csv
import io
import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from dashboard import formats
from dashboard.filters import GROUPINGS
from dashboard.request_repository import EXPORT_BATCH_ROWS
from tenants import Database
from tests.integration.dashboard.builders import HOSTILE, MODELS, TASKS, Customer, settle, traffic
from tests.integration.dashboard.conftest import Browser
from tests.integration.dashboard.test_overview import exact, figure, value
from tests.unit.dashboard.test_parquet import read

FILTERS = 20
FORMATS = ("csv", "jsonl", "parquet")


def rows_of(suffix: str, body: bytes) -> list[dict[str, Any]]:
    """The rows of a file; of CSV all cells are text."""
    if suffix == "csv":
        return list(csv.DictReader(io.StringIO(body.decode(), newline="")))
    if suffix == "jsonl":
        return [json.loads(line) for line in body.splitlines()]
    names, table = read(body)
    return [dict(zip(names, row, strict=True)) for row in table]


def a_query(dice: random.Random, customer: Customer) -> dict[str, str]:
    """A range, a group and some filters."""
    provider_name, _, model = dice.choice(MODELS)[0].partition("/")
    filters = {
        "provider": provider_name, "model": model, "task": dice.choice(TASKS), "key": str(customer.api_key_id),
        "outcome": dice.choice(("ok", "refused", "failed", "budget")), "project": str(customer.project_id),
    }  # fmt: skip
    chosen = {name: filters[name] for name in dice.sample(sorted(filters), dice.randrange(0, 3))}
    by = dice.choice([dimension.value for dimension in GROUPINGS])
    return {"range": dice.choice(("1h", "24h", "7d", "30d")), "by": by, **chosen}


async def test_for_any_filter_tile_figure_list_and_every_export_agree(
    member: Browser, database: Database, acme: Customer, globex: Customer
) -> None:
    now = datetime.now(UTC)
    await settle(
        database, *traffic(acme, now, 150, hours=24 * 9), *traffic(acme, now, 60, hours=1, seed=3),
        *traffic(globex, now, 30, hours=20),
    )  # fmt: skip
    dice = random.Random(7)
    seen = set()
    for number in range(FILTERS):
        query = a_query(dice, acme)
        page = (await member.get("/console/usage", params=query)).text
        cost = (await member.get("/console/cost", params=query)).text
        suffix = FORMATS[number % len(FORMATS)]
        requests = rows_of(
            suffix, (await member.get(f"/console/requests/export/requests.{suffix}", params=query)).content
        )
        usage = rows_of(suffix, (await member.get(f"/console/usage/export/usage.{suffix}", params=query)).content)
        count, billed = len(requests), sum(int(row["billed_nano_usd"]) for row in requests)
        assert sum(int(row["request_count"]) for row in usage) == count, query
        assert sum(int(row["billed_nano_usd"]) for row in usage) == billed, query
        assert value(page, "requests") == formats.count(count), query
        assert exact(cost, "spend") == formats.exact_money(billed), query
        drawn = figure(page, f"requests-by-{query['by']}")["data"]
        assert sum(y for trace in drawn for y in trace["y"]) == count, query
        seen.add((count, billed))
    assert len(seen) > FILTERS // 3, "the filters hardly filter"


@pytest.mark.parametrize("suffix", FORMATS)
async def test_every_request_is_in_it_once_oldest_first(
    member: Browser, database: Database, acme: Customer, globex: Customer, suffix: str
) -> None:
    records = traffic(acme, datetime.now(UTC), 60, hours=20)
    await settle(database, *records, *traffic(globex, datetime.now(UTC), 20, hours=20))
    response = await member.get(f"/console/requests/export/requests.{suffix}")
    rows = rows_of(suffix, response.content)
    assert [row["request_id"] for row in rows] == sorted(str(record.request_id) for record in records)
    assert response.headers["x-signalbox-rows"] == "60"
    assert f'filename="requests.{suffix}"' in response.headers["content-disposition"]
    first = min(records, key=lambda record: record.request_id)
    assert str(rows[0]["latency_ms"]) == str(first.latency_ms)
    assert "provider_cost_nano_usd" not in rows[0], "what the platform pays is not the tenant's to see"


async def test_an_export_that_was_cut_goes_on_after_its_last_row(
    member: Browser, database: Database, acme: Customer
) -> None:
    await settle(database, *traffic(acme, datetime.now(UTC), 30, hours=20))
    whole = rows_of("jsonl", (await member.get("/console/requests/export/requests.jsonl")).content)
    rest = await member.get("/console/requests/export/requests.jsonl", params={"after": whole[11]["request_id"]})
    assert rows_of("jsonl", rest.content) == whole[12:]


async def test_batches_make_one_table(member: Browser, database: Database, acme: Customer) -> None:
    now = datetime.now(UTC)
    count = EXPORT_BATCH_ROWS + 3
    await settle(
        database, *(acme.record(acme.attempt(), at=now - timedelta(milliseconds=number)) for number in range(count))
    )
    for suffix in FORMATS:
        rows = rows_of(suffix, (await member.get(f"/console/requests/export/requests.{suffix}")).content)
        assert len({row["request_id"] for row in rows}) == len(rows) == count


async def test_no_cell_is_a_formula(member: Browser, database: Database, acme: Customer) -> None:
    names = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", "\t=1", HOSTILE, 'a","b\nc']
    await settle(database, *(acme.record(acme.attempt(), request_model=name) for name in names))
    rows = rows_of("csv", (await member.get("/console/requests/export/requests.csv")).content)
    kept = {row["request_model"] for row in rows}
    assert not any(cell.startswith(("=", "+", "-", "@", "\t")) for cell in kept)
    assert {cell.removeprefix("'") for cell in kept} == set(names)
    exact_rows = rows_of("jsonl", (await member.get("/console/requests/export/requests.jsonl")).content)
    assert {row["request_model"] for row in exact_rows} == set(names)


async def test_taking_requests_out_stands_in_the_audit_trail(
    member: Browser, database: Database, acme: Customer
) -> None:
    await member.get("/console/requests/export/requests.csv", params={"range": "7d"})
    async with database.tenant(acme.tenant_id) as session:
        found = await session.execute(text("SELECT payload FROM audit_event ORDER BY audit_event_id DESC LIMIT 1"))
        event = json.loads(found.scalar_one())
    assert (event["action"], event["actor"]["name"]) == ("requests.exported", acme.email)


@pytest.mark.parametrize("name", ["requests.xlsx", "requests", "usage.csv", "../requests.csv", "requests.csv.gz"])
async def test_another_file_is_not_found(member: Browser, name: str) -> None:
    assert (await member.get(f"/console/requests/export/{name}")).status_code == 404
