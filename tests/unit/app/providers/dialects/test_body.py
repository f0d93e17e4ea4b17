"""A chat body is checked with the field's name, and encoded with nothing else touched."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.providers import BodyInvalid, decode_chat, vendor_of
from app.providers.dialects.openai import encode_request
from tests.unit.app.providers.golden import golden

USER = {"role": "user", "content": "Hello"}


def body_bytes(**fields: object) -> bytes:
    return json.dumps({"model": "auto", "messages": [USER], **fields}).encode()


@pytest.mark.parametrize(
    ("vendor", "model", "limit"), [("groq", "llama-3.3-70b-versatile", None), ("mistral", "mistral-small-latest", 20)]
)
def test_a_request_is_encoded_as_its_golden_file(vendor: str, model: str, limit: int | None) -> None:
    body = decode_chat(golden("request.json"))
    encoded = encode_request(body, model=model, output_tokens_limit=limit, vendor=vendor_of(vendor)).body
    assert encoded == golden(f"request.{vendor}.json").strip()


def test_a_body_tells_what_the_surface_needs() -> None:
    body = decode_chat(golden("request.json"))
    assert (body.model, body.is_streamed, body.wants_usage, body.choices) == ("auto", True, False, 1)
    assert (body.output_tokens_wanted, body.has_tools, body.wants_json_schema) == (64, True, True)
    assert (body.end_user, body.metadata) == ("u-1", {"team": "search"})


@pytest.mark.parametrize(
    ("raw", "param", "words"),
    [
        (b"", None, "it is empty"),
        (b"{", None, "not valid JSON"),
        (b"\xff", None, "not valid JSON"),
        (b'{"model": "\xff"}', None, "not UTF-8"),
        (b"[]", None, "must be a JSON object"),
        (b'"text"', None, "must be a JSON object"),
        (b'{"x": ' + b"[" * 20_000 + b"]" * 20_000 + b"}", None, "too deeply"),
        (b'{"messages": [{"role": "user", "content": "x"}]}', "model", "must give a model"),
        (body_bytes(model=""), "model", "must give a model"),
        (body_bytes(model=3), "model", "Expected `str"),
        (b'{"model": "auto"}', "messages", "at least one message"),
        (body_bytes(messages=[]), "messages", "at least one message"),
        (body_bytes(messages="hi"), "messages", "Expected `array"),
        (body_bytes(messages=[{"content": "x"}]), "messages[0]", "role"),
        (body_bytes(messages=[USER, {"role": "robot", "content": "x"}]), "messages[1].role", "Unknown role"),
        (body_bytes(messages=[{"role": "user"}]), "messages[0].content", "needs content"),
        (body_bytes(messages=[{"role": "user", "content": 5}]), "messages[0].content", "Expected"),
        (
            body_bytes(messages=[{"role": "user", "content": [{"type": "text"}]}]),
            "messages[0].content[0].text",
            "needs",
        ),
        (
            body_bytes(messages=[{"role": "user", "content": [{"type": "image_url"}]}]),
            "messages[0].content[0].image_url",
            "needs",
        ),
        (body_bytes(n=0), "n", "between 1 and 128"),
        (body_bytes(n=129), "n", "between 1 and 128"),
        (body_bytes(n=10**60), "n", "between 1 and 128"),
        (body_bytes(max_tokens=0), "max_tokens", "between 1"),
        (body_bytes(max_tokens=-5), "max_tokens", "between 1"),
        (body_bytes(max_tokens="10"), "max_tokens", "Expected `int"),
        (body_bytes(max_tokens=True), "max_tokens", "Expected `int"),
        (body_bytes(max_completion_tokens=10**9), "max_completion_tokens", "between 1"),
        (body_bytes(stream="yes"), "stream", "Expected `bool"),
        (body_bytes(stream_options={"include_usage": True}), "stream_options", "only allowed when"),
        (body_bytes(tools={}), "tools", "Expected `array"),
        (body_bytes(metadata={"a": 1}), "metadata[...]", "Expected `str"),
        (body_bytes(metadata={str(number): "x" for number in range(17)}), "metadata", "at most 16"),
        (body_bytes(service_tier="priority"), "service_tier", "changes the price"),
        (body_bytes(web_search_options={}), "web_search_options", "changes the price"),
        (body_bytes(search_parameters={"mode": "on"}), "search_parameters", "changes the price"),
        (body_bytes(plugins=[{"id": "web"}]), "plugins", "changes the price"),
        (body_bytes(provider={"sort": "throughput"}), "provider", "changes the price"),
        (body_bytes(enable_search=True), "enable_search", "changes the price"),
        (body_bytes(best_of=20), "best_of", "changes the price"),
        (body_bytes(models=["openai/o1-pro"]), "models", "changes the price"),
        (body_bytes(tools=[{"type": "function"}, {"type": "web_search"}]), "tools[1].type", "cannot be metered"),
        (
            b'{"model":"auto","messages":[{"role":"user","content":"x"}],"service_tier":' + b"9" * 5_000 + b"}",
            "service_tier",
            "changes the price",
        ),
        (body_bytes(service_tier=["auto"]), "service_tier", "changes the price"),
        (body_bytes(modalities=["audio"], audio={"voice": "ash"}), "audio", "changes the price"),
        (
            body_bytes(
                messages=[{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AA"}}]}]
            ),
            "messages[0].content[0]",
            "send a transcript",
        ),
        (
            body_bytes(messages=[{"role": "assistant", "audio": {"id": "audio_1"}}, {"role": "user", "content": "x"}]),
            "messages[0].audio",
            "send its transcript",
        ),
    ],
)
def test_a_wrong_body_is_refused_with_the_field_at_fault(raw: bytes, param: str | None, words: str) -> None:
    with pytest.raises(BodyInvalid, match=words.replace("[", r"\[")) as caught:
        decode_chat(raw)
    assert caught.value.param == param


def test_a_price_changing_field_cannot_hide_behind_an_escape() -> None:
    raw = b'{"model":"auto","messages":[{"role":"user","content":"x"}],"service\\u005ftier":"pri\\u006frity"}'
    with pytest.raises(BodyInvalid, match="service_tier"):
        decode_chat(raw)


@pytest.mark.parametrize(
    "field",
    [
        b'"\xff":1',
        b'"\\ud800":1',
        b'"stream":true,"stream_options":{"\xff":1}',
        b'"stream":true,"stream_options":{"\\ud800":1}',
    ],
)
def test_a_name_that_cannot_be_sent_on_is_refused_before_any_attempt(field: bytes) -> None:
    with pytest.raises(BodyInvalid, match="not valid JSON"):
        decode_chat(b'{"model":"auto","messages":[{"role":"user","content":"x"}],' + field + b"}")


@pytest.mark.parametrize("tier", ["auto", "default", "flex", None])
def test_a_service_tier_that_costs_no_more_is_taken(tier: str | None) -> None:
    assert decode_chat(body_bytes(service_tier=tier)).model == "auto"


def test_a_message_never_repeats_what_the_caller_wrote() -> None:
    secret = "my secret prompt"
    for raw in (
        body_bytes(messages=[{"role": secret, "content": secret}]),
        body_bytes(messages=[{"role": 1, secret: 1}]),
    ):
        with pytest.raises(BodyInvalid) as caught:
            decode_chat(raw)
        assert secret not in str(caught.value)


def test_the_larger_of_two_limits_is_wanted() -> None:
    assert decode_chat(body_bytes(max_tokens=10, max_completion_tokens=90)).output_tokens_wanted == 90


def test_an_enforced_limit_replaces_both_of_the_callers() -> None:
    body = decode_chat(body_bytes(max_tokens=10, max_completion_tokens=90))
    sent = json.loads(encode_request(body, model="m", output_tokens_limit=7, vendor=vendor_of("openai")).body)
    assert (sent.get("max_tokens"), sent["max_completion_tokens"]) == (None, 7)


def test_a_limit_is_sent_in_the_field_that_the_vendor_heeds() -> None:
    body = decode_chat(body_bytes(max_completion_tokens=90))
    sent = json.loads(encode_request(body, model="m", output_tokens_limit=None, vendor=vendor_of("together")).body)
    assert (sent["max_tokens"], sent.get("max_completion_tokens")) == (90, None)


def test_without_any_limit_none_is_sent() -> None:
    sent = encode_request(
        decode_chat(body_bytes()), model="m", output_tokens_limit=None, vendor=vendor_of("openai")
    ).body
    assert b"max_" not in sent


def test_usage_is_asked_for_in_streams_even_when_the_caller_said_no() -> None:
    body = decode_chat(body_bytes(stream=True, stream_options={"include_usage": False}))
    sent = json.loads(encode_request(body, model="m", output_tokens_limit=None, vendor=vendor_of("openai")).body)
    assert sent["stream_options"] == {"include_usage": True}
    assert not body.wants_usage


def test_a_null_for_stream_options_is_no_obstacle() -> None:
    body = decode_chat(body_bytes(stream=True, stream_options=None))
    sent = json.loads(encode_request(body, model="m", output_tokens_limit=None, vendor=vendor_of("openai")).body)
    assert sent["stream_options"] == {"include_usage": True}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(extra=st.dictionaries(st.sampled_from(["top_k", "logit_bias", "seed", "reasoning_effort", "x"]), JSON))
def test_fields_that_we_do_not_know_pass_unchanged(extra: dict[str, object]) -> None:
    body = decode_chat(body_bytes(**extra))
    sent = json.loads(encode_request(body, model="m", output_tokens_limit=None, vendor=vendor_of("openai")).body)
    assert {name: sent[name] for name in extra} == extra
    assert sent["messages"] == [USER]
