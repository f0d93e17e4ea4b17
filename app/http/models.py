"""`GET /v1/models`: what a key can call, with price, context and capabilities added, in either surface's shape."""

import msgspec

from app.gateway.tenant_view import TenantView
from app.providers import usd
from app.routing import AUTO, Candidate

# OpenAI's shape wants a creation time; the gateway does not know when a vendor made its model.
UNKNOWN_CREATED = 0
UNKNOWN_TIME = "1970-01-01T00:00:00Z"
PER_MILLION_TO_NANO_PER_TOKEN = 1_000_000


def list_models(view: TenantView) -> bytes:
    """The list in OpenAI's shape: `auto`, `auto/<policy>`, then every candidate the plan allows, by name."""
    routes = [_entry(name, "signalbox") for name in _route_names(view)]
    return msgspec.json.encode({"object": "list", "data": [*routes, *map(_model, _allowed(view))]})


def list_models_for_anthropic(view: TenantView) -> bytes:
    """The same list as Anthropic's SDKs read it, on one page."""
    names = [*_route_names(view), *(candidate.name for candidate in _allowed(view))]
    entries = [{"type": "model", "id": name, "display_name": name, "created_at": UNKNOWN_TIME} for name in names]
    return msgspec.json.encode({"data": entries, "has_more": False, "first_id": names[0], "last_id": names[-1]})


def _route_names(view: TenantView) -> list[str]:
    return [AUTO, *(f"{AUTO}/{name}" for name in sorted(view.policies))]


def _allowed(view: TenantView) -> list[Candidate]:
    allowed = (candidate for candidate in view.candidates if view.plan.allows(candidate.name))
    return sorted(allowed, key=lambda candidate: candidate.name)


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
