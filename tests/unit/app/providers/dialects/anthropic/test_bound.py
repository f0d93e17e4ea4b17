"""The input bound of a request in Anthropic's words is never less than what a tokenizer could count."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.providers import DIALECTS, decode_messages, read_facts
from app.providers.dialects.anthropic import input_tokens_bound
from app.providers.dialects.bounds import IMAGE_TOKENS_MAX, INSTRUCTION_HEAD_CHARS, INSTRUCTION_TAIL_CHARS
from app.routing import Feature, RequestFacts
from tests.unit.app.providers.dialects.anthropic.builders import USER, request_bytes, said
from tests.unit.app.providers.golden import golden
from tests.unit.app.providers.hostile_texts import HOSTILE

PAYLOAD = "A" * 400_000


def text(words: str) -> dict[str, object]:
    return {"type": "text", "text": words}


def medium(kind: str, **source: object) -> dict[str, object]:
    return {"type": kind, "source": source}


def bound_of(*blocks: object, **fields: object) -> tuple[int, bool]:
    return input_tokens_bound(decode_messages(request_bytes(messages=said(*blocks), **fields)))


def facts_of(*blocks: object, **fields: object) -> RequestFacts:
    return read_facts(decode_messages(request_bytes(messages=said(*blocks), **fields)))


def features_of(*blocks: object, **fields: object) -> frozenset[Feature]:
    return facts_of(*blocks, **fields).features


def largest_count(*texts: str) -> int:
    utf8 = sum(len(one.encode()) for one in texts)
    return max(utf8, sum(len(unicodedata.normalize("NFKC", one).encode()) for one in texts))


@settings(deadline=None)
@given(
    texts=st.lists(
        st.text(st.characters(exclude_categories=["Cs"])) | st.sampled_from(HOSTILE), min_size=1, max_size=4
    ),
    is_ascii=st.booleans(),
)
def test_no_text_escapes_the_bound_wherever_it_stands(texts: list[str], is_ascii: bool) -> None:
    blocks = [block for one in texts for block in (text(one), {"type": "tool_result", "content": [text(one)]})]
    tools = [{"name": "f", "description": one} for one in texts]
    system = [text(one) for one in texts]
    raw = request_bytes(is_ascii=is_ascii, messages=said(*blocks), tools=tools, system=system)
    assert input_tokens_bound(decode_messages(raw))[0] >= 4 * largest_count(*texts)


def test_an_images_bytes_do_not_count_but_the_image_does() -> None:
    small, large = (
        facts_of(medium("image", type="base64", media_type="image/png", data=data)) for data in ("AAAA", PAYLOAD)
    )
    assert small.input_tokens_bound == large.input_tokens_bound < 500
    assert (large.images, large.image_tokens_bound, large.is_unbounded) == (1, IMAGE_TOKENS_MAX, False)


@pytest.mark.parametrize(
    "inside",
    [
        lambda image: {"type": "tool_result", "content": [image]},
        lambda image: medium("document", type="content", content=[image]),
    ],
)
def test_an_image_within_a_block_counts(inside) -> None:
    image = medium("image", type="base64", media_type="image/png", data=PAYLOAD)
    facts = facts_of(image, inside(image))
    assert facts.input_tokens_bound < 1_000
    assert (facts.images, facts.image_tokens_bound, facts.is_unbounded) == (2, 2 * IMAGE_TOKENS_MAX, False)
    assert facts.has_images


def test_bytes_that_are_no_mediums_are_never_taken_out() -> None:
    for block in (
        {"type": "text", "text": "x", "source": {"type": "base64", "data": PAYLOAD}},
        medium("image", type="url", data=PAYLOAD),
        medium("document", type="text", data=PAYLOAD),
        {"type": "tool_use", "id": "t", "name": "f", "input": {"type": "image", "source": {"data": PAYLOAD}}},
    ):
        assert bound_of(block)[0] >= len(PAYLOAD)
    unicode_data = medium("image", type="base64", data="\ufdfa" * 900)
    assert bound_of(unicode_data)[0] >= largest_count("\ufdfa" * 900)


def test_a_repeated_key_does_not_hide_its_first_value() -> None:
    raw = request_bytes(messages=said(medium("image", type="base64", data="AAAA")))
    twice = raw.replace(b'"data": "AAAA"', b'"data": "%s", "data": "AAAA"' % PAYLOAD.encode())
    assert input_tokens_bound(decode_messages(twice))[0] >= len(PAYLOAD)


@pytest.mark.parametrize(
    ("block", "is_unbounded", "features"),
    [
        (text("x"), False, set()),
        ({"type": "thinking", "thinking": "x", "signature": "y"}, False, set()),
        ({"type": "redacted_thinking", "data": "x"}, False, set()),
        ({"type": "tool_use", "id": "t", "name": "f", "input": {}}, False, set()),
        ({"type": "tool_result", "tool_use_id": "t", "content": "x"}, False, set()),
        (medium("image", type="url", url="https://x.test/a.png"), False, set()),
        (medium("image", type="file", file_id="f"), False, {Feature.FILES}),
        (medium("document", type="text", media_type="text/plain", data="x"), False, {Feature.DOCUMENTS}),
        (medium("document", type="base64", media_type="application/pdf", data="JVBERi0="), True, {Feature.DOCUMENTS}),
        (medium("document", type="url", url="https://x.test/a.pdf"), True, {Feature.DOCUMENT_URLS}),
        (medium("document", type="file", file_id="f"), True, {Feature.DOCUMENTS, Feature.FILES}),
        ({"type": "search_result", "source": "s", "content": [text("x")]}, False, {Feature.PROVIDER_BLOCKS}),
        ({"type": "browser_state", "tabs": []}, False, {Feature.PROVIDER_BLOCKS}),
        ({"type": "tool_result", "content": [{"type": "tool_reference"}]}, True, {Feature.PROVIDER_BLOCKS}),
        ({"type": "server_tool_use", "id": "t", "name": "f", "input": {}}, True, {Feature.PROVIDER_BLOCKS}),
        ({"type": "web_search_tool_result", "content": []}, True, {Feature.PROVIDER_BLOCKS}),
        ({"type": "container_upload", "file_id": "f"}, True, {Feature.PROVIDER_BLOCKS}),
        ({"type": "a_block_of_tomorrow"}, True, {Feature.PROVIDER_BLOCKS}),
    ],
)  # fmt: skip
def test_what_we_do_not_see_has_no_bound(block: object, is_unbounded: bool, features: set[Feature]) -> None:
    assert bound_of(text("read"), block)[1] is is_unbounded
    assert features_of(text("read"), block) == features


def test_anthropics_dialect_says_all_of_them_but_files_by_id() -> None:
    own = {Feature.DOCUMENTS, Feature.DOCUMENT_URLS, Feature.PROVIDER_BLOCKS}
    assert own <= DIALECTS["anthropic"].features
    assert Feature.FILES not in DIALECTS["anthropic"].features


@pytest.mark.parametrize(
    ("tool_type", "documented_tokens"),
    [
        ("bash_20250124", 245),
        ("text_editor_20250728", 700),
        ("computer_20251124", 735 + 499),
        ("computer_toolset_20260801", 4_500),
        ("browser_toolset_20260801", 6_600),
    ],
)
def test_a_typed_tool_counts_with_the_definition_that_we_do_not_see(tool_type: str, documented_tokens: int) -> None:
    # 804 tokens come before any tools on Claude Opus 4.7.
    plain, _ = bound_of(text("x"))
    with_tool, _ = bound_of(text("x"), tools=[{"type": tool_type, "name": "t"}])
    assert with_tool - plain >= documented_tokens + 804
    assert features_of(text("x"), tools=[{"type": tool_type, "name": "t"}]) == {Feature.PROVIDER_BLOCKS}


def test_the_golden_request_tells_its_facts() -> None:
    facts = read_facts(decode_messages(golden("request.json", "anthropic")), tags=("a",), metadata={"task": "open_qa"})
    assert (facts.instruction, facts.system, facts.turns) == ("And tomorrow?", "You answer briefly. ☃", 2)
    assert (facts.has_tools, facts.has_images, facts.wants_json_schema, facts.is_streamed) == (True, True, True, True)
    assert (facts.output_tokens_wanted, facts.tags, facts.metadata) == (4_096, ("a",), {"task": "open_qa"})
    assert 0 < facts.input_tokens_estimate < facts.input_tokens_bound


def test_the_last_words_of_the_user_are_the_instruction_and_results_of_tools_are_not() -> None:
    messages = [USER, {"role": "assistant", "content": "Yes?"}, *said({"type": "tool_result", "content": "noise"})]
    facts = read_facts(decode_messages(request_bytes(messages=messages)))
    assert (facts.instruction, facts.turns) == ("Hello", 1)


def test_earlier_instructions_come_newest_first_and_are_few() -> None:
    messages = [{"role": role, "content": f"{role} {turn}"} for turn in range(9) for role in ("user", "assistant")]
    body = decode_messages(request_bytes(messages=[*messages, {"role": "user", "content": "last"}]))
    facts = read_facts(body)
    assert (facts.instruction, facts.earlier, facts.turns) == ("last", ("user 8", "user 7", "user 6"), 10)
    assert facts.content == body.raw


def test_a_long_instruction_is_cut_to_its_head_and_tail() -> None:
    words = "a" * INSTRUCTION_HEAD_CHARS + "x" * 50_000 + "z" * INSTRUCTION_TAIL_CHARS
    instruction = read_facts(decode_messages(request_bytes(messages=said(text(words))))).instruction
    assert instruction == "a" * INSTRUCTION_HEAD_CHARS + "\n…\n" + "z" * INSTRUCTION_TAIL_CHARS


def test_words_of_the_system_within_the_conversation_are_the_systems() -> None:
    raw = request_bytes(system="First.", messages=[USER, {"role": "system", "content": "Then."}])
    assert read_facts(decode_messages(raw)).system == "First.\nThen."


def test_a_mediums_bytes_are_not_taken_for_text_in_the_estimate() -> None:
    image = medium("image", type="base64", media_type="image/png", data=PAYLOAD)
    facts = read_facts(decode_messages(request_bytes(messages=said(image), tools=[{"name": "f"}])))
    assert facts.input_tokens_estimate < 2_000
