"""Turns keep the order that the API demands, and nothing of what was said is lost."""

import base64
import json
from typing import Any

import msgspec
import pytest

from app.providers.dialects.anthropic.turns import OPENING
from app.providers.dialects.conversation import (
    Document,
    Image,
    Part,
    RedactedThinking,
    Refusal,
    Text,
    Thinking,
    ToolCall,
    ToolResult,
    Turn,
)
from tests.unit.app.providers.dialects.anthropic.written import (
    HELLO,
    NEW_MODEL,
    TOOL,
    assistant,
    encode,
    said,
    system,
    user,
    write,
)


def test_the_leading_words_of_the_system_have_a_field_of_their_own() -> None:
    body = write(system("One."), system(Text("Two.", True), " "), user("Hello"))
    assert body["system"] == [
        {"type": "text", "text": "One."},
        {"type": "text", "text": "Two.", "cache_control": {"type": "ephemeral"}},
    ]
    assert body["messages"] == [HELLO]


TURNED = (user("Hello"), system("In French.", "Please."), assistant("Salut"), user("Ça va ?"))


def test_a_later_word_of_the_system_stands_in_place_where_the_model_takes_it() -> None:
    assert said(*TURNED, model=NEW_MODEL) == [
        ("user", ["Hello"]),
        ("system", ["In French.", "Please."]),
        ("assistant", ["Salut"]),
        ("user", ["Ça va ?"]),
    ]
    assert said(user("Hello"), system("In French."), model=NEW_MODEL)[1] == ("system", ["In French."])


def test_elsewhere_a_later_word_of_the_system_is_marked_in_the_users_turn() -> None:
    marked = ["<system>\nIn French.\n</system>", "<system>\nPlease.\n</system>"]
    assert said(*TURNED)[0] == ("user", ["Hello", *marked])


@pytest.mark.parametrize(
    ("turns", "messages"),
    [
        (  # the API takes it after a user's turn alone
            (user("a"), assistant("b"), system("c"), user("d")),
            [("user", ["a"]), ("assistant", ["b"]), ("user", ["<system>\nc\n</system>", "d"])],
        ),
        (  # and only before an answer
            (user("a"), system("b"), user("c"), assistant("d"), user("e")),
            [("user", ["a", "<system>\nb\n</system>", "c"]), ("assistant", ["d"]), ("user", ["e"])],
        ),
        (
            (user("a"), assistant("b"), system("c")),
            [("user", ["a"]), ("assistant", ["b"]), ("user", ["<system>\nc\n</system>"])],
        ),
        ((user("a"), system("b"), system("c")), [("user", ["a"]), ("system", ["b", "c"])]),
        ((user("a"), system("b"), assistant(" "), user("c")), [("user", ["a", "<system>\nb\n</system>", "c"])]),
    ],
)
def test_the_places_of_the_systems_words_are_those_that_the_api_takes(
    turns: tuple[Turn, ...], messages: list[tuple[str, list[str]]]
) -> None:
    assert said(*turns, model=NEW_MODEL) == messages


def test_turns_of_one_side_are_one() -> None:
    assert said(user("a"), user("b"), assistant("c"), assistant("d"), user("e")) == [
        ("user", ["a", "b"]),
        ("assistant", ["c", "d"]),
        ("user", ["e"]),
    ]


def test_results_open_the_users_turn_in_their_order() -> None:
    calls = assistant(ToolCall("t1", "f"), ToolCall("t2", "f"))
    body = write(user("a"), calls, user("so"), user(ToolResult("t1"), ToolResult("t2")), tools=(TOOL,))
    last = body["messages"][-1]["content"]
    assert [block.get("tool_use_id") for block in last] == ["t1", "t2", None]


@pytest.mark.parametrize(
    "turns", [(assistant("Hi"), user("a")), (system("Write."), assistant("Hi"), user("a")), (assistant("Hi"),)]
)
def test_the_user_begins(turns: tuple[Turn, ...]) -> None:
    assert said(*turns)[0] == ("user", [OPENING])


@pytest.mark.parametrize("turns", [(system("Write."),), (user(""),), (user(" \n"), assistant())])
def test_where_the_user_said_nothing_a_word_is_said_for_them(turns: tuple[Turn, ...]) -> None:
    assert said(*turns) == [("user", [OPENING])]


def test_blank_text_is_left_out() -> None:
    assert said(user("", "a", " \n\t"), assistant("", ToolCall("t", "f")), user("b"), tools=(TOOL,)) == [
        ("user", ["a"]),
        ("assistant", ["tool_use"]),
        ("user", ["b"]),
    ]


