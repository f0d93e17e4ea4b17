"""Errors of the command line and of start-up; each ends a command with exit code 1 and one line.

CommandError
├── SettingInvalid   a setting cannot be right, or is refused in production
├── ProcessFailed    a child could not be started, or kept dying
├── InputInvalid     an argument or a file does not hold what it should
├── NotInstalled     the database holds no installation yet
└── GatewayRefused   a running gateway cannot be reached, or does not take the key
"""


class CommandError(Exception):
    """The root."""


class SettingInvalid(CommandError):
    """A setting cannot be right, or is refused in production; the message says what to do."""


class ProcessFailed(CommandError):
    """A child could not be started, or kept dying; the message says which and what to do."""


class InputInvalid(CommandError):
    """An argument or a file does not hold what it should; the message names it and what to give."""


class NotInstalled(CommandError):
    """The database holds no installation yet."""

    def __init__(self) -> None:
        super().__init__(
            "Nothing is installed in this database yet. Run `signalbox up` on a desk, `signalbox migrate` on a server."
        )


class GatewayRefused(CommandError):
    """A running gateway cannot be reached, or does not take the key."""
