"""MySQL's and MariaDB's types in our words, and how their values are read from the wire. Knows no connection."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from pymysql.constants import FIELD_TYPE, FLAG

from sync_assets.databases.values import canonical_json
from sync_assets.engine.model import Column, ColumnType

Decoder = Callable[[bytes], Any]

_CODES = {
    FIELD_TYPE.DECIMAL: ColumnType.DECIMAL, FIELD_TYPE.NEWDECIMAL: ColumnType.DECIMAL,
    FIELD_TYPE.TINY: ColumnType.INTEGER, FIELD_TYPE.SHORT: ColumnType.INTEGER, FIELD_TYPE.LONG: ColumnType.INTEGER,
    FIELD_TYPE.INT24: ColumnType.INTEGER, FIELD_TYPE.YEAR: ColumnType.INTEGER,
    FIELD_TYPE.LONGLONG: ColumnType.BIGINT, FIELD_TYPE.FLOAT: ColumnType.FLOAT, FIELD_TYPE.DOUBLE: ColumnType.FLOAT,
    FIELD_TYPE.TIMESTAMP: ColumnType.INSTANT, FIELD_TYPE.DATETIME: ColumnType.DATETIME,
    FIELD_TYPE.DATE: ColumnType.DATE, FIELD_TYPE.NEWDATE: ColumnType.DATE, FIELD_TYPE.TIME: ColumnType.TIME,
    FIELD_TYPE.JSON: ColumnType.JSON, FIELD_TYPE.ENUM: ColumnType.ENUM, FIELD_TYPE.SET: ColumnType.SET,
    FIELD_TYPE.GEOMETRY: ColumnType.OTHER, FIELD_TYPE.BIT: ColumnType.OTHER, FIELD_TYPE.NULL: ColumnType.TEXT,
}  # fmt: skip
_SPELLED = {
    FIELD_TYPE.TINY: "tinyint", FIELD_TYPE.SHORT: "smallint", FIELD_TYPE.LONG: "int", FIELD_TYPE.INT24: "mediumint",
    FIELD_TYPE.LONGLONG: "bigint", FIELD_TYPE.NEWDECIMAL: "decimal", FIELD_TYPE.FLOAT: "float",
    FIELD_TYPE.DOUBLE: "double", FIELD_TYPE.TIMESTAMP: "timestamp", FIELD_TYPE.DATETIME: "datetime",
    FIELD_TYPE.DATE: "date", FIELD_TYPE.TIME: "time", FIELD_TYPE.YEAR: "year", FIELD_TYPE.BIT: "bit",
    FIELD_TYPE.JSON: "json", FIELD_TYPE.GEOMETRY: "geometry",
}  # fmt: skip
_BINARY = 63  # the character set of bytes
_NO_SCALE = 31  # what the packet says for "as many decimals as there are"
_DATE_LENGTH = {FIELD_TYPE.TIMESTAMP: 20, FIELD_TYPE.DATETIME: 20, FIELD_TYPE.TIME: 11}  # without a fraction, plus dot

COLUMNS_SQL = """
select table_schema, table_name, column_name, column_type, data_type, column_comment, is_nullable,
       numeric_precision, numeric_scale, datetime_precision, character_maximum_length
from information_schema.columns where (table_schema, table_name) in ({})
"""
# MariaDB keeps JSON as longtext with this check; MySQL has a type of its own.
CHECKS_SQL = """
select constraint_schema, table_name, check_clause from information_schema.check_constraints
where (constraint_schema, table_name) in ({})
"""
_JSON_CHECK = re.compile(r"json_valid\(`((?:[^`]|``)+)`\)", re.I)


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a result as the server's packet tells it. `database`, `table`, `column` say where it comes from."""

    name: str
    code: int
    charset: int
    length: int
    flags: int
    scale: int
    database: str = ""
    table: str = ""
    column: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        return self.database, self.table, self.column


@dataclass(frozen=True, slots=True)
class Described:
    """A column of a table as information_schema tells it."""

    native: str
    data_type: str
    comment: str
    nullable: bool
    precision: int | None
    scale: int | None
    json: bool


def described(row: tuple[Any, ...], json: bool) -> Described:
    native, data_type, comment, nullable = (_text(v) for v in row[3:7])
    precision, scale, fraction, length = row[7:11]
    return Described(
        native, data_type.lower(), comment, nullable == "YES",
        next((int(n) for n in (precision, fraction, length) if n is not None), None),
        None if scale is None else int(scale), json,
    )  # fmt: skip


def checked_columns(clause: Any) -> list[str]:
    """The columns that a check constraint holds to be JSON."""
    return [name.replace("``", "`") for name in _JSON_CHECK.findall(_text(clause))]


