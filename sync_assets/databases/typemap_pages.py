"""The page docs/reference/type-map.md, written from the rules that it describes. Opens no connection."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.drift import Native
from sync_assets.engine.tables.shape import ColumnShape

TITLES = {"postgres": "PostgreSQL", "mysql": "MySQL and MariaDB", "sqlite": "SQLite"}
NOTHING = "refused by name"


def _c(native: str, type: ColumnType, **measures: object) -> ColumnShape:
    return replace(ColumnShape("c", type, native), **measures)  # type: ignore[arg-type]


_T = ColumnType
SAMPLES: Mapping[str, tuple[ColumnShape, ...]] = {
    "postgres": (
        _c("boolean", _T.BOOL), _c("smallint", _T.INTEGER, bits=16), _c("integer", _T.INTEGER, bits=32),
        _c("bigint", _T.BIGINT, bits=64), _c("oid", _T.BIGINT, bits=32, unsigned=True),
        _c("numeric(12,2)", _T.DECIMAL, precision=12, scale=2), _c("numeric", _T.DECIMAL),
        _c("numeric(80,40)", _T.DECIMAL, precision=80, scale=40), _c("money", _T.DECIMAL, precision=19, scale=2),
        _c("real", _T.FLOAT, bits=32), _c("double precision", _T.FLOAT, bits=64), _c("text", _T.TEXT),
        _c("character varying(40)", _T.TEXT, length=40), _c("character(8)", _T.TEXT, length=8, fixed=True),
        _c("citext", _T.TEXT), _c("xml", _T.TEXT), _c("an enum", _T.ENUM, options=("new", "paid")),
        _c("text[]", _T.SET), _c("integer[]", _T.OTHER), _c("date", _T.DATE),
        _c("time without time zone", _T.TIME, precision=6), _c("time with time zone", _T.TIME, with_zone=True),
        _c("timestamp without time zone", _T.DATETIME), _c("timestamp with time zone", _T.INSTANT),
        _c("interval", _T.INTERVAL), _c("json", _T.JSON), _c("jsonb", _T.JSON), _c("uuid", _T.UUID),
        _c("bytea", _T.BLOB), _c("inet", _T.OTHER), _c("int4range", _T.OTHER), _c("bit(8)", _T.OTHER),
        _c("point", _T.OTHER), _c("tsvector", _T.OTHER), _c("a composite type", _T.OTHER),
    ),
    "mysql": (
        _c("tinyint(1)", _T.BOOL), _c("bit(1)", _T.BOOL), _c("tinyint", _T.INTEGER, bits=8),
        _c("tinyint unsigned", _T.INTEGER, bits=8, unsigned=True), _c("smallint", _T.INTEGER, bits=16),
        _c("smallint unsigned", _T.INTEGER, bits=16, unsigned=True), _c("mediumint", _T.INTEGER, bits=24),
        _c("int", _T.INTEGER, bits=32), _c("int unsigned", _T.INTEGER, bits=32, unsigned=True),
        _c("bigint", _T.BIGINT, bits=64), _c("bigint unsigned", _T.BIGINT, bits=64, unsigned=True),
        _c("year", _T.INTEGER, bits=16), _c("decimal(12,2)", _T.DECIMAL, precision=12, scale=2),
        _c("decimal(65,30)", _T.DECIMAL, precision=65, scale=30), _c("float", _T.FLOAT, bits=32),
        _c("double", _T.FLOAT, bits=64), _c("varchar(40)", _T.TEXT, length=40),
        _c("char(8)", _T.TEXT, length=8, fixed=True), _c("text", _T.TEXT, length=65535),
        _c("longtext", _T.TEXT, length=4294967295), _c("enum('new','paid')", _T.ENUM, options=("new", "paid")),
        _c("set('red','blue')", _T.SET, options=("red", "blue")), _c("date", _T.DATE),
        _c("time(3)", _T.TIME, precision=3), _c("datetime", _T.DATETIME, precision=0),
        _c("datetime(6)", _T.DATETIME, precision=6), _c("timestamp", _T.INSTANT, precision=0), _c("json", _T.JSON),
        _c("uuid", _T.UUID), _c("binary(16)", _T.BLOB, length=16, fixed=True),
        _c("varbinary(100)", _T.BLOB, length=100), _c("longblob", _T.BLOB, length=4294967295),
        _c("bit(8)", _T.OTHER), _c("inet6", _T.OTHER), _c("geometry", _T.OTHER), _c("point", _T.OTHER),
    ),
    "sqlite": (
        _c("boolean", _T.BOOL), _c("integer", _T.BIGINT, bits=64),
        _c("decimal(12,2)", _T.DECIMAL, precision=12, scale=2),
        _c("real", _T.FLOAT, bits=64), _c("text", _T.TEXT), _c("varchar(40)", _T.TEXT, length=40), _c("date", _T.DATE),
        _c("time", _T.TIME), _c("datetime", _T.DATETIME), _c("json", _T.JSON), _c("uuid", _T.UUID), _c("blob", _T.BLOB),
        _c("any other word", _T.OTHER),
    ),
}  # fmt: skip
_HEAD = """\
# Types between databases

What a column of one database becomes in a table that is made in another. PostgreSQL to PostgreSQL carries every type
over as it is; so do MySQL to MySQL and SQLite to SQLite. In a table that is there already, a column may have any type
that holds all values of the source's.

Nothing is rounded, cut or replaced: a value that the target's type does not take (`0000-00-00`, NaN in a decimal, a
year beyond 9999) is a rejected row, and what a type cannot say is listed here and printed by each run. A type that says
*refused by name* stops the sync: leave the column out (`columns: {NAME: {skip: true}}`), or read it by a query that
casts it.
"""


def native_of(target: str) -> Callable[[ColumnShape, str], Native | None]:
    """The rule of one target database."""
    module = importlib.import_module(f"{__package__}.{target}.ddl")
    rule: Callable[[ColumnShape, str], Native | None] = module.native_of
    return rule


def type_map() -> str:
    """The page, without its note."""
    parts = [_HEAD]
    for source, columns in SAMPLES.items():
        targets = [t for t in TITLES if t != source]
        parts.append(f"## From {TITLES[source]}\n")
        parts.append(
            "| " + " | ".join([TITLES[source], *(TITLES[t] for t in targets)]) + " |\n|---|" + "---|" * len(targets)
        )
        parts.append("\n".join(_rows(source, targets, columns)) + "\n")
    return "\n".join(parts)


def _rows(source: str, targets: list[str], columns: tuple[ColumnShape, ...]) -> Iterator[str]:
    rules = [native_of(t) for t in targets]
    for column in columns:
        cells = [_cell(rule(column, source)) for rule in rules]
        yield "| " + " | ".join([f"`{column.native}`", *cells]) + " |"


def _cell(native: Native | None) -> str:
    if native is None:
        return NOTHING
    return f"`{native.text}`" + (f": {native.loss}" if native.loss else "")
