"""Runs over tables: opens both databases, asks the engine once for all tables that are wanted, keeps the history.

Serves syncs into tables and replicas alike; a replica is many syncs in one run. Knows neither Dagster nor a terminal.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from sync_assets.engine.control import ControlStore
from sync_assets.engine.errors import Stop, SyncError
from sync_assets.engine.guard import DeleteLimit
from sync_assets.engine.holder import holder_name
from sync_assets.engine.model import Mode, Progress, Report, silent
from sync_assets.engine.tables.job import Changes, Pace, TableJob, Verdict
from sync_assets.engine.tables.report import Outcome
from sync_assets.engine.tables.run import TablesRun
from sync_assets.engine.tables.writing import TableTarget
from sync_assets.project import replicas
from sync_assets.project.connect import open_database, open_tables
from sync_assets.project.deployment import PlacedReplica, PlacedSync, Project
from sync_assets.project.history import recorded
from sync_assets.project.jobs import jobs_of
from sync_assets.project.windows import wanted

Outcomes = Mapping[str, Outcome]
Partitions = Mapping[str, Sequence[str]]  # wanted keys, by sync


@dataclass(frozen=True, slots=True)
class Order:
    """How a run is to be done. `dry`: write nothing, on either side."""

    mode: Mode | None = None
    changes: Changes | None = None
    run_id: str = ""
    progress: Progress = silent
    accept_empty: bool = False
    dry: bool = False
    streams: int = 4
    store: ControlStore | None = None


# -- syncs ------------------------------------------------------------------------------------------------------


def run_table(project: Project, placed: PlacedSync, keys: Sequence[str] | None, order: Order) -> Report:
    """Run one sync into a table, or some partitions of it. Raises `Stop` or `Retry`."""
    found = run_tables(project, [placed], {placed.name: keys or ()}, order)[placed.name]
    if found.error is not None:
        raise found.error
    assert found.report is not None  # noqa: S101 (one or the other)
    return found.report


def run_tables(project: Project, placed: Sequence[PlacedSync], keys: Partitions, order: Order) -> Outcomes:
    """Run syncs of one source and one target together, as one run over tables. Raises what concerns all of them."""
    first = placed[0]
    for one in placed:
        wanted(one, keys.get(one.name))
    refuse_writing_role(project, placed)
    with _opened(project, first.source, first.target) as (source, target):
        jobs = jobs_of(placed, source, target, keys, order.mode, order.changes)
        return _executed(jobs, source, target, order, keys)


def verify_tables(project: Project, placed: Sequence[PlacedSync], order: Order) -> Mapping[str, Verdict | SyncError]:
    """Compare whole tables on both sides, whatever their partitions. Writes nothing."""
    first = placed[0]
    whole = [replace(one, spec=one.spec.model_copy(update={"partitions": None})) for one in placed]
    refuse_writing_role(project, whole)
    with _opened(project, first.source, first.target) as (source, target), _stored(order.store) as store:
        jobs = jobs_of(whole, source, target, {})
        return _run(jobs, source, target, store, order).verify()


# -- replicas ---------------------------------------------------------------------------------------------------


def list_tables(project: Project, placed: PlacedReplica) -> replicas.Listing:
    """All tables of a replica's source, as it tells them now; which are meant says `replicas.meant`."""
    with _opened(project, placed.spec.source, placed.spec.target) as (source, target):
        homes = (source.name_of("x").schema, target.name_of("x").schema)
        return replicas.Listing(tuple(source.tables()), homes, datetime.now(UTC).isoformat(timespec="seconds"))


def tables_of(project: Project, name: str, tables: Sequence[str] = ()) -> dict[str, PlacedSync]:
    """The tables of a replica (those that `tables` name or mean by a pattern) as syncs, by ``schema.table``."""
    placed = project.replica(name)
    listing = list_tables(project, placed)
    some = tuple(replicas.chosen(placed, listing, tables))
    return replicas.syncs_of(placed, replace(listing, tables=some))


def run_replica(
    project: Project, placed: PlacedReplica, syncs: Mapping[str, PlacedSync], keys: Partitions, order: Order
) -> Outcomes:
    """Run tables of a replica as one run. `keys` are the partitions, by ``schema.table``; outcomes are, too.

    A table that is cut into partitions and not in `keys` is run with all it has now.
    """
    now = datetime.now(UTC)
    asked = {sync.name: keys.get(table) or _all_keys(sync, now) for table, sync in syncs.items()}
    found = run_tables(project, list(syncs.values()), asked, replace(order, streams=placed.spec.streams))
    return {table: found[sync.name] for table, sync in syncs.items()}


def _all_keys(sync: PlacedSync, now: datetime) -> Sequence[str]:
    from sync_assets.project import windows

    parts = sync.spec.partitions
    return () if parts is None else windows.keys(parts, sync.time_zone, now)


