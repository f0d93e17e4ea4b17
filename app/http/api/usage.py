"""`/usage`: requests, tokens and amounts by whatever they are asked by, from the hourly rollups."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Final

import msgspec
from litestar import Controller, get
from litestar.params import QueryParameter

from app.http.api.access import Caller
from app.http.api.answers import answer_of
from app.http.api.bounds import Moment, moment_of
from app.http.api.services import Services
from billing import USAGE_GROUPS_MAX, UsageDimension, UsageRow, add_histograms, percentile_ms, usage
from tenants import FieldInvalid, find_tenant

DAYS: Final = 30
DAYS_MAX: Final = 400
DIMENSIONS_MAX: Final = 3
NOT_SUMMED: Final = ("group", "latency_histogram", "first_token_histogram")

GroupBy = Annotated[
    list[UsageDimension] | None,
    QueryParameter(max_items=DIMENSIONS_MAX, description="May be given several times; `model` when not given."),
]


class UsageLine(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over one group. `own_credential_cost` is what the tenant pays its providers directly, beside what is billed.

    `saved` is what the dearest candidate would have been billed beyond what was, where both are known.
    """

    group: dict[str, str]
    request_count: int
    ok_count: int
    attempt_count: int
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_creation_input_tokens: int
    reasoning_output_tokens: int
    billed_nano_usd: int
    billed_usd: str
    own_credential_cost_nano_usd: int
    own_credential_cost_usd: str
    saved_nano_usd: int
    saved_usd: str
    unpriced_count: int
    latency_ms_p50: int | None
    latency_ms_p95: int | None


class UsageReport(msgspec.Struct, frozen=True, kw_only=True):
    """Usage from the hour that holds `since` up to `until`. Days are those of `time_zone`, hours are UTC."""

    since: datetime
    until: datetime
    time_zone: str
    group_by: tuple[UsageDimension, ...]
    data: tuple[UsageLine, ...]
    total: UsageLine


class UsageReports(Controller):
    """What was used and billed."""

    path = "/usage"
    tags = ("Usage",)

    @get(summary="Sum usage by group")
    async def report(
        self,
        caller: Caller,
        services: Services,
        group_by: GroupBy = None,
        since: Moment = None,
        until: Moment = None,
    ) -> UsageReport:
        """The last 30 days when no time is given. A group that is not known reads ''."""
        dimensions = tuple(dict.fromkeys(group_by or (UsageDimension.MODEL,)))
        until = services.now() if until is None else moment_of("until", until)
        since = until - timedelta(days=DAYS) if since is None else moment_of("since", since)
        if not timedelta() < until - since <= timedelta(days=DAYS_MAX):
            raise FieldInvalid("since", f"since must be before until, by {DAYS_MAX} days at most.")
        time_zone = (await find_tenant(services.database, caller.tenant_id)).time_zone
        project_id = caller.project_within_reach()
        async with services.database.tenant(caller.tenant_id) as session:
            rows = await usage(
                session, caller.tenant_id, dimensions, since, until, time_zone=time_zone, project_id=project_id
            )
        if len(rows) >= USAGE_GROUPS_MAX:
            raise FieldInvalid(
                "group_by",
                f"There are {USAGE_GROUPS_MAX:,} groups or more. Ask for a shorter time or fewer dimensions.",
            )
        return UsageReport(
            since=since,
            until=until,
            time_zone=time_zone,
            group_by=dimensions,
            data=tuple(_line(row, dict(zip(dimensions, row.group, strict=True))) for row in rows),
            total=_line(_sum_of(rows), {}),
        )


def _line(row: UsageRow, group: dict[UsageDimension, str]) -> UsageLine:
    return answer_of(
        UsageLine,
        row,
        group={dimension.value: value for dimension, value in group.items()},
        latency_ms_p50=percentile_ms(row.latency_histogram, 50),
        latency_ms_p95=percentile_ms(row.latency_histogram, 95),
    )


def _sum_of(rows: tuple[UsageRow, ...]) -> UsageRow:
    """One row for all, so that the total is the sum of the lines that it stands under."""
    summed = (name for name in UsageRow.__struct_fields__ if name not in NOT_SUMMED)
    return UsageRow(
        group=(),
        latency_histogram=_stacked(row.latency_histogram for row in rows),
        first_token_histogram=_stacked(row.first_token_histogram for row in rows),
        **{name: sum(getattr(row, name) for row in rows) for name in summed},
    )


def _stacked(histograms: Iterable[Sequence[int]]) -> tuple[int, ...]:
    stacked: Sequence[int] = ()
    for each in histograms:
        stacked = add_histograms(stacked, each)
    return tuple(stacked)
