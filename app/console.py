"""What the console is told of the request path: the models of a tenant, and which credentials it could use.

Handed to `dashboard` by `app/main.py`. Invariant: prices, quality and plan are those of the tenant's view, which
is what its requests are routed by.
"""

from typing import Final

from app.gateway.tenant_view import TenantView
from app.providers import VENDORS, AddressNotAllowed, AllowList, ConnectFailed, VendorUnknown, check_address, vendor_of
from app.providers import check_offer as check_vendor_offer
from app.routing import Candidate
from billing import Price, billed_nano_usd
from dashboard import ModelLine, ProviderChoice
from tenants import FieldInvalid

PROVIDER_CHOICES: Final = tuple(
    ProviderChoice(vendor.name, vendor.label, vendor.base_url is None)
    for vendor in sorted(VENDORS.values(), key=lambda vendor: vendor.label.casefold())
    if not vendor.is_simulated
)


def model_lines(view: TenantView) -> tuple[ModelLine, ...]:
    """Every model that the tenant's requests can reach, and those that only its plan keeps from them.

    A model without a known price is not called, and so is not among them.
    """
    return tuple(
        _line(candidate, candidate.price, is_in_plan=view.plan.allows(candidate.name))
        for candidate in view.candidates
        if candidate.price is not None
    )


async def check_offer(allow: AllowList, provider_name: str, base_url: str | None) -> None:
    """Refuse a credential that no request could use. Raises FieldInvalid with the field that is at fault."""
    try:
        check_vendor_offer(vendor_of(provider_name), base_url)
        if base_url is not None:
            await check_address(base_url, allow)
    except VendorUnknown as error:
        at_fault = (
            "base_url" if provider_name in VENDORS and not VENDORS[provider_name].is_simulated else "provider_name"
        )
        raise FieldInvalid(at_fault, str(error)) from error
    except AddressNotAllowed as error:
        raise FieldInvalid("base_url", str(error)) from error
    except ConnectFailed as error:
        raise FieldInvalid("base_url", f"{error} Check its spelling.") from error


def _line(candidate: Candidate, price: Price, *, is_in_plan: bool) -> ModelLine:
    rate_ppm = candidate.rate_ppm
    return ModelLine(
        name=candidate.name,
        provider_name=candidate.provider_name,
        is_own_credential=candidate.credential_owner == "tenant",
        is_in_plan=is_in_plan,
        is_simulated=candidate.is_simulated,
        input_cost_nano_usd=price.input_nano_usd_per_million,
        output_cost_nano_usd=price.output_nano_usd_per_million,
        input_billed_nano_usd=billed_nano_usd(price.input_nano_usd_per_million, rate_ppm),
        output_billed_nano_usd=billed_nano_usd(price.output_nano_usd_per_million, rate_ppm),
        context_tokens=price.context_tokens,
        output_tokens_max=price.output_tokens_max,
        capabilities=None if candidate.capabilities is None else tuple(sorted(candidate.capabilities)),
        quality=candidate.quality.get(""),
    )
