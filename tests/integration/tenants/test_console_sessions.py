"""Signing in and out: the right console, bounded tries, sessions that end."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import asyncpg
import pytest
from sqlalchemy import text

from tenants import (
    Actor,
    CreatedTenant,
    Database,
    MemberRole,
    Scope,
    ScopeMissing,
    SignInBlocked,
    SignInFailed,
    TenantKind,
    create_member,
    find_session,
    sign_in,
    sign_out,
)
from tenants.console_sessions import ATTEMPTS_MAX

Events = Callable[[UUID], Awaitable[list[dict[str, object]]]]


async def test_a_member_signs_in_is_found_and_signs_out(
    database: Database, tenant: CreatedTenant, events: Events
) -> None:
    opened = await sign_in(database, " Owner@ACME.test", tenant.owner_password, within=TenantKind.CUSTOMER)
    assert (opened.tenant_id, opened.tenant_name, opened.member_id) == (tenant.tenant_id, "Acme", tenant.member_id)
    assert (opened.email, opened.role) == ("owner@acme.test", MemberRole.OWNER)
    assert timedelta(hours=11) < opened.expires_at - datetime.now(UTC) <= timedelta(hours=12)
    assert await find_session(database, opened.cookie_value) == opened
    await sign_out(database, opened.cookie_value)
    assert await find_session(database, opened.cookie_value) is None
    await sign_out(database, opened.cookie_value)
    actions = [event["action"] for event in await events(tenant.tenant_id)]
    assert actions == ["tenant.created", "member.signed_in", "member.signed_out"]


async def test_neither_cookie_nor_csrf_token_is_stored_or_shown(
    database: Database, tenant: CreatedTenant, events: Events
) -> None:
    opened = await sign_in(database, "owner@acme.test", tenant.owner_password, within=TenantKind.CUSTOMER)
    again = await sign_in(database, "owner@acme.test", tenant.owner_password, within=TenantKind.CUSTOMER)
    assert opened.csrf_token != again.csrf_token
    async with database.tenant(tenant.tenant_id) as session:
        stored = str((await session.execute(text("SELECT to_jsonb(s)::text FROM console_session s"))).all())
    for shown in (stored, repr(opened), str(await events(tenant.tenant_id))):
        assert opened.csrf_token not in shown
        assert opened.cookie_value.split(".")[1] not in shown


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("owner@acme.test", "wrong"), ("nobody@acme.test", "wrong"), ("", ""), ("\x00@x.test", "x"),
        ("owner@acme.test", "x" * 100_000), ("owner@acme.test' OR 1=1 --", "x"),
    ],
)  # fmt: skip
async def test_what_does_not_belong_together_fails_with_one_message(
    database: Database, tenant: CreatedTenant, email: str, password: str
) -> None:
    with pytest.raises(SignInFailed) as caught:
        await sign_in(database, email, password, within=TenantKind.CUSTOMER)
    assert str(caught.value) == str(SignInFailed())


async def test_each_console_takes_its_own_members_only(
    database: Database, platform: CreatedTenant, tenant: CreatedTenant
) -> None:
    opened = await sign_in(database, platform.owner_email, platform.owner_password, within=TenantKind.PLATFORM)
    assert opened.actor.kind == "operator"
    with pytest.raises(SignInFailed):
        await sign_in(database, platform.owner_email, platform.owner_password, within=TenantKind.CUSTOMER)
    with pytest.raises(SignInFailed):
        await sign_in(database, tenant.owner_email, tenant.owner_password, within=TenantKind.PLATFORM)


async def test_a_member_of_two_tenants_enters_the_one_whose_password_it_is(
    database: Database, member: Actor, tenant: CreatedTenant, other_tenant: CreatedTenant
) -> None:
    second = await create_member(
        database, member, other_tenant.tenant_id, email="owner@acme.test", role=MemberRole.VIEWER
    )
    opened = await sign_in(database, "owner@acme.test", second.password, within=TenantKind.CUSTOMER)
    assert (opened.tenant_id, opened.role) == (other_tenant.tenant_id, MemberRole.VIEWER)


async def test_a_cookie_of_one_tenant_opens_no_other(
    database: Database, tenant: CreatedTenant, other_tenant: CreatedTenant
) -> None:
    opened = await sign_in(database, "owner@acme.test", tenant.owner_password, within=TenantKind.CUSTOMER)
    moved = f"{other_tenant.tenant_id.hex}.{opened.cookie_value.split('.')[1]}"
    assert await find_session(database, moved) is None
    await sign_out(database, moved)
    assert await find_session(database, opened.cookie_value) is not None


@pytest.mark.parametrize(
    "cookie", ["", ".", "a.b", "0" * 32 + ".", "0" * 32 + "." + "A" * 43, "\x00", "é.é", "x" * 9999]
)
async def test_a_malformed_cookie_is_nobodys(database: Database, cookie: str) -> None:
    assert await find_session(database, cookie) is None
    await sign_out(database, cookie)


async def test_tries_are_counted_until_the_right_password(database: Database, tenant: CreatedTenant) -> None:
    for _ in range(2):
        for _ in range(ATTEMPTS_MAX - 1):
            with pytest.raises(SignInFailed) as caught:
                await sign_in(database, "owner@acme.test", "wrong", within=TenantKind.CUSTOMER)
            assert not isinstance(caught.value, SignInBlocked)
        await sign_in(database, "owner@acme.test", tenant.owner_password, within=TenantKind.CUSTOMER)


@pytest.mark.parametrize("email", ["owner@acme.test", "nobody@acme.test"])
async def test_too_many_tries_block_even_at_once_and_for_nobody(
    database: Database, tenant: CreatedTenant, other_tenant: CreatedTenant, email: str
) -> None:
    tries = await asyncio.gather(
        *(sign_in(database, email, "wrong", within=TenantKind.CUSTOMER) for _ in range(ATTEMPTS_MAX + 10)),
        return_exceptions=True,
    )
    blocked = [one for one in tries if isinstance(one, SignInBlocked)]
    assert len(blocked) == 10
    with pytest.raises(SignInBlocked) as caught:
        await sign_in(database, email.upper(), tenant.owner_password, within=TenantKind.CUSTOMER)
    assert 0 < caught.value.retry_after_s <= 900
    assert await sign_in(database, "owner@globex.test", other_tenant.owner_password, within=TenantKind.CUSTOMER)


async def test_a_block_ends_with_its_window_and_sessions_with_their_time(
    database: Database, admin: asyncpg.Connection, tenant: CreatedTenant
) -> None:
    for _ in range(ATTEMPTS_MAX + 1):
        with pytest.raises(SignInFailed):
            await sign_in(database, "owner@acme.test", "wrong", within=TenantKind.CUSTOMER)
    await admin.execute("UPDATE sign_in_attempt SET window_ends_at = now() - interval '1 second'")
    opened = await sign_in(database, "owner@acme.test", tenant.owner_password, within=TenantKind.CUSTOMER)
    await admin.execute("UPDATE console_session SET expires_at = now()")
    assert await find_session(database, opened.cookie_value) is None


async def test_a_disabled_member_is_out_at_once(
    database: Database, admin: asyncpg.Connection, tenant: CreatedTenant
) -> None:
    opened = await sign_in(database, "owner@acme.test", tenant.owner_password, within=TenantKind.CUSTOMER)
    await admin.execute("UPDATE member SET disabled_at = now()")
    assert await find_session(database, opened.cookie_value) is None
    with pytest.raises(SignInFailed):
        await sign_in(database, "owner@acme.test", tenant.owner_password, within=TenantKind.CUSTOMER)


async def test_a_role_holds_its_scopes_and_no_more(database: Database, member: Actor, tenant: CreatedTenant) -> None:
    viewer = await create_member(database, member, tenant.tenant_id, email="v@acme.test", role=MemberRole.VIEWER)
    opened = await sign_in(database, "v@acme.test", viewer.password, within=TenantKind.CUSTOMER)
    opened.require(Scope.USAGE_READ)
    with pytest.raises(ScopeMissing):
        opened.require(Scope.KEYS_WRITE)
