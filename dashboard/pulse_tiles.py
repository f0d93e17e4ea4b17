"""The measures of the whole platform, as the operator's pulse and a tenant's page show them.

Read by the operator's pages. Invariant: margin is what is left of billed amounts after what providers charge the
platform; a provider that a tenant pays itself is in neither.
"""

from typing import Final

from dashboard import formats
from dashboard.measures import Measure, p95_ms
from dashboard.usage import UsageSums


def _cost_note(sums: UsageSums) -> str:
    parts = []
    if sums.own_credential_cost_nano_usd:
        parts.append(f"{formats.money(sums.own_credential_cost_nano_usd)} more paid directly by tenants")
    if sums.unpriced_count:
        parts.append(f"{formats.count(sums.unpriced_count)} requests of unknown provider cost")
    return " · ".join(parts)


def _absorbed_note(sums: UsageSums) -> str:
    return f"{formats.money(sums.absorbed_nano_usd)} absorbed" if sums.absorbed_nano_usd else ""


PULSE: Final = (
    Measure(
        name="requests",
        label="Requests",
        definition="Logical requests of all tenants; refused ones count, attempts do not.",
        read=lambda sums: sums.request_count,
        write=lambda sums: formats.count(sums.request_count),
        note=lambda sums: f"{formats.count(sums.refused_count)} refused",
        better="more",
    ),
    Measure(
        name="errors",
        label="Errors",
        definition="Failed ÷ all requests: providers, time-outs and our own faults. Refusals are none.",
        read=lambda sums: sums.failed_count / sums.request_count if sums.request_count else None,
        write=lambda sums: formats.share(sums.failed_count, sums.request_count),
        note=lambda sums: f"{formats.count(sums.failed_count)} failed",
        better="less",
        is_share=True,
    ),
    Measure(
        name="p95_latency",
        label="p95 latency",
        definition="First byte in to last byte out, that 95% of the answered requests did not exceed.",
        read=p95_ms,
        write=lambda sums: formats.duration(p95_ms(sums)),
        better="less",
    ),
    Measure(
        name="billed",
        label="Billed",
        definition="What tenants are billed for their requests; monthly fees are not in it.",
        read=lambda sums: sums.billed_nano_usd,
        write=lambda sums: formats.money(sums.billed_nano_usd),
        exact=lambda sums: formats.exact_money(sums.billed_nano_usd),
        note=_absorbed_note,
        better="more",
    ),
    Measure(
        name="cost",
        label="Provider cost",
        definition="What providers charge the platform. With its own credential a tenant pays the provider itself.",
        read=lambda sums: sums.platform_cost_nano_usd,
        write=lambda sums: formats.money(sums.platform_cost_nano_usd),
        exact=lambda sums: formats.exact_money(sums.platform_cost_nano_usd),
        note=_cost_note,
        better="neither",
    ),
    Measure(
        name="margin",
        label="Margin",
        definition="Billed less provider cost. Requests of unknown provider cost count as if they had cost nothing.",
        read=lambda sums: sums.margin_nano_usd,
        write=lambda sums: formats.money(sums.margin_nano_usd),
        exact=lambda sums: formats.exact_money(sums.margin_nano_usd),
        note=lambda sums: f"{formats.share(sums.margin_nano_usd, sums.billed_nano_usd)} of billed",
        better="more",
    ),
)
