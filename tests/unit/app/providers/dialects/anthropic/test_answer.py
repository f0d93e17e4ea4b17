"""A whole answer's facts, errors by kind, and the cost written into it, in Anthropic's words."""

import json
from decimal import Decimal

import pytest
from anthropic.types import Message
from anthropic.types.shared import ErrorResponse
from hypothesis import given, settings
from hypothesis import strategies as st

from app.providers import AnswerMalformed, Cost, FailureKind, UpstreamRefused
from app.providers.dialects.anthropic import decode_answer, decode_count, decode_error, with_cost
from app.providers.dialects.anthropic.answer import decode_usage, encode_usage
from billing import Usage
from tests.unit.app.providers.golden import golden

ANSWER = golden("answer.json", "anthropic")
ERRORS = json.loads(golden("errors.json", "anthropic"))
# The SDK knows no type for these two, and raises its class by the status.
TYPES_WITHOUT_A_CLASS = ("request_too_large", "conflict_error")


@pytest.mark.parametrize("name", ["answer.json", "answer.tools.json", "answer.refusal.json"])
def test_the_golden_answers_are_the_sdks_own(name: str) -> None:
    Message.model_validate_json(golden(name, "anthropic"), strict=True)


def test_cached_input_is_counted_within_the_input() -> None:
    answer = decode_answer(ANSWER)
    assert answer.usage == Usage(
        input_tokens=176 + 256 + 1024,
        output_tokens=30,
        cache_read_input_tokens=1024,
        cache_creation_input_tokens=256,
        reasoning_output_tokens=20,
    )
    assert (answer.finish_reason, answer.response_id) == ("stop", "msg_01")
    assert answer.model == "claude-opus-4-5-20251101"


def test_calls_of_tools_end_an_answer() -> None:
    answer = decode_answer(golden("answer.tools.json", "anthropic"))
    assert (answer.finish_reason, answer.usage) == ("tool_calls", Usage(input_tokens=60, output_tokens=40))
    assert answer.output_bytes > 0


def test_a_refusal_is_an_answer_though_it_says_nothing() -> None:
    answer = decode_answer(golden("answer.refusal.json", "anthropic"))
    assert (answer.finish_reason, answer.output_bytes) == ("content_filter", 0)


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop_sequence"),
        ("max_tokens", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("model_context_window_exceeded", "context_full"),
        ("pause_turn", "paused"),
        ("a_reason_of_tomorrow", "a_reason_of_tomorrow"),
        ("a reason\nwith prose", None),
    ],
)
def test_a_stop_reason_has_a_name_of_ours(stop_reason: str, finish_reason: str | None) -> None:
    raw = json.dumps({**json.loads(ANSWER), "stop_reason": stop_reason}).encode()
    assert decode_answer(raw).finish_reason == finish_reason


@pytest.mark.parametrize("row", ERRORS, ids=lambda row: f"{row['status']}-{row['kind']}")
def test_an_error_has_a_kind_and_keeps_no_prose(row: dict[str, object]) -> None:
    body = row["body"] if isinstance(row["body"], str) else json.dumps(row["body"])
    error = decode_error(int(str(row["status"])), body.encode())
    assert (error.kind, error.status) == (FailureKind(row["kind"]), row["status"])
    assert "SECRET-PROSE" not in repr(error) + str(error) + str(vars(error))


@pytest.mark.parametrize(
    "row", [row for row in ERRORS if isinstance(row["body"], dict) and "request_id" in row["body"]]
)
def test_the_golden_errors_are_the_sdks_own(row: dict[str, dict[str, dict[str, str]]]) -> None:
    if row["body"]["error"]["type"] not in TYPES_WITHOUT_A_CLASS:
        ErrorResponse.model_validate(row["body"], strict=True)


@pytest.mark.parametrize("word", ["billing_error", "credit balance", "authentication_error", "overloaded_error"])
@pytest.mark.parametrize(
    "message",
    [
        "messages.0.content.0: Input tag '{}' found using 'type' does not match any of the expected tags: 'text'",
        "{}: Extra inputs are not permitted",
        "Your credit balance is too low. {}: Extra inputs are not permitted",
    ],
)
def test_a_message_that_repeats_the_callers_words_blames_nothing_but_the_request(word: str, message: str) -> None:
    error = {"type": "invalid_request_error", "message": message.format(word)}
    refusal = decode_error(400, json.dumps({"type": "error", "error": error}).encode())
    assert refusal.kind is FailureKind.INVALID


def test_an_error_names_its_code_and_the_field_at_fault() -> None:
    def refusal(**error: object) -> UpstreamRefused:
        return decode_error(400, json.dumps({"type": "error", "error": error}).encode())

    field = refusal(type="invalid_request_error", message="messages.0.content: Field required")
    assert (field.code, field.param) == ("invalid_request_error", "messages.0.content")
    coded = refusal(type="rate_limit_error", message="No!", details={"error_code": "ramp_limit_exceeded"})
    assert (coded.code, coded.param) == ("ramp_limit_exceeded", None)
    prose = refusal(type="my secret prompt", message="My secret: prompt")
    assert (prose.code, prose.param) == (None, None)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"{}", b'{"content": null}', b'{"content": "x"}', b"\xff", b"null"])
