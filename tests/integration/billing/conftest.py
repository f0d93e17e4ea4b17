"""Fixtures of the billing tests: a meter, and a tenant with a project and a key."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from billing import CommitMeter
from tenants import Database
from tests.integration.billing.builders import Books, a_tenant


@pytest.fixture
async def meter(database: Database) -> AsyncIterator[CommitMeter]:
    """A meter in commit mode."""
    meter = CommitMeter(database, uuid4())
    yield meter
    await meter.close()


@pytest.fixture
async def books(database: Database) -> Books:
    """A tenant."""
    return await a_tenant(database)
