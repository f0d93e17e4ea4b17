"""Signs simulated thinking and knows it again: what comes back changed was changed by someone between.

Pure. Invariant: a signature fits the text it was made for and no other. The key is public, because nothing
is kept secret here; it only has to be noticed when a gateway loses or alters a piece of thinking.
"""

import base64
import binascii
import hashlib
from typing import Final

REDACTED: Final = "redacted"
_KEY: Final = b"simulated thinking"
_NONCE_BYTES: Final = 8


def sign(text: str, *, seed: str) -> str:
    """Sign a text; another seed gives another signature."""
    nonce = hashlib.blake2b(seed.encode(), digest_size=_NONCE_BYTES).digest()
    return base64.b64encode(nonce + _mac(nonce, text)).decode()


def is_signed(text: str, signature: str) -> bool:
    """Was the signature made for exactly this text?"""
    try:
        raw = base64.b64decode(signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    return raw[_NONCE_BYTES:] == _mac(raw[:_NONCE_BYTES], text)


def _mac(nonce: bytes, text: str) -> bytes:
    return hashlib.blake2b(nonce + text.encode(errors="surrogatepass"), key=_KEY, digest_size=24).digest()
