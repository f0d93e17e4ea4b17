"""How an API key is spelled: prefix, 256 random bits in base 62, and a CRC32 that rejects junk unread.

Pure; used by the key services and the snapshot. The checksum is no secret and proves nothing: it
spares the database a read for every typo and scanner.
"""

import secrets
from enum import StrEnum
from typing import Final
from zlib import crc32

ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
SECRET_BITS: Final = 256
SECRET_CHARACTERS: Final = 43  # 62^43 > 2^256
CHECKSUM_CHARACTERS: Final = 6  # 62^6 > 2^32


class KeyKind(StrEnum):
    """What a key is for: calling models, or managing the tenant."""

    MODEL = "model"
    MANAGEMENT = "management"


class KeyPrefix(StrEnum):
    """How a key begins. A test key is a model key that people can tell from a live one."""

    LIVE = "sbx_live_"
    TEST = "sbx_test_"
    MANAGEMENT = "sbm_"

    @property
    def kind(self) -> KeyKind:
        """The kind of key that begins like this."""
        return KeyKind.MANAGEMENT if self is KeyPrefix.MANAGEMENT else KeyKind.MODEL


def new_key_text(prefix: KeyPrefix) -> str:
    """Spell a new key."""
    body = prefix + _base62(secrets.randbits(SECRET_BITS), SECRET_CHARACTERS)
    return body + _checksum(body)


def key_prefix(presented: str) -> KeyPrefix | None:
    """The prefix of a well-spelled key; None for junk."""
    prefix = next((prefix for prefix in KeyPrefix if presented.startswith(prefix)), None)
    if prefix is None or len(presented) != len(prefix) + SECRET_CHARACTERS + CHECKSUM_CHARACTERS:
        return None
    body, checksum = presented[:-CHECKSUM_CHARACTERS], presented[-CHECKSUM_CHARACTERS:]
    if not body.isascii() or _checksum(body) != checksum:
        return None
    return prefix


def _checksum(body: str) -> str:
    return _base62(crc32(body.encode()), CHECKSUM_CHARACTERS)


def _base62(number: int, width: int) -> str:
    digits = []
    for _ in range(width):
        number, digit = divmod(number, len(ALPHABET))
        digits.append(ALPHABET[digit])
    return "".join(reversed(digits))
