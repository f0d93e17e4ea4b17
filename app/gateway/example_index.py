"""Builds the index of a tenant's examples in a thread, for the management API and the command line.

Invariant: the event loop is never held for the seconds that thousands of examples take.
"""

import asyncio
from collections.abc import Sequence

from app.routing import Example, build_index, classify


async def build_example_index(labelled: Sequence[tuple[str, str]]) -> bytes:
    """The index of prompts with their tasks."""
    return await asyncio.to_thread(_build, labelled)


def _build(labelled: Sequence[tuple[str, str]]) -> bytes:
    return build_index([Example(prompt, task, classify(prompt).task.value) for prompt, task in labelled])
