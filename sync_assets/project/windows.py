"""Partitions without Dagster: which windows a sync has, what they are called, where each begins and ends.

The keys are exactly those of Dagster's Hourly-, Daily-, Weekly- (Monday) and MonthlyPartitionsDefinition in the same
time zone, including the hours of a clock change: an hour that does not exist has no key and the one before it is longer
on the wall clock; the second of two equal hours has its offset in the key (``2026-10-25-02:00+0100``).

Aware datetimes of one zone compare by their wall clocks in Python, which is wrong in such hours; so everything here
compares instants (`timestamp()`). Knows no Dagster, no database and no clock: `now` is passed in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from sync_assets.engine.errors import Stop
from sync_assets.engine.model import Partition
from sync_assets.project.deployment import PlacedSync
from sync_assets.project.spec import FixedValues, KeyRanges, TimeWindows

FORMATS = {"hour": "%Y-%m-%d-%H:%M", "day": "%Y-%m-%d", "week": "%Y-%m-%d", "month": "%Y-%m-%d"}
_SHOWN = 5  # keys named in a message

Spec = TimeWindows | FixedValues | KeyRanges


def partition(spec: Spec, key: str, tz: ZoneInfo, *, now: datetime | None = None) -> Partition:
    """The partition called `key`. With `now`, windows that have not begun are refused too.

    Raises `Stop` for a key that the sync does not have, naming some that it has.
    """
    if isinstance(spec, FixedValues | KeyRanges):
        if key not in (known := _fixed(spec)):
            what = (
                "values of partitions.values" if isinstance(spec, FixedValues) else "ranges, named by their first key"
            )
            raise _unknown(key, list(known)[:_SHOWN], what)
        return Partition(key=key, value=key)
    start = _parse(spec, key, tz)
    if start is None or not _in_range(spec, start, tz):
        raise _unknown(key, _examples(spec, tz, now), _FORM[spec.every])
    if now is not None and start.timestamp() > _last_allowed(spec, tz, now):
        raise Stop(f"partition {key} lies in the future or is not closed yet",
                   hint=f"use one of: {', '.join(_examples(spec, tz, now)) or 'none exists yet'}",
                   code="partition")  # fmt: skip
    return Partition(key=key, start=start, end=following(spec, start))


def wanted(placed: PlacedSync, keys: Sequence[str] | None) -> list[Partition]:
    """The partitions of a sync named by `keys`. Raises `Stop` for a key that it does not have, or not yet."""
    parts = placed.spec.partitions
    if parts is None:
        if keys:
            raise Stop(f"{placed.spec.name} has no partitions", hint="leave --partition out")
        return []
    if not keys:
        raise Stop(f"{placed.spec.name} is partitioned", hint="name at least one: --partition KEY", code="partition")
    now = datetime.now(UTC)
    return [partition(parts, key, placed.time_zone, now=now) for key in keys]


def keys(spec: Spec, tz: ZoneInfo, now: datetime) -> list[str]:
    """All keys at the instant `now`, oldest first; the window that `now` is in only with `include_current`."""
    if isinstance(spec, FixedValues | KeyRanges):
        return list(_fixed(spec))
    return [key_of(spec, start) for start in _starts(spec, tz, now)]


def partitions(spec: Spec, tz: ZoneInfo, now: datetime) -> list[Partition]:
    """As `keys`, with bounds."""
    if isinstance(spec, FixedValues | KeyRanges):
        return [Partition(key=value, value=value) for value in _fixed(spec)]
    return [Partition(key_of(spec, s), s, following(spec, s)) for s in _starts(spec, tz, now)]


def bounds(spec: KeyRanges, key: str) -> tuple[int, int]:
    """The first number of the range called `key`, and the first one after it."""
    low = int(key)
    return low, min(low + spec.size, spec.end)


def _fixed(spec: FixedValues | KeyRanges) -> tuple[str, ...]:
    """Keys that do not depend on the time."""
    return tuple(spec.values) if isinstance(spec, FixedValues) else _ranges(spec)


@lru_cache(maxsize=256)
def _ranges(spec: KeyRanges) -> tuple[str, ...]:
    """Of one width, so that they stand in order wherever they are sorted as texts: 0000000000, 0001000000."""
    width = max(10, len(str(spec.end)), len(str(spec.start)))
    return tuple(f"{low:0{width}}" for low in range(spec.start, spec.end, spec.size))


def containing(spec: TimeWindows, instant: datetime, tz: ZoneInfo) -> str | None:
    """The key of the window that `instant` (aware) lies in; None outside of `start` and `end`."""
    start = floor(spec, instant, tz)
    return key_of(spec, start) if _in_range(spec, start, tz) else None


def first_instant(spec: TimeWindows, tz: ZoneInfo) -> datetime:
    """`start` as an aware datetime of `tz`. The first window is the first whole one at or after it."""
    return instant(spec.start, tz)


def end_instant(spec: TimeWindows, tz: ZoneInfo) -> datetime | None:
    """`end` as an aware datetime of `tz`. No window reaches past it."""
    return None if spec.end is None else instant(spec.end, tz)


def instant(value: date | datetime, tz: ZoneInfo) -> datetime:
    """A date (its midnight), a wall clock of `tz`, or an aware datetime, as an aware datetime of `tz`."""
    if not isinstance(value, datetime):
        value = datetime.combine(value, time())
    if value.tzinfo is None:
        value = value.replace(tzinfo=tz)
    return value.astimezone(UTC).astimezone(tz)  # through UTC: a wall clock that a change skipped becomes a real one


def holds_any(spec: TimeWindows, tz: ZoneInfo) -> bool:
    """Whether at least one whole window fits between `start` and `end`."""
    return _in_range(spec, _first(spec, tz), tz)


def floor(spec: TimeWindows, moment: datetime, tz: ZoneInfo) -> datetime:
    """The beginning of the window around `moment`, as an aware datetime of `tz`."""
    local = moment.astimezone(UTC).astimezone(tz)
    if spec.every == "hour":
        return local.replace(minute=0, second=0, microsecond=0)
    day = local.date()
    if spec.every == "week":
        day -= timedelta(days=day.weekday())
    if spec.every == "month":
        day = day.replace(day=1)
    return _midnight(day, tz)


def following(spec: TimeWindows, start: datetime) -> datetime:
    """The beginning of the next window, which is the exclusive end of the one that begins at `start`."""
    if spec.every == "hour":  # an hour of elapsed time: local arithmetic would skip or repeat one at a clock change
        return (start.astimezone(UTC) + timedelta(hours=1)).astimezone(start.tzinfo)
    day = start.date()
    if spec.every == "month":
        day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
    else:
        day += timedelta(days=7 if spec.every == "week" else 1)
    return datetime.combine(day, time(), tzinfo=start.tzinfo)


def key_of(spec: TimeWindows, start: datetime) -> str:
    """The key of the window that begins at `start`."""
    key = start.strftime(FORMATS[spec.every])
    return key + start.strftime("%z") if start.fold and spec.every == "hour" else key


def _midnight(day: date, tz: ZoneInfo) -> datetime:
    # Where a clock change skips midnight this is the first instant of the day all the same (PEP 495, fold=0).
    return datetime.combine(day, time(), tzinfo=tz)


def _first(spec: TimeWindows, tz: ZoneInfo) -> datetime:
    begin = first_instant(spec, tz)
    start = floor(spec, begin, tz)
    return start if start.timestamp() >= begin.timestamp() else following(spec, start)


def _in_range(spec: TimeWindows, start: datetime, tz: ZoneInfo) -> bool:
    end = end_instant(spec, tz)
    if end is not None and following(spec, start).timestamp() > end.timestamp():
        return False
    return start.timestamp() >= _first(spec, tz).timestamp()


def _last_allowed(spec: TimeWindows, tz: ZoneInfo, now: datetime) -> float:
    """The latest beginning that a window may have at `now`."""
    current = floor(spec, now, tz)
    if not spec.include_current:
        return current.timestamp() - 1  # the newest closed window begins before the current one
    # Dagster gives the first window of all one window early (end_offset=1), and we give what Dagster gives.
    first = _first(spec, tz).timestamp()
    upcoming = following(spec, current).timestamp()
    on_boundary = current.timestamp() == now.timestamp()
    return first if first == upcoming and not on_boundary else current.timestamp()


def _starts(spec: TimeWindows, tz: ZoneInfo, now: datetime) -> Iterator[datetime]:
    last, end = _last_allowed(spec, tz, now), end_instant(spec, tz)
    start = _first(spec, tz)
    while start.timestamp() <= last:
        after = following(spec, start)
        if end is not None and after.timestamp() > end.timestamp():
            return
        yield start
        start = after


def _parse(spec: TimeWindows, key: str, tz: ZoneInfo) -> datetime | None:
    """The window's beginning, or None where `key` is not how such a beginning is written."""
    form = FORMATS[spec.every]
    try:
        if spec.every == "hour" and len(key) > len("2026-01-01-00:00"):
            start = datetime.strptime(key, form + "%z").astimezone(tz)
        else:
            start = instant(datetime.strptime(key, form), tz)
    except (ValueError, OverflowError):
        return None
    # The wall clock that the window before ends with, also where a change skips it: windows meet without a gap for
    # naive columns, too.
    start = floor(spec, start, tz)
    return start if key_of(spec, start) == key else None


_FORM = {
    "hour": "hours such as 2026-10-01-13:00",
    "day": "days such as 2026-10-01",
    "week": "weeks, named by their Monday, such as 2026-10-05",
    "month": "months, named by their first day, such as 2026-10-01",
}


def _examples(spec: TimeWindows, tz: ZoneInfo, now: datetime | None) -> list[str]:
    if now is not None:
        return keys(spec, tz, now)[-_SHOWN:]
    return [key_of(spec, _first(spec, tz))] if holds_any(spec, tz) else []


def _unknown(key: str, some: list[str], form: str) -> Stop:
    named = f": {', '.join(some)}" if some else ""
    return Stop(f"there is no partition {key!r}; the partitions are {form}", hint=f"use one of them{named}",
                code="partition")  # fmt: skip
