"""Passwords: argon2id hashes, made and verified on threads of their own.

Used by members and console sessions. Invariant: the event loop never runs argon2, and no more than
HASHERS × 64 MiB are used for it at once.
"""

import asyncio
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Final, TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from tenants.key_text import ALPHABET

HASHERS: Final = 4
PASSWORD_CHARACTERS: Final = 20  # 119 random bits

# RFC 9106's second recommended option: 64 MiB, 3 passes, 4 lanes.
_HASHER: Final = PasswordHasher()
_THREADS: Final = ThreadPoolExecutor(HASHERS, thread_name_prefix="argon2")
# Verified in place of the hash of a member who does not exist, so that both take the same time.
_NOBODYS_HASH: Final = _HASHER.hash(secrets.token_urlsafe())

Result = TypeVar("Result")


def new_password() -> str:
    """A random password to be shown once."""
    return "".join(secrets.choice(ALPHABET) for _ in range(PASSWORD_CHARACTERS))


async def hash_password(password: str) -> str:
    """The argon2id hash of a password, with its salt and parameters in it."""
    return await _on_thread(partial(_HASHER.hash, password))


async def is_password(password_hash: str | None, password: str) -> bool:
    """Whether the password has this hash. No hash takes as long as a wrong one."""
    return await _on_thread(partial(_verify, password_hash or _NOBODYS_HASH, password))


def _verify(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, password)
    except (VerificationError, InvalidHashError):
        return False


async def _on_thread(work: Callable[[], Result]) -> Result:
    return await asyncio.get_running_loop().run_in_executor(_THREADS, work)
