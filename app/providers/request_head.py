"""The bytes of a request before its body. Pure; called by the transport for each call.

Invariant: whatever a header's value holds, it cannot become another header or another request.
"""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from yarl import URL

from app.providers.addresses import Target
from app.providers.errors import ConnectFailed

_DEFAULT_PORTS: Final = {True: 443, False: 80}
# Framing and routing are ours: a second one of these is how one request is read as two (RFC 9112, 11.2).
_OURS: Final = frozenset(
    ("accept-encoding", "connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding",
     "upgrade")
)  # fmt: skip
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def head_start(url: str, target: Target) -> str:
    """The lines that are the same for every call to an address that `read_target` has accepted."""
    host = f"[{target.host}]" if ":" in target.host else target.host
    if target.port != _DEFAULT_PORTS[target.is_https]:
        host = f"{host}:{target.port}"
    path = URL(url, encoded=True).raw_path or "/"
    # Compressed answers could unpack to any size and gain little here.
    return f"POST {path} HTTP/1.1\r\nhost: {host}\r\naccept-encoding: identity\r\n"


def write_head(start: str, headers: Mapping[str, str], body_bytes: int) -> bytes:
    """The whole head. Raises ConnectFailed, which repeats no value, for what cannot stand in one."""
    values = "".join(headers.values())
    if not (values.isascii() and values.isprintable() and _are_names(tuple(headers))):
        raise ConnectFailed("The call cannot be written as HTTP; check the credential's address and key.")
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    return f"{start}content-length: {body_bytes}\r\n{fields}\r\n".encode("ascii")


@lru_cache(maxsize=1_024)
def _are_names(names: tuple[str, ...]) -> bool:
    return all(_NAME.fullmatch(name) is not None and name.lower() not in _OURS for name in names)
