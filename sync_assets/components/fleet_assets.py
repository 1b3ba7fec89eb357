"""A fleet as assets: inventory, permissions and classes of accounts by instance, capacity by day, and its periods.

What happens inside them is in `fleet_body.py`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import dagster as dg

from sync_assets.components import fleet_partitions as cuts
from sync_assets.components.fleet_body import (
    CLASSES,
    COMPLETE,
    INVENTORY,
    PERMISSIONS,
    SECTIONS,
    SNAPSHOT,
    FleetEvents,
    Work,
    accounts,
    asset_key,
    capacity,
    periods,
    run_body,
)
from sync_assets.components.fleet_execution import FleetExecution
from sync_assets.components.naming import slug
from sync_assets.fleet.periods import PeriodName
from sync_assets.project.load import PlacedFleet, Project

ACCEPT = {"accept": dg.Field(bool, default_value=False, description="publish although many accounts have vanished")}
AGAIN = {"again": dg.Field(bool, default_value=False, description="collect once more what has been collected")}

_ABOUT = {
    INVENTORY: "Which accounts and roles each instance has: staged, not published.",
    PERMISSIONS: "What the accounts may do. Completes the inventory of the same look and publishes both at once.",
    CLASSES: "The classes that the rules give to each published account.",
    SNAPSHOT: "Sizes of one day. A day can be collected while it lasts; later, a gap is recorded with its reason.",
}
_CHECKS = {
    SECTIONS: "Every section of the look could be read.",
    COMPLETE: "Every expected instance has every day of the period.",
}


@dataclass(frozen=True, slots=True)
class Made:
    """What the assets of one fleet are made of."""

    project: Project
    fleet: PlacedFleet
    cut: cuts.FleetCut
    execution: FleetExecution

    def spec(
        self, name: str, partitions: dg.PartitionsDefinition, deps: Sequence[dg.AssetDep] = (), about: str = ""
    ) -> dg.AssetSpec:
        return dg.AssetSpec(
            asset_key(self.fleet.name, name),
            partitions_def=partitions,
            deps=deps,
            group_name=slug(self.fleet.name),
            kinds=self.kinds,
            description=self.described(about or _ABOUT[name]),
            skippable=True,
        )

    def dep(self, name: str, mapping: dg.PartitionMapping | None = None) -> dg.AssetDep:
        return dg.AssetDep(asset_key(self.fleet.name, name), partition_mapping=mapping)

    def check(self, name: str, check: str, partitions: dg.PartitionsDefinition) -> dg.AssetCheckSpec:
        return dg.AssetCheckSpec(
            check, asset=asset_key(self.fleet.name, name), partitions_def=partitions, description=_CHECKS[check]
        )

    def described(self, about: str) -> str:
        spec = self.fleet.spec
        title = f"**{spec.title}**\n\n" if spec.title else ""
        return title + (f"{spec.description}\n\n" if spec.description else "") + about

    @property
    def kinds(self) -> set[str]:
        """The engines that the YAML names: as many as Dagster shows."""
        connections = self.project.connections
        found = {i.type or str(connections[i.connection or ""].type) for i in self.fleet.spec.instances}
        return set(sorted(found)[:3])

    def step(self, name: str) -> str:
        return step(self.fleet.name, name)


def step(fleet: str, name: str) -> str:
    """The name of a step, of its pool, and of its schedule and job."""
    return f"{slug(fleet)}__{name}"


def fleet_assets(made: Made) -> list[dg.AssetsDefinition]:
    """All assets of a fleet."""
    return [
        _accounts(made),
        _capacity(made),
        *(_period(made, name) for name in cuts.PERIODS if cuts.shows(made.fleet, name)),
    ]


def _accounts(made: Made) -> dg.AssetsDefinition:
    """One step for three assets: inventory and permissions come out of one look, and Dagster would not start a second
    step for the good instances after a first one in which any has failed."""
    by_instance = cuts.instances(made.fleet.name)
    specs = [
        made.spec(INVENTORY, by_instance),
        made.spec(PERMISSIONS, by_instance, [made.dep(INVENTORY, dg.IdentityPartitionMapping())]),
        made.spec(CLASSES, by_instance, [made.dep(PERMISSIONS, dg.IdentityPartitionMapping())]),
    ]
    return _step(made, "accounts", specs, [made.check(PERMISSIONS, SECTIONS, by_instance)], ACCEPT, accounts)


def _capacity(made: Made) -> dg.AssetsDefinition:
    cut = cuts.snapshot(made.cut)
    spec = made.spec(SNAPSHOT, cut, about="\n\n".join(filter(None, [_ABOUT[SNAPSHOT], made.cut.note])))
    return _step(made, SNAPSHOT, [spec], [made.check(SNAPSHOT, SECTIONS, cut)], AGAIN, capacity)


def _period(made: Made, name: PeriodName) -> dg.AssetsDefinition:
    """Aggregates of one kind of period. Its data are the rows of `capacity_snapshot` in the ledger."""
    closed, asset = cuts.closed(made.cut, name), cuts.asset_of_period(name)
    about = f"What the capacity of each closed {name} came to, of instances and databases: complete, partial or empty."
    spec = made.spec(asset, closed, [_upstream(made, name)], about)
    return _step(made, asset, [spec], [made.check(asset, COMPLETE, closed)], {}, periods(name))


def _upstream(made: Made, name: PeriodName) -> dg.AssetDep:
    source = cuts.source_of(made.fleet, name)
    if source is None:
        return made.dep(SNAPSHOT, dg.MultiToSingleDimensionPartitionMapping("date"))
    # a first period begins before the first day of the fleet
    mapping = dg.TimeWindowPartitionMapping(allow_nonexistent_upstream_partitions=True)
    return made.dep(cuts.asset_of_period(source), mapping)


def _step(
    made: Made,
    name: str,
    specs: Sequence[dg.AssetSpec],
    checks: Sequence[dg.AssetCheckSpec],
    config: dict[str, dg.Field],
    body: Callable[[Work], FleetEvents],
) -> dg.AssetsDefinition:
    """One step over many partitions. It may be subset, even where it has one asset: only then may a check stay
    without a result, as that of a partition that failed does."""

    @dg.multi_asset(
        name=made.step(name),
        specs=specs,
        check_specs=checks,
        can_subset=True,
        pool=made.step(name),
        backfill_policy=dg.BackfillPolicy.single_run(),
        config_schema=config,
    )
    def fleet_step(context) -> FleetEvents:  # type: ignore[no-untyped-def]  # noqa: ANN001
        yield from run_body(Work(made.execution, made.project, made.fleet, made.cut, context), body)

    return fleet_step
