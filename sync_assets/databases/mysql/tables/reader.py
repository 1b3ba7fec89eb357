"""One reader of a snapshot: rows as lines, counts and digests. Each question is one statement, or few."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Any

from sync_assets.databases.mysql import to_postgres, wire
from sync_assets.databases.mysql.tables import choice, render
from sync_assets.databases.mysql.tables.line import Line, quote
from sync_assets.databases.mysql.tables.stream import Lines
from sync_assets.databases.mysql.tables.zeros import refuse_zero_dates
from sync_assets.engine.errors import Stop
from sync_assets.engine.model import Row
from sync_assets.engine.tables.reading import Bucket, Form, Hashing, Key, Moved, Selection
from sync_assets.engine.tables.shape import ColumnShape


class TableReader:
    """`engine.tables.reading.Reader` on one connection, whose transaction has begun. `give_back` takes it again."""

    def __init__(self, line: Line, give_back: Callable[[Line], None]) -> None:
        self.line = line
        self.moved = Moved()
        self._give_back: Callable[[Line], None] | None = give_back
        self._open: tuple[Form, Generator[bytes, None, None]] | None = None

    # -- rows

    def rows(self, selection: Selection, form: Form, into: Sequence[ColumnShape], dialect: str) -> Iterator[bytes]:
        self._finish()
        self._open = form, self._rows(selection, form, into, dialect)
        return self._open[1]

    def _finish(self) -> None:
        """Read the answer that somebody stopped taking to its end: another statement could not be asked before that,
        and the snapshot would be lost with the connection. The binary way does so when it is closed."""
        opened, self._open = self._open, None
        if opened is None:
            return
        form, rows = opened
        if form is Form.LINES and inspect.getgeneratorstate(rows) == inspect.GEN_SUSPENDED:
            for _ in rows:
                pass
        rows.close()

    def _rows(
        self, selection: Selection, form: Form, into: Sequence[ColumnShape], dialect: str
    ) -> Generator[bytes, None, None]:
        if form is Form.PG_BINARY and dialect == "postgres":
            yield from self._pg_binary(selection, into)
            return
        if form is not Form.LINES:
            raise Stop(f"{self.line.place}: MySQL cannot send rows as {form}", code="form")
        for piece in choice.pieces(selection):
            for block in self._lines(piece, into, dialect):
                if dialect != "mysql":
                    refuse_zero_dates(block, piece.columns, self.line.place)
                self.moved.bytes += len(block)
                yield block

    def _pg_binary(self, selection: Selection, into: Sequence[ColumnShape]) -> Iterator[bytes]:
        names = ", ".join(quote(c.name) for c in selection.columns)
        statements = [choice.statement(names, piece) for piece in choice.pieces(selection)]
        connection = self.line.connection
        with self.line.sorted():
            yield from to_postgres.rows(connection, statements, into, self.line.place, self.moved)

    def _lines(self, selection: Selection, into: Sequence[ColumnShape], dialect: str) -> Iterator[bytes]:
        """Rows that the server cannot write out in one piece are NULL in the first answer; they come after it."""
        limit = int(self.line.packet * 0.9)
        sql = choice.statement(render.line(selection.columns, into, dialect, limit), selection)
        lines = Lines(self.line.connection)
        self.moved.statements += 1
        try:
            with self.line.sorted():
                yield from lines.blocks(sql)
        finally:
            if not lines.ended:
                self.line.close()
        self.moved.rows += lines.rows
        if lines.wide:
            yield from self._wide(selection, into, dialect, limit, lines.wide)

    def _wide(
        self, selection: Selection, into: Sequence[ColumnShape], dialect: str, limit: int, rows: int
    ) -> Iterator[bytes]:
        """The rows with very long values: those come as they are, and are escaped here."""
        from sync_assets.databases.mysql.tables.wide import wide_fields

        fields = wide_fields(selection.columns, into, dialect)
        width = render.row_width(selection.columns)
        sql = choice.statement(", ".join(f.sql for f in fields), choice.narrowed(selection, f"{width} > {limit}"))
        found = 0
        with self.line.streaming() as connection:
            wire.execute(connection, sql)
            for row in wire.rows(connection, [bytes] * len(fields)):
                found += 1
                yield b"\t".join(f.render(v) for f, v in zip(fields, row, strict=True)) + b"\n"
        self.moved.rows += found
        if found != rows:
            raise Stop(
                f"{self.line.place}: {rows - found} rows are too long for the server to send",
                hint="raise max_allowed_packet there",
                code="max_allowed_packet",
            )

    # -- questions

    def count(self, selection: Selection) -> int:
        return sum(int(self._one("count(*)", piece)) for piece in choice.pieces(selection))

    def empty(self, selection: Selection) -> bool:
        return not any(self.line.ask(choice.statement("1", p, "limit 1")) for p in choice.pieces(selection))

    def newest(self, selection: Selection, column: str, *, oldest: bool = False) -> str | None:
        shape = next((c for c in selection.columns if c.name == column), None)
        if shape is None:
            raise Stop(f"{self.line.place}: column {column} is not among those that are read", hint="do not skip it")
        end = "min" if oldest else "max"
        found = [self._one(f"{end}({quote(column)})", p, lambda sql: render.canonical(shape, sql))
                 for p in choice.pieces(selection)]  # fmt: skip
        texts = [_decoded(v) for v in found if v is not None]
        return (min if oldest else max)(texts, default=None)

    def _one(self, expression: str, selection: Selection, shown: Callable[[str], str] | None = None) -> Any:
        if shown is None:
            return self.line.one(choice.statement(expression, selection))
        inner = choice.statement(f"{expression} as m", selection)
        return self.line.one(f"select {shown('m')} from ({inner}) as one")  # noqa: S608 (made here)

    # -- digests

    def buckets(self, selection: Selection, hashing: Hashing) -> Iterator[Bucket]:
        key, pair = _keys(hashing)
        number = choice.bucket(hashing.buckets, key, render.row_hash(key, pair) if key else "")
        total = f"sum({render.row_hash(hashing.columns, hashing.other)})"
        tail = "group by 1 order by null" if key else ""
        for piece in choice.pieces(selection):
            answer = self._answer(choice.statement(f"{number}, count(*), {total}", piece, tail), [int, int, int])
            for found, rows, hashes in answer:
                if rows:
                    yield Bucket(found, rows, self._whole(hashes))

    def hashes(self, selection: Selection, hashing: Hashing, numbers: Sequence[int]) -> Iterator[tuple[Key, int]]:
        key, pair = _keys(hashing)
        key_hash = render.row_hash(key, pair) if key else ""
        shown = ", ".join([*(render.canonical(c, quote(c.name)) for c in key),
                           render.row_hash(hashing.columns, hashing.other)])  # fmt: skip
        for at in range(0, len(numbers), choice.KEYS_AT_ONCE):
            some = choice.in_buckets(hashing.buckets, key, key_hash, numbers[at : at + choice.KEYS_AT_ONCE])
            for piece in choice.pieces(choice.narrowed(selection, some)):
                for *values, hash in self._answer(choice.statement(shown, piece), [*[bytes.decode] * len(key), int]):
                    yield tuple(values), self._whole(hash)

    def _whole(self, hashes: int) -> int:
        """Raises `Stop` where a row could not be hashed: leaving it out would make two different tables equal."""
        if hashes < render.NO_HASH:
            return hashes
        raise Stop(
            f"{self.line.place}: some rows are too long for the server to hash",
            hint="raise max_allowed_packet there, or prove by count (proof: count)",
            code="max_allowed_packet",
        )

    def _answer(self, sql: str, decoders: Sequence[Callable[[bytes], Any]]) -> Iterator[Row]:
        self.moved.statements += 1
        with self.line.streaming() as connection:
            wire.execute(connection, sql)
            for row in wire.rows(connection, decoders):
                self.moved.bytes += 40  # about what a row of numbers takes
                yield row

    def close(self) -> None:
        give_back, self._give_back = self._give_back, None
        if give_back is not None:
            self._finish()
            give_back(self.line)


def _keys(hashing: Hashing) -> tuple[list[ColumnShape], list[ColumnShape]]:
    """The columns of the key here, and those of the other side."""
    pairs = {a.name: (a, b) for a, b in zip(hashing.columns, hashing.other, strict=True)}
    found = [pairs[name] for name in hashing.buckets.columns]
    return [a for a, _ in found], [b for _, b in found]


def _decoded(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)
