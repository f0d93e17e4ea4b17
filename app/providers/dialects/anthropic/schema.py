"""JSON schemas as Anthropic's constrained decoding takes them, and as its tools do. Used by `request`. Pure.

Invariant: what a schema promises and the API cannot enforce is still told to the model, in its description.
"""

from typing import Any, Final

import msgspec

from app.providers.dialects.conversation import EMPTY_OBJECT
from app.providers.errors import BodyInvalid

# Anthropic, "Structured outputs: JSON schema limitations", 2026-11.
_KEPT: Final = frozenset({"type", "enum", "const", "title", "description", "$ref", "required", "default"})
_OF_SCHEMAS_BY_NAME: Final = frozenset({"properties", "$defs", "definitions"})
_OF_SCHEMAS: Final = {"anyOf": "anyOf", "oneOf": "anyOf", "allOf": "allOf"}
_FORMATS: Final = ("date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid")
_BOUNDS_KEPT: Final = frozenset({("minItems", 0), ("minItems", 1), *(("format", name) for name in _FORMATS)})
_SAYS_NOTHING: Final = frozenset({"$schema", "$id", "$comment"})
_ANNOTATIONS: Final = frozenset({"examples", "deprecated", "readOnly", "writeOnly"})
_EMPTY_OBJECT_SCHEMA: Final = msgspec.Raw(b'{"type":"object"}')


class _Typed(msgspec.Struct):
    type: msgspec.Raw | None = None


_decode_type: Final = msgspec.json.Decoder(_Typed).decode


def object_schema(raw: msgspec.Raw) -> msgspec.Raw:
    """A tool's schema with the type 'object', which OpenAI leaves open and Anthropic demands."""
    if raw == EMPTY_OBJECT:
        return _EMPTY_OBJECT_SCHEMA
    try:
        if _decode_type(raw).type is not None:
            return raw
        fields = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
    except msgspec.MsgspecError:
        return raw  # not an object: let the provider say so
    fields.pop("type", None)
    return msgspec.Raw(msgspec.json.encode({"type": "object", **fields}))


def closed_schema(
    raw: msgspec.Raw, *, title: str | None = None, description: str | None = None
) -> tuple[msgspec.Raw, bool]:
    """The schema as the API takes it, and whether it enforces all that was asked for.

    `title` and `description` are added where the schema has none. Raises BodyInvalid for one nested too deeply.
    """
    try:
        schema = msgspec.json.decode(raw)
        if not isinstance(schema, dict):
            return raw, True  # let the provider say so
        closed = _Closing()
        fields = closed.close(schema)
    except RecursionError:
        raise BodyInvalid("response_format.json_schema.schema", "The schema is nested too deeply.") from None
    except msgspec.DecodeError:  # text or a number in it, which were skipped until now
        raise BodyInvalid("response_format.json_schema.schema", "The schema is not valid JSON.") from None
    if title is not None:
        fields.setdefault("title", title)
    if description is not None:
        fields.setdefault("description", description)
    return msgspec.Raw(msgspec.json.encode(fields)), closed.is_whole


class _Closing:
    """One walk through a schema; `is_whole` is False once something was met that is not enforced."""

    def __init__(self) -> None:
        self.is_whole = True

    def close(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Close every object of the schema, and move what is not enforced into descriptions."""
        closed: dict[str, Any] = {}
        told: dict[str, Any] = {}
        for key, value in schema.items():
            if key in _KEPT:
                closed[key] = value
            elif key in _OF_SCHEMAS_BY_NAME and isinstance(value, dict):
                closed[key] = {name: self._close_any(inner) for name, inner in value.items()}
            elif key in _OF_SCHEMAS and isinstance(value, list):
                closed[_OF_SCHEMAS[key]] = [self._close_any(inner) for inner in value]
            elif key == "items" and isinstance(value, dict):
                closed[key] = self.close(value)
            elif key == "additionalProperties" and not isinstance(value, dict):
                closed[key] = False
            elif isinstance(value, str | int) and (key, value) in _BOUNDS_KEPT:
                closed[key] = value
            elif key not in _SAYS_NOTHING:
                told[key] = value
                self.is_whole = self.is_whole and key in _ANNOTATIONS
        if _is_object(schema):
            closed["additionalProperties"] = False
            if not schema.get("properties") and schema.get("additionalProperties") is not False:
                self.is_whole = False  # any object was meant, and only the empty one is left
        if told:
            text = msgspec.json.encode(told).decode()
            closed["description"] = f"{closed['description']}\n\n{text}" if closed.get("description") else text
        return closed

    def _close_any(self, inner: Any) -> Any:
        return self.close(inner) if isinstance(inner, dict) else inner


def _is_object(schema: dict[str, Any]) -> bool:
    kind = schema.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in schema
