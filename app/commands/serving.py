"""A gateway's worker process: `python -m app.commands.serving FILENO`, started by `processes`.

Invariant: the socket that is inherited is served as what it is. uvicorn's own `--fd` takes every one for a
Unix socket: then uvloop sends a head and its body apart, and nobody learns a client's address.
"""

import socket
import sys
from typing import Final

import uvicorn

from app.commands.processes import NOT_STARTED, STOP_TIMEOUT_S
from app.http.bounded_head import BoundedHeadProtocol

# The parent's patience, less what closing the connections to the database takes.
GRACEFUL_TIMEOUT_S: Final = int(STOP_TIMEOUT_S) - 5


def serve(fileno: int) -> None:
    """Serve until a signal comes; its exit code says when the application did not start."""
    config = uvicorn.Config(
        "app.main:create_supervised_app", factory=True, loop="uvloop", http=BoundedHeadProtocol, access_log=False,
        server_header=False, proxy_headers=False, timeout_graceful_shutdown=GRACEFUL_TIMEOUT_S, log_level="warning",
    )  # fmt: skip
    server = uvicorn.Server(config)
    server.run(sockets=[socket.socket(fileno=fileno)])
    if not server.started:
        sys.exit(NOT_STARTED)


if __name__ == "__main__":
    serve(int(sys.argv[1]))
