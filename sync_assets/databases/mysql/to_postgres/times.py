"""Dates and times of MySQL's binary format as PostgreSQL counts them: days and microseconds since 2000. Needs numpy.

A value is a length (0, 4, 7 or 11 for dates, 0, 8 or 12 for times) and, as far as that goes, its parts; what is cut off
is zero.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from sync_assets.databases.mysql.to_postgres.cut import Values
from sync_assets.databases.ragged import Ints, overlapping

Refuse = Callable[[str], Exception]
_DATE = np.dtype([("year", "<u2"), ("month", "u1"), ("day", "u1"), ("clock", "u1", (3,)), ("micro", "<u4")])
_TIME = np.dtype([("minus", "u1"), ("days", "<u4"), ("clock", "u1", (3,)), ("micro", "<u4")])
_DAY = 86_400_000_000
_YEARS = 10_000


def days(values: Values, refuse: Refuse) -> Ints:
    """Days since 2000-01-01. A date that is none (zero, month or day 0, 30 February, year 0) is refused."""
    assert values.lengths is not None  # noqa: S101 (cut gives it for these types)
    parts = _parts(values, _DATE)
    months = parts["year"].astype(np.int64) * 12 + parts["month"] - 1
    firsts = _firsts()
    at = np.clip(months, 0, _YEARS * 12 - 1)
    found = firsts[at] + parts["day"] - 1
    fine = (values.lengths >= 4) & (parts["month"] >= 1) & (parts["month"] <= 12) & (parts["day"] >= 1)
    fine &= (parts["year"] >= 1) & (found < firsts[at + 1])
    if not _all(fine, values.nulls):
        raise refuse("a date that is none (zero, or with month or day zero)")
    return np.asarray(found, np.int64)


def instants(values: Values, refuse: Refuse) -> Ints:
    """Microseconds since 2000-01-01, of DATETIME and TIMESTAMP."""
    assert values.lengths is not None  # noqa: S101
    parts = _parts(values, _DATE)
    clock = np.where(values.lengths >= 7, _seconds(parts["clock"]), 0)
    micro = np.where(values.lengths >= 11, parts["micro"], 0)
    return np.asarray(days(values, refuse) * _DAY + clock * 1_000_000 + micro, np.int64)


def durations(values: Values) -> Ints:
    """Microseconds of TIME, from -838 to 838 hours."""
    assert values.lengths is not None  # noqa: S101
    parts = _parts(values, _TIME)
    size = parts["days"].astype(np.int64) * 86_400 + _seconds(parts["clock"])
    size = size * 1_000_000 + np.where(values.lengths >= 12, parts["micro"], 0)
    return np.where(values.lengths == 0, 0, np.where(parts["minus"] != 0, -size, size))


def times_of_day(values: Values, refuse: Refuse) -> Ints:
    """Microseconds of TIME, where it is one of a day: 00:00 to 24:00."""
    found = durations(values)
    if not _all((found >= 0) & (found <= _DAY), values.nulls):
        raise refuse("a time below 00:00:00 or above 24:00:00")
    return found


def _parts(values: Values, kind: np.dtype[np.void]) -> NDArray[np.void]:
    return overlapping(values.data, f"V{kind.itemsize}")[values.starts].view(kind)


def _seconds(clock: NDArray[np.uint8]) -> Ints:
    hours, minutes, seconds = (clock[:, n].astype(np.int64) for n in range(3))
    return (hours * 60 + minutes) * 60 + seconds


def _all(fine: NDArray[np.bool_], nulls: NDArray[np.bool_] | None) -> bool:
    return bool((fine if nulls is None else fine | nulls).all())


@cache
def _firsts() -> Ints:
    """The first day of each month from January of the year 0 on, and one more."""
    months = np.arange(-1970 * 12, (_YEARS - 1970) * 12 + 1).astype("M8[M]")
    return months.astype("M8[D]").astype(np.int64) - 10_957  # from 1970 to 2000
