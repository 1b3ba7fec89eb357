"""Notice change at a source and ask only for the partitions concerned.

One sensor a file looks at all its syncs that have `sensor:`. A look is cheap (row count and newest watermark of the
newest windows); the cursor remembers the data version of each partition. A tick has a budget of time: what it does
not reach is first in the next one. Must not write anything.
"""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from types import MappingProxyType

import dagster as dg

from sync_assets.components import naming
from sync_assets.components.execution import Execution
from sync_assets.components.origins import observation
from sync_assets.components.partitions import contiguous, newest_keys, partitions_of, run_request, single_run
from sync_assets.engine.errors import SyncError
from sync_assets.engine.model import Observation
from sync_assets.project.load import PlacedSync, Project

TICK_SECONDS = 20.0  # Dagster gives a tick 60

Note = Callable[[str, Observation], None]


@dataclass(slots=True)
class Cursor:
    """What was seen last. `turns` grows with every request, so that a source that changes back is asked for again."""

    seen: dict[str, dict[str, str]] = field(default_factory=dict)  # sync -> partition -> data version
    looked_at: dict[str, float] = field(default_factory=dict)  # sync -> unix time of the last look
    turns: int = 0

    @staticmethod
    def read(text: str | None) -> "Cursor":
        data = json.loads(text) if text else {}
        return Cursor(data.get("seen", {}), data.get("looked_at", {}), data.get("turns", 0))

    def write(self) -> str:
        return json.dumps({"seen": self.seen, "looked_at": self.looked_at, "turns": self.turns}, separators=(",", ":"))


def change_sensor(
    project: Project,
    syncs: Sequence[PlacedSync],
    execution: Execution,
    cut: Mapping[dg.AssetKey, dg.PartitionsDefinition | None] = MappingProxyType({}),
) -> dg.SensorDefinition | None:
    """The sensor of one file, or None when none of its syncs wants one. `cut`: how the sources are partitioned."""
    watched = [sync for sync in syncs if sync.spec.sensor is not None]
    if not watched:
        return None
    assets = [naming.written_key(sync) for sync in watched]
    return dg.SensorDefinition(
        name=f"{naming.group(watched[0])}_changes",
        evaluation_fn=_tick(project, watched, execution, cut),
        asset_selection=dg.AssetSelection.assets(*assets),
        minimum_interval_seconds=min(_every(sync) for sync in watched),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=f"Looks for change in `{watched[0].source}` for "
        + ", ".join(sync.spec.name for sync in watched[:10]),
    )


def _every(sync: PlacedSync) -> int:
    return sync.spec.sensor.every if sync.spec.sensor else 0


def _tick(
    project: Project,
    syncs: Sequence[PlacedSync],
    execution: Execution,
    cut: Mapping[dg.AssetKey, dg.PartitionsDefinition | None],
) -> Callable[[dg.SensorEvaluationContext], dg.SensorResult]:
    def tick(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        cursor, found, troubles = Cursor.read(context.cursor), [], []
        observed: list[dg.AssetObservation] = []
        started = time.monotonic()
        for sync in _due(syncs, cursor, time.time()):
            if time.monotonic() - started > TICK_SECONDS:
                break
            cursor.looked_at[sync.spec.name] = time.time()
            try:
                found += list(
                    changes(project, sync, execution, cursor, datetime.now(UTC), _noting(sync, cut, observed))
                )
            except SyncError as error:
                troubles.append(f"{sync.spec.name}: {error}")
                context.log.warning(troubles[-1])
        return _result(found, cursor, troubles, observed)

    return tick


def _noting(
    sync: PlacedSync,
    cut: Mapping[dg.AssetKey, dg.PartitionsDefinition | None],
    observed: list[dg.AssetObservation],
) -> Note:
    """What was seen of a source is shown on its asset, where the look was at all of it and cut alike."""
    keys = naming.source_keys(sync)
    if len(keys) != 1 or (sync.spec.sensor and sync.spec.sensor.query) or cut.get(keys[0]) != partitions_of(sync):
        return lambda key, seen: None
    return lambda key, seen: observed.append(observation(keys[0], key, seen))


def _result(
    found: Sequence[dg.RunRequest], cursor: Cursor, troubles: Sequence[str], observed: Sequence[dg.AssetObservation]
) -> dg.SensorResult:
    skip = None if found else ("; ".join(troubles) or "nothing changed")
    return dg.SensorResult(
        run_requests=list(found), cursor=cursor.write(), skip_reason=skip, asset_events=list(observed)
    )


def _due(syncs: Iterable[PlacedSync], cursor: Cursor, now: float) -> list[PlacedSync]:
    """The syncs whose turn it is, the longest unseen first."""
    last = cursor.looked_at
    due = [sync for sync in syncs if now - last.get(sync.spec.name, 0.0) >= _every(sync) - 1]
    return sorted(due, key=lambda sync: last.get(sync.spec.name, 0.0))


def changes(
    project: Project,
    sync: PlacedSync,
    execution: Execution,
    cursor: Cursor,
    now: datetime,
    note: Note = lambda key, seen: None,
) -> Iterator[dg.RunRequest]:
    """Look at `sync`, note in `cursor` what was seen, and yield the runs that its changed partitions want.

    `note` is told each changed partition and what was seen of it.
    """
    windows = sync.spec.sensor.windows if sync.spec.sensor else 1
    order = None if sync.spec.partitions is None else newest_keys(sync, windows, now)
    if order == []:
        return
    seen = execution.observe(project, sync.spec.name, order)
    changed = changed_keys(cursor.seen.get(sync.spec.name, {}), seen)
    cursor.seen[sync.spec.name] = {key: one.data_version for key, one in seen.items()}
    for key in changed:
        note(key, seen[key])
    if order is not None and changed == [""]:  # a query of the user's speaks for all windows
        changed = order
    for keys in _runs(sync, changed, order):
        cursor.turns += 1
        yield run_request([naming.written_key(sync)], keys, run_key=_run_key(sync, keys, cursor))


def changed_keys(before: Mapping[str, str], seen: Mapping[str, Observation]) -> list[str]:
    """Partitions whose data version differs. One never seen before counts, unless there is nothing in it."""
    return [
        key for key, one in seen.items() if before.get(key) != one.data_version and (key in before or not _empty(one))
    ]


def _empty(seen: Observation) -> bool:
    return seen.rows == 0 or (seen.rows is None and seen.watermark is None)


def _runs(sync: PlacedSync, changed: Sequence[str], order: Sequence[str] | None) -> list[list[str]]:
    if order is None:
        return [[]] if changed else []
    if not single_run(sync):
        return [[key] for key in order if key in set(changed)]
    return contiguous(changed, order)


def _run_key(sync: PlacedSync, keys: Sequence[str], cursor: Cursor) -> str:
    """Short, because it becomes an indexed tag; unlike any earlier one, because of the turn."""
    seen = cursor.seen[sync.spec.name]
    what = [sync.spec.name, str(cursor.turns), *(f"{key}={seen.get(key)}" for key in keys)]
    return sha256("|".join(what).encode()).hexdigest()[:24]
