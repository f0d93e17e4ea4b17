"""Ten thousand plays with accidents hold every invariant, and bugs that are planted are found."""

import asyncio

import pytest

from tests.simulation.clock import Stuck, VirtualLoop
from tests.simulation.mutations import MUTATIONS, Mutation
from tests.simulation.play import Play
from tests.simulation.simulate import SEEDS, Failed, simulate

PARTS = 10
SEEDS_FOR_A_BUG = 1_500


@pytest.mark.parametrize("part", range(PARTS))
def test_whatever_happens_the_books_hold(part: int) -> None:
    assert simulate(range(part, SEEDS, PARTS)) == SEEDS // PARTS


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_a_planted_bug_is_found(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation.plant(monkeypatch)
    with pytest.raises(Failed):
        simulate(range(SEEDS_FOR_A_BUG))


def test_a_seed_plays_the_same_each_time() -> None:
    def played(seed: int) -> str:
        loop = VirtualLoop()
        try:
            play = loop.run_until_complete(_played(seed))
            return repr((play.store.tables.reservations, play.store.tables.attempts, play.admitted_s, loop.time()))
        finally:
            loop.close()

    assert [played(seed) for seed in range(20)] == [played(seed) for seed in range(20)]


def test_a_play_in_which_everybody_waits_is_stuck() -> None:
    loop = VirtualLoop()
    try:
        waiting = loop.create_task(_wait_for_ever())
        with pytest.raises(Stuck):
            loop.run_until_complete(waiting)
        waiting.cancel()
        loop.run_until_complete(asyncio.gather(waiting, return_exceptions=True))
    finally:
        loop.close()


async def _played(seed: int) -> Play:
    play = Play(seed)
    await play.run()
    return play


async def _wait_for_ever() -> None:
    await asyncio.get_running_loop().create_future()
