"""`make simulate`: many seeds on one loop, one after the other; says which seed fails and why.

Invariant: a seed gives the same play each time, alone or among others.
"""

import argparse
import asyncio
import logging
import sys
import time
from collections.abc import Iterable

import structlog

from tests.simulation.clock import VirtualLoop
from tests.simulation.play import Play

SEEDS = 10_000
# Longer than any play: by then somebody waits for ever.
PLAY_S_MAX = 2_000


class Failed(AssertionError):
    """A seed whose play broke an invariant."""

    def __init__(self, seed: int, error: BaseException) -> None:
        super().__init__(f"seed {seed}: {type(error).__name__}: {error}")
        self.seed = seed


def simulate(seeds: Iterable[int]) -> int:
    """Play every seed; return how many. Raises Failed at the first that breaks an invariant."""
    # What happens to the processes is meant to happen: their logs say nothing new.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    loop, count = VirtualLoop(), 0
    # A task that nobody waits for fails with the play, which says why.
    loop.set_exception_handler(lambda _, context: None)
    try:
        for seed in seeds:
            loop.rewind()
            try:
                loop.run_until_complete(_play(seed))
            except Exception as error:  # whatever it is, the seed is what reproduces it
                raise Failed(seed, error) from error
            count += 1
    finally:
        loop.close()
        structlog.reset_defaults()
    return count


async def _play(seed: int) -> None:
    try:
        async with asyncio.timeout(PLAY_S_MAX):
            await Play(seed).run()
    finally:
        left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def main() -> int:
    """Read the arguments and play."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=SEEDS, help="how many")
    parser.add_argument("--from", dest="first", type=int, default=0, help="the first; with --seeds 1 that one alone")
    arguments = parser.parse_args()
    began = time.monotonic()
    try:
        count = simulate(range(arguments.first, arguments.first + arguments.seeds))
    except Failed as failed:
        sys.stderr.write(f"{failed}\nAgain: python -m tests.simulation.simulate --from {failed.seed} --seeds 1\n")
        raise
    sys.stdout.write(f"{count:,} seeds in {time.monotonic() - began:.1f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
