"""The socket that the gateway's workers share, and who has the port when it cannot be had."""

import errno
import socket
from pathlib import Path
from typing import Final

from app.commands.errors import SettingInvalid

BACKLOG: Final = 2_048
# The state of a listening socket in /proc/net/tcp.
LISTENING: Final = "0A"


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises SettingInvalid with the setting to change."""
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Accepted connections inherit it. The worker's server takes an inherited socket for a Unix one and sets nothing,
    # and an answer's body would wait 40 ms for the client's delayed acknowledgement of its head.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise SettingInvalid(_what_to_do(error, host, port)) from error
    return listener


def _what_to_do(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"Port {port} on {host} is in use{_holder(port)}. Stop it, or set SIGNALBOX_PORT to another."
        case errno.EACCES:
            return f"Port {port} is not for this user. Set SIGNALBOX_PORT to one above 1023."
        case _:
            return (
                f"Signalbox cannot listen on SIGNALBOX_HOST '{host}': {error.strerror}. "
                "Set it to an address of this machine, such as 127.0.0.1."
            )


def _holder(port: int) -> str:
    """` by NAME (process N)`, where Linux tells this user."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not sockets:
        return ""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(link.readlink()) in sockets for link in (process / "fd").iterdir()):
                return f" by {(process / 'comm').read_text().strip()} (process {process.name})"
        except OSError:  # it ended meanwhile, or is another user's
            continue
    return ""


def _listening_inodes(port: int) -> list[str]:
    inodes = []
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        for line in table.read_text().splitlines()[1:] if table.exists() else ():
            _, local, _, state, *rest = line.split()
            if state == LISTENING and local.endswith(f":{port:04X}"):
                inodes.append(rest[5])
    return inodes
