"""The golden files of the dialects, by name."""

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "golden"
STREAMS: Final = ("stream.sse", "stream.tools.sse", "stream.mistral.sse", "stream.openrouter.sse")
ANTHROPIC_STREAMS: Final = ("stream.sse", "stream.tools.sse", "stream.tomorrow.sse")


def golden(name: str, dialect: str = "openai") -> bytes:
    """A golden file of a dialect."""
    return (FOLDER / dialect / name).read_bytes()
