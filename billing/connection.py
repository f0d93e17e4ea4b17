"""A connection of `signalbox_meter` as asyncpg's pool hands it out, for everything that runs batches over it.

The package has no types of its own; this is the one place that says so.
"""

from typing import Any, TypeAlias

Connection: TypeAlias = Any
