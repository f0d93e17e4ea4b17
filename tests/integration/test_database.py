"""The tenant-scoped session over the real roles."""

from uuid import uuid4

from sqlalchemy import text

from tenants import Database


async def test_a_session_without_a_tenant_sees_no_rows(database: Database) -> None:
    async with database.across_tenants() as session:
        await session.execute(text("INSERT INTO tenant (tenant_id, name) VALUES (:id, 'a')"), {"id": uuid4()})
    async with database.nobody() as session:
        assert (await session.execute(text("SELECT count(*) FROM tenant"))).scalar_one() == 0
