"""Signing in and out, and what stands between a browser and a page."""

import re

import pytest
from sqlalchemy import text

from tenants import Database
from tests.integration.dashboard.builders import PASSWORD, Customer, a_browser, an_app, signed_in, submit
from tests.integration.dashboard.conftest import Browser

TENANT_PAGES = ("/console", "/console/requests", "/console/requests/0190aaaa-0000-7000-8000-000000000000")
FORMS = ("/console/sign-in", "/console/sign-out", "/operator/sign-in", "/operator/sign-out")


@pytest.mark.parametrize("path", TENANT_PAGES)
async def test_a_page_sends_who_is_signed_out_to_the_sign_in_and_back(
    anybody: Browser, acme: Customer, path: str
) -> None:
    response = await anybody.get(path, follow_redirects=False)
    assert response.status_code == 303
    assert response.headers["location"].startswith("/console/sign-in")
    sign_in_page = await anybody.get(response.headers["location"])
    wanted = re.search(r'name="next" value="([^"]*)"', sign_in_page.text)
    assert wanted is not None
    back = await submit(
        anybody, response.headers["location"], "/console/sign-in", email=acme.email, password=PASSWORD, next=wanted[1]
    )
    assert back.headers["location"] == path


async def test_after_signing_in_no_other_site_is_visited(anybody: Browser, acme: Customer) -> None:
    fields = {"email": acme.email, "password": PASSWORD, "next": "//evil.test/console"}
    response = await submit(anybody, "/console/sign-in", "/console/sign-in", **fields)
    assert response.headers["location"] == "/console"


async def test_a_wrong_password_and_an_unknown_email_read_the_same(anybody: Browser, acme: Customer) -> None:
    texts = []
    for email in (acme.email, "nobody@acme.test"):
        response = await submit(anybody, "/console/sign-in", "/console/sign-in", email=email, password="wrong")
        assert response.status_code == 401
        assert "signalbox_session" not in response.headers.get("set-cookie", "")
        notice = response.text.partition('role="alert"')[2].partition("</p>")[0]
        texts.append(notice)
    assert texts[0] == texts[1] != ""
    assert "Check both and try again" in texts[0]


async def test_many_wrong_passwords_block_the_email_for_a_while(anybody: Browser, acme: Customer) -> None:
    statuses = [
        (await submit(anybody, "/console/sign-in", "/console/sign-in", email=acme.email, password="wrong")).status_code
        for _ in range(12)
    ]
    assert statuses[0] == 401
    assert statuses[-1] == 429


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize("token", [None, "", "0.0", "\u20ac.x"])
async def test_a_form_without_its_token_is_refused(
    member: Browser, staff: Browser, path: str, token: str | None
) -> None:
    browser = staff if path.startswith("/operator") else member
    response = await browser.post(path, data={} if token is None else {"form_token": token}, follow_redirects=False)
    assert response.status_code == 403
    assert "reload" in response.text
    home = "/operator" if path.startswith("/operator") else "/console"
    assert (await browser.get(home, follow_redirects=False)).status_code == 200


async def test_a_token_of_another_browser_is_refused(member: Browser, database: Database, globex: Customer) -> None:
    async with a_browser(an_app(database)) as other:
        await signed_in(other, globex.email)
        page = (await other.get("/console")).text
    token = page.partition('name="form_token" value="')[2].partition('"')[0]
    assert (await member.post("/console/sign-out", data={"form_token": token})).status_code == 403


async def test_signing_out_ends_the_session_also_for_a_copy_of_the_cookie(member: Browser) -> None:
    copied = dict(member.cookies)
    response = await submit(member, "/console", "/console/sign-out")
    assert response.headers["location"] == "/console/sign-in"
    member.cookies.update(copied)
    assert (await member.get("/console", follow_redirects=False)).status_code == 303


async def test_who_is_signed_in_skips_the_sign_in(member: Browser) -> None:
    response = await member.get("/console/sign-in", follow_redirects=False)
    assert (response.status_code, response.headers["location"]) == (303, "/console")


async def test_over_tls_the_cookie_is_bound_to_host_and_tls(database: Database, acme: Customer) -> None:
    async with a_browser(an_app(database, is_https=True), "https://testserver.local") as client:
        response = await submit(client, "/console/sign-in", "/console/sign-in", email=acme.email, password=PASSWORD)
        cookie = response.headers["set-cookie"]
        assert cookie.startswith("__Host-signalbox_session=")
        assert {"HttpOnly", "Secure", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
        assert "max-age" in response.headers["strict-transport-security"]
        assert (await client.get("/console")).status_code == 200


@pytest.mark.parametrize("path", ["/console/sign-in", "/console", "/console/nowhere", "/operator/sign-in"])
async def test_every_page_carries_the_headers_that_keep_a_browser_safe(member: Browser, path: str) -> None:
    headers = (await member.get(path)).headers
    policy = headers["content-security-policy"]
    assert "script-src 'self';" in policy
    assert "unsafe-eval" not in policy
    assert "frame-ancestors 'none'" in policy
    assert (headers["cache-control"], headers["x-content-type-options"]) == ("no-store", "nosniff")


async def test_no_page_has_script_of_its_own_in_it(member: Browser) -> None:
    for path in ("/console", "/console/requests", "/console/nowhere"):
        page = (await member.get(path)).text
        scripts = re.findall(r"<script\b[^>]*>", page)
        assert all("src=" in script or 'type="application/json"' in script for script in scripts)
        assert not re.search(r"<[a-z]+ [^>]*\bon[a-z]+=", page)


async def test_the_operator_does_not_enter_by_the_tenant_s_door_nor_a_member_by_the_operator_s(
    anybody: Browser, acme: Customer, operator_email: str
) -> None:
    for door, email in (("/console", operator_email), ("/operator", acme.email)):
        response = await submit(anybody, f"{door}/sign-in", f"{door}/sign-in", email=email, password=PASSWORD)
        assert response.status_code == 401


async def test_a_session_of_one_console_opens_nothing_of_the_other(member: Browser, staff: Browser) -> None:
    assert (await member.get("/operator", follow_redirects=False)).status_code == 404
    member.cookies.set("signalbox_staff", member.cookies["signalbox_session"], domain="testserver.local")
    assert (await member.get("/operator", follow_redirects=False)).status_code == 404
    staff.cookies.set("signalbox_session", staff.cookies["signalbox_staff"], domain="testserver.local")
    assert (await staff.get("/console", follow_redirects=False)).status_code == 404


async def test_a_disabled_member_is_signed_out(member: Browser, database: Database, acme: Customer) -> None:
    async with database.tenant(acme.tenant_id) as session:
        await session.execute(text("UPDATE member SET disabled_at = now()"))
    assert (await member.get("/console", follow_redirects=False)).status_code == 303


@pytest.mark.parametrize("cookie", ["x", "é", "." * 5000, "00000000-0000-7000-8000-000000000000.AAAA"])
async def test_a_cookie_of_junk_is_no_session(anybody: Browser, operator_email: str, cookie: str) -> None:
    headers = [(b"cookie", f"signalbox_session={cookie}".encode())]
    response = await anybody.get("/console", headers=headers, follow_redirects=False)
    assert response.status_code == 303
