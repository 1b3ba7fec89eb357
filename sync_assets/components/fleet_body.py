"""What happens inside a run over a fleet: the work is done elsewhere, this tells Dagster about it.

One run covers many instances, days or periods. Each good one gets its events the moment it is done, so that a run
that is killed loses none; failures are collected and raised once at the end, so that Dagster marks exactly those.
Must not know how definitions are built, and never asks which day it is: the partition key says it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

import dagster as dg

from sync_assets.components import fleet_metadata as shown
from sync_assets.components import fleet_partitions as cuts
from sync_assets.components.body import ended, unexpected
from sync_assets.components.fleet_execution import FleetExecution, Run
from sync_assets.components.naming import slug
from sync_assets.engine.errors import SyncError
from sync_assets.store import redaction

if TYPE_CHECKING:
    from sync_assets.fleet.periods import PeriodName
    from sync_assets.project.deployment import PlacedFleet, Project
    from sync_assets.project.fleet import Item, PeriodItem

INVENTORY, PERMISSIONS, CLASSES = "account_inventory", "account_permissions", "account_classification"
SNAPSHOT = "capacity_snapshot"
SECTIONS, COMPLETE = "sections", "complete"
_SHOWN = 5  # failures named in a message

FleetEvents = Iterator[dg.AssetMaterialization | dg.AssetCheckEvaluation]


@dataclass(frozen=True, slots=True)
class Work:
    """What a body works with: one fleet, its cut, the run that it is in, and what has gone wrong so far."""

    execution: FleetExecution
    project: Project
    fleet: PlacedFleet
    cut: cuts.FleetCut
    context: dg.AssetExecutionContext
    failed: dict[str, str] = field(default_factory=dict)

    def key(self, name: str) -> dg.AssetKey:
        return asset_key(self.fleet.name, name)

    def wanted(self, name: str) -> bool:
        return self.key(name) in self.context.selected_asset_keys

    @property
    def keys(self) -> list[str]:
        return [str(key) for key in self.context.partition_keys]

    @property
    def run(self) -> Run:
        config = self.context.op_execution_context.op_config or {}
        return Run(self.context.run.run_id, asked_by(self.context.run.tags), bool(config.get("accept")))

    def materialized(
        self, name: str, partition: str, metadata: Mapping[str, dg.MetadataValue]
    ) -> dg.AssetMaterialization:
        return dg.AssetMaterialization(self.key(name), partition=partition, metadata=metadata)

    def checked(self, name: str, check: str, partition: str, trouble: str) -> dg.AssetCheckEvaluation:
        """A warning on one partition, passed where there is no trouble. A partition that failed is warned of as well:
        of a check that was planned and not told, Dagster says that its execution failed."""
        return dg.AssetCheckEvaluation(
            asset_key=self.key(name), check_name=check, passed=not trouble, metadata={},
            severity=dg.AssetCheckSeverity.WARN, description=trouble or None, partition=partition,
        )  # fmt: skip


def asset_key(fleet: str, name: str) -> dg.AssetKey:
    return dg.AssetKey([slug(fleet), name])


def asked_by(tags: Mapping[str, str]) -> str:
    """Who or what asked for a run, by the tags that Dagster gives it."""
    for tag, what in (("dagster/schedule_name", "schedule"), ("dagster/sensor_name", "sensor"),
                      ("dagster/backfill", "backfill"), ("user", "user")):  # fmt: skip
        if tag in tags:
            return f"{what} {tags[tag]}"
    return "dagster"


def run_body(work: Work, body: Callable[[Work], FleetEvents]) -> FleetEvents:
    """Yield the events of `body`, and at the end raise one failure for all that went wrong."""
    redaction.install()
    try:
        yield from body(work)
    except SyncError as error:
        raise ended(work.context, str(error), work.failed) from None
    except Exception as error:  # Dagster would keep its text, which may quote a value or a secret
        raise unexpected(work.context, error) from None
    if work.failed:
        raise ended(work.context, _summary(work.failed, len(work.keys)), work.failed)


def _summary(failed: Mapping[str, str], total: int) -> str:
    lines = [f"{key}: {reason}" for key, reason in list(failed.items())[:_SHOWN]]
    more = f" (and {len(failed) - _SHOWN} more)" if len(failed) > _SHOWN else ""
    return f"{len(failed)} of {total} failed: {'; '.join(lines)}{more}"


# -- accounts ---------------------------------------------------------------------------------------------------


def accounts(work: Work) -> FleetEvents:
    """Inventory and permissions out of one look at each instance, then the classes of what was published."""
    names = _members_of(work, work.keys)
    if not (work.wanted(INVENTORY) or work.wanted(PERMISSIONS)):
        yield from _classes(work, names)
        return
    published: list[str] = []
    for item in work.execution.accounts(work.project, work.fleet, names, work.run):
        yield from _looked(work, item)
        if item.publication and item.state.good:
            published.append(item.instance)
    if work.wanted(CLASSES) and published:
        yield from _classes(work, published)


def _members_of(work: Work, keys: Sequence[str]) -> list[str]:
    """Those keys that are instances of the fleet. One that has left is no failure."""
    known = work.execution.members(work.project, work.fleet)
    for key in keys:
        if key not in known:
            work.context.log.warning(f"{key} is no instance of {work.fleet.name} any more")
    return [key for key in keys if key in known]


def _looked(work: Work, item: Item) -> FleetEvents:
    """What one look at the accounts of an instance came to. One that the guard refused was staged all the same."""
    if item.sections:
        yield work.materialized(INVENTORY, item.instance, shown.of_inventory(item))
    if not item.state.good:
        work.failed[item.instance] = _reason(item)
        yield work.checked(PERMISSIONS, SECTIONS, item.instance, _reason(item))
        return
    if item.publication is None:
        work.context.log.warning(f"{item.instance} was not looked at: it belongs to the fleet no more, or not yet")
        return
    yield work.materialized(PERMISSIONS, item.instance, shown.of_permissions(item))
    yield work.checked(PERMISSIONS, SECTIONS, item.instance, shown.denied(item))


def _classes(work: Work, names: Sequence[str]) -> FleetEvents:
    for item in work.execution.classify(work.project, work.fleet, names, work.run):
        if item.state.good and item.error:
            work.context.log.warning(str(item.error))
        elif item.state.good:
            yield work.materialized(CLASSES, item.instance, shown.of_classes(item))
        else:
            work.failed[item.instance] = f"classification: {_reason(item)}"


def _reason(item: Item) -> str:
    return str(item.error) if item.error else item.reason or str(item.state)


# -- capacity ---------------------------------------------------------------------------------------------------


def capacity(work: Work) -> FleetEvents:
    """The sizes of each day asked for. What the ledger has is not collected again, unless the run asks for it."""
    known = work.execution.members(work.project, work.fleet)
    for day, keys in cuts.by_day(work.keys).items():
        expected = [name for name, member in known.items() if member.belongs(day)]
        wanted = {key: [n for n in expected if work.cut.member_of(n) == key] for key in keys}
        for key in keys:
            if not wanted[key] and work.cut.by == "instance":
                work.context.log.warning(f"{key} was no instance of {work.fleet.name} on {day}")
        yield from _day(work, day, {key: names for key, names in wanted.items() if names or work.cut.by == "group"})


def _day(work: Work, day: date, wanted: Mapping[str, Sequence[str]]) -> FleetEvents:
    """One day: a partition is told as soon as its last instance is done."""
    again = (work.context.op_execution_context.op_config or {}).get("again")
    there = set() if again else set(work.execution.present(work.fleet, day))
    left = {key: {name for name in names if name not in there} for key, names in wanted.items()}
    done: dict[str, list[Item]] = {key: [] for key in wanted}
    for key, names in left.items():
        if not names:
            yield work.materialized(SNAPSHOT, cuts.snapshot_key(day, key), shown.of_present(len(wanted[key])))
    todo = [name for names in left.values() for name in sorted(names)]
    for item in work.execution.capacity(work.project, work.fleet, day, todo, work.run) if todo else ():
        key = work.cut.member_of(item.instance)
        left[key].discard(item.instance)
        done[key].append(item)
        if not left[key]:
            yield from _measured(work, cuts.snapshot_key(day, key), done[key], len(wanted[key]))


def _measured(work: Work, key: str, items: Sequence[Item], of: int) -> FleetEvents:
    bad = [item for item in items if not item.state.good]
    if bad:
        named = [_reason(bad[0])] if work.cut.by == "instance" else [f"{i.instance}: {_reason(i)}" for i in bad]
        work.failed[key] = "; ".join(named[:_SHOWN]) + (f" (and {len(bad) - _SHOWN} more)" if len(bad) > _SHOWN else "")
        yield work.checked(SNAPSHOT, SECTIONS, key, work.failed[key])
        return
    yield work.materialized(SNAPSHOT, key, shown.of_capacity(items, of))
    yield work.checked(SNAPSHOT, SECTIONS, key, "; ".join(filter(None, map(shown.denied, items))))


# -- periods ----------------------------------------------------------------------------------------------------


def periods(name: PeriodName) -> Callable[[Work], FleetEvents]:
    """The body of the aggregates of one kind of period."""

    def body(work: Work) -> FleetEvents:
        from sync_assets.fleet.periods import period_of

        asked = [period_of(name, date.fromisoformat(key)) for key in work.keys]
        for item in work.execution.aggregate(work.project, work.fleet, asked, work.run):
            yield from _aggregated(work, cuts.asset_of_period(name), item)

    return body


def _aggregated(work: Work, name: str, item: PeriodItem) -> FleetEvents:
    key = item.period.key
    if item.summary is None:
        work.failed[key] = str(item.error)
        return
    yield work.materialized(name, key, shown.of_period(item, work.execution.growth(work.fleet, item.period)))
    yield work.checked(name, COMPLETE, key, shown.incomplete(item.summary))
