"""The page "Keys": made and shown once, rotated with an overlap, revoked; never another tenant's."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from tenants import Database, KeyPrefix, MemberRole, Scope, Vault, create_key, create_member, create_project, list_keys
from tests.integration.dashboard.builders import (
    HOSTILE,
    MASTER_KEY,
    OPERATOR,
    PASSWORD,
    Customer,
    settle,
    signed_in,
    submit,
)
from tests.integration.dashboard.conftest import Browser

KEYS = "/console/keys"
SECRET = re.compile(r"sb[xm]_[A-Za-z_0-9]{40,}")


def line(page: str, api_key_id: object) -> str:
    """A key's line, without its markup."""
    row = page.partition(f'id="key-{api_key_id}"')[2].partition("</tr>")[0]
    return " ".join(re.sub(r"<[^>]+>", " ", row).split())


async def test_a_new_key_is_shown_once_and_works_as_it_was_asked_for(
    member: Browser, database: Database, acme: Customer
) -> None:
    response = await submit(
        member, KEYS, KEYS, name=HOSTILE[:40], prefix="sbx_test_", lifetime_days="30", model_scopes="models:call"
    )
    assert response.status_code == 201
    assert response.headers["cache-control"] == "no-store"
    secrets = SECRET.findall(response.text)
    assert len(secrets) == 1
    newest = (await list_keys(database, acme.tenant_id))[0]
    assert (newest.prefix, newest.last_four) == (KeyPrefix.TEST, secrets[0][-4:])
    assert newest.scopes == {Scope.MODELS_CALL}
    assert newest.expires_at is not None
    assert timedelta(days=29) < newest.expires_at - datetime.now(UTC) <= timedelta(days=30)
    assert newest.created_by == acme.email
    assert "<img" not in response.text
    assert not SECRET.search((await member.get(KEYS)).text)


async def test_a_form_that_cannot_be_obeyed_comes_back_as_it_was_typed(
    member: Browser, database: Database, acme: Customer
) -> None:
    before = await list_keys(database, acme.tenant_id)
    refused = [
        {"name": "", "prefix": "sbx_live_"},
        {"name": "kept", "prefix": "sbm_", "project": "01a20cf1-0000-7000-8000-000000000001"},
        {"name": "kept", "prefix": "sk-"},
        {"name": "kept", "prefix": "sbx_live_", "lifetime_days": "-1"},
    ]
    for fields in refused:
        response = await submit(member, KEYS, KEYS, **fields)
        assert response.status_code == 422, fields
        assert f'value="{fields["name"]}"' in response.text
        assert 'class="bad small"' in response.text
    assert await list_keys(database, acme.tenant_id) == before


async def test_a_rotated_key_runs_on_for_its_overlap(member: Browser, database: Database, acme: Customer) -> None:
    response = await submit(member, KEYS, f"{KEYS}/{acme.api_key_id}/rotate", overlap_s="3600")
    assert response.status_code == 201
    assert "The old key stops in an hour" in response.text
    assert len(SECRET.findall(response.text)) == 1
    new, old = (await list_keys(database, acme.tenant_id))[:2]
    assert (new.name, new.scopes, old.api_key_id) == (old.name, old.scopes, acme.api_key_id)
    assert old.expires_at is not None
    assert timedelta(minutes=59) < old.expires_at - datetime.now(UTC) <= timedelta(hours=1)
    for overlap_s in ("", "-1", "5", "9" * 30):
        assert (await submit(member, KEYS, f"{KEYS}/{new.api_key_id}/rotate", overlap_s=overlap_s)).status_code == 422


async def test_a_revoked_key_is_told_and_offers_nothing_more(
    member: Browser, database: Database, acme: Customer
) -> None:
    response = await submit(member, KEYS, f"{KEYS}/{acme.api_key_id}/revoke")
    assert response.status_code == 303
    page = (await member.get(response.headers["location"])).text
    assert "The key is revoked" in page
    assert "revoked" in line(page, acme.api_key_id)
    assert f"{acme.api_key_id}/rotate" not in page
    assert (await list_keys(database, acme.tenant_id))[0].revoked_at is not None
    again = await submit(member, KEYS, f"{KEYS}/{acme.api_key_id}/rotate", overlap_s="0")
    assert again.status_code == 422
    assert "nothing to rotate" in again.text


