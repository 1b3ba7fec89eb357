"""DECIMAL and large integers of MySQL as PostgreSQL's numeric: digits to the base of 10,000. Needs numpy.

PostgreSQL's `numeric_recv` drops zeros at both ends by itself, so that all values of a column can have one width.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sync_assets.databases.mysql.to_postgres.cut import Values
from sync_assets.databases.postgres.copyrows import Cells
from sync_assets.databases.ragged import overlapping

Digits = NDArray[np.int16]
_NEGATIVE = 0x4000
_MINUS = ord("-")


def from_decimals(values: Values, precision: int, scale: int) -> Cells:
    """Texts such as ``-12.50``, all with `scale` digits after the point."""
    assert values.lengths is not None  # noqa: S101 (cut gives it for texts)
    width = precision + 2  # a sign and a point; whole part at least one digit
    ends = values.starts + values.lengths - width
    texts = overlapping(values.data, f"V{width}")[np.maximum(ends, 0)].view(np.uint8).reshape(-1, width)
    digits = (texts - np.uint8(48)) * (np.arange(width) >= width - values.lengths[:, None])
    digits[digits > 9] = 0  # the sign
    whole = digits[:, : width - scale - 1] if scale else digits
    parts = [_groups(whole, left=True)]
    if scale:
        parts.append(_groups(digits[:, width - scale :], left=False))
    negative = values.data[values.starts] == _MINUS
    return _cells(np.concatenate(parts, axis=1), parts[0].shape[1], scale, negative, values)


def from_integers(numbers: NDArray[Any], values: Values) -> Cells:
    """Integers of 64 bits, with a sign or without."""
    negative = numbers < 0
    rest = np.where(negative, np.negative(numbers), numbers).astype(np.uint64)
    groups = np.empty((len(numbers), 5), np.int16)
    for at in range(4, -1, -1):
        rest, groups[:, at] = np.divmod(rest, np.uint64(10_000))
    return _cells(groups, 5, 0, negative, values)


def _groups(digits: NDArray[np.uint8], *, left: bool) -> Digits:
    """Single digits in fours, filled up with zeros on one side."""
    missing = -digits.shape[1] % 4
    padded = np.pad(digits, ((0, 0), (missing, 0) if left else (0, missing)))
    fours = padded.reshape(len(digits), -1, 4).astype(np.int16)
    return np.asarray(fours @ np.array([1000, 100, 10, 1], np.int16), np.int16)


def _cells(groups: Digits, whole: int, scale: int, negative: NDArray[np.bool_], values: Values) -> Cells:
    count = groups.shape[1]
    value = [("count", ">i2"), ("weight", ">i2"), ("sign", ">u2"), ("scale", ">i2"), ("groups", ">i2", (count,))]
    kind = np.dtype([("length", ">i4"), *value])
    records = np.empty(len(groups), kind)
    records["length"] = kind.itemsize - 4 if values.nulls is None else np.where(values.nulls, -1, kind.itemsize - 4)
    records["count"], records["weight"], records["scale"] = count, whole - 1, scale
    records["sign"] = np.where(negative, _NEGATIVE, 0)
    records["groups"] = groups
    return Cells(records, values.nulls)
