"""`python -m app.sandbox`: the sandbox as a process of its own, started by `signalbox up`.

Prints one JSON line with its address once it listens, and stops on SIGTERM or SIGINT, or when the
process that started it closes its standard input (with `--until-stdin-closes`).
"""

import argparse
import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import msgspec

from app.sandbox.faults import FaultRule, read_plan
from app.sandbox.server import SandboxServer

KEY_VARIABLE = "SIGNALBOX_SANDBOX_KEY"
FAULTS_VARIABLE = "SIGNALBOX_SANDBOX_FAULTS"


def main() -> int:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m app.sandbox", description="Signalbox's simulated provider.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--state", type=Path, help="folder for calls.jsonl")
    parser.add_argument("--time-scale", type=float, default=1.0, help="0 answers at once")
    # From the environment too, so that `signalbox up` need not know of it.
    parser.add_argument(
        "--faults",
        type=Path,
        default=os.environ.get(FAULTS_VARIABLE) or None,
        help="JSON file with a list of fault rules",
    )
    parser.add_argument("--until-stdin-closes", action="store_true", help="stop with the process that started it")
    return asyncio.run(_serve(parser.parse_args()))


async def _serve(arguments: argparse.Namespace) -> int:
    try:
        faults = _plan(arguments.faults)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        sys.stderr.write(f"{arguments.faults} is no fault plan: {error}. Give a JSON list of rules.\n")
        return 1
    server = SandboxServer(
        host=arguments.host,
        port=arguments.port,
        state=arguments.state,
        time_scale=arguments.time_scale,
        # From the environment, because arguments are visible to every user of the machine.
        api_key=os.environ.get(KEY_VARIABLE) or None,
        faults=faults,
    )
    try:
        await server.start()
    except OSError as error:
        sys.stderr.write(
            f"The sandbox cannot listen on {arguments.host}:{arguments.port}: {error.strerror}. Give another --port.\n"
        )
        return 1
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if arguments.until_stdin_closes:
        loop.add_reader(sys.stdin.fileno(), _set_at_end, stopped)
    sys.stdout.write(json.dumps({"base_url": server.base_url, "port": server.port}) + "\n")
    sys.stdout.flush()
    await stopped.wait()
    await server.stop()
    return 0


def _plan(path: Path | None) -> tuple[FaultRule, ...]:
    return read_plan(path.read_bytes()) if path else ()


def _set_at_end(stopped: asyncio.Event) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        stopped.set()


if __name__ == "__main__":
    sys.exit(main())
