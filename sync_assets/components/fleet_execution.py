"""The seam between Dagster and the work on a fleet: what its definitions call when something is to be done.

Everything heavy (the control database, drivers) is imported when it is needed, not when definitions load. Tests pass
their own `FleetExecution`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from sync_assets.components.notices import Notice, send

if TYPE_CHECKING:
    from sync_assets.fleet.capacity import Gap
    from sync_assets.fleet.periods import Period, PeriodRow
    from sync_assets.project.deployment import PlacedFleet, Project
    from sync_assets.project.fleet import Adopted, Item, Member, PeriodItem
    from sync_assets.store.control import PostgresStore
    from sync_assets.store.fleet.periods import PeriodStore


_PLOTTED = 60  # periods of one plot
_EXPLAINED = 5  # instances whose databases are shown too


@dataclass(frozen=True, slots=True)
class Run:
    """Whose work it is: the run in Dagster, and who or what asked for it."""

    run_id: str
    asked_by: str = ""
    accept: bool = False  # publish past the shrink guard


def _store() -> PostgresStore:
    from sync_assets.store.control import open_store

    return open_store()


def _look_up(project: Project, fleet: PlacedFleet, today: date) -> Adopted:
    from sync_assets.project.fleet import look_up

    with _store() as store:
        return look_up(project, fleet, store, today)


def _members(project: Project, fleet: PlacedFleet) -> Mapping[str, Member]:
    from sync_assets.project.fleet import members

    with _store() as store:
        return members(project, fleet, store)


def _accounts(project: Project, fleet: PlacedFleet, instances: Sequence[str], run: Run) -> Iterator[Item]:
    from sync_assets.project.fleet import collect_accounts

    return collect_accounts(project, fleet, instances, run_id=run.run_id, asked_by=run.asked_by, accept=run.accept)


def _capacity(project: Project, fleet: PlacedFleet, day: date, instances: Sequence[str], run: Run) -> Iterator[Item]:
    from sync_assets.project.fleet import collect_capacity

    return collect_capacity(project, fleet, day, instances, run_id=run.run_id, asked_by=run.asked_by)


def _classify(project: Project, fleet: PlacedFleet, instances: Sequence[str], run: Run) -> Iterator[Item]:
    from sync_assets.project.fleet import classify

    return classify(project, fleet, instances, run_id=run.run_id, asked_by=run.asked_by)


def _aggregate(project: Project, fleet: PlacedFleet, periods: Sequence[Period], run: Run) -> Iterator[PeriodItem]:
    from sync_assets.project.fleet import aggregate

    return aggregate(project, fleet, periods, run_id=run.run_id, asked_by=run.asked_by)


def _due(project: Project, fleet: PlacedFleet, now: datetime) -> Sequence[Period]:
    from sync_assets.project.fleet import due_periods

    return due_periods(project, fleet, now)


def _present(fleet: PlacedFleet, day: date) -> Set[str]:
    from sync_assets.store.fleet.capacity import CapacityStore

    with _store() as store:
        return CapacityStore(store.sessions).present(fleet.name, day)


def _gaps(fleet: PlacedFleet, day: date) -> Sequence[Gap]:
    """Open gaps of one day."""
    from sync_assets.store.fleet.capacity import CapacityStore

    with _store() as store:
        return CapacityStore(store.sessions).gaps(fleet.name, first=day, until=day + timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Growth:
    """What people look at beside a period's summary: the rows that grew most, and the fleet's bytes by period."""

    rows: Sequence[PeriodRow] = ()
    sizes: Mapping[str, int | None] = field(default_factory=lambda: MappingProxyType({}))


def _growth(fleet: PlacedFleet, period: Period) -> Growth:
    """Instances, and the databases of those few that grew most; a day has grown by nothing yet."""
    from sync_assets.store.fleet.periods import PeriodStore

    with _store() as control:
        return _grown(PeriodStore(control.sessions), fleet.name, period)


def _grown(store: PeriodStore, fleet: str, period: Period) -> Growth:
    before = [(starts, row) for starts, row in store.history(fleet, period.name) if starts <= period.starts]
    sizes = {starts.isoformat(): row.last for starts, row in before[-_PLOTTED:]}
    if period.name == "day":
        return Growth((), sizes)
    rows = store.rows(fleet, period, level="instance")
    for most in sorted(rows, key=lambda row: -(row.change or 0))[:_EXPLAINED]:
        rows += store.rows(fleet, period, level="database", instance=most.instance)
    return Growth(rows, sizes)


@dataclass(frozen=True, slots=True)
class FleetExecution:
    """The things that the definitions of a fleet do with the world."""

    look_up: Callable[[Project, PlacedFleet, date], Adopted] = _look_up
    members: Callable[[Project, PlacedFleet], Mapping[str, Member]] = _members
    accounts: Callable[[Project, PlacedFleet, Sequence[str], Run], Iterator[Item]] = _accounts
    capacity: Callable[[Project, PlacedFleet, date, Sequence[str], Run], Iterator[Item]] = _capacity
    classify: Callable[[Project, PlacedFleet, Sequence[str], Run], Iterator[Item]] = _classify
    aggregate: Callable[[Project, PlacedFleet, Sequence[Period], Run], Iterator[PeriodItem]] = _aggregate
    due: Callable[[Project, PlacedFleet, datetime], Sequence[Period]] = _due
    present: Callable[[PlacedFleet, date], Set[str]] = _present
    gaps: Callable[[PlacedFleet, date], Sequence[Gap]] = _gaps
    growth: Callable[[PlacedFleet, Period], Growth] = _growth
    open_store: Callable[[], PostgresStore] = _store
    notify: Callable[[Project, str, Notice], None] = send  # project, name of the feishu_bot connection, what to say


REAL_FLEET = FleetExecution()
