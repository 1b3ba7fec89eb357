"""The sources of a project's syncs as observable assets, each once, whoever reads it.

Its data version is the cheap look (row count, newest watermark) of one of its readers: a sync of the whole table
where there is one. It is partitioned only where all its readers are, and alike.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

import dagster as dg

from sync_assets.components import metadata, naming
from sync_assets.components.execution import Execution
from sync_assets.components.partitions import newest_keys, partitions_of
from sync_assets.engine.model import Observation
from sync_assets.project.load import PlacedSync, Project

WINDOWS = 30  # newest partitions that one observation looks at


@dataclass(frozen=True, slots=True)
class Origin:
    """One source: who reads it, and who of them is asked how it stands."""

    key: dg.AssetKey
    readers: tuple[PlacedSync, ...]

    @property
    def speaker(self) -> PlacedSync:
        return min(self.readers, key=_speaks_badly)

    @property
    def partitions(self) -> dg.PartitionsDefinition | None:
        first = partitions_of(self.readers[0])
        return first if all(partitions_of(reader) == first for reader in self.readers) else None


def _speaks_badly(sync: PlacedSync) -> tuple[bool, bool, bool]:
    """A query of the user's says nothing of rows; a query of a sync less than its table; a window less than all."""
    spec = sync.spec
    return bool(spec.sensor and spec.sensor.query), spec.table is None, spec.partitions is not None


def origins(project: Project, replicated: Iterable[PlacedSync] = ()) -> dict[dg.AssetKey, Origin]:
    """Every source that a sync reads and nothing in the project writes, by key. `replicated` are tables of replicas."""
    written = {naming.written_key(sync) for sync in (*project.syncs.values(), *replicated)}
    readers: dict[dg.AssetKey, list[PlacedSync]] = {}
    for sync in project.syncs.values():
        for key in naming.source_keys(sync):
            if key not in written:
                readers.setdefault(key, []).append(sync)
    return {key: Origin(key, tuple(syncs)) for key, syncs in readers.items()}


def partitions_by_key(found: Mapping[dg.AssetKey, Origin]) -> dict[dg.AssetKey, dg.PartitionsDefinition | None]:
    return {key: origin.partitions for key, origin in found.items()}


def origin_asset(project: Project, origin: Origin, execution: Execution) -> dg.AssetsDefinition:
    """The observable asset ``shop/orders``."""
    kind = str(project.connections[origin.speaker.source].type)
    spec = dg.AssetSpec(
        origin.key,
        group_name=naming.group(origin.speaker),
        kinds={kind},
        description=_description(origin),
        partitions_def=origin.partitions,
        skippable=True,
    )

    def observe(context: dg.AssetExecutionContext) -> Iterator[dg.ObserveResult]:
        found = look(project, origin, execution)
        if origin.partitions is None or "" in found:
            yield whole(origin, found)
            return
        for key, seen in found.items():
            context.log_event(observation(origin.key, key, seen))

    make = dg.multi_observable_source_asset(
        specs=[spec], name=f"observe__{naming.op_name(origin.key)}", partitions_def=origin.partitions
    )
    made: dg.AssetsDefinition = make(observe)
    return made


def _description(origin: Origin) -> str:
    readers = ", ".join(f"`{sync.spec.name}`" for sync in origin.readers[:10])
    return f"Read by {readers}. Observing it asks for the row count and the newest watermark only."


def look(project: Project, origin: Origin, execution: Execution) -> Mapping[str, Observation]:
    """The speaker's observations, by partition key ("" without partitions)."""
    sync = origin.speaker
    if sync.spec.partitions is None:
        return execution.observe(project, sync.spec.name, None)
    return execution.observe(project, sync.spec.name, newest_keys(sync, WINDOWS, datetime.now(UTC)))


def observation(asset: dg.AssetKey, key: str, seen: Observation) -> dg.AssetObservation:
    """What was seen of one partition of a source ("" without partitions), with its data version."""
    return dg.AssetObservation(
        asset,
        partition=key or None,
        metadata=metadata.of_observation(seen),
        tags={"dagster/data_version": seen.data_version},
    )


def whole(origin: Origin, found: Mapping[str, Observation]) -> dg.ObserveResult:
    """All that was seen as one data version."""
    seen = _sum(list(found.values()))
    version = seen.data_version
    if len(found) > 1:
        pieces = "|".join(f"{key}={piece.data_version}" for key, piece in sorted(found.items()))
        version = sha256(pieces.encode()).hexdigest()[:16]
    return dg.ObserveResult(
        asset_key=origin.key, data_version=dg.DataVersion(version), metadata=metadata.of_observation(seen)
    )


def _sum(parts: Sequence[Observation]) -> Observation:
    rows = [p.rows for p in parts if p.rows is not None]
    marks = [p.watermark for p in parts if p.watermark is not None]
    return Observation(rows=sum(rows) if rows else None, watermark=max(marks, default=None))
