"""What Anthropic can say comes back as it was said, by way of the common form."""

import base64
import json

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from app.providers.dialects.anthropic.body import decode_messages
from app.providers.dialects.anthropic.conversation import read_conversation
from app.providers.dialects.anthropic.request import write_conversation
from app.providers.dialects.conversation import (
    Conversation,
    Document,
    Image,
    OutputSchema,
    Reasoning,
    RedactedThinking,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from tests.unit.app.providers.dialects.anthropic.written import MODEL, NEW_MODEL, VENDOR, check_with_the_sdk

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda text: bool(text.strip())
)
names = st.from_regex(r"[A-Za-z0-9_-]{1,8}", fullmatch=True)
flags = st.booleans()
values = st.recursive(st.none() | flags | st.integers(-9, 9) | texts, lambda inner: st.lists(inner, max_size=2))
raws = st.dictionaries(texts, values, max_size=3).map(lambda fields: msgspec.Raw(msgspec.json.encode(fields)))
media_types = st.sampled_from(["image/png", "image/jpeg", "image/gif", "image/webp"])
base64_texts = st.binary(max_size=6).map(lambda data: base64.b64encode(data).decode())
words = st.builds(Text, texts, flags)
images = st.builds(Image, media_types, base64_texts, is_cache_point=flags) | st.builds(
    Image, url=texts, is_cache_point=flags
)
documents = (
    st.builds(Document, st.just("application/pdf"), base64_texts, name=st.none() | texts, is_cache_point=flags)
    | st.builds(Document, url=texts, name=st.none() | texts, is_cache_point=flags)
    | texts.map(lambda text: Document("text/plain", base64.b64encode(text.encode()).decode()))
)
shown = st.lists(words | images | documents, min_size=1, max_size=3).map(tuple)
results = st.builds(ToolResult, names, shown, flags, flags)
signed = st.builds(Thinking, texts, texts) | st.builds(RedactedThinking, texts)
calls = st.builds(ToolCall, names, names, raws, flags)
user_turns = st.builds(lambda first, then: Turn("user", (*first, *then)), st.lists(results, max_size=2), shown)
answers = st.builds(
    lambda first, then: Turn("assistant", (*first, *then)),
    st.lists(signed, max_size=1),
    st.lists(words | calls, min_size=1, max_size=3),
)
systems = st.builds(Turn, st.just("system"), st.lists(words, min_size=1, max_size=2).map(tuple))
closed_schemas = st.dictionaries(names, st.just({"type": "string"}), min_size=1, max_size=2).map(
    lambda properties: OutputSchema(
        schema=msgspec.Raw(
            msgspec.json.encode({"type": "object", "properties": properties, "additionalProperties": False})
        )
    )
)
tools = st.builds(
    Tool,
    name=names,
    description=st.none() | texts,
    parameters=raws.map(lambda raw: msgspec.Raw(b'{"type":"object","x":' + bytes(raw) + b"}")),
    is_strict=st.none() | st.just(False),
    is_cache_point=flags,
)
reasonings = st.none() | st.sampled_from(
    [
        Reasoning(is_on=True),
        Reasoning(is_on=False),
        Reasoning(is_on=True, tokens_max=2_000),
        Reasoning(is_on=False, effort="low"),
        Reasoning(is_on=True, effort="max"),
        Reasoning(effort="medium"),
    ]
)


@st.composite
def conversations(draw: st.DrawFn, model: str) -> Conversation:
    is_new = model == NEW_MODEL
    turns = [draw(systems)] if draw(flags) else []
    for _ in range(draw(st.integers(0, 2))):
        turns += [draw(user_turns), *([draw(systems)] if is_new and draw(flags) else ()), draw(answers)]
    turns.append(draw(user_turns))
    offered = draw(st.lists(tools, min_size=1, max_size=2))
    reasoning = None if is_new else draw(reasonings)
    if reasoning is not None and reasoning.tokens_max is not None:  # a budget wants each call's thinking back
        answered = turns[-2].parts[0] if len(turns) > 1 else None
        assume(not isinstance(answered, Text | ToolCall | RedactedThinking))
    can_sample = not is_new and (reasoning is None or not reasoning.is_on)
    choice = draw(st.none() | st.builds(ToolChoice, mode=st.sampled_from(["auto", "none"])))
    if not is_new and (reasoning is None or not reasoning.is_on):
        choice = draw(st.just(choice) | st.builds(ToolChoice, mode=st.just("named"), name=names))
    return Conversation(
        turns=tuple(turns),
        tools=tuple(offered),
        tool_choice=choice,
        has_parallel_tool_calls=draw(st.none() | flags) if choice is not None and choice.mode != "none" else None,
        output_tokens_wanted=draw(st.integers(4_000, 9_000)),
        temperature=draw(st.none() | st.floats(0, 1)) if can_sample else None,
        top_k=draw(st.none() | st.integers(1, 9)) if can_sample else None,
        stop=tuple(draw(st.lists(texts, max_size=2))),
        output_schema=draw(st.none() | closed_schemas),
        reasoning=reasoning,
        end_user=draw(st.none() | st.from_regex(r"u[a-z]{1,9}", fullmatch=True)),
        is_streamed=draw(flags),
    )


@pytest.mark.parametrize("model", [MODEL, NEW_MODEL])
@settings(max_examples=60)
@given(data=st.data())
def test_what_anthropic_can_say_comes_back_as_it_was_said(model: str, data: st.DataObject) -> None:
    conversation = data.draw(conversations(model))
    encoded = write_conversation(conversation, model=model, output_tokens_limit=None, vendor=VENDOR)
    check_with_the_sdk(json.loads(encoded.body))
    assert encoded.dropped == ()
    assert read_conversation(decode_messages(encoded.body)) == conversation
