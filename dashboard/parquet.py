"""Apache Parquet, written as a stream: rows in, bytes out, nothing kept but the footer's numbers. Pure.

Called by exports. Written here because the usual library is a hundred times the size of the rest of the console;
what is needed of the format is little: one plain, gzipped page for each column and group of rows, every column
optional. Invariant: whatever was given before `close` is in the file, in order; names and counts stand in the footer.

The layout is that of the format's specification, version 2.11 (parquet.thrift, read 2026-11-24).
"""

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Final

MAGIC: Final = b"PAR1"
GZIP_WINDOW_BITS: Final = 31  # zlib's way to say: with gzip's head and tail
GZIP_LEVEL: Final = 6
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
CREATED_BY: Final = b"signalbox"

# Enumerations of parquet.thrift.
PLAIN, RLE, GZIP, DATA_PAGE, OPTIONAL = 0, 3, 2, 0, 1
FORMAT_VERSION: Final = 1

Value = str | int | float | bool | datetime | None


class ColumnType(Enum):
    """What a column holds."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    REAL = "real"
    TEXT = "text"
    MOMENT = "moment"  # microseconds since 1970 in UTC


PHYSICAL: Final = {
    ColumnType.BOOLEAN: 0, ColumnType.INTEGER: 2, ColumnType.REAL: 5, ColumnType.TEXT: 6, ColumnType.MOMENT: 2,
}  # fmt: skip
CONVERTED: Final = {ColumnType.TEXT: 0, ColumnType.MOMENT: 10}


@dataclass(frozen=True, slots=True)
class Column:
    """A column by name and type; any value may be missing."""

    name: str
    type: ColumnType


class ParquetStream:
    """One file as it is written. Give groups of rows to `rows`, then `close`; send what each returns, in order."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        self._place = 0
        self._groups: list[bytes] = []
        self._row_count = 0

    def rows(self, rows: Sequence[Sequence[Value]]) -> bytes:
        """The bytes of one group of rows; the first group brings the head of the file."""
        out = bytearray(b"" if self._place else MAGIC)
        begin = self._place
        chunks = []
        if rows:
            for number, column in enumerate(self._columns):
                at = begin + len(out)
                page, plain_size = _page(column.type, [row[number] for row in rows])
                out += page
                chunks.append(_chunk(column, at, len(rows), plain_size, len(page)))
            size = sum(plain for _, plain in chunks)
            body = _list(12, [chunk for chunk, _ in chunks])
            self._groups.append(_struct((1, 9, body), (2, 6, _zigzag(size)), (3, 6, _zigzag(len(rows)))))
            self._row_count += len(rows)
        self._place = begin + len(out)
        return bytes(out)

    def close(self) -> bytes:
        """The footer."""
        head = b"" if self._place else MAGIC
        root = _struct((4, 8, _binary(b"schema")), (5, 5, _zigzag(len(self._columns))))
        footer = _struct(
            (1, 5, _zigzag(FORMAT_VERSION)),
            (2, 9, _list(12, [root, *map(_element, self._columns)])),
            (3, 6, _zigzag(self._row_count)),
            (4, 9, _list(12, self._groups)),
            (6, 8, _binary(CREATED_BY)),
        )
        return head + footer + struct.pack("<I", len(footer)) + MAGIC


def _page(kind: ColumnType, values: Sequence[Value]) -> tuple[bytes, int]:
    """A page with its header, and how long it is before compression."""
    levels = _levels([value is not None for value in values])
    body = struct.pack("<I", len(levels)) + levels + _plain(kind, [value for value in values if value is not None])
    packer = zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, GZIP_WINDOW_BITS)
    packed = packer.compress(body) + packer.flush()
    data = _struct((1, 5, _zigzag(len(values))), (2, 5, _zigzag(PLAIN)), (3, 5, _zigzag(RLE)), (4, 5, _zigzag(RLE)))
    header = _struct(
        (1, 5, _zigzag(DATA_PAGE)), (2, 5, _zigzag(len(body))), (3, 5, _zigzag(len(packed))), (5, 12, data)
    )
    return header + packed, len(header) + len(body)


def _chunk(column: Column, at: int, count: int, plain_size: int, size: int) -> tuple[bytes, int]:
    meta = _struct(
        (1, 5, _zigzag(PHYSICAL[column.type])),
        (2, 9, _list(5, [_zigzag(PLAIN), _zigzag(RLE)])),
        (3, 9, _list(8, [_binary(column.name.encode())])),
        (4, 5, _zigzag(GZIP)),
        (5, 6, _zigzag(count)),
        (6, 6, _zigzag(plain_size)),
        (7, 6, _zigzag(size)),
        (9, 6, _zigzag(at)),
    )
    return _struct((2, 6, _zigzag(at)), (3, 12, meta)), plain_size


def _element(column: Column) -> bytes:
    fields = [
        (1, 5, _zigzag(PHYSICAL[column.type])),
        (3, 5, _zigzag(OPTIONAL)),
        (4, 8, _binary(column.name.encode())),
    ]
    if column.type in CONVERTED:
        fields.append((6, 5, _zigzag(CONVERTED[column.type])))
    return _struct(*fields)


def _plain(kind: ColumnType, values: Sequence[Value]) -> bytes:
    match kind:
        case ColumnType.BOOLEAN:
            bits = sum(1 << place for place, value in enumerate(values) if value)
            return bits.to_bytes((len(values) + 7) // 8, "little")
        case ColumnType.REAL:
            return struct.pack(f"<{len(values)}d", *values)
        case ColumnType.TEXT:
            texts = [str(value).encode() for value in values]
            return b"".join(struct.pack("<I", len(text)) + text for text in texts)
        case ColumnType.MOMENT:
            return struct.pack(f"<{len(values)}q", *map(_microseconds, values))
        case ColumnType.INTEGER:
            return struct.pack(f"<{len(values)}q", *values)


def _microseconds(moment: Value) -> int:
    assert isinstance(moment, datetime)
    since = moment - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _levels(present: Sequence[bool]) -> bytes:
    """Whether each value is there, as runs of equal answers."""
    out = bytearray()
    start = 0
    for place in range(1, len(present) + 1):
        if place == len(present) or present[place] != present[start]:
            out += _varint((place - start) << 1) + bytes([present[start]])
            start = place
    return bytes(out)


# Thrift's compact protocol, as much of it as there is here: fields as (id, type, bytes) in order of their ids.


def _struct(*fields: tuple[int, int, bytes]) -> bytes:
    out, last = bytearray(), 0
    for number, kind, body in fields:
        out.append((number - last) << 4 | kind)
        out += body
        last = number
    return bytes(out) + b"\0"


def _list(kind: int, items: Sequence[bytes]) -> bytes:
    head = bytes([len(items) << 4 | kind]) if len(items) < 15 else bytes([0xF0 | kind]) + _varint(len(items))
    return head + b"".join(items)


def _binary(text: bytes) -> bytes:
    return _varint(len(text)) + text


def _zigzag(number: int) -> bytes:
    return _varint(number << 1 if number >= 0 else (-number << 1) - 1)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)
