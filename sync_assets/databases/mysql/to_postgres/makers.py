"""How the values of one column become PostgreSQL's, by MySQL's type code and the name of the target's type.

`maker` chooses once per column; what it returns is called once per block. Needs numpy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pymysql.constants import FIELD_TYPE, FLAG

from sync_assets.databases.mysql.to_postgres import numerics, times
from sync_assets.databases.mysql.to_postgres.cut import WIDTHS, Values
from sync_assets.databases.mysql.to_postgres.times import Refuse
from sync_assets.databases.mysql.types import Field
from sync_assets.databases.postgres.copyrows import Cells, Column, Pieces, cells
from sync_assets.databases.ragged import overlapping

Make = Callable[[Values], Column]
_FLOATS = {FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE}
_DECIMALS = {FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL}
_WIDE = {"int2": 2, "int4": 4, "int8": 8}
_UUID_TEXT = 36
_HYPHENS = (8, 13, 18, 23)
_JSONB_VERSION = b"\x01"


def maker(field: Field, target: str, refuse: Refuse) -> Make:
    """The way of one column. `refuse` makes the error for a value that the target cannot hold."""
    if field.code == FIELD_TYPE.BIT:
        return lambda values: _numbers(_bits(values), target, values, refuse)
    if field.code in _FLOATS:
        return lambda values: cells(_plain(values), f">f{target[-1]}", values.nulls)
    if field.code in WIDTHS:
        return lambda values: _numbers(_plain(values), target, values, refuse)
    if field.code in _DECIMALS and target == "numeric":
        precision, scale = _measures(field)
        return lambda values: numerics.from_decimals(values, precision, scale)
    special = _SPECIAL.get(target)
    return (lambda values: special(values, refuse)) if special else _pieces


def _measures(field: Field) -> tuple[int, int]:
    return field.length - (not field.flags & FLAG.UNSIGNED) - (field.scale > 0), field.scale


def _plain(values: Values) -> NDArray[Any]:
    """Numbers as the server wrote them, little-endian."""
    width = WIDTHS[values.field.code]
    kind = "f" if values.field.code in _FLOATS else "u" if values.field.flags & FLAG.UNSIGNED else "i"
    return overlapping(values.data, f"V{width}")[values.starts].view(f"<{kind}{width}")


def _bits(values: Values) -> NDArray[Any]:
    """A BIT(1): its one byte."""
    found: NDArray[Any] = np.where(values.lengths == 0, 0, values.data[values.starts]).astype(np.uint8)
    return found


def _numbers(numbers: NDArray[Any], target: str, values: Values, refuse: Refuse) -> Cells:
    if target == "bool":
        if not _fits(numbers, 0, 1, values):
            raise refuse("a number that is neither 0 nor 1")
        return cells(numbers == 1, "u1", values.nulls)
    if target == "numeric":
        return numerics.from_integers(numbers, values)
    kind = np.dtype(f">i{_WIDE[target]}")
    bounds = np.iinfo(kind)
    if not np.can_cast(numbers.dtype, kind) and not _fits(numbers, bounds.min, bounds.max, values):
        raise refuse("a number that is too large")
    return cells(numbers, kind, values.nulls)


def _fits(numbers: NDArray[Any], least: int, most: int, values: Values) -> bool:
    present = numbers if values.nulls is None else numbers[~values.nulls]
    if not present.size:
        return True
    return bool(int(present.max()) <= most and int(present.min()) >= least)


def _pieces(values: Values) -> Pieces:
    assert values.lengths is not None  # noqa: S101 (no type of one width comes here)
    return Pieces(values.data, values.starts, values.lengths, values.nulls)


def _jsonb(values: Values, refuse: Refuse) -> Pieces:
    assert values.lengths is not None  # noqa: S101
    return Pieces(values.data, values.starts, values.lengths, values.nulls, _JSONB_VERSION)


def _uuids(values: Values, refuse: Refuse) -> Cells:
    """``xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx`` in either case; other spellings are refused."""
    texts = overlapping(values.data, f"V{_UUID_TEXT}")[values.starts].view(np.uint8).reshape(-1, _UUID_TEXT)
    nibbles = _NIBBLES[np.delete(texts, _HYPHENS, axis=1)]
    fine = (values.lengths == _UUID_TEXT) & (nibbles < 16).all(axis=1) & (texts[:, _HYPHENS] == ord("-")).all(axis=1)
    if not (fine if values.nulls is None else fine | values.nulls).all():
        raise refuse("a text that is no UUID")
    return cells(nibbles[:, ::2] << 4 | nibbles[:, 1::2], ("u1", (16,)), values.nulls)


def _nibble_table() -> NDArray[np.uint8]:
    table = np.full(256, 255, np.uint8)
    for value, digit in enumerate("0123456789abcdef"):
        table[ord(digit)] = table[ord(digit.upper())] = value
    return table


_NIBBLES = _nibble_table()


def _dates(values: Values, refuse: Refuse) -> Cells:
    return cells(times.days(values, refuse), ">i4", values.nulls)


def _instants(values: Values, refuse: Refuse) -> Cells:
    return cells(times.instants(values, refuse), ">i8", values.nulls)


def _times(values: Values, refuse: Refuse) -> Cells:
    return cells(times.times_of_day(values, refuse), ">i8", values.nulls)


def _intervals(values: Values, refuse: Refuse) -> Cells:
    """Microseconds, days, months."""
    micros = times.durations(values)
    whole = np.zeros(len(micros), [("micros", "<i8"), ("days", "<i4"), ("months", "<i4")])
    whole["micros"] = micros
    return cells(whole, [("micros", ">i8"), ("days", ">i4"), ("months", ">i4")], values.nulls)


_SPECIAL: dict[str, Callable[[Values, Refuse], Column]] = {
    "jsonb": _jsonb, "uuid": _uuids, "date": _dates, "timestamp": _instants, "timestamptz": _instants,
    "time": _times, "interval": _intervals,
}  # fmt: skip
