"""The golden files of the dialects, by name."""

from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).parent / "golden" / "openai"
STREAMS: Final = ("stream.sse", "stream.tools.sse", "stream.mistral.sse", "stream.openrouter.sse")


def golden(name: str) -> bytes:
    """A golden file of OpenAI's dialect."""
    return (FOLDER / name).read_bytes()
