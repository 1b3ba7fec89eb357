"""Values as SQL text: canonical texts, and fields of COPY lines. Builds expressions, runs nothing.

Texts are bytes of UTF-8 (binary strings) throughout: columns of different collations would not go into one CONCAT, and
REPLACE looks at bytes fastest. Every expression is NULL for NULL, and for a value that the server could not write out
(its result would pass max_allowed_packet): the whole line is then NULL, which the reader sees.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sync_assets.databases.mysql.tables.line import quote
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.canonical import PLAIN, TEXTS, common
from sync_assets.engine.tables.shape import ColumnShape

Maker = Callable[[ColumnShape, str], str]
_BACKSLASH, _TAB, _NEWLINE, _RETURN = "x'5c'", "x'09'", "x'0a'", "x'0d'"
_ESCAPES = ((_BACKSLASH, "x'5c5c'"), (_TAB, "x'5c74'"), (_NEWLINE, "x'5c6e'"), (_RETURN, "x'5c72'"))
_JSON_ESCAPES = (*((_BACKSLASH, "x'5c5c'"), ("x'22'", "x'5c22'")), *_ESCAPES[1:])
NO_HASH = 10**30  # larger than any sum of hashes
_CLOCKS = frozenset({ColumnType.TIME, ColumnType.DATETIME, ColumnType.INSTANT})
_FREE = frozenset({ColumnType.TEXT, ColumnType.ENUM, ColumnType.SET, ColumnType.JSON, ColumnType.OTHER})


def base(column: ColumnShape) -> str:
    """The word that a native type begins with: ``bigint``."""
    return column.native.lower().replace("(", " ").split(" ", 1)[0]


def long(column: ColumnShape) -> bool:
    """Whether one value may be megabytes; others are part of a row of 64 KB at most."""
    word = base(column)
    return word.endswith(("text", "blob")) or word in ("json", "vector") or hexed(column)


def hexed(column: ColumnShape) -> bool:
    """Whether an OTHER is shown as the hex of its bytes: geometries and vectors."""
    return column.type is ColumnType.OTHER and base(column) not in ("bit", "inet4", "inet6")


# -- canonical texts


def canonical(column: ColumnShape, sql: str) -> str:
    """The canonical text of `sql`, a value of the type of `column`."""
    return _CANONICAL.get(column.type, _text)(column, sql)


def _text(column: ColumnShape, sql: str) -> str:
    return f"cast({sql} as binary)" if column.utf8 else f"cast(convert({sql} using utf8mb4) as binary)"


def _truth(column: ColumnShape, sql: str) -> str:
    """1 and 0; a tinyint(1) may hold other numbers, which stay what they are: no boolean is equal to them."""
    return f"({sql} + 0)"


def _whole(column: ColumnShape, sql: str) -> str:
    """Without leading zeros: those of zerofill, and the year 0000."""
    return f"({sql} + 0)" if "zerofill" in column.native or base(column) == "year" else sql


def _decimal(column: ColumnShape, sql: str) -> str:
    """Without zeros at the end of the fraction; the server has no -0."""
    plain = _whole(column, sql)
    if column.scale == 0:
        return plain
    pointed = plain if column.scale else f"if(locate('.', {plain}), {plain}, concat({plain}, '.'))"
    return f"trim(trailing '.' from trim(trailing '0' from {pointed}))"


def _float(column: ColumnShape, sql: str) -> str:
    """The usual ones as the server writes them, the fewest digits that give the same double."""
    usual = f"abs({sql}) >= {PLAIN[0]} and abs({sql}) < {PLAIN[1]:e}"
    return f"if({usual}, {_number(column, sql)}, if({sql} = 0, '0', {_odd_float(sql)}))"


def _odd_float(sql: str) -> str:
    """`1.5e-10` is right; of `-0.000012` and `1234567890123456.5` what remains is to tell where the point is."""
    plain = f"cast({sql} + 0e0 as char)"
    size = f"cast(abs({sql}) + 0e0 as char)"
    digits = f"trim(both '0' from replace({size}, '.', ''))"
    rest = f"if(length({digits}) > 1, concat('.', substr({digits}, 2)), '')"
    power = f"if({sql} between -1 and 1, 1 + length({digits}) - length({size}), locate('.', concat({size}, '.')) - 2)"
    moved = f"concat(if({sql} < 0, '-', ''), left({digits}, 1), {rest}, 'e', {power})"
    return f"if(locate('e', {plain}), {plain}, {moved})"


def _number(column: ColumnShape, sql: str) -> str:
    """A FLOAT as usual; singles as their doubles, of which the server would show six digits only."""
    return f"cast({sql} + 0e0 as char)"


def _clock(kind: str) -> Maker:
    def make(column: ColumnShape, sql: str) -> str:
        return f"cast({sql} as char)" if column.precision == 6 else f"cast(cast({sql} as {kind}(6)) as char)"

    return make


def _plain(column: ColumnShape, sql: str) -> str:
    return f"cast({sql} as char)"


def _set(column: ColumnShape, sql: str) -> str:
    inside = replaced(_text(column, sql), _JSON_ESCAPES)
    return f"if({sql} = '', '[]', concat('[\"', replace({inside}, ',', '\",\"'), '\"]'))"


def _other(column: ColumnShape, sql: str) -> str:
    if hexed(column):
        return f"lower(hex({sql}))"
    if base(column) == "bit":
        return f"lpad(bin({sql} + 0), {column.length or 64}, '0')"
    return _text(column, sql)


def _hex(column: ColumnShape, sql: str) -> str:
    return f"lower(hex({sql}))"


_CANONICAL: dict[ColumnType, Maker] = {
    ColumnType.BOOL: _truth, ColumnType.INTEGER: _whole, ColumnType.BIGINT: _whole, ColumnType.DECIMAL: _decimal,
    ColumnType.FLOAT: _float, ColumnType.DATE: _plain, ColumnType.TIME: _clock("time"),
    ColumnType.DATETIME: _clock("datetime"), ColumnType.INSTANT: _clock("datetime"), ColumnType.SET: _set,
    ColumnType.UUID: _plain, ColumnType.BLOB: _hex, ColumnType.OTHER: _other,
}  # fmt: skip


def spelled(column: ColumnShape, sql: str) -> str:
    """As `canonical`, for inside a CONCAT of bytes: what that writes out in the same way needs no cast. Only this is
    fast enough for every column of every row."""
    if column.type in _FREE and column.type is not ColumnType.SET and column.utf8:
        return sql
    if column.type is ColumnType.DATE or (column.type in _CLOCKS and column.precision == 6):
        return sql
    return canonical(column, sql)


def framed(column: ColumnShape, other: ColumnShape) -> str:
    """A column's part of the canonical text of its row, framed as `canonical.common` of both sides says."""
    name = quote(column.name)
    value = spelled(column, name)
    frame = common(column.type, other.type)
    framed = f"length({value}), ':', {value}" if frame in TEXTS else f"{value}, ';'"
    return or_null(column, f"concat({framed})", "'~'") if column.nullable else framed


