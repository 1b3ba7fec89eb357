"""A fleet whose servers, control database and clock do what a test says; everything of Dagster is real."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TypeVar
from zoneinfo import ZoneInfo

from sync_assets.components.fleet_execution import FleetExecution, Growth, Run
from sync_assets.engine.errors import Stop
from sync_assets.fleet.capacity import Gap
from sync_assets.fleet.model import (
    AccountState,
    Grant,
    Membership,
    Principal,
    PrincipalKind,
    ScopeKind,
    SectionKey,
    SectionName,
    SectionState,
    Status,
)
from sync_assets.fleet.periods import Period, PeriodSummary
from sync_assets.fleet.state import Change, ChangeKind
from sync_assets.project.fleet import Adopted, Item, ItemState, Member, PeriodItem
from sync_assets.project.load import PlacedFleet, Project
from sync_assets.store.fleet.publication import Publication, PublicationState

Told = TypeVar("Told")
FLEET = """
type: sync_assets.components.DatabaseFleet
attributes:
  name: prod
  title: 生产库
  logins: {default: {user: collector, password: "env:FLEET_WORD"}}
  instances:
    - {name: shop, connection: shop, adopted_on: 2026-11-01}
    - {name: 订单库, type: postgres, host: 10.0.0.7}
    - {name: dead, type: mysql, host: 10.0.0.8}
"""
NAMES = ("shop", "订单库", "dead")
SHANGHAI = ZoneInfo("Asia/Shanghai")
ALICE = Principal("alice@%", PrincipalKind.USER)
READS = Grant("alice@%", ScopeKind.TABLE, ("shop", "orders"), "SELECT")
CHANGES = (
    Change(ChangeKind.ADDED, ALICE.name, after=ALICE),
    Change(ChangeKind.GRANTED, ALICE.name, after=READS),
    Change(ChangeKind.JOINED, ALICE.name, after=Membership("alice@%", "readers@")),
)
PUBLISHED = Publication(1, PublicationState.PUBLISHED, AccountState(), AccountState(), CHANGES)
OK = {SectionKey(SectionName.GRANTS): SectionState(Status.OK, rows=3)}
DENIED = {SectionKey(SectionName.GRANTS): SectionState(Status.DENIED, "SELECT on mysql.* is missing: grant it")}


@dataclass
class Scripted:
    """A fleet whose servers do what a test says."""

    bad: dict[str, Item] = field(default_factory=dict)
    error: Exception | None = None
    there: set[str] = field(default_factory=set)
    known: tuple[str, ...] = NAMES
    summary: dict[str, PeriodSummary] = field(default_factory=dict)
    due: list[Period] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    asked: list[tuple[object, ...]] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    trouble: Stop | None = None
    growth: Growth = field(default_factory=Growth)

    def look_up(self, project: Project, fleet: PlacedFleet, today: date) -> Adopted:
        self.asked.append(("look_up", today))
        if self.error:
            raise self.error
        return Adopted(self.known, trouble=self.trouble)

    def members(self, project: Project, fleet: PlacedFleet) -> Mapping[str, Member]:
        def dial() -> None:
            raise AssertionError("nobody dials here")

        return {n: Member(n, n, "mysql", "", dial, adopted_on=date(2026, 11, 1)) for n in self.known}  # type: ignore[arg-type]

    def items(self, what: str, names: Sequence[str], run: Run, counts: Mapping[str, int]) -> Iterator[Item]:
        self.asked.append((what, *names))
        self.runs.append(run)
        if self.error:
            raise self.error
        for name in names:
            plain = Item(name, ItemState.OK, sections=OK, counts=counts, server="MariaDB 10.11")
            item = self.bad.get(name) or plain
            yield replace(item, publication=PUBLISHED) if what == "accounts" and item.sections else item

    def accounts(self, project: Project, fleet: PlacedFleet, names: Sequence[str], run: Run) -> Iterator[Item]:
        return self.items("accounts", names, run, {"principals": 7})

    def capacity(
        self, project: Project, fleet: PlacedFleet, day: date, names: Sequence[str], run: Run
    ) -> Iterator[Item]:
        return self.items(f"capacity {day}", names, run, {"bytes": 1000})

    def classify(self, project: Project, fleet: PlacedFleet, names: Sequence[str], run: Run) -> Iterator[Item]:
        self.asked.append(("classify", *names))
        for name in names:
            yield Item(name, ItemState.OK, counts={"accounts": 7, "class:super": 1})

    def aggregate(
        self, project: Project, fleet: PlacedFleet, periods: Sequence[Period], run: Run
    ) -> Iterator[PeriodItem]:
        self.asked.append(("aggregate", *map(str, periods)))
        for period in periods:
            if period.key in self.summary:
                yield PeriodItem(period, ItemState.OK, self.summary[period.key])
            else:
                yield PeriodItem(period, ItemState.FAILED, error=Stop("no table", hint="migrate"))

    def told(self, what: list[Told]) -> list[Told]:
        if self.error:
            raise self.error
        return what

    @property
    def execution(self) -> FleetExecution:
        def present(fleet: PlacedFleet, day: date) -> Set[str]:
            return self.there

        return FleetExecution(
            look_up=self.look_up, members=self.members, accounts=self.accounts, capacity=self.capacity,
            classify=self.classify, aggregate=self.aggregate, present=present,
            due=lambda p, f, now: self.told(self.due),
            growth=lambda f, period: self.growth, gaps=lambda f, day: [g for g in self.told(self.gaps) if g.day == day],
        )  # fmt: skip
