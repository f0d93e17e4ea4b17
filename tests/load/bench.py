"""`make bench`: what a request costs, with everything on, beside other gateways if they are named.

    make bench                                              ours alone, as a table
    make bench BENCH="--json"                               the same as JSON
    make bench BENCH="--against litellm,portkey,tensorzero" side by side, against the same mock, in turn

The gateway has one core to itself; the mock, the load and PostgreSQL share the other. CPU is of the gateway's
whole process tree, user and system, by the kernel's own count. Each figure is the median of the rounds.
"""

import argparse
import asyncio
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Final

from tests.load.figures import figures, medians
from tests.load.measurement import AT_32, LOADS, PACED, Sample, sample
from tests.load.peers import PEERS, Peer, peer_running, peers_named, read_peers
from tests.load.processes import resident_mb, tree
from tests.load.programs import GATEWAY_CORE, LOAD_CORE, ProgramFailed, finished, telling_port
from tests.load.report import Measured, Report, as_json, show
from tests.load.signalbox import signalbox_running
from tests.load.subjects import NATIVE, Route, Subject

WARM_UP_S: Final = 3.0
SPIN: Final = "from tests.load.processes import spin_us; print(spin_us())"


async def bench(peers: Sequence[Peer], *, seconds: float, rounds: int) -> Report:
    """Start everything, measure in rounds, end everything."""
    unavailable: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        port = await stack.enter_async_context(telling_port("tests.load.upstream", core=LOAD_CORE))
        upstream = f"http://127.0.0.1:{port}"
        subjects = [await stack.enter_async_context(signalbox_running(upstream))]
        for peer in peers:
            _tell(f"getting {peer.name} ready")
            try:
                subjects.append(await stack.enter_async_context(peer_running(peer, upstream)))
            except ProgramFailed as failed:
                unavailable[peer.name] = str(failed)
        direct = Subject(
            name="direct", is_on="", url=f"{upstream}/v1/chat/completions", routes={NATIVE: Route(model="m")}
        )
        for subject in subjects:
            await sample(subject, AT_32, seconds=WARM_UP_S)
        spins_us, told = [], []
        for number in range(1, rounds + 1):
            _tell(f"round {number} of {rounds}")
            spins_us.append(float(await finished("taskset", "-c", str(GATEWAY_CORE), sys.executable, "-c", SPIN)))
            told.append(await _round(subjects, direct, seconds=seconds))
        measured = [_measured(subject, [one[subject.name] for one in told]) for subject in subjects]
    return Report(measured=measured, unavailable=unavailable, spins_us=spins_us)


async def _round(subjects: Sequence[Subject], direct: Subject, *, seconds: float) -> dict[str, dict[str, float]]:
    """Every load on every subject, one load after the other, so that subjects are measured close together."""
    samples: dict[str, dict[str, Sample]] = {subject.name: {} for subject in (*subjects, direct)}
    samples[direct.name][PACED.name] = await sample(direct, PACED, seconds=seconds)
    for load in LOADS:
        for subject in subjects:
            if load.route in subject.routes:
                samples[subject.name][load.name] = await sample(subject, load, seconds=seconds)
    return {subject.name: figures(samples[subject.name], samples[direct.name]) for subject in subjects}


def _measured(subject: Subject, rounds: Sequence[dict[str, float]]) -> Measured:
    own = medians(rounds)
    if subject.start_s is not None:
        own["start_s"] = subject.start_s
    if subject.pid is not None:
        sizes = resident_mb(tree(subject.pid))
        own |= {"resident_mb_max": max(sizes), "resident_mb_sum": sum(sizes), "processes": len(sizes)}
    return Measured(subject=subject, figures=own, rounds=rounds)


def _tell(progress: str) -> None:
    sys.stderr.write(f"{progress}\n")


async def main() -> None:
    """Read the options, measure, print."""
    parser = argparse.ArgumentParser(prog="make bench BENCH=…", description="What a request costs.")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")
    parser.add_argument("--against", default="", help="peers by name, or NAME=URL, with commas between")
    parser.add_argument("--peers", type=Path, help="a JSON list of further peers, rows as in tests/load/peers.py")
    parser.add_argument("--seconds", type=float, default=4.0, help="of one load")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    extra = read_peers(options.peers) if options.peers else {}
    try:
        peers = peers_named(filter(None, options.against.split(",")), extra)
    except KeyError as unknown:
        parser.error(f"no peer is called {unknown}; there are {', '.join(sorted({*PEERS, *extra}))}")
    except ProgramFailed as failed:
        parser.error(str(failed))
    # PostgreSQL is started from here and inherits the core.
    os.sched_setaffinity(0, {LOAD_CORE})
    this = asyncio.current_task()
    assert this is not None
    # Ended from outside, the bench still ends what it started.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, this.cancel)
    report = await bench(peers, seconds=options.seconds, rounds=options.rounds)
    if options.json:
        sys.stdout.write(as_json(report))
    else:
        show(report)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except asyncio.CancelledError:
        sys.exit(128 + signal.SIGTERM)
