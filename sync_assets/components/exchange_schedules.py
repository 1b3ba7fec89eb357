"""The cron lines of an exchange: one run for each peer and way, over all repositories. Must not exchange anything."""

from collections.abc import Callable, Iterator

import dagster as dg

from sync_assets.components import exchange_partitions as cuts
from sync_assets.components.exchange_assets import Made, step
from sync_assets.components.exchange_body import NAMES, asset_key
from sync_assets.components.partitions import run_request
from sync_assets.project.exchange.placed import PlacedPeer
from sync_assets.project.exchange_spec import Way

EXCHANGE_TAG = "sync_assets/exchange"  # on every run that we ask for: EXCHANGE__PEER__WAY
_WAITING = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
Ticked = Iterator[dg.RunRequest | dg.SkipReason]


def exchange_schedules(made: Made) -> list[dg.ScheduleDefinition]:
    """One for each peer and way whose cron line the YAML has."""
    travels = ((peer, way, made.exchange.spec.travel(way).schedule) for peer, way in made.travels)
    return [_schedule(made, peer, way, cron) for peer, way, cron in travels if cron]


def _schedule(made: Made, peer: PlacedPeer, way: Way, cron: str) -> dg.ScheduleDefinition:
    keys, name, zone = [asset_key(peer, way, asset) for asset in NAMES], step(peer, way), made.exchange.time_zone
    return dg.ScheduleDefinition(
        name=f"{name}_schedule",
        job=dg.define_asset_job(f"{name}_job", selection=dg.AssetSelection.assets(*keys)),
        cron_schedule=cron,
        execution_timezone=str(zone),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        execution_fn=_ticked(peer, way),
        description=f"{cron} ({zone}): {way} of all repositories, {peer.title}",
    )


def _ticked(peer: PlacedPeer, way: Way) -> Callable[[dg.ScheduleEvaluationContext], Ticked]:
    def tick(context: dg.ScheduleEvaluationContext) -> Ticked:
        """A run that still waits or runs takes the new repositories the next time."""
        keys = list(context.instance.get_dynamic_partitions(cuts.definition_name(peer, way)))
        tag = {EXCHANGE_TAG: step(peer, way)}
        if not keys:
            yield dg.SkipReason("no repository is known yet: the sensor that looks for them has found none")
        elif context.instance.get_run_ids(dg.RunsFilter(statuses=_WAITING, tags=tag), limit=1):
            yield dg.SkipReason("a run for this peer is still waiting or running")
        else:
            yield run_request([asset_key(peer, way, asset) for asset in NAMES], keys, tags=tag)

    return tick
