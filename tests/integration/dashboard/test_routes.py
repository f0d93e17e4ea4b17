"""The routes as a whole: what is open, what is guarded, and the assets."""

import gzip
import re

import pytest

from dashboard.figures import plotly_script
from tenants import Database
from tests.integration.dashboard.builders import Customer, a_browser, an_app
from tests.integration.dashboard.conftest import Browser

OPEN = {
    "/console/assets/{file_name:str}",
    "/console/sign-in",
    "/operator/sign-in",
    "/console/{path:path}",
    "/operator/{path:path}",
}


async def test_every_route_but_the_named_ones_refuses_who_is_signed_out(database: Database) -> None:
    app = an_app(database)
    guarded = [
        (route.path_format, method)
        for route in app.routes
        if route.path not in OPEN
        for method in sorted(route.methods - {"OPTIONS"})  # type: ignore[union-attr]  # HTTP routes only
    ]
    assert len(guarded) >= 6
    async with a_browser(app) as client:
        for path, method in guarded:
            address = re.sub(r"\{[^}]*\}", "0190aaaa-0000-7000-8000-000000000000", path)
            response = await client.request(method, address, follow_redirects=False)
            assert response.status_code == 303, (method, path)
            assert "/sign-in" in response.headers["location"]


async def test_an_address_that_does_not_exist_is_a_page(anybody: Browser) -> None:
    for path in ("/console/nowhere", "/console/a/b/c", "/operator/nowhere"):
        response = await anybody.get(path)
        assert response.status_code == 404
        assert "There is no such page" in response.text


async def test_assets_are_compressed_immutable_and_found_by_their_hash_only(anybody: Browser) -> None:
    page = (await anybody.get("/console/sign-in")).text
    for address in re.findall(r'/console/assets/[^"]+', page):
        response = await anybody.get(address)
        assert response.status_code == 200
        assert "immutable" in response.headers["cache-control"]
        assert response.headers["content-encoding"] == "gzip"
        stale = re.sub(r"\.[0-9a-f]{12}\.", ".000000000000.", address)
        assert (await anybody.get(stale)).status_code == 404


@pytest.mark.parametrize("name", ["console.css", "..%2f__init__.py", "plotly.000000000000.js", ".", "x.y.z"])
async def test_nothing_else_is_served_from_the_assets(anybody: Browser, name: str) -> None:
    assert (await anybody.get(f"/console/assets/{name}")).status_code == 404


async def test_plotly_is_the_installed_package_s_own_and_only_on_pages_with_figures(
    member: Browser, acme: Customer
) -> None:
    page = (await member.get("/console")).text
    address = re.search(r'/console/assets/plotly[^"]+', page)
    assert address is not None
    plain = await member.get(address[0], headers={"accept-encoding": "identity"})
    assert plain.content == plotly_script()
    assert "plotly" not in (await member.get("/console/requests")).text


async def test_pages_without_figures_fit_the_budget(member: Browser) -> None:
    page = (await member.get("/console/requests")).text
    size = len(gzip.compress(page.encode()))
    for address in re.findall(r'/console/assets/[^"]+', page):
        size += int((await member.get(address)).headers["content-length"])
    assert size <= 120_000


async def test_a_form_that_is_too_large_is_refused(anybody: Browser) -> None:
    await anybody.get("/console/sign-in")
    response = await anybody.post("/console/sign-in", data={"form_token": "x" * 20_000})
    assert response.status_code == 413
    assert "Form too large" in response.text
