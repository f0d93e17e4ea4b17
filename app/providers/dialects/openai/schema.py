"""Which JSON schemas OpenAI can hold an answer to. Used by `request`. Pure.

Anthropic holds to every schema that it takes; OpenAI only where `strict` is said, and then refuses a schema that it
cannot hold to. Invariant: a schema that is called holdable is not refused.
"""

from typing import Any, Final

import msgspec

# OpenAI's guide "Structured outputs: supported schemas", 2026-11, without the keywords that not all models take.
_KEYWORDS: Final = frozenset(
    {"type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf", "$ref", "$defs"}
    | {"title", "description"}
)


def is_holdable(raw: msgspec.Raw) -> bool:
    """Whether `strict` may be said of a schema: an object, closed, with every property required, all the way down."""
    try:
        schema = msgspec.json.decode(raw)
        return isinstance(schema, dict) and schema.get("type") == "object" and _is_holdable(schema)
    except (msgspec.DecodeError, RecursionError):
        return False


def _is_holdable(schema: Any) -> bool:
    if not isinstance(schema, dict) or not schema.keys() <= _KEYWORDS:
        return False
    properties, required = schema.get("properties", {}), schema.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, list):
        return False
    if schema.get("type") == "object" and (
        schema.get("additionalProperties") is not False or set(map(str, required)) != set(properties)
    ):
        return False
    inner = [*properties.values(), *_values(schema.get("$defs")), *_values(schema.get("anyOf"))]
    if "items" in schema:
        inner.append(schema["items"])
    return all(map(_is_holdable, inner))


def _values(schemas: Any) -> list[Any]:
    if isinstance(schemas, dict):
        return list(schemas.values())
    return schemas if isinstance(schemas, list) else []
