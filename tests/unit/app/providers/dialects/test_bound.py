"""The input bound is never less than what a tokenizer could count, whatever the text."""

import json
import sys
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.providers import decode_chat, read_facts
from app.providers.dialects.bounds import (
    CLAUDE_IMAGE_TOKENS_MAX,
    IMAGE_TOKENS_MAX,
    INSTRUCTION_HEAD_CHARS,
    INSTRUCTION_TAIL_CHARS,
    PARTED_BYTES_MAX,
    STEADY,
    nfkc_bytes_max,
)
from app.providers.dialects.openai import input_tokens_bound
from tests.unit.app.providers.hostile_texts import HOSTILE


def request(text: str, **fields: object) -> dict[str, object]:
    return {"model": "auto", "messages": [{"role": "user", "content": text}], **fields}


def largest_count(*texts: str) -> int:
    utf8 = sum(len(text.encode()) for text in texts)
    nfkc = sum(len(unicodedata.normalize("NFKC", text).encode()) for text in texts)
    return max(utf8, nfkc)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("is_ascii", [True, False])
def test_hostile_text_stays_below_the_bound(text: str, is_ascii: bool) -> None:
    body = decode_chat(json.dumps(request(text), ensure_ascii=is_ascii).encode())
    assert input_tokens_bound(body)[0] >= largest_count(text)


@settings(deadline=None)
@given(
    texts=st.lists(
        st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(HOSTILE), min_size=1, max_size=4
    ),
    is_ascii=st.booleans(),
)
def test_no_text_escapes_the_bound(texts: list[str], is_ascii: bool) -> None:
    messages = [{"role": "user", "content": text} for text in texts]
    tools = [{"type": "function", "function": {"name": "f", "description": text}} for text in texts]
    raw = json.dumps({"model": "auto", "messages": messages, "tools": tools}, ensure_ascii=is_ascii).encode()
    assert input_tokens_bound(decode_chat(raw))[0] >= 2 * largest_count(*texts)


def test_no_letter_grows_more_when_parted_from_its_marks_than_the_bound_allows() -> None:
    for code in (*range(0xD800), *range(0xE000, sys.maxunicode + 1)):
        composed, apart = (len(unicodedata.normalize(form, chr(code)).encode()) for form in ("NFKC", "NFKD"))
        # The parts of a Hangul syllable stand side by side: no mark comes between them.
        assert apart - composed <= PARTED_BYTES_MAX


def test_no_steady_letter_grows_or_is_a_mark() -> None:
    steady = STEADY.findall("".join(map(chr, (*range(0x80, 0xD800), *range(0xE000, sys.maxunicode + 1)))))
    assert sum(map(len, steady)) > 30_000
    for char in "".join(steady):
        apart = unicodedata.normalize("NFKD", char)
        assert len(unicodedata.normalize("NFKC", char).encode()) <= len(char.encode())
        assert unicodedata.combining(apart[0]) == 0


@settings(deadline=None)
@given(text=st.text(st.characters(min_codepoint=0x80)).map(lambda text: "".join(STEADY.findall(text))))
def test_steady_letters_never_grow_together(text: str) -> None:
    assert len(unicodedata.normalize("NFKC", text).encode()) <= nfkc_bytes_max(text) == len(text.encode())


@given(text=st.text(st.sampled_from("aé\u0323\u0315\u0300\u0344\u0345ᾂΐﾞが각ǆ\ufdfa"), max_size=12))
def test_marks_in_any_order_stay_below_the_bound(text: str) -> None:
    assert nfkc_bytes_max(text) >= len(unicodedata.normalize("NFKC", text).encode())


def test_a_long_run_of_marks_is_counted_without_putting_it_in_order() -> None:
    """Normalising this text takes minutes, and would hold up every other request of the process."""
    text = "a" + "\u0315\u0300" * 200_000
    assert input_tokens_bound(decode_chat(json.dumps(request(text), ensure_ascii=False).encode()))[0] >= len(
        text.encode()
    )


def test_schema_and_tools_count() -> None:
    plain, _ = input_tokens_bound(decode_chat(json.dumps(request("x")).encode()))
    schema = {"type": "json_schema", "json_schema": {"schema": {"description": "y" * 3_000}}}
    with_schema, _ = input_tokens_bound(decode_chat(json.dumps(request("x", response_format=schema)).encode()))
    assert with_schema - plain >= 3_000


def test_a_repeated_key_counts_each_time() -> None:
    once = b'{"model":"auto","messages":[{"role":"user","content":"x"}]}'
    twice = b'{"model":"auto","messages":[{"role":"user","content":"' + b"y" * 999 + b'","content":"x"}]}'
    assert input_tokens_bound(decode_chat(twice))[0] - input_tokens_bound(decode_chat(once))[0] >= 999


def parts(*content: dict[str, object]) -> bytes:
    return json.dumps({"model": "auto", "messages": [{"role": "user", "content": list(content)}]}).encode()


