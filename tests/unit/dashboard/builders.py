"""Builders with defaults of the console's rows."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from dashboard.rows import AttemptFacts


def an_attempt(**fields: Any) -> AttemptFacts:
    """One answered attempt."""
    defaults: dict[str, Any] = {
        "request_id": UUID(int=1), "attempt_number": 1, "provider_name": "openai", "model": "gpt-4o-mini",
        "outcome": "ok", "credential_id": None, "credential_owner": "platform",
        "started_at": datetime(2026, 11, 24, tzinfo=UTC), "http_status": 200, "error_type": None,
        "error_message": None, "response_id": None, "latency_ms": 500, "first_token_ms": None, "input_tokens": 1,
        "output_tokens": 1, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0,
        "reasoning_output_tokens": 0, "is_usage_estimated": False, "is_simulated": False, "price_version_id": None,
        "reserved_nano_usd": 1, "provider_cost_nano_usd": 1, "billed_nano_usd": 1, "absorbed_nano_usd": 0,
    }  # fmt: skip
    return AttemptFacts(**(defaults | fields))
