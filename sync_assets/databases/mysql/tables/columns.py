"""One column as information_schema tells it, or as the answer to a query does, as a shape. Knows no connection."""

from __future__ import annotations

import re
from typing import Any

from sync_assets.databases.mysql.types import options
from sync_assets.engine.model import Column, ColumnType
from sync_assets.engine.tables.shape import ColumnShape

_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "integer": 32, "bigint": 64, "year": 16,
         "float": 32, "double": 64, "real": 64}  # fmt: skip
_TYPES = {
    "tinyint": ColumnType.INTEGER, "smallint": ColumnType.INTEGER, "mediumint": ColumnType.INTEGER,
    "int": ColumnType.INTEGER, "year": ColumnType.INTEGER, "bigint": ColumnType.BIGINT, "float": ColumnType.FLOAT,
    "double": ColumnType.FLOAT, "decimal": ColumnType.DECIMAL, "date": ColumnType.DATE, "time": ColumnType.TIME,
    "datetime": ColumnType.DATETIME, "timestamp": ColumnType.INSTANT, "enum": ColumnType.ENUM, "set": ColumnType.SET,
    "json": ColumnType.JSON, "uuid": ColumnType.UUID, "bit": ColumnType.OTHER,
}  # fmt: skip
_CLOCKS = frozenset({ColumnType.TIME, ColumnType.DATETIME, ColumnType.INSTANT})
_LENGTHS = frozenset({"char", "varchar", "binary", "varbinary", "bit"})
_PLAIN_DEFAULT = re.compile(r"-?\d+(\.\d+)?([eE][-+]?\d+)?|[bx]'[0-9A-Fa-f]*'|current_timestamp(\(\d?\))?", re.I)
_SIZE = re.compile(r"\((\d+)(?:,(\d+))?\)")


def column_shape(row: tuple[Any, ...], json: bool, mariadb: bool, collation: str) -> ColumnShape:
    """`row` is of catalogue.sql: columns; `collation` the database's own."""
    (_, name, native, word, nullable, default, extra, comment, own, length, digits, scale, fraction, generated) = (
        v.decode() if isinstance(v, bytes) else v for v in row
    )
    native, word, extra = ("json", "json", extra.lower()) if json else (native, word.lower(), extra.lower())
    type = _type(word, native, own)
    computed = generated or ("?" if "generated" in extra.replace("default_generated", "") else None)
    return ColumnShape(
        name=name, type=type, native=native, nullable=nullable == "YES", bits=_BITS.get(word),
        unsigned="unsigned" in native,
        length=int(digits if word == "bit" else length) if word in _LENGTHS else None,
        precision=_number(fraction) if type in _CLOCKS else _number(digits) if type is ColumnType.DECIMAL else None,
        scale=_number(scale) if type is ColumnType.DECIMAL else None,
        fixed=word in ("char", "binary"),
        options=options(native) if word in ("enum", "set") else (),
        default=None if computed else _default(default, extra, word, mariadb),
        generated=computed, identity="default" if "auto_increment" in extra else "",
        collation="" if own == collation or type is ColumnType.JSON else own, comment=comment,
        utf8=own.startswith(("utf8", "ascii")),
    )  # fmt: skip


def _type(word: str, native: str, collation: str) -> ColumnType:
    if native.startswith("tinyint(1)") or native == "bit(1)":
        return ColumnType.BOOL
    if found := _TYPES.get(word):
        return found
    if word.endswith(("blob", "binary")):
        return ColumnType.BLOB
    return ColumnType.TEXT if collation or word.endswith(("char", "text")) else ColumnType.OTHER


def _default(told: str | None, extra: str, word: str, mariadb: bool) -> str | None:
    """MariaDB tells expressions, MySQL bare values, except where it says that they are expressions."""
    if told is None or (mariadb and told.upper() == "NULL"):
        return None
    if mariadb or "default_generated" in extra or (_PLAIN_DEFAULT.fullmatch(told) and word not in _QUOTED):
        return told
    return "'" + told.replace("\\", "\\\\").replace("'", "''") + "'"


_QUOTED = frozenset({"char", "varchar", "enum", "set", "date", "time", "binary", "varbinary"})


def _number(value: Any) -> int | None:
    return None if value is None else int(value)


def answer_shape(column: Column) -> ColumnShape:
    """A column of a query's answer: what it is made from is known as far as it is one of a table."""
    native = column.native.lower()
    word = re.split(r"[ (]", native, maxsplit=1)[0]
    size = _SIZE.search(native)
    length = int(size[1]) if size and word in _LENGTHS else None
    return ColumnShape(
        name=column.name, type=column.type, native=native, nullable=column.nullable, bits=_BITS.get(word),
        unsigned="unsigned" in native, length=length or (64 if word == "bit" else None),
        precision=column.precision if column.type in _CLOCKS or column.type is ColumnType.DECIMAL else None,
        scale=column.scale if column.type is ColumnType.DECIMAL else None, fixed=word in ("char", "binary"),
        options=column.options, comment=column.comment,
    )  # fmt: skip
