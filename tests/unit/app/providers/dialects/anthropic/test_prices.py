"""What the price book cannot meter is refused, wherever in a request it stands."""

from typing import Literal, get_args, get_origin, get_type_hints

import pytest
from anthropic.types import ContentBlockParam, ToolUnionParam
from anthropic.types.beta import BetaContentBlockParam, BetaToolUnionParam

from app.providers import BodyInvalid, decode_messages
from tests.unit.app.providers.dialects.anthropic.builders import request_bytes, said

HOUR = {"type": "ephemeral", "ttl": "1h"}
WEB_SEARCH = {"type": "web_search_20260318", "name": "web_search"}
DIRECT = ("bash_", "text_editor_", "memory_", "computer_", "browser_toolset_")


def types_of(union: object) -> set[str]:
    """The `type`s of a union of the SDK's own parameter types."""
    found: set[str] = set()
    for member in get_args(union):
        hint = get_type_hints(member).get("type") if isinstance(member, type) else None
        for value in get_args(hint):
            found.update([value] if isinstance(value, str) else get_args(value) if get_origin(value) is Literal else ())
    return found


def refusal(**fields: object) -> BodyInvalid:
    with pytest.raises(BodyInvalid) as caught:
        decode_messages(request_bytes(**fields))
    return caught.value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("service_tier", "priority"),
        ("service_tier", ["auto"]),
        ("speed", "fast"),
        ("inference_geo", "us"),
        ("container", "container_1"),
        ("container", {"skills": []}),
        ("mcp_servers", []),
        ("fallbacks", "default"),
        ("fallback_credit_token", "t"),
        ("billing_policy", {"type": "billing_policy", "bill_to": "user_profile"}),
        ("compaction", {}),
        ("thread", {"type": "create"}),
        ("context_management", {"edits": [{"type": "clear_tool_uses_20250919"}, {"type": "compact_20260112"}]}),
        ("context_management", 5),
        ("cache_control", HOUR),
        ("system", [{"type": "text", "text": "x", "cache_control": HOUR}]),
        ("tools", [{"name": "f", "cache_control": HOUR}]),
        ("tools", [{"name": "f"}, WEB_SEARCH]),
        ("tools", [{"type": "customised_20300101"}]),
    ],
)
def test_a_field_that_cannot_be_metered_is_refused_by_its_name(field: str, value: object) -> None:
    assert (refusal(**{field: value}).param or "").startswith(field)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("service_tier", "auto"),
        ("service_tier", "standard_only"),
        ("speed", "standard"),
        ("inference_geo", "global"),
        ("context_management", {"edits": [{"type": "clear_thinking_20251015"}]}),
        ("context_management", {}),
        ("cache_control", {"type": "ephemeral"}),
        ("cache_control", {"type": "ephemeral", "ttl": "5m"}),
        ("tools", [{"name": "f", "type": "custom"}, {"name": "g", "type": None}]),
    ],
)
def test_what_costs_no_more_is_taken(field: str, value: object) -> None:
    assert decode_messages(request_bytes(**{field: value})).model == "auto"


def test_a_field_cannot_hide_behind_an_escape() -> None:
    raw = request_bytes(speed="fast").replace(b"speed", b"sp\\u0065ed").replace(b"fast", b"f\\u0061st")
    with pytest.raises(BodyInvalid, match="speed"):
        decode_messages(raw)


@pytest.mark.parametrize("tool_type", sorted(types_of(ToolUnionParam) | types_of(BetaToolUnionParam)))
def test_of_the_sdks_tools_those_that_the_caller_runs_are_taken(tool_type: str) -> None:
    raw = request_bytes(tools=[{"type": tool_type, "name": "x"}])
    if tool_type == "custom" or tool_type.startswith(DIRECT):
        assert decode_messages(raw).has_tools
    else:
        with pytest.raises(BodyInvalid, match="Anthropic runs"):
            decode_messages(raw)


def test_the_sdk_has_tools_of_both_kinds() -> None:
    types = types_of(BetaToolUnionParam)
    assert {"custom", "bash_20250124", "advisor_20260301", "mcp_toolset", "web_fetch_20260318"} <= types


@pytest.mark.parametrize("block_type", sorted(types_of(ContentBlockParam) | types_of(BetaContentBlockParam)))
def test_an_hour_of_cache_is_found_on_every_block_of_the_sdk(block_type: str) -> None:
    block = {"type": block_type, "text": "x", "source": {"type": "text"}}
    assert decode_messages(request_bytes(messages=said(block)))
    assert refusal(messages=said({**block, "cache_control": HOUR})).param == "messages.0.content"


CACHED = {"type": "text", "text": "x", "cache_control": HOUR}


@pytest.mark.parametrize(
    "block",
    [
        {"type": "tool_result", "tool_use_id": "t", "content": [CACHED]},
        {"type": "document", "source": {"type": "content", "content": [CACHED]}},
        {"type": "search_result", "source": "https://x.test", "title": "t", "content": [CACHED]},
        {"type": "web_fetch_tool_result", "content": {"type": "web_fetch_result", "content": CACHED}},
        {"type": "tool_result", "content": [{"type": "document", "source": {"type": "content", "content": [CACHED]}}]},
        {"type": "tool_addition", "tool": {"definition": {"name": "f", "cache_control": HOUR}}},
        {"type": "tool_addition", "tool": {"definition": WEB_SEARCH}},
        {"type": "compaction", "tool_changes": [{"type": "tool_addition", "tool": {"definition": WEB_SEARCH}}]},
    ],
)
def test_nothing_hides_within_blocks(block: dict[str, object]) -> None:
    assert refusal(messages=said({"type": "text", "text": "first"}, block)).param == "messages.0.content"


@pytest.mark.parametrize(
    "beta", ["context-1m-2025-08-07", "fast-mode-2026-02-01", "code-execution-2025-05-22", "mcp-client-2026-09-15"]
)
def test_a_beta_with_a_price_of_its_own_is_refused(beta: str) -> None:
    with pytest.raises(BodyInvalid, match=beta) as caught:
        decode_messages(request_bytes(), betas=("prompt-caching-2024-07-31", beta))
    assert caught.value.param == "anthropic-beta"
