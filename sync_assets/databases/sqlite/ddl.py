"""Tables of any database as SQLite would have them: declared types, statements. Opens no connection.

A declared type is chosen so that its affinity (https://www.sqlite.org/datatype3.html) changes no value: text that looks
like a number becomes one under NUMERIC, so decimals of more than 15 digits and JSON are declared as texts.
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

DECIMAL_DIGITS = 15  # that a double keeps


def design(
    wanted: Sequence[Wanted], existing: Mapping[TableName, TableShape], source_dialect: str, policy: Policy
) -> Design:
    """What must be done here so that tables of `source_dialect` can be held. Raises `Stop` for what cannot be."""
    return structure.design(_SQLite(), wanted, existing, source_dialect, policy)


# -- types ----------------------------------------------------------------------------------------------------------


def native_of(column: ColumnShape, source_dialect: str) -> Native | None:
    """The column's declared type here; None where nothing here holds its values."""
    if source_dialect == "sqlite":
        return Native(column.native, replace(column, default=None, generated=None, identity=""))
    return _RULES[column.type](column, source_dialect)


def _made(column: ColumnShape, text: str, type: ColumnType, loss: str = "", **measures: object) -> Native:
    blank = ColumnShape(column.name, type, text, column.nullable, number=column.number, comment=column.comment)
    return Native(text, replace(blank, **measures), loss)  # type: ignore[arg-type]


def _as(text: str, type: ColumnType, loss: str = "", **measures: object) -> structure.Rule:
    return lambda column, dialect: _made(column, text, type, loss, **measures)


def _integer(column: ColumnShape, dialect: str) -> Native:
    if column.unsigned and (column.bits or 0) > 63:
        return _made(
            column, "text", ColumnType.TEXT, "is kept as its text: SQLite's integers end at 9223372036854775807"
        )
    return _made(column, "integer" if column.type is ColumnType.INTEGER else "bigint", ColumnType.BIGINT, bits=64)


def _decimal(column: ColumnShape, dialect: str) -> Native:
    precision, scale = column.precision, column.scale or 0
    if precision is None or not 0 <= scale <= precision <= DECIMAL_DIGITS:
        return _made(column, "text", ColumnType.TEXT, "is kept as its text: SQLite's numbers end at 15 digits")
    return _made(column, f"decimal({precision},{scale})", ColumnType.DECIMAL)


def _float(column: ColumnShape, dialect: str) -> Native:
    single = column.bits == 32
    return _made(column, "float4" if single else "double", ColumnType.FLOAT, bits=32 if single else 64)


def _text(column: ColumnShape, dialect: str) -> Native:
    sized = not column.native.lower().startswith(("tinytext", "text", "mediumtext", "longtext"))
    if column.length is None or not sized:
        return _made(column, "text", ColumnType.TEXT)
    return _made(column, f"varchar({column.length})", ColumnType.TEXT)


def _time(column: ColumnShape, dialect: str) -> Native:
    if column.with_zone:
        return _made(column, "text", ColumnType.TEXT, "a time with a zone is kept as its text")
    return _made(column, "time", ColumnType.TIME)


def _other(column: ColumnShape, dialect: str) -> Native | None:
    if dialect == "mysql" and re.match(r"geom|point|line|poly|multi|vector", column.native.lower()):
        return None
    array = column.native.endswith("]")
    return _made(column, "text", ColumnType.TEXT, "becomes a JSON array, as text" if array else "is kept as its text")


_RULES: Mapping[ColumnType, structure.Rule] = {
    ColumnType.BOOL: _as("boolean", ColumnType.BOOL), ColumnType.INTEGER: _integer, ColumnType.BIGINT: _integer,
    ColumnType.DECIMAL: _decimal, ColumnType.FLOAT: _float, ColumnType.TEXT: _text,
    ColumnType.ENUM: _as("text", ColumnType.TEXT, "its list of options is not enforced"),
    ColumnType.SET: _as("text", ColumnType.TEXT, "becomes a JSON array of its elements, as text"),
    ColumnType.DATE: _as("date", ColumnType.DATE), ColumnType.TIME: _time,
    ColumnType.DATETIME: _as("datetime", ColumnType.DATETIME),
    ColumnType.INSTANT: _as("datetime", ColumnType.DATETIME, "holds UTC here, without a zone"),
    ColumnType.INTERVAL: _as("text", ColumnType.TEXT, "is kept as its text, in ISO 8601"),
    ColumnType.JSON: _as("json text", ColumnType.JSON), ColumnType.UUID: _as("uuid", ColumnType.UUID),
    ColumnType.BLOB: _as("blob", ColumnType.BLOB), ColumnType.OTHER: _other,
}  # fmt: skip


