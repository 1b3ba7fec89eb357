"""Rows, counts and digests of a SQLite file within one moment: the read transaction that the snapshot opened.

Digests are taken in Python, of canonical texts: SQLite has no MD5, and the file is on this machine, so that rows which
are read and not sent cost little.
"""
# ruff: noqa: S608 (names are quoted, values are bound)

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

from sync_assets.databases.quoting import quoted
from sync_assets.databases.sqlite.tables.lines import encoder
from sync_assets.databases.sqlite.tables.selecting import Columns, Part, comparable, names, parts
from sync_assets.databases.sqlite.tables.session import sorted_errors
from sync_assets.databases.sqlite.tables.values import digest_text
from sync_assets.engine.errors import Stop
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.canonical import common, portable_hash, row_text
from sync_assets.engine.tables.reading import Bucket, Condition, Form, Hashing, Key, Moved, Selection
from sync_assets.engine.tables.shape import ColumnShape

BLOCK = 256 * 1024
AT_ONCE = 1_000  # rows fetched together
MOST_SLICES = 500
ROW_GUESS = 100  # rows looked at to guess the size of one
_WHOLE = (ColumnType.INTEGER, ColumnType.BIGINT)
ColumnsOf = Callable[[Selection], Columns]


class SqliteReader:
    """`reading.Reader` on the snapshot's connection, which it does not own."""

    def __init__(self, connection: sqlite3.Connection, place: str, columns_of: ColumnsOf) -> None:
        self.connection = connection
        self.place = place
        self.columns_of = columns_of
        self.moved = Moved()

    def rows(self, selection: Selection, form: Form, into: Sequence[ColumnShape], dialect: str) -> Iterator[bytes]:
        if form is not Form.LINES:
            raise Stop(f"{self.place}: SQLite sends rows as lines, not as {form}")
        encode = [encoder(a, b, dialect) for a, b in zip(selection.columns, into, strict=True)]
        block = bytearray()
        for row in self._ask(names(selection.columns), selection):
            block += b"\t".join([b"\\N" if v is None else e(v) for v, e in zip(row, encode)]) + b"\n"  # noqa: B905
            self.moved.rows += 1
            if len(block) >= BLOCK:
                yield self._sent(block)
                block = bytearray()
        if block:
            yield self._sent(block)

    def _sent(self, block: bytearray) -> bytes:
        self.moved.bytes += len(block)
        return bytes(block)

    def buckets(self, selection: Selection, hashing: Hashing) -> Iterator[Bucket]:
        found: dict[int, list[int]] = {}
        for _, number, value in self._hashed(selection, hashing):
            total = found.setdefault(number, [0, 0])
            total[0] += 1
            total[1] += value
        return (Bucket(number, rows, total) for number, (rows, total) in found.items())

    def hashes(self, selection: Selection, hashing: Hashing, numbers: Sequence[int]) -> Iterator[tuple[Key, int]]:
        wanted = set(numbers)
        for key, number, value in self._hashed(selection, hashing):
            if number in wanted:
                yield key, value

    def _hashed(self, selection: Selection, hashing: Hashing) -> Iterator[tuple[Key, int, int]]:
        """Key, bucket and hash of each row."""
        own = [c.type for c in hashing.columns]
        framed = [_common(a, b) for a, b in zip(hashing.columns, hashing.other, strict=True)]
        rule = hashing.buckets
        at = [[c.name for c in hashing.columns].index(name) for name in rule.columns]
        kinds = [framed[i] for i in at]
        for row in self._ask(names(hashing.columns), selection):
            texts = [digest_text(v, t) for v, t in zip(row, own)]  # noqa: B905 (one for each column)
            key = [texts[i] for i in at]
            value = portable_hash(row_text(texts, framed))
            if not at:
                yield (), 0, value
            elif rule.width:
                yield _named(key), _cut(key[0], rule.width), value
            else:
                yield _named(key), portable_hash(row_text(key, kinds)) % rule.count, value

    def count(self, selection: Selection) -> int:
        return sum(row[0] for row in self._ask("count(*)", selection))

    def empty(self, selection: Selection) -> bool:
        asked = (self._run(f"select 1{part.sql} limit 1", part.values) for part in self._parts(selection))
        return not any(asked)

    def newest(self, selection: Selection, column: str, *, oldest: bool = False) -> str | None:
        shape = self.columns_of(selection)[column]
        end, last = ("min", min) if oldest else ("max", max)
        found = [row[0] for row in self._ask(f"{end}({comparable(shape)})", selection) if row[0] is not None]
        return digest_text(last(found), _shown(shape.type)) if found else None

    def close(self) -> None:
        """The connection is the snapshot's."""

    # -- slices

    def slices(self, selection: Selection, size: int) -> Sequence[Selection]:
        """By the leading key column, if it is never NULL: a condition would lose NULLs."""
        leading = self.columns_of(selection).get(selection.key[0]) if selection.key else None
        if leading is None or leading.nullable or selection.table is None or selection.keys is not None:
            return [selection]
        rows = self.count(selection)
        pieces = min(MOST_SLICES, -(-rows * self._width(selection) // max(size, 1)))
        if pieces < 2:
            return [selection]
        return _between(selection, leading.name, self._bounds(selection, leading, rows // pieces or 1))

    def _width(self, selection: Selection) -> int:
        """About how many bytes a row has."""
        (part,) = self._parts(selection)
        lengths = " + ".join(f"coalesce(length(cast({quoted(c.name)} as blob)), 1) + 1" for c in selection.columns)
        inside = f"select {lengths} as bytes{part.sql} limit {ROW_GUESS}"
        (row,) = self._run(f"select avg(bytes) from ({inside})", part.values)
        return int(row[0] or 1)

    def _bounds(self, selection: Selection, column: ColumnShape, step: int) -> list[str]:
        """Every `step`-th value of the key, each once."""
        (part,) = self._parts(selection)
        key = comparable(column)
        inside = f"select {key} as k, row_number() over (order by {key}) as n{part.sql}"
        found = self._run(f"select distinct k from ({inside}) where (n - 1) % {step} = 0 and n > 1 order by k",
                          part.values)  # fmt: skip
        return [t for (v,) in found if (t := digest_text(v, _shown(column.type))) is not None]

    # -- asking

    def _parts(self, selection: Selection) -> Iterator[Part]:
        return parts(selection, self.columns_of(selection))

    def _ask(self, what: str, selection: Selection) -> Iterator[tuple[Any, ...]]:
        for part in self._parts(selection):
            yield from self._stream(f"select {what}{part.sql}", part.values)

    def _stream(self, sql: str, values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        self.moved.statements += 1
        with sorted_errors(self.place):
            cursor = self.connection.execute(sql, values)
        try:
            while True:
                with sorted_errors(self.place):
                    rows = cursor.fetchmany(AT_ONCE)
                if not rows:
                    return
                yield from rows
        finally:
            cursor.close()

    def _run(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        return list(self._stream(sql, values))


def _common(mine: ColumnShape, theirs: ColumnShape) -> ColumnType:
    found = common(mine.type, theirs.type)
    if found is None:
        raise Stop(f"column {mine.name} cannot be compared by digest")
    return found


def _shown(type: ColumnType) -> ColumnType:
    """Those that come as canonical texts already are texts."""
    return ColumnType.TEXT if comparable(ColumnShape("x", type, "")).startswith("sync") else type


def _named(key: Sequence[str | None]) -> Key:
    return tuple(text if text is not None else "" for text in key)


def _cut(text: str | None, width: int) -> int:
    """What is no number at all is found in bucket 0."""
    number = int(text) if text is not None and text.lstrip("-").isdigit() else 0
    return number // width if number >= 0 else -(-number // width)


def _between(selection: Selection, column: str, bounds: Sequence[str]) -> list[Selection]:
    if not bounds:
        return [selection]
    first = [selection.having(Condition(column, "<", bounds[0]))]
    middle = [
        selection.having(Condition(column, ">=", low), Condition(column, "<", high)) for low, high in pairwise(bounds)
    ]
    return [*first, *middle, selection.having(Condition(column, ">=", bounds[-1]))]
