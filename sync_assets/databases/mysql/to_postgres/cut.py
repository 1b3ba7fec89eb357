"""Columns cut out of rows in MySQL's binary format, block by block, by numpy. Knows no other database.

Each column begins where the one before it ends, in each row somewhere else; so a walk from left to right keeps the
place of every row, and yields per column where its values are. Layout of the values:
https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_binary_resultset.html
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pymysql.constants import FIELD_TYPE

from sync_assets.databases.mysql.to_postgres.packets import Rows
from sync_assets.databases.mysql.types import Field
from sync_assets.databases.ragged import Bytes, Ints, overlapping

WIDTHS = {
    FIELD_TYPE.TINY: 1, FIELD_TYPE.SHORT: 2, FIELD_TYPE.YEAR: 2, FIELD_TYPE.INT24: 4, FIELD_TYPE.LONG: 4,
    FIELD_TYPE.LONGLONG: 8, FIELD_TYPE.FLOAT: 4, FIELD_TYPE.DOUBLE: 8,
}  # fmt: skip
_LONGER = {252: ("<u2", 3), 253: ("<u4", 4), 254: ("<u8", 9)}  # lengths from 251 on: where and how they are written
_THREE_BYTES = 0xFFFFFF


@dataclass(frozen=True, slots=True)
class Values:
    """The values of one column: where each begins in `data`, how long it is (0 where NULL), and where there is none."""

    field: Field
    data: Bytes
    starts: Ints
    lengths: Ints | None  # None: all as wide as WIDTHS says; what stands at a NULL means nothing
    nulls: NDArray[np.bool_] | None


def columns(rows: Rows, fields: Sequence[Field]) -> Iterator[Values]:
    """The columns of a block, from left to right."""
    at = rows.starts + 1 + (len(fields) + 9) // 8
    for number, field in enumerate(fields):
        nulls = _nulls(rows, number + 2)
        width = WIDTHS.get(field.code)
        if width is not None:
            yield Values(field, rows.data, at, None, nulls)
            at = at + (width if nulls is None else np.where(nulls, 0, width))
        else:
            starts, lengths = _measured(rows.data, at, nulls)
            yield Values(field, rows.data, starts, lengths, nulls)
            at = starts + lengths


def _nulls(rows: Rows, bit: int) -> NDArray[np.bool_] | None:
    """Where the column is NULL; None if nowhere."""
    found = rows.data[rows.starts + (1 + bit // 8)] & (1 << bit % 8) != 0
    return found if found.any() else None


def _measured(data: Bytes, at: Ints, nulls: NDArray[np.bool_] | None) -> tuple[Ints, Ints]:
    """Where values begin and how long they are, by the length before each. A NULL has not even a length."""
    lengths = data[at].astype(np.int64)
    starts = at + 1
    if nulls is not None:
        lengths[nulls] = 0
        starts[nulls] -= 1
    if lengths.max(initial=0) > 250:
        marks = lengths.copy()
        for mark, (type, size) in _LONGER.items():
            if (rows := np.flatnonzero(marks == mark)).size:
                found = overlapping(data, type)[at[rows] + 1].astype(np.int64)
                lengths[rows] = found & _THREE_BYTES if size == 4 else found
                starts[rows] = at[rows] + size
    return starts, lengths
