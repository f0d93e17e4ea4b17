"""Passwords: argon2id hashes, made and verified on threads of their own.

Used by members and console sessions. Invariant: the event loop never runs argon2, and no more than
HASHERS × 64 MiB are used for it at once.
"""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tenants.errors import SignInBlocked
from tenants.key_text import ALPHABET

HASHERS: Final = 4
WAITING_MAX: Final = 100
BUSY_RETRY_S: Final = 5
PASSWORD_CHARACTERS: Final = 20  # 119 random bits

# RFC 9106's second recommended option: 64 MiB, 3 passes, 4 lanes.
_HASHER: Final = PasswordHasher()
Result = TypeVar("Result")


def new_password() -> str:
    """A random password to be shown once."""
    return "".join(secrets.choice(ALPHABET) for _ in range(PASSWORD_CHARACTERS))


async def hash_password(password: str) -> str:
    """The argon2id hash of a password, with its salt and parameters in it. Raises SignInBlocked when busy."""
    return await _THREADS.run(partial(_HASHER.hash, password))


async def is_password(password_hash: str | None, password: str) -> bool:
    """Whether the password has this hash; no hash takes as long as a wrong one. Raises SignInBlocked when busy."""
    return await _THREADS.run(partial(_verify, password_hash, password))


class _Threads:
    """A few threads, and a queue that does not grow without end."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(HASHERS, thread_name_prefix="argon2")
        self._waiting = 0

    async def run(self, work: Callable[[], Result]) -> Result:
        """Run it on a thread when one is free."""
        if self._waiting >= WAITING_MAX:
            raise SignInBlocked(
                f"Too many passwords are being checked at this moment. Try again in {BUSY_RETRY_S} s.",
                retry_after_s=BUSY_RETRY_S,
            )
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting -= 1


_THREADS: Final = _Threads()


def _verify(password_hash: str | None, password: str) -> bool:
    # Asked for either way, so that who comes first waits for it either way.
    nobodys_hash = _nobodys_hash()
    try:
        return _HASHER.verify(password_hash or nobodys_hash, password)
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False


@cache
def _nobodys_hash() -> str:
    return _HASHER.hash(secrets.token_urlsafe())
