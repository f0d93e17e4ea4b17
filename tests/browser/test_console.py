"""The console as people meet it: in both themes, at three widths, with keys, and without a script."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from dashboard import formats
from dashboard.pages.table import STAFF_PAGES, TENANT_PAGES
from tenants import Database
from tests.browser.conftest import Visits
from tests.integration.dashboard.builders import HOSTILE, Customer, settle, traffic

BUILT = [f"{row.path}?range=30d" for row in TENANT_PAGES if row.routes]
PAGES = (*BUILT, "/console/cost?by=task", "/console/sign-in")
STAFF = (*(f"{row.path}?range=30d" for row in STAFF_PAGES if row.routes), "/operator/jobs?check=books")
WIDTHS = (360, 768, 1440)
THEMES = ("light", "dark")


@pytest.fixture
async def busy(database: Database, acme: Customer, globex: Customer) -> Customer:
    """Acme with a month of traffic behind it, and a neighbour with its own."""
    now = datetime.now(UTC)
    await settle(
        database, *traffic(acme, now, 150), *traffic(acme, now, 50, hours=20, seed=3), *traffic(globex, now, 20)
    )
    return acme


@pytest.mark.parametrize("theme", THEMES)
async def test_the_overview_draws_its_figures_and_shows_the_database_s_numbers(
    visit: Visits, database: Database, busy: Customer, theme: str, tmp_path: Path
) -> None:
    person = await visit(theme=theme)
    await person.sign_in(busy.email)
    await person.page.goto("/console?range=30d")
    assert await person.drawn() == ["spend-by-model", "requests", "latency"]
    await person.picture(f"overview-{theme}")
    window = await person.page.inner_text(".window")
    since = datetime.strptime(window.partition(" –")[0], "%d %b %Y %H:%M").replace(tzinfo=UTC)
    async with database.tenant(busy.tenant_id) as session:
        found = await session.execute(
            text("SELECT count(*), sum(billed_nano_usd)::bigint FROM request_record WHERE started_at >= :since"),
            {"since": since},
        )
        count, billed = found.one()
    assert await person.page.inner_text("#tile-requests .value") == formats.count(count)
    assert await person.page.get_attribute("#tile-spend .value", "title") == formats.exact_money(billed)
    bars = await person.page.evaluate(
        "document.querySelector('#requests .plot').data.flatMap((trace) => trace.y).reduce((a, b) => a + b)"
    )
    assert bars == count
    assert (tmp_path / f"overview-{theme}.png").stat().st_size > 20_000


async def test_every_page_fits_every_width_in_both_themes(visit: Visits, busy: Customer, operator_email: str) -> None:
    for theme in THEMES:
        member, staff = await visit(theme=theme), await visit(theme=theme)
        await member.sign_in(busy.email)
        await staff.sign_in(operator_email, door="/operator")
        await member.page.goto("/console/requests?range=30d")
        first = str(await member.page.locator("a.open").first.get_attribute("href"))
        for person, path in [*((member, path) for path in (*PAGES, first)), *((staff, path) for path in STAFF)]:
            for width in WIDTHS:
                await person.page.set_viewport_size({"width": width, "height": 900})
                await person.page.goto(path)
                overflow = await person.page.evaluate(
                    "document.documentElement.scrollWidth - document.documentElement.clientWidth"
                )
                assert overflow == 0, (path, width)
                name = re.sub(r"\W+", "-", path)[:20].strip("-")
                await person.picture(f"{name}-{theme}-{width}")


async def test_the_theme_switch_repaints_figures_and_is_remembered(visit: Visits, busy: Customer) -> None:
    person = await visit(theme="light")
    await person.sign_in(busy.email)
    await person.drawn()
    painted = "document.querySelector('#latency .plot').data[0].line.color"
    light = await person.page.evaluate(painted)
    await person.page.click("[data-theme-choice=dark]")
    dark = await person.page.evaluate(painted)
    assert light != dark
    await person.page.reload()
    assert await person.page.get_attribute("html", "data-theme") == "dark"
    assert await person.page.get_attribute("[data-theme-choice=dark]", "aria-pressed") == "true"


async def test_a_request_is_reached_with_keys_alone(visit: Visits, busy: Customer) -> None:
    person = await visit()
    await person.sign_in(busy.email)
    await person.page.keyboard.press("g")
    await person.page.keyboard.press("r")
    await person.page.wait_for_url("**/console/requests")
    for key in ("j", "j", "k", "Enter"):
        await person.page.keyboard.press(key)
    await person.page.wait_for_url(re.compile(r"/console/requests/[0-9a-f-]{36}"))
    assert await person.page.inner_text("#why") == "Why this model"
    await person.page.keyboard.press("?")
    assert await person.page.is_visible("#keys")


async def test_choosing_a_filter_narrows_at_once_and_stands_in_the_address(visit: Visits, busy: Customer) -> None:
    person = await visit()
    await person.sign_in(busy.email)
    await person.page.goto("/console/requests?range=30d")
    await person.page.select_option("[name=outcome]", "refused")
    await person.page.wait_for_url("**outcome=refused*")
    assert person.page.url.endswith("/console/requests?range=30d&outcome=refused")
    shown = await person.page.locator("tbody .badge:first-child").all_inner_texts()
    assert {re.sub(r"\s*\d+$", "", words.strip()) for words in shown} <= {"budget", "rate limited"} != set()
    await person.page.click(".chosen li.bare a")
    await person.page.wait_for_url("**/console/requests?range=30d")


async def test_pages_work_without_a_script(visit: Visits, busy: Customer) -> None:
    person = await visit(has_script=False)
    await person.sign_in(busy.email)
    await person.page.goto("/console?range=30d")
    assert await person.page.inner_text("#tile-requests .value") != "0"
    await person.page.click("#spend-by-model .twin summary")
    assert await person.page.locator("#spend-by-model tbody tr").first.is_visible()
    await person.page.goto("/console/requests?range=30d")
    await person.page.select_option("[name=outcome]", "failed")
    await person.page.click("button.apply")
    assert "outcome=failed" in person.page.url
    await person.page.click("text=Sign out")
    assert person.page.url.endswith("/console/sign-in")


async def test_hostile_names_stay_text_in_pages_and_in_figures(
    visit: Visits, database: Database, acme: Customer
) -> None:
    link = '<a href="javascript:document.title=3">x</a>'
    await settle(database, acme.record(acme.attempt(f"x/{HOSTILE}")), acme.record(acme.attempt(f"y/{link}")))
    person = await visit()
    await person.sign_in(acme.email)
    await person.drawn()
    box = await person.page.locator("#spend-by-model .plot").bounding_box()
    for share in (0.5, 0.9, 0.97):  # hover: plotly writes the names into its labels
        await person.page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] / 2)
        await person.page.wait_for_timeout(100)
    assert await person.page.locator(".plot a, .plot img, table img").count() == 0
    assert await person.page.title() == "Overview · Acme · Signalbox"
    assert await person.page.locator("text=onerror").count() > 0


async def test_the_operator_moves_a_tenant(
    visit: Visits, database: Database, busy: Customer, globex: Customer, operator_email: str
) -> None:
    person = await visit()
    await person.sign_in(operator_email, door="/operator")
    row = person.page.locator(f"#tenant-{globex.tenant_id}")
    await row.locator("select").select_option("enterprise")
    await row.locator("button").click()
    await person.page.wait_for_url("**moved=*")
    assert "Globex is on Enterprise now" in await person.page.inner_text("[role=status]")
    async with database.tenant(globex.tenant_id) as session:
        assert (await session.execute(text("SELECT plan_id FROM subscription"))).scalar_one() == "enterprise"
        payloads = await session.execute(text("SELECT payload FROM audit_event ORDER BY audit_event_id"))
        last = json.loads(payloads.scalars().all()[-1])
    assert last["actor"]["name"] == operator_email
