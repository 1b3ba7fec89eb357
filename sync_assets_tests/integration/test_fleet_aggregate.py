"""Periods in the control database: against plain Python, with holes, repairs, and what no longer belongs."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sync_assets.engine.errors import Stop
from sync_assets.fleet.model import (
    CapacityReading,
    DatabaseSize,
    SectionKey,
    SectionName,
    SectionState,
    ServerFact,
    Status,
)
from sync_assets.fleet.periods import NAMES, Period, PeriodName, PeriodRow, period_of
from sync_assets.store.address import Address
from sync_assets.store.control import PostgresStore
from sync_assets.store.fleet.capacity import CapacityStore
from sync_assets.store.fleet.periods import PeriodStore

SHANGHAI = ZoneInfo("Asia/Shanghai")
MONDAY = date(2026, 11, 2)
LATER = datetime(2027, 6, 1, tzinfo=UTC)
SERVER = ServerFact("postgres", "postgresql", (16, 4))
OK = {
    SectionKey(SectionName.DATABASES): SectionState(Status.OK),
    SectionKey(SectionName.SIZES): SectionState(Status.OK),
}
Sizes = dict[tuple[str, str], int | None]  # of (database, incarnation)


def observed(day: date, hours: int = 3) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=SHANGHAI) + timedelta(hours=hours)


@dataclass
class World:
    """A control database, and one fleet in it."""

    capacity: CapacityStore
    periods: PeriodStore
    admin: psycopg.Connection[Any]
    fleet: str = "f"
    seen: dict[tuple[str, date], Sizes] = field(default_factory=dict)
    spans: list[tuple[str, date, date | None]] = field(default_factory=list)

    def adopt(self, instance: str, first: date, until: date | None = None) -> None:
        self.admin.execute(
            "insert into sync_assets.fleet_instance (fleet, instance, engine, volume_bytes)"
            " values (%s, %s, 'mysql', 1000000) on conflict do nothing",
            [self.fleet, instance],
        )
        self.admin.execute(
            "insert into sync_assets.fleet_span (fleet, instance, adopted_on, retired_on) values (%s, %s, %s, %s)",
            [self.fleet, instance, first, until],
        )
        self.spans.append((instance, first, until))

    def see(self, instance: str, day: date, sizes: Sizes, hours: int = 3) -> None:
        databases = tuple(DatabaseSize(name, inc, size) for (name, inc), size in sizes.items())
        reading = CapacityReading(SERVER, observed(day, hours), OK, databases)
        assert self.capacity.record(self.fleet, instance, day, "run", reading) == "written"
        self.seen[instance, day] = sizes

    def fill(self, instance: str, period: Period, but: tuple[date, ...] = (), start: int = 100) -> None:
        """One database `app` that grows by 10 a day."""
        for n, day in enumerate(period.days):
            if day not in but:
                self.see(instance, day, {("app", ""): start + 10 * n})

    def expected(self, instance: str, period: Period) -> list[date]:
        mine = [(a, b) for name, a, b in self.spans if name == instance]
        return [d for d in period.days if any(a <= d and (b is None or d < b) for a, b in mine)]

    def aggregate(self, period: Period, threshold: float = 0.8) -> Any:
        return self.periods.aggregate(self.fleet, period, threshold, SHANGHAI)

    def rows(self, period: Period) -> dict[tuple[str, str, str], PeriodRow]:
        return {(r.instance, r.database, r.incarnation): r for r in self.periods.rows(self.fleet, period)}

    def due(self, *names: PeriodName, now: datetime = LATER, settle: float = 6) -> list[str]:
        return [str(p) for p in self.periods.due(self.fleet, names, now, SHANGHAI, settle)]

    def stored(self) -> list[Any]:
        return self.admin.execute(
            "select ctid, p.* from sync_assets.fleet_period p where fleet = %s order by 1", [self.fleet]
        ).fetchall()


@pytest.fixture
def world(store: PostgresStore, control_database: Address) -> Iterator[World]:
    store.prepare()
    with psycopg.connect(**control_database.arguments(), autocommit=True) as admin:
        yield World(CapacityStore(store.sessions), PeriodStore(store.sessions, lambda: LATER), admin)


def week(day: date = MONDAY) -> Period:
    return period_of("week", day)


# -- the reference, in plain Python


@dataclass
class Told:
    """What the reference says of one series."""

    expected: list[date]
    points: dict[date, int]

    @property
    def share(self) -> float:
        return len(self.points) / len(self.expected) if self.expected else 0.0

    def numbers(self) -> tuple[Any, ...]:
        if not self.points:
            return (None,) * 8
        days = sorted(self.points)
        sizes = [self.points[d] for d in days]
        slopes = [(self.points[b] - self.points[a]) / (b - a).days for a in days for b in days if a < b]
        p95 = statistics.quantiles(sizes, n=100, method="inclusive")[94] if len(sizes) > 1 else sizes[0]
        change = sizes[-1] - sizes[0] if len(sizes) > 1 else None
        slope = statistics.median(slopes) if slopes else None
        return (sizes[0], sizes[-1], min(sizes), max(sizes), statistics.fmean(sizes), p95, change, slope)


def told_instance(world: World, instance: str, period: Period) -> Told:
    expected = world.expected(instance, period)
    points = {}
    for day in expected:
        sizes = world.seen.get((instance, day))
        if sizes is not None and None not in sizes.values():
            points[day] = sum(s for s in sizes.values() if s is not None)
    return Told(expected, points)


def told_database(world: World, instance: str, key: tuple[str, str], period: Period) -> Told | None:
    """A day is expected unless the instance was there without the database before its first day or after its last."""
    expected = world.expected(instance, period)
    there = [d for d in expected if (instance, d) in world.seen]
    listed = [d for d in there if key in world.seen[instance, d]]
    if not listed:
        return None
    below = max([d for d in there if d < listed[0]], default=date.min)
    above = min([d for d in there if d > listed[-1]], default=date.max)
    sizes = {d: world.seen[instance, d][key] for d in listed}
    return Told([d for d in expected if below < d < above], {d: s for d, s in sizes.items() if s is not None})


def told_fleet(world: World, period: Period) -> Told:
    each = [told_instance(world, name, period) for name in {n for n, _, _ in world.spans}]
    expected = sorted({d for one in each for d in one.expected})
    whole = [d for d in expected if all(d in one.points for one in each if d in one.expected)]
    return Told(expected, {d: sum(one.points.get(d, 0) for one in each) for d in whole})


def growth(now: Told, before: Told | None, threshold: float) -> float | None:
    if before is None or not now.points or not before.points or min(now.share, before.share) < threshold:
        return None
    mean = statistics.fmean(before.points.values())
    return statistics.fmean(now.points.values()) / mean - 1 if mean else None


def agrees(row: PeriodRow, now: Told, before: Told | None, threshold: float) -> None:
    numbers = (row.first, row.last, row.min, row.max, row.mean, row.p95, row.change, row.slope, row.growth)
    for ours, theirs in zip(numbers, (*now.numbers(), growth(now, before, threshold)), strict=True):
        assert ours == (theirs if theirs is None else pytest.approx(theirs, rel=1e-9, abs=1e-9)), row
    assert (row.expected_days, row.present_days) == (len(now.expected), len(now.points))
    assert list(row.missing_days) == [d for d in now.expected if d not in now.points]


size = st.one_of(st.integers(0, 50), st.integers(0, 10**13), st.none())
databases = st.dictionaries(st.sampled_from([("a", "1"), ("a", "2"), ("b", ""), ("客户", "7")]), size, max_size=4)
day_of_an_instance = st.one_of(st.none(), databases, databases, databases)


@st.composite
def histories(draw: st.DrawFn) -> tuple[PeriodName, dict[str, tuple[int, int | None, list[Sizes | None]]]]:
    kinds: list[PeriodName] = ["day", "week", "week", "month"]
    name = draw(st.sampled_from(kinds))
    length = {"day": 2, "week": 14, "month": 61}[name]
    fleet = {}
    for instance in draw(st.sampled_from([["x"], ["x", "y"], ["x", "y", "华东"]])):
        first = draw(st.integers(-5, length - 1))
        until = draw(st.one_of(st.none(), st.integers(max(first, 1), length + 5)))
        fleet[instance] = (first, until, draw(st.lists(day_of_an_instance, min_size=length, max_size=length)))
    return name, fleet


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories(), st.sampled_from([0.3, 0.8, 1.0]))
def test_agrees_with_plain_python(
    world: World, history: tuple[PeriodName, dict[str, tuple[int, int | None, list[Sizes | None]]]], threshold: float
) -> None:
    name, fleet = history
    world = World(world.capacity, world.periods, world.admin, f"f{id(history)}-{threshold}")
    world.admin.execute("delete from sync_assets.fleet_instance where fleet = %s", [world.fleet])
    world.admin.execute("delete from sync_assets.fleet_period where fleet = %s", [world.fleet])
    period = period_of(name, date(2026, 11, 9) if name == "week" else date(2026, 2, 1)).next
    start = period.previous.starts
    for instance, (first, until, days) in fleet.items():
        world.adopt(instance, start + timedelta(first), None if until is None else start + timedelta(until))
        for n, sizes in enumerate(days[: (period.ends - start).days]):
            if sizes is not None:
                world.see(instance, start + timedelta(n), sizes)
    summary = world.aggregate(period, threshold)
    rows = world.rows(period)
    fleet_now = told_fleet(world, period)
    agrees(rows.pop(("", "", "")), fleet_now, told_fleet(world, period.previous), threshold)
    wanted: dict[tuple[str, str, str], tuple[Told, Told | None]] = {}
    for instance in fleet:
        now = told_instance(world, instance, period)
        if now.expected:
            wanted[instance, "", ""] = now, told_instance(world, instance, period.previous)
        for key in [("a", "1"), ("a", "2"), ("b", ""), ("客户", "7")]:
            found = told_database(world, instance, key, period)
            if found is not None:
                wanted[instance, *key] = found, told_database(world, instance, key, period.previous)
    assert set(rows) == set(wanted)
    for place, row in rows.items():
        agrees(row, *wanted[place], threshold)
    missing = [n for n in sorted(fleet) if told_instance(world, n, period).share < 1 and world.expected(n, period)]
    assert sorted(summary.missing_instances) == missing
    assert (summary.status == "complete") == (bool(fleet_now.expected) and not missing)
    before = world.stored()
    assert not world.aggregate(period, threshold).changed
    assert world.stored() == before


# -- by hand


def test_a_whole_week(world: World) -> None:
    world.adopt("订单", MONDAY)
    world.fill("订单", week())
    summary = world.aggregate(week())
    assert (summary.status, summary.expected_days, summary.present_days, summary.completeness) == ("complete", 7, 7, 1)
    assert (summary.rows, summary.written, summary.removed, summary.changed) == (3, 3, 0, True)
    for row in world.periods.rows("f", week()):
        assert (row.first, row.last, row.min, row.max, row.mean, row.change, row.slope) == (
            100,
            160,
            100,
            160,
            130,
            60,
            10,
        )
        assert row.p95 == pytest.approx(157)
        assert row.growth is None
    assert [r.level for r in world.periods.rows("f", week())] == ["fleet", "instance", "database"]
    assert world.periods.summary("f", week()) is not None
    assert world.periods.summary("f", week().next) is None


def test_d8_a_week_with_a_missing_instance_is_partial_and_names_it_until_it_is_repaired(world: World) -> None:
    """Of the original: the tables of databases silently lacked an instance."""
    tuesday = MONDAY + timedelta(1)
    for name in ("订单", "华东", "good"):
        world.adopt(name, MONDAY)
    world.fill("good", week())
    world.fill("订单", week(), but=(tuesday,))
    world.fill("华东", week(), but=week().days)
    first = world.aggregate(week())
    assert (first.status, first.missing_instances) == ("partial", ("华东", "订单"))
    assert first.completeness == pytest.approx(13 / 21)
    assert (first.present_days, first.missing_days) == (0, week().days)
    rows = world.rows(week())
    assert rows["", "", ""].mean is None
    assert {n: rows[n, "", ""].status for n in ("订单", "华东", "good")} == {
        "订单": "partial", "华东": "empty", "good": "complete"
    }  # fmt: skip
    assert rows["订单", "app", ""].missing_days == (tuesday,)
    world.see("订单", tuesday, {("app", ""): 110})
    world.fill("华东", week())
    assert world.due("week")[0] == str(week())
    second = world.aggregate(week())
    assert (second.status, second.missing_instances, second.changed) == ("complete", (), True)
    assert second.input_hash != first.input_hash
    assert world.due("week")[:1] != [str(week())]


def test_defect_13_unknown_growth_is_null_and_the_previous_mean_may_be_zero(world: World) -> None:
    """Of the original: no previous data gave a growth of 0, which is a number."""
    for name in ("new", "zero", "holes", "steady"):
        world.adopt(name, MONDAY - timedelta(7))
    world.fill("new", week())
    world.fill("steady", week().previous)
    world.fill("steady", week(), start=170)
    world.fill("holes", week().previous, but=week().previous.days[:2])
    world.fill("holes", week())
    for n, day in enumerate((*week().previous.days, *week().days)):
        world.see("zero", day, {("app", ""): 0 if n < 7 else 5})
    world.aggregate(week())
    rows = world.rows(week())
    assert {n: rows[n, "", ""].growth for n in ("new", "zero", "holes")} == {"new": None, "zero": None, "holes": None}
    assert rows["steady", "", ""].growth == pytest.approx(200 / 130 - 1)
    assert rows["steady", "app", ""].growth == pytest.approx(200 / 130 - 1)
    world.aggregate(week(), threshold=5 / 7)
    assert world.rows(week())["holes", "", ""].growth is not None


def test_defect_5_growth_of_a_quarter_looks_at_the_whole_one_before(world: World) -> None:
    """Of the original: the second quarter was compared with January and February."""
    quarter = period_of("quarter", date(2026, 4, 1))
    world.adopt("i", date(2026, 1, 1))
    for day in (*quarter.previous.days, *quarter.days):
        world.see("i", day, {("app", ""): 1000 if day.month == 3 else 100})
    world.aggregate(quarter)
    before = (59 * 100 + 31 * 1000) / 90
    assert [row.growth for row in world.rows(quarter).values()] == [pytest.approx(100 / before - 1)] * 3


def test_defect_24_a_recreated_database_is_another_one(world: World) -> None:
    """Of the original: keyed by name, the dropped and the new one were one series."""
    world.adopt("i", MONDAY)
    for n, day in enumerate(week().days):
        world.see("i", day, {("app", "16384" if n < 3 else "16999"): 1000 if n < 3 else 1, ("keep", ""): 7})
    world.aggregate(week())
    rows = world.rows(week())
    old, new = rows["i", "app", "16384"], rows["i", "app", "16999"]
    assert (old.status, old.expected_days, old.mean) == ("complete", 3, 1000)
    assert (new.status, new.expected_days, new.mean) == ("complete", 4, 1)


def test_a_dropped_database_is_not_missing_but_a_day_that_nobody_saw_is(world: World) -> None:
    days = week().days
    world.adopt("i", MONDAY)
    for n, day in enumerate(days):
        if n != 3:  # nobody saw Thursday; `gone` was there on Wednesday and not on Friday
            sizes: Sizes = {("keep", ""): 7}
            sizes |= {("gone", ""): 1} if n < 3 else {("born", ""): 2} if n > 4 else {}
            world.see("i", day, sizes)
    world.aggregate(week())
    rows = world.rows(week())
    assert (rows["i", "gone", ""].expected_days, rows["i", "gone", ""].missing_days) == (4, (days[3],))
    assert (rows["i", "born", ""].expected_days, rows["i", "born", ""].status) == (2, "complete")
    assert rows["i", "keep", ""].missing_days == (days[3],)


def test_a_day_without_one_size_is_missing_for_the_instance_not_for_the_others(world: World) -> None:
    world.adopt("i", MONDAY)
    for n, day in enumerate(week().days):
        world.see("i", day, {("known", ""): 5, ("hidden", ""): None if n == 2 else 8})
    world.aggregate(week())
    rows = world.rows(week())
    assert rows["i", "", ""].missing_days == rows["i", "hidden", ""].missing_days == (week().days[2],)
    assert (rows["i", "", ""].mean, rows["i", "known", ""].status) == (13, "complete")


def test_expected_days_follow_the_spans(world: World) -> None:
    days = week().days
    world.adopt("i", MONDAY - timedelta(30), days[2])
    world.adopt("i", days[5])
    world.adopt("never", days[1], days[1])
    for day in days:
        world.see("i", day, {("app", ""): 5})  # those of the days between do not count
    summary = world.aggregate(week())
    assert (summary.status, summary.expected_days) == ("complete", 4)
    assert ("never", "", "") not in world.rows(week())
    world.admin.execute("update sync_assets.fleet_span set retired_on = '2026-11-05' where adopted_on = '2026-10-03'")
    assert str(week()) in world.due("week")
    assert world.aggregate(week()).expected_days == 5


def test_rows_that_no_longer_belong_vanish_and_others_are_not_touched(world: World) -> None:
    world.adopt("a", MONDAY)
    world.adopt("b", MONDAY)
    world.fill("a", week())
    for day in week().days:
        world.see("b", day, {("app", ""): 5, ("typo", ""): 1})
    world.aggregate(week())
    kept = [row for row in world.stored() if row[6] == "a"]
    for day in week().days:
        world.see("b", day, {("app", ""): 6}, hours=4)
    summary = world.aggregate(week())
    assert (summary.rows, summary.written, summary.removed) == (5, 3, 1)
    assert [row for row in world.stored() if row[6] == "a"] == kept
    world.admin.execute("delete from sync_assets.fleet_span where instance = 'b'")
    assert world.aggregate(week()).removed == 2


def test_d6_only_closed_periods(world: World) -> None:
    """Of the original: at 04:00 it added up the day that had just begun."""
    sunday = week().days[-1]
    world.adopt("i", MONDAY)
    world.fill("i", week())
    now = datetime(2026, 11, 8, 23, 59, 59, tzinfo=SHANGHAI)
    at_work = PeriodStore(world.periods._sessions, lambda: now)
    for name in NAMES:
        with pytest.raises(Stop, match="is not over") as stop:
            at_work.aggregate("f", period_of(name, sunday), 0.8, SHANGHAI)
        assert stop.value.code == "not_closed"
    assert world.stored() == []
    assert world.due("week", "month", now=now) == []
    assert world.due("week", now=now + timedelta(seconds=1)) == ["week 2026-11-02"]


def test_d7_a_period_is_the_same_whenever_it_is_asked_for(world: World) -> None:
    world.adopt("i", MONDAY)
    world.fill("i", week())
    world.aggregate(week())
    before = world.stored()
    for n in range(0, 400, 80):
        now = LATER + timedelta(days=n, hours=n)
        later = PeriodStore(world.periods._sessions, partial(now.astimezone, UTC))
        assert not later.aggregate("f", week(), 0.8, SHANGHAI).changed
    assert world.stored() == before


@pytest.mark.parametrize("broken", ["weekly", "", "all"])
def test_d19_an_unknown_period_is_refused_before_anything_is_written(world: World, broken: str) -> None:
    world.adopt("i", MONDAY)
    with pytest.raises(Stop, match="there is no period"):
        world.periods.due("f", ["week", broken], LATER, SHANGHAI, 6)
    assert world.stored() == []


def test_d1_a_failure_leaves_the_period_as_it_was(world: World) -> None:
    """A constraint that no row of the second computation meets stands for any failure."""
    world.adopt("i", MONDAY)
    world.fill("i", week(), but=week().days[:1])
    world.aggregate(week())
    before = world.stored()
    world.see("i", MONDAY, {("app", ""): 100})
    world.admin.execute(
        "alter table sync_assets.fleet_period add constraint fails check (level <> 'database' or status <> 'complete')"
    )
    with pytest.raises(psycopg.errors.CheckViolation):
        world.aggregate(week())
    assert world.stored() == before
    world.admin.execute("alter table sync_assets.fleet_period drop constraint fails")
    assert world.aggregate(week()).status == "complete"


# -- what is due


def test_what_is_due_is_what_was_never_computed_or_from_other_inputs(world: World) -> None:
    world.adopt("i", MONDAY)
    assert world.due("week", now=observed(MONDAY, 7 * 24)) == []  # over, but nobody came yet: it is waited for
    assert world.due("week", now=observed(MONDAY, 7 * 24 + 6)) == [str(week())]
    for period in (week(), week().next):
        world.fill("i", period)
    now = observed(MONDAY, 14 * 24)
    assert world.due("week", now=now) == [str(week()), str(week().next)]
    for period in (week(), week().next):
        world.aggregate(period)
    assert world.due("week", now=now) == []
    world.see("i", MONDAY + timedelta(2), {("app", ""): 121}, hours=5)
    assert world.due("week", now=now) == [str(week()), str(week().next)]  # the growth of the next one looks back
    world.aggregate(week())
    assert world.due("week", now=now) == [str(week().next)]
    world.aggregate(week().next)
    assert world.due("week", now=now) == []


def test_due_of_all_kinds_since_the_first_day(world: World) -> None:
    assert world.due("day", "week", "month", "quarter") == []
    world.adopt("i", date(2026, 9, 30))
    found = world.due("month", "quarter", "week", now=observed(date(2027, 1, 1), 7))
    assert [f for f in found if f.startswith("quarter")] == ["quarter 2026-07-01", "quarter 2026-10-01"]
    assert [f for f in found if f.startswith("month")] == [f"month 2026-{m}-01" for m in ("09", "10", "11", "12")]
    assert len([f for f in found if f.startswith("week")]) == 13
    assert [f.split()[1] for f in found] == sorted(f.split()[1] for f in found)


def test_a_period_in_which_nothing_was_expected_is_empty_and_not_due_again(world: World) -> None:
    world.adopt("i", MONDAY, MONDAY + timedelta(7))
    summary = world.aggregate(week().next)
    assert (summary.status, summary.expected_days, summary.completeness, summary.rows) == ("empty", 0, None, 1)
    assert str(week().next) not in world.due("week")


def test_days_store_no_databases_and_show_them_all_the_same(world: World) -> None:
    world.adopt("i", MONDAY)
    world.fill("i", week())
    day = period_of("day", MONDAY + timedelta(1))
    assert world.aggregate(day).rows == 2
    row = world.periods.rows("f", day, level="database", instance="i")[0]
    assert (row.database, row.mean, row.first, row.change, row.slope, row.status) == (
        "app",
        110,
        110,
        None,
        None,
        "complete",
    )
    assert row.growth == pytest.approx(0.1)
    assert world.periods.rows("f", day, level="database", instance="other") == []
    assert [r.level for r in world.periods.rows("f", day)] == ["fleet", "instance", "database"]


def test_history_is_in_order(world: World) -> None:
    world.adopt("i", MONDAY)
    for period in (week().next, week()):
        world.fill("i", period)
    for period in (week().next, week()):
        world.aggregate(period)
    assert [d for d, _ in world.periods.history("f", "week")] == [MONDAY, MONDAY + timedelta(7)]
    assert [r.mean for _, r in world.periods.history("f", "week", "i", "app")] == [130, 130]
    assert world.periods.history("f", "month") == []


# -- forecasts


def test_forecasts_are_kept_for_the_instances_of_today(world: World) -> None:
    for name in ("grows", "young", "blind"):
        world.adopt(name, MONDAY)
    world.adopt("gone", MONDAY, MONDAY + timedelta(10))
    for period in (week(), week().next):
        world.fill("grows", period, start=100 if period == week() else 170)
        world.fill("gone", period)
    world.see("young", MONDAY + timedelta(13), {("app", ""): 5})
    now = observed(MONDAY + timedelta(13))
    made = world.periods.forecast("f", now, SHANGHAI)
    assert made == world.periods.forecasts("f")
    assert set(made) == {"grows", "young"}
    grows = made["grows"]
    assert (grows.as_of, grows.days, grows.last_bytes, grows.slope) == (MONDAY + timedelta(13), 14, 230, 10)
    assert grows.days_to_full == pytest.approx((1_000_000 - 230) / 10)
    assert (made["young"].days, made["young"].slope, made["young"].days_to_full) == (1, None, None)
    world.admin.execute("update sync_assets.fleet_span set retired_on = '2026-11-15' where instance = 'young'")
    assert set(world.periods.forecast("f", now, SHANGHAI, days=3)) == {"grows"}
    assert set(world.periods.forecasts("f")) == {"grows"}
