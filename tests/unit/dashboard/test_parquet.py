"""Parquet: what was given is in the file, by a reader of the format of its own.

The writer's files were read back whole by pyarrow 26.0.1 and DuckDB 2.0.1 on 2026-11-24.
"""

import struct
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dashboard.parquet import EPOCH, Column, ColumnType, ParquetStream, Value

COLUMNS = (
    Column("text", ColumnType.TEXT), Column("at", ColumnType.MOMENT), Column("count", ColumnType.INTEGER),
    Column("is_so", ColumnType.BOOLEAN), Column("ms", ColumnType.REAL),
)  # fmt: skip
moments = st.datetimes(min_value=datetime(1900, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC))
rows = st.lists(
    st.tuples(
        st.none() | st.text(max_size=20), st.none() | moments, st.none() | st.integers(-(2**63), 2**63 - 1),
        st.none() | st.booleans(), st.none() | st.floats(allow_nan=False),
    ),
    max_size=40,
)  # fmt: skip


class Thrift:
    """Reads the compact protocol: structs as {field: value}."""

    def __init__(self, data: bytes, place: int = 0) -> None:
        self.data, self.place = data, place

    def byte(self) -> int:
        self.place += 1
        return self.data[self.place - 1]

    def varint(self) -> int:
        number = shift = 0
        while True:
            byte = self.byte()
            number |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return number

    def value(self, kind: int) -> Any:
        if kind in (5, 6):
            number = self.varint()
            return (number >> 1) ^ -(number & 1)
        if kind == 8:
            length = self.varint()
            self.place += length
            return self.data[self.place - length : self.place]
        if kind == 9:
            head = self.byte()
            count = head >> 4 if head >> 4 < 15 else self.varint()
            return [self.value(head & 15) for _ in range(count)]
        assert kind == 12, kind
        return self.struct()

    def struct(self) -> dict[int, Any]:
        fields: dict[int, Any] = {}
        number = 0
        while head := self.byte():
            assert head >> 4, "fields are in order and close together"
            number += head >> 4
            fields[number] = self.value(head & 15)
        return fields


def read(data: bytes) -> tuple[list[str], list[tuple[Value, ...]]]:
    """Column names and rows of a file."""
    assert data[:4] == data[-4:] == b"PAR1"
    [length] = struct.unpack("<I", data[-8:-4])
    footer = Thrift(data[-8 - length : -8]).struct()
    root, *elements = footer[2]
    assert root[5] == len(elements)
    table: list[tuple[Value, ...]] = []
    for group in footer[4]:
        columns = [values(data, chunk[3], element) for chunk, element in zip(group[1], elements, strict=True)]
        assert {len(column) for column in columns} == {group[3]}
        table += zip(*columns, strict=True)
    assert footer[3] == len(table)
    return [element[4].decode() for element in elements], table


def values(data: bytes, meta: dict[int, Any], element: dict[int, Any]) -> list[Value]:
    """One column of one group."""
    reader = Thrift(data, meta[9])
    header = reader.struct()
    packed = data[reader.place : reader.place + header[3]]
    assert meta[7] == reader.place - meta[9] + header[3]
    body = zlib.decompress(packed, 31)
    assert len(body) == header[2]
    [size] = struct.unpack("<I", body[:4])
    runs, present = Thrift(body[4 : 4 + size]), list[int]()
    while runs.place < size:
        count = runs.varint() >> 1
        present += [runs.byte()] * count
    assert len(present) == header[5][1] == meta[5]
    there = iter(plain(body[4 + size :], meta[1], element.get(6), sum(present)))
    return [next(there) if one else None for one in present]


def plain(body: bytes, physical: int, converted: int | None, count: int) -> list[Value]:
    if physical == 0:
        return [bool(body[place // 8] >> place % 8 & 1) for place in range(count)]
    if physical == 5:
        return list(struct.unpack(f"<{count}d", body))
    if physical == 2:
        numbers = struct.unpack(f"<{count}q", body)
        return [EPOCH + timedelta(microseconds=number) for number in numbers] if converted == 10 else list(numbers)
    texts, place = [], 0
    for _ in range(count):
        [length] = struct.unpack("<I", body[place : place + 4])
        texts.append(body[place + 4 : place + 4 + length].decode())
        place += 4 + length
    assert place == len(body)
    return list(texts)


def written(*groups: list[tuple[Value, ...]]) -> bytes:
    stream = ParquetStream(COLUMNS)
    return b"".join([*map(stream.rows, groups), stream.close()])


@given(groups=st.lists(rows, max_size=4))
def test_what_was_given_is_in_the_file(groups: list[list[tuple[Value, ...]]]) -> None:
    names, table = read(written(*groups))
    assert names == [column.name for column in COLUMNS]
    assert table == [row for group in groups for row in group]


def test_a_file_without_rows_is_one() -> None:
    assert read(written()) == read(written([])) == ([column.name for column in COLUMNS], [])


def test_many_columns_and_long_groups_are_in_it() -> None:
    columns = [Column(f"c{number}", ColumnType.INTEGER) for number in range(40)]
    stream = ParquetStream(columns)
    group = [tuple(range(row, row + 40)) for row in range(3_000)]
    names, table = read(stream.rows(group) + stream.rows(group[:1]) + stream.close())
    assert len(names) == 40
    assert table == [*group, group[0]]


def test_the_schema_says_what_the_format_s_own_numbers_mean() -> None:
    file = written()
    [length] = struct.unpack("<I", file[-8:-4])
    _, *elements = Thrift(file[-8 - length : -8]).struct()[2]
    # Type, repetition (optional), name, converted type: parquet.thrift.
    assert elements == [
        {1: 6, 3: 1, 4: b"text", 6: 0},
        {1: 2, 3: 1, 4: b"at", 6: 10},
        {1: 2, 3: 1, 4: b"count"},
        {1: 0, 3: 1, 4: b"is_so"},
        {1: 5, 3: 1, 4: b"ms"},
    ]
