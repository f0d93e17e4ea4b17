"""Passwords: hashed, verified off the event loop, and no faster for nobody."""

import asyncio

import pytest

from tenants import SignInBlocked
from tenants.passwords import WAITING_MAX, hash_password, is_password, new_password


async def test_a_password_has_its_hash_and_no_other() -> None:
    password_hash = await hash_password("a sentence is fine")
    assert "a sentence" not in password_hash
    assert await is_password(password_hash, "a sentence is fine")
    assert not await is_password(password_hash, "another sentence")
    assert not await is_password(None, "a sentence is fine")


@pytest.mark.parametrize("password_hash", ["", "junk", "$argon2id$v=19$m=65536,t=3,p=4$x$y"])
async def test_a_damaged_hash_lets_nobody_in(password_hash: str) -> None:
    assert not await is_password(password_hash, "x")


async def test_half_a_surrogate_is_a_wrong_password() -> None:
    assert not await is_password(None, "\ud800")


async def test_more_than_can_wait_are_sent_away() -> None:
    waiting = [asyncio.create_task(is_password("junk", "x")) for _ in range(WAITING_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(SignInBlocked):
        await is_password("junk", "x")
    assert not any(await asyncio.gather(*waiting))
    assert not await is_password("junk", "x")


def test_random_passwords_do_not_repeat() -> None:
    assert len({new_password() for _ in range(100)}) == 100
