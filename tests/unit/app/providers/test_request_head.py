"""The head of a request: what it says, and what cannot be smuggled into it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.providers.addresses import read_target
from app.providers.errors import ConnectFailed
from app.providers.request_head import head_start, write_head

START = head_start("https://api.vendor.test/v1/chat", read_target("https://api.vendor.test/v1/chat"))


@pytest.mark.parametrize(
    ("url", "line", "host"),
    [
        ("https://api.vendor.test", "POST / HTTP/1.1", "host: api.vendor.test"),
        ("https://api.vendor.test:443/v1", "POST /v1 HTTP/1.1", "host: api.vendor.test"),
        ("https://api.vendor.test:8443/v1", "POST /v1 HTTP/1.1", "host: api.vendor.test:8443"),
        ("http://api.vendor.test:443/v1", "POST /v1 HTTP/1.1", "host: api.vendor.test:443"),
        ("https://[2606:4700::1]/v1", "POST /v1 HTTP/1.1", "host: [2606:4700::1]"),
        ("https://[2606:4700::1]:8443/v1", "POST /v1 HTTP/1.1", "host: [2606:4700::1]:8443"),
        ("https://api.vendor.test/a%20b/../c", "POST /a%20b/../c HTTP/1.1", "host: api.vendor.test"),
        ("https://api.vendor.test/v1/%0d%0ax", "POST /v1/%0d%0ax HTTP/1.1", "host: api.vendor.test"),
    ],
)
def test_the_start_names_the_path_and_the_host(url: str, line: str, host: str) -> None:
    assert head_start(url, read_target(url)).split("\r\n") == [line, host, "accept-encoding: identity", ""]


def test_a_head_holds_every_header_once_and_the_bodys_length() -> None:
    head = write_head(START, {"authorization": "Bearer k", "content-type": "application/json"}, 12)
    assert head == (
        b"POST /v1/chat HTTP/1.1\r\nhost: api.vendor.test\r\naccept-encoding: identity\r\ncontent-length: 12\r\n"
        b"authorization: Bearer k\r\ncontent-type: application/json\r\n\r\n"
    )


@given(st.text(max_size=40))
@example("k\r\nx-evil: 1")
@example("k\nx-evil: 1")
@example("k\r\n\r\nPOST / HTTP/1.1")
@example("k\x00")
@example("k\x85")
@example("schlüssel")
def test_a_value_is_one_line_or_refused_without_being_repeated(value: str) -> None:
    headers = {"authorization": value, "x": "y"}
    if not (value.isascii() and value.isprintable()):
        with pytest.raises(ConnectFailed, match="cannot be written as HTTP; check the credential"):
            write_head(START, headers, 0)
        return
    head = write_head(START, headers, 0)
    assert len(head.splitlines()) == len(START.splitlines()) + 4
    assert f"authorization: {value}\r\n".encode() in head


@pytest.mark.parametrize(
    "name",
    ["", "x y", "x:", "x\r\ny", "x\n", "ü", "x\x00", "Content-Length", "transfer-encoding", "HOST", "connection", "te",
     "expect", "upgrade", "accept-encoding"],
)  # fmt: skip
def test_a_name_that_is_none_or_that_frames_the_message_is_refused(name: str) -> None:
    with pytest.raises(ConnectFailed):
        write_head(START, {name: "1"}, 0)
