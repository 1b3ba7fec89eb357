"""One look at the sizes of a SQL Server: data, log and FILESTREAM files of each database, its largest tables.

Files as the database itself knows them come first: the server's own list has 0 for FILESTREAM and, for tempdb, the
size at start (learn.microsoft.com, sys.master_files). A database whose size is not known is listed without one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime

from sync_assets.databases.sqlserver.collect.accounts import databases_state, failed
from sync_assets.databases.sqlserver.collect.probe import SEE_ALL, Probe
from sync_assets.databases.sqlserver.collect.rows import Found, Rows
from sync_assets.fleet.model import (
    CapacityReading,
    DatabaseSize,
    SectionKey,
    SectionName,
    SectionState,
    Status,
    TableSize,
)

Files = Mapping[str, int]  # by type: ROWS, LOG, FILESTREAM, FULLTEXT
_OWN = ("master", "model", "msdb", "tempdb")
_NO_LOGS = SectionState(Status.UNSUPPORTED, "each database has a log of its own: see log_bytes of the databases")
_NO_FILES = SectionState(Status.DENIED, "no right to see all files: grant view any definition to this login")
_NO_ENTRY = SectionState(Status.DENIED, "may not be entered: grant connect any database to this login")


def refused(probe: Probe, at: datetime) -> CapacityReading | None:
    """The reading where nothing can be read at all."""
    state = probe.unsupported
    if state is None:
        return None
    names = (SectionName.DATABASES, SectionName.SIZES, SectionName.LOGS, SectionName.TABLES)
    return CapacityReading(probe.server, at, {SectionKey(name): state for name in names}, trips=1)


def reading(probe: Probe, rows: Rows, top: int, at: datetime) -> CapacityReading:
    """The reading out of the rows of the batch."""
    listed = list(rows.of("database"))
    files = _files(probe, rows)
    found = tuple(_database(row, files.get(row.part)) for row in listed)
    seen = {row.part for row in listed if row.flag("e")}
    tables = tuple(_table(row) for row in rows.of("table") if row.part in seen)
    sections: dict[SectionKey, SectionState] = {
        SectionKey(SectionName.DATABASES): databases_state(probe, len(found)),
        SectionKey(SectionName.SIZES): _sizes(probe, rows, found),
        SectionKey(SectionName.LOGS): _NO_LOGS,
    }
    for row, one in zip(listed, found, strict=True):
        if one.bytes is None:
            sections[SectionKey(SectionName.SIZES, row.part)] = _without_size(row, rows)
        if top:
            sections[SectionKey(SectionName.TABLES, row.part)] = _tables(row, rows, tables)
    return CapacityReading(probe.server, at, sections, found, (), tables, trips=2)


def _files(probe: Probe, rows: Rows) -> Mapping[str, Files]:
    """By database, what is proven; a database with FILESTREAM, or a snapshot, only by its own word."""
    by_server, own = _summed(rows, "file"), _summed(rows, "own_file")
    sparse = _summed(rows, "sparse")
    snapshots = {row.part for row in rows.of("database") if row["f"]}
    known = {n: f for n, f in by_server.items() if probe.definitions and "FILESTREAM" not in f}
    proven = {n: f for n, f in (known | own).items() if n not in snapshots}
    return proven | sparse


def _summed(rows: Rows, kind: str) -> dict[str, Files]:
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for row in rows.of(kind):
        found[row.part][row.text("a")] = row.number("b") or 0
    return dict(found)


def _database(row: Found, files: Files | None) -> DatabaseSize:
    """tempdb is made again at every start, and is the same database all the same."""
    made = "" if row.part == "tempdb" else row.text("b")
    system = row.part in _OWN
    if files is None:
        return DatabaseSize(row.part, made, system=system)
    log = files.get("LOG", 0)
    total = sum(files.values())
    return DatabaseSize(row.part, made, total, data_bytes=total - log, log_bytes=log, system=system)


def _sizes(probe: Probe, rows: Rows, found: tuple[DatabaseSize, ...]) -> SectionState:
    number = rows.failure("", "files")
    if number is not None:
        return failed(number)
    known = sum(d.bytes is not None for d in found)
    return SectionState(Status.OK, rows=known) if probe.definitions or known == len(found) else _NO_FILES


def _without_size(row: Found, rows: Rows) -> SectionState:
    number = rows.failure(row.part, "files")
    if number is not None:
        return failed(number)
    if row["f"]:
        return SectionState(Status.DENIED, "is a snapshot: grant view server state to see its size")
    return _NO_ENTRY if not row.flag("d") else _NO_FILES


def _tables(row: Found, rows: Rows, tables: tuple[TableSize, ...]) -> SectionState:
    number = rows.failure(row.part, "tables")
    if number is not None:
        return failed(number)
    if row.text("c") != "ONLINE":
        return SectionState(Status.UNSUPPORTED, f"the database is {row.text('c').lower()}")
    if not row.flag("d"):
        return _NO_ENTRY
    if not row.flag("e"):
        return SectionState(Status.DENIED, SEE_ALL)
    return SectionState(Status.OK, rows=sum(t.database == row.part for t in tables))


def _table(row: Found) -> TableSize:
    """Of row: a schema, b name, c bytes, d rows."""
    return TableSize(row.part, row.text("a"), row.text("b"), row.number("c") or 0, row.number("d"))
