"""Whose fault a failed batch is: the server's, which is worth another try, or a row's, which is not."""

import asyncio
import os
import signal
from collections.abc import Sequence

import pytest

from billing import MeterUnavailable
from billing.connection import Connection
from billing.delivery import Delivery, Refusal, Statement
from billing.errors import DatabaseSilent
from tenants import Database


def _failing(sqlstate: str, *, times: int, on: int = 1) -> Statement[int, int]:
    """A statement that doubles its items, after failing in the server for each of the first batches that hold `on`."""
    failures = [sqlstate] * times

    async def statement(connection: Connection, items: Sequence[int]) -> Sequence[int]:
        if on in items and failures:
            await connection.execute(f"DO $$ BEGIN RAISE EXCEPTION 'secret' USING ERRCODE = '{failures.pop()}'; END $$")
        return [2 * item for item in items]

    return statement


async def test_a_deadlocked_batch_is_sent_again(database: Database) -> None:
    assert await Delivery(database, timeout_s=5).send(_failing("40P01", times=2), [1, 2]) == [2, 4]


async def test_a_batch_that_is_always_rolled_back_is_given_up(database: Database) -> None:
    with pytest.raises(MeterUnavailable, match="3 times"):
        await Delivery(database, timeout_s=5).send(_failing("40001", times=3), [1, 2])


@pytest.mark.parametrize("sqlstate", ["53300", "57P01", "42501"])
async def test_the_servers_state_is_nobodys_row(database: Database, sqlstate: str) -> None:
    with pytest.raises(MeterUnavailable):
        await Delivery(database, timeout_s=5).send(_failing(sqlstate, times=1), [1, 2])


@pytest.mark.parametrize("sqlstate", ["22003", "23514", "54000", "P0001"])
async def test_a_refused_row_fails_by_itself_and_is_not_quoted(database: Database, sqlstate: str) -> None:
    answers = await Delivery(database, timeout_s=5).send(_failing(sqlstate, times=2), [0, 1, 2])
    assert (answers[0], answers[2]) == (0, 4)
    assert isinstance(answers[1], Refusal)
    assert sqlstate in answers[1].reason
    assert "secret" not in answers[1].reason


async def test_a_statement_that_does_not_return_is_given_up(database: Database) -> None:
    async def sleep(connection: Connection, items: Sequence[int]) -> Sequence[int]:
        await connection.execute("SELECT pg_sleep(60)")
        return items

    delivery = Delivery(database, timeout_s=1)
    with pytest.raises(MeterUnavailable, match="TimeoutError"):
        await delivery.send(sleep, [1])
    assert await delivery.send(_failing("", times=0), [1]) == [2]


async def test_a_server_that_falls_silent_is_given_up_and_another_connection_serves(database: Database) -> None:
    async def backend(connection: Connection, items: Sequence[int]) -> Sequence[int]:
        return [await connection.fetchval("SELECT pg_backend_pid()") for _ in items]

    delivery = Delivery(database, timeout_s=1)
    [silent] = await delivery.send(backend, [1])
    os.kill(silent, signal.SIGSTOP)
    try:
        # Nobody confirms the cancellation either.
        async with asyncio.timeout(20):
            with pytest.raises(DatabaseSilent, match="TimeoutError"):
                await delivery.send(backend, [1])
            [other] = await delivery.send(backend, [1])
    finally:
        os.kill(silent, signal.SIGCONT)
    assert other != silent
