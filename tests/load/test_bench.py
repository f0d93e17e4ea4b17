"""The bench's arithmetic and its mock: what is reported must follow from what was counted."""

import asyncio
from pathlib import Path

import pytest

from tests.load.client import Load, Target, complaint
from tests.load.figures import figures, medians
from tests.load.fsync import Flushed
from tests.load.measurement import Sample
from tests.load.peers import PEERS, Peer, peer_running, peers_named
from tests.load.programs import ProgramFailed, finished, running
from tests.load.prompts import POOL_SIZE, PROMPT_BYTES, pool
from tests.load.subjects import NATIVE, Route
from tests.load.upstream import STREAM_TOKENS, Upstream


def a_sample(**fields: object) -> Sample:
    counted = {
        "answered": 1_000, "failures": 0, "seconds": 2.0, "p50_ms": 4.0, "p99_ms": 9.0, "events": 0, "core_busy_s": 1.0,
        "gateway_cpu_s": 0.2, "postgres_cpu_s": 0.1,
    }  # fmt: skip
    return Sample(**(counted | fields))


def test_cpu_of_a_request_is_what_the_processes_spent_over_what_was_answered() -> None:
    told = figures({"at_32": a_sample()}, {})
    assert told["at_32_gateway_cpu_us"] == pytest.approx(200)
    assert told["at_32_postgres_cpu_us"] == pytest.approx(100)
    assert told["at_32_requests_per_s"] == pytest.approx(500)


def test_added_latency_is_over_the_mock_itself() -> None:
    told = figures({"paced": a_sample()}, {"paced": a_sample(p50_ms=1.0, p99_ms=2.0)})
    assert (told["paced_added_p50_ms"], told["paced_added_p99_ms"]) == (3.0, 7.0)


def test_an_event_costs_what_a_stream_takes_beyond_a_whole_answer() -> None:
    streamed = a_sample(answered=10, events=1_000, gateway_cpu_s=0.012)
    told = figures({"at_32": a_sample(), "streams": streamed}, {})
    assert told["streams_event_cpu_us"] == pytest.approx(10)


def test_translation_costs_what_it_adds_to_the_same_language() -> None:
    told = figures({"at_32": a_sample(), "translated": a_sample(gateway_cpu_s=0.35)}, {})
    assert told["translated_added_cpu_us"] == pytest.approx(150)


def test_saturation_says_how_full_cores_and_disk_were() -> None:
    told = figures({"at_64": a_sample(gateway_cpu_s=1.9, flushed=Flushed(100, 0.5))}, {})
    assert told["at_64_gateway_core_percent"] == pytest.approx(95)
    assert told["at_64_fsync_percent"] == pytest.approx(25)
    assert told["at_64_fsync_us"] == pytest.approx(5_000)
    assert told["at_64_requests_per_fsync"] == pytest.approx(10)


def test_what_was_not_counted_is_missing_and_never_zero() -> None:
    told = figures({"at_32": a_sample(gateway_cpu_s=None, postgres_cpu_s=None), "streams": a_sample(events=9)}, {})
    assert not [name for name in told if "cpu" in name]


def test_medians_are_of_the_rounds_that_have_the_figure_and_failures_add_up() -> None:
    told = medians([{"a": 1.0, "failures": 1}, {"a": 9.0, "b": 4.0, "failures": 2}, {"a": 2.0, "failures": 0}])
    assert told == {"a": 2.0, "b": 4.0, "failures": 3}


def test_no_two_prompts_are_equal_and_each_is_about_a_kilobyte() -> None:
    prompts = pool()
    assert len(set(prompts)) == POOL_SIZE >= 500
    assert all(PROMPT_BYTES <= len(prompt) < PROMPT_BYTES + 200 for prompt in prompts)
    assert prompts == pool()


@pytest.mark.parametrize(("path", "end_events"), [("/v1/chat/completions", 3), ("/v1/messages", 5)])
async def test_the_mock_answers_both_languages_whole_and_streamed(path: str, end_events: int) -> None:
    server = await asyncio.get_running_loop().create_server(Upstream, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{path}"
    whole = await Load(Target(url=url, model="m"), connections=2, rate_per_s=None).run(0.05)
    streamed = await Load(Target(url=url, model="m", is_streamed=True), connections=2, rate_per_s=None).run(0.05)
    server.close()
    assert whole["answered"] > 0
    assert whole["failures"] == streamed["failures"] == 0
    assert streamed["events"] == streamed["answered"] * (STREAM_TOKENS + end_events)


async def test_a_stream_without_its_end_is_a_failure() -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: 12\r\n\r\ndata: {}\n\n  ")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    assert await complaint(Target(url=url, model="m", is_streamed=True), timeout_s=2)
    server.close()


async def test_a_program_is_gone_with_all_its_children(tmp_path: Path) -> None:
    async with running("sh", "-c", "sleep 60 & sleep 60", core=0, log=tmp_path / "log") as program:
        pid = program.pid
        assert await _living(pid)
    for _ in range(100):  # what was killed takes a moment to go
        if not await _living(pid):
            return
        await asyncio.sleep(0.02)
    pytest.fail("a child lives on")


async def _living(session: int) -> str:
    return await finished("sh", "-c", f"pgrep -s {session} -r R,S,D || true")


async def test_a_peer_that_cannot_be_had_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.load.peers.FOLDER", tmp_path)
    peer = Peer(
        name="none", is_on="nothing", url="http://127.0.0.1:{port}/", routes={NATIVE: Route(model="m")},
        install=(("sh", "-c", "echo no such package >&2; exit 3"),), start=("true",),
    )  # fmt: skip
    with pytest.raises(ProgramFailed, match=r"code 3\. no such package"):
        async with peer_running(peer, "http://127.0.0.1:1"):
            pass


def test_peers_are_named_given_by_address_or_unknown() -> None:
    assert [peer.name for peer in peers_named(["litellm", "own=http://127.0.0.1:9/v1/x"], {})] == ["litellm", "own"]
    assert set(PEERS) == {"litellm", "portkey", "tensorzero"}
    with pytest.raises(KeyError):
        peers_named(["none"], {})
    with pytest.raises(ProgramFailed):
        peers_named(["own=ftp://there"], {})
