"""`signalbox try` against a served gateway: what it tells equals what the gateway recorded."""

import asyncio
import gzip
import json
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import text

from app.cli import main
from app.sandbox import FaultKind
from app.sandbox.faults import read_plan
from billing import change_plan, set_budget
from tenants import SYSTEM, create_key, publish_policy, revoke_key
from tests.world import World

PROMPTS = (
    {"text": "Write a Python function that reverses a list", "task": "code_generation"},
    {"text": "Prove that the square root of 2 is irrational", "task": "math_reasoning"},
    {"text": "Hello there, how are you?", "task": "small_talk"},
    {"text": "Translate into French: good morning", "task": "translation"},
    {"text": "Write a poem about the sea — ünïcode, 海", "task": "creative_writing"},
)
LIMIT_NANO_USD = 1_000_000
EXAMPLES = Path("app/sandbox/examples")
FAULTY = (
    {"text": "[[fault:500@swift-mini]] Hello there"},  # falls back
    {"text": "[[fault:malformed]] Hello there"},  # fails everywhere, after tokens were generated
    {"text": "[[fault:401]] Hello there"},
    {"text": "[[fault:content]] Hello there"},
    {"text": "[[fault:cut]] Hello there, tell me a long story"},
    {"text": "[[fault:late_error]] Hello there, tell me a long story"},
    {"text": "[[fault:wrong_usage]] Hello there"},
    {"text": "[[fault:no_usage]] Hello there"},
)


def write(path: Path, *lines: dict[str, object] | str) -> Path:
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


async def run(*arguments: str, **environment: str) -> Result:
    """Run the command in a thread, so that the gateway's loop goes on."""
    return await asyncio.to_thread(CliRunner().invoke, main, ["try", *arguments], env=dict(environment))


async def run_json(world: World, *arguments: str) -> dict[str, Any]:
    result = await run(*arguments, "--base-url", world.base_url, "--key", world.acme.key, "--json")
    assert result.exit_code == 0, result.output
    # The gateway runs in this process too, and what it logs meanwhile is caught with the output.
    document: dict[str, Any] = json.loads(result.stdout[result.stdout.index("{\n") :])
    return document


async def recorded(world: World) -> Any:
    """The sums of the tenant's own records."""
    await world.gateway.settlement.drain()
    async with world.database.across_tenants() as session:
        rows = await session.execute(
            text("""
                SELECT count(*) AS requests, count(*) FILTER (WHERE outcome = 'ok') AS answered,
                       sum(attempt_count)::bigint AS attempts, sum(billed_nano_usd)::bigint AS billed,
                       sum(baseline_nano_usd - billed_nano_usd)::bigint AS saved
                FROM request_record WHERE tenant_id = :t"""),
            {"t": world.acme.tenant_id},
        )
        return rows.one()


@pytest.mark.parametrize("how", [(), ("--stream",)])
async def test_totals_equal_the_records_to_the_nano_dollar(world: World, tmp_path: Path, how: tuple[str, ...]) -> None:
    file = write(tmp_path / "prompts.jsonl", *PROMPTS, *FAULTY)
    document = await run_json(world, str(file), "--concurrency", "4", *how)
    rows = await recorded(world)
    assert document["requests_sent"] == rows.requests
    assert document["answered"] == rows.answered
    assert document["attempts"] == rows.attempts == len(world.sandbox.calls)
    assert document["cost_nano_usd"] == rows.billed > 0
    assert document["saved_nano_usd"] == rows.saved
    assert document["unknown_cost_count"] == 0
    failed = sum(document["refused"].values()) + sum(document["errors"].values())
    assert document["answered"] + failed == document["prompts"] == len(PROMPTS) + len(FAULTY)
    assert failed
    assert set(document["reasons"]) == {*document["refused"], *document["errors"]}
    assert sum(share["requests"] for share in document["by_model"].values()) == document["answered"]
    assert sum(share["requests"] for share in document["by_rule"].values()) == document["answered"]
    assert sum(route["requests"] for route in document["routes"]) == document["answered"]


