"""Cron for the syncs of one file: one job and one schedule for each cron line and cut into partitions.

A tick asks for one run of all its syncs that want the same partitions: none, or the newest window, and the window
before it once more after it has closed, for its late rows. A request whose like is still waiting or running is left
out, so that slow runs do not pile up. (Dagster refuses a job over assets of different partitions.)
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from zlib import crc32

import dagster as dg

from sync_assets.components import naming
from sync_assets.components.freshness import last_written
from sync_assets.components.partitions import (
    closed_key,
    contiguous,
    newest_keys,
    partitions_of,
    run_request,
    single_run,
)
from sync_assets.project.load import PlacedSync, Project
from sync_assets.project.spec import FixedValues, KeyRanges, TimeWindows

REQUEST_TAG = "sync_assets/request"
_WAITING = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


def schedules(project: Project, syncs: Sequence[PlacedSync], stem: str = "") -> list[dg.ScheduleDefinition]:
    """The schedules of the syncs of one file, or of the tables of one replica, whose name is then the `stem`."""
    groups: dict[tuple[str, str], list[PlacedSync]] = {}
    for sync in syncs:
        if sync.schedule:
            groups.setdefault((sync.schedule, _cut(sync)), []).append(sync)
    names = _names(groups, stem)
    return [_schedule(project, names[key], key[0], group) for key, group in groups.items()]


def _cut(sync: PlacedSync) -> str:
    """What syncs of one job must have in common: the partitions definition. Empty without partitions."""
    definition = partitions_of(sync)
    if definition is None:
        return ""
    parts = sync.spec.partitions
    every = parts.every if isinstance(parts, TimeWindows) else "values"
    return f"{every}_{crc32(definition.get_serializable_unique_identifier().encode()):08x}"


def _names(groups: Mapping[tuple[str, str], Sequence[PlacedSync]], stem: str) -> dict[tuple[str, str], str]:
    """Short names: the file's, with the cut where it has one, and a checksum only where two would be alike."""
    short = {
        key: "_".join([stem or naming.group(group[0]), *key[1].split("_")[:1]]).rstrip("_")
        for key, group in groups.items()
    }
    twice = {name for name, count in Counter(short.values()).items() if count > 1}
    return {
        key: f"{name}_{crc32('|'.join(key).encode()):08x}" if name in twice else name for key, name in short.items()
    }


def _schedule(project: Project, name: str, cron: str, syncs: Sequence[PlacedSync]) -> dg.ScheduleDefinition:
    assets = [naming.written_key(sync) for sync in syncs]
    return dg.ScheduleDefinition(
        name=f"{name}_schedule",
        job=dg.define_asset_job(f"{name}_sync", selection=dg.AssetSelection.assets(*assets)),
        cron_schedule=cron,
        execution_timezone=str(project.time_zone),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        execution_fn=_tick(syncs),
        description=f"{cron} ({project.time_zone}): {', '.join(sync.spec.name for sync in syncs[:10])}",
    )


def _tick(
    syncs: Sequence[PlacedSync],
) -> Callable[[dg.ScheduleEvaluationContext], Iterator[dg.RunRequest | dg.SkipReason]]:
    def tick(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        asked = list(requests(context.instance, syncs, context.scheduled_execution_time))
        waiting = _in_flight(context.instance, asked)
        free = [request for request in asked if request.tags[REQUEST_TAG] not in waiting]
        yield from free
        if not free:
            yield dg.SkipReason("the runs of an earlier tick are still waiting or running")

    return tick


def requests(instance: dg.DagsterInstance, syncs: Sequence[PlacedSync], now: datetime) -> Iterator[dg.RunRequest]:
    """The runs that a tick at `now` wants."""
    together: dict[tuple[str, ...], list[PlacedSync]] = {}
    for sync in syncs:
        for keys in _runs(instance, sync, now):
            together.setdefault(tuple(keys), []).append(sync)
    for wanted, members in together.items():
        assets = [naming.written_key(sync) for sync in members]
        yield run_request(assets, wanted, tags={REQUEST_TAG: _fingerprint(assets, wanted)})


def _runs(instance: dg.DagsterInstance, sync: PlacedSync, now: datetime) -> list[list[str]]:
    """The partitions that a tick wants of `sync`, as the runs that cover them."""
    definition = partitions_of(sync)
    if definition is None:
        return [[]]
    keys = wanted_keys(instance, sync, now)
    if not single_run(sync):
        return [[key] for key in keys]
    order = newest_keys(sync, len(keys) + 1, now)
    return contiguous(keys, order)


def wanted_keys(instance: dg.DagsterInstance, sync: PlacedSync, now: datetime) -> list[str]:
    """The newest window; and the newest closed one when it was not written since it closed: its late rows."""
    newest = newest_keys(sync, 1, now)
    if isinstance(sync.spec.partitions, FixedValues | KeyRanges):
        return newest
    closed = closed_key(sync, now)
    if closed is None or closed[0] in newest:
        return newest
    written = last_written(instance, naming.written_key(sync), closed[0])
    late = written is None or written < closed[1].timestamp()
    return [closed[0], *newest] if late else newest


def _fingerprint(assets: Sequence[dg.AssetKey], keys: Sequence[str]) -> str:
    text = "|".join([*(a.to_user_string() for a in assets), *keys])
    return f"{crc32(text.encode()):08x}"


def _in_flight(instance: dg.DagsterInstance, asked: Sequence[dg.RunRequest]) -> set[str]:
    if not asked:
        return set()
    tags: Mapping[str, list[str]] = {REQUEST_TAG: [request.tags[REQUEST_TAG] for request in asked]}
    runs = instance.get_runs(dg.RunsFilter(statuses=_WAITING, tags=dict(tags)))
    return {run.tags[REQUEST_TAG] for run in runs}
