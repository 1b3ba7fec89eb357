"""Staged rows into their table by statements over whole sets. Unchanged rows are not touched.

What counts as a change is decided by bytes: a collation takes A for a, and would hide that a text has changed. What
counts as the same key is decided by the table's own index.
"""

from __future__ import annotations

from collections.abc import Sequence

from sync_assets.databases.mysql.tables import choice
from sync_assets.databases.mysql.tables.line import Line, quote
from sync_assets.databases.mysql.tables.render import base, hexed
from sync_assets.engine.errors import Stop
from sync_assets.engine.model import ColumnType, Counts
from sync_assets.engine.tables.shape import ColumnShape, TableName
from sync_assets.engine.tables.writing import Merge

_BYTES = frozenset({ColumnType.TEXT, ColumnType.ENUM, ColumnType.SET})


def merge(line: Line, stage: TableName, table: TableName, how: Merge) -> Counts:
    """Delete, update, then add: a value of a unique column that moves from one row to another is free by then."""
    counts = Counts(read=int(line.one(f"select count(*) from {choice.table(stage)}")))  # noqa: S608 (quoted)
    if how.key:
        _refuse_doubtful_keys(line, stage, how)
    if how.delete_missing and how.key:
        counts.deleted = line.run(_delete(stage, table, how))
    if how.add and how.replace and how.key and counts.read:
        counts.updated = line.run(_update(stage, table, how))
    if how.add and counts.read:
        counts.created = _insert(line, stage, table, how, counts.read)
    counts.unchanged = counts.read - counts.created - counts.updated
    return counts


def _refuse_doubtful_keys(line: Line, stage: TableName, how: Merge) -> None:
    names = ", ".join(quote(k) for k in how.key)
    twice = line.one(
        f"select count(*) from (select 1 from {choice.table(stage)} group by {names} having count(*) > 1) d"  # noqa: S608
    )
    if twice:
        raise Stop(
            f"{line.place}: {twice} keys ({', '.join(how.key)}) are there more than once in the source",
            hint="name the columns that identify a row; mind that the target's collation may take two texts for one",
            code="key_not_unique",
        )
    nullable = {c.name for c in how.columns if c.nullable}
    if holes := [f"{quote(k)} is null" for k in how.key if k in nullable]:
        empty = line.one(f"select count(*) from {choice.table(stage)} where {' or '.join(holes)}")  # noqa: S608
        if empty:
            raise Stop(
                f"{line.place}: {empty} rows have no value in their key ({', '.join(how.key)})",
                hint="name the columns that identify every row",
                code="key_null",
            )


def _same(key: Sequence[str]) -> str:
    return " and ".join(f"t.{quote(k)} = s.{quote(k)}" for k in key)


def _delete(stage: TableName, table: TableName, how: Merge) -> str:
    known = {c.name: c for c in how.columns}
    scope = "".join(f" and {choice.condition(known.get(c.column), c, 't.')}" for c in how.scope)
    return (
        f"delete t from {choice.table(table)} t left join {choice.table(stage)} s on {_same(how.key)}"
        f" where s.{quote(how.key[0])} is null{scope}"
    )


def _update(stage: TableName, table: TableName, how: Merge) -> str:
    sets = ", ".join(f"t.{quote(c.name)} = s.{quote(c.name)}" for c in how.columns)
    differs = " and ".join(_equal(c) for c in how.columns)
    newer = ""
    if how.newer is not None:
        column = quote(how.newer)
        newer = f" and (s.{column} > t.{column} or t.{column} is null and s.{column} is not null)"
    return (
        f"update {choice.table(table)} t join {choice.table(stage)} s on {_same(how.key)}"  # noqa: S608 (quoted)
        f" set {sets} where not ({differs}){newer}"
    )


def _equal(column: ColumnShape) -> str:
    here, there = f"t.{quote(column.name)}", f"s.{quote(column.name)}"
    if column.type is ColumnType.JSON:
        here, there = (f"cast(cast({n} as char) as binary)" for n in (here, there))
    elif column.type in _BYTES or hexed(column) or (column.type is ColumnType.OTHER and base(column) != "bit"):
        here, there = (f"cast({n} as binary)" for n in (here, there))
    return f"{here} <=> {there}"


def _insert(line: Line, stage: TableName, table: TableName, how: Merge, staged: int) -> int:
    """Reading the table that one writes to makes the server keep all rows aside first: not where nothing is there."""
    names = ", ".join(quote(c.name) for c in how.columns)
    from_stage = f"insert into {choice.table(table)} ({names}) select {names} from {choice.table(stage)} s"  # noqa: S608
    if not how.key:
        return line.run(from_stage)
    joined = f"{choice.table(stage)} s join {choice.table(table)} t on {_same(how.key)}"
    there = int(line.one(f"select count(*) from {joined}"))  # noqa: S608 (quoted)
    if there == staged:
        return 0
    if there == 0:
        return line.run(from_stage)
    return line.run(f"{from_stage} where not exists (select 1 from {choice.table(table)} t where {_same(how.key)})")  # noqa: S608
