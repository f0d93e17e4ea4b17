"""Patterns without backtracking, held against the standard library's engine where both know the syntax."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.evaluation.pattern import Pattern

CLASSIC = [
    "a", "abc", "a|b", "a|bc|", "(a|b)c", "(?:ab)+", "a*b", "a+b?", "[ab]c", "[^a]b", "[a-c]+$", "^ab", "a$", "^$",
    "a{2}", "a{1,3}b", "a{2,}", r"\d+", r"\D", r"\w\s\w", r"\bab\b", r"a\.b", ".", "a.c", "(a*)*b", "(a|a)*b", "[]a]",
    "[a-]b", r"[\d.]+", "((a))", "(a?){3}a{3}", "a{0,2}$",
]  # fmt: skip


@pytest.mark.parametrize("text", CLASSIC)
@given(answer=st.text(alphabet="abc .1-\n", max_size=8))
def test_it_finds_what_the_standard_library_finds(text: str, answer: str) -> None:
    assert Pattern(text).is_in(answer) is (re.search(text, answer) is not None)


@given(st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^b]", r"\d", "^", "$", r"\b"]),
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map("|".join).map("({})".format),
        inner.map("(?:{})*".format), inner.map("(?:{})?".format), inner.map("(?:{})+".format),
        inner.map("(?:{}){{0,2}}".format),
    ),
    max_leaves=8,
), st.text(alphabet="ab1 ", max_size=7))  # fmt: skip
def test_it_agrees_on_patterns_that_nobody_thought_of(text: str, answer: str) -> None:
    assert Pattern(text).is_in(answer) is (re.search(text, answer) is not None)


@pytest.mark.parametrize("text", ["(a*)*b", "(a|a)*b", "(a|aa)+$", "(a?){50}a{50}", "(.*)*x", "([a-z]+)+!"])
def test_a_pattern_that_hangs_others_ends(text: str) -> None:
    assert not Pattern(text).is_in("a" * 30 + "c" * 170)


def test_case_is_folded_when_asked() -> None:
    assert Pattern("(?i)berlin[A-C]").is_in("BERLINb")
    assert not Pattern("berlin").is_in("Berlin")


@pytest.mark.parametrize(
    "text",
    [
        "(", ")", "(a", "[a", "*", "a|*", "a{", "a{2", "a{x}", "a{3,2}", "a{101}", "(?=a)", "(?P<n>a)", "\\", r"\k",
        "[b-a]", "x" * 501, "(((a{90}){90}){90}){90}", "{2}",
    ],
)  # fmt: skip
def test_what_the_syntax_has_not_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Pattern(text)
