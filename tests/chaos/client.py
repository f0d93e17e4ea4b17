"""A caller that does as it is told: it comes back after `retry-after`, and counts what it was answered."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field

import aiohttp

from tests.chaos.stage import Stage

TRIES_MAX = 200
RETRIED = {409, 429, 500, 502, 503, 504}


@dataclass(slots=True)
class Told:
    """What callers were told, over all of them: final statuses, and every status on the way."""

    final: Counter[str] = field(default_factory=Counter)
    seen: Counter[int] = field(default_factory=Counter)

    @property
    def answered(self) -> int:
        """Requests that were answered in the end."""
        return self.final["200"]


async def ask(
    stage: Stage, base_url: str, told: Told, *, words: int = 4, tries_max: int = TRIES_MAX, **body: object
) -> None:
    """Make one request and wait for its answer, however often it must be asked; count what became of it."""
    request = {
        "model": "sandbox/swift-mini",
        "messages": [{"role": "user", "content": f"[[words:{words}]] Tell a story"}],
        **body,
    }
    url = f"{base_url}/v1/chat/completions"
    for _ in range(tries_max):
        try:
            async with stage.client.post(url, json=request, headers=stage.headers) as answer:
                content = await answer.read()
        except (aiohttp.ClientError, TimeoutError):
            told.final["broken"] += 1  # whether it was served is what the provider's log knows
            return
        told.seen[answer.status] += 1
        if answer.status not in RETRIED or answer.headers.get("x-should-retry") == "false":
            is_whole = not request.get("stream") or b"[DONE]" in content
            told.final[str(answer.status) if is_whole else "broken"] += 1
            return
        await asyncio.sleep(int(answer.headers.get("retry-after", "1")))
    told.final["gave up"] += 1
