"""The page "Limits & budgets" over a real database: what it shows is what `billing` refuses by."""

import json
import re
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from billing import (
    Budget,
    LimitKind,
    fold_rollups,
    grant_credit,
    list_budgets,
    list_traffic_limits,
    set_budget,
    set_traffic_limit,
)  # fmt: skip
from tenants import Database, MemberRole, create_member
from tests.integration.dashboard.builders import (
    HOSTILE,
    OPERATOR,
    PASSWORD,
    Customer,
    a_browser,
    an_app,
    settle,
    signed_in,
    submit,
)  # fmt: skip
from tests.integration.dashboard.conftest import Browser

PAGE = "/console/limits"
BUDGETS, LIMITS = f"{PAGE}/budgets", f"{PAGE}/traffic"
BUDGET = {"limit_usd": "250", "period": "month", "mode": "hard", "scope": "tenant", "model": ""}
LIMIT = {"kind": "requests_per_minute", "limit_count": "600", "scope": "tenant", "model": ""}


async def budgets(database: Database, customer: Customer) -> tuple[Budget, ...]:
    async with database.tenant(customer.tenant_id) as session:
        return await list_budgets(session, customer.tenant_id)


def cells(page: str, row_id: str) -> dict[str, str]:
    row = page.partition(f'id="{row_id}"')[2].partition("</tr>")[0]
    found = re.findall(r'<td data-label="([^"]+)"[^>]*>(.*?)</td>', row, re.DOTALL)
    return {label: " ".join(re.sub(r"<[^>]+>", " ", cell).split()) for label, cell in found}


async def test_nothing_is_limited_until_somebody_limits_it(member: Browser) -> None:
    page = (await member.get(PAGE)).text
    assert "No budgets" in page
    assert "No traffic limits" in page
    assert 'id="burn-down"' not in page


async def test_a_budget_is_set_shown_moved_and_lifted(database: Database, acme: Customer, member: Browser) -> None:
    answer = await submit(member, PAGE, BUDGETS, **BUDGET)
    assert (answer.status_code, answer.headers["location"]) == (303, PAGE)
    [budget] = await budgets(database, acme)
    assert (budget.limit_nano_usd, budget.period, budget.mode) == (250 * 10**9, "month", "hard")
    page = (await member.get(PAGE)).text
    assert "The month budget of" in page
    assert cells(page, f"budget-{budget.budget_id}")["Left"] == "$250.00"
    await submit(member, PAGE, BUDGETS, **{**BUDGET, "limit_usd": "$1,000.000000001"})
    [moved] = await budgets(database, acme)
    assert (moved.budget_id, moved.limit_nano_usd) == (budget.budget_id, 10**12 + 1)
    answer = await submit(member, PAGE, f"{BUDGETS}/remove", budget_id=str(budget.budget_id))
    assert answer.status_code == 303
    assert await budgets(database, acme) == ()


async def test_used_and_left_are_the_budgets_own_and_the_figure_ends_there(
    database: Database, acme: Customer, member: Browser
) -> None:
    before = acme.record(acme.attempt(billed_nano_usd=3_000_000_000))
    await settle(database, before)  # before there is a budget: it counts for nothing there
    budget = await set_budget(database, OPERATOR, acme.tenant_id, limit_nano_usd=10 * 10**9, period="day")
    await settle(database, acme.record(acme.attempt(billed_nano_usd=2_500_000_000)))
    await fold_rollups(database)
    [now] = await budgets(database, acme)
    page = (await member.get(PAGE)).text
    row = cells(page, f"budget-{budget.budget_id}")
    left = now.limit_nano_usd - now.spent_nano_usd
    assert row["Left"] == f"${left / 10**9:.2f}"
    found = re.search(r'id="burn-down-data">(.*?)</script>', page)
    assert found is not None
    traces = {trace["name"]: trace for trace in json.loads(found[1])["data"]}
    assert traces["left"]["y"][-1] == pytest.approx(left / 10**9)
    assert max(traces["left"]["y"]) <= 10
    assert traces["even pace"]["y"] == [10, 0]


@pytest.mark.parametrize(
    "wrong",
    [{"limit_usd": value} for value in ("", "abc", "-1", "NaN", "Infinity", "1e400", "0.0000000001", "2000000000")]
    + [{"period": "year"}, {"mode": "firm"}, {"cheaper_from_percent": "101"}, {"cheaper_from_percent": "ten"}]
    + [{"scope": value} for value in ("", "project:", "project:x", "tenant:x", "all")]
    + [{"scope": f"project:{uuid4()}"}, {"scope": f"key:{uuid4()}"}, {"model": "m" * 201}],
)
async def test_a_budget_without_sense_is_told_and_not_set(
    database: Database, acme: Customer, member: Browser, wrong: dict[str, str]
) -> None:
    answer = await submit(member, PAGE, BUDGETS, **{**BUDGET, **wrong})
    assert answer.status_code == 422
    assert 'role="alert"' in answer.text
    assert await budgets(database, acme) == ()


