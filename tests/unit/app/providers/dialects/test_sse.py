"""Events do not depend on where the bytes were cut."""

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
