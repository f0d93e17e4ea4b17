"""What only some dialects can express excludes the others, and nothing else does."""

import json
from typing import Any

import pytest

from app.providers import decode_chat, read_facts
from app.routing.candidate import Feature

HELLO = [{"role": "user", "content": "Hello"}]


def features(**fields: Any) -> frozenset[Feature]:
    return read_facts(decode_chat(json.dumps({"model": "m", "messages": HELLO, **fields}).encode())).features


def saying(part: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "See"}, part]}]}


@pytest.mark.parametrize(
    ("fields", "feature"),
    [
        ({"n": 2}, Feature.MANY_CHOICES),
        ({"logprobs": True}, Feature.LOGPROBS),
        ({"prediction": {"type": "content", "content": "x"}}, Feature.PREDICTION),
        ({"tools": [{"type": "custom", "custom": {"name": "sql"}}]}, Feature.CUSTOM_TOOLS),
        ({"response_format": {"type": "json_object"}}, Feature.JSON_OBJECT),
        (saying({"type": "file", "file": {"file_data": "JVBE"}}), Feature.DOCUMENTS),
        (saying({"type": "file", "file": {"file_id": "f"}}), Feature.FILES),
        (saying({"type": "video_url", "video_url": {"url": "https://x"}}), Feature.OPENAI_PARTS),
    ],
)
def test_a_request_asks_for_a_feature(fields: dict[str, Any], feature: Feature) -> None:
    assert features(**fields) == {feature}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"n": 1, "logprobs": False, "prediction": None, "response_format": {"type": "text"}},
        {"logprobs": None, "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}},
        {"tools": [{"type": "function", "function": {"name": "look"}}], "seed": 1},
        saying({"type": "image_url", "image_url": {"url": "https://x"}}),
    ],
)
def test_common_ground_excludes_nobody(fields: dict[str, Any]) -> None:
    assert features(**fields) == frozenset()
