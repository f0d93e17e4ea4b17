"""A request in Anthropic's words is checked with the field's name, and encoded with nothing else touched."""

import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.providers import BodyInvalid, decode_messages, read_facts, vendor_of
from app.providers.dialects.anthropic import encode_request
from tests.unit.app.providers.dialects.anthropic.builders import USER, request_bytes, said
from tests.unit.app.providers.golden import golden

REQUEST = golden("request.json", "anthropic")
ANTHROPIC = vendor_of("anthropic")


def test_a_request_is_encoded_as_its_golden_file() -> None:
    body = decode_messages(REQUEST)
    encoded = encode_request(body, model="claude-opus-4-5", output_tokens_limit=2048, vendor=ANTHROPIC)
    assert encoded.body == golden("request.sent.json", "anthropic").strip()
    assert encoded.dropped == ()


def test_a_body_tells_what_the_surface_needs() -> None:
    body = decode_messages(REQUEST)
    assert (body.dialect, body.model, body.is_streamed, body.wants_usage, body.choices) == (
        "anthropic", "auto", True, True, 1,
    )  # fmt: skip
    assert (body.output_tokens_wanted, body.has_tools, body.wants_json_schema) == (4_096, True, True)
    assert (body.end_user, dict(body.metadata)) == ("u-1", {})
    assert body.messages[-1].text() == "And tomorrow?"


def test_headers_of_the_caller_go_to_the_vendor() -> None:
    body = decode_messages(request_bytes(), betas=("interleaved-thinking-2025-05-14", "x-1"), version="2026-10-21")
    encoded = encode_request(body, model="m", output_tokens_limit=None, vendor=ANTHROPIC)
    assert dict(encoded.headers) == {
        "anthropic-version": "2026-10-21",
        "anthropic-beta": "interleaved-thinking-2025-05-14,x-1",
    }
    plain = encode_request(decode_messages(request_bytes()), model="m", output_tokens_limit=None, vendor=ANTHROPIC)
    assert plain.headers == (("anthropic-version", "2023-06-01"),)