async def test_a_traffic_limit_is_set_shown_and_lifted(database: Database, acme: Customer, member: Browser) -> None:
    key = f"key:{acme.api_key_id}"
    assert (await submit(member, PAGE, LIMITS, **{**LIMIT, "scope": key, "burst_count": "50"})).status_code == 303
    async with database.tenant(acme.tenant_id) as session:
        [limit] = await list_traffic_limits(session, acme.tenant_id)
    assert (limit.api_key_id, limit.limit_count, limit.burst_count) == (acme.api_key_id, 600, 50)
    shown = cells((await member.get(PAGE)).text, f"limit-{limit.limit_id}")
    assert (shown["Counts"], shown["Limit"], shown["At once"]) == ("requests per minute", "600", "50")
    for wrong in ({"limit_count": "0"}, {"limit_count": ""}, {"kind": "dreams"}, {"burst_count": "-1"}, {"scope": "x"}):
        assert (await submit(member, PAGE, LIMITS, **{**LIMIT, **wrong})).status_code == 422, wrong
    answer = await submit(member, PAGE, f"{LIMITS}/remove", limit_id=str(limit.limit_id))
    assert answer.status_code == 303
    assert "No traffic limits" in (await member.get(PAGE)).text


async def test_credit_is_shown_with_what_is_left(database: Database, acme: Customer, member: Browser) -> None:
    await grant_credit(database, OPERATOR, acme.tenant_id, amount_nano_usd=40 * 10**9, kind="promotional")
    page = (await member.get(PAGE)).text
    body = page.partition('id="credit"')[2].partition("</table>")[0]
    assert "$40.00 promotional" in body
    assert body.count("$40.00") >= 3


async def test_what_was_typed_stays_and_is_text(member: Browser) -> None:
    answer = await submit(member, PAGE, BUDGETS, **{**BUDGET, "limit_usd": HOSTILE, "model": HOSTILE})
    assert answer.status_code == 422
    assert "<img src=x" not in answer.text
    assert "&lt;img src=x" in answer.text


async def test_a_viewer_sees_and_changes_nothing(database: Database, acme: Customer) -> None:
    email = "viewer@acme.test"
    await create_member(
        database, OPERATOR, acme.tenant_id, email=email, role=MemberRole.VIEWER, password=PASSWORD
    )  # fmt: skip
    await set_budget(database, OPERATOR, acme.tenant_id, limit_nano_usd=10**9, period="total")
    async with a_browser(an_app(database)) as viewer:
        await signed_in(viewer, email)
        page = (await viewer.get(PAGE)).text
        assert "never" in page
        assert 'id="budget-form"' not in page
        assert (await submit(viewer, PAGE, BUDGETS, **BUDGET)).status_code == 403
        assert (await submit(viewer, PAGE, LIMITS, **LIMIT)).status_code == 403
    assert len(await budgets(database, acme)) == 1


async def test_another_tenant_sees_lifts_and_covers_nothing_of_ours(
    database: Database, acme: Customer, globex: Customer, member: Browser
) -> None:
    now = datetime.now(UTC)
    theirs = await set_budget(database, OPERATOR, globex.tenant_id, limit_nano_usd=77_770_000_000, period="month")
    limit = await set_traffic_limit(
        database, OPERATOR, globex.tenant_id, kind=LimitKind.TOKENS_PER_DAY, limit_count=77_770_001
    )
    assert theirs.period_start <= now
    page = (await member.get(f"{PAGE}?budget={theirs.budget_id}")).text
    assert "77.77" not in page
    assert "77,770,001" not in page
    removed = await submit(member, PAGE, f"{BUDGETS}/remove", budget_id=str(theirs.budget_id))
    assert removed.status_code == 404
    assert (await submit(member, PAGE, f"{LIMITS}/remove", limit_id=str(limit.limit_id))).status_code == 404
    assert (await submit(member, PAGE, f"{LIMITS}/remove", limit_id="x")).status_code == 404
    for scope in (f"project:{globex.project_id}", f"key:{globex.api_key_id}"):
        assert (await submit(member, PAGE, BUDGETS, **{**BUDGET, "scope": scope})).status_code == 422
        assert (await submit(member, PAGE, LIMITS, **{**LIMIT, "scope": scope})).status_code == 422
    assert len(await budgets(database, globex)) == 1
    assert await budgets(database, acme) == ()
