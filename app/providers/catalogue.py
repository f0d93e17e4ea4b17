"""The candidates of a tenant: every priced model of every vendor that one of its credentials reaches.

Pure; called when a tenant's view is built, and kept by the caller. Invariant: a tenant's own credential
hides the platform's of the same provider, so that no call changes its owner unseen.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, TypeAlias

from app.providers.assurances import assurances_of
from app.providers.capabilities import capabilities_of, is_chat_model
from app.providers.dialects import DIALECTS
from app.providers.priors import NOTHING, prior_of
from app.providers.vendors import VENDORS, Vendor
from app.routing.candidate import Candidate
from app.routing.quality import Measured, Prior, expected, levels_of
from billing import CredentialOwner, Plan, Price, PriceBook
from tenants import CredentialFacts

NOTHING_MEASURED: Final[Measured] = {}
_Found: TypeAlias = tuple[Vendor, CredentialFacts, CredentialOwner, Price]


def candidates_for(
    *,
    own: Sequence[CredentialFacts],
    shared: Sequence[CredentialFacts],
    prices: PriceBook,
    plan: Plan,
    measured: Measured = NOTHING_MEASURED,
) -> tuple[Candidate, ...]:
    """Build a tenant's candidates from its own credentials and the platform's, ordered by name.

    The first credential of a provider is taken. A credential of a provider without a row is passed over. What the
    tenant `measured` moves the expected quality of its candidates.
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
    found: list[_Found] = []
    for provider_name, (credential, owner) in sorted(reached.items(), key=lambda item: item[0]):
        vendor = VENDORS.get(provider_name)
        if vendor is not None:
            prices_of = sorted(prices.of_provider(vendor.name), key=lambda price: price.model)
            found += [(vendor, credential, owner, price) for price in prices_of if is_chat_model(price.model)]
    priors = {f"{vendor.name}/{price.model}": prior_of(vendor, price) for vendor, _, _, price in found}
    levels = levels_of(priors, measured)
    pools = {owner: _by_provider(each) for owner, each in (("tenant", own), ("platform", shared))}
    return tuple(
        _candidate(each, pools[each[2]][each[0].name], rates[each[2]], expected(prior, measured.get(name, ()), levels))
        for each, (name, prior) in zip(found, priors.items(), strict=True)
    )


def priors_of(candidates: Iterable[Candidate]) -> dict[str, Prior]:
    """Give what was believed of candidates before their tenant measured them, by name."""
    return {each.name: _prior(each) for each in candidates}


def _prior(candidate: Candidate) -> Prior:
    vendor = VENDORS.get(candidate.provider_name)
    return NOTHING if vendor is None or candidate.price is None else prior_of(vendor, candidate.price)


def _by_provider(credentials: Iterable[CredentialFacts]) -> Mapping[str, Sequence[CredentialFacts]]:
    pools: dict[str, list[CredentialFacts]] = {}
    for credential in credentials:
        pools.setdefault(credential.provider_name, []).append(credential)
    return pools


def _candidate(
    found: _Found, pool: Sequence[CredentialFacts], rate_ppm: int, quality: Mapping[str, float]
) -> Candidate:
    vendor, credential, owner, price = found
    dialect = DIALECTS[vendor.dialect]
    return Candidate(
        provider_name=vendor.name,
        model=price.model,
        credential_id=credential.credential_id,
        credential_owner=owner,
        price=price,
        rate_ppm=rate_ppm,
        capabilities=capabilities_of(price.model),
        quality=quality,
        is_simulated=vendor.is_simulated,
        features=dialect.features,
        image_tokens_max=dialect.image_tokens_max,
        assurances=assurances_of(vendor, price.model, pool),
    )
