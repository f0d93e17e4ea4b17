"""A plan: what a tenant may call, how fast, and at which rate. Pure; read by routing and admission.

Invariant: a plan is one stored version and never changes under a request that holds it.
"""

from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Final

import msgspec

from billing.price import PARTS_PER_MILLION
from billing.records import CredentialOwner

DEFAULT_PLAN_ID: Final = "free"
ALLOWANCES_REMEMBERED_MAX: Final = 65_536


class Feature(StrEnum):
    """What a plan may unlock besides models and rate."""

    OWN_CREDENTIALS = "own_credentials"
    AUDIT_EXPORT = "audit_export"
    CUSTOM_POLICIES = "custom_policies"
    SSO = "sso"
    SUPPORT_SLA = "support_sla"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One version of a plan. `allowed_models` are globs over `provider/model`."""

    plan_id: str
    version: int = 1
    name: str
    monthly_price_nano_usd: int
    requests_per_minute: int
    request_burst: int
    concurrent_requests: int = 50
    allowed_models: tuple[str, ...]
    features: tuple[str, ...]
    markup_ppm: int
    own_credential_fee_ppm: int

    def rate_ppm(self, credential_owner: CredentialOwner) -> int:
        """The tenant's amount per provider cost: cost and markup, or with its own credential our fee alone."""
        if credential_owner == "platform":
            return PARTS_PER_MILLION + self.markup_ppm
        return self.own_credential_fee_ppm

    def allows(self, model_name: str) -> bool:
        """Tell whether `provider/model` is in the plan."""
        return _is_allowed(self.allowed_models, model_name)


# Routing asks this for every candidate of every request; the answers are few and never change.
@lru_cache(maxsize=ALLOWANCES_REMEMBERED_MAX)
def _is_allowed(globs: tuple[str, ...], model_name: str) -> bool:
    return any(fnmatchcase(model_name, glob) for glob in globs)