def restore(
    project: Project,
    placed: PlacedReplica,
    syncs: Mapping[str, PlacedSync],
    order: Order,
    *,
    accept_deletes: bool = False,
) -> Outcomes:
    """Copy back: from the target of the replica into its source. Only what differs is shipped.

    A table that the replica holds in part (a filter, columns left out) deletes nothing in the source. No more rows are
    deleted than the delete guard allows, unless `accept_deletes`. Structure that differs is left as it is.
    """
    spec = placed.spec
    with _opened(project, spec.target, spec.source) as (source, target):
        jobs = {table: _back(sync, source, target, accept_deletes) for table, sync in syncs.items()}
        found = _executed(list(jobs.values()), source, target, replace(order, streams=spec.streams), {})
    return {table: found[job.sync] for table, job in jobs.items()}


def _back(sync: PlacedSync, source: TableTarget, target: TableTarget, accept_deletes: bool) -> TableJob:
    """The job of a table the other way. `source` is where the copy is."""
    whole = replace(sync, spec=sync.spec.model_copy(update={"partitions": None, "where": None}))
    (job,) = jobs_of([whole], target, source, {})
    assert job.source is not None  # noqa: S101 (a table of a replica)
    partial = sync.spec.where is not None or None in job.columns.values()
    names = {there: here for here, there in job.columns.items() if there}
    return replace(
        job,
        sync=f"restore {job.sync}",
        source=job.target,
        target=job.source,
        columns=names,
        key=tuple(job.columns.get(k) or k for k in job.key),
        mode=Mode.FULL if partial else Mode.CLONE,
        changes=Changes.HASH,
        watermark=None,
        policy="ignore",
        objects=False,
        beside=None,
        delete_limit=DeleteLimit(1.0) if accept_deletes else job.delete_limit,
    )


# -- the run ----------------------------------------------------------------------------------------------------


def _executed(
    jobs: Sequence[TableJob], source: TableTarget, target: TableTarget, order: Order, keys: Partitions
) -> Outcomes:
    """Ask the engine once, and leave one line of history for each sync whatever happens."""
    with _stored(order.store) as store:
        run = _run(jobs, source, target, store, order)
        if order.dry:
            return run.execute()
        run_id = order.run_id or f"cli-{time.time_ns()}"
        names = [job.sync for job in jobs]
        with recorded(store, run_id, names, run.owner, lambda sync: shown_keys(keys.get(sync) or ())) as record:
            found = run.execute()
            record.ended({sync: o.report or o.error or Stop("it was not run") for sync, o in found.items()})
            return found


def shown_keys(keys: Sequence[str]) -> str:
    """Partitions as one short text: it is part of an index."""
    if len(keys) <= 5:
        return ",".join(keys)
    return f"{keys[0]}..{keys[-1]} ({len(keys)})"


def _run(
    jobs: Sequence[TableJob], source: TableTarget, target: TableTarget, store: ControlStore, order: Order
) -> TablesRun:
    return TablesRun(
        jobs=jobs,
        source=source,
        target=target,
        store=store,
        owner=holder_name(order.run_id),
        progress=order.progress,
        pace=Pace(streams=order.streams),
        dry=order.dry,
        run_id=order.run_id,
        accept_empty=order.accept_empty,
    )


@contextmanager
def _opened(project: Project, source: str, target: str) -> Iterator[tuple[TableTarget, TableTarget]]:
    with ExitStack() as stack:
        here = open_tables(project, source)
        stack.callback(here.close)
        there = open_tables(project, target)
        stack.callback(there.close)
        yield here, there


@contextmanager
def _stored(given: ControlStore | None) -> Iterator[ControlStore]:
    if given is not None:
        yield given
        return
    from sync_assets.store.control import open_store

    with open_store() as store:
        yield store


# -- rights -----------------------------------------------------------------------------------------------------


def refuse_reader(project: Project, connection: str) -> None:
    """Raise `Stop` when the user of a connection can write nothing there: no table, and no ledger."""
    database = open_database(project, connection)
    try:
        findings = database.check()
    finally:
        database.close()
    args = database.args
    able = (
        os.access(args.path, os.W_OK) if database.dialect == "sqlite" else any(f.about == "writing" for f in findings)
    )
    if not able and all(f.ok for f in findings):
        raise Stop(
            f"connection {connection}: its user can only read, and rows are to be written there",
            hint="give the connection, for the time being, a user who may write its tables and create the ledger's",
            code="reader",
        )


def refuse_writing_role(project: Project, placed: Sequence[PlacedSync]) -> None:
    """Raise `Stop` when SQL that a user wrote would run under a role that could change something."""
    own = [one for one in placed if (one.spec.query or one.spec.where) and not one.spec.allow_writing_role]
    if not own:
        return
    source = own[0].source
    database = open_database(project, source)
    try:
        found = [finding for finding in database.check() if finding.about == "writing"]
    finally:
        database.close()
    if found:
        what = "query" if own[0].spec.query else "where"
        raise Stop(
            f"{own[0].name}: it has a {what} of its own, and connection {source} could write: {found[0].what}",
            hint=f"{found[0].hint}; or accept it, with allow_writing_role: true",
            code="writing_role",
        )
