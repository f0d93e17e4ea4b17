"""The sandbox's bill, read as a provider's statement: what it charged is what we owe it, whatever went wrong."""

import pytest

from app.sandbox import FaultKind, FaultRule
from app.sandbox.statement import statement_csv
from billing import read_statement, reconcile
from tests.world import World

FAULTS = (
    FaultKind.CUT, FaultKind.LATE_ERROR_EVENT, FaultKind.HANG, FaultKind.SERVER, FaultKind.MALFORMED,
    FaultKind.NO_USAGE, FaultKind.ERROR_EVENT,
)  # fmt: skip


@pytest.mark.parametrize("is_streamed", [False, True], ids=["whole", "stream"])
async def test_after_its_statement_we_owe_a_provider_what_it_bills(world: World, is_streamed: bool) -> None:
    for kind in FAULTS:
        world.sandbox.faults.add(FaultRule(kinds=[kind], model="swift-mini", count=1))
        await world.chat(model="sandbox/swift-mini", stream=is_streamed)
    await world.chat(model="sandbox/steady-base", stream=is_streamed)
    await world.gateway.settlement.drain()
    entries = world.sandbox.calls
    assert len(entries) > len(FAULTS)
    lines = list(read_statement(statement_csv(entries).splitlines()))
    billed = await total(world, "SELECT coalesce(sum(billed_nano_usd), 0) FROM request_record")
    report = await reconcile(world.database, lines)
    assert report.unmatched_count == 0
    assert report.billed_moved_nano_usd == 0  # what a caller was told stays
    charged = sum(entry.cost_nano_usd for entry in entries)
    assert await balance(world, "provider_payable") == -charged
    assert await balance(world, "accrued_usage") == billed
    assert await total(world, "SELECT coalesce(sum(provider_cost_nano_usd), 0) FROM usage_rollup") == charged
    assert (await reconcile(world.database, lines)).adjusted_count == 0


async def total(world: World, sql: str) -> int:
    pool = await world.database.meter_pool()
    return int(await pool.fetchval(sql))


async def balance(world: World, account: str) -> int:
    return await total(world, f"SELECT coalesce(sum(amount_nano_usd), 0) FROM ledger_entry WHERE account = '{account}'")