async def test_every_request_asks_for_the_model_that_was_named(world: World, tmp_path: Path) -> None:
    file = write(tmp_path / "prompts.jsonl", *PROMPTS)
    document = await run_json(world, str(file), "--model", "sandbox/deep-large")
    assert set(document["by_model"]) == {"sandbox/deep-large"}


@pytest.mark.parametrize("how", [(), ("--stream",)])
async def test_a_tenth_fails_behind_two_dialects_and_what_can_be_answered_is(
    world: World, tmp_path: Path, how: tuple[str, ...]
) -> None:
    policy = (EXAMPLES / "two_dialects.json").read_bytes()
    await publish_policy(world.database, SYSTEM, world.acme.tenant_id, "two-dialects", policy)
    for rule in read_plan((EXAMPLES / "a_tenth_fails.json").read_bytes()):
        world.sandbox.faults.add(rule)
    file = write(tmp_path / "prompts.jsonl", *PROMPTS * 10)
    document = await run_json(world, str(file), "--model", "auto/two-dialects", *how)
    rows = await recorded(world)
    # What a caller has begun to read cannot be begun anew elsewhere; everything else is answered.
    cut = sum(call.fault == FaultKind.CUT for call in world.sandbox.calls) if how else 0
    assert document["answered"] + cut == rows.answered + cut == document["prompts"] == 50, document["reasons"]
    assert document["attempts"] == rows.attempts == len(world.sandbox.calls) > 50
    assert document["cost_nano_usd"] == rows.billed > 0
    by_provider = Counter(call.provider_name for call in world.sandbox.calls)
    assert 0.3 < by_provider["sandbox-anthropic"] / by_provider.total() < 0.7


async def test_a_spent_budget_is_a_refusal_that_names_it(world: World, tmp_path: Path) -> None:
    await set_budget(world.database, SYSTEM, world.acme.tenant_id, limit_nano_usd=LIMIT_NANO_USD, period="month")
    file = write(tmp_path / "prompts.jsonl", *PROMPTS * 6)
    document = await run_json(world, str(file), "--concurrency", "1")
    rows = await recorded(world)
    assert document["refused"]["budget_exceeded"] > 0
    assert "budget of $0.001" in document["reasons"]["budget_exceeded"]
    assert (document["cost_nano_usd"], document["attempts"]) == (rows.billed, rows.attempts)
    assert rows.billed <= LIMIT_NANO_USD


async def test_nothing_answered_is_a_failure_with_the_reason(world: World, tmp_path: Path) -> None:
    await set_budget(world.database, SYSTEM, world.acme.tenant_id, limit_nano_usd=0, period="month")
    file = write(tmp_path / "prompts.jsonl", *PROMPTS)
    result = await run(str(file), "--base-url", world.base_url, "--key", world.acme.key)
    assert result.exit_code == 1
    assert "No prompt was answered. budget_exceeded" in result.stderr
    assert "0 answered, 5 refused, 0 failed" in result.stdout


async def test_a_limited_rate_is_waited_for(world: World, tmp_path: Path) -> None:
    await change_plan(world.database, SYSTEM, world.acme.tenant_id, "free")
    file = write(tmp_path / "prompts.jsonl", *PROMPTS * 5)
    document = await run_json(world, str(file), "--limit", "22")  # the plan's burst is 20
    rows = await recorded(world)
    assert document["answered"] == document["prompts"] == 22
    assert document["requests_sent"] == rows.requests > 22
    assert document["cost_nano_usd"] == rows.billed


async def test_the_task_is_compared_unless_it_is_told(world: World, tmp_path: Path) -> None:
    file = write(
        tmp_path / "prompts.jsonl", PROMPTS[0], {"text": PROMPTS[2]["text"], "task": "planning"}, {"text": "Hi"}
    )
    compared = await run_json(world, str(file))
    assert compared["task_agreement"] == {"labelled": 2, "agreed": 1}
    told = await run_json(world, str(file), "--task-tag")
    assert told["task_agreement"] is None
    tasks = Counter(route["task"] for route in told["routes"])
    assert tasks == {"code_generation": 1, "planning": 1, "small_talk": 1}