def test_what_is_no_message_is_malformed(raw: bytes) -> None:
    with pytest.raises(AnswerMalformed):
        decode_answer(raw)


def test_an_error_inside_a_200_is_a_refusal() -> None:
    with pytest.raises(UpstreamRefused) as caught:
        decode_answer(b'{"type": "error", "error": {"type": "overloaded_error", "message": "x"}}')
    assert caught.value.kind is FailureKind.OVERLOADED


@pytest.mark.parametrize(
    "usage",
    [
        b"null",
        b"{}",
        b'"x"',
        b'{"\xff": 1}',
        b'{"input_tokens": 5}',
        b'{"output_tokens": 5}',
        b'{"input_tokens": -1, "output_tokens": 1}',
        b'{"input_tokens": 1, "output_tokens": 99999999999999}',
        b'{"input_tokens": 1, "output_tokens": 1, "cache_read_input_tokens": -1}',
        b'{"input_tokens": 1, "output_tokens": 1, "cache_creation_input_tokens": 999999999999}',
        b'{"input_tokens": 1.5, "output_tokens": 1}',
        b'{"input_tokens": "1", "output_tokens": 1}',
    ],
)
def test_usage_that_makes_no_sense_is_unknown_and_not_zero(usage: bytes) -> None:
    assert decode_usage(usage) is None


COUNT = st.integers(0, 10**6)


@settings(deadline=None)
@given(plain=COUNT, output=COUNT, read=COUNT | st.none(), written=COUNT | st.none(), thinking=st.integers(-5, 10**6))
def test_parts_never_exceed_their_parent_and_come_back_as_they_were(
    plain: int, output: int, read: int | None, written: int | None, thinking: int
) -> None:
    counts = {
        "input_tokens": plain,
        "output_tokens": output,
        "cache_read_input_tokens": read,
        "cache_creation_input_tokens": written,
    }
    usage = decode_usage(json.dumps({**counts, "output_tokens_details": {"thinking_tokens": thinking}}).encode())
    assert usage is not None
    assert usage.input_tokens == plain + (read or 0) + (written or 0)
    assert usage.reasoning_output_tokens <= usage.output_tokens
    again = {name: int(bytes(raw)) for name, raw in encode_usage(usage).items() if name in counts}
    assert again == {name: count or 0 for name, count in counts.items()}


def test_the_cost_is_added_and_nothing_else_is_changed() -> None:
    usage = decode_answer(ANSWER).usage
    assert usage is not None
    raw = with_cost(ANSWER, usage, Cost(billed_nano_usd=1_234, saved_nano_usd=-5))
    Message.model_validate_json(raw)
    after = json.loads(raw, parse_float=Decimal)
    assert after["usage"].pop("cost") == Decimal("0.000001234")
    assert after["usage"].pop("saved") == Decimal("-0.000000005")
    assert after == json.loads(ANSWER)


def test_an_unknown_amount_is_left_out() -> None:
    assert not {"cost", "saved"} & set(json.loads(with_cost(ANSWER, Usage(), Cost()))["usage"])


@pytest.mark.parametrize("usage", [b"null", b'"n/a"', b"[1]", b"7", b'{"\xff":1}'])
def test_usage_that_is_no_object_gives_way_to_our_count(usage: bytes) -> None:
    raw = with_cost(
        b'{"usage": ' + usage + b"}",
        Usage(input_tokens=9, output_tokens=4, cache_read_input_tokens=5, cache_creation_input_tokens=1),
        Cost(billed_nano_usd=0),
    )
    assert json.loads(raw)["usage"] == {
        "input_tokens": 3,
        "cache_read_input_tokens": 5,
        "cache_creation_input_tokens": 1,
        "output_tokens": 4,
        "cost": 0,
    }


@pytest.mark.parametrize("raw", [b'{"\xff": 1}', b"[", b""])
def test_an_answer_that_cannot_be_written_into_passes_as_it_came(raw: bytes) -> None:
    assert with_cost(raw, Usage(), Cost(billed_nano_usd=0)) == raw


def test_a_count_of_tokens_is_read() -> None:
    assert decode_count(b'{"input_tokens": 14, "context_management": null}') == 14


@pytest.mark.parametrize(
    "raw", [b"", b"{}", b'{"input_tokens": -1}', b'{"input_tokens": "9"}', b'{"input_tokens": 1e99}']
)
def test_a_count_that_makes_no_sense_is_malformed(raw: bytes) -> None:
    with pytest.raises(AnswerMalformed):
        decode_count(raw)