@pytest.mark.parametrize(
    ("raw", "param", "words"),
    [
        (b"", None, "it is empty"),
        (b"{", None, "not valid JSON"),
        (b'{"model": "\xff"}', None, "not UTF-8"),
        (b"[]", None, "must be a JSON object"),
        (b'{"x": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", None, "too deeply"),
        (request_bytes(model=None), "model", "must give a model"),
        (request_bytes(model="  "), "model", "must give a model"),
        (request_bytes(model=3), "model", "Expected `str"),
        (request_bytes(messages=None), "messages", "at least one message"),
        (request_bytes(messages=[]), "messages", "at least one message"),
        (request_bytes(messages="hi"), "messages", "Expected `array"),
        (request_bytes(messages=[{"content": "x"}]), "messages.0", "role"),
        (request_bytes(messages=[USER, {"role": "robot", "content": "x"}]), "messages.1.role", "unknown role"),
        (request_bytes(messages=[{"role": "user"}]), "messages.0", "content"),
        (request_bytes(messages=[{"role": "user", "content": None}]), "messages.0.content", "Expected"),
        (request_bytes(messages=[{"role": "user", "content": 5}]), "messages.0.content", "Expected"),
        (request_bytes(messages=said({"text": "x"})), "messages.0.content.0.type", "field required"),
        (request_bytes(messages=said({"type": "text"})), "messages.0.content.0.text", "needs 'text'"),
        (request_bytes(messages=said({"type": "text", "text": 1})), "messages.0.content.0.text", "Expected `str"),
        (request_bytes(messages=said({"type": "image"})), "messages.0.content.0.source", "needs 'source'"),
        (request_bytes(messages=said({"type": "document"})), "messages.0.content.0.source", "needs 'source'"),
        (request_bytes(system=[{"type": "text"}]), "system.0.text", "needs 'text'"),
        (request_bytes(system=7), "system", "Expected"),
        (request_bytes(max_tokens=None), "max_tokens", "field required"),
        (request_bytes(max_tokens=-1), "max_tokens", "between 0"),
        (request_bytes(max_tokens=10**60), "max_tokens", "between 0"),
        (request_bytes(max_tokens="10"), "max_tokens", "Expected `int"),
        (request_bytes(max_tokens=True), "max_tokens", "Expected `int"),
        (request_bytes(stream="yes"), "stream", "Expected `bool"),
        (request_bytes(tools={}), "tools", "Expected `array"),
        (request_bytes(metadata={"user_id": 3}), "metadata.user_id", "Expected `str"),
        (request_bytes(thinking={"type": "enabled"}), "thinking.budget_tokens", "at least 1024"),
        (request_bytes(thinking={"type": "enabled", "budget_tokens": 1_023}), "thinking.budget_tokens", "at least"),
        (request_bytes(thinking={"type": "enabled", "budget_tokens": 4_096}), "thinking.budget_tokens", "less than"),
    ],
)  # fmt: skip
def test_a_wrong_body_is_refused_with_the_field_at_fault(raw: bytes, param: str | None, words: str) -> None:
    with pytest.raises(BodyInvalid, match=words) as caught:
        decode_messages(raw)
    assert caught.value.param == param


def test_blocks_within_blocks_are_read_to_a_depth_and_no_further() -> None:
    def nested(depth: int) -> bytes:
        block = b'{"type":"tool_result","content":[' * depth + b"]}" * depth
        return b'{"model":"m","max_tokens":5,"messages":[{"role":"user","content":[%s]}]}' % block

    assert read_facts(decode_messages(nested(50))).input_tokens_bound > 0
    with pytest.raises(BodyInvalid, match="too deeply"):
        decode_messages(nested(50_000))


@pytest.mark.parametrize(
    "thinking",
    [None, {"type": "adaptive"}, {"type": "disabled"}, {"type": "enabled", "budget_tokens": 4_095}],
)
def test_thinking_within_the_limit_is_taken(thinking: object) -> None:
    assert decode_messages(request_bytes(thinking=thinking)).output_tokens_wanted == 4_096


def test_interleaved_thinking_may_outlast_one_answer() -> None:
    raw = request_bytes(thinking={"type": "enabled", "budget_tokens": 9_000})
    assert decode_messages(raw, betas=("interleaved-thinking-2025-05-14",)).output_tokens_wanted == 4_096


def test_a_limit_of_nothing_fills_the_cache() -> None:
    assert decode_messages(request_bytes(max_tokens=0)).output_tokens_wanted == 0


def test_a_count_needs_no_limit_and_is_never_streamed() -> None:
    body = decode_messages(request_bytes(max_tokens=None, stream=True), is_count=True)
    assert (body.output_tokens_wanted, body.is_streamed) == (None, False)


def test_a_count_is_free_and_so_may_hold_what_cannot_be_metered() -> None:
    tools = [{"type": "web_search_20250305", "name": "web_search"}]
    assert decode_messages(request_bytes(max_tokens=None, tools=tools), is_count=True).has_tools


@pytest.mark.parametrize("version", ["", "2023", "2023-06-01\r\nx: y", "latest", "2023-06-0١"])
def test_a_version_is_a_date(version: str) -> None:
    with pytest.raises(BodyInvalid) as caught:
        decode_messages(request_bytes(), version=version)
    assert caught.value.param == "anthropic-version"


@pytest.mark.parametrize("betas", [("a b",), ("x\r\ny",), ("",), ("a" * 65,), ("a",) * 65])
def test_betas_are_names(betas: tuple[str, ...]) -> None:
    with pytest.raises(BodyInvalid) as caught:
        decode_messages(request_bytes(), betas=betas)
    assert caught.value.param == "anthropic-beta"


@pytest.mark.parametrize("field", [b'"\xff":1', b'"\\ud800":1'])
def test_a_name_that_cannot_be_sent_on_is_refused_before_any_attempt(field: bytes) -> None:
    with pytest.raises(BodyInvalid, match="not valid JSON"):
        decode_messages(b'{"model":"auto","max_tokens":5,"messages":[{"role":"user","content":"x"}],' + field + b"}")


def test_a_message_never_repeats_what_the_caller_wrote() -> None:
    secret = "my secret prompt"
    for raw in (
        request_bytes(messages=[{"role": secret, "content": secret}]),
        request_bytes(messages=said({"type": secret, "cache_control": {"ttl": secret}})),
        request_bytes(messages=[{"role": 1, secret: 1}]),
        request_bytes(tools=[{"type": secret}]),
        request_bytes(thinking={"type": "enabled", "budget_tokens": secret}),
    ):
        with pytest.raises(BodyInvalid) as caught:
            decode_messages(raw)
        assert secret not in str(caught.value)


def test_without_an_enforced_limit_the_callers_own_is_sent() -> None:
    sent = encode_request(decode_messages(request_bytes()), model="m", output_tokens_limit=None, vendor=ANTHROPIC).body
    assert json.loads(sent)["max_tokens"] == 4_096


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(st.dictionaries(st.text(max_size=8).map("x_".__add__), JSON, max_size=4))
def test_fields_that_we_do_not_know_go_through_unchanged(extra: dict[str, object]) -> None:
    raw = request_bytes(**{name: value for name, value in extra.items() if value is not None})
    sent = encode_request(decode_messages(raw), model="auto", output_tokens_limit=None, vendor=ANTHROPIC).body
    assert json.loads(sent) == json.loads(raw)


@settings(deadline=None)
@given(JSON, JSON, JSON)
def test_no_body_makes_the_checks_fall(messages: object, tools: object, system: object) -> None:
    with contextlib.suppress(BodyInvalid):
        read_facts(decode_messages(request_bytes(messages=messages, tools=tools, system=system)))
