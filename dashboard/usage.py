"""Sums of usage: what a tile, a bar, a table row and a total are made of.

Built by queries, folded by pages and figures. Invariant: sums only add, so a tile is the sum of its
chart's bars and of its table's rows; every ratio is taken after adding, never averaged.
"""

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, fields
from itertools import zip_longest
from typing import Final, TypeVar

NO_GROUP: Final = ""
_K = TypeVar("_K", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSums:
    """Counts and nano-USD over some slice; histograms count answered requests by latency bound."""

    request_count: int = 0
    attempt_count: int = 0
    answered_count: int = 0
    cut_count: int = 0
    refused_count: int = 0
    failed_count: int = 0
    unpriced_count: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    reasoning_output_tokens: int = 0
    provider_cost_nano_usd: int = 0
    own_credential_cost_nano_usd: int = 0
    billed_nano_usd: int = 0
    absorbed_nano_usd: int = 0
    baseline_nano_usd: int = 0
    baselined_billed_nano_usd: int = 0
    latency_histogram: tuple[int, ...] = ()
    first_token_histogram: tuple[int, ...] = ()

    @property
    def plain_input_tokens(self) -> int:
        """Input that was neither read from a provider's cache nor written to it."""
        return self.input_tokens - self.cache_read_input_tokens - self.cache_creation_input_tokens

    @property
    def saved_nano_usd(self) -> int | None:
        """Baseline less billed over the requests that have a baseline; None when none has."""
        return self.baseline_nano_usd - self.baselined_billed_nano_usd if self.baseline_nano_usd else None

    @property
    def platform_cost_nano_usd(self) -> int:
        """The provider cost on the platform's credentials; with its own a tenant pays the provider itself."""
        return self.provider_cost_nano_usd - self.own_credential_cost_nano_usd

    @property
    def margin_nano_usd(self) -> int:
        """What is left of the billed amount after what providers charge the platform."""
        return self.billed_nano_usd - self.platform_cost_nano_usd

    @property
    def cost_per_query_nano_usd(self) -> int | None:
        """Billed per answered request, rounded half up."""
        if self.answered_count == 0:
            return None
        return (2 * self.billed_nano_usd + self.answered_count) // (2 * self.answered_count)

    @property
    def tokens_per_query(self) -> int | None:
        """Tokens per answered request, rounded half up."""
        if self.answered_count == 0:
            return None
        return (2 * (self.input_tokens + self.output_tokens) + self.answered_count) // (2 * self.answered_count)

    @property
    def attempts_per_request(self) -> float | None:
        """Calls to providers per request that was not refused."""
        reached = self.request_count - self.refused_count
        return self.attempt_count / reached if reached else None


HISTOGRAMS: Final = ("latency_histogram", "first_token_histogram")
COUNTED: Final = tuple(field.name for field in fields(UsageSums) if field.name not in HISTOGRAMS)


@dataclass(frozen=True, slots=True)
class UsageRow:
    """The sums of one bar and one group; `slot` counts the bars of the range from 0."""

    slot: int
    group: str  # by model 'provider/model', by project or key an id; "" when the request had none
    sums: UsageSums


def total(rows: Iterable[UsageRow]) -> UsageSums:
    """Everything."""
    return _fold(row.sums for row in rows)


def by_slot(rows: Iterable[UsageRow], slots: int) -> tuple[UsageSums, ...]:
    """One sum for each bar of the range, empty bars included."""
    grouped = _grouped(rows, lambda row: row.slot)
    return tuple(grouped.get(slot, UsageSums()) for slot in range(slots))


def by_group(rows: Iterable[UsageRow]) -> dict[str, UsageSums]:
    """One sum for each group, the dearest first, then the busiest."""
    grouped = _grouped(rows, lambda row: row.group)
    return dict(sorted(grouped.items(), key=lambda item: (-item[1].billed_nano_usd, -item[1].request_count, item[0])))


def _grouped(rows: Iterable[UsageRow], key: Callable[[UsageRow], _K]) -> dict[_K, UsageSums]:
    groups: dict[_K, list[UsageSums]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row.sums)
    return {name: _fold(group) for name, group in groups.items()}


def _fold(sums: Iterable[UsageSums]) -> UsageSums:
    group = tuple(sums)
    numbers = {name: sum(getattr(one, name) for one in group) for name in COUNTED}
    latencies, first_tokens = (
        tuple(map(sum, zip_longest(*(getattr(one, name) for one in group), fillvalue=0))) for name in HISTOGRAMS
    )
    return UsageSums(**numbers, latency_histogram=latencies, first_token_histogram=first_tokens)
