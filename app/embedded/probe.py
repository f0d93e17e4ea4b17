"""Ask a PostgreSQL on a Unix socket how it does, in a few bytes of its own protocol.

`pg_isready` would start a process each time, and splits a path at its commas.
"""

import socket
import struct
from pathlib import Path
from typing import Final, Literal

PROTOCOL_3_0: Final = 196608
ANSWER_TIMEOUT_S: Final = 3
# The SQLSTATE of "the database system is starting up", "shutting down" and "in recovery mode".
CANNOT_CONNECT_NOW: Final = b"C57P03\0"

ServerState = Literal["ready", "busy", "down"]


def server_state(socket_path: Path, *, user: str) -> ServerState:
    """`down`: nothing listens; `busy`: it starts, recovers, stops or does not answer; `ready`: it takes logins."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(ANSWER_TIMEOUT_S)
        try:
            probe.connect(str(socket_path))
            parameters = b"user\0" + user.encode() + b"\0database\0postgres\0\0"
            probe.sendall(struct.pack("!ii", 8 + len(parameters), PROTOCOL_3_0) + parameters)
            answer = probe.recv(4096)
        except (BlockingIOError, TimeoutError):
            return "busy"
        except OSError:
            return "down"
    # No answer is a server that is about to go; an error other than "not now" still comes from one that works.
    return "busy" if not answer or CANNOT_CONNECT_NOW in answer else "ready"


def is_listening(socket_path: Path) -> bool:
    """Whether something listens; never waits."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(socket_path))
        except BlockingIOError:  # its queue of connections is full: busy, not dead
            return True
        except OSError:
            return False
        return True
