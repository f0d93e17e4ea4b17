"""What the bench measures, as values: a gateway that runs, and the ways a request goes through it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

# The ways: same language on both sides; OpenAI's in and Anthropic's out; a model chosen by rules; Anthropic's twice.
NATIVE: Final = "native"
TRANSLATED: Final = "translated"
ROUTED: Final = "routed"
ANTHROPIC: Final = "anthropic"


class Route(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way: the model that is asked for, the headers that go with it, and a path if it is not the usual one."""

    model: str
    headers: Mapping[str, str] = {}
    path: str | None = None


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway that answers; the mock itself is one too. `pid` None: not ours to count the CPU of."""

    name: str
    is_on: str
    url: str
    routes: Mapping[str, Route]
    pid: int | None = None
    postgres: Path | None = None  # the folder of the embedded server beside it
    start_s: float | None = None
    version: str | None = None
