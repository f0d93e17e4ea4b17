"""A model that could answer: how to reach it, what it can do, what it costs this tenant."""

from collections.abc import Mapping
from enum import StrEnum
from uuid import UUID

import msgspec

from app.routing.assurance import NOTHING_ASSURED, Assurances
from billing import CredentialOwner, Price, billed_nano_usd


class Capability(StrEnum):
    """What a request may need of a model beyond text."""

    TOOLS = "tools"
    JSON_SCHEMA = "json_schema"
    IMAGES = "images"


class Feature(StrEnum):
    """What a request may say that not every provider's dialect can express."""

    MANY_CHOICES = "several choices (n)"
    LOGPROBS = "logprobs"
    PREDICTION = "prediction"
    CUSTOM_TOOLS = "tools of type 'custom'"
    JSON_OBJECT = "JSON without a schema"
    DOCUMENTS = "documents"
    DOCUMENT_URLS = "documents by address"
    FILES = "files by id"
    PROVIDER_BLOCKS = "blocks that one provider alone knows"
    OPENAI_PARTS = "content parts that OpenAI's dialect alone knows"


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """One model behind one credential, as one tenant sees it; `name` is `provider/model`."""

    provider_name: str
    model: str
    credential_id: UUID
    credential_owner: CredentialOwner
    price: Price | None  # None: unknown, and so not allowed on the request path
    rate_ppm: int  # the tenant's amount per provider cost, in parts per million
    capabilities: frozenset[Capability] | None = None  # None: unknown
    quality: Mapping[str, float] = {}  # expected quality by task, 0 to 1; "" is the default
    is_simulated: bool = False
    features: frozenset[Feature] | None = None  # what the provider's dialect can say; None: everything
    image_tokens_max: int | None = None  # of any image, by the provider's dialect; None: by the caller's
    assurances: Assurances = NOTHING_ASSURED
    stays_here: bool = False  # it answers by rule: nothing of a request leaves this program, and no plan sells it

    @property
    def name(self) -> str:
        """As callers and policies write it: `provider/model`."""
        return f"{self.provider_name}/{self.model}"

    def bound_nano_usd(self, *, input_tokens: int, output_tokens: int) -> int:
        """The most this tenant can be billed for that many tokens. Needs a known price."""
        assert self.price is not None
        return billed_nano_usd(
            self.price.bound_nano_usd(input_tokens=input_tokens, output_tokens=output_tokens), self.rate_ppm
        )
