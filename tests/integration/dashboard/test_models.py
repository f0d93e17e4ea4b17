"""The page "Models & credentials": what the request path can call; secrets go in and never out."""

from dataclasses import replace
from uuid import UUID

import pytest
from litestar import Litestar

from app.console import PROVIDER_CHOICES, check_offer
from app.providers import AllowList
from billing import Feature, FeatureNotInPlan
from dashboard import ConsoleServices, ModelLine, console_routes
from tenants import Database, MemberRole, Vault, add_credential, create_member, list_credentials
from tests.integration.dashboard.builders import (
    HOSTILE,
    MASTER_KEY,
    OPERATOR,
    PASSWORD,
    Customer,
    a_browser,
    signed_in,
    submit,
)
from tests.integration.dashboard.conftest import Browser, Prepared

MODELS = "/console/models"
SECRET = "gsk-0123456789abcdefghijklmnop"
LINE = ModelLine(
    name="openai/gpt-5", provider_name="openai", is_own_credential=False, is_in_plan=True, is_simulated=False,
    input_cost_nano_usd=1_250_000_000, output_cost_nano_usd=10_000_000_000, input_billed_nano_usd=1_312_500_000,
    output_billed_nano_usd=10_500_000_000, context_tokens=400_000, output_tokens_max=128_000,
    capabilities=("json_schema", "tools"), quality=0.87,
)  # fmt: skip
OWN = replace(
    LINE, name=f"groq/{HOSTILE}", provider_name="groq", is_own_credential=True, capabilities=None, quality=None
)


@pytest.fixture
def browser(database: Database, prepared: Prepared, acme: Customer) -> Browser:
    """A browser of Acme's owner, with a request path that offers two models."""

    async def models(tenant_id: UUID) -> list[ModelLine]:
        assert tenant_id == acme.tenant_id
        return [LINE, OWN]

    async def check(provider_name: str, base_url: str | None) -> None:
        await check_offer(AllowList(), provider_name, base_url)

    services = ConsoleServices(
        database=database, vault=Vault(MASTER_KEY), is_https=False, models=models, check_offer=check,
        provider_choices=PROVIDER_CHOICES,
    )  # fmt: skip
    client = a_browser(Litestar(route_handlers=[*console_routes(services)], openapi_config=None))
    client.cookies.set("signalbox_session", prepared.member_cookie, domain="testserver.local")
    return client


async def test_models_are_told_with_what_they_cost_this_tenant_and_unknown_is_no_zero(browser: Browser) -> None:
    page = (await browser.get(MODELS)).text
    assert "$1.31" in page
    assert "$10.50" in page
    assert "0.87" in page
    assert "not known" in page
    assert "fee $1.31" in page
    assert "<img src=x" not in page
    assert "2 of 2 match" in page


@pytest.mark.parametrize(
    ("query", "count"),
    [("provider=groq", 1), ("capability=tools", 1), ("name=GPT", 1), ("provider=groq&capability=tools", 0)],
)
async def test_a_filter_leaves_what_matches(browser: Browser, query: str, count: int) -> None:
    page = (await browser.get(f"{MODELS}?{query}")).text
    assert f"{count} of 2 match" in page
    assert page.count('data-label="Quality"') == count


