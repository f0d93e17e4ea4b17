"""One HTTP/1.1 response after another, read from bytes however they are cut. No I/O; used by a connection.

Invariants: a body is whole or the response is not complete; what a head or a trailer can hold is
limited before it is kept; bytes that nobody asked for are never taken for a response.
"""

from typing import Final, NoReturn

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from app.providers.errors import AnswerMalformed

# Node's limit for a whole head (16 KiB, nodejs.org/api/http.html, 2026-11); providers send 1–3 KiB.
HEAD_BYTES_MAX: Final = 16 * 1024
HEADERS_MAX: Final = 128
_HEADERS_KEPT: Final = {
    name.encode(): name for name in ("content-type", "retry-after", "retry-after-ms", "x-request-id", "x-sandbox")
}


class ResponseParser:
    """Feed it what comes; `restart` it for each request."""

    __slots__ = (
        "_ends_with_connection",
        "_fault",
        "_fields",
        "_has_progress",
        "_parser",
        "_pieces",
        "_quiet_bytes",
        "buffered_bytes",
        "has_head",
        "headers",
        "is_complete",
        "is_kept_alive",
        "status",
    )

    def __init__(self) -> None:
        self._parser = HttpResponseParser(self)
        self.restart()

    def restart(self) -> None:
        """Forget the last response and await the next one."""
        self.status = 0
        self.headers: dict[str, str] = {}
        self.has_head = self.is_complete = self.is_kept_alive = False
        self.buffered_bytes = 0
        self._pieces: list[bytes] = []
        self._fields: list[tuple[bytes, bytes]] = []
        self._quiet_bytes = 0
        self._has_progress = self._ends_with_connection = False
        self._fault = ""

    def feed(self, data: memoryview) -> None:
        """Take bytes. Raises AnswerMalformed; what was read before stays to be taken."""
        self._has_progress = False
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade):
            if not self.is_complete:
                raise AnswerMalformed(self._fault or "The provider's response is not well-formed HTTP.") from None
            # The response was whole; what came after it only spoils the connection.
            self.is_kept_alive = False
        if not self._has_progress:
            # A head, interim responses, trailers or chunk extensions without an end.
            self._quiet_bytes += len(data)
            if self._quiet_bytes > HEAD_BYTES_MAX:
                raise AnswerMalformed(f"The provider's response has a head of more than {HEAD_BYTES_MAX} bytes.")
        else:
            self._quiet_bytes = 0

    def feed_end(self) -> bool:
        """The peer will send nothing more: is the response complete by that?"""
        if self.has_head and self._ends_with_connection:
            self.is_complete = True
        return self.is_complete

    def take(self) -> bytes:
        """The part of the body that has come and was not taken yet."""
        pieces = self._pieces
        if not pieces:
            return b""
        self._pieces = []
        self.buffered_bytes = 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def on_message_begin(self) -> None:
        """A response begins."""
        if self.is_complete:
            self._refuse("The provider sent a response that was not asked for.")

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which is ignored."""
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """A head is whole."""
        fields, self._fields = self._fields, []
        status = self._parser.get_status_code()
        if 100 <= status < 200 and status != 101:
            return
        if not 200 <= status < 600:
            self._refuse("The provider's response has a status that answers no call.")
        self._read_fields(fields)
        self.status = status
        self.is_kept_alive = self._parser.should_keep_alive()
        self.has_head = self._has_progress = True

    def on_body(self, body: bytes) -> None:
        """A part of the body."""
        self._pieces.append(body)
        self.buffered_bytes += len(body)
        self._has_progress = True

    def on_message_complete(self) -> None:
        """A response is whole; an interim one does not count."""
        if self.has_head:
            self.is_complete = self._has_progress = True

    def _read_fields(self, fields: list[tuple[bytes, bytes]]) -> None:
        if len(fields) > HEADERS_MAX:
            self._refuse(f"The provider's response has more than {HEADERS_MAX} headers.")
        size = 0
        is_framed = False
        for name, value in fields:
            size += len(name) + len(value)
            name = name.lower()
            if name in _HEADERS_KEPT:
                self.headers[_HEADERS_KEPT[name]] = value.decode("latin-1")
            elif name == b"content-length":
                is_framed = True
            elif name == b"transfer-encoding":
                if is_framed or value.strip().lower() != b"chunked":
                    self._refuse("The provider's response has a transfer encoding that was not asked for.")
                is_framed = True
            elif name == b"content-encoding" and value.strip().lower() not in (b"identity", b""):
                self._refuse("The provider's response is compressed, which was not asked for.")
        if size > HEAD_BYTES_MAX:
            self._refuse(f"The provider's response has a head of more than {HEAD_BYTES_MAX} bytes.")
        self._ends_with_connection = not is_framed

    def _refuse(self, fault: str) -> NoReturn:
        self._fault = fault
        # httptools turns whatever a callback raises into an error of its own.
        raise ValueError(fault)
