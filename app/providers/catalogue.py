"""The candidates of a tenant: every priced model of every vendor that one of its credentials reaches.

Pure; called when a tenant's view is built, and kept by the caller. Invariant: a tenant's own credential
hides the platform's of the same provider, so that no call changes its owner unseen.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from app.providers.capabilities import capabilities_of, is_chat_model
from app.providers.dialects import DIALECTS
from app.providers.vendors import VENDORS, Vendor
from app.routing.candidate import Candidate
from app.sandbox.models import SANDBOX_MODELS
from billing import CredentialOwner, Plan, PriceBook
from tenants import CredentialFacts

_UNKNOWN_QUALITY: Final[Mapping[str, float]] = {}


def candidates_for(
    *, own: Iterable[CredentialFacts], shared: Iterable[CredentialFacts], prices: PriceBook, plan: Plan
) -> tuple[Candidate, ...]:
    """Build a tenant's candidates from its own credentials and the platform's, ordered by name.

    The first credential of a provider is taken. A credential of a provider without a row is passed over.
    """
    reached: dict[str, tuple[CredentialFacts, CredentialOwner]] = {}
    for credential in own:
        vendor = VENDORS.get(credential.provider_name)
        # Simulated usage is never invoiced, so only the platform may say what is simulated.
        if vendor is not None and not vendor.is_simulated:
            reached.setdefault(credential.provider_name, (credential, "tenant"))
    for credential in shared:
        reached.setdefault(credential.provider_name, (credential, "platform"))
    rates: dict[CredentialOwner, int] = {"tenant": plan.rate_ppm("tenant"), "platform": plan.rate_ppm("platform")}
    found: list[Candidate] = []
    for provider_name, (credential, owner) in sorted(reached.items(), key=lambda item: item[0]):
        vendor = VENDORS.get(provider_name)
        if vendor is not None:
            found += _candidates_of(vendor, credential, owner, rates[owner], prices)
    return tuple(found)


def _candidates_of(
    vendor: Vendor, credential: CredentialFacts, owner: CredentialOwner, rate_ppm: int, prices: PriceBook
) -> Iterable[Candidate]:
    dialect = DIALECTS[vendor.dialect]
    for price in sorted(prices.of_provider(vendor.name), key=lambda price: price.model):
        if is_chat_model(price.model):
            yield Candidate(
                provider_name=vendor.name,
                model=price.model,
                credential_id=credential.credential_id,
                credential_owner=owner,
                price=price,
                rate_ppm=rate_ppm,
                capabilities=capabilities_of(price.model),
                quality=_quality(vendor, price.model),
                is_simulated=vendor.is_simulated,
                features=dialect.features,
                image_tokens_max=dialect.image_tokens_max,
            )


def _quality(vendor: Vendor, model: str) -> Mapping[str, float]:
    """Expected quality by task. Declared for the simulated models; others have none until it was measured."""
    if vendor.is_simulated and model in SANDBOX_MODELS:
        return SANDBOX_MODELS[model].skill
    return _UNKNOWN_QUALITY
