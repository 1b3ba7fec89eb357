"""What information_schema knows of tables, as shapes. A few questions for each database, however many its tables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sync_assets.databases.mysql.tables.columns import column_shape
from sync_assets.databases.mysql.tables.line import Line, quote, text
from sync_assets.databases.mysql.types import checked_columns
from sync_assets.engine.tables.shape import (
    ForeignKey,
    Index,
    TableEntry,
    TableKind,
    TableName,
    TableShape,
)
from sync_assets.store.sql import read_named

SQL = read_named(Path(__file__).with_name("catalogue.sql"))
OURS = "sync_assets_"  # ledger, stages, twins: no tables of the user's
SYSTEM = frozenset({"information_schema", "performance_schema", "mysql", "sys"})
_KINDS = {"BASE TABLE": TableKind.TABLE, "SYSTEM VERSIONED": TableKind.TABLE, "VIEW": TableKind.VIEW}
_ELSEWHERE = frozenset({"federated", "connect", "spider", "s3", "oqgraph", "sphinx"})
_NO_ACTION = frozenset({"RESTRICT", "NO ACTION"})
_FEW = 20  # names that are worth naming; more are read with all the others

Rows = Sequence[tuple[Any, ...]]


def entries(line: Line, schema: str) -> list[TableEntry]:
    """All tables and views of a database."""
    references: dict[str, set[TableName]] = defaultdict(set)
    for row in _ask(line, "foreign_keys", schema):
        references[row[0]].add(TableName(row[3], row[4]))
    return [
        TableEntry(TableName(schema, name), kind, int(rows), int(size), tuple(sorted(references[name])))
        for name, type, engine, rows, size, *_ in _ask(line, "tables", schema)
        if (kind := _kind(type, engine)) is not None and not name.startswith(OURS)
    ]


def shapes(line: Line, names: Iterable[TableName]) -> dict[TableName, TableShape]:
    """The shapes of those tables that are there, under the names that were asked for."""
    wanted: dict[str, dict[str, TableName]] = defaultdict(dict)
    fold = _fold(line)
    for name in names:
        wanted[name.schema][fold(name.name)] = name
    found: dict[TableName, TableShape] = {}
    for schema, tables in wanted.items():
        found |= _database(line, schema, tables, fold)
    return found


def _fold(line: Line) -> Callable[[str], str]:
    """Some servers do not tell upper from lower case in names of tables."""
    return str if int(line.one("select @@lower_case_table_names")) == 0 else str.lower


def _kind(type: str, engine: str) -> TableKind | None:
    return TableKind.FOREIGN if engine.lower() in _ELSEWHERE else _KINDS.get(type)


def _database(
    line: Line, schema: str, tables: Mapping[str, TableName], fold: Callable[[str], str]
) -> dict[TableName, TableShape]:
    names = [t.name for t in tables.values()] if len(tables) <= _FEW else []
    collation = [row[0] for row in _ask(line, "default_collation", schema)]
    columns, indexes = _by_table(line, "columns", schema, names), _by_table(line, "indexes", schema, names)
    foreign, checks = _by_table(line, "foreign_keys", schema, names), _checks(line, schema, names)
    found = {}
    for row in _ask(line, "tables", schema, names):
        name, kind = tables.get(fold(row[0])), _kind(row[1], row[2])
        if name is not None and kind is not None:
            parts = columns[row[0]], indexes[row[0]], foreign[row[0]], checks[row[0]]
            found[name] = _shape(name, kind, row, parts, line.mariadb, collation[0] if collation else "")
    return found


def _shape(
    name: TableName, kind: TableKind, row: tuple[Any, ...], parts: tuple[Rows, Rows, Rows, Rows], mariadb: bool,
    collation: str,
) -> TableShape:  # fmt: skip
    columns, indexes, foreign, clauses = parts
    json = {column for _, clause in clauses for column in checked_columns(clause)}
    shaped = tuple(column_shape(c, c[1] in json, mariadb, collation) for c in columns)
    key, unique, others = _indexes(indexes, {c.name for c in shaped if not c.nullable})
    return TableShape(
        name=name, kind=kind, columns=shaped, key=key, unique=unique, indexes=others, foreign_keys=_foreign(foreign),
        checks=tuple(_decoded(c) for _, c in clauses if not checked_columns(c)),
        engine=row[2], comment="" if kind is TableKind.VIEW else row[5], rows=int(row[3]), bytes=int(row[4]),
    )  # fmt: skip


def _indexes(rows: Rows, filled: set[str]) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...], tuple[Index, ...]]:
    """The primary key, other keys without NULLs, and the indexes."""
    grouped: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows:
        grouped[row[1]].append(row)
    primary = tuple(r[3] for r in grouped.pop("PRIMARY", []))
    indexes = tuple(_index(name, parts) for name, parts in grouped.items())
    unique = tuple(i.columns for i in indexes if i.unique and i.plain and set(i.columns) <= filled)
    return primary, unique, indexes


def _index(name: str, parts: list[tuple[Any, ...]]) -> Index:
    plain = all(r[3] is not None and r[4] is None and r[5] == "BTREE" for r in parts)
    columns = tuple(r[3] for r in parts if r[3] is not None)
    return Index(name, columns, unique=not int(parts[0][2]), plain=plain, definition="" if plain else _told(parts))


def _told(parts: list[tuple[Any, ...]]) -> str:
    """An index that is not on whole columns, in words for people."""
    columns = (quote(r[3]) + (f"({r[4]})" if r[4] else "") if r[3] is not None else "an expression" for r in parts)
    return f"{str(parts[0][5]).lower()} index on {', '.join(columns)}"


def _rule(word: str) -> str:
    return "" if word in _NO_ACTION else word


def _foreign(rows: Rows) -> tuple[ForeignKey, ...]:
    grouped: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows:
        grouped[row[1]].append(row)
    return tuple(
        ForeignKey(
            name, tuple(r[2] for r in parts), TableName(parts[0][3], parts[0][4]), tuple(r[5] for r in parts),
            _rule(parts[0][6]), _rule(parts[0][7]), rules_seen=bool(parts[0][6]),
        )
        for name, parts in grouped.items()
    )  # fmt: skip


def _checks(line: Line, schema: str, names: Sequence[str]) -> Mapping[str, Rows]:
    if line.mariadb:
        return _by_table(line, "checks_mariadb", schema, names)
    if line.version >= (8, 0, 16):
        return _by_table(line, "checks_mysql", schema, names)
    return defaultdict(list)


def _by_table(line: Line, question: str, schema: str, names: Sequence[str]) -> Mapping[str, Rows]:
    grouped: dict[str, list[tuple[Any, ...]]] = defaultdict(list)
    for row in _ask(line, question, schema, names):
        grouped[row[0]].append(row)
    return grouped


def _ask(line: Line, question: str, schema: str, names: Sequence[str] = ()) -> Rows:
    listed = f" in ({', '.join(text(n) for n in names)})" if names else ""
    parts = {f"{alias}names": f" and {alias.replace('_', '.')}table_name{listed}" if names else ""
             for alias in ("", "k_", "t_")}  # fmt: skip
    return line.ask(SQL[question].format(schema=text(schema), **parts))


def _decoded(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
