"""Rules for syncs into tables, and for replicas: which fields belong to which kind of target, filters, partitions.

Like `project.rules`, whose pieces these are: troubles out of what is valid by itself; asks no server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sync_assets.databases.base import name_parts
from sync_assets.engine.errors import Stop
from sync_assets.engine.model import Mode
from sync_assets.engine.tables.job import Changes
from sync_assets.project.faults import Trouble
from sync_assets.project.replica_spec import DatabaseReplicaSpec
from sync_assets.project.spec import ColumnSpec, KeyRanges, SyncSpec
from sync_assets.project.where import Dialect

_BOARD_ONLY = (
    "bitable",
    "table_name",
    "field_types",
    "unmapped",
    "create_fields",
    "duplicates",
    "verify",
    "batch_rows",
    "append_column",
)
_TABLE_ONLY = ("into", "where", "changes", "proof", "schema_changes", "create", "allow_writing_role")
_BOARD_COLUMNS = ("type", "format", "currency", "options", "person_id")
_KEYED = (Mode.FULL, Mode.INCREMENTAL, Mode.OVERWRITE)


def of_board(sync: SyncSpec) -> Iterator[Trouble]:
    """What a sync into a board must have, and must not."""
    if sync.bitable is None:
        yield Trouble(("bitable",), "is missing", SyncSpec.model_fields["bitable"].description or "")
    for name in _TABLE_ONLY:
        if name in sync.model_fields_set:
            yield Trouble(
                (name,), "is for tables, and the target is a board", "leave it out, or name a database as target"
            )
    if isinstance(sync.partitions, KeyRanges):
        yield Trouble(("partitions", "by"), "ranges of a key are for tables, and the target is a board",
                      "use windows of time, or fixed values")  # fmt: skip
    if not sync.key and sync.mode in _KEYED:
        yield _no_key(sync.mode)


def _no_key(mode: Mode) -> Trouble:
    return Trouble(("key",), f"mode {mode} needs a key", "name the columns that identify a row;"
                   " without a key only clone and append are possible")  # fmt: skip


def of_table(sync: SyncSpec, source: str | None, target: str | None) -> Iterator[Trouble]:
    """What a sync into a table must have, and must not. `source` and `target` are names of connections."""
    for name in _BOARD_ONLY:
        if name in sync.model_fields_set:
            right = "leave it out, and write into: schema.table" if name == "bitable" else "leave it out"
            yield Trouble((name,), f"is for boards, and the target {target} is a database", right)
    yield from columns(sync.columns)
    if sync.mode is Mode.APPEND:
        right = "use full or incremental, which need a key, or clone, which replaces the whole table"
        yield Trouble(("mode",), "append would copy every row again with each run", right)
    if sync.query is not None and sync.into is None:
        yield Trouble(("into",), "is missing", "a query has no name of its own: write schema.table or table")
    if sync.query is not None and not sync.key and sync.mode in _KEYED:
        yield _no_key(sync.mode)
    yield from _name(("into",), sync.into)
    if source == target and sync.table is not None and _same(sync.table, sync.into or sync.table.split(".")[-1]):
        yield Trouble(("into",), "is the table that is read", "write into another table, or another database")
    if sync.changes is Changes.WATERMARK and not sync.watermark:
        yield Trouble(("changes",), "watermark needs a watermark", "add watermark: COLUMN")
    if sync.changes is Changes.WATERMARK and sync.mode is Mode.CLONE:
        yield Trouble(("changes",), "a watermark does not show deletes, and clone must", "use changes: hash,"
                      " or mode: full")  # fmt: skip
    if sync.query is not None and sync.partitions is not None and not sync.partitions.column:
        yield Trouble(("partitions", "column"), "is missing", "name the column of the query that says which partition"
                      " a row belongs to")  # fmt: skip


def _same(one: str, other: str) -> bool:
    """Whether two names may well mean one table: a missing schema may be any."""
    a, b = one.split("."), other.split(".")
    return a[-1] == b[-1] and (len(a) != len(b) or a == b)


def _name(loc: tuple[str | int, ...], text: str | None) -> Iterator[Trouble]:
    if text is None:
        return
    try:
        parts = name_parts(text)
    except Stop:
        parts = []
    if not 1 <= len(parts) <= 2 or not all(part.strip() for part in parts):
        yield Trouble(loc, "is not the name of a table", 'write table or schema.table; quote odd parts: "a.b".c')


def columns(found: Mapping[str, ColumnSpec]) -> Iterator[Trouble]:
    """A table's columns may be left out or called otherwise; their types come from the source."""
    for name, said in found.items():
        for field in _BOARD_COLUMNS:
            if field in said.model_fields_set:
                yield Trouble(("columns", name, field), "is for boards", "a column of a table has the source's type")


def filtered(sync: SyncSpec, dialect: Dialect) -> Iterator[Trouble]:
    """Whether the filter is one."""
    if sync.where is not None and sync.query is not None:
        yield Trouble(("where",), "stands beside query", "write it into the query")
    elif sync.where is not None:
        yield from _where(("where",), sync.where, dialect)


def _where(loc: tuple[str | int, ...], text: str, dialect: Dialect) -> Iterator[Trouble]:
    from sync_assets.project.where import rendered

    try:
        rendered(text, dialect)
    except Stop as stop:
        yield Trouble(loc, stop.message, stop.hint)


def unbound(names: Sequence[str] | frozenset[str]) -> Iterator[Trouble]:
    """A query into a table binds nothing: its windows are conditions on a column of it."""
    for name in sorted(names):
        yield Trouble(("query",), f"binds :{name}, which nothing gives", "the partitions of a query into a table are"
                      " conditions on partitions.column: leave it out")  # fmt: skip


_WITH_OBJECTS = ("postgres", "mysql")  # databases whose views and triggers can be carried to their like


def of_replica(replica: DatabaseReplicaSpec, source: Dialect | None, target: Dialect | None) -> Iterator[Trouble]:
    """Whether its overrides fit, and their filters are filters."""
    if replica.views_and_triggers and source and target and (source != target or source not in _WITH_OBJECTS):
        yield Trouble(("views_and_triggers",), f"cannot be had from {source} to {target}", "leave it out: they are"
                      " carried between PostgreSQL servers, and between MySQL or MariaDB servers")  # fmt: skip
    if replica.views_and_triggers and not replica.create:
        yield Trouble(("views_and_triggers",), "stands beside create: false", "with create: true they are made")
    for name, table in replica.overrides.items():
        loc = ("overrides", name)
        if table.changes is Changes.WATERMARK and (table.mode or replica.mode) is Mode.CLONE:
            yield Trouble((*loc, "changes"), "a watermark does not show deletes, and clone must", "use changes: hash,"
                          " or mode: full")  # fmt: skip
        yield from (Trouble(loc + t.loc, t.message, t.hint) for t in columns(table.columns))
        yield from _name((*loc, "into"), table.into)
        if table.where is not None and source is not None:
            yield from _where((*loc, "where"), table.where, source)
    if replica.source == replica.target and not replica.into:
        yield Trouble(("target",), "is the source, and every table would be its own copy", "name another database,"
                      " or give into: another schema")  # fmt: skip
