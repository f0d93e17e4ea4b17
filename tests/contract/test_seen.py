"""The matrix's own judgement: a green cell must mean something, so each way to be wrong is told."""

import pytest

from tests.contract.seen import Expected, Seen, SeenCall, SeenError, problems

AN_ERROR = SeenError(
    class_name="RateLimitError", status=429, code="rate_limit_exceeded", message="Wait.", retry_after_s=1
)


@pytest.mark.parametrize(
    ("expected", "seen", "told"),
    [
        (Expected(text_has="Paris"), Seen(text="Rome"), "without 'Paris'"),
        (Expected(json_keys=("city",)), Seen(text="no JSON"), "no JSON object"),
        (Expected(calls=("a", "b")), Seen(calls=(SeenCall("a", '{"x":1}'),)), "called ['a']"),
        (Expected(), Seen(calls=(SeenCall("a", '{"x":'),)), "which is no JSON object"),
        (Expected(finish="stop"), Seen(finish="length"), "finished with 'length'"),
        (Expected(thinks_with="sandbox"), Seen(), "its thinking is ''"),
        (Expected(thinks_with="sandbox"), Seen(thinking="Hm."), "lost its signature"),
        (Expected(thinks_with="sandbox-anthropic"), Seen(thinking="Hm.", signatures=1), "its thinking is 'Hm.'"),
        (Expected(input_tokens_least=9), Seen(input_tokens=8), "counted 8"),
        (Expected(has_cost=True), Seen(cost=0.0), "no cost"),
        (Expected(is_in_pieces=True), Seen(pieces=1), "came in 1 pieces"),
        (Expected(lists="{provider}/m"), Seen(models=("auto",)), "without sandbox/m"),
        (Expected(text_has="Paris"), Seen(error=AN_ERROR), "raised RateLimitError"),
        (Expected(status=429), Seen(text="Paris"), "raised nothing"),
        (Expected(status=503), Seen(error=AN_ERROR), "status 429 and not 503"),
        (Expected(is_midstream=True), Seen(error=AN_ERROR), "broke before any content"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told(expected: Expected, seen: Seen, told: str) -> None:
    found = problems(expected, seen, provider="sandbox", class_names=frozenset({"RateLimitError"}))
    assert any(told in problem for problem in found), found


def test_an_error_needs_the_sdks_own_class_a_code_a_message_and_when_to_try_again() -> None:
    poor = Seen(error=SeenError(class_name="APIError", status=429))
    assert len(problems(Expected(status=429), poor, provider="sandbox", class_names=frozenset({"RateLimitError"}))) == 4


def test_what_is_right_is_right() -> None:
    names = frozenset({"RateLimitError"})
    assert not problems(Expected(status=429), Seen(error=AN_ERROR), provider="sandbox", class_names=names)
    good = Seen(text="Paris", finish="stop", calls=(SeenCall("a", '{"x": 1}'),), cost=0.1)
    assert not problems(
        Expected(text_has="Paris", finish="stop", calls=("a",), has_cost=True),
        good,
        provider="sandbox",
        class_names=names,
    )
