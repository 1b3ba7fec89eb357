"""Rows with values of many megabytes: fetched as they are and written out here, because the server would not.

An expression's result may not be longer than max_allowed_packet, and hex doubles a blob. Slower than the server's own
lines, and rare.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sync_assets.databases.mysql.tables import render
from sync_assets.databases.mysql.tables.line import quote
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.shape import ColumnShape

_SPECIAL = re.compile(rb"[\\\t\n\r]")
_ESCAPED = {b"\\": b"\\\\", b"\t": b"\\t", b"\n": b"\\n", b"\r": b"\\r"}


@dataclass(frozen=True, slots=True)
class WideField:
    """What to ask for, and how the answer's bytes become a field of a line."""

    sql: str
    made: Callable[[bytes], bytes]

    def render(self, value: bytes | None) -> bytes:
        return b"\\N" if value is None else self.made(value)


def wide_fields(columns: Sequence[ColumnShape], into: Sequence[ColumnShape], dialect: str) -> list[WideField]:
    return [_wide(a, b, dialect) for a, b in zip(columns, into, strict=True)]


def _wide(column: ColumnShape, into: ColumnShape, dialect: str) -> WideField:
    if not render.long(column):
        return WideField(render.field(column, into, dialect), bytes)
    if column.type is ColumnType.BLOB and dialect == "postgres":
        return WideField(quote(column.name), lambda value: b"\\\\x" + value.hex().encode())
    if column.type is ColumnType.BLOB or render.hexed(column):
        return WideField(quote(column.name), lambda value: value.hex().encode())
    return WideField(f"convert({quote(column.name)} using utf8mb4)", _escaped)


def _escaped(value: bytes) -> bytes:
    return _SPECIAL.sub(lambda found: _ESCAPED[found[0]], value)
