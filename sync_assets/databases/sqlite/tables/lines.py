r"""Rows as lines of COPY text and back. Between two SQLite files a value may stand in a column whose type it does not
fit: it travels with its storage class, as ``\I5``, ``\F1.5``, ``\X00ff`` or ``\Stext``, which no other lines have.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from sync_assets.databases.sqlite.tables.values import Unfit, parser, text_of
from sync_assets.engine.errors import BadBatch
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.shape import ColumnShape

_NEEDS = re.compile(r"[\\\t\n\r]")
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_ESCAPED = re.compile(r"\\(.)", re.S)
_PLAIN = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}
_CLASSES = {int: "I", float: "F", bytes: "X", str: "S"}
Encoder = Callable[[Any], bytes]


def escaped(text: str) -> bytes:
    """The text as a field."""
    return (_NEEDS.sub(lambda m: _ESCAPES[m[0]], text) if _NEEDS.search(text) else text).encode("utf-8", "strict")


# -- out


def encoder(column: ColumnShape, into: ColumnShape, dialect: str) -> Encoder:
    """From a value that is not NULL to a field for a column `into` of a database of `dialect`. The encoder raises
    `BadBatch` naming the column for a value that its declared type does not mean."""
    if dialect == "sqlite":
        return _at_home(into)
    if column.type is ColumnType.FLOAT:
        return _guarded(column, lambda value: _float(value, dialect))
    if column.type is ColumnType.BLOB and dialect == "postgres":
        return _guarded(column, lambda value: b"\\\\x" + text_of(value, ColumnType.BLOB).encode())
    return _guarded(column, lambda value: escaped(text_of(value, column.type)))


def _guarded(column: ColumnShape, encode: Encoder) -> Encoder:
    def guarded(value: Any) -> bytes:
        try:
            return encode(value)
        except ValueError:  # Unfit; half a surrogate pair
            raise BadBatch(
                f"a value of column {column.name} is none of its declared type, {column.native or 'text'}",
                field=column.name, code="unfit", hint=f"find it: select typeof({column.name}), count(*) ... group by 1",
            ) from None  # fmt: skip

    return guarded


def _float(value: Any, dialect: str) -> bytes:
    if not isinstance(value, int | float):
        raise Unfit
    text = repr(float(value))
    return {"inf": b"Infinity", "-inf": b"-Infinity"}.get(text, text.encode())


def _at_home(into: ColumnShape) -> Encoder:
    """As it is spelled; with its class where the field alone would be read as something else."""
    parse = parser(into)

    def encode(value: Any) -> bytes:
        text = value.hex() if isinstance(value, bytes) else repr(value) if isinstance(value, float) else str(value)
        try:
            same = parse(text)
        except Unfit:
            same = None
        if same.__class__ is value.__class__ and same == value:
            return escaped(text)
        return f"\\{_CLASSES[value.__class__]}".encode() + escaped(text)

    return encode


# -- in


def rows_of(blocks: Iterable[bytes], columns: Sequence[ColumnShape], table: str) -> Iterator[tuple[Any, ...]]:
    """The rows in `blocks`, ready to be bound. Raises `BadBatch` naming the column of the first that does not fit."""
    readers = [(column, parser(column)) for column in columns]
    for block in blocks:
        for line in block.split(b"\n")[:-1]:
            fields = line.split(b"\t")
            if len(fields) != len(readers):
                raise BadBatch(f"{table}: a row has {len(fields)} fields instead of {len(readers)}", code="fields")
            yield tuple([_value(field, column, parse, table) for field, (column, parse) in zip(fields, readers)])  # noqa: B905 (counted above)


def _value(field: bytes, column: ColumnShape, parse: Callable[[str], Any], table: str) -> Any:
    if field == b"\\N":
        return None
    try:
        text = field.decode()
        if "\\" in text:
            if text[1:2] in _BY_CLASS and text[0] == "\\":
                return _BY_CLASS[text[1]](unescaped(text[2:]))
            text = unescaped(text)
        return parse(text)
    except ValueError:  # Unfit, no UTF-8
        raise BadBatch(
            f"{table}: a value of column {column.name} does not fit {column.native or 'its type'}",
            field=column.name, code="unfit", hint="correct it at the source",
        ) from None  # fmt: skip


def unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda m: _PLAIN.get(m[1], m[1]), text) if "\\" in text else text


_BY_CLASS: dict[str, Callable[[str], Any]] = {"I": int, "F": float, "X": bytes.fromhex, "S": str}
