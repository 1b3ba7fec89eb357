"""Tables of other databases as PostgreSQL would have them: its types, its statements. Opens no connection.

PostgreSQL to PostgreSQL is not translated but carried over whole (`definition`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sync_assets.databases import structure
from sync_assets.databases.defaults import Default, plain
from sync_assets.databases.quoting import listed, qualified, quoted
from sync_assets.databases.structure import Made, Table, prefixed, refused
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.drift import Difference, Kind, Native
from sync_assets.engine.tables.shape import ColumnShape, ForeignKey, TableName, TableShape
from sync_assets.engine.tables.writing import Design, Policy, Wanted

NAME_BYTES = 63
_VARCHAR = 10_485_760  # characters, PostgreSQL's own limit
_UNSIZED = ("tinytext", "text", "mediumtext", "longtext", "clob")  # their length is a size of storage, no rule
_OTHERS = ("bit", "inet4", "inet6")  # of MySQL and MariaDB


def design(
    wanted: Sequence[Wanted], existing: Mapping[TableName, TableShape], source_dialect: str, policy: Policy
) -> Design:
    """What must be done here so that tables of `source_dialect` can be held. Raises `Stop` for what cannot be."""
    return structure.design(_Postgres(), wanted, existing, source_dialect, policy)


# -- types ----------------------------------------------------------------------------------------------------------


def native_of(column: ColumnShape, source_dialect: str) -> Native | None:
    """The column's type here; None where nothing here holds its values."""
    return _RULES[column.type](column, source_dialect)


def _shape(column: ColumnShape, text: str, type: ColumnType, **measures: object) -> ColumnShape:
    blank = ColumnShape(column.name, type, text, column.nullable, number=column.number, comment=column.comment)
    return replace(blank, **measures)  # type: ignore[arg-type]


def _made(column: ColumnShape, text: str, type: ColumnType, loss: str = "", **measures: object) -> Native:
    return Native(text, _shape(column, text, type, **measures), loss)


def _bool(column: ColumnShape, dialect: str) -> Native:
    return _made(column, "boolean", ColumnType.BOOL, "values other than 0 and 1 are refused")


def _integer(column: ColumnShape, dialect: str) -> Native:
    """The smallest type that holds all its values."""
    if column.native.lower().startswith("year"):
        return _made(column, "smallint", ColumnType.INTEGER, bits=16)
    bits = (column.bits or (64 if column.type is ColumnType.BIGINT else 32)) + column.unsigned
    if bits > 64:
        return _made(column, "numeric(20,0)", ColumnType.DECIMAL, precision=20, scale=0)
    size, text = next(
        (size, text) for size, text in ((16, "smallint"), (32, "integer"), (64, "bigint")) if bits <= size
    )
    return _made(column, text, ColumnType.BIGINT if size == 64 else ColumnType.INTEGER, bits=size)


def _decimal(column: ColumnShape, dialect: str) -> Native:
    """SQLite's precision is a comment: nothing holds values to it."""
    if column.precision is None or dialect == "sqlite":
        return _made(column, "numeric", ColumnType.DECIMAL)
    precision, scale = column.precision, column.scale or 0
    return _made(column, f"numeric({precision},{scale})", ColumnType.DECIMAL, precision=precision, scale=scale)


def _float(column: ColumnShape, dialect: str) -> Native:
    single = column.bits == 32
    return _made(column, "real" if single else "double precision", ColumnType.FLOAT, bits=32 if single else 64)


def _text(column: ColumnShape, dialect: str) -> Native:
    length = None if dialect == "sqlite" or column.native.lower().startswith(_UNSIZED) else column.length
    if length is None or length > _VARCHAR:
        return _made(column, "text", ColumnType.TEXT)
    length = max(length, 1)
    word = "character" if column.fixed else "character varying"
    return _made(column, f"{word}({length})", ColumnType.TEXT, length=length, fixed=column.fixed)


def _enum(column: ColumnShape, dialect: str) -> Native:
    return _made(column, "text", ColumnType.TEXT, "its list of options is not enforced")


def _set(column: ColumnShape, dialect: str) -> Native:
    return _made(column, "text", ColumnType.TEXT, "becomes a JSON array of its elements, as text")


def _clock(column: ColumnShape, dialect: str, word: str, zone: str) -> Native:
    precision = 6 if column.precision is None or dialect == "sqlite" else min(column.precision, 6)
    return _made(column, f"{word}({precision}) {zone}", column.type, precision=precision)


