"""Logs: one JSON object a line, or readable lines on a terminal; never a key, a prompt or a body.

Configured once by each process. Invariant: whatever a caller passes, what looks like a secret leaves as
`[redacted]`.
"""

import logging
import re
import sys
from typing import Final

import structlog
from structlog.typing import EventDict, WrappedLogger

REDACTED: Final = "[redacted]"
SECRET_FIELDS: Final = frozenset(
    {"api_key", "authorization", "body", "cookie", "key", "messages", "password", "prompt", "secret", "token"}
)
# Our keys, the common vendors' keys, and bearer tokens.
SECRET_TEXT: Final = re.compile(r"\b(?:sb[xm]_[A-Za-z0-9_]{8,}|sk-[A-Za-z0-9_-]{8,}|Bearer\s+\S{8,})")
# A database's error repeats the statement, its parameters and the rows it is about.
STATEMENT_TEXT: Final = re.compile(
    r"\[(?:SQL|parameters): .*?\](?=\n|$)|^DETAIL: .*?(?=\n\n|\Z)", re.DOTALL | re.MULTILINE
)


def configure_logs(*, level: int = logging.INFO) -> None:
    """Set up structlog, and the standard library's loggers to go the same way."""
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    )
    shared: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        redact,
    ]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared))
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def redact(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Take secrets and statements out of an event, by the field's name and by what the text looks like."""
    for name, value in event.items():
        if name in SECRET_FIELDS:
            event[name] = REDACTED
        elif isinstance(value, str):
            event[name] = STATEMENT_TEXT.sub(REDACTED, SECRET_TEXT.sub(REDACTED, value))
    return event
