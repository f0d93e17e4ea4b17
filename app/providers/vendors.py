"""The table of vendors: how to reach each one and which oddities its dialect has.

Read by the gateway to make a call, by the catalogue, and where a credential is saved. A new
OpenAI-compatible vendor is one row. Invariant: a name equals genai-prices' provider id where there is
one, because the price book is joined on it.
"""

from types import MappingProxyType
from typing import Final, Literal
from uuid import UUID

import msgspec

from app.providers.errors import VendorUnknown

DialectName = Literal["openai", "anthropic"]

# The sandbox's log joins on these; no other vendor is told our ids.
ATTEMPT_ID_HEADER: Final = "x-signalbox-attempt-id"
REQUEST_ID_HEADER: Final = "x-signalbox-request-id"
USER_AGENT: Final = "signalbox/0.1"


class Vendor(msgspec.Struct, frozen=True, kw_only=True):
    """One provider. `base_url` is None when only a credential can say where it is."""

    name: str
    label: str
    base_url: str | None
    dialect: DialectName = "openai"
    auth_header: str = "authorization"
    auth_prefix: str = "Bearer "
    extra_headers: tuple[tuple[str, str], ...] = ()
    output_limit_field: str = "max_tokens"
    has_stream_usage_option: bool = True  # understands stream_options.include_usage
    has_user_field: bool = True  # understands `user`
    # Where it takes back what its model thought, as it must in a loop of tools; None: it refuses it.
    reasoning_field: Literal["reasoning_content", "reasoning_details"] | None = None
    is_simulated: bool = False


# As published, 2026-11; addresses agree with genai-prices' patterns. None was called with a real key yet.
_ROWS: Final = (
    # `max_tokens` is refused by OpenAI's reasoning models; the longer name works on every chat model.
    Vendor(
        name="openai",
        label="OpenAI",
        base_url="https://api.openai.com/v1",
        output_limit_field="max_completion_tokens",
    ),
    Vendor(
        name="groq",
        label="Groq",
        base_url="https://api.groq.com/openai/v1",
        output_limit_field="max_completion_tokens",
    ),
    # Mistral sends usage in a stream's last chunk unasked and refuses fields it does not know.
    Vendor(
        name="mistral",
        label="Mistral",
        base_url="https://api.mistral.ai/v1",
        has_stream_usage_option=False,
        has_user_field=False,
    ),
    Vendor(
        name="deepseek",
        label="DeepSeek",
        base_url="https://api.deepseek.com/v1",
        reasoning_field="reasoning_content",
    ),
    Vendor(name="together", label="Together", base_url="https://api.together.xyz/v1"),
    Vendor(name="fireworks", label="Fireworks", base_url="https://api.fireworks.ai/inference/v1"),
    Vendor(
        name="openrouter",
        label="OpenRouter",
        base_url="https://openrouter.ai/api/v1",
        reasoning_field="reasoning_details",
    ),
    Vendor(name="x-ai", label="xAI", base_url="https://api.x.ai/v1", output_limit_field="max_completion_tokens"),
    Vendor(
        name="cerebras",
        label="Cerebras",
        base_url="https://api.cerebras.ai/v1",
        output_limit_field="max_completion_tokens",
    ),
    Vendor(name="perplexity", label="Perplexity", base_url="https://api.perplexity.ai", has_stream_usage_option=False),
    Vendor(
        name="moonshotai",
        label="Moonshot AI",
        base_url="https://api.moonshot.ai/v1",
        reasoning_field="reasoning_content",
    ),
    Vendor(
        name="zai",
        label="Z.ai",
        base_url="https://api.z.ai/api/paas/v4",
        reasoning_field="reasoning_content",
    ),
    Vendor(name="novita", label="Novita", base_url="https://api.novita.ai/openai/v1"),
    Vendor(
        name="baseten",
        label="Baseten",
        base_url="https://inference.baseten.co/v1",
    ),
    Vendor(
        name="anthropic",
        label="Anthropic",
        base_url="https://api.anthropic.com/v1",
        dialect="anthropic",
        auth_header="x-api-key",
        auth_prefix="",
        extra_headers=(("anthropic-version", "2023-06-01"),),
    ),
    Vendor(name="sandbox", label="Sandbox (simulated)", base_url=None, is_simulated=True),
    Vendor(
        name="sandbox-anthropic",
        label="Sandbox in Anthropic's dialect (simulated)",
        base_url=None,
        dialect="anthropic",
        auth_header="x-api-key",
        auth_prefix="",
        extra_headers=(("anthropic-version", "2023-06-01"),),
        is_simulated=True,
    ),
)

VENDORS: Final = MappingProxyType({row.name: row for row in _ROWS})


def vendor_of(name: str) -> Vendor:
    """Find a vendor's row. Raises VendorUnknown with the names there are."""
    try:
        return VENDORS[name]
    except KeyError:
        raise VendorUnknown(f"No provider is called '{name}'. Known providers: {', '.join(sorted(VENDORS))}.") from None


def check_offer(vendor: Vendor, base_url: str | None, *, is_platform: bool = False) -> None:
    """Refuse a credential that the catalogue would pass over in silence. Raises VendorUnknown."""
    if vendor.is_simulated and not is_platform:
        raise VendorUnknown(
            f"'{vendor.name}' answers with simulated text, so only the platform may offer it. "
            "Choose a provider that answers for real."
        )
    if vendor.base_url is None and base_url is None:
        raise VendorUnknown(f"Provider '{vendor.name}' has no public address; give its credential a base address.")


def endpoint_url(vendor: Vendor, base_url: str | None, path: str) -> str:
    """Join the credential's base address, or else the vendor's, with a dialect's path such as `/chat/completions`."""
    base = base_url or vendor.base_url
    if base is None:
        raise VendorUnknown(f"Provider '{vendor.name}' has no public address; give its credential a base address.")
    return base.rstrip("/") + path


def request_headers(vendor: Vendor, secret: str, *, attempt_id: UUID, request_id: UUID) -> dict[str, str]:
    """Headers of one call, with the key in the vendor's shape; the sandbox alone also learns our ids."""
    headers = {
        "content-type": "application/json",
        "user-agent": USER_AGENT,
        vendor.auth_header: vendor.auth_prefix + secret,
        **dict(vendor.extra_headers),
    }
    if vendor.is_simulated:
        headers[ATTEMPT_ID_HEADER] = str(attempt_id)
        headers[REQUEST_ID_HEADER] = str(request_id)
    return headers
