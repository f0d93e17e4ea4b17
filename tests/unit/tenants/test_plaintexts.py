"""Opened secrets are forgotten in time, whether or not anyone asks again."""

import asyncio
from uuid import UUID

import pytest

from tenants import plaintexts
from tenants.plaintexts import MAX_AGE_S, Plaintexts

ONE, TWO = UUID(int=1), UUID(int=2)


async def test_a_secret_is_given_until_it_is_too_old() -> None:
    now = 0.0
    opened = Plaintexts(lambda: now)
    opened.put(ONE, b"sealed", "secret")
    now = MAX_AGE_S
    assert opened.get(ONE, b"sealed") == "secret"
    now += 0.001
    assert opened.get(ONE, b"sealed") is None
    opened.clear()


async def test_another_ciphertext_is_another_secret() -> None:
    opened = Plaintexts(lambda: 0.0)
    opened.put(ONE, b"sealed", "secret")
    assert opened.get(ONE, b"sealed again") is None
    opened.put(ONE, b"sealed again", "new")
    assert opened.get(ONE, b"sealed again") == "new"
    opened.clear()


async def test_the_oldest_leaves_when_there_are_too_many() -> None:
    opened = Plaintexts(lambda: 0.0, secrets_max=1)
    opened.put(ONE, b"1", "one")
    opened.put(TWO, b"2", "two")
    assert opened.get(ONE, b"1") is None
    assert len(opened) == 1
    opened.clear()


async def test_what_nobody_asks_for_again_is_forgotten_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plaintexts, "MAX_AGE_S", 0.05)
    opened = Plaintexts(asyncio.get_running_loop().time)
    opened.put(ONE, b"1", "one")
    await asyncio.sleep(0.03)
    opened.put(TWO, b"2", "two")
    for _ in range(200):
        if not len(opened):
            break
        await asyncio.sleep(0.01)
    assert len(opened) == 0
