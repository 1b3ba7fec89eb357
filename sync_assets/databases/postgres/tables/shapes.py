"""The catalogue's rows as `TableShape`. Asks a constant number of questions, however many tables there are."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sync_assets.databases.postgres import types
from sync_assets.databases.postgres.tables.session import Session
from sync_assets.engine.errors import Stop
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.shape import ColumnShape, ForeignKey, Index, TableEntry, TableKind, TableName, TableShape
from sync_assets.store.sql import read_named

SQL = read_named(Path(__file__).with_name("catalogue.sql"))
KINDS = {
    "r": TableKind.TABLE, "p": TableKind.PARTITIONED, "v": TableKind.VIEW, "m": TableKind.VIEW, "f": TableKind.FOREIGN,
}  # fmt: skip
_ACTIONS = {"a": "", "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_BITS = {"int2": 16, "int4": 32, "int8": 64, "oid": 32, "float4": 32, "float8": 64}
_TIMES = ("time", "timetz", "timestamp", "timestamptz")
# Names of types come with their schema only when nothing but the system's own is on the path.
_ALONE = "set local search_path = pg_catalog"


@dataclass(frozen=True, slots=True)
class _Type:
    """What the catalogue says of a type; a domain as what it stands for."""

    native: str
    name: str
    kind: str
    modifier: int
    element: str
    element_kind: str
    labels: Sequence[str]

    @property
    def meaning(self) -> ColumnType:
        if self.name == "timetz":
            return ColumnType.TIME
        element = 1 if self.element else 0
        return types.NativeType(0, self.name, self.kind, element, self.element, self.element_kind, []).type


def tables(session: Session) -> list[TableEntry]:
    """All tables, views and foreign tables that are no system's."""
    return [
        TableEntry(TableName(schema, name), KINDS[kind], rows, size, tuple(TableName(*to) for to in references))
        for schema, name, kind, rows, size, references in session.ask(SQL["tables"])
    ]


def shapes(session: Session, names: Sequence[TableName]) -> dict[TableName, TableShape]:
    """The shapes of the tables that are there."""
    session.ask(f"begin isolation level repeatable read read only; {_ALONE}")
    try:
        found = session.ask(SQL["named"], ([n.schema for n in names], [n.name for n in names]))
        oids = [row[0] for row in found]
        columns, indexes, constraints = (
            _grouped(session, name, oids) for name in ("columns", "indexes", "constraints")
        )
    finally:
        session.rollback()
    made = (_shape(row, columns[row[0]], indexes[row[0]], constraints[row[0]]) for row in found)
    return {shape.name: shape for shape in made}


def query_columns(session: Session, query: str) -> tuple[ColumnShape, ...]:
    """The columns of a query's result; it is parsed, not run."""
    session.ask(f"begin read only; {_ALONE}")
    try:
        session.ask("set local search_path = default")
        with session.sorted(), session.patience():
            described = _described(session, query)
        session.ask(_ALONE)
        rows = session.ask(SQL["result"], ([d[1] for d in described], [d[2] for d in described]))
    finally:
        session.rollback()
    names = [d[0] for d in described]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        raise Stop(f"{session.place}: two columns are called {twice!r}", hint="give one another name with AS")
    return tuple(_column(n, _Type(*row[1:]), nullable=True) for n, row in zip(names, rows, strict=True))


def _described(session: Session, query: str) -> list[tuple[str, int, int]]:
    from psycopg import pq
    from psycopg.errors import error_from_result

    wire = session.connection.pgconn
    for result in (wire.prepare(b"", query.encode()), answer := wire.describe_prepared(b"")):
        if result.status == pq.ExecStatus.FATAL_ERROR:
            raise error_from_result(result)
    return [((answer.fname(i) or b"").decode(), answer.ftype(i), answer.fmod(i)) for i in range(answer.nfields)]


def _grouped(session: Session, name: str, oids: Sequence[int]) -> Mapping[int, list[Sequence[Any]]]:
    groups: dict[int, list[Sequence[Any]]] = defaultdict(list)
    for row in session.ask(SQL[name], (list(oids),)):
        groups[row[0]].append(row[1:])
    return groups


def _shape(
    row: Sequence[Any], columns: list[Sequence[Any]], indexes: list[Sequence[Any]], constraints: list[Sequence[Any]]
) -> TableShape:
    _, schema, name, kind, _, _, comment, rows, size = row
    return TableShape(
        name=TableName(schema, name),
        columns=tuple(_table_column(c) for c in columns),
        kind=KINDS[kind],
        key=next((tuple(i[5]) for i in indexes if i[1]), ()),
        unique=tuple(tuple(i[5]) for i in indexes if i[2] and not i[1] and i[4] and i[6] and i[5]),
        indexes=tuple(Index(i[0], tuple(i[5]), i[2], i[3], i[7]) for i in indexes if not i[1]),
        foreign_keys=tuple(_foreign_key(c) for c in constraints if c[0] == "f"),
        checks=tuple(c[8] for c in constraints if c[0] == "c" and c[8]),
        comment=comment,
        rows=rows,
        bytes=size,
    )


def _foreign_key(row: Sequence[Any]) -> ForeignKey:
    _, name, schema, table, columns, others, on_delete, on_update, _ = row
    to = TableName(schema, table)
    return ForeignKey(name, tuple(columns), to, tuple(others), _ACTIONS[on_delete], _ACTIONS[on_update])


def _table_column(row: Sequence[Any]) -> ColumnShape:
    """A row of ``columns``, without the table."""
    name, number, not_null, *type, default, generated, identity, collation, comment, serial = row
    word = {"a": "always", "d": "default"}.get(identity, "default" if serial else "")
    return _column(
        name, _Type(*type), nullable=not not_null, number=number, comment=comment, collation=collation, identity=word,
        default=None if generated else default, generated=default if generated else None,
    )  # fmt: skip


def _column(name: str, type: _Type, **more: Any) -> ColumnShape:
    precision, scale = types.measures(type.name, type.modifier)
    text = type.name in ("varchar", "bpchar", "bit", "varbit")
    return ColumnShape(
        name=name,
        type=type.meaning,
        native=type.native,
        bits=_BITS.get(type.name),
        unsigned=type.name == "oid",
        length=precision if text else None,
        precision=None if text else 6 if precision is None and type.name in _TIMES else precision,
        scale=scale,
        fixed=type.name == "bpchar" and precision is not None,
        with_zone=type.name == "timetz",
        options=tuple(type.labels),
        **more,
    )
