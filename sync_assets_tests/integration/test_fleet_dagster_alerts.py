"""What the group of a fleet is told: a real control database; the bot and the retries of servers are scripted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest

from sync_assets.components.fleet_assets import Made
from sync_assets.components.fleet_execution import FleetExecution
from sync_assets.components.fleet_partitions import cut_of
from sync_assets.components.fleet_sensors import fleet_sensors
from sync_assets.components.notices import Notice
from sync_assets.engine.errors import Retry
from sync_assets.fleet.guard import ShrinkLimit
from sync_assets.fleet.model import (
    AccountReading,
    CapacityReading,
    DatabaseSize,
    SectionKey,
    SectionName,
    SectionState,
    ServerFact,
    Status,
)
from sync_assets.project.fleet import members
from sync_assets.project.load import PlacedFleet, Project
from sync_assets.store.control import PostgresStore
from sync_assets.store.fleet.accounts import AccountStore
from sync_assets.store.fleet.capacity import CapacityStore
from sync_assets.store.fleet.instances import InstanceStore, Listed
from sync_assets_tests.fix_fleet import MORNING, FleetBox, account, account_reading
from sync_assets_tests.fix_project import ProjectOf

FLEET = """
type: sync_assets.components.DatabaseFleet
attributes:
  name: servers
  title: 生产库
  alerts: ops
  logins: {default: {user: collector}}
  instances:
    - {name: 订单库, type: postgres, host: 10.0.0.7}
  capacity_alerts: {growth_share: 0.3, days: 3}
