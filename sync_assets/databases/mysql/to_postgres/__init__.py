"""Rows of MySQL and MariaDB as PostgreSQL's COPY BINARY: the fast way from one to the other.

The server answers a prepared statement in its binary format on the reader's own connection, so inside its snapshot;
numpy turns blocks of rows into blocks of rows, column by column. No value becomes a Python object. A value that the
target's type cannot hold is refused, never bent. `available` says for which columns this works; numpy is the
extra ``fast``. Everything else travels as LINES.
"""

from __future__ import annotations

import importlib.util
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sync_assets.engine.errors import BadBatch
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.reading import Moved
from sync_assets.engine.tables.shape import ColumnShape

if TYPE_CHECKING:
    from sync_assets.databases.mysql.to_postgres.makers import Make
    from sync_assets.databases.postgres.copyrows import Column

_T = ColumnType
_INTEGERS = {"int2", "int4", "int8", "numeric"}
_TEXTS = {"text", "varchar", "bpchar"}
# What a column may become, by the name of PostgreSQL's type.
_TARGETS: dict[ColumnType, set[str]] = {
    _T.BOOL: {"bool", "int2", "int4", "int8"},
    _T.INTEGER: _INTEGERS,
    _T.BIGINT: _INTEGERS,
    _T.FLOAT: {"float4", "float8"},
    _T.DECIMAL: {"numeric"},
    _T.TEXT: {*_TEXTS, "uuid"},
    _T.ENUM: _TEXTS,
    _T.JSON: {*_TEXTS, "json", "jsonb"},
    _T.UUID: {*_TEXTS, "uuid"},
    _T.DATE: {"date"},
    _T.DATETIME: {"timestamp"},
    _T.INSTANT: {"timestamptz"},
    _T.TIME: {"time", "interval"},
    _T.BLOB: {"bytea"},
}
_NAMES = {
    "boolean": "bool", "smallint": "int2", "integer": "int4", "int": "int4", "bigint": "int8", "real": "float4",
    "double precision": "float8", "decimal": "numeric", "character varying": "varchar", "character": "bpchar",
    "char": "bpchar", "timestamp without time zone": "timestamp", "timestamp with time zone": "timestamptz",
    "time without time zone": "time",
}  # fmt: skip
_MOST_DIGITS = 65
# Streams take turns at turning rows: it is bound by one core anyhow, and four threads at once spend three times the
# processor time on handing the interpreter to each other.
_TURN = threading.Lock()


def available(columns: Sequence[tuple[ColumnShape, ColumnShape]]) -> bool:
    """Whether these columns (here, there) can go this way, and numpy is installed."""
    return all(_possible(mine, theirs) for mine, theirs in columns) and importlib.util.find_spec("numpy") is not None


def _possible(mine: ColumnShape, theirs: ColumnShape) -> bool:
    target = type_name(theirs.native)
    if target not in _TARGETS.get(mine.type, ()):
        return False
    if target == "float4" and mine.bits != 32:
        return False
    return not (mine.type is _T.DECIMAL and (theirs.scale or 0) < (mine.scale or 0) and theirs.precision is not None)


def type_name(native: str) -> str:
    """``character varying(20)`` and ``timestamp(6) without time zone`` by their short names."""
    before, bracket, rest = native.lower().partition("(")
    name = before.strip() + (rest.partition(")")[2].rstrip() if bracket else "")
    return _NAMES.get(name, name)


def rows(
    connection: Any, statements: Iterable[str], into: Sequence[ColumnShape], place: str, moved: Moved
) -> Iterator[bytes]:
    """COPY BINARY of the results of `statements`, header and trailer included, in blocks of whole rows of about 1 MB.

    `into` are the target's columns in the order of the results. Raises `BadBatch` naming the column of a value that
    its target cannot hold, and the driver's own errors. The connection stays in its transaction, unless it was lost.
    """
    from sync_assets.databases.postgres.copyrows import HEADER, TRAILER

    yield HEADER
    for sql in statements:
        moved.statements += 1
        for count, block in _blocks(connection, sql, into, place):
            moved.rows += count
            moved.bytes += len(block)
            yield block
    yield TRAILER


def _blocks(connection: Any, sql: str, into: Sequence[ColumnShape], place: str) -> Iterator[tuple[int, bytes]]:
    from sync_assets.databases.mysql.to_postgres import cut, makers, packets
    from sync_assets.databases.postgres.copyrows import pack

    with packets.answer(connection, sql) as (fields, blocks):
        ways = [
            makers.maker(field, type_name(column.native), _refusal(place, column.name))
            for field, column in zip(fields, into, strict=True)
        ]
        for block in blocks:
            count = len(block.starts)
            with _TURN:
                packed = pack(_columns(ways, cut.columns(block, fields)), count)
            yield count, packed


def _columns(ways: Sequence[Make], values: Iterator[Any]) -> list[Column]:
    return [make(column) for make, column in zip(ways, values, strict=True)]


def _refusal(place: str, column: str) -> Callable[[str], BadBatch]:
    def refuse(what: str) -> BadBatch:
        return BadBatch(
            f"{place}: column {column} holds {what}, and the target's type has no such value",
            field=column, hint="mend the rows, leave them out with where, or skip the column",
        )  # fmt: skip

    return refuse
