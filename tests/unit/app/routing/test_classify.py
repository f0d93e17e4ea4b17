"""What a request is, and who decided."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.routing import Domain, Signals, Task, classify
from app.routing.keywords import keywords_of
from app.routing.reading import read_prompt
from app.routing.taxonomy import TYPICAL_OUTPUT_TOKENS
from tests.unit.app.routing.builders import make_facts

REFUND = keywords_of({"refund": ["money back", "c++", "возврат*", "退钱"]})


def signals_of(instruction: str, **facts: Any) -> Signals:
    return classify(make_facts(instruction, **facts), keywords=REFUND)


@pytest.mark.parametrize(
    ("prompt", "task"),
    [
        ("Write a Python function that merges two sorted lists.", "code_generation"),
        ("def area(radius):\n    '''Return the area of a circle.'''", "code_generation"),
        ("Why does this fail?\nTraceback (most recent call last):\n  ...\nKeyError: 'id'", "code_debugging"),
        ("A baker sells 12 cakes a day for 5 days at $4 each. How much money does she make?", "math_reasoning"),
        ("Let $x^2 + \\frac{1}{2}x = 5$. Find the value of $x$.", "math_reasoning"),
        ("From the sales table, give the average revenue per month and the top 5 customers. Use SQL.", "data_analysis"),
        ("tl;dr please:\n\n" + "The committee met on Monday. " * 40, "summarization"),
        ("Translate to French: where is the station?", "translation"),
        ("Übersetze ins Englische: Guten Morgen", "translation"),
        ("把下面的句子翻译成英文：你好", "translation"),
        ("Extract every company name as JSON.\n\n" + "Acme bought Initech. " * 30, "extraction"),
        ("Is the sentiment of this review positive or negative? 'Loved it'", "classification"),
        ("Rephrase this so that it sounds more formal: gimme the file", "rewriting"),
        ("Write a short story about a lighthouse keeper", "creative_writing"),
        ("Come up with a catchy slogan for a new oat drink", "marketing_copy"),
        ("Draft an email to my team announcing the new policy", "professional_writing"),
        ("Brainstorm ideas for a rainy weekend", "brainstorming"),
        ("Plan a 3-day trip to Lisbon with a budget of $900", "planning"),
        ("Who painted the ceiling of the Sistine Chapel?", "open_qa"),
        ("My card was declined and I want a refund", "customer_support"),
        ("hello there, how are you?", "small_talk"),
        ("Set an alarm for 7 am", "assistant_command"),
    ],
)
def test_plain_prompts_are_told_by_their_words(prompt: str, task: str) -> None:
    assert classify(make_facts(prompt)).task.value == task


def test_metadata_goes_before_tags_and_tags_before_words() -> None:
    prompt = "Translate this"
    by_tag = signals_of(prompt, tags=("vip", "task:planning"))
    by_both = signals_of(prompt, tags=("planning",), metadata={"task": "extraction"})
    assert (by_tag.task.value, by_tag.task.decided_by, by_tag.task.confidence) == ("planning", "tag", 1.0)
    assert by_both.task.value == "extraction"
    assert signals_of(prompt, tags=("planning",)).task.value == "planning"


def test_policys_keywords_go_before_the_built_in_ones() -> None:
    task = signals_of("Translate: I want my Money  Back!").task
    assert (task.value, task.decided_by) == ("refund", "keyword")
    assert "'money back'" in task.because


@pytest.mark.parametrize("prompt", ["fix my C++ code", "хочу возврата денег", "我要退钱"])
def test_keywords_match_punctuation_endings_and_spaceless_scripts(prompt: str) -> None:
    assert signals_of(prompt).task.value == "refund"


def test_keyword_matches_whole_words_only() -> None:
    assert signals_of("the money backing the fund").task.value != "refund"


def test_tag_may_name_a_tenants_task_but_no_unknown_one() -> None:
    assert signals_of("hi", metadata={"task": "refund"}).task.value == "refund"
    unheard = signals_of("Translate this to French", metadata={"task": "wizardry"}, tags=("task:magic",)).task
    assert unheard.value == "translation"
    assert unheard.because.endswith("the metadata's task 'wizardry' is not known here")


def test_domain_comes_from_the_tag_the_task_or_words() -> None:
    assert signals_of("hi", metadata={"domain": "legal"}).domain.decided_by == "tag"
    assert signals_of("hi", tags=("legal",)).domain.value == "general"
    assert signals_of("hi", tags=("domain:legal",)).domain.value == "legal"
    assert signals_of("Write a Python function that sorts").domain.value == "software"
    assert signals_of("What symptoms does a patient with diabetes show?").domain.value == "medical"


def test_nothing_told_still_names_a_task_with_low_confidence() -> None:
    task = classify(make_facts("zxcv")).task
    assert task.value in set(Task)
    assert (task.decided_by, task.confidence < 0.5) == ("classifier", True)


def test_a_text_alone_is_told_like_a_request() -> None:
    text = "Translate to French: where is the station?"
    assert classify(text).task == classify(make_facts(text)).task
    tagged = classify(text, metadata={"task": "rewriting", "domain": "travel"})
    assert (tagged.task.value, tagged.task.decided_by) == ("rewriting", "tag")
    assert (tagged.domain.value, tagged.domain.decided_by) == ("travel", "tag")


def test_language_comes_from_the_metadata_the_script_or_words() -> None:
    assert classify("Wo ist der Bahnhof?", metadata={"language": "nl"}).language.decided_by == "tag"
    by_words = classify(
        "Wo ist der nächste Bahnhof, und wann fährt der Zug?", metadata={"language": "Klingon"}
    ).language
    assert (by_words.value, by_words.decided_by) == ("de", "classifier")
    assert classify("駅はどこですか").language.value == "ja"


def test_classifier_names_the_words_that_speak_for_its_guess() -> None:
    because = classify("Translate to French: where is the station?").task.because
    assert because == "the classifier, the word 'translat*', the word 'to french'"


def test_ends_of_a_long_prompt_decide() -> None:
    paste = "The meeting discussed many matters of little weight. " * 4_000
    assert classify(make_facts(f"{paste}\n\nSummarize the above.")).task.value == "summarization"
    assert classify(make_facts(f"Translate into German:\n{paste}")).task.value == "translation"


@given(st.text(max_size=400), st.lists(st.text(max_size=20), max_size=3), st.text(max_size=60))
def test_any_text_gives_known_values_and_repeats_none_of_it(text: str, tags: list[str], said: str) -> None:
    facts = make_facts(text, tags=tuple(tags), metadata={"task": said})
    first, second = (classify(facts, keywords=REFUND) for _ in range(2))
    assert first == second
    assert first.task.value in {*Task, "refund"}
    assert first.domain.value in set(Domain)
    assert 0 <= first.task.confidence <= 1


def test_punctuation_of_any_script_parts_words() -> None:
    assert read_prompt("“Übersetze”—ins Deutsche：好。¿Sí?").words == " übersetze ins deutsche 好 sí "


def test_text_that_has_no_utf8_is_read() -> None:
    assert read_prompt("translate \ud800 this").words == " translate this "


def test_every_task_has_a_typical_answer() -> None:
    assert set(TYPICAL_OUTPUT_TOKENS) == set(Task)


def test_where_the_model_is_named_the_rules_alone_tell_the_task() -> None:
    signals = classify("Translate this into French: good morning", decides_route=False)
    assert signals.task.value == "translation"
    assert signals.task.decided_by in ("keyword", "structure")
    nothing = classify("Hmm.", decides_route=False)
    assert (nothing.task.value, nothing.task.decided_by, nothing.domain.value) == ("open_qa", "default", "general")


def test_a_named_model_asks_for_no_more_signals_than_what_its_caller_adds() -> None:
    named = classify("My card is 4111 1111 1111 1111.", decides_route=False)
    assert (named.sensitivity, named.complexity, named.rag) == (None, None, None)
    tagged = msgspec.structs.replace(named.facts, tags=("sensitivity:minors",))
    assert {flag.value for flag in classify(tagged, decides_route=False).sensitivity or ()} >= {"minors"}
