"""The bytes of a request before its body. Pure; called by the transport for each call.

Invariant: whatever a header's value holds, it cannot become another header or another request.
"""

import re
from collections.abc import Mapping
from typing import Final

from yarl import URL

from app.providers.addresses import Target
from app.providers.errors import ConnectFailed

_DEFAULT_PORTS: Final = {True: 443, False: 80}
# Framing and routing are ours: a second one of these is how one request is read as two (RFC 9112, 11.2).
_OURS: Final = r"accept-encoding|connection|content-length|expect|host|te|trailer|transfer-encoding|upgrade"
# Tokens and visible ASCII only (RFC 9110, 5.6.2 and 5.5). Possessive, so that a refusal takes linear time.
_FIELDS: Final = re.compile(
    rf"(?:(?!(?:{_OURS}):)[!#$%&'*+.^_`|~0-9a-z-]++: [\t\x20-\x7e]*+\r\n)*+", re.ASCII | re.IGNORECASE
)


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
    fields = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    # The count finds a line end inside a value, where what follows it would pass as a header.
    if _FIELDS.fullmatch(fields) is None or fields.count("\n") != len(headers):
        raise ConnectFailed("The call cannot be written as HTTP; check the credential's address and key.")
    return f"{start}content-length: {body_bytes}\r\n{fields}\r\n".encode("ascii")
