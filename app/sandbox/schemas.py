"""Makes a value that validates against a simple JSON schema: tool arguments and structured answers.

Pure and deterministic: the same schema and seed give the same value. Understands type, enum, const,
properties, items, anyOf/oneOf/allOf, `$ref` into `$defs`, the numeric and length limits and a few formats.
"""

import math
import random
from typing import Any, Final

DEPTH_MAX: Final = 12
_FORMATS: Final = {
    "date": "2026-01-15",
    "date-time": "2026-01-15T12:00:00Z",
    "time": "12:00:00Z",
    "email": "someone@example.com",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
}
_NUMBER_LIMITS: Final = ("minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf")

Schema = dict[str, Any]


def instance_of(schema: Schema, *, seed: str, words: list[str]) -> Any:
    """Make a value of a schema; strings are taken from `words` where nothing narrows them."""
    return _Maker(schema, random.Random(seed), words or ["simulated"]).make(schema, 0)  # noqa: S311 - repeatable


class _Maker:
    def __init__(self, root: Schema, dice: random.Random, words: list[str]) -> None:
        self._root = root
        self._dice = dice
        self._words = words

    def make(self, schema: Any, depth: int) -> Any:
        if not isinstance(schema, dict) or depth > DEPTH_MAX:
            return None
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._dice.choice(schema["enum"])
        for word in ("anyOf", "oneOf"):
            if schema.get(word):
                # Deep down the shortest way out is `null`, which ends recursive schemas.
                options = schema[word]
                is_late = depth > DEPTH_MAX // 2
                chosen = next((option for option in options if is_late and option.get("type") == "null"), options[0])
                return self.make(chosen, depth + 1)
        return self._make_typed(schema, depth)

    def _make_typed(self, schema: Schema, depth: int) -> Any:
        kind = schema.get("type", "object" if "properties" in schema else "string")
        if isinstance(kind, list):
            kind = next((name for name in kind if name != "null"), "null")
        match kind:
            case "object":
                return {name: self.make(part, depth + 1) for name, part in self._properties(schema, depth)}
            case "array":
                size = schema.get("minItems", 0 if depth > DEPTH_MAX // 2 else min(1, schema.get("maxItems", 1)))
                return [self.make(schema.get("items", {}), depth + 1) for _ in range(size)]
            case "integer" | "number":
                return self._number(schema, is_integer=kind == "integer")
            case "boolean":
                return self._dice.random() < 0.5
            case "null":
                return None
            case _:
                return self._text(schema)

    def _properties(self, schema: Schema, depth: int) -> list[tuple[str, Any]]:
        required = schema.get("required", [])
        # Optional parts are left out deep down, so that recursive schemas end.
        return [
            (name, part)
            for name, part in schema.get("properties", {}).items()
            if name in required or depth <= DEPTH_MAX // 2
        ]

    def _number(self, schema: Schema, *, is_integer: bool) -> int | float:
        limits = {name: float(value) for name, value in schema.items() if name in _NUMBER_LIMITS}
        low = max(limits.get("minimum", -math.inf), limits.get("exclusiveMinimum", -math.inf))
        high = min(limits.get("maximum", math.inf), limits.get("exclusiveMaximum", math.inf))
        low = low if low > -math.inf else min(0.0, high - 1)
        high = high if high < math.inf else max(low, 0.0) + 10
        step = limits.get("multipleOf") or (1.0 if is_integer else 0.0)
        middle = (low + high) / 2
        number = math.floor(middle / step) * step if step else middle
        if step and (number < low or number == limits.get("exclusiveMinimum")):
            number += step
        return int(number) if is_integer else number

    def _text(self, schema: Schema) -> str:
        text = _FORMATS.get(schema.get("format", "")) or self._dice.choice(self._words)
        least, most = schema.get("minLength", 0), schema.get("maxLength")
        if len(text) < least:
            text = (text + " simulated" * least)[:least]
        return text if most is None else text[:most]

    def _resolved(self, schema: Schema) -> Schema:
        for _ in range(DEPTH_MAX):
            if "$ref" not in schema:
                break
            found: Any = self._root
            for step in str(schema["$ref"]).removeprefix("#").strip("/").split("/"):
                found = found.get(step, {}) if isinstance(found, dict) and step else found
            schema = {**found, **{name: value for name, value in schema.items() if name != "$ref"}}
        merged: Schema = {}
        for part in schema.get("allOf", []):
            resolved = self._resolved(part) if isinstance(part, dict) else {}
            merged = {
                **merged,
                **resolved,
                "properties": {**merged.get("properties", {}), **resolved.get("properties", {})},
            }
        return {**merged, **schema} if merged else schema