def or_null(column: ColumnShape, made: str, null: str) -> str:
    """`made`, or `null` where the value is NULL. A long value may have become NULL only in being written out."""
    return f"if({quote(column.name)} is null, {null}, {made})" if long(column) else f"ifnull({made}, {null})"


def row_text(columns: Sequence[ColumnShape], others: Sequence[ColumnShape]) -> str:
    """The canonical text of a row. One part that is bytes makes it bytes: texts of different collations could not be
    put together otherwise."""
    return f"concat(x'', {', '.join(framed(a, b) for a, b in zip(columns, others, strict=True))})"


def row_hash(columns: Sequence[ColumnShape], others: Sequence[ColumnShape]) -> str:
    """60 bits of the MD5 of a row's canonical text; `NO_HASH` where that is too long for the server."""
    made = f"cast(conv(left(md5({row_text(columns, others)}), 15), 16, 10) as unsigned)"
    return f"ifnull({made}, {NO_HASH})" if any(map(long, columns)) else made


# -- lines


def replaced(sql: str, pairs: Sequence[tuple[str, str]]) -> str:
    for old, new in pairs:
        sql = f"replace({sql}, {old}, {new})"
    return sql


def field(column: ColumnShape, into: ColumnShape, dialect: str) -> str:
    """A column as a field of a line for a database of `dialect`, NULL not yet replaced."""
    name = quote(column.name)
    if column.type is ColumnType.FLOAT:
        return _number(column, name)
    if dialect == "postgres" and column.type in _POSTGRES:
        return _POSTGRES[column.type](column, name)
    if dialect == "mysql" and base(column) == "year":
        return name  # LOAD DATA takes 0 for the year 2000
    value = f"hex({name})" if column.type is ColumnType.BLOB else canonical(column, name)
    return replaced(value, _ESCAPES) if column.type in _FREE and not hexed(column) else value


_POSTGRES: dict[ColumnType, Maker] = {
    ColumnType.BLOB: lambda column, sql: f"concat(x'5c5c78', hex({sql}))",
    ColumnType.INSTANT: lambda column, sql: f"concat({sql}, '+00')",
    ColumnType.DECIMAL: _whole, ColumnType.DATETIME: _plain, ColumnType.TIME: _plain,
}  # fmt: skip


def line(columns: Sequence[ColumnShape], into: Sequence[ColumnShape], dialect: str, limit: int) -> str:
    """A whole row as one line; NULL where its values are so long that writing them out could pass `limit` bytes."""
    parts = []
    for column, other in zip(columns, into, strict=True):
        value = field(column, other, dialect)
        parts.append(or_null(column, value, "x'5c4e'") if column.nullable else value)
    tabbed = ", x'09', ".join(parts)
    whole = f"concat({tabbed}, x'0a')" if parts else "x'0a'"
    width = row_width(columns)
    return f"if({width} > {limit}, null, {whole})" if width else whole


def row_width(columns: Sequence[ColumnShape]) -> str:
    """The most bytes that the long values of a row may take when written out; empty if none is long."""
    return " + ".join(f"ifnull(length({quote(c.name)}), 0) * 4" for c in columns if long(c))
