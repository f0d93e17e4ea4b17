"""What is measured: each figure a row with its definition, how it is read and which way is better. Pure.

Read by tiles and by tables. Invariant: one name, one definition, wherever it stands, and "—" where the sums do not
tell.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from billing import percentile_ms
from dashboard import formats
from dashboard.usage import UsageSums

Better = Literal["more", "less", "neither"]


def _no_note(sums: UsageSums) -> str:
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What a tile measures. `better` says whether a rise is good news."""

    name: str
    label: str
    definition: str
    read: Callable[[UsageSums], int | float | None]
    write: Callable[[UsageSums], str]
    better: Better
    note: Callable[[UsageSums], str] = _no_note
    exact: Callable[[UsageSums], str] = _no_note
    is_share: bool = False


def amount(
    name: str,
    label: str,
    definition: str,
    read: Callable[[UsageSums], int | None],
    *,
    better: Better,
    note: Callable[[UsageSums], str] = _no_note,
) -> Measure:
    """An amount of money: rounded to be read, and exactly."""
    return Measure(
        name=name,
        label=label,
        definition=definition,
        read=read,
        write=lambda sums: formats.money(read(sums)),
        exact=lambda sums: formats.exact_money(read(sums)),
        note=note,
        better=better,
    )


def portion(
    name: str,
    label: str,
    definition: str,
    part: Callable[[UsageSums], int],
    whole: Callable[[UsageSums], int],
    *,
    better: Better,
    note: Callable[[UsageSums], str],
) -> Measure:
    """A part of a whole, in percent; unknown where there is no whole."""
    return Measure(
        name=name,
        label=label,
        definition=definition,
        read=lambda sums: part(sums) / whole(sums) if whole(sums) else None,
        write=lambda sums: formats.share(part(sums), whole(sums)),
        note=note,
        better=better,
        is_share=True,
    )


def beside_note(sums: UsageSums, *, paid_directly: str) -> str:
    """What a sum of money leaves out; `paid_directly` says how what tenants pay providers stands beside it."""
    parts = []
    if sums.own_credential_cost_nano_usd:
        parts.append(paid_directly.format(formats.money(sums.own_credential_cost_nano_usd)))
    if sums.unpriced_count:
        parts.append(f"{formats.count(sums.unpriced_count)} requests of unknown provider cost")
    return " · ".join(parts)


def _saved_note(sums: UsageSums) -> str:
    if sums.saved_nano_usd is None:
        return "no request has a baseline"
    covered = formats.share(sums.baselined_billed_nano_usd, sums.billed_nano_usd)
    return f"{formats.share(sums.saved_nano_usd, sums.baseline_nano_usd)} of baseline · covers {covered} of spend"


FROM_HISTOGRAMS: Final = "From merged histograms, exact to one of ten steps a decade."


def _percentile(
    name: str, label: str, what: str, read: Callable[[UsageSums], tuple[int, ...]], percent: int, *, with_median: bool
) -> Measure:
    return Measure(
        name=name,
        label=label,
        definition=f"{what} that {percent}% of the answered requests did not exceed. {FROM_HISTOGRAMS}",
        read=lambda sums: percentile_ms(read(sums), percent),
        write=lambda sums: formats.duration(percentile_ms(read(sums), percent)),
        note=lambda sums: f"median {formats.duration(percentile_ms(read(sums), 50))}" if with_median else "",
        better="less",
    )


def _latencies(sums: UsageSums) -> tuple[int, ...]:
    return sums.latency_histogram


def _first_tokens(sums: UsageSums) -> tuple[int, ...]:
    return sums.first_token_histogram


def _requests(sums: UsageSums) -> int:
    return sums.request_count


_LATENCY: Final = "First byte in to last byte out,"
_TO_FIRST: Final = "First byte in to first token of a stream,"

