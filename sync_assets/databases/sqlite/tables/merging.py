"""Staged rows into their table, by sets. A row is touched only where a value differs, byte for byte."""
# ruff: noqa: S608 (names are quoted, values are bound)

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from sync_assets.databases.quoting import qualified, quoted
from sync_assets.databases.sqlite.tables.selecting import Columns, comparable, conditions, names
from sync_assets.engine.errors import Stop
from sync_assets.engine.model import Counts
from sync_assets.engine.tables.shape import ColumnShape, TableName
from sync_assets.engine.tables.writing import Merge


def merge(connection: sqlite3.Connection, stage: TableName, table: TableName, how: Merge, columns: Columns) -> Counts:
    """Inside a transaction. `columns` are those of `table`. Raises `Stop` for a key that is staged twice."""
    staged = connection.execute(f"select count(*) from {qualified(stage)}").fetchone()[0]
    counts = Counts(read=staged)
    if not how.key:
        counts.created = _insert(connection, stage, table, how.columns, "")
        return counts
    key = [c for name in how.key for c in how.columns if c.name == name]
    _refuse_repeats(connection, stage, table, key)
    same = " and ".join(f"{comparable(c, 's')} is {comparable(c, 't')}" for c in key)
    if how.delete_missing:
        counts.deleted = _delete(connection, stage, table, how, same, columns)
    if how.add:
        if how.replace:
            counts.updated = _update(connection, stage, table, how, same)
        missing = f" where not exists (select 1 from {qualified(table)} as t where {same})"
        counts.created = _insert(connection, stage, table, how.columns, missing)
    counts.unchanged = counts.read - counts.created - counts.updated
    return counts


def _refuse_repeats(
    connection: sqlite3.Connection, stage: TableName, table: TableName, key: Sequence[ColumnShape]
) -> None:
    by = ", ".join(comparable(c) for c in key)
    repeated = f"select 1 from {qualified(stage)} group by {by} having count(*) > 1"
    (found,) = connection.execute(f"select count(*) from ({repeated})").fetchone()
    if found:
        raise Stop(
            f"{table}: {found} keys ({', '.join(c.name for c in key)}) are in the source more than once",
            hint="name columns that identify a row with key:", code="duplicate_key",
        )  # fmt: skip


def _insert(
    connection: sqlite3.Connection, stage: TableName, table: TableName, columns: Sequence[ColumnShape], where: str
) -> int:
    listed = names(columns)
    select = f"select {listed} from {qualified(stage)} as s{where}"
    return connection.execute(f"insert into {qualified(table)} ({listed}) {select}").rowcount


def _update(connection: sqlite3.Connection, stage: TableName, table: TableName, how: Merge, same: str) -> int:
    others = [c for c in how.columns if c.name not in how.key]
    if not others:
        return 0
    changes = ", ".join(f"{quoted(c.name)} = s.{quoted(c.name)}" for c in others)
    differs = " or ".join(f"s.{quoted(c.name)} is not t.{quoted(c.name)} collate binary" for c in others)
    where = f"{same} and ({differs})"
    newer = next((c for c in others if c.name == how.newer), None)
    if newer is not None:
        where += f" and {comparable(newer, 's')} > {comparable(newer, 't')}"
    return connection.execute(
        f"update {qualified(table)} as t set {changes} from {qualified(stage)} as s where {where}"
    ).rowcount


def _delete(
    connection: sqlite3.Connection, stage: TableName, table: TableName, how: Merge, same: str, columns: Columns
) -> int:
    tests, values = conditions(how.scope, columns)
    tests.append(f"not exists (select 1 from {qualified(stage)} as s where {same})")
    return connection.execute(f"delete from {qualified(table)} as t where {' and '.join(tests)}", values).rowcount