def test_the_beginning_of_an_answer_does_not_end_in_a_space() -> None:
    assert said(user("a"), assistant("The best is ( ")) == [("user", ["a"]), ("assistant", ["The best is ("])]
    assert said(user("a"), assistant("b "), user("c"))[1] == ("assistant", ["b "])


@pytest.mark.parametrize(
    ("given_arguments", "written"),
    [
        (b'{"a": [1, {"b": null}]}', {"a": [1, {"b": None}]}),
        (b"{}", {}),
        (b'{"a": 1', {"arguments": '{"a": 1'}),
        (b"[1]", {"arguments": "[1]"}),
        (b'"text"', {"arguments": '"text"'}),
        (b"null", {"arguments": "null"}),
        ("{'a': 'ü'}".encode(), {"arguments": "{'a': 'ü'}"}),
        (b"", {"arguments": ""}),
    ],
)
def test_a_calls_arguments_are_an_object_and_nothing_of_them_is_lost(given_arguments: bytes, written: Any) -> None:
    call = ToolCall("t", "f", msgspec.Raw(given_arguments))
    assert write(user("a"), assistant(call), tools=(TOOL,))["messages"][1]["content"][0]["input"] == written


def test_a_calls_id_is_fitted_alike_in_the_call_and_in_its_result() -> None:
    ids = ["toolu_1", "call-2", "functions.f:0", "functions_f_0", "", "ä"]
    calls = assistant(*(ToolCall(given_id, "f") for given_id in ids))
    results = user(*(ToolResult(given_id) for given_id in ids))
    messages = write(user("a"), calls, results, tools=(TOOL,))["messages"]
    written = [block["id"] for block in messages[1]["content"]]
    assert written == [block["tool_use_id"] for block in messages[2]["content"]]
    assert written[:2] == ids[:2]
    assert len(set(written)) == len(ids)
    assert all(name.replace("_", "").replace("-", "").isalnum() and name.isascii() for name in written)


def result(part: ToolResult) -> dict[str, Any]:
    written: dict[str, Any] = write(user("a"), assistant(ToolCall("t", "f")), user(part), tools=(TOOL,))
    block: dict[str, Any] = written["messages"][2]["content"][0]
    return block


def test_results_hold_text_and_media() -> None:
    block = result(ToolResult("t", (Text("see"), Text(" "), Image(url="https://a/b.png")), is_cache_point=True))
    assert [inner["type"] for inner in block["content"]] == ["text", "image"]
    assert block.keys() == {"type", "tool_use_id", "content", "cache_control"}
    assert result(ToolResult("t")) == {"type": "tool_result", "tool_use_id": "t"}


def test_a_failed_result_says_something() -> None:
    block = result(ToolResult("t", is_error=True))
    assert block["is_error"] is True
    assert block["content"][0]["text"]


TEXT_DATA = base64.b64encode("Grüße".encode()).decode()


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            Image("image/jpg", "aGk="),
            {"type": "image", "source": {"type": "base64", "media_type": "image/jpeg", "data": "aGk="}},
        ),
        (Image(url="https://a/b.png"), {"type": "image", "source": {"type": "url", "url": "https://a/b.png"}}),
        (
            Document("application/pdf", "aGk=", None, "a.pdf"),
            {
                "type": "document",
                "title": "a.pdf",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "aGk="},
            },
        ),
        (Document(url="https://a/b"), {"type": "document", "source": {"type": "url", "url": "https://a/b"}}),
        (
            Document("text/markdown", TEXT_DATA),
            {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Grüße"}},
        ),
        (
            Document("text/plain", "/w=="),
            {"type": "document", "source": {"type": "base64", "media_type": "text/plain", "data": "/w=="}},
        ),
    ],
)
def test_media_are_written(part: Part, block: dict[str, Any]) -> None:
    body = json.loads(encode(user(part)).body)
    assert body["messages"][0]["content"] == [block]


def test_reasoning_goes_back_as_its_provider_signed_it() -> None:
    parts = (Thinking("Hm.", "c2ln"), RedactedThinking("eHh4"), Thinking("unsigned"), Text("So."), Refusal("No."))
    encoded = encode(user("a"), assistant(*parts), user("b"))
    assert json.loads(encoded.body)["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
        {"type": "redacted_thinking", "data": "eHh4"},
        {"type": "text", "text": "So."},
        {"type": "text", "text": "No."},
    ]
    assert encoded.dropped == ("reasoning_content",)
