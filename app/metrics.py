"""What a gateway process has counted since it began, and the text that Prometheus reads of all its siblings.

`Settlement` counts each record that ends, the probes write the text. Names are OpenTelemetry's for generative AI
(semantic conventions 1.37, read 2026-11-24). Invariant: no label tells a tenant, and every label is of a closed
set: of the catalogue's models, our outcomes, our surfaces.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest

from billing import RequestRecord

# OpenTelemetry's advice for durations and for times to the first token, in seconds.
DURATION_BOUNDS_S: Final = (
    0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 163.84, 327.68,
)  # fmt: skip
OVERHEAD_BOUNDS_S: Final = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128, 0.256, 0.512, 1.024)
MS_PER_S: Final = 1000
TENANTS_OWN: Final = "tenants-own"
SEPARATOR: Final = "\t"  # a model's name may hold a space

Labels = tuple[str, ...]


class Histogram(msgspec.Struct):
    """Counts by bound, the last of all that lies beyond, and their sum in seconds."""

    counts: list[int]
    sum_s: float = 0.0

    def observe(self, bounds_s: Sequence[float], seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(bounds_s, seconds)] += 1
        self.sum_s += seconds

    def add(self, other: "Histogram") -> None:
        """Count what another has counted."""
        self.counts = [mine + theirs for mine, theirs in zip(self.counts, other.counts, strict=True)]
        self.sum_s += other.sum_s


class Tally(msgspec.Struct):
    """One process's counts. A key is its labels' values in their order, with SEPARATOR between them."""

    requests: dict[str, int]
    attempts: dict[str, int]
    tokens: dict[str, int]
    billed_nano_usd: int
    duration: dict[str, Histogram]
    first_token: dict[str, Histogram]
    overhead: Histogram
    gauges: dict[str, int]


def _empty() -> Tally:
    return Tally({}, {}, {}, 0, {}, {}, Histogram([0] * (len(OVERHEAD_BOUNDS_S) + 1)), {})


class Metrics:
    """The counts of one process. `gauges` are read when somebody asks.

    `folder` is where the processes that share a port leave their counts for each other; without one a
    process tells its own.
    """

    def __init__(self, process_id: str, *, folder: Path | None = None) -> None:
        self._tally = _empty()
        self._own_file = folder / f"{process_id}.json" if folder else None
        self._gauges: dict[str, Callable[[], int]] = {}

    def watch(self, name: str, read: Callable[[], int]) -> None:
        """Show a number as it stands: `name` is a row of GAUGES."""
        assert name in GAUGES
        self._gauges[name] = read

    def count(self, record: RequestRecord) -> None:
        """Count a request that has ended."""
        tally = self._tally
        _raise(tally.requests, _key(record.surface, record.operation_name, record.outcome, str(record.http_status)))
        if record.overhead_ms is not None:
            tally.overhead.observe(OVERHEAD_BOUNDS_S, record.overhead_ms / MS_PER_S)
        for attempt in record.attempts:
            # What a tenant reaches with a credential of its own it may have named itself.
            model = attempt.model if attempt.credential_owner == "platform" else TENANTS_OWN
            target = _key(record.operation_name, attempt.provider_name, model)
            _raise(tally.attempts, _key(target, attempt.outcome))
            _raise(tally.tokens, _key(target, "input"), attempt.usage.input_tokens)
            _raise(tally.tokens, _key(target, "output"), attempt.usage.output_tokens)
            tally.billed_nano_usd += attempt.billed_nano_usd
            _of(tally.duration, _key(target, attempt.error_type or "")).observe(
                DURATION_BOUNDS_S, attempt.latency_ms / MS_PER_S
            )
            if attempt.first_token_ms is not None:
                _of(tally.first_token, target).observe(DURATION_BOUNDS_S, attempt.first_token_ms / MS_PER_S)

    def leave(self) -> None:
        """Leave the counts where siblings find them. What cannot be written is left for the next time."""
        if self._own_file is None:
            return
        written = self._own_file.with_suffix(".new")
        try:
            written.write_bytes(self.counted())
            written.replace(self._own_file)
        except OSError:
            return

    def counted(self) -> bytes:
        """Copy the counts as they stand. Call it where requests are counted."""
        self._tally.gauges = {name: read() for name, read in self._gauges.items()}
        return msgspec.json.encode(self._tally)

    def text(self, counted: bytes) -> bytes:
        """Write what all processes of the folder have counted, in Prometheus's text format; any thread may.

        `counted` is what this process has counted itself.
        """
        siblings = sorted(self._own_file.parent.glob("*.json")) if self._own_file else ()
        others = (_read(path) for path in siblings if path != self._own_file)
        tallies = [msgspec.json.decode(counted, type=Tally), *(tally for tally in others if tally is not None)]
        registry = CollectorRegistry(auto_describe=False)
        registry.register(_Families(_sum(tallies)))
        return generate_latest(registry)


GAUGES: Final[Mapping[str, str]] = {
    "signalbox_settlements_waiting": "Records that wait for the database.",
    "signalbox_refusals_not_recorded": "Refusals that were given up while the database was away.",
    "signalbox_dead_letters": "Records that the database refused and that wait for a person.",
}


class _Families:
    """The metric families of a tally, as the library asks for them."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def collect(self) -> Iterable[Metric]:
        """Give every family."""
        tally = self._tally
        yield _counter(
            "signalbox_requests", "Requests that ended.",
            ("surface", "gen_ai_operation_name", "outcome", "http_response_status_code"), tally.requests,
        )  # fmt: skip
        target = ("gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model")
        yield _counter("signalbox_attempts", "Calls to providers.", (*target, "outcome"), tally.attempts)
        yield _counter(
            "gen_ai_client_token_usage", "Tokens used, by kind.", (*target, "gen_ai_token_type"), tally.tokens
        )
        billed = CounterMetricFamily("signalbox_billed_nano_usd", "Billed to tenants, in nano-USD.")
        billed.add_metric((), tally.billed_nano_usd)
        yield billed
        yield _histogram(
            "gen_ai_client_operation_duration_seconds", "Time of a call to a provider.",
            (*target, "error_type"), tally.duration, DURATION_BOUNDS_S,
        )  # fmt: skip
        yield _histogram(
            "gen_ai_server_time_to_first_token_seconds", "Time to a stream's first content.",
            target, tally.first_token, DURATION_BOUNDS_S,
        )  # fmt: skip
        yield _histogram(
            "signalbox_overhead_seconds", "The gateway's own share of a request's time.",
            (), {"": tally.overhead}, OVERHEAD_BOUNDS_S,
        )  # fmt: skip
        for name, help_text in GAUGES.items():
            gauge = GaugeMetricFamily(name, help_text)
            gauge.add_metric((), tally.gauges.get(name, 0))
            yield gauge


