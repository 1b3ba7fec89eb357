"""What the ticks of a fleet have in common: which partitions there are, and how runs over them are asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import dagster as dg

from sync_assets.components import fleet_partitions as cuts
from sync_assets.components.fleet_body import SNAPSHOT
from sync_assets.components.partitions import contiguous

if TYPE_CHECKING:
    from sync_assets.components.fleet_assets import Made

FLEET_TAG = "sync_assets/fleet"  # on every run that we ask for: FLEET__STEP
_MOST_RUNS = 10  # that one tick asks for; beyond, one run takes all in between
_WAITING = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


def running(instance: dg.DagsterInstance, tag: str) -> bool:
    """Whether a run that we asked for, of this step, waits or runs."""
    return bool(instance.get_run_ids(dg.RunsFilter(statuses=_WAITING, tags={FLEET_TAG: tag}), limit=1))


def order(made: Made, instance: dg.DagsterInstance, name: str, day: date) -> list[str]:
    """The partitions of the accounts, or those of the capacity of one day, in Dagster's order."""
    known = list(instance.get_dynamic_partitions(cuts.instances_name(made.fleet.name)))
    if name != SNAPSHOT:
        return known
    members = known if made.cut.by == "instance" else list(made.cut.members)
    return [cuts.snapshot_key(day, member) for member in members]


def runs_over(wanted: Sequence[str], existing: Sequence[str]) -> list[list[str]]:
    """The fewest runs that take exactly the wanted keys; one over all in between where those were too many."""
    runs = contiguous(wanted, existing)
    return runs if len(runs) <= _MOST_RUNS else [cuts.spanning(wanted, existing)]
