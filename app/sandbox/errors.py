"""How an exchange of the sandbox may end without a simulated answer.

SandboxError
├── RequestRefused      the request is not one that the vendor would take; reaches the client in its words
├── CallerGone          the client closed the connection
└── ConnectionDropped   a fault: the server closes the socket half way through the answer
"""


class SandboxError(Exception):
    """The root."""


class RequestRefused(SandboxError):
    """The request is not one that the vendor would take; the message says why, as the vendor does."""

    def __init__(self, message: str, *, param: str | None = None) -> None:
        super().__init__(message)
        self.param = param


class CallerGone(SandboxError):
    """The client closed the connection."""


class ConnectionDropped(SandboxError):
    """Leaves the application without a whole response, so that the server closes the socket."""
