"""PostgreSQL's values as canonical text, and as LINES for other databases: one SQL expression for each column.

The rules are those of `engine.tables.canonical`. Relies on the session: TimeZone UTC, DateStyle ISO, IntervalStyle
iso_8601, extra_float_digits 1, bytea_output hex.
"""

from __future__ import annotations

from collections.abc import Callable

from sync_assets.databases.quoting import quoted
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.canonical import PLAIN
from sync_assets.engine.tables.shape import ColumnShape

_CLOCK = "YYYY-MM-DD HH24:MI:SS.US"


def canonical(column: ColumnShape, table: str = "t") -> str:
    """The canonical text of a column; NULL stays NULL."""
    place = f"{table}.{quoted(column.name)}"
    return canonical_of(column, place)


def canonical_of(column: ColumnShape, place: str) -> str:
    """The canonical text of the expression `place`, which is of the column's type."""
    made = _MAKERS.get(column.type)
    return made(column, place) if made else _text(column, place)


def line_value(column: ColumnShape, into: ColumnShape, dialect: str, table: str = "t") -> str:
    """The column as LINES hold it for `into`, a column of a database of `dialect`."""
    place = f"{table}.{quoted(column.name)}"
    if dialect == "postgres":
        return _for_postgres(column, into, place)
    if into.native.lower().startswith("set(") and column.native.endswith("[]"):
        return f"array_to_string({place}, ',')"
    if column.type is ColumnType.UUID and into.type is ColumnType.BLOB:
        return f"encode(uuid_send({place}), 'hex')"
    if column.type is ColumnType.INTERVAL and into.type is ColumnType.TIME:
        return _hours(place)
    if column.type is ColumnType.FLOAT:
        return f"{place}::float8"
    return canonical_of(column, place)


def _for_postgres(column: ColumnShape, into: ColumnShape, place: str) -> str:
    """The value's own text, but where two types of PostgreSQL write the same value differently."""
    if column.native == into.native:
        return place
    if column.type is ColumnType.FLOAT:
        return f"{place}::float8"
    if column.fixed and not into.fixed:
        return f"{place}::text"
    if column.type is ColumnType.BOOL and into.type is not ColumnType.BOOL and into.type not in _TEXTS:
        return f"{place}::int"
    if column.native == "money":
        return f"{place}::numeric"
    if column.native.endswith("[]") and into.type is ColumnType.JSON:
        return f"array_to_json({place})::text"
    return place


_TEXTS = frozenset({ColumnType.TEXT, ColumnType.ENUM})


def _bool(column: ColumnShape, place: str) -> str:
    return f"{place}::int::text"


def _whole(column: ColumnShape, place: str) -> str:
    return f"{place}::text"


def _decimal(column: ColumnShape, place: str) -> str:
    number = f"{place}::numeric" if column.native == "money" else place
    if column.scale == 0:
        return f"{number}::text"
    if column.scale is not None and column.scale > 0:
        return f"rtrim(rtrim({number}::text, '0'), '.')"
    text = f"{number}::text"
    return f"case when strpos({text}, '.') > 0 then rtrim(rtrim({text}, '0'), '.') else {text} end"


def _float(column: ColumnShape, place: str) -> str:
    """Nearly the server's own text. Without a subquery: with one, no parallel worker would take it."""
    number = f"{place}::float8"
    size = f"abs({number})"
    return (
        f"case when {size} >= '{PLAIN[0]}' and {size} < '{PLAIN[1]}' then {number}::text when {place} = 0 then '0'"
        f" when {size} between 1e15 and 1e40 then case when {place} < 0 then '-' else '' end || {_rounder(size)}"
        f" else replace(replace({number}::text, 'e+', 'e'), 'e-0', 'e-') end"
    )


def _rounder(size: str) -> str:
    """PostgreSQL does not take the bounds of a double's interval for its own, others do: it writes 1e23 as
    9.999999999999999e22. Such a bound has 17 digits or fewer only in this range: one digit less is tried."""
    text = f"{size}::text"
    places = f"length(replace(split_part({text}, 'e', 1), '.', '')) - 2 - split_part({text}, 'e', 2)::int"
    low = f"trunc({text}::numeric, {places})"
    high = f"{low} + power(10::numeric, 2 - length(replace(split_part({text}, 'e', 1), '.', ''))"
    high += f" + split_part({text}, 'e', 2)::int)"
    best = (
        f"case when ({low})::float8 = {size} then {low} when ({high})::float8 = {size} then {high}"
        f" else {text}::numeric end"
    )
    return f"regexp_replace(ltrim(to_char({best}, '9.9999999999999999EEEE')), '\\.?0*e\\+', 'e')"


def _set(column: ColumnShape, place: str) -> str:
    return f"array_to_json({place})::text"


def _text(column: ColumnShape, place: str) -> str:
    if column.native.endswith("[]"):
        return f"array_to_json({place})::text"
    if column.native == "inet":  # its cast adds /32, which its output does not have
        whole = f"masklen({place}) = case family({place}) when 4 then 32 else 128 end"
        return f"case when {whole} then host({place}) else {place}::text end"
    return f"{place}::text"


def _moment(column: ColumnShape, place: str) -> str:
    """The server's own text takes half the time of to_char, and has six digits after the second, three or none nearly
    always. to_char knows neither infinity nor the years before Christ unless told."""
    text = f"{place}::timestamp::text"
    ours = f"to_char({place}, '{_CLOCK}')"
    usual = (
        f"case octet_length({text}) when 26 then {text} when 19 then {text} || '.000000'"
        f" when 23 then {text} || '000' else {ours} end"
    )
    return (
        f"case when {place} >= '0001-01-01' and {place} < '10000-01-01' then {usual} when not isfinite({place})"
        f" then {place}::text when {place} < '0001-01-01' then to_char({place}, '{_CLOCK} BC') else {ours} end"
    )


def _time(column: ColumnShape, place: str) -> str:
    text = f"to_char({place}::time, 'HH24:MI:SS.US')"
    if not column.with_zone:
        return text
    offset = f"extract(timezone from {place})"
    away = f"to_char(abs({offset}) * interval '1 second', 'HH24:MI')"
    return f"{text} || case when {offset} < 0 then '-' else '+' end || {away}"


def _hours(place: str) -> str:
    """An interval as hours, minutes and seconds; a day has 24 hours, a month 30 days."""
    micros = f"(abs(extract(epoch from {place})) * 1000000)::bigint"
    return (
        f"case when extract(epoch from {place}) < 0 then '-' else '' end || lpad(({micros} / 3600000000)::text,"
        f" greatest(2, length(({micros} / 3600000000)::text)), '0')"
        f" || to_char(({micros} % 3600000000) * interval '1 microsecond', ':MI:SS.US')"
    )


def _blob(column: ColumnShape, place: str) -> str:
    return f"encode({place}, 'hex')"


_MAKERS: dict[ColumnType, Callable[[ColumnShape, str], str]] = {
    ColumnType.BOOL: _bool,
    ColumnType.INTEGER: _whole,
    ColumnType.BIGINT: _whole,
    ColumnType.DECIMAL: _decimal,
    ColumnType.FLOAT: _float,
    ColumnType.SET: _set,
    ColumnType.DATE: _whole,
    ColumnType.TIME: _time,
    ColumnType.DATETIME: _moment,
    ColumnType.INSTANT: _moment,
    ColumnType.BLOB: _blob,
}