def _counter(name: str, help_text: str, labels: Labels, counts: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(name, help_text, labels=labels)
    for key, count in sorted(counts.items()):
        family.add_metric(key.split(SEPARATOR), count)
    return family


def _histogram(
    name: str, help_text: str, labels: Labels, histograms: Mapping[str, Histogram], bounds_s: Sequence[float]
) -> Metric:
    family = HistogramMetricFamily(name, help_text, labels=labels)
    for key, histogram in sorted(histograms.items()):
        below, buckets = 0, []
        for bound, count in zip((*map(str, bounds_s), "+Inf"), histogram.counts, strict=True):
            below += count
            buckets.append((bound, below))
        family.add_metric(key.split(SEPARATOR) if labels else (), buckets, histogram.sum_s)
    return family


def _sum(tallies: Iterable[Tally]) -> Tally:
    total = _empty()
    for tally in tallies:
        for mine, theirs in (
            (total.requests, tally.requests),
            (total.attempts, tally.attempts),
            (total.tokens, tally.tokens),
            (total.gauges, tally.gauges),
        ):
            mine |= Counter(mine) + Counter(theirs)
        for held, others in ((total.duration, tally.duration), (total.first_token, tally.first_token)):
            for key, histogram in others.items():
                _of(held, key).add(histogram)
        total.overhead.add(tally.overhead)
        total.billed_nano_usd += tally.billed_nano_usd
    return total


def _key(*values: str) -> str:
    return SEPARATOR.join(values)


def _raise(counts: dict[str, int], key: str, amount: int = 1) -> None:
    counts[key] = counts.get(key, 0) + amount


def _of(histograms: dict[str, Histogram], key: str) -> Histogram:
    histogram = histograms.get(key)
    if histogram is None:
        histogram = histograms[key] = Histogram([0] * (len(DURATION_BOUNDS_S) + 1))
    return histogram


def _read(path: Path) -> Tally | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Tally)
    except (OSError, msgspec.MsgspecError):
        return None  # a sibling of another version, or one that is writing
