"""Policies as stored: versions that are added and never edited."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest

from tenants import Actor, CreatedTenant, Database, FieldInvalid, NotFound, list_policies, publish_policy

Events = Callable[[UUID], Awaitable[list[dict[str, object]]]]


async def test_publishing_adds_a_version_and_makes_it_the_active_one(
    database: Database, member: Actor, tenant: CreatedTenant, other_tenant: CreatedTenant, events: Events
) -> None:
    await publish_policy(database, member, tenant.tenant_id, "default", b'{"a": 1}')
    published = await publish_policy(database, member, tenant.tenant_id, "default", b'{"a": 2}')
    assert published.version == 2
    (active,) = await list_policies(database, tenant.tenant_id)
    assert (active.name, active.version, active.document) == ("default", 2, b'{"a": 2}')
    assert await list_policies(database, other_tenant.tenant_id) == ()
    first, second = (await events(tenant.tenant_id))[1:]
    assert (first["action"], first["before"], second["before"]) == ("policy.published", None, {"version": 1})


async def test_publishers_at_once_each_get_a_version(
    database: Database, member: Actor, tenant: CreatedTenant, events: Events
) -> None:
    published = await asyncio.gather(
        *(publish_policy(database, member, tenant.tenant_id, "default", b"{}") for _ in range(10))
    )
    assert sorted(one.version for one in published) == list(range(1, 11))
    assert len(await list_policies(database, tenant.tenant_id)) == 1
    assert len(await events(tenant.tenant_id)) == 11


@pytest.mark.parametrize(
    "document",
    [
        b"", b"null", b"[]", b'"text"', b"{", b'{"a": NaN}', b"\xff", b'{"a": "\\u0000"}', b'{"a": "\\ud800"}',
        b'{"a": 1e999999}', b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", b'{"a": "' + b"x" * 262_144 + b'"}',
    ],
    ids=lambda document: repr(document[:16]),
)  # fmt: skip
async def test_what_is_no_storable_object_is_refused_and_leaves_nothing(
    database: Database, member: Actor, tenant: CreatedTenant, events: Events, document: bytes
) -> None:
    with pytest.raises(FieldInvalid) as caught:
        await publish_policy(database, member, tenant.tenant_id, "default", document)
    assert caught.value.field == "document"
    assert await list_policies(database, tenant.tenant_id) == ()
    assert len(await events(tenant.tenant_id)) == 1


async def test_a_policys_name_is_a_slug(database: Database, member: Actor, tenant: CreatedTenant) -> None:
    with pytest.raises(FieldInvalid):
        await publish_policy(database, member, tenant.tenant_id, "Not a slug", b"{}")


async def test_a_policy_of_no_tenant_is_not_found(database: Database, member: Actor) -> None:
    with pytest.raises(NotFound):
        await publish_policy(database, member, uuid4(), "default", b"{}")
