"""The page "Routing & quality" over a real database: its tables are the tenant's own sums."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from litestar import Litestar

from billing import fold_rollups
from dashboard import ConsoleServices, QualityLine, console_routes
from tenants import Database, EvaluationResult, Vault, add_evaluation
from tests.integration.dashboard.builders import (
    HOSTILE,
    MASTER_KEY,
    OPERATOR,
    Customer,
    a_browser,
    settle,
    signed_in,
    traffic,
)
from tests.integration.dashboard.conftest import Browser


def figure(page: str, figure_id: str) -> Any:
    found = re.search(rf'id="{figure_id}-data">(.*?)</script>', page)
    assert found is not None
    return json.loads(found[1])


async def evaluate(database: Database, tenant_id: UUID, name: str) -> None:
    result = EvaluationResult(
        subject="openai/gpt-5", subject_kind="model", model="openai/gpt-5", task="triage", prompt_count=40,
        failed_count=2, reached=30.0, cost_nano_usd=5_000_000, unknown_cost_count=0, latency_ms_p50=1, latency_ms_p95=2,
    )  # fmt: skip
    await add_evaluation(
        database, OPERATOR, tenant_id, evaluation_id=uuid4(), name=name, prompts_sha256="a" * 64, prompt_count=42,
        started_at=datetime.now(UTC), results=[result],
    )  # fmt: skip


async def test_the_map_and_its_table_are_the_records(database: Database, acme: Customer, member: Browser) -> None:
    now = datetime.now(UTC)
    records = traffic(acme, now, 120, hours=20)
    await settle(database, *records)
    await fold_rollups(database)
    page = (await member.get("/console/quality")).text
    answered = [record for record in records if record.outcome == "ok"]
    total = f"{len(answered):,} answers by {len({(r.provider_name, r.response_model) for r in answered})} models"
    assert total in page
    data = figure(page, "route-share")["data"][0]
    assert data["type"] == "heatmap"
    assert all(sum(row) == 1 or abs(sum(row) - 1) < 1e-9 for row in data["z"])
    assert "not in plan" in page, "the reasons of the decisions"
    assert figure(page, "confidence")["data"][0]["y"][8] > 0


async def test_an_empty_tenant_is_told_what_to_do(member: Browser) -> None:
    page = (await member.get("/console/quality?range=7d")).text
    assert "No request was answered in the last 7 days." in page
    assert "signalbox eval" in page


async def test_evaluations_are_the_tenants_own_and_names_are_text(
    database: Database, acme: Customer, globex: Customer, member: Browser
) -> None:
    await evaluate(database, acme.tenant_id, "nightly <b>run</b>")
    await evaluate(database, globex.tenant_id, "theirs")
    page = (await member.get("/console/quality")).text
    assert "nightly &lt;b&gt;run&lt;/b&gt;" in page
    assert "0.750" in page
    assert "theirs" not in page


async def test_expected_quality_is_that_of_the_request_path(database: Database, acme: Customer) -> None:
    async def quality(tenant_id: UUID) -> list[QualityLine]:
        assert tenant_id == acme.tenant_id
        measured = QualityLine(
            model=HOSTILE, task="triage", value=0.71, low=0.6, high=0.8, source="evaluation",
            evaluation_prompts=40.0, feedback_prompts=1.5,
        )  # fmt: skip
        return [measured, replace(measured, model="un/used", evaluation_prompts=0.0, feedback_prompts=0.0)]

    services = ConsoleServices(database=database, vault=Vault(MASTER_KEY), is_https=False, quality=quality)
    client = a_browser(Litestar(route_handlers=[*console_routes(services)], openapi_config=None))
    await signed_in(client, acme.email)
    page = (await client.get("/console/quality")).text
    assert "0.60 – 0.80" in page
    assert "<img src=x" not in page
    assert "un/used" not in page
    await client.aclose()
