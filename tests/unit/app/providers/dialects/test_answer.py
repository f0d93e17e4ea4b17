"""A whole answer's facts, errors by kind, and the cost written into it."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.providers import AnswerMalformed, Cost, FailureKind, UpstreamRefused, usd
from app.providers.dialects.openai import decode_answer, decode_error, with_cost
from app.providers.dialects.openai.answer import decode_usage
from billing import Usage
from tests.unit.app.providers.golden import golden


def test_a_whole_answer_tells_usage_with_parts_inside_their_parent() -> None:
    answer = decode_answer(golden("answer.json"))
    assert answer.usage == Usage(
        input_tokens=1200, output_tokens=30, cache_read_input_tokens=1024, reasoning_output_tokens=20
    )
    assert (answer.finish_reason, answer.response_id) == ("stop", "chatcmpl-abc")
    assert answer.model == "gpt-4o-2024-08-06"


def test_tool_calls_end_an_answer() -> None:
    answer = decode_answer(golden("answer.tools.json"))
    assert (answer.finish_reason, answer.usage) == ("tool_calls", Usage(input_tokens=60, output_tokens=40))
    assert answer.output_bytes > 0


def test_reasoning_counted_beside_the_completion_is_billed_as_output() -> None:
    usage = decode_answer(golden("answer.xai.json")).usage
    assert usage == Usage(input_tokens=12, output_tokens=201, reasoning_output_tokens=200)


def test_cached_tokens_are_found_where_deepseek_puts_them() -> None:
    usage = decode_answer(golden("answer.deepseek.json")).usage
    assert usage == Usage(input_tokens=200, output_tokens=2, cache_read_input_tokens=128)


@pytest.mark.parametrize("row", json.loads(golden("errors.json")), ids=lambda row: f"{row['status']}-{row['kind']}")
def test_an_error_has_a_kind_and_keeps_no_prose(row: dict[str, object]) -> None:
    body = row["body"] if isinstance(row["body"], str) else json.dumps(row["body"])
    error = decode_error(int(str(row["status"])), body.encode())
    assert (error.kind, error.status) == (FailureKind(row["kind"]), row["status"])
    assert "SECRET-PROSE" not in repr(error) + str(error) + str(vars(error))


@pytest.mark.parametrize("word", ["insufficient_quota", "invalid_api_key", "rate_limit", "overloaded"])
@pytest.mark.parametrize("status", [400, 422])
def test_a_message_that_repeats_the_callers_words_blames_nothing_but_the_request(word: str, status: int) -> None:
    error = {"message": f"Invalid value: '{word}'.", "type": "invalid_request_error", "code": "invalid_value"}
    assert decode_error(status, json.dumps({"error": error}).encode()).kind is FailureKind.INVALID


def test_a_code_with_prose_in_it_is_not_kept() -> None:
    error = decode_error(400, b'{"error": {"code": "sk-123 is not a key", "param": "my secret prompt"}}')
    assert (error.code, error.param) == (None, None)


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"{}", b'{"choices": []}', b'{"choices": 3}', b"\xff", b"null"])
def test_what_is_no_completion_is_malformed(raw: bytes) -> None:
    with pytest.raises(AnswerMalformed):
        decode_answer(raw)


def test_an_error_inside_a_200_is_a_refusal() -> None:
    with pytest.raises(UpstreamRefused) as caught:
        decode_answer(b'{"error": {"message": "x", "code": "rate_limit_exceeded"}}')
    assert caught.value.kind is FailureKind.RATE_LIMITED


@pytest.mark.parametrize(
    "usage",
    [
        b"null",
        b"{}",
        b'"x"',
        b'{"prompt_tokens": -1, "completion_tokens": 1}',
        b'{"prompt_tokens": 1, "completion_tokens": 99999999999999}',
        b'{"prompt_tokens": 1.5}',
        b'{"prompt_tokens": "1"}',
    ],
)
def test_usage_that_makes_no_sense_is_unknown_and_not_zero(usage: bytes) -> None:
    assert decode_usage(usage) is None


COUNT = st.integers(0, 10**6) | st.none()


@settings(deadline=None)
@given(
    prompt=st.integers(0, 10**6), completion=COUNT, total=COUNT, cached=COUNT, written=COUNT, reasoning=COUNT, hit=COUNT
)
def test_parts_never_exceed_their_parent(
    prompt: int,
    completion: int | None,
    total: int | None,
    cached: int | None,
    written: int | None,
    reasoning: int | None,
    hit: int | None,
) -> None:
    raw = json.dumps(
        {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": total,
            "prompt_tokens_details": {"cached_tokens": cached, "cache_write_tokens": written},
            "completion_tokens_details": {"reasoning_tokens": reasoning},
            "prompt_cache_hit_tokens": hit,
        }
    ).encode()
    usage = decode_usage(raw)
    assert usage is not None
    assert usage.cache_read_input_tokens + usage.cache_creation_input_tokens <= usage.input_tokens
    assert usage.reasoning_output_tokens <= usage.output_tokens


def test_the_cost_is_added_and_nothing_else_is_changed() -> None:
    before = json.loads(golden("answer.json"))
    usage = decode_answer(golden("answer.json")).usage
    assert usage is not None
    raw = with_cost(golden("answer.json"), usage, Cost(billed_nano_usd=1_234, saved_nano_usd=-5))
    after = json.loads(raw, parse_float=Decimal)
    assert after["usage"].pop("cost") == Decimal("0.000001234")
    assert after["usage"].pop("saved") == Decimal("-0.000000005")
    assert after == before


def test_an_unknown_amount_is_left_out() -> None:
    raw = with_cost(golden("answer.json"), Usage(), Cost())
    assert not {"cost", "saved"} & set(json.loads(raw)["usage"])


def test_an_answer_without_usage_gets_our_count() -> None:
    raw = with_cost(b'{"choices": []}', Usage(input_tokens=3, output_tokens=4), Cost(billed_nano_usd=0))
    assert json.loads(raw)["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7, "cost": 0}


@pytest.mark.parametrize("usage", [b'"n/a"', b"[1]", b"7", b"true", b'{"\xff":1}'])
def test_usage_that_is_no_object_gives_way_to_our_count(usage: bytes) -> None:
    raw = with_cost(b'{"usage": ' + usage + b"}", Usage(input_tokens=3), Cost(billed_nano_usd=0))
    assert json.loads(raw)["usage"] == {"prompt_tokens": 3, "completion_tokens": 0, "total_tokens": 3, "cost": 0}


def test_an_answer_that_cannot_be_written_into_passes_as_it_came() -> None:
    raw = b'{"\xff": 1, "choices": [{"message": {}}]}'
    decode_answer(raw)
    assert with_cost(raw, Usage(), Cost(billed_nano_usd=0)) == raw


def test_what_the_vendor_charges_is_not_what_the_caller_is_billed() -> None:
    raw = with_cost(b'{"usage": {"prompt_tokens": 1, "cost": 9.5}}', Usage(), Cost())
    assert "cost" not in json.loads(raw)["usage"]


@settings(deadline=None)
@given(st.integers(-(10**18), 10**18))
def test_dollars_are_exact(nano_usd: int) -> None:
    assert Decimal(usd(nano_usd).decode()) == Decimal(nano_usd) / 10**9
