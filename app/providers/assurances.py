"""What vendors assure of calls with a plain key, as they publish it; and what is assured of a whole pool.

Read by the catalogue. A row needs a page that says so for every caller: what a vendor grants on request is no row but
a contract, which whoever holds the credential declares. Invariant: without row and contract nothing is assured.
"""

import re
from collections.abc import Iterable
from functools import reduce
from typing import Final

import msgspec

from app.providers.vendors import Vendor
from app.routing.assurance import NOTHING_ASSURED, Assurances, Region
from app.routing.taxonomy import Domain
from tenants import CredentialFacts


class AssuranceRow(msgspec.Struct, frozen=True, kw_only=True):
    """One vendor's public terms; `except_models` are those that they leave out."""

    vendor_name: str
    assures: Assurances
    source: str
    read_on: str
    except_models: re.Pattern[str] | None = None


_BESIDE_US: Final = Assurances(regions=frozenset({Region.LOCAL}), zero_retention=True)

# Looked at and left out: OpenAI, Anthropic and Mistral keep requests up to 30 days unless agreed otherwise, Groq may
# log them for as long to trace faults unless it is switched off. Each grants more by contract.
ROWS: Final = (
    AssuranceRow(vendor_name="sandbox", assures=_BESIDE_US, source="our own program", read_on="2026-11-24"),
    AssuranceRow(vendor_name="sandbox-anthropic", assures=_BESIDE_US, source="our own program", read_on="2026-11-24"),
    AssuranceRow(
        vendor_name="fireworks",
        assures=Assurances(zero_retention=True),
        source="docs.fireworks.ai/guides/security_compliance/data_handling: open models, unless opted in",
        read_on="2026-11-24",
        except_models=re.compile(r"(^|/)(f1|firefunction)", re.IGNORECASE),
    ),
)
_BY_VENDOR: Final = {row.vendor_name: row for row in ROWS}


def assurances_of(vendor: Vendor, model: str, pool: Iterable[CredentialFacts]) -> Assurances:
    """Give what is assured of a model whichever credential of the pool is called."""
    return reduce(Assurances.and_of, [_of_one(vendor, model, credential) for credential in pool])


def _of_one(vendor: Vendor, model: str, credential: CredentialFacts) -> Assurances:
    row = _BY_VENDOR.get(vendor.name)
    # At an address of its own a credential meets somebody else than the vendor whose terms these are.
    is_vendors_address = credential.base_url is None or vendor.base_url is None
    is_covered = row is not None and is_vendors_address and not (row.except_models and row.except_models.search(model))
    published = row.assures if row is not None and is_covered else NOTHING_ASSURED
    contract = credential.contract
    if contract is None:
        return published
    return published.also(
        Assurances(
            regions=frozenset(map(Region, contract.regions)),
            zero_retention=contract.zero_retention,
            baa=contract.baa,
            certified_for=frozenset(map(Domain, contract.certified_for)),
        )
    )
