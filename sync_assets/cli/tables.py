"""What the commands do with tables: replicas run and planned, copies verified, repaired and copied back; the history.

As `cli.work`: load the project, call `project.tables`, print, return an exit code.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import click

from sync_assets.cli import exits, show, show_tables
from sync_assets.cli.work import chosen, project
from sync_assets.engine.errors import Stop, SyncError
from sync_assets.engine.model import Mode
from sync_assets.engine.tables.job import Changes, Verdict
from sync_assets.project.deployment import PlacedSync, Project
from sync_assets.project.tables import (
    Order,
    Outcomes,
    refuse_reader,
    restore,
    run_replica,
    run_tables,
    tables_of,
    verify_tables,
)

Syncs = Mapping[str, PlacedSync]


def is_replica(found: Project, what: str) -> bool:
    """Whether `what` is the name of a replica, or ``replica:table``."""
    return what.partition(":")[0] in found.replicas


def run(
    found: Project,
    what: str,
    tables: Sequence[str],
    partitions: Sequence[str],
    mode: Mode | None,
    accept_empty: bool,
    as_json: bool,
    *,
    dry: bool = False,
) -> int:
    """Run a replica, or the tables of it that are named; with `dry` say what that would do."""
    name, names = _parts(what, tables)
    with show.progress() as progress:
        syncs = tables_of(found, name, names)
        keys = _keys(syncs, partitions)
        order = Order(mode, run_id=_run_id(), progress=progress, accept_empty=accept_empty, dry=dry)
        outcomes = run_replica(found, found.replica(name), syncs, keys, order)
    return _told(name, outcomes, as_json, dry=dry)


def _keys(syncs: Syncs, partitions: Sequence[str]) -> dict[str, Sequence[str]]:
    """Partitions are those of one table: others of the replica may be cut otherwise."""
    if not partitions:
        return {}
    if len(syncs) != 1:
        hint = "name it: --table schema.table"
        raise Stop("--partition is for one table of a replica", hint=hint, code="partition")
    ((table, sync),) = syncs.items()
    return {table: chosen(sync, partitions, datetime.now(UTC)) or []}


def _parts(what: str, tables: Sequence[str]) -> tuple[str, list[str]]:
    """``replica:schema.table`` as its parts."""
    name, colon, table = what.partition(":")
    return name, [*([table] if colon else []), *tables]


def _run_id() -> str:
    return f"cli-{uuid.uuid4()}"


def _told(name: str, outcomes: Outcomes, as_json: bool, *, dry: bool = False) -> int:
    if as_json:
        shown = {
            table: show.as_json(o.report) if o.report else {"error": str(o.error)} for table, o in outcomes.items()
        }
        print(json.dumps(shown, ensure_ascii=False, default=str))
    else:
        show_tables.outcomes(name, outcomes, planned=dry)
    codes = [exits.of_error(o.error) for o in outcomes.values() if o.error is not None]
    reports = [o.report for o in outcomes.values() if o.report is not None]
    return exits.gravest([*codes, *(() if dry else map(exits.of_report, reports))])


# -- proof ------------------------------------------------------------------------------------------------------


def _named(found: Project, what: str, tables: Sequence[str]) -> Syncs:
    """Tables of a replica, or the one sync into a table, by what they are called here."""
    if is_replica(found, what):
        name, names = _parts(what, tables)
        return tables_of(found, name, names)
    sync = found.sync(what)
    if not sync.into_table:
        hint = f"for a board: sync-assets plan {what}"
        raise Stop(f"{what} writes to a board", hint=hint, code="board")
    if tables:
        raise Stop(f"{what} is one sync, and has no tables to choose from", hint="leave --table out", code="tables")
    return {what: sync}


def verify(what: str, tables: Sequence[str], as_json: bool) -> int:
    """Compare whole tables on both sides."""
    found = project()
    syncs = _named(found, what, tables)
    verdicts = _verified(found, syncs)
    if as_json:
        print(json.dumps(show_tables.verdicts_as_json(verdicts), ensure_ascii=False))
    else:
        show_tables.verdicts(verdicts)
    differing = [t for t, v in verdicts.items() if isinstance(v, Verdict) and v.equal is False]
    if differing and not as_json:
        print(f"  -> sync-assets repair {what} ships the rows that differ")
    errors = [exits.of_error(v) for v in verdicts.values() if isinstance(v, SyncError)]
    return exits.gravest([*errors, *([exits.STOP] if differing else [])])


def _verified(found: Project, syncs: Syncs) -> dict[str, Verdict | SyncError]:
    with show.progress() as progress:
        verdicts = verify_tables(found, list(syncs.values()), Order(progress=progress))
    return {table: verdicts[sync.name] for table, sync in syncs.items()}


def repair(what: str, tables: Sequence[str], yes: bool, as_json: bool) -> int:
    """Show what differs, ask, and ship only that."""
    found = project()
    syncs = _named(found, what, tables)
    verdicts = _verified(found, syncs)
    differing = {t: s for t, s in syncs.items() if not _is_equal(verdicts[t])}
    if not as_json:
        show_tables.verdicts(verdicts)
    if not differing:
        print("nothing to repair" if not as_json else "{}")
        return exits.OK
    if not _agreed(f"ship what differs in {len(differing)} of {len(syncs)} tables?", yes):
        return exits.STOP
    with show.progress() as progress:
        order = Order(changes=Changes.HASH, run_id=_run_id(), progress=progress)
        done = _again(found, what, differing, order)
    return _told(what, done, as_json)


def _is_equal(verdict: Verdict | SyncError) -> bool:
    return isinstance(verdict, Verdict) and verdict.equal is True


def _again(found: Project, what: str, syncs: Syncs, order: Order) -> Outcomes:
    """Whole tables: those that are cut into partitions, in all partitions that there are now."""
    if is_replica(found, what):
        return run_replica(found, found.replica(what.partition(":")[0]), syncs, {}, order)
    (sync,) = syncs.values()
    return run_tables(found, [sync], {sync.name: _every(sync)}, order)


def _every(sync: PlacedSync) -> Sequence[str]:
    from sync_assets.project import windows

    parts = sync.spec.partitions
    return () if parts is None else windows.keys(parts, sync.time_zone, datetime.now(UTC))


def copy_back(name: str, tables: Sequence[str], yes: bool, accept_deletes: bool, as_json: bool) -> int:
    """Show what copying a replica back into its source would do, ask, and do it."""
    found = project()
    name, names = _parts(name, tables)
    placed = found.replica(name)
    syncs = tables_of(found, name, names)

    def back(dry: bool) -> Outcomes:
        with show.progress() as progress:
            order = Order(run_id=_run_id(), progress=progress, dry=dry)
            return restore(found, placed, syncs, order, accept_deletes=accept_deletes)

    refuse_reader(found, placed.spec.source)
    foreseen = back(dry=True)
    if not as_json:
        show_tables.outcomes(f"from {placed.spec.target} back into {placed.spec.source}", foreseen, planned=True)
        print("the user may write there; its rights to each table, and to the ledger, show when it begins")
    if not _agreed(f"write this into {placed.spec.source}, the source of {name}?", yes):
        return exits.STOP
    return _told(name, back(dry=False), as_json)


def _agreed(question: str, yes: bool) -> bool:
    """Ask. Raises `Stop` where nobody can be asked."""
    if not yes and not sys.stdin.isatty():
        raise Stop(
            "there is no terminal to ask at, and nothing was written", hint="look at it, then add --yes", code="yes"
        )
    if yes or click.confirm(question, default=False, err=True):
        return True
    sys.stderr.write("nothing was written\n")
    return False


# -- history ----------------------------------------------------------------------------------------------------


def runs(name: str | None, limit: int, as_json: bool) -> int:
    """The newest runs; those whose process has died are called lost first."""
    from sync_assets.project.history import reconcile
    from sync_assets.store.control import open_store

    if name is not None:
        found = project()
        if not is_replica(found, name) and name.partition("/")[0] not in found.fleets:
            found.sync(name)
    with open_store() as store:
        reconcile(store)
        entries = store.runs(name, limit=limit)
    if as_json:
        print(json.dumps([show_tables.run_as_json(entry) for entry in entries], ensure_ascii=False, default=str))
    else:
        show_tables.runs(entries)
    return exits.OK