async def test_a_credential_is_kept_and_its_secret_is_never_shown(
    browser: Browser, database: Database, acme: Customer
) -> None:
    response = await submit(
        browser, MODELS, f"{MODELS}/credentials", provider_name="groq", name=HOSTILE[:50], secret=SECRET, weight="3"
    )
    assert response.status_code == 303
    page = (await browser.get(response.headers["location"])).text
    assert "is kept, sealed" in page
    assert f"…{SECRET[-4:]}" in page
    assert SECRET not in page
    assert "<img src=x" not in page
    (kept,) = await list_credentials(database, acme.tenant_id)
    assert (kept.provider_name, kept.weight, kept.created_by) == ("groq", 3, acme.email)


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("provider_name", {"provider_name": "nobody"}),
        ("provider_name", {"provider_name": "sandbox"}),
        ("base_url", {"base_url": "http://127.0.0.1:5432/"}),
        ("base_url", {"base_url": "https://user:pw@groq.test/"}),
        ("secret", {"secret": ""}),
        ("weight", {"weight": "-1"}),
        ("weight", {"weight": "0"}),
    ],
)
async def test_what_cannot_be_used_is_refused_with_the_field_and_without_the_secret(
    browser: Browser, database: Database, acme: Customer, field: str, fields: dict[str, str]
) -> None:
    sent = {"provider_name": "groq", "name": "kept", "secret": SECRET, "weight": "1", **fields}
    response = await submit(browser, MODELS, f"{MODELS}/credentials", **sent)
    assert response.status_code == 422
    assert 'value="kept"' in response.text
    said = response.text.partition(f'name="{field}"')[2].partition("</label>")[0]
    assert 'class="bad small"' in said
    assert SECRET not in response.text
    assert await list_credentials(database, acme.tenant_id) == ()


async def test_a_disabled_credential_is_told_and_another_tenants_does_not_exist(
    browser: Browser, database: Database, acme: Customer, globex: Customer
) -> None:
    async def anywhere(_: str) -> None: ...

    vault = Vault(MASTER_KEY)
    ours, theirs = [
        await add_credential(
            database, vault, OPERATOR, customer.tenant_id, provider_name="groq", name=f"of {customer.name}",
            secret=SECRET, check_address=anywhere,
        )
        for customer in (acme, globex)
    ]  # fmt: skip
    assert "of Globex" not in (await browser.get(MODELS)).text
    for wanted in (theirs.credential_id, "nonsense"):
        assert (await submit(browser, MODELS, f"{MODELS}/credentials/{wanted}/disable")).status_code == 404
    assert (await list_credentials(database, globex.tenant_id))[0].disabled_at is None
    response = await submit(browser, MODELS, f"{MODELS}/credentials/{ours.credential_id}/disable")
    assert response.status_code == 303
    page = (await browser.get(MODELS)).text
    assert "disabled" in page.partition(f'id="credential-{ours.credential_id}"')[2].partition("</tr>")[0]
    assert (await list_credentials(database, acme.tenant_id))[0].disabled_at is not None


async def test_who_may_not_write_credentials_reads_and_changes_nothing(
    browser: Browser, database: Database, acme: Customer
) -> None:
    await create_member(
        database, OPERATOR, acme.tenant_id, email="viewer@acme.test", role=MemberRole.VIEWER, password=PASSWORD
    )
    browser.cookies.clear()
    await signed_in(browser, "viewer@acme.test")
    page = (await browser.get(MODELS)).text
    assert LINE.name in page
    assert 'name="secret"' not in page
    response = await submit(browser, MODELS, f"{MODELS}/credentials", provider_name="groq", secret=SECRET, weight="1")
    assert response.status_code == 403
    assert await list_credentials(database, acme.tenant_id) == ()


async def test_a_plan_without_own_credentials_takes_none(browser: Browser, database: Database, acme: Customer) -> None:
    async def refuse(_: UUID, feature: Feature) -> None:
        raise FeatureNotInPlan(feature, "Tiny", ("Pro",))

    services = ConsoleServices(database=database, vault=Vault(MASTER_KEY), is_https=False, require_feature=refuse)
    client = a_browser(Litestar(route_handlers=[*console_routes(services)], openapi_config=None))
    client.cookies = browser.cookies
    response = await submit(client, MODELS, f"{MODELS}/credentials", provider_name="groq", secret=SECRET, weight="1")
    assert response.status_code == 403
    assert "Not in your plan" in response.text
    assert await list_credentials(database, acme.tenant_id) == ()
    await client.aclose()
