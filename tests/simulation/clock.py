"""An event loop whose time is a number: it jumps to whatever is due next, and never waits.

Invariant: the same tasks with the same dice run in the same order, however busy the machine is.
"""

import asyncio
import selectors
from collections.abc import Mapping


class Stuck(AssertionError):
    """Nothing is due and nothing is ready: whoever waits, waits for ever."""


class _Jumping(selectors.BaseSelector):
    """A selector without files: instead of waiting it moves the clock."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self._keys: dict[object, selectors.SelectorKey] = {}

    def register(self, fileobj: object, events: int, data: object = None) -> selectors.SelectorKey:
        """The loop's own pipe, which nobody writes to."""
        return self._keys.setdefault(fileobj, selectors.SelectorKey(fileobj, 0, events, data))

    def unregister(self, fileobj: object) -> selectors.SelectorKey:
        """At the end."""
        return self._keys.pop(fileobj)

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """Let the time pass that the loop would wait. Raises Stuck."""
        if timeout is None:
            raise Stuck
        self.now_s += max(0.0, timeout)
        return []

    def get_map(self) -> Mapping[object, selectors.SelectorKey]:
        """What is registered."""
        return self._keys


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop; `rewind` makes it fit for another play."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Seconds since the play began."""
        return self._jumping.now_s

    def rewind(self) -> None:
        """Begin at zero again; nothing may be scheduled."""
        self._jumping.now_s = 0.0
