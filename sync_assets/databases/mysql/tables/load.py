"""COPY lines into a table: LOAD DATA LOCAL from a stream, or INSERTs where the server does not take that.

LOAD DATA LOCAL stores what does not fit as well as it can, or leaves it out, and only warns, whatever the mode. So any
warning makes the whole load a `BadBatch`; the transaction is the caller's to undo.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from sync_assets.databases.mysql import errors
from sync_assets.databases.mysql.tables import choice
from sync_assets.databases.mysql.tables.line import Line, quote
from sync_assets.databases.mysql.tables.local import NAME
from sync_assets.databases.mysql.tables.render import base, hexed
from sync_assets.engine.errors import BadBatch, Stop, SyncError
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.shape import ColumnShape, TableKind, TableName, TableShape

TRANSACTIONAL = frozenset({"innodb", "rocksdb", "tokudb", "ndbcluster", "ndb"})
_SWITCHED_OFF = frozenset({"1148", "3948", "4166"})  # local_infile = 0
_STATEMENT = 4 * 1024 * 1024  # bytes of an INSERT, if the server takes as much
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_PLAIN = {b"t": b"\t", b"n": b"\n", b"r": b"\r", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_BACKSLASH_TEXT = str.maketrans({"\\": "\\\\", "'": "\\'"})


def load(
    line: Line, table: TableName, columns: Sequence[ColumnShape], blocks: Iterable[bytes], *, local: bool = True
) -> tuple[int, int, bool]:
    """Rows stored, bytes sent, and whether the server took a file. Raises `BadBatch` for rows that do not fit."""
    if local:
        try:
            return (*_as_file(line, table, columns, blocks), True)
        except SyncError as error:
            if error.code not in _SWITCHED_OFF:
                raise
    return (*_as_statements(line, table, columns, blocks), False)


def _as_file(line: Line, table: TableName, columns: Sequence[ColumnShape], blocks: Iterable[bytes]) -> tuple[int, int]:
    connection = line.connection
    with line.sorted():
        rows, warnings = connection.load(_statement(table, columns), blocks)
    if warnings:
        _refuse(line)
    return rows, int(connection.sent)


def _statement(table: TableName, columns: Sequence[ColumnShape]) -> str:
    into, sets = [], []
    for number, column in enumerate(columns):
        made = _made(column, f"@v{number}")
        into.append(quote(column.name) if made is None else f"@v{number}")
        if made is not None:
            sets.append(f"{quote(column.name)} = {made}")
    assigned = f" set {', '.join(sets)}" if sets else ""
    return (
        f"load data local infile '{NAME}' into table {choice.table(table)} character set utf8mb4"
        rf" fields terminated by '\t' escaped by '\\' lines terminated by '\n' ({', '.join(into)}){assigned}"
    )


def _made(column: ColumnShape, value: str) -> str | None:
    """How a column is made of its field; None: it takes the field as it is."""
    if column.type is ColumnType.BLOB or hexed(column):
        return f"unhex({value})"
    if base(column) == "bit":
        return f"cast({value} as unsigned)" if column.length == 1 else f"cast(conv({value}, 2, 10) as unsigned)"
    if column.type is ColumnType.SET:
        return _set_of(value)
    return None


def _set_of(value: str) -> str:
    """A JSON array of texts as a SET's own text: ``["a","b"]`` -> ``a,b``; its own text as it is."""
    inside = f"replace(substring({value}, 3, char_length({value}) - 4), '\",\"', ',')"
    plain = rf"replace(replace({inside}, '\\\"', '\"'), '\\\\', '\\')"
    return f"if({value} = '[]', '', if({value} like '[\"%\"]', {plain}, {value}))"


def _refuse(line: Line) -> None:
    """The first warning, as the error that it should have been. Raises `BadBatch`."""
    found = line.ask("show warnings limit 50")
    worst = sorted(found, key=lambda row: ("Error", "Warning", "Note").index(row[0]))
    number, text = (int(worst[0][1]), str(worst[0][2])) if worst else (0, "")
    raise errors.warned(number, text, line.place)


# -- without LOAD DATA LOCAL


def _as_statements(
    line: Line, table: TableName, columns: Sequence[ColumnShape], blocks: Iterable[bytes]
) -> tuple[int, int]:
    names = ", ".join(quote(c.name) for c in columns)
    head = f"insert into {choice.table(table)} ({names}) values ".encode()  # noqa: S608 (quoted)
    room = min(_STATEMENT, line.packet - 1024)
    rows = size = 0
    for values in _grouped(_tuples(columns, blocks), room - len(head)):
        statement = head + b",".join(values)
        rows += _insert(line, statement)
        size += len(statement)
    return rows, size


def _insert(line: Line, statement: bytes) -> int:
    if len(statement) >= line.packet:
        raise BadBatch(
            f"{line.place}: a row is longer than the server takes",
            hint="raise max_allowed_packet there, or switch local_infile on",
            code="1153",
        )
    connection = line.connection
    with line.sorted():
        rows = int(connection.query(statement))
        warnings = int(connection._result.warning_count)
    if warnings:
        _refuse(line)
    return rows


def _grouped(values: Iterable[bytes], room: int) -> Iterator[list[bytes]]:
    kept: list[bytes] = []
    size = 0
    for value in values:
        if kept and size + len(value) + 1 > room:
            yield kept
            kept, size = [], 0
        kept.append(value)
        size += len(value) + 1
    if kept:
        yield kept


def _tuples(columns: Sequence[ColumnShape], blocks: Iterable[bytes]) -> Iterator[bytes]:
    made = [_made(c, "{}") for c in columns]
    for block in blocks:
        for row in block.split(b"\n")[:-1]:
            fields = row.split(b"\t")
            if len(fields) != len(columns):
                raise BadBatch("a row has another number of fields than the table takes", code="1261")
            yield b"(" + b",".join(_value(f, m) for f, m in zip(fields, made, strict=True)) + b")"


def _value(field: bytes, made: str | None) -> bytes:
    if field == b"\\N":
        return b"null"
    raw = _ESCAPED.sub(lambda found: _PLAIN.get(found[1], found[1]), field) if b"\\" in field else field
    if made is not None and made.startswith("unhex("):
        return b"unhex('" + raw.replace(b"'", b"") + b"')"
    try:
        literal = "'" + raw.decode().translate(_BACKSLASH_TEXT).replace("\0", "\\0") + "'"
    except UnicodeDecodeError:
        raise BadBatch("a text is no UTF-8", code="1300") from None
    return (made.replace("{}", literal) if made is not None else literal).encode()


def refuse_other_tables(place: str, shape: TableShape) -> None:
    """Raises `Stop` for what is no table, and for a table that cannot take part in a transaction."""
    if shape.kind in (TableKind.VIEW, TableKind.FOREIGN):
        raise Stop(f"{place}: {shape.name} is a {shape.kind}", hint="write to a table, or rename one of them")
    if shape.engine.lower() not in TRANSACTIONAL:
        raise Stop(
            f"{place}: table {shape.name} is kept by {shape.engine}, which has no transactions",
            hint=f"alter table {choice.table(shape.name)} engine = InnoDB",
            code="engine",
        )
