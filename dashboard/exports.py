"""Tables as files: CSV, JSON lines and Parquet, written while they are read.

Called by the export routes. Invariant: no file is ever whole in memory, and an export that fails ends the connection
before its last chunk, so that a cut file is never taken for a whole one.
"""

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

import msgspec

from dashboard.parquet import Column, ParquetStream, Value

# A cell that begins so is a formula to a spreadsheet; a quote before it makes it text.
FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r")

Batch = Sequence[Sequence[Value]]


class ExportFormat(StrEnum):
    """The files that a table can become; the value is the file's suffix."""

    CSV = "csv"
    JSON_LINES = "jsonl"
    PARQUET = "parquet"


CONTENT_TYPES: Final = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.JSON_LINES: "application/x-ndjson",
    ExportFormat.PARQUET: "application/vnd.apache.parquet",
}


async def export_chunks(
    form: ExportFormat, columns: Sequence[Column], batches: AsyncIterator[Batch]
) -> AsyncIterator[bytes]:
    """The file's bytes, a chunk for each batch; encoded on a thread, because other requests wait for this loop."""
    encode, ending = _encoder(form, columns)
    yield await asyncio.to_thread(encode, ())
    async for batch in batches:
        if batch:
            yield await asyncio.to_thread(encode, batch)
    if ending:
        yield ending()


def _encoder(
    form: ExportFormat, columns: Sequence[Column]
) -> tuple[Callable[[Batch], bytes], Callable[[], bytes] | None]:
    """What turns a batch into bytes, the first call also bringing the file's head, and what ends the file."""
    match form:
        case ExportFormat.PARQUET:
            stream = ParquetStream(columns)
            return stream.rows, stream.close
        case ExportFormat.JSON_LINES:
            names = [column.name for column in columns]
            encode = msgspec.json.Encoder().encode
            return lambda batch: b"".join(encode(dict(zip(names, row, strict=True))) + b"\n" for row in batch), None
        case ExportFormat.CSV:
            is_first = True

            def rows(batch: Batch) -> bytes:
                nonlocal is_first
                text = io.StringIO()
                writer = csv.writer(text, lineterminator="\r\n")
                if is_first:
                    writer.writerow([column.name for column in columns])
                    is_first = False
                writer.writerows([_cell(value) for value in row] for row in batch)
                return text.getvalue().encode()

            return rows, None


def _cell(value: Value) -> str | int | float:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, str) and value.startswith(FORMULA_STARTS):
        return f"'{value}"
    return value