_ROWS: Final = (
    amount(
        "spend",
        "Spend",
        "What you are billed: the sum over all requests, failed and broken off ones too.",
        lambda sums: sums.billed_nano_usd,
        note=lambda sums: beside_note(sums, paid_directly="plus {} paid directly to providers"),
        better="neither",
    ),
    Measure(
        name="requests",
        label="Requests",
        definition="Logical requests, one for each call of a client; refused ones count, attempts do not.",
        read=lambda sums: sums.request_count,
        write=lambda sums: formats.count(sums.request_count),
        note=lambda sums: f"{formats.count(sums.input_tokens)} tokens in · {formats.count(sums.output_tokens)} out",
        better="neither",
    ),
    amount(
        "cost_per_query",
        "Cost per query",
        "Spend ÷ requests answered in full. What failed attempts cost is inside.",
        lambda sums: sums.cost_per_query_nano_usd,
        better="less",
    ),
    portion(
        "success_rate",
        "Success rate",
        "Requests answered in full ÷ all requests, refused ones included.",
        lambda sums: sums.answered_count,
        _requests,
        note=lambda sums: f"{formats.count(sums.failed_count)} failed · {formats.count(sums.refused_count)} refused",
        better="more",
    ),
    _percentile("p95_latency", "p95 latency", _LATENCY, _latencies, 95, with_median=True),
    _percentile("p50_latency", "Median latency", _LATENCY, _latencies, 50, with_median=False),
    _percentile("p99_latency", "p99 latency", _LATENCY, _latencies, 99, with_median=False),
    _percentile("p95_first_token", "p95 first token", _TO_FIRST, _first_tokens, 95, with_median=True),
    amount(
        "saved",
        "Saved vs baseline",
        (
            "Baseline less spend, over requests that have a baseline: the dearest candidate that could have "
            "served the request, at the same tokens. May be negative."
        ),
        lambda sums: sums.saved_nano_usd,
        note=_saved_note,
        better="more",
    ),
    Measure(
        name="tokens",
        label="Tokens",
        definition="Input and output tokens of all attempts, as providers counted them or as estimated.",
        read=lambda sums: sums.input_tokens + sums.output_tokens,
        write=lambda sums: formats.count(sums.input_tokens + sums.output_tokens),
        note=lambda sums: f"{formats.count(sums.input_tokens)} in · {formats.count(sums.output_tokens)} out",
        better="neither",
    ),
    Measure(
        name="tokens_per_query",
        label="Tokens per query",
        definition="Tokens ÷ requests answered in full.",
        read=lambda sums: sums.tokens_per_query,
        write=lambda sums: formats.count(sums.tokens_per_query),
        better="neither",
    ),
    portion(
        "cache_share",
        "Read from cache",
        "Input tokens that providers read from their prompt cache ÷ all input tokens.",
        lambda sums: sums.cache_read_input_tokens,
        lambda sums: sums.input_tokens,
        note=lambda sums: f"{formats.count(sums.cache_read_input_tokens)} tokens",
        better="more",
    ),
    portion(
        "failure_rate",
        "Failed",
        "Requests that failed at providers, by a time-out or by our own fault ÷ all requests.",
        lambda sums: sums.failed_count,
        _requests,
        note=lambda sums: f"{formats.count(sums.failed_count)} of {formats.count(sums.request_count)}",
        better="less",
    ),
    portion(
        "refusal_rate",
        "Refused",
        "Requests that were invalid, not allowed, over a budget or rate, or without a candidate ÷ all.",
        lambda sums: sums.refused_count,
        _requests,
        note=lambda sums: f"{formats.count(sums.refused_count)} of {formats.count(sums.request_count)}",
        better="less",
    ),
    Measure(
        name="attempts_per_request",
        label="Attempts per request",
        definition="Calls to providers ÷ requests that were not refused. Above 1, fallbacks and retries were needed.",
        read=lambda sums: sums.attempts_per_request,
        write=lambda sums: formats.UNKNOWN if sums.attempts_per_request is None else f"{sums.attempts_per_request:.2f}",
        note=lambda sums: f"{formats.count(sums.attempt_count)} calls",
        better="less",
    ),
)
MEASURES: Final = {measure.name: measure for measure in _ROWS}


def measures_of(*names: str) -> tuple[Measure, ...]:
    """The measures of these names, in their order."""
    return tuple(MEASURES[name] for name in names)


def p95_ms(sums: UsageSums) -> int | None:
    """The latency that 95% of the answered requests did not exceed."""
    return percentile_ms(sums.latency_histogram, 95)