async def test_bad_lines_are_named_and_the_rest_is_sent(world: World, tmp_path: Path) -> None:
    good = json.dumps(PROMPTS[0])
    lines = (good, "", "{", '{"prompt": "x"}', '{"text": 5}', '{"text": "  "}', '["text"]', "\x00", good)
    (tmp_path / "prompts.jsonl.gz").write_bytes(gzip.compress("\r\n".join(lines).encode()))
    document = await run_json(world, str(tmp_path / "prompts.jsonl.gz"))
    assert document["answered"] == document["prompts"] == 2
    assert [bad["line"] for bad in document["bad_lines"]] == [3, 4, 5, 6, 7, 8]


async def test_the_table_says_where_why_and_at_what_cost(world: World, tmp_path: Path) -> None:
    file = write(tmp_path / "prompts.jsonl", *PROMPTS, {"text": "[[fault:401]] Hello"}, "{")
    result = await run(str(file), SIGNALBOX_BASE_URL=f"{world.base_url}/v1/", SIGNALBOX_API_KEY=world.acme.key)
    assert result.exit_code == 0, result.output
    assert "code_generation" in result.stdout
    assert "sandbox/coder-pro" in result.stdout
    assert "code to the coder" in result.stdout
    assert "5 answered, 0 refused, 1 failed" in result.stdout
    assert "line 7: not JSON" in result.stderr
    rows = await recorded(world)
    assert f"{rows.attempts} calls to providers for 6 requests" in result.stdout
    assert not set("│─━┃╭") & set(result.stdout)


async def test_limit_sends_the_first_prompts_only(world: World, tmp_path: Path) -> None:
    document = await run_json(world, str(write(tmp_path / "p.jsonl", *PROMPTS)), "--limit", "2")
    assert document["prompts"] == 2
    assert len(world.sandbox.calls) == 2


async def test_a_key_that_is_not_taken_ends_it_before_a_prompt_is_sent(world: World, tmp_path: Path) -> None:
    file = str(write(tmp_path / "p.jsonl", *PROMPTS))
    created = await create_key(world.database, world.gateway.vault, SYSTEM, world.acme.tenant_id, name="old key")
    await revoke_key(world.database, SYSTEM, world.acme.tenant_id, created.key.api_key_id)
    for key, says in (("sbx_live_nonsense", "not known"), (created.secret, "'old key' was revoked"), ("ключ", "ASCII")):
        result = await run(file, "--base-url", world.base_url, "--key", key)
        assert result.exit_code == 1
        assert says in result.stderr
        assert key not in result.output
    assert world.sandbox.calls == []


async def test_no_gateway_or_another_server_is_named(world: World, tmp_path: Path) -> None:
    file = str(write(tmp_path / "p.jsonl", *PROMPTS))
    with socket.create_server(("127.0.0.1", 0)) as probe:
        free = probe.getsockname()[1]
    for address, says in (
        (f"http://127.0.0.1:{free}", "No gateway answers at"),
        ("not an address", "No gateway answers at"),
        (world.sandbox.base_url, "is not a Signalbox gateway"),
    ):
        result = await run(file, "--base-url", address, "--key", world.acme.key)
        assert result.exit_code == 1
        assert says in result.stderr
        assert "Traceback" not in result.output


async def test_a_gateway_whose_provider_is_away_is_told_as_errors(world: World, tmp_path: Path) -> None:
    world.sandbox.fail(FaultKind.SERVER)
    file = str(write(tmp_path / "p.jsonl", *PROMPTS))
    result = await run(file, "--base-url", world.base_url, "--key", world.acme.key, "--json")
    document = json.loads(result.stdout)
    rows = await recorded(world)
    assert result.exit_code == 1
    assert sum(document["errors"].values()) == 5
    assert document["attempts"] == rows.attempts == len(world.sandbox.calls)
    assert document["cost_nano_usd"] == rows.billed
