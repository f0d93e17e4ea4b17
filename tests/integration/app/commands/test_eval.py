"""`signalbox eval` against a served gateway: simulated models that get sums right as often as their skill says."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from app.cli import main
from tests.integration.app.http.api import API
from tests.world import World

STRONG, WEAK = "sandbox/deep-large", "sandbox/swift-mini"


def sums(path: Path, count: int = 40) -> Path:
    lines = [
        {"prompt": f"What is {n + 3} + {n * 7}?", "expected": n + 3 + n * 7, "task": "math_reasoning"}
        for n in range(count)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


async def run(world: World, *arguments: str) -> Result:
    """Run the command in a thread, so that the gateway's loop goes on."""
    given = ["eval", *arguments, "--base-url", world.base_url, "--key", world.acme.key]
    return await asyncio.to_thread(CliRunner().invoke, main, given)


async def run_json(world: World, *arguments: str) -> dict[str, Any]:
    result = await run(world, *arguments, "--json")
    assert result.exit_code == 0, result.output
    document: dict[str, Any] = json.loads(result.stdout[result.stdout.index("{\n") :])
    return document


def tally(document: dict[str, Any], subject: str) -> dict[str, Any]:
    (found,) = (each for each in document["tallies"] if (each["subject"], each["task"]) == (subject, "all"))
    return dict(found)


async def test_the_better_model_is_found_to_be_better_and_the_result_moves_expected_quality(
    world: World, tmp_path: Path
) -> None:
    api = await API.of(world, world.acme)
    document = await run_json(
        world, str(sums(tmp_path / "sums.jsonl")), "--model", STRONG, "--against", WEAK,
        "--management-key", api.key,
    )  # fmt: skip
    strong, weak = tally(document, STRONG), tally(document, WEAK)
    assert (strong["prompts"], strong["failed"]) == (40, 0)
    assert strong["low"] <= strong["accuracy"] <= strong["high"]
    assert strong["accuracy"] > weak["accuracy"] + 0.2
    whole = document["comparisons"][0]
    assert whole["accuracy"]["value"] == pytest.approx(strong["accuracy"] - weak["accuracy"])
    assert whole["accuracy"]["low"] > 0
    assert whole["cost_nano_usd"] == strong["cost_nano_usd"] - weak["cost_nano_usd"] > 0

    await world.gateway.settlement.drain()
    usage = (await api("GET", "/usage?group_by=model")).body["data"]
    billed = {f"sandbox/{row['group']['model']}": row["billed_nano_usd"] for row in usage}
    assert billed == {STRONG: strong["cost_nano_usd"], WEAK: weak["cost_nano_usd"]}, "to the nano-dollar"

    assert document["stored"] is True
    stored = (await api("GET", f"/evaluations/{document['evaluation_id']}")).body
    assert {each["subject"]: each["reached"] for each in stored["results"]} == {
        STRONG: strong["reached"], WEAK: weak["reached"],
    }  # fmt: skip


async def test_a_policy_is_evaluated_by_the_models_that_it_chose(world: World, tmp_path: Path) -> None:
    document = await run_json(world, str(sums(tmp_path / "sums.jsonl", 6)), "--policy", "default")
    assert document["subjects"] == ["auto/default"]
    assert {each["model"] for each in document["by_model"]} <= {
        STRONG,
        WEAK,
        "sandbox/steady-base",
        "sandbox/coder-pro",
    }
    assert document["stored"] is False


async def test_a_run_that_was_stopped_pays_only_for_the_rest(world: World, tmp_path: Path) -> None:
    file, journal = sums(tmp_path / "sums.jsonl", 12), tmp_path / "journal"
    first = await run_json(world, str(file), "--model", STRONG, "--journal", str(journal))
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:9]))
    again = await run_json(world, str(file), "--model", STRONG, "--journal", str(journal))
    assert tally(again, STRONG)["reached"] == tally(first, STRONG)["reached"]
    await world.gateway.settlement.drain()
    api = await API.of(world, world.acme)
    assert (await api("GET", "/usage")).body["total"]["request_count"] == 12 + 4
    assert again["evaluation_id"] == first["evaluation_id"]


async def test_a_judge_is_a_call_of_its_own_and_one_that_gives_no_score_grades_nothing(
    world: World, tmp_path: Path
) -> None:
    file = tmp_path / "judged.jsonl"
    file.write_text(json.dumps({"prompt": "Why is the sky blue?", "expected": "Rayleigh", "grader": "judge"}) + "\n")
    without = await run(world, str(file))
    assert (without.exit_code, "--judge" in without.output) == (1, True)
    result = await run(world, str(file), "--model", WEAK, "--judge", STRONG)
    assert result.exit_code == 1, "the simulated judge gives no score"
    assert "judge_said_nothing" in result.output
    await world.gateway.settlement.drain()
    api = await API.of(world, world.acme)
    usage = (await api("GET", "/usage?group_by=model")).body["data"]
    assert {row["group"]["model"]: row["request_count"] for row in usage} == {"swift-mini": 1, "deep-large": 1}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "sandbox/unknown"], "model_not_found"),
        (["--management-key", "sbm_unknown"], "not stored"),
        (["--policy", "default", "--against", "default"], "all that is evaluated"),
        (["--policy", "nowhere"], "policy_not_found"),
    ],
)
async def test_what_cannot_be_done_ends_with_one_line(
    world: World, tmp_path: Path, arguments: list[str], said: str
) -> None:
    result = await run(world, str(sums(tmp_path / "sums.jsonl", 2)), *arguments)
    assert result.exit_code == 1
    assert said in result.output
    assert "Traceback" not in result.output


async def test_the_table_is_for_people(world: World, tmp_path: Path) -> None:
    result = await run(world, str(sums(tmp_path / "sums.jsonl", 4)), "--model", STRONG, "--against", WEAK)
    assert result.exit_code == 0, result.output
    assert "math_reasoning" in result.output
    assert f"{STRONG} less {WEAK}" in result.output
    assert "is not stored" in result.output
