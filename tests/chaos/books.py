"""The books held against the provider's own log, after whatever happened to the gateway and to the database.

Called by every test of this folder at its end. Invariant: each identity is exact, to the nano-dollar; a call whose
process died is charged what was held for it, which is never less than what it cost.
"""

from dataclasses import dataclass

from billing import settle_lost
from tests.chaos.stage import Stage

LOST = "GatewayLost"
ATTEMPTS = """SELECT attempt_id, error_type, billed_nano_usd, provider_cost_nano_usd, reserved_nano_usd
              FROM attempt WHERE tenant_id = $1"""
# Each is the same sum in another book. Adjustments replace what was guessed for a process taken for dead.
SUMS = {
    "records": "SELECT sum(billed_nano_usd) FROM request_record WHERE tenant_id = $1",
    "attempts": "SELECT sum(billed_nano_usd) FROM attempt WHERE tenant_id = $1",
    "adjustments": "SELECT sum(billed_nano_usd) FROM adjustment WHERE tenant_id = $1",
    "rollups": "SELECT sum(billed_nano_usd) FROM usage_rollup WHERE tenant_id = $1",
    "ledger": "SELECT sum(amount_nano_usd) FROM ledger_entry WHERE tenant_id = $1 AND account = 'accrued_usage'",
    "balance": "SELECT sum(amount_nano_usd) FROM ledger_entry WHERE tenant_id = $1",
    "requests": "SELECT count(*) FROM request_record WHERE tenant_id = $1",
    "counted": "SELECT sum(request_count) FROM usage_rollup WHERE tenant_id = $1",
    "dead letters": "SELECT count(*) FROM dead_letter WHERE tenant_id = $1",
    "held": "SELECT count(*) FROM reservation WHERE tenant_id = $1 AND state = 'held'",
}
PERIODS = "SELECT spent_nano_usd, reserved_nano_usd FROM budget_period WHERE tenant_id = $1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """What the books came to."""

    upstream_nano_usd: int
    billed_nano_usd: int
    calls: int
    lost: int


async def balance(stage: Stage) -> Balance:
    """End the replicas, settle what dead ones left behind, and hold every book against every other."""
    await stage.end_replicas()
    await settle_lost(stage.parts.database, silent_s_max=0)
    connection = await stage.connect()
    try:
        sums = {name: int(await connection.fetchval(sql, stage.tenant_id) or 0) for name, sql in SUMS.items()}
        attempts = {row["attempt_id"]: row for row in await connection.fetch(ATTEMPTS, stage.tenant_id)}
        periods = await connection.fetch(PERIODS, stage.tenant_id)
    finally:
        await connection.close()
    assert sums["records"] == sums["attempts"], sums
    assert sums["records"] + sums["adjustments"] == sums["rollups"] == sums["ledger"], sums
    assert sums["requests"] == sums["counted"], sums
    assert (sums["balance"], sums["dead letters"], sums["held"]) == (0, 0, 0), sums
    for period in periods:
        assert (period["spent_nano_usd"], period["reserved_nano_usd"]) == (sums["ledger"], 0), (period, sums)

    calls = stage.calls()
    served = {call.attempt_id: call for call in calls}
    assert len(served) == len(calls), "the provider saw an attempt twice"
    recorded = {str(attempt_id): row for attempt_id, row in attempts.items()}
    unrecorded = [call for attempt_id, call in served.items() if attempt_id not in recorded]
    assert not unrecorded, (len(unrecorded), unrecorded[:3])
    lost = 0
    for attempt_id, row in recorded.items():
        if row["error_type"] == LOST:
            lost += 1
            assert row["billed_nano_usd"] >= (served[attempt_id].cost_nano_usd if attempt_id in served else 0), row
        elif row["billed_nano_usd"]:
            assert attempt_id in served, ("billed, and never served", row)
    return Balance(
        upstream_nano_usd=sum(call.cost_nano_usd for call in calls),
        billed_nano_usd=sums["ledger"],
        calls=len(calls),
        lost=lost,
    )
