"""Asks a server's catalogue about the parts of a structure, in a constant number of questions, and names them anew.

Must not know what is done with them. Everything is read in one transaction that is rolled back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import psycopg
from psycopg.rows import tuple_row

from sync_assets.databases.postgres import errors
from sync_assets.databases.postgres.definition import parts
from sync_assets.databases.postgres.definition.names import Name, Renaming, literal
from sync_assets.store.sql import read_named

_SQL = read_named(Path(__file__).with_name("catalogue.sql"))
_CHUNK = 200  # sequences asked for their position in one statement

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Ask:
    """Named questions to one server. `place` is for messages."""

    connection: psycopg.Connection[Any]
    place: str

    def __call__(self, question: str, **params: Any) -> list[Row]:
        return self.raw(_SQL[question], params)

    def raw(self, sql: str, params: Mapping[str, Any] | None = None) -> list[Row]:
        with self.connection.cursor(row_factory=tuple_row) as cursor:
            cursor.execute(cast(Any, sql), params)
            return cursor.fetchall()


@contextmanager
def asking(connection: psycopg.Connection[Any], place: str) -> Iterator[Ask]:
    """Questions inside one transaction (or savepoint) that changes nothing, settings included. Errors come sorted."""
    try:
        with connection.transaction(force_rollback=True):
            ask = Ask(connection, place)
            ask("settings")
            yield ask
    except psycopg.Error as error:
        raise errors.classify(error, place) from None


@dataclass(frozen=True, slots=True)
class Scope:
    """Which relations, by number and old name; their new names; which of their columns, where not
    all, and which not."""

    tables: Mapping[int, Name]
    renaming: Renaming = field(default_factory=Renaming)
    kept: Mapping[Name, frozenset[str]] = field(default_factory=dict)
    gone: Mapping[Name, frozenset[str]] = field(default_factory=dict)

    @property
    def oids(self) -> list[int]:
        return list(self.tables)

    def keeps(self, table: Name, column: str) -> bool:
        return table not in self.kept or column in self.kept[table]

    def left_out(self, table: Name, columns: Sequence[str]) -> list[str]:
        return [c for c in columns if not self.keeps(table, c)]

    def new(self, oid: int) -> Name:
        return self.renaming.relation(self.tables[oid])


def find(ask: Ask, names: Sequence[Name]) -> dict[Name, tuple[int, str]]:
    """Number and kind of relations by name."""
    rows = ask("find", schemas=[n.schema for n in names], names=[n.name for n in names])
    return {Name(r[1], r[2]): (r[0], r[3]) for r in rows}


def tables(ask: Ask, scope: Scope) -> dict[Name, parts.Table]:
    """The tables with their columns, parents before partitions."""
    columns: dict[int, list[parts.Column]] = {oid: [] for oid in scope.oids}
    for row in ask("columns", oids=scope.oids):
        old = scope.tables[row[0]]
        if scope.keeps(old, row[2]):
            columns[row[0]].append(_column(row[1:], old, scope.renaming))
    found = {}
    for row in ask("relations", oids=scope.oids):
        table = _table(row, scope)
        found[row[0]] = replace(table, columns=tuple(columns[row[0]]))
    return {found[oid].name: found[oid] for oid in scope.oids if oid in found}


def _column(row: Row, old: Name, renaming: Renaming) -> parts.Column:
    column = parts.Column(*(*row[:11], tuple(row[11]), *row[12:]))
    return replace(
        column,
        name=renaming.column(old, column.name),
        type=renaming.text(column.type),
        expression=renaming.text(column.expression, old),
    )


def _table(row: Row, scope: Scope) -> parts.Table:
    schemas, names = row[15], row[16]
    return parts.Table(
        scope.new(row[0]), row[3], row[4], row[5], scope.renaming.text(row[6]),
        scope.renaming.text(row[7], scope.tables[row[0]]), tuple(row[8]), row[9], row[10], row[11], row[12], row[13],
        row[14], tuple(scope.renaming.relation(Name(s, n)) for s, n in zip(schemas, names, strict=True)),
        row[17], row[18],
    )  # fmt: skip


def generated_uses(ask: Ask, scope: Scope) -> dict[tuple[Name, int], list[str]]:
    """Columns (old names) that generated columns stand on, by table (old name) and number."""
    found: dict[tuple[Name, int], list[str]] = {}
    for oid, number, column in ask("uses", oids=scope.oids):
        found.setdefault((scope.tables[oid], number), []).append(column)
    return found


def constraints(ask: Ask, scope: Scope) -> list[tuple[parts.Constraint, list[str]]]:
    """The constraints, each with those of its columns that are left out."""
    return [_constraint(row, scope) for row in ask("constraints", oids=scope.oids)]


def _constraint(row: Row, scope: Scope) -> tuple[parts.Constraint, list[str]]:
    old, renaming = scope.tables[row[0]], scope.renaming
    to = Name(row[5], row[6]) if row[6] else None
    missing = scope.left_out(old, row[4]) + (scope.left_out(to, row[7]) if to else [])
    definition = renaming.foreign_key(row[3], old, to) if to else renaming.text(row[3], old)
    parent = _index_name(row[12], row[11], scope)
    return parts.Constraint(
        renaming.relation(old), row[1], row[2], definition, tuple(renaming.column(old, c) for c in row[4]),
        renaming.relation(to) if to else None, row[8], row[9], row[10], parent, row[13], row[14], row[15],
    ), missing  # fmt: skip


def _index_name(schema: str, name: str, scope: Scope) -> Name | None:
    """An index lives in the schema of its table, and moves with it."""
    return Name(schema, name) if name else None


def indexes(ask: Ask, scope: Scope) -> list[tuple[parts.Index, list[str]]]:
    """Indexes without a constraint, each with those of its columns that are left out."""
    found = []
    for row in ask("indexes", oids=scope.oids):
        old = scope.tables[row[0]]
        index = parts.Index(
            scope.new(row[0]), row[1], scope.renaming.text(row[2], old), tuple(row[3]), row[4], row[5],
            _index_name(row[7], row[6], scope), row[8], row[9], row[10], row[11],
            tuple(zip(row[12], row[13], strict=True)),
        )  # fmt: skip
        found.append((index, scope.left_out(old, row[3])))
    return found


def statistics(ask: Ask, scope: Scope) -> list[tuple[parts.Statistic, list[str]]]:
    found = []
    for row in ask("statistics", oids=scope.oids):
        old, old_name = scope.tables[row[0]], Name(row[1], row[2])
        new_name = Name(scope.new(row[0]).schema, row[2]) if row[1] == old.schema else old_name
        names = replace(scope.renaming, relations={**scope.renaming.relations, old_name: new_name})
        statistic = parts.Statistic(
            scope.new(row[0]), new_name, names.text(row[3], old), tuple(row[4]), row[5], row[6]
        )  # fmt: skip
        found.append((statistic, scope.left_out(old, row[4])))
    return found


def sequences(ask: Ask, scope: Scope, oids: Sequence[int]) -> dict[int, parts.Sequence]:
    """Sequences owned by the tables or listed by number, with their positions where we may read them."""
    found: dict[int, parts.Sequence] = {}
    old_names: dict[int, Name] = {}
    for row in ask("sequences", oids=list(oids), tables=scope.oids):
        owner = scope.tables.get(row[12])
        kept = owner is not None and scope.keeps(owner, row[13])
        if owner is not None and not kept and row[0] not in oids:
            continue
        old_names[row[0]] = Name(row[1], row[2])
        table = scope.renaming.relation(owner) if owner and kept else None
        column = scope.renaming.column(owner, row[13]) if owner and kept else ""
        name = scope.renaming.relation(old_names[row[0]])
        elsewhere = owner is None and row[12] != 0
        made = parts.Sequence(*(name, *row[3:12], table, column, row[14], row[16], row[15]))
        found[row[0]] = replace(made, elsewhere=elsewhere)
    spots = positions(ask, {oid: old_names[oid] for oid, s in found.items() if s.readable})
    return {oid: replace(s, position=spots[oid][0], called=spots[oid][1]) if oid in spots else s
            for oid, s in found.items()}  # fmt: skip


def positions(ask: Ask, names: Mapping[int, Name]) -> dict[int, tuple[int, bool]]:
    """The last value of sequences, and whether it has been handed out. Not part of any snapshot."""
    found: dict[int, tuple[int, bool]] = {}
    items = list(names.items())
    for at in range(0, len(items), _CHUNK):
        pieces = [f"select {oid}::int8, last_value, is_called from {name.sql}" for oid, name in items[at : at + _CHUNK]]  # noqa: S608 (quoted)
        found |= {row[0]: (row[1], row[2]) for row in ask.raw(" union all ".join(pieces))}
    return found


def literals(texts: Sequence[str]) -> str:
    return ", ".join(literal(t) for t in texts)
