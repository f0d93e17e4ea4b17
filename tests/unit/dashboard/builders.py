"""Builders with defaults of the console's rows."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from dashboard.rows import AttemptFacts, RequestFacts


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


def a_request(**fields: Any) -> RequestFacts:
    """One answered request."""
    defaults: dict[str, Any] = {
        "request_id": UUID(int=1), "started_at": datetime(2026, 11, 24, tzinfo=UTC), "project_id": UUID(int=2),
        "api_key_id": UUID(int=3), "request_model": "auto", "provider_name": "openai", "response_model": "gpt-4o-mini",
        "task": None, "rule": None, "outcome": "ok", "http_status": 200, "error_message": None, "is_streamed": False,
        "is_simulated": False, "input_tokens": 1, "output_tokens": 1, "latency_ms": 500, "billed_nano_usd": 1,
        "baseline_nano_usd": None, "client_request_id": None, "operation_name": "chat", "surface": "openai",
        "domain": None, "policy_name": None, "policy_version": None, "decision": None, "tags": (), "metadata": {},
        "end_user": None, "error_type": None, "finish_reason": None, "attempt_count": 1, "cache_read_input_tokens": 0,
        "cache_creation_input_tokens": 0, "reasoning_output_tokens": 0, "is_usage_estimated": False,
        "provider_cost_nano_usd": 1, "absorbed_nano_usd": 0, "baseline_model": None, "first_token_ms": None,
        "overhead_ms": None,
    }  # fmt: skip
    return RequestFacts(**(defaults | fields))
