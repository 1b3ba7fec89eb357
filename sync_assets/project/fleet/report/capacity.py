"""The figures of a capacity report, for the end of a day: totals, growth, days to full, and what is missing.

A number is only there when everything it is made of is known: a day counts for the fleet when each of its instances
has a total, and a change over 30 days needs exactly these two days. Dials nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sync_assets.fleet.capacity import DatabaseDay, Gap, InstanceDay
from sync_assets.fleet.forecast import WINDOW_DAYS, Forecast, forecast
from sync_assets.fleet.model import TableSize
from sync_assets.project.deployment import PlacedFleet, Project
from sync_assets.project.fleet.members import Member, members, nobody
from sync_assets.project.fleet.report.text import stretches, visible
from sync_assets.store.control import PostgresStore
from sync_assets.store.fleet.capacity import CapacityStore
from sync_assets.store.fleet.instances import InstanceStore, Span

BACK = (7, 30, 90)  # days over which changes are told
TOP = 20  # databases and tables
NOT_ASKED = "not collected"
NOT_OBSERVED = "not observed yet"  # before the instance was known here, whatever day it was adopted on


@dataclass(frozen=True, slots=True)
class FleetDay:
    """A day of the whole fleet. `bytes` is None when the total of an instance is not known; `known` is what is."""

    day: date
    bytes: int | None
    known: int
    present: int
    expected: int


@dataclass(frozen=True, slots=True)
class Missing:
    """Days of an instance without a known total, with one reason."""

    first: date
    last: date
    days: int
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class InstanceSizes:
    """One instance. `points` are its known totals by day, `last` is its newest day with a total or without."""

    member: Member
    points: Mapping[date, int]
    expected: int
    missing: tuple[Missing, ...]
    last: InstanceDay | None
    outlook: Forecast | None

    @property
    def present(self) -> int:
        return self.expected - sum(one.days for one in self.missing)

    @property
    def newest(self) -> date | None:
        """The newest day with a known total."""
        return max(self.points, default=None)

    def change(self, days: int) -> int | None:
        return change_over(self.points, days)


@dataclass(frozen=True, slots=True)
class DatabaseGrowth:
    """A database on the newest day of its instance. `change` is that of 30 days."""

    instance: str
    database: str
    day: date
    bytes: int | None
    change: int | None
    system: bool


@dataclass(frozen=True, slots=True)
class TableAt:
    instance: str
    day: date
    table: TableSize


@dataclass(frozen=True, slots=True)
class CapacityReport:
    """All of it. `days` are those of the window, oldest first; `over`: whether the last of them has ended."""

    fleet: PlacedFleet
    day: date
    days: tuple[FleetDay, ...]
    outlook: Forecast | None
    instances: tuple[InstanceSizes, ...]
    databases: tuple[DatabaseGrowth, ...]
    tables: tuple[TableAt, ...]
    over: bool = True

    @property
    def looked_at(self) -> datetime | None:
        """The latest look of the last day; None where there is none yet."""
        looks = [one.last.observed_at for one in self.instances if one.last is not None and one.last.day == self.day]
        return max(looks, default=None)

    @property
    def complete(self) -> Mapping[date, int]:
        """The totals of the days on which all of the fleet is known."""
        return {one.day: one.bytes for one in self.days if one.bytes is not None}


def change_over(points: Mapping[date, int], days: int) -> int | None:
    """From so many days before the newest day to that day; None where one of the two is not known."""
    last = max(points, default=None)
    first = None if last is None else points.get(last - timedelta(days=days))
    return None if last is None or first is None else points[last] - first


def capacity_report(
    project: Project, fleet: PlacedFleet, store: PostgresStore, today: date, day: date | None = None
) -> CapacityReport:
    """The figures as of a day; without one as of the newest day that has any. Raises `Stop` where nothing is known."""
    sizes, known = CapacityStore(store.sessions), members(project, fleet, store)
    day = day or max((one.day for one in sizes.newest(fleet.name).values()), default=today)
    first, until = day - timedelta(days=WINDOW_DAYS), day + timedelta(days=1)
    series: dict[str, list[InstanceDay]] = defaultdict(list)
    for one in sizes.series(fleet.name, first, until):
        series[one.instance].append(one)
    spans = InstanceStore(store.sessions).spans(fleet.name)
    window = [first + timedelta(days=n) for n in range((until - first).days)]
    here = {name: [d for d in window if _covers(some, d)] for name, some in spans.items()}
    gaps = {(g.instance, g.day): g for g in sizes.gaps(fleet.name, kind="capacity", first=first, until=until)}
    instances = tuple(
        _instance(known[name], series[name], days, gaps)
        for name, days in sorted(here.items())
        if days and name in known
    )
    if not instances:
        raise nobody(fleet, day, spans)
    totals = tuple(_totals(window, instances, here))
    return CapacityReport(
        fleet,
        day,
        totals,
        forecast([(one.day, one.bytes) for one in totals if one.bytes is not None]),
        instances,
        tuple(_databases(sizes, fleet.name, instances)),
        tuple(_tables(sizes, fleet.name, instances)),
        over=day < today,
    )


def _covers(spans: Sequence[Span], day: date) -> bool:
    return any(span.covers(day) for span in spans)


def _instance(
    member: Member, days: Sequence[InstanceDay], expected: Sequence[date], gaps: Mapping[tuple[str, date], Gap]
) -> InstanceSizes:
    points = {one.day: one.bytes for one in days if one.bytes is not None}
    missing = _missing(
        member, [day for day in expected if day not in points], gaps, min((d.day for d in days), default=None)
    )
    outlook = forecast(sorted(points.items()), member.volume)
    return InstanceSizes(member, points, len(expected), tuple(missing), days[-1] if days else None, outlook)


def _missing(
    member: Member, days: Sequence[date], gaps: Mapping[tuple[str, date], Gap], first: date | None
) -> Iterator[Missing]:
    """Days by reason, in unbroken stretches. `first` is the first day of which there is anything."""
    by_reason: dict[tuple[str, str], list[date]] = defaultdict(list)
    for day in days:
        gap = gaps.get((member.name, day))
        observed = member.known(day) or (first is not None and first < day)
        by_reason[(gap.reason, gap.message) if gap else (NOT_ASKED if observed else NOT_OBSERVED, "")].append(day)
    found = [
        Missing(first, last, (last - first).days + 1, reason, visible(message))
        for (reason, message), some in by_reason.items()
        for first, last in stretches(some)
    ]
    yield from sorted(found, key=lambda one: (one.first, one.last))


def _totals(
    window: Sequence[date], instances: Sequence[InstanceSizes], here: Mapping[str, Sequence[date]]
) -> Iterator[FleetDay]:
    """From the first day on which anything was expected."""
    expected: dict[date, int] = defaultdict(int)
    known: dict[date, list[int]] = defaultdict(list)
    for one in instances:
        for day in here[one.member.name]:
            expected[day] += 1
            known[day] += [one.points[day]] if day in one.points else []
    for day in window:
        if expected[day]:
            sizes = known[day]
            whole = sum(sizes) if len(sizes) == expected[day] else None
            yield FleetDay(day, whole, sum(sizes), len(sizes), expected[day])


# -- the largest


def _databases(store: CapacityStore, fleet: str, instances: Sequence[InstanceSizes]) -> list[DatabaseGrowth]:
    """Of every instance on its own newest day; largest first, those of unknown size at the end."""
    newest = {one.member.name: one.last.day for one in instances if one.last is not None}
    found: list[DatabaseGrowth] = []
    for day in sorted(set(newest.values())):
        before = {_key(d): d.bytes for d in _of_day(store, fleet, day - timedelta(days=30))}
        found += [_growth(d, before) for d in _of_day(store, fleet, day) if newest.get(d.instance) == day]
    return sorted(found, key=lambda d: (d.bytes is None, -(d.bytes or 0), d.instance, d.database))


def _of_day(store: CapacityStore, fleet: str, day: date) -> list[DatabaseDay]:
    return store.databases(fleet, day, day + timedelta(days=1))


def _key(one: DatabaseDay) -> tuple[str, str, str]:
    return one.instance, one.database, one.incarnation


def _growth(one: DatabaseDay, before: Mapping[tuple[str, str, str], int | None]) -> DatabaseGrowth:
    was = before.get(_key(one))
    grown = None if one.bytes is None or was is None else one.bytes - was
    return DatabaseGrowth(one.instance, one.database, one.day, one.bytes, grown, one.system)


def _tables(store: CapacityStore, fleet: str, instances: Sequence[InstanceSizes]) -> list[TableAt]:
    found = [
        TableAt(one.member.name, one.last.day, table)
        for one in instances
        if one.last is not None
        for table in store.tables(fleet, one.member.name, one.last.day)[:TOP]
    ]
    return sorted(found, key=lambda t: (-t.table.bytes, t.instance, t.table.database, t.table.schema, t.table.name))[
        :TOP
    ]