@pytest.mark.parametrize("action", ["rotate", "revoke"])
async def test_another_tenants_key_does_not_exist(
    member: Browser, database: Database, globex: Customer, action: str
) -> None:
    for api_key_id in (globex.api_key_id, "01a20cf1-0000-7000-8000-000000000001", "nonsense"):
        response = await submit(member, KEYS, f"{KEYS}/{api_key_id}/{action}", overlap_s="0")
        assert response.status_code == 404
    kept = await list_keys(database, globex.tenant_id)
    assert [(key.revoked_at, key.expires_at) for key in kept] == [(None, None)]
    page = (await member.get(KEYS)).text
    assert str(globex.api_key_id) not in page
    assert (await member.get(KEYS, params={"project": str(globex.project_id)})).text.count('id="key-') == 0


async def test_last_use_and_spend_are_those_of_the_records(
    member: Browser, database: Database, acme: Customer, globex: Customer
) -> None:
    now = datetime.now(UTC)
    await settle(
        database,
        acme.record(acme.attempt(billed_nano_usd=1_250_000_000), at=now - timedelta(hours=2, minutes=5)),
        acme.record(acme.attempt(billed_nano_usd=250_000_000), at=now - timedelta(days=3)),
        acme.record(acme.attempt(billed_nano_usd=7_000_000_000), at=now - timedelta(days=40)),
        globex.record(globex.attempt()),
    )
    vault = Vault(MASTER_KEY)
    unused = await create_key(database, vault, OPERATOR, acme.tenant_id, name="unused")
    managing = await create_key(database, vault, OPERATOR, acme.tenant_id, name="managing", prefix=KeyPrefix.MANAGEMENT)
    page = (await member.get(KEYS)).text
    used = line(page, acme.api_key_id)
    assert "2 h ago" in used
    assert "$1.50 2 requests" in used
    assert "never" in line(page, unused.key.api_key_id).partition("made")[0]
    assert "—" in line(page, managing.key.api_key_id)


async def test_a_page_holds_a_hundred_and_the_project_narrows_them(
    member: Browser, database: Database, acme: Customer
) -> None:
    vault = Vault(MASTER_KEY)
    search = await create_project(database, OPERATOR, acme.tenant_id, "search")
    for number in range(101):
        project_id = search.project_id if number == 0 else None
        await create_key(database, vault, OPERATOR, acme.tenant_id, name=f"k{number}", project_id=project_id)
    first = (await member.get(KEYS)).text
    address = re.search(r'rel="next" href="([^"]+)"', first)
    assert address is not None
    second = (await member.get(address[1].replace("&amp;", "&"))).text
    assert [len(re.findall(r'id="key-', page)) for page in (first, second)] == [100, 2]
    narrowed = (await member.get(KEYS, params={"project": str(search.project_id)})).text
    assert len(re.findall(r'id="key-', narrowed)) == 1


async def test_a_developer_hands_out_no_more_than_the_role_holds_and_a_viewer_sees_no_keys(
    anybody: Browser, database: Database, acme: Customer
) -> None:
    for role in (MemberRole.DEVELOPER, MemberRole.VIEWER):
        await create_member(database, OPERATOR, acme.tenant_id, email=f"{role}@acme.test", role=role, password=PASSWORD)
    await signed_in(anybody, "developer@acme.test")
    assert 'value="credentials:write"' not in (await anybody.get(KEYS)).text
    await submit(anybody, KEYS, KEYS, name="m", prefix="sbm_", management_scopes="credentials:write")
    newest = (await list_keys(database, acme.tenant_id))[0]
    assert newest.name == "m"
    assert Scope.CREDENTIALS_WRITE not in newest.scopes
    anybody.cookies.clear()
    await signed_in(anybody, "viewer@acme.test")
    assert (await anybody.get(KEYS)).status_code == 403
    assert f'href="{KEYS}' not in (await anybody.get("/console")).text


async def test_a_form_without_its_token_makes_no_key(member: Browser, database: Database, acme: Customer) -> None:
    assert (await member.post(KEYS, data={"name": "x", "prefix": "sbx_live_"})).status_code == 403
    assert (await member.post(f"{KEYS}/{acme.api_key_id}/revoke")).status_code == 403
    assert len(await list_keys(database, acme.tenant_id)) == 1
