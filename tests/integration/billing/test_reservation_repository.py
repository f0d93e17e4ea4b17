"""Old released reservations go; what is held or recent stays."""

from collections.abc import Callable
from uuid import uuid4

import asyncpg
from sqlalchemy.engine import make_url

from app.embedded.postgres import SUPERUSER
from billing import purge_reservations
from tenants import Database


async def test_only_released_reservations_older_than_a_day_are_purged(
    database: Database, database_url: Callable[[str], str]
) -> None:
    url = make_url(database_url(SUPERUSER))
    admin = await asyncpg.connect(host=str(url.query["host"]), user=SUPERUSER, database=url.database)
    rows = [(state, age) for state in ("held", "orphaned", "released") for age in ("2 days", "1 hour")]
    for state, age in rows:
        await admin.execute(
            """INSERT INTO reservation VALUES ($1, $2, $3, $4, $5, $6, 'openai', 'gpt-4o-mini', 'platform', false, 1,
                                               '{}', '{}', $7, now() - $8::text::interval)""",
            *(uuid4() for _ in range(6)), state, age,
        )  # fmt: skip
    assert await purge_reservations(database) == 1
    left = await admin.fetch("SELECT state FROM reservation ORDER BY state")
    assert [row["state"] for row in left] == ["held", "held", "orphaned", "orphaned", "released"]
    await admin.close()
