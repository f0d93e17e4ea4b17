"""A stored request as its tenant may see it: without what the platform pays behind its own credentials.

Used by `/v1/requests/{id}` and the management API. Invariant: nothing here lets a tenant compute the
platform's margin; what the tenant pays a provider directly stays. Pure.
"""

from typing import TypeVar

import msgspec

from app.routing import explain_record
from billing import StoredRequest

Amounts = TypeVar("Amounts", bound=msgspec.Struct)


def request_view(stored: StoredRequest) -> StoredRequest:
    """The request with its decision written out, and the provider's cost where the tenant's own credential paid it."""
    attempts = tuple(
        attempt if attempt.credential_owner == "tenant" else _without_cost(attempt) for attempt in stored.attempts
    )
    own = [attempt.provider_cost_nano_usd for attempt in stored.attempts if attempt.credential_owner == "tenant"]
    is_all_own = bool(own) and len(own) == len(stored.attempts)
    seen = stored if is_all_own else _without_cost(stored)
    decision = msgspec.Raw(explain_record(bytes(stored.decision)))
    return msgspec.structs.replace(seen, attempts=attempts, decision=decision)


def _without_cost(amounts: Amounts) -> Amounts:
    return msgspec.structs.replace(amounts, provider_cost_nano_usd=None, absorbed_nano_usd=0)
