"""Errors of what the program runs for itself. Each message says what to do.

EmbeddedError
├── EmbeddedPostgresFailed  the server could not be made, started or reached
└── HomeUnusable            the state folder cannot be used, or another process holds it
"""


class EmbeddedError(Exception):
    """The root."""


class EmbeddedPostgresFailed(EmbeddedError):
    """The server could not be made, started or reached."""


class HomeUnusable(EmbeddedError):
    """The state folder cannot be used, or another process holds it."""
