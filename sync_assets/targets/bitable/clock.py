"""A wall clock: what moment a date or a time without a zone means in one time zone, in milliseconds since 1970 UTC.

Knows no board. A board holds few distinct days, so the offset is asked for once a day of the calendar; only on days
on which the clock changes is every time looked at by itself.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from datetime import tzinfo as Zone

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
_NAIVE_EPOCH = datetime(1970, 1, 1)
_DAY = timedelta(days=1)


def milliseconds(value: datetime) -> int:
    """Milliseconds since 1970 UTC of an aware time, rounded down."""
    return (value - EPOCH) // MILLISECOND


class NoSuchTime(ValueError):
    """The clock skips this time: it was put forward on that day."""


class WallClock:
    """The clock of one zone."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self._midnights: dict[date, int] = {}
        self._offsets: dict[date, int | None] = {}  # milliseconds east; None: the clock changes on this day

    def midnight(self, day: date) -> int:
        """When `day` begins."""
        at = self._midnights.get(day)
        if at is None:
            at = milliseconds(datetime(day.year, day.month, day.day, tzinfo=self.zone))
            self._midnights[day] = at
        return at

    def at(self, value: datetime) -> int:
        """The moment of a time without a zone; of two, the first. Raises `NoSuchTime` for one that is skipped."""
        day = value.date()
        try:
            offset = self._offsets[day]
        except KeyError:
            offset = self._offsets[day] = self._steady_offset(day)
        if offset is None:
            return self._on_a_day_of_change(value)
        return (value - _NAIVE_EPOCH) // MILLISECOND - offset

    def _steady_offset(self, day: date) -> int | None:
        begin = datetime(day.year, day.month, day.day, tzinfo=self.zone)
        end = begin if day == date.max else begin + _DAY
        before, after = begin.utcoffset() or timedelta(0), end.utcoffset() or timedelta(0)
        return before // MILLISECOND if before == after else None

    def _on_a_day_of_change(self, value: datetime) -> int:
        aware = value.replace(tzinfo=self.zone)
        if aware.astimezone(UTC).astimezone(self.zone).replace(tzinfo=None) != value:
            raise NoSuchTime
        return milliseconds(aware)