def _datetime(column: ColumnShape, dialect: str) -> Native:
    return _clock(column, dialect, "timestamp", "without time zone")


def _instant(column: ColumnShape, dialect: str) -> Native:
    return _clock(column, dialect, "timestamp", "with time zone")


def _time(column: ColumnShape, dialect: str) -> Native:
    native = _clock(column, dialect, "time", "without time zone")
    return replace(native, loss="times outside of 00:00 to 24:00 are refused") if dialect == "mysql" else native


def _json(column: ColumnShape, dialect: str) -> Native:
    """json and not jsonb: it keeps the text, so both sides can be compared."""
    return _made(column, "json", ColumnType.JSON)


def _blob(column: ColumnShape, dialect: str) -> Native:
    return _made(column, "bytea", ColumnType.BLOB)


def _other(column: ColumnShape, dialect: str) -> Native | None:
    if dialect == "mysql" and not column.native.lower().startswith(_OTHERS):
        return None
    if column.native.lower().startswith("bit"):
        return _made(column, "text", ColumnType.TEXT, "bits become a text of 0 and 1")
    return _made(column, "text", ColumnType.TEXT, "is kept as its text")


_RULES: Mapping[ColumnType, structure.Rule] = {
    ColumnType.BOOL: _bool, ColumnType.INTEGER: _integer, ColumnType.BIGINT: _integer, ColumnType.DECIMAL: _decimal,
    ColumnType.FLOAT: _float, ColumnType.TEXT: _text, ColumnType.ENUM: _enum, ColumnType.SET: _set,
    ColumnType.DATE: lambda column, dialect: _made(column, "date", ColumnType.DATE),
    ColumnType.TIME: _time, ColumnType.DATETIME: _datetime,
    ColumnType.INSTANT: _instant, ColumnType.JSON: _json,
    ColumnType.UUID: lambda column, dialect: _made(column, "uuid", ColumnType.UUID), ColumnType.BLOB: _blob,
    ColumnType.INTERVAL: lambda column, dialect: _made(column, "interval", ColumnType.INTERVAL),
    ColumnType.OTHER: _other,
}  # fmt: skip


# -- statements -----------------------------------------------------------------------------------------------------


def literal(text: str) -> str:
    """A constant as PostgreSQL reads it, whatever `standard_conforming_strings` says."""
    doubled = text.replace("'", "''")
    return f"'{doubled}'" if "\\" not in text else "E'" + doubled.replace("\\", "\\\\") + "'"


def _guarded(missing: str, statement: str) -> str:
    """`statement` unless the query `missing` finds something: PostgreSQL has no IF NOT EXISTS for it."""
    body = f"begin if not exists ({missing}) then {statement}; end if; end"
    tag = "$do$"
    while tag in body:
        tag = tag[:-1] + "x$"
    return f"do {tag} {body} {tag}"


