"""Errors of the command line and of start-up; each ends a command with exit code 1 and one line.

CommandError
├── SettingInvalid   a setting cannot be right, or is refused in production
└── ProcessFailed    a child could not be started, or kept dying
"""


class CommandError(Exception):
    """The root."""


class SettingInvalid(CommandError):
    """A setting cannot be right, or is refused in production; the message says what to do."""


class ProcessFailed(CommandError):
    """A child could not be started, or kept dying; the message says which and what to do."""
