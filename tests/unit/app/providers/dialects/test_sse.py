"""Events do not depend on where the bytes were cut."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.providers.dialects.sse import EventSplitter, read_event
from app.providers.errors import AnswerTooLarge

LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])


def split(chunks: list[bytes]) -> list[bytes]:
    splitter = EventSplitter()
    blocks = [block for chunk in chunks for block in splitter.feed(chunk)]
    return [*blocks, splitter.rest()] if splitter.rest() else blocks


@settings(deadline=None)
@given(
    end=LINE_ENDS,
    events=st.lists(st.binary(min_size=1, max_size=20).filter(lambda data: not set(data) & set(b"\r\n")), max_size=6),
    cuts=st.lists(st.integers(0, 200), max_size=8),
)
def test_any_cut_gives_the_same_events(end: bytes, events: list[bytes], cuts: list[int]) -> None:
    text = b"".join(b"data: " + data + end + end for data in events)
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    chunks = [text[start:stop] for start, stop in pairwise(edges)]
    assert split(chunks) == [b"data: " + data for data in events]


PIECES = st.sampled_from([b"\n", b"\r", b"\r\n", b"\n\n", b"\r\n\r\n", b"a", b"data: b", b"event: c", b":", b" "])


def lines_of(text: bytes) -> list[list[bytes]]:
    """The blocks of a text as a browser finds them, line by line."""
    blocks: list[list[bytes]] = [[]]
    for line in re.split(rb"\r\n|\n|\r", text):
        if line:
            blocks[-1].append(line)
        elif blocks[-1]:
            blocks.append([])
    return [block for block in blocks if block]


@settings(deadline=None)
@given(pieces=st.lists(PIECES, max_size=16), cuts=st.lists(st.integers(0, 60), max_size=8))
def test_line_ends_of_every_kind_may_be_mixed_and_cut_anywhere(pieces: list[bytes], cuts: list[int]) -> None:
    text = b"".join(pieces) + b"last"
    edges = [0, *sorted(min(cut, len(text)) for cut in cuts), len(text)]
    for chunks in ([text], [text[start:stop] for start, stop in pairwise(edges)], [bytes([byte]) for byte in text]):
        assert [re.split(rb"\r\n|\n|\r", block) for block in split(chunks)] == lines_of(text)


@settings(deadline=None)
@given(pieces=st.lists(PIECES, max_size=8))
def test_an_events_fields_are_those_of_its_lines(pieces: list[bytes]) -> None:
    for lines in lines_of(b"".join(pieces)):
        block = b"\n".join(lines)
        data = [line.partition(b":")[2].removeprefix(b" ") for line in lines if line.partition(b":")[0] == b"data"]
        names = [line.partition(b":")[2].strip() for line in lines if line.partition(b":")[0] == b"event"]
        assert read_event(block) == (names[-1] if names else b"", b"\n".join(data))
        assert read_event(block.replace(b"\n", b"\r\n")) == read_event(block)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_one_byte_at_a_time_keeps_lines_and_events_apart(end: bytes) -> None:
    text = (
        b"event: a" + end + b"data: 1" + end + end + b": note" + end + end + b"data: 2" + end + b"data: 3" + end + end
    )
    blocks = split([bytes([byte]) for byte in text])
    assert [read_event(block) for block in blocks] == [(b"a", b"1"), (b"", b""), (b"", b"2\n3")]


def test_a_line_end_inside_a_crlf_is_not_a_blank_line() -> None:
    assert split([b"data: 1\r", b"\nid: 2\r", b"\n\r", b"\n"]) == [b"data: 1\r\nid: 2"]


def test_a_byte_order_mark_and_leading_blank_lines_are_dropped() -> None:
    assert split([b"\xef\xbb\xbfdata: 1\n\n\n\ndata: 2\n\n"]) == [b"data: 1", b"data: 2"]


def test_data_without_a_space_is_read() -> None:
    assert read_event(b"data:{}") == (b"", b"{}")


def test_an_event_without_an_end_is_refused() -> None:
    splitter = EventSplitter(event_bytes_max=100)
    splitter.feed(b"data: " + b"x" * 90)
    with pytest.raises(AnswerTooLarge):
        splitter.feed(b"data: xxxx")