class _Postgres:
    """`structure.Grammar`."""

    folded = False

    def columns(self, wanted: Wanted, source_dialect: str, indexed: frozenset[str]) -> Sequence[Native]:
        found = [(c, native_of(c, source_dialect)) for c in wanted.columns]
        for column, native in found:
            if native is None:
                raise refused(wanted, column.name, column.native)
        return [native for _, native in found if native is not None]

    def name_trouble(self, name: str) -> str:
        if "\0" in name or not name:
            return "is none here"
        return "" if len(name.encode()) <= NAME_BYTES else f"is longer than {NAME_BYTES} bytes"

    def default(self, default: Default, native: Native) -> str:
        type = native.shape.type
        if default.kind == "now":
            return "current_timestamp" if type in (ColumnType.DATETIME, ColumnType.INSTANT) else ""
        if default.kind == "today":
            return "current_date" if type is ColumnType.DATE else ""
        if default.kind not in ("number", "text", "bool") or type is ColumnType.BLOB:
            return ""
        return _constant(plain(default), type)

    def counts(self, made: Native, table: Wanted) -> bool:
        return made.shape.type in (ColumnType.INTEGER, ColumnType.BIGINT)

    def create(self, table: Table) -> Sequence[str]:
        lines = [_column(c) for c in table.columns]
        if table.key:
            lines.append(f"{'unique' if table.unique else 'primary key'} ({listed(table.key)})")
        name = qualified(table.name)
        inside = ",\n  ".join(lines)
        return [_schema(table.name.schema), f"create table if not exists {name} (\n  {inside}\n)", *_comments(table)]

    def add(self, table: TableName, made: Made) -> Sequence[str]:
        free = not made.native.shape.nullable and not made.default
        shown = replace(made, native=replace(made.native, shape=replace(made.native.shape, nullable=True)))
        line = _column(replace(shown if free else made, identity=False))
        return [f"alter table {qualified(table)} add column if not exists {line}"]

    def alter(self, table: TableName, difference: Difference) -> Sequence[str]:
        name, native, was = quoted(difference.column), difference.native, difference.was
        if difference.kind is Kind.WIDENED and native:
            return [f"alter table {qualified(table)} alter column {name} type {native.text}"]
        if difference.kind is Kind.NULLABILITY:
            return [f"alter table {qualified(table)} alter column {name} drop not null"]
        if difference.kind is Kind.RENAMED and was:
            return [f"alter table {qualified(table)} rename column {quoted(was.name)} to {name}"]
        return []

    def index(self, table: TableName, name: str, columns: Sequence[str], unique: bool) -> Sequence[str]:
        kind = "unique index" if unique else "index"
        return [f"create {kind} if not exists {quoted(name)} on {qualified(table)} ({listed(columns)})"]

    def index_trouble(self, columns: Sequence[Native]) -> str:
        lacking = [c.shape.name for c in columns if c.shape.type is ColumnType.JSON]
        return f"needs an order, which json does not have ({', '.join(lacking)})" if lacking else ""

    exact_references = False

    def foreign_key(self, table: TableName, key: ForeignKey) -> Sequence[str]:
        missing = ("select from pg_catalog.pg_constraint where contype = 'f' and conname = "
                   f"{literal(key.name)} and conrelid = {literal(qualified(table))}::regclass")  # fmt: skip
        statement = (
            f"alter table {qualified(table)} add constraint {quoted(key.name)} foreign key ({listed(key.columns)})"
            f" references {qualified(key.to)} ({listed(key.to_columns)}){actions(key)}"
        )
        return [_guarded(missing, statement)]

    def position(self, table: TableName, column: str) -> Sequence[str]:
        """A value below 1 is none of an ascending sequence."""
        sequence = f"pg_get_serial_sequence({literal(qualified(table))}, {literal(column)})"
        largest = f"(select max({quoted(column)}) from {qualified(table)})"  # noqa: S608 (names are quoted)
        return [f"select setval({sequence}, greatest(coalesce({largest}, 1), 1), coalesce({largest}, 0) >= 1)"]

    def object_name(self, table: TableName, name: str) -> str:
        return prefixed(table, name, NAME_BYTES)


_ACTIONS = {"CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT"}


def actions(key: ForeignKey) -> str:
    """``on delete`` and ``on update``, which all three databases write alike."""
    parts = [("delete", key.on_delete.upper()), ("update", key.on_update.upper())]
    return "".join(f" on {event} {action.lower()}" for event, action in parts if action in _ACTIONS)


def _constant(text: str, type: ColumnType) -> str:
    if type is ColumnType.BOOL:
        return {"1": "true", "0": "false"}.get(text, "")
    if type in (ColumnType.INTEGER, ColumnType.BIGINT, ColumnType.DECIMAL, ColumnType.FLOAT):
        return text if re.fullmatch(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", text, re.A) else ""
    dated = type in (ColumnType.DATE, ColumnType.DATETIME)
    if type is ColumnType.INSTANT or (dated and text.startswith("0000-00-00")):  # whose zone, and no such day
        return ""
    return literal(text)


def _column(made: Made) -> str:
    parts = [quoted(made.name), made.native.text]
    if made.identity:
        parts.append("generated by default as identity")
    elif made.default:
        parts.append(f"default {made.default}")
    if not made.native.shape.nullable:
        parts.append("not null")
    return " ".join(parts)


def _schema(name: str) -> str:
    """CREATE SCHEMA IF NOT EXISTS asks for the right to create even where it is there."""
    missing = f"select from pg_catalog.pg_namespace where nspname = {literal(name)}"
    return _guarded(missing, f"create schema {quoted(name)}")


def _comments(table: Table) -> list[str]:
    name = qualified(table.name)
    found = [f"comment on table {name} is {literal(table.comment)}"] if table.comment else []
    shown = [c for c in table.columns if c.comment]
    return found + [f"comment on column {name}.{quoted(c.name)} is {literal(c.comment)}" for c in shown]
