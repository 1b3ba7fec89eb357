"""Rows of PostgreSQL's COPY BINARY made from columns, a block at a time, by numpy.

The format is that of https://www.postgresql.org/docs/current/sql-copy.html ("Binary Format"): after the header each
row is the number of its fields (int16) and for each its length (int32, -1 for NULL) and its bytes, as the `recv`
function of the type takes them, all big-endian. Knows nothing of where columns come from. Needs numpy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sync_assets.databases.ragged import Bytes, Ints, overlapping, scatter

HEADER = b"PGCOPY\n\xff\r\n\x00" + bytes(8)
TRAILER = b"\xff\xff"
Mask = NDArray[np.bool_]
_SMALL = 16


@dataclass(frozen=True, slots=True)
class Cells:
    """A column whose values have one width: each with its length before it, as it will stand in the row."""

    records: NDArray[Any]  # structured, its first field is the length
    nulls: Mask | None

    @property
    def width(self) -> int:
        return int(self.records.dtype.itemsize) - 4


@dataclass(frozen=True, slots=True)
class Pieces:
    """A column of texts or bytes that lie in `source`; `before` is put before each (jsonb's version)."""

    source: Bytes  # with `_SMALL` bytes to spare behind the last value
    starts: Ints
    lengths: Ints  # 0 where NULL
    nulls: Mask | None
    before: bytes = b""


Column = Cells | Pieces


def cells(values: NDArray[Any], type: Any, nulls: Mask | None) -> Cells:
    """A column of fixed width from its values; `type` is a big-endian dtype, such as ``>i4``, or fields of them."""
    kind = np.dtype([("length", ">i4"), ("value", type)])
    records = np.empty(len(values), kind)
    width = kind.itemsize - 4
    records["length"] = width if nulls is None else np.where(nulls, -1, width)
    records["value"] = values
    return Cells(records, nulls)


def pack(columns: Sequence[Column], rows: int) -> bytes:
    """`rows` rows of `columns`, without header and trailer."""
    sizes = np.full(rows, 2 + 4 * len(columns), np.int64)
    for column in columns:
        sizes += _value_sizes(column)
    ends = np.cumsum(sizes)
    out = np.empty(int(ends[-1]) if rows else 0, np.uint8)
    if rows:
        places = ends - sizes
        overlapping(out, ">i2")[places] = len(columns)
        places += 2
        for number, column in enumerate(columns, 1):
            places = _place(out, places, column, 4 * (len(columns) - number))
    return out.tobytes()


def _value_sizes(column: Column) -> Ints | int:
    if isinstance(column, Pieces):
        if not column.before:
            return column.lengths
        return column.lengths + _present(column.nulls, len(column.before), column.lengths.size)
    return column.width if column.nulls is None else np.where(column.nulls, 0, column.width)


def _present(nulls: Mask | None, value: int, rows: int) -> Ints:
    return np.full(rows, value, np.int64) if nulls is None else np.where(nulls, 0, value)


def _place(out: Bytes, places: Ints, column: Column, room: int) -> Ints:
    """Write one column of all rows and return where the next one begins.

    Columns are written from left to right. So what is written too far right is covered by the next columns, as long as
    it stays within the row: the lengths of the columns to come alone take `room` bytes.
    """
    if isinstance(column, Pieces):
        return _place_pieces(out, places, column, room)
    if column.nulls is None:
        overlapping(out, f"V{4 + column.width}")[places] = _raw(column.records)
        return places + (4 + column.width)
    if column.width <= room:
        overlapping(out, f"V{4 + column.width}")[places] = _raw(column.records)
    else:
        there = ~column.nulls
        overlapping(out, ">i4")[places] = column.records["length"]
        overlapping(out, f"V{4 + column.width}")[places[there]] = _raw(column.records[there])
    return places + np.where(column.nulls, 4, 4 + column.width)


def _raw(records: NDArray[Any]) -> NDArray[Any]:
    return records.view(f"V{records.dtype.itemsize}")


def _place_pieces(out: Bytes, places: Ints, column: Pieces, room: int) -> Ints:
    lengths = column.lengths + len(column.before)
    overlapping(out, ">i4")[places] = lengths if column.nulls is None else np.where(column.nulls, -1, lengths)
    places = places + 4
    if column.before:
        places = _place_before(out, places, column)
    values = column.lengths
    if room >= _SMALL:  # short ones at once, and too far
        overlapping(out, f"V{_SMALL}")[places] = overlapping(column.source, f"V{_SMALL}")[column.starts]
        values = np.where(values > _SMALL, values, 0)
    scatter(out, places, column.source, column.starts, values)
    return places + column.lengths


def _place_before(out: Bytes, places: Ints, column: Pieces) -> Ints:
    there = places if column.nulls is None else places[~column.nulls]
    overlapping(out, f"V{len(column.before)}")[there] = np.frombuffer(column.before, f"V{len(column.before)}")
    return places + _present(column.nulls, len(column.before), places.size)
