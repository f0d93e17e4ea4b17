"""However a caller spells its JSON, a vendor of the same dialect is sent what it says, but for model and limit."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.providers import RequestBody, decode_chat, decode_messages, interpreter_between, vendor_of
from app.providers.vendors import DialectName

DECODE: Final[Mapping[DialectName, Callable[[bytes], RequestBody]]] = {
    "openai": decode_chat,
    "anthropic": decode_messages,
}
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8) | st.sampled_from(
    ["}", '"', "\\", "\\u0041", ","]
)
MEMBERS = st.tuples(
    st.sampled_from(["model", "x", "seed", "max_tokens", "stream", "stop", "é", '"'])
    | TEXTS.map(lambda name: "own " + name),
    TEXTS,
)
SPACES = st.sampled_from(["", " ", "\n", "\t\r\n "])
# What a field must hold so that the body is taken; any other holds a text.
HELD: Final[Mapping[str, Any]] = {"max_tokens": 9, "stream": True, "model": "auto", "stop": ["a"]}


@st.composite
def spelled(draw: st.DrawFn) -> bytes:
    """A body with repeated names, escapes and blanks."""
    members = [(name, HELD.get(name, text)) for name, text in draw(st.lists(MEMBERS, max_size=6))]
    messages = ("messages", [{"role": "user", "content": draw(TEXTS)}])
    written = []
    for name, value in draw(st.permutations([*members, messages, messages, *HELD.items()])):
        key = json.dumps(name)
        if draw(st.booleans()) and name.isascii():
            key = '"' + "".join(f"\\u{ord(char):04x}" for char in name) + '"'
        blank = draw(SPACES)
        told = json.dumps(value, ensure_ascii=draw(st.booleans()), separators=(blank + ",", ":" + blank))
        written.append(f"{blank}{key}{blank}:{blank}{told}")
    return f"{draw(SPACES)}{{{','.join(written)}}}{draw(SPACES)}".encode()


@pytest.mark.parametrize("dialect", list(DECODE))
@settings(deadline=None)
@given(raw=spelled(), limit=st.none() | st.integers(1, 1_000))
def test_what_is_sent_says_the_same(dialect: DialectName, raw: bytes, limit: int | None) -> None:
    interpreter = interpreter_between(dialect, dialect)
    body = DECODE[dialect](raw)
    sent = interpreter.encode_request(body, model="m-1", output_tokens_limit=limit, vendor=vendor_of("together")).body
    expected = json.loads(raw) | {"model": "m-1", "max_tokens": limit or 9}
    if dialect == "openai":
        expected["stream_options"] = {"include_usage": True}
    assert json.loads(sent, object_pairs_hook=_once) == expected


@pytest.mark.parametrize("dialect", list(DECODE))
def test_one_body_is_sent_alike_by_each_attempt(dialect: DialectName) -> None:
    interpreter, vendor = interpreter_between(dialect, dialect), vendor_of("together")
    body = DECODE[dialect](b'{"model":"auto","max_tokens":9,"stream":true,"messages":[{"role":"user","content":"x"}]}')
    first, _, third = (
        interpreter.encode_request(body, model=model, output_tokens_limit=limit, vendor=vendor).body
        for model, limit in (("a", 1), ("b", 2), ("a", 1))
    )
    assert first == third


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object, no name of which is repeated: a vendor's parser might heed another than ours."""
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)