# -- statements -----------------------------------------------------------------------------------------------------


def literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


class _SQLite:
    """`structure.Grammar`."""

    folded = True

    def columns(self, wanted: Wanted, source_dialect: str, indexed: frozenset[str]) -> Sequence[Native]:
        found = [(c, native_of(c, source_dialect)) for c in wanted.columns]
        for column, native in found:
            if native is None:
                raise refused(wanted, column.name, column.native)
        return [native for _, native in found if native is not None]

    def name_trouble(self, name: str) -> str:
        return "is none here" if not name or "\0" in name or name.lower().startswith("sqlite_") else ""

    def default(self, default: Default, native: Native) -> str:
        """Constants only: the clock of SQLite writes another form than we compare."""
        if default.kind not in ("number", "text", "bool") or native.shape.type is ColumnType.BLOB:
            return ""
        text = plain(default)
        return text if default.kind != "text" and re.fullmatch(r"-?[\d.eE+-]+", text) else literal(text)

    def counts(self, made: Native, table: Wanted) -> bool:
        """Only ``integer primary key`` does."""
        return made.text == "integer" and table.key == (made.shape.name,)

    def create(self, table: Table) -> Sequence[str]:
        lines = [_column(c) for c in table.columns]
        if table.key:
            lines.append(f"{'unique' if table.unique else 'primary key'} ({listed(table.key)})")
        lines += [_reference(k) for k in table.references]
        inside = ",\n  ".join(lines)
        return [f"create table if not exists {qualified(table.name)} (\n  {inside}\n)"]

    def add(self, table: TableName, made: Made) -> Sequence[str]:
        shape = made.native.shape
        free = not shape.nullable and not made.default
        native = replace(made.native, shape=replace(shape, nullable=True)) if free else made.native
        return [f"alter table {qualified(table)} add column {_column(replace(made, native=native))}"]

    def alter(self, table: TableName, difference: Difference) -> Sequence[str]:
        """SQLite can rename a column, and change nothing else of it."""
        if difference.kind is not Kind.RENAMED or difference.was is None:
            return []
        names = f"{quoted(difference.was.name)} to {quoted(difference.column)}"
        return [f"alter table {qualified(table)} rename column {names}"]

    def index(self, table: TableName, name: str, columns: Sequence[str], unique: bool) -> Sequence[str]:
        where = f"{quoted(table.schema)}.{quoted(name)} on {quoted(table.name)} ({listed(columns)})"
        return [f"create {'unique index' if unique else 'index'} if not exists {where}"]

    def index_trouble(self, columns: Sequence[Native]) -> str:
        return ""

    exact_references = False

    def foreign_key(self, table: TableName, key: ForeignKey) -> Sequence[str]:
        return ()  # only CREATE TABLE can say it

    def position(self, table: TableName, column: str) -> Sequence[str]:
        return ()  # it goes on after the largest value by itself

    def object_name(self, table: TableName, name: str) -> str:
        return prefixed(table, name, 200)


_ACTIONS = {"CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT"}


def _reference(key: ForeignKey) -> str:
    parts = [("delete", key.on_delete.upper()), ("update", key.on_update.upper())]
    actions = "".join(f" on {event} {action.lower()}" for event, action in parts if action in _ACTIONS)
    return f"foreign key ({listed(key.columns)}) references {quoted(key.to.name)} ({listed(key.to_columns)}){actions}"


def _column(made: Made) -> str:
    parts = [quoted(made.name), made.native.text]
    if made.default:
        parts.append(f"default {made.default}")
    if not made.native.shape.nullable:
        parts.append("not null")
    return " ".join(parts)