def column(field: Field, known: Described | None, whole_table: bool) -> Column:
    """The packet says what will come over the wire; the table's own words, where known, say the rest."""
    type_ = _type(field, known)
    precision, scale = (known.precision, known.scale) if known else _measures(field)
    return Column(
        name=field.name,
        type=type_,
        native=known.native if known else _SPELLED.get(field.code, "text" if type_ is ColumnType.TEXT else type_),
        precision=precision,
        scale=scale,
        options=options(known.native) if known and type_ in (ColumnType.ENUM, ColumnType.SET) else (),
        nullable=not (whole_table and known is not None and not known.nullable),
        comment=known.comment if known else "",
    )


def _type(field: Field, known: Described | None) -> ColumnType:
    if known and known.json:
        return ColumnType.JSON
    if known and known.data_type == "uuid":
        return ColumnType.UUID
    if known and known.data_type.startswith("inet"):
        return ColumnType.OTHER
    if field.flags & FLAG.ENUM:
        return ColumnType.ENUM
    if field.flags & FLAG.SET:
        return ColumnType.SET
    if field.length == 1 and field.code in (FIELD_TYPE.TINY, FIELD_TYPE.BIT):
        return ColumnType.BOOL
    found = _CODES.get(field.code)
    return found or (ColumnType.BLOB if field.charset == _BINARY else ColumnType.TEXT)


def _measures(field: Field) -> tuple[int | None, int | None]:
    if field.code in (FIELD_TYPE.DECIMAL, FIELD_TYPE.NEWDECIMAL):
        sign, dot = not field.flags & FLAG.UNSIGNED, field.scale > 0
        return field.length - sign - dot, field.scale
    if field.code in _DATE_LENGTH:
        return max(0, field.length - _DATE_LENGTH[field.code]), None
    if field.code in (FIELD_TYPE.FLOAT, FIELD_TYPE.DOUBLE) and field.scale < _NO_SCALE:
        return None, field.scale
    return None, None


def options(native: str) -> tuple[str, ...]:
    """The options of ``enum('a','it''s')``, in their order."""
    inside = native[native.find("(") + 1 : native.rfind(")")]
    return tuple(text.replace("''", "'") for text in re.findall(r"'((?:[^']|'')*)'", inside))


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value or "")


# -- values ---------------------------------------------------------------------------------------------------------


def decoders(fields: list[Field], schema: tuple[Column, ...], zone: tzinfo) -> list[Decoder]:
    """One function a column, from the bytes of the text protocol. `zone` is the session's, for instants."""
    return [_decoder(field, column.type, zone) for field, column in zip(fields, schema, strict=True)]


def _decoder(field: Field, type_: ColumnType, zone: tzinfo) -> Decoder:
    if field.code == FIELD_TYPE.BIT:
        return _bit if type_ is ColumnType.BOOL else _bits(field.length)
    if field.code == FIELD_TYPE.GEOMETRY:
        return bytes.hex
    if type_ is ColumnType.INSTANT:
        return _instant(zone)
    return _DECODERS.get(type_, bytes.decode)


def _bit(data: bytes) -> bool:
    return data != b"\x00"


def _bits(width: int) -> Decoder:
    return lambda data: format(int.from_bytes(data, "big"), f"0{width}b")


def _tinybool(data: bytes) -> bool:
    return data != b"0"


def _decimal(data: bytes) -> Decimal:
    return Decimal(data.decode())


def _date(data: bytes) -> date | str | None:
    text = data.decode()
    try:
        return date.fromisoformat(text)
    except ValueError:
        return _no_date(text)


def _datetime(data: bytes) -> datetime | str | None:
    text = data.decode()
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return _no_date(text)


def _no_date(text: str) -> str | None:
    """A zero date is MySQL's way to say that there is none; another impossible one (2026-02-00) stays a text."""
    return None if text.startswith("0000-00-00") else text


def _instant(zone: tzinfo) -> Decoder:
    def decode(data: bytes) -> datetime | str | None:
        found = _datetime(data)
        return found.replace(tzinfo=zone) if isinstance(found, datetime) else found

    return decode


def _time(data: bytes) -> time | timedelta:
    """A time of day; outside of 00:00 to 24:00, where MySQL goes to 838 hours both ways, a duration."""
    text = data.decode()
    hours, minutes, seconds = text.lstrip("-").split(":")
    size = timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds))
    if text.startswith("-") or size >= timedelta(days=1):
        return -size if text.startswith("-") else size
    return time.fromisoformat(text)


def _set(data: bytes) -> list[str]:
    return data.decode().split(",") if data else []


def _json(data: bytes) -> str:
    return canonical_json(data.decode())


_DECODERS: Mapping[ColumnType, Decoder] = {
    ColumnType.BOOL: _tinybool, ColumnType.INTEGER: int, ColumnType.BIGINT: int, ColumnType.FLOAT: float,
    ColumnType.DECIMAL: _decimal, ColumnType.DATE: _date, ColumnType.DATETIME: _datetime, ColumnType.TIME: _time,
    ColumnType.SET: _set, ColumnType.JSON: _json, ColumnType.BLOB: bytes,
}  # fmt: skip
