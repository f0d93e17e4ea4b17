"""Requests in Anthropic's words, for the tests of its dialect."""

import json

USER = {"role": "user", "content": "Hello"}


def request_bytes(*, is_ascii: bool = True, **fields: object) -> bytes:
    """A request; None leaves a field out."""
    given = {"model": "auto", "max_tokens": 4_096, "messages": [USER], **fields}
    present = {name: value for name, value in given.items() if value is not None}
    return json.dumps(present, ensure_ascii=is_ascii).encode()


def said(*blocks: object, role: str = "user") -> list[dict[str, object]]:
    """The messages of a request that says these blocks."""
    return [{"role": role, "content": list(blocks)}]
