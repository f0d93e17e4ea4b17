"""`GET /v1/models`: what a key can call, in OpenAI's list shape, with price, context and capabilities added."""

import msgspec

from app.gateway.tenant_view import TenantView
from app.providers import usd
from app.routing import Candidate

AUTO = "auto"
# OpenAI's shape wants a creation time; the gateway does not know when a vendor made its model.
UNKNOWN_CREATED = 0
PER_MILLION_TO_NANO_PER_TOKEN = 1_000_000


def list_models(view: TenantView) -> bytes:
    """The list as JSON: `auto`, `auto/<policy>`, then every candidate the plan allows, by name."""
    routes = [_entry(AUTO, "signalbox"), *(_entry(f"{AUTO}/{name}", "signalbox") for name in sorted(view.policies))]
    allowed = (candidate for candidate in view.candidates if view.plan.allows(candidate.name))
    models = [_model(candidate) for candidate in sorted(allowed, key=lambda candidate: candidate.name)]
    return msgspec.json.encode({"object": "list", "data": [*routes, *models]})


def _entry(name: str, owner: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": UNKNOWN_CREATED, "owned_by": owner}


def _model(candidate: Candidate) -> dict[str, object]:
    price = candidate.price
    return {
        **_entry(candidate.name, candidate.provider_name),
        "context_length": price.context_tokens if price else None,
        "capabilities": sorted(candidate.capabilities) if candidate.capabilities is not None else None,
        "credential_owner": candidate.credential_owner,
        "is_simulated": candidate.is_simulated,
        "pricing": None
        if price is None
        else {
            # What this tenant is billed, in USD per million tokens.
            "input_usd_per_million": msgspec.Raw(
                usd(price.input_nano_usd_per_million * candidate.rate_ppm // 1_000_000)
            ),
            "output_usd_per_million": msgspec.Raw(
                usd(price.output_nano_usd_per_million * candidate.rate_ppm // 1_000_000)
            ),
        },
    }
