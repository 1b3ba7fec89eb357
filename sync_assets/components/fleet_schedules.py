"""The cron lines of a fleet: one run for all its accounts, one for the capacity of a day.

A tick that comes late, because the scheduler was down, still asks for the day of which it is. Must not collect
anything itself.
"""

from collections.abc import Callable, Iterator, Sequence

import dagster as dg

from sync_assets.components.fleet_assets import Made
from sync_assets.components.fleet_body import CLASSES, INVENTORY, PERMISSIONS, SNAPSHOT, asset_key
from sync_assets.components.fleet_requests import FLEET_TAG, order, running
from sync_assets.components.partitions import run_request


def fleet_schedules(made: Made) -> list[dg.ScheduleDefinition]:
    """One for the accounts and one for the capacity, where the YAML has a cron line."""
    spec = made.fleet.spec
    parts: list[tuple[str, str | None, Sequence[str]]] = [
        ("accounts", spec.accounts.schedule, (INVENTORY, PERMISSIONS, CLASSES)),
        (SNAPSHOT, spec.capacity.schedule, (SNAPSHOT,)),
    ]
    return [_schedule(made, name, cron, assets) for name, cron, assets in parts if cron]


def _schedule(made: Made, name: str, cron: str, assets: Sequence[str]) -> dg.ScheduleDefinition:
    keys = [asset_key(made.fleet.name, asset) for asset in assets]
    return dg.ScheduleDefinition(
        name=f"{made.step(name)}_schedule",
        job=dg.define_asset_job(f"{made.step(name)}_job", selection=dg.AssetSelection.assets(*keys)),
        cron_schedule=cron,
        execution_timezone=str(made.fleet.time_zone),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        execution_fn=_collection(made, name, keys),
        description=f"{cron} ({made.fleet.time_zone}): all instances of {made.fleet.name}",
    )


def _collection(
    made: Made, name: str, assets: Sequence[dg.AssetKey]
) -> Callable[[dg.ScheduleEvaluationContext], Iterator[dg.RunRequest | dg.SkipReason]]:
    def tick(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        """The day is that of the tick as it was planned: one that comes late is the same day's all the same."""
        day = context.scheduled_execution_time.astimezone(made.fleet.time_zone).date()
        keys = order(made, context.instance, name, day)
        if not keys:
            yield dg.SkipReason("no instance is known yet: the sensor that looks for them has not run")
        elif running(context.instance, made.step(name)):
            yield dg.SkipReason("a run for this fleet is still waiting or running")
        else:
            yield run_request(assets, keys, tags={FLEET_TAG: made.step(name)})

    return tick
