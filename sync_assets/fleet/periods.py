"""Closed days, weeks, months and quarters of a fleet's time zone, and what is said of one when it was added up.

A period is a value: it comes from its name and a date, or from its partition's key, and is the same whenever it is
asked for. What depends on the moment (`closed`, `collectable`) takes the moment as a parameter: nothing here looks at a
clock. Intervals are half-open: `ends` is the first day that no longer belongs. Must not know where rows are kept.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Literal, get_args

from sync_assets.engine.errors import Stop

PeriodName = Literal["day", "week", "month", "quarter"]
NAMES: tuple[PeriodName, ...] = get_args(PeriodName)
Timing = Literal["on_time", "late", "too_late", "too_early"]
PeriodStatus = Literal["complete", "partial", "empty"]
Level = Literal["fleet", "instance", "database"]
_MONTHS = {"month": 1, "quarter": 3}


@dataclass(frozen=True, slots=True)
class Period:
    """One day, week from Monday, month or quarter. Raises ValueError for dates that are no such period."""

    name: PeriodName
    starts: date
    ends: date  # excluded

    def __post_init__(self) -> None:
        if (self.starts, self.ends) != _bounds(self.name, self.starts):
            raise ValueError(f"{self.starts} to {self.ends} is no {self.name}")

    @property
    def key(self) -> str:
        """Its partition: the first day, as ``2026-11-16``."""
        return self.starts.isoformat()

    @property
    def previous(self) -> Period:
        return period_of(self.name, self.starts - timedelta(days=1))

    @property
    def next(self) -> Period:
        return period_of(self.name, self.ends)

    @property
    def days(self) -> tuple[date, ...]:
        return tuple(self.starts + timedelta(days=n) for n in range((self.ends - self.starts).days))

    def __str__(self) -> str:
        return f"{self.name} {self.key}"


def parse_name(text: str) -> PeriodName:
    """The name of a kind of period. Raises `Stop` for any other text: none is ever guessed or left out."""
    for name in NAMES:
        if name == text:
            return name
    near = difflib.get_close_matches(text.lower(), NAMES, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? There are {', '.join(NAMES)}" if near else f"write one of {', '.join(NAMES)}"
    raise Stop(f"there is no period {text!r}", hint=hint, code="unknown_period")


def period_of(name: PeriodName, day: date) -> Period:
    """The period that holds the day. Raises `Stop` for a name that is none."""
    return Period(name, *_bounds(parse_name(name), day))


def period_of_key(name: PeriodName, key: str) -> Period:
    """The period of a partition's key. Raises `Stop` when no such period begins there."""
    try:
        starts = date.fromisoformat(key)
    except ValueError:
        raise Stop(f"{key!r} is no day", hint="write the first day, as 2026-11-16", code="unknown_period") from None
    period = period_of(name, starts)
    if period.starts != starts:
        raise Stop(f"no {name} begins on {key}", hint=f"the {name} of that day is {period.key}", code="unknown_period")
    return period


def _bounds(name: PeriodName, day: date) -> tuple[date, date]:
    if name == "day":
        return day, day + timedelta(days=1)
    if name == "week":
        monday = day - timedelta(days=day.weekday())
        return monday, monday + timedelta(days=7)
    months = _MONTHS[name]
    first = day.replace(month=day.month - (day.month - 1) % months, day=1)
    over = first.month - 1 + months
    return first, date(first.year + over // 12, over % 12 + 1, 1)


def local_day(moment: datetime, zone: tzinfo) -> date:
    """The date on the wall in `zone` at that moment. Raises ValueError for a moment that says no zone."""
    if moment.utcoffset() is None:
        raise ValueError("a moment without a zone belongs to no day")
    return moment.astimezone(zone).date()


def closed(period: Period, now: datetime, zone: tzinfo) -> bool:
    """Whether its last day is over in `zone`."""
    return local_day(now, zone) >= period.ends


def ended_at(period: Period, zone: tzinfo) -> datetime:
    """The moment at which its last day is over in `zone`, in UTC."""
    return datetime.combine(period.ends, time(), zone).astimezone(UTC)


def closed_since(name: PeriodName, first: date, now: datetime, zone: tzinfo) -> Iterator[Period]:
    """All closed periods from the one that holds `first`, oldest first."""
    period = period_of(name, first)
    while closed(period, now, zone):
        yield period
        period = period.next


def collectable(day: date, now: datetime, zone: tzinfo, grace_hours: float = 0) -> Timing:
    """Whether sizes seen at `now` may stand under `day`: they exist only at the moment at which they are read.

    ``late`` is within the grace after the day, and is marked as such; ``too_late`` leaves a gap.
    """
    today = local_day(now, zone)
    if today <= day:
        return "on_time" if today == day else "too_early"
    over = ended_at(period_of("day", day), zone)
    return "late" if now < over + timedelta(hours=grace_hours) else "too_late"


# -- what a period came to


@dataclass(frozen=True, slots=True)
class PeriodSummary:
    """The fleet in one period, and what writing it did. `rows` stand now; of these `written` are new or changed.

    A day counts as present here when every instance that is expected on it has a known total. `completeness` is the
    share of instance-days; None where nothing was expected.
    """

    period: Period
    status: PeriodStatus
    expected_days: int
    present_days: int
    missing_days: tuple[date, ...]
    missing_instances: tuple[str, ...]
    completeness: float | None
    input_hash: str
    rows: int
    written: int
    removed: int
    computed_at: datetime

    @property
    def changed(self) -> bool:
        return self.written + self.removed > 0


@dataclass(frozen=True, slots=True)
class PeriodRow:
    """One period of the fleet, of an instance or of a database. Bytes; None is unknown, never 0.

    Numbers are over the present days. `change` is last minus first, `slope` Theil-Sen in bytes a day, both from two
    days on; `growth` that of the mean against the previous period, None unless both are complete enough.
    """

    level: Level
    instance: str
    database: str
    incarnation: str
    status: PeriodStatus
    expected_days: int
    present_days: int
    missing_days: tuple[date, ...]
    missing_instances: tuple[str, ...]
    completeness: float | None
    first: int | None
    last: int | None
    min: int | None
    max: int | None
    mean: float | None
    p95: float | None
    change: int | None
    slope: float | None
    growth: float | None
    input_hash: str
    computed_at: datetime
