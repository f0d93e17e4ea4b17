"""The bench's loads, and one sample of each: what came back to the client, and what the processes spent.

Called by the bench in rounds, all subjects in turn, so that a noisy neighbour is everybody's.
"""

import json
import sys
from typing import Final

import msgspec

from tests.load.fsync import Flushed, flushed
from tests.load.processes import cpu_s, postgres_processes, tree
from tests.load.programs import LOAD_CORE, finished, target_of
from tests.load.subjects import ANTHROPIC, NATIVE, ROUTED, TRANSLATED, Subject


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """One way to ask. `share` lengthens or shortens it."""

    name: str
    connections: int
    route: str = NATIVE
    rate_per_s: float | None = None
    is_streamed: bool = False
    share: float = 1.0


AT_32: Final = Load(name="at_32", connections=32)
AT_64: Final = Load(name="at_64", connections=64)
# Few answers come of a slow rate, and the 99th of a hundred needs many.
PACED: Final = Load(name="paced", connections=8, rate_per_s=50, share=2.0)
STREAMS: Final = Load(name="streams", connections=16, is_streamed=True)
ROUTED_AT_32: Final = Load(name="routed", connections=32, route=ROUTED)
TRANSLATED_AT_32: Final = Load(name="translated", connections=32, route=TRANSLATED)
TRANSLATED_STREAMS: Final = Load(name="translated_streams", connections=16, route=TRANSLATED, is_streamed=True)
ANTHROPIC_AT_32: Final = Load(name="anthropic", connections=32, route=ANTHROPIC)
LOADS: Final = (
    AT_32, AT_64, PACED, STREAMS, ROUTED_AT_32, TRANSLATED_AT_32, TRANSLATED_STREAMS, ANTHROPIC_AT_32,
)  # fmt: skip


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One load on one subject. What cannot be counted from here is None."""

    answered: int
    failures: int
    seconds: float
    p50_ms: float | None
    p99_ms: float | None
    events: int
    core_busy_s: float  # of the core of mock, client and PostgreSQL
    gateway_cpu_s: float | None = None
    postgres_cpu_s: float | None = None
    flushed: Flushed | None = None


async def sample(subject: Subject, load: Load, *, seconds: float) -> Sample:
    """Put a load on a subject."""
    target = target_of(subject, load.route, is_streamed=load.is_streamed)
    options = ["--stream"] if load.is_streamed else []
    options += ["--rate", str(load.rate_per_s)] if load.rate_per_s else []
    for name, value in target.headers:
        options += ["--header", f"{name}:{value}"]
    before = await _spent(subject)
    output = await finished(
        "taskset", "-c", str(LOAD_CORE), sys.executable, "-m", "tests.load.client",
        target.url, target.model, str(load.connections), str(seconds * load.share), *options,
    )  # fmt: skip
    after = await _spent(subject)
    return msgspec.convert(
        json.loads(output.splitlines()[-1]) | msgspec.to_builtins(_difference(after, before)), Sample
    )


class _Spent(msgspec.Struct, frozen=True, kw_only=True):
    gateway_cpu_s: float | None
    postgres_cpu_s: float | None
    flushed: Flushed | None


async def _spent(subject: Subject) -> _Spent:
    postgres = subject.postgres
    return _Spent(
        gateway_cpu_s=cpu_s(tree(subject.pid)) if subject.pid else None,
        postgres_cpu_s=cpu_s(postgres_processes(postgres)) if postgres else None,
        flushed=await flushed(postgres / "run") if postgres else None,
    )


def _difference(after: _Spent, before: _Spent) -> _Spent:
    def less(later: float | None, earlier: float | None) -> float | None:
        return None if later is None or earlier is None else later - earlier

    return _Spent(
        gateway_cpu_s=less(after.gateway_cpu_s, before.gateway_cpu_s),
        postgres_cpu_s=less(after.postgres_cpu_s, before.postgres_cpu_s),
        flushed=after.flushed and before.flushed and after.flushed.since(before.flushed),
    )
