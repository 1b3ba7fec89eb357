"""From a sync as written to a run of it: opens its source and target, calls the engine, closes them.

The one seam through which the command line and the Dagster components reach the engine.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from hashlib import blake2b

from sync_assets.engine.control import ControlStore
from sync_assets.engine.errors import Stop, SyncError
from sync_assets.engine.guard import DeleteLimit
from sync_assets.engine.holder import holder_name
from sync_assets.engine.job import Job
from sync_assets.engine.model import (
    Delivery,
    Mode,
    Observation,
    Progress,
    Report,
    Source,
    silent,
)
from sync_assets.engine.run import Run
from sync_assets.engine.target import Target
from sync_assets.project.boards import open_board
from sync_assets.project.connect import open_source
from sync_assets.project.history import recorded
from sync_assets.project.load import PlacedSync, Project
from sync_assets.project.spec import KeyRanges, SyncSpec
from sync_assets.project.tables import Order, run_table, shown_keys
from sync_assets.project.windows import wanted


def run_sync(
    project: Project,
    name: str,
    *,
    partitions: Sequence[str] | None = None,
    mode: Mode | None = None,
    run_id: str = "",
    progress: Progress = silent,
    accept_empty: bool = False,
    store: ControlStore | None = None,
) -> Report:
    """Run one sync, or some partitions of it, and keep its history. Raises `Stop` or `Retry`."""
    placed = project.sync(name)
    if placed.into_table:
        order = Order(mode, run_id=run_id, progress=progress, accept_empty=accept_empty, store=store)
        with _naming(name):
            return run_table(project, placed, partitions, order)
    with _prepared(project, name, partitions, mode, store, progress, run_id=run_id, accept_empty=accept_empty) as run:
        return _recorded(run, run_id or f"cli-{time.time_ns()}", shown_keys(partitions or ()))


def plan_sync(
    project: Project,
    name: str,
    *,
    partition: str | None = None,
    mode: Mode | None = None,
    progress: Progress = silent,
    store: ControlStore | None = None,
) -> Report:
    """What a run would do: the report of a run that writes nothing, on either side."""
    keys = [partition] if partition else None
    placed = project.sync(name)
    if placed.into_table:
        with _naming(name):
            return run_table(project, placed, keys, Order(mode, progress=progress, dry=True, store=store))
    with _prepared(project, name, keys, mode, store, progress, dry=True) as run:
        return run.execute()


@contextmanager
def _prepared(
    project: Project,
    name: str,
    keys: Sequence[str] | None,
    mode: Mode | None,
    store: ControlStore | None,
    progress: Progress,
    *,
    run_id: str = "",
    accept_empty: bool = False,
    dry: bool = False,
) -> Iterator[Run]:
    """A run with its source, target and control database open, all closed again afterwards."""
    placed = project.sync(name)
    with ExitStack() as stack:
        stack.enter_context(_naming(name))
        control = store or stack.enter_context(_opened_store())
        source, target = _open(project, placed, mode, stack)
        yield Run(
            job=job_of(placed, mode, run_id, accept_empty),
            source=source,
            target=target,
            store=control,
            partitions=wanted(placed, keys),
            owner=holder_name(run_id),
            progress=progress,
            dry=dry,
        )


def observe_sync(project: Project, name: str, partitions: Sequence[str] | None = None) -> Mapping[str, Observation]:
    """The cheap look at a sync's source, per partition key ("" without partitions)."""
    placed = project.sync(name)
    with ExitStack() as stack:
        source = open_source(project, placed)
        stack.callback(source.close)
        spec = placed.spec
        if spec.sensor and spec.sensor.query:
            return {"": source.observe_query(spec.sensor.query)}
        if partitions is None or isinstance(spec.partitions, KeyRanges):
            return {"": source.observe()}
        return source.observe_windows(wanted(placed, partitions))


def job_of(placed: PlacedSync, mode: Mode | None, run_id: str, accept_empty: bool) -> Job:
    """The engine's view of a sync."""
    spec, chosen = placed.spec, mode or placed.spec.mode
    if spec.key and chosen is Mode.APPEND:
        raise Stop(f"{spec.name}: mode append takes no key, and this sync has one", hint="use --mode incremental")
    if not spec.key and chosen not in (Mode.CLONE, Mode.APPEND):
        raise Stop(f"{spec.name}: mode {chosen} needs a key", hint="without one only clone and append are possible")
    if spec.partitions is not None and not spec.partitions.column and chosen is Mode.CLONE:
        hint = "add partitions.column, the column of the query that says which partition a record belongs to"
        raise Stop(f"{spec.name}: mode clone of a partition needs to know its records", hint=hint)
    whole = chosen in (Mode.OVERWRITE, Mode.CLONE)
    seed = f"{spec.name}:{run_id or time.time_ns()}" if spec.partitions is None else spec.name
    return Job(
        sync=spec.name,
        mode=chosen,
        key=tuple(spec.key),
        watermark=spec.watermark,
        lookback=spec.lookback,
        partition_column=spec.partitions.column if spec.partitions else None,
        source_duplicates=spec.duplicates.source,
        target_duplicates=spec.duplicates.target,
        delete_limit=DeleteLimit(spec.delete_guard.share, spec.delete_guard.rows),
        allow_empty_source=spec.allow_empty_source or accept_empty,
        accept_shrunken=accept_empty,
        reject_limit=spec.reject_limit,
        clear_unmapped=whole if spec.unmapped is None else spec.unmapped == "clear",
        append_column=spec.append_column,
        rescan=spec.verify == "rescan",
        seed=blake2b(seed.encode(), digest_size=6).hexdigest(),
        spec_digest=digest_of(spec),
    )


def digest_of(spec: SyncSpec) -> str:
    """A fingerprint of what a sync reads and how: a changed query must not continue at the old position."""
    said = spec.model_dump_json(include={"table", "query", "key", "watermark", "columns", "bitable", "table_name"})
    return blake2b(said.encode(), digest_size=8).hexdigest()


@contextmanager
def _naming(sync: str) -> Iterator[None]:
    """Every error of a run says whose run it was; those of a client or a database cannot know."""
    try:
        yield
    except SyncError as error:
        if sync not in error.message:
            error.message = f"{sync}: {error.message}"
        raise


@contextmanager
def _opened_store() -> Iterator[ControlStore]:
    from sync_assets.store.control import open_store

    store = open_store()
    try:
        yield store
    finally:
        store.close()


def _open(project: Project, placed: PlacedSync, mode: Mode | None, stack: ExitStack) -> tuple[Source, Target]:
    source = open_source(project, placed)
    stack.callback(source.close)
    append = (mode or placed.spec.mode) is Mode.APPEND
    target = open_board(project, placed, Delivery.APPEND if append else Delivery.TOKEN)
    stack.callback(target.close)
    return source, target


def _recorded(run: Run, run_id: str, partition: str) -> Report:
    """Execute, and leave one line of history whatever happens."""
    with recorded(run.store, run_id, [run.job.sync], run.owner, lambda _: partition) as record:
        report = run.execute()
        record.finished(run.job.sync, report)
        return report
