"""A signature fits the text it was made for, and no other."""

from hypothesis import given
from hypothesis import strategies as st

from app.sandbox.signatures import is_signed, sign


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=8))
def test_a_signature_fits_its_own_text_alone(text: str, other: str, seed: str) -> None:
    signature = sign(text, seed=seed)
    assert is_signed(text, signature)
    assert is_signed(other, signature) is (text == other)


@given(st.text(max_size=60))
def test_what_was_never_signed_is_not_taken(signature: str) -> None:
    assert not is_signed("thought", signature)


def test_two_calls_sign_the_same_text_differently() -> None:
    assert sign("", seed="one") != sign("", seed="other")