def image(url: str, detail: str | None = None) -> dict[str, object]:
    return {"type": "image_url", "image_url": {"url": url} | ({"detail": detail} if detail else {})}


def test_an_images_payload_counts_by_the_table_and_not_by_its_bytes() -> None:
    small = read_facts(decode_chat(parts(image("data:image/png;base64," + "A" * 100))))
    large = read_facts(decode_chat(parts(image("data:image/png;base64," + "A" * 500_000))))
    assert small.input_tokens_bound == large.input_tokens_bound < 500
    assert (large.images, large.image_tokens_bound, large.is_unbounded) == (1, IMAGE_TOKENS_MAX, False)


def test_an_image_of_low_detail_counts_less() -> None:
    high, low = image("https://x.test/a.png"), image("https://x.test/a.png", "low")
    facts = read_facts(decode_chat(parts(high, low, low)))
    assert facts.images == 3
    assert IMAGE_TOKENS_MAX < facts.image_tokens_bound < 2 * IMAGE_TOKENS_MAX


def test_a_detail_does_not_lower_the_bound_beneath_a_claude_that_is_resold_in_this_dialect() -> None:
    raw = parts(image("data:image/png;base64,AAAA", "low"))
    assert read_facts(decode_chat(raw)).image_tokens_bound >= CLAUDE_IMAGE_TOKENS_MAX


def test_an_images_bytes_are_not_taken_for_text_beside_tools() -> None:
    fields = json.loads(parts(image("data:image/png;base64," + "A" * 400_000)))
    raw = json.dumps({**fields, "tools": [{"type": "function", "function": {"name": "f"}}]}).encode()
    assert read_facts(decode_chat(raw)).input_tokens_estimate < 2_000


def test_an_image_given_as_a_bare_address_counts() -> None:
    raw = parts({"type": "image_url", "image_url": "https://x.test/a.png"})
    assert read_facts(decode_chat(raw)).image_tokens_bound >= IMAGE_TOKENS_MAX


def test_text_that_only_looks_like_an_image_counts_as_text() -> None:
    text = "data:image/png;base64," + "A" * 9_000
    assert input_tokens_bound(decode_chat(parts({"type": "text", "text": text})))[0] >= len(text)
    unicode_url = image("data:image/png;base64," + "\ufdfa" * 900)
    assert input_tokens_bound(decode_chat(parts(unicode_url)))[0] >= largest_count("\ufdfa" * 900)


@pytest.mark.parametrize(
    "part",
    [
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}},
        {"type": "video_url", "video_url": {"url": "https://x.test/v.mp4"}},
        {"type": "something_new"},
    ],
)
def test_content_that_we_do_not_see_is_unbounded(part: dict[str, object]) -> None:
    assert input_tokens_bound(decode_chat(parts({"type": "text", "text": "read"}, part)))[1]


def test_a_prediction_has_no_bound_of_its_output_and_is_seen() -> None:
    facts = read_facts(decode_chat(json.dumps(request("x", prediction={"type": "content", "content": "y"})).encode()))
    assert (facts.is_output_unbounded, facts.is_unbounded) == (True, False)
    assert not read_facts(decode_chat(json.dumps(request("x", prediction=None)).encode())).is_output_unbounded


def test_facts_hold_what_routing_reads() -> None:
    raw = json.dumps(
        {
            "model": "auto",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "developer", "content": "Be kind."},
                {"role": "user", "content": "first"},
                {"role": "assistant", "content": "answer"},
                {"role": "user", "content": [{"type": "text", "text": "second"}, image("https://x.test/a.png")]},
                {"role": "tool", "tool_call_id": "1", "content": "result"},
            ],
            "n": 3,
            "metadata": {"task": "rewriting", "team": "a"},
        }
    ).encode()
    facts = read_facts(decode_chat(raw), metadata={"task": "translation"}, tags=("x",), no_fallback=True)
    assert (facts.instruction, facts.system, facts.turns, facts.choices) == ("second", "Be brief.\nBe kind.", 2, 3)
    assert (facts.earlier, facts.content) == (("first",), raw)
    assert facts.has_images
    assert not facts.has_tools
    assert facts.metadata == {"task": "translation", "team": "a"}
    assert (facts.tags, facts.no_fallback) == (("x",), True)


def test_a_long_instruction_keeps_its_head_and_its_tail() -> None:
    text = "H" * 9_000 + "middle" + "T" * 9_000
    facts = read_facts(decode_chat(json.dumps(request(text)).encode()))
    assert facts.instruction.startswith("H" * INSTRUCTION_HEAD_CHARS)
    assert facts.instruction.endswith("T" * INSTRUCTION_TAIL_CHARS)
    assert "middle" not in facts.instruction


def test_the_estimate_stays_below_the_bound() -> None:
    for text in HOSTILE:
        facts = read_facts(decode_chat(json.dumps(request(text)).encode()))
        assert 0 < facts.input_tokens_estimate <= facts.input_tokens_bound
