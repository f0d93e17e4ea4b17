"""The measures of the whole platform, as the operator's pulse and a tenant's page show them.

Read by the operator's pages. Invariant: margin is what is left of billed amounts after what providers charge the
platform; a provider that a tenant pays itself is in neither.
"""

from dataclasses import replace
from typing import Final

from dashboard import formats
from dashboard.measures import MEASURES, amount, beside_note
from dashboard.usage import UsageSums


def _absorbed_note(sums: UsageSums) -> str:
    return f"{formats.money(sums.absorbed_nano_usd)} absorbed" if sums.absorbed_nano_usd else ""


PULSE: Final = (
    replace(
        MEASURES["requests"],
        definition="Logical requests of all tenants; refused ones count, attempts do not.",
        note=lambda sums: f"{formats.count(sums.refused_count)} refused",
        better="more",
    ),
    replace(
        MEASURES["failure_rate"],
        name="errors",
        label="Errors",
        definition="Failed ÷ all requests: providers, time-outs and our own faults. Refusals are none.",
        note=lambda sums: f"{formats.count(sums.failed_count)} failed",
    ),
    MEASURES["p95_latency"],
    amount(
        "billed",
        "Billed",
        "What tenants are billed for their requests; monthly fees are not in it.",
        lambda sums: sums.billed_nano_usd,
        note=_absorbed_note,
        better="more",
    ),
    amount(
        "cost",
        "Provider cost",
        "What providers charge the platform. With its own credential a tenant pays the provider itself.",
        lambda sums: sums.platform_cost_nano_usd,
        note=lambda sums: beside_note(sums, paid_directly="{} more paid directly by tenants"),
        better="neither",
    ),
    amount(
        "margin",
        "Margin",
        "Billed less provider cost. Requests of unknown provider cost count as if they had cost nothing.",
        lambda sums: sums.margin_nano_usd,
        note=lambda sums: f"{formats.share(sums.margin_nano_usd, sums.billed_nano_usd)} of billed",
        better="more",
    ),
)
