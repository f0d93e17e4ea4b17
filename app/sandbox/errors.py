"""How an exchange of the sandbox may end without a whole answer. None of these reaches a client as a body.

SandboxError
├── CallerGone          the client closed the connection
└── ConnectionDropped   a fault: the server closes the socket half way through the answer
"""


class SandboxError(Exception):
    """The root."""


class CallerGone(SandboxError):
    """The client closed the connection."""


class ConnectionDropped(SandboxError):
    """Leaves the application without a whole response, so that the server closes the socket."""
