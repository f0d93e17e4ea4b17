"""Responses read from bytes, however they are cut, and what is no response."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.providers.errors import AnswerMalformed
from app.providers.response_parser import HEAD_BYTES_MAX, HEADERS_MAX, ResponseParser

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nRetry-After: 7\r\nx-secret: s\r\n\r\nhello"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nretry-after: 9\r\n\r\n"
TO_THE_END = b"HTTP/1.0 503 Down\r\ncontent-type: text/plain\r\n\r\nhello"
# Bytes, status, headers that are kept, body, whether another request may follow.
RESPONSES = (
    (WHOLE, 200, {"retry-after": "7"}, b"hello", True),
    (INTERIM + WHOLE, 200, {"retry-after": "7"}, b"hello", True),
    (CHUNKED + b"3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\n\r\n", 200, {}, b"hello", True),
    (CHUNKED + b"5\r\nhello\r\n0\r\nretry-after: 1\r\nx: y\r\n\r\n", 200, {}, b"hello", True),
    (b"HTTP/1.1 204 No Content\r\n\r\n", 204, {}, b"", True),
    (b"HTTP/1.1 429 Slow\r\nconnection: close\r\ncontent-length: 0\r\n\r\n", 429, {}, b"", False),
    (b"HTTP/1.0 200 OK\r\ncontent-length: 5\r\n\r\nhello", 200, {}, b"hello", False),
    (b"HTTP/1.1 200 OK\r\ncontent-encoding: identity\r\ncontent-length: 2\r\n\r\nok", 200, {}, b"ok", True),
)


def read(parser: ResponseParser, *parts: bytes) -> bytes:
    """Feed parts through one buffer, as a connection does, and take what comes."""
    taken = []
    for part in parts:
        buffer = bytearray(part)
        parser.feed(memoryview(buffer))
        # The next read overwrites it.
        buffer[:] = b"\xff" * len(part)
        taken.append(parser.take())
    return b"".join(taken)


def refusal(*parts: bytes) -> str:
    parser = ResponseParser()
    with pytest.raises(AnswerMalformed) as caught:
        read(parser, *parts)
    assert not parser.is_complete
    assert caught.value.__suppress_context__
    return str(caught.value)


@pytest.mark.parametrize(("data", "status", "headers", "body", "is_kept_alive"), RESPONSES)
def test_a_response_is_the_same_wherever_it_is_cut(
    data: bytes, status: int, headers: dict[str, str], body: bytes, is_kept_alive: bool
) -> None:
    cuts = [(data,), tuple(bytes([byte]) for byte in data)]
    cuts += [(data[:at], data[at:]) for at in range(1, len(data))]
    for parts in cuts:
        parser = ResponseParser()
        assert read(parser, *parts) == body
        assert (parser.status, parser.headers, parser.is_complete) == (status, headers, True)
        assert parser.is_kept_alive is is_kept_alive


@given(st.lists(st.sampled_from([row for row in RESPONSES if row[4]]), max_size=4), st.integers(1, 40))
def test_responses_follow_one_another_and_nothing_of_one_is_in_the_next(rows: list[tuple], step: int) -> None:
    parser = ResponseParser()
    for data, status, headers, body, _ in rows:
        parser.restart()
        parts = [data[at : at + step] for at in range(0, len(data), step)]
        assert read(parser, *parts) == body
        assert (parser.status, parser.headers, parser.is_complete) == (status, headers, True)


def test_a_body_without_a_length_ends_with_the_connection() -> None:
    parser = ResponseParser()
    assert read(parser, TO_THE_END) == b"hello"
    assert not parser.is_complete
    assert parser.feed_end()
    assert parser.is_complete
    assert not parser.is_kept_alive


@pytest.mark.parametrize("data", [b"", WHOLE[:20], WHOLE[:-1], CHUNKED, CHUNKED + b"5\r\nhello\r\n", INTERIM])
def test_an_end_too_early_completes_nothing(data: bytes) -> None:
    parser = ResponseParser()
    read(parser, data)
    assert not parser.feed_end()


@pytest.mark.parametrize("more", [WHOLE, b"HTTP/1.1 2", b"garbage", b"\x00"])
def test_bytes_behind_a_response_spoil_the_connection_and_not_the_response(more: bytes) -> None:
    parser = ResponseParser()
    assert read(parser, WHOLE + more) == b"hello"
    assert (parser.status, parser.is_complete, parser.is_kept_alive) == (200, True, False)


@pytest.mark.parametrize(
    "data",
    [
        b"garbage\r\n\r\n",
        b"HTTP/1.1 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 999 OK\r\ncontent-length: 0\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1, 1\r\n\r\na",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: y\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx : y\r\n\r\n",
        b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
        CHUNKED + b"zz\r\n",
        CHUNKED + b"-2\r\nab\r\n",
        CHUNKED + b"2\r\nabc\r\n",
    ],
)
def test_what_is_no_response_is_refused(data: bytes) -> None:
    assert refusal(data)


@pytest.mark.parametrize("encoding", [b"gzip", b"br", b"deflate, gzip", b"GZIP"])
def test_a_compressed_response_is_refused(encoding: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: " + encoding + b"\r\ncontent-length: 1\r\n\r\n"
    assert "compressed" in refusal(head + b"x")


def test_a_good_part_before_a_bad_one_can_still_be_taken() -> None:
    parser = ResponseParser()
    with pytest.raises(AnswerMalformed):
        parser.feed(memoryview(CHUNKED + b"5\r\nhello\r\nzz\r\n"))
    assert parser.take() == b"hello"


@pytest.mark.parametrize("step", [100, HEAD_BYTES_MAX * 2])
@pytest.mark.parametrize(
    ("start", "endless"),
    [
        (b"HTTP/1.1 200 ", b"O"),
        (b"HTTP/1.1 200 OK\r\nx: ", b"y"),
        (b"HTTP/1.1 200 OK\r\n", b"x"),
        (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b"\r\n"),
        (CHUNKED + b"5;", b"x"),
        (CHUNKED + b"0\r\n", b"x: y\r\n"),
        (CHUNKED + b"0\r\nx: ", b"y"),
    ],
)
def test_what_never_gets_to_a_body_is_stopped(start: bytes, endless: bytes, step: int) -> None:
    source = itertools.chain(start, itertools.cycle(endless))
    parts = [bytes(itertools.islice(source, step)) for _ in range(HEAD_BYTES_MAX * 4 // step + 1)]
    with pytest.raises(AnswerMalformed):
        read(ResponseParser(), *parts)


def test_a_head_in_one_read_is_measured_too() -> None:
    assert "head" in refusal(b"HTTP/1.1 200 OK\r\nx: " + b"y" * HEAD_BYTES_MAX + b"\r\ncontent-length: 0\r\n\r\n")
    many = b"".join(b"x%d: y\r\n" % number for number in range(HEADERS_MAX + 1))
    assert "headers" in refusal(b"HTTP/1.1 200 OK\r\n" + many + b"\r\n")


def test_a_long_body_is_not_taken_for_a_head() -> None:
    parser = ResponseParser()
    body = b"x" * (HEAD_BYTES_MAX * 3)
    assert read(parser, b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body), body) == body