"""
BY_HAND = "  accounts: {schedule: null}\n  capacity: {schedule: null}\n"
DAY = date(2026, 3, 4)


class Group:
    """A sensor of alerts over a real store, and the notices that it sends."""

    def __init__(self, project: Project, box: FleetBox) -> None:
        self.box, self.now = box, MORNING + timedelta(hours=1)
        self.notices: list[Notice] = []
        self.deaf = False
        self.cursor: str | None = None
        fleet = project.fleet("servers")
        capacity = CapacityStore(box.store.sessions)

        @contextmanager
        def opened() -> Iterator[PostgresStore]:
            yield box.store

        def notify(project: Project, bot: str, notice: Notice) -> None:
            if self.deaf:
                raise Retry("the bot does not answer")
            self.notices.append(notice)

        def look(project: Project, fleet: PlacedFleet) -> object:
            return members(project, fleet, box.store)

        execution = FleetExecution(
            members=look,  # type: ignore[arg-type]
            present=lambda fleet, day: capacity.present(fleet.name, day),
            gaps=lambda fleet, day: capacity.gaps(fleet.name, first=day, until=day + timedelta(days=1)),
            open_store=opened,  # type: ignore[arg-type]
            notify=notify,
        )
        made = Made(project, fleet, cut_of(fleet, None, DAY), execution)
        self.sensor = next(s for s in fleet_sensors(made, lambda: self.now) if s.name == "servers__alerts")

    def tick(self) -> list[str]:
        """One tick; returns the lines that were sent."""
        before = len(self.notices)
        result = self.sensor(dg.build_sensor_context(cursor=self.cursor))
        assert isinstance(result, dg.SensorResult)
        self.cursor = result.cursor
        return [line for notice in self.notices[before:] for line in notice.lines]

    def published(self, reading: AccountReading, day: date = DAY) -> None:
        accounts = AccountStore(self.box.store.sessions)
        snapshot = accounts.stage(self.box.fleet, self.box.instance, "run", day, reading)
        assert accounts.publish(snapshot, reading, ShrinkLimit(1, 100)).state == "published"

    def gap(self, reason: str, times: int = 1, day: date = DAY) -> None:
        for _ in range(times):
            CapacityStore(self.box.store.sessions).gap(
                self.box.fleet, self.box.instance, "capacity", day, reason, "nobody answers", "run",  # type: ignore[arg-type]
            )  # fmt: skip

    def measured(self, day: date, size: int) -> None:
        ok = {SectionKey(name): SectionState(Status.OK) for name in (SectionName.DATABASES, SectionName.SIZES)}
        moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
        reading = CapacityReading(
            ServerFact("postgres", "PostgreSQL", (15,)), moment, ok, (DatabaseSize("shop", bytes=size),)
        )
        CapacityStore(self.box.store.sessions).record(self.box.fleet, self.box.instance, day, "run", reading)


@pytest.fixture
def group(project_of: ProjectOf, fleet_box: FleetBox) -> Group:
    return Group(project_of(prod=FLEET + BY_HAND), fleet_box)


def test_a_new_superuser_is_told_once_and_its_end_too(group: Group) -> None:
    """22: an account that exists gains rights; nobody has to collect in Dagster for it."""
    alice, bob = account("alice"), account("bob")
    group.published(account_reading([alice, bob]))
    (baseline,) = group.tick()
    assert "订单库" in baseline
    later = replace(account_reading([replace(alice, superuser=True), bob]), observed_at=MORNING + timedelta(hours=1))
    group.published(later)
    (line,) = group.tick()
    assert '"alice" is a superuser now' in line
    assert group.notices[-1].title == "生产库: 1 new"
    assert not group.notices[-1].recovered
    assert group.tick() == []
    group.published(replace(account_reading([alice, bob]), observed_at=MORNING + timedelta(hours=2)))
    (line,) = group.tick()
    assert '"alice"' in line
    assert group.notices[-1].recovered


def test_a_group_that_could_not_be_reached_is_told_by_the_next_tick(group: Group) -> None:
    group.published(account_reading([account("alice")]))
    assert len(group.tick()) == 1
    later = replace(account_reading([account("alice", superuser=True)]), observed_at=MORNING + timedelta(hours=1))
    group.published(later)
    group.deaf, before = True, group.cursor
    assert group.tick() == []
    assert group.cursor == before
    group.deaf = False
    (line,) = group.tick()
    assert '"alice" is a superuser now' in line
    assert group.tick() == []


def test_a_failed_instance_is_told_after_its_retries_and_when_it_is_back(group: Group) -> None:
    """D3, D16: the first failures of a server that may come back ring nobody up."""
    group.gap("timeout", 7)
    assert group.tick() == []
    group.gap("timeout")
    (line,) = group.tick()
    assert line == f'capacity of "订单库" is missing for {DAY} (timeout): nobody answers'
    assert group.tick() == []
    group.measured(DAY, 1000)
    (line,) = group.tick()
    assert group.notices[-1].recovered
    assert "订单库" in line


def test_a_wrong_password_is_told_at_once(group: Group) -> None:
    """D18: there are no retries to wait for."""
    group.gap("auth")
    assert len(group.tick()) == 1


def test_a_gap_that_stayed_is_told_when_its_day_is_over(group: Group) -> None:
    group.gap("timeout", 2)
    assert group.tick() == []
    group.now += timedelta(days=1)
    assert len(group.tick()) == 1
    assert group.tick() == []


def test_a_run_that_never_came_is_told_the_next_day(project_of: ProjectOf, fleet_box: FleetBox) -> None:
    """20: nothing was collected, so there is no gap that says so."""
    group = Group(project_of(prod=FLEET), fleet_box)
    group.published(account_reading([account("alice")]), DAY - timedelta(days=1))
    group.measured(DAY - timedelta(days=1), 1000)
    assert len(group.tick()) == 1  # the first look at the instance
    group.now += timedelta(days=1)
    assert sorted(group.tick()) == [
        f'accounts of "订单库" is missing for {DAY}, and nothing says why',
        f'capacity of "订单库" is missing for {DAY}, and nothing says why',
    ]
    assert group.tick() == []
    group.measured(DAY + timedelta(days=1), 1000)
    (line,) = group.tick()
    assert line.startswith("capacity")
    assert group.notices[-1].recovered


def long_ago(group: Group, name: str, today: date) -> None:
    """An instance that the YAML adopted long ago, and that is listed here for the first time on `today`."""
    listed = [Listed(one, "postgres", adopted_on=date(2025, 1, 1)) for one in (group.box.instance, name)]
    InstanceStore(group.box.store.sessions).settle(group.box.fleet, listed, today)


def test_an_instance_that_was_never_looked_at_has_no_gap_of_yesterday(
    project_of: ProjectOf, fleet_box: FleetBox
) -> None:
    """Whatever `adopted_on` says: on the day it came, and on the next one, nothing that was missed is ours."""
    group = Group(
        project_of(prod=FLEET.replace("instances:", "instances:\n    - {name: 新库, connection: dw}")), fleet_box
    )
    group.published(account_reading([account("alice")]), DAY - timedelta(days=1))
    group.measured(DAY - timedelta(days=1), 1000)
    group.tick()  # the first look at the old instance
    long_ago(group, "新库", DAY)
    CapacityStore(fleet_box.store.sessions).gap(
        fleet_box.fleet, "新库", "capacity", DAY - timedelta(days=1), "too_late", "can be read no more", "a backfill"
    )
    assert [line for line in group.tick() if "新库" in line] == []
    group.now += timedelta(days=1)
    assert [line for line in group.tick() if "新库" in line] == [], "the hour of its first day may have been over"
    group.now += timedelta(days=1)
    assert sorted(line for line in group.tick() if "新库" in line) == [
        f'accounts of "新库" is missing for {DAY + timedelta(days=1)}, and nothing says why',
        f'capacity of "新库" is missing for {DAY + timedelta(days=1)}, and nothing says why',
    ]


def test_growth_is_told_when_the_sizes_of_the_day_are_there(group: Group) -> None:
    group.measured(DAY - timedelta(days=2), 10**9)
    assert group.tick() == []
    group.measured(DAY, 2 * 10**9)
    (line,) = group.tick()
    assert "grew by 1.0 GB, 100% of it" in line
    assert group.tick() == []


def test_a_fleet_without_a_group_has_no_such_sensor(project_of: ProjectOf) -> None:
    project = project_of(prod=FLEET.replace("  alerts: ops\n", ""))
    fleet = project.fleet("servers")
    made = Made(project, fleet, cut_of(fleet, None, DAY), FleetExecution())
    assert {s.name for s in fleet_sensors(made)} == {"servers__instances", "servers__periods", "servers__retries"}
