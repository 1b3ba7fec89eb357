"""One table from one database to another, by the protocols alone: what the engine does, without the engine.

For tests of values. Rows that are refused are found one by one and set aside.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sync_assets.engine.errors import BadBatch, RejectRow, Stop
from sync_assets.engine.tables.canonical import common, portable_hash, row_text
from sync_assets.engine.tables.reading import Condition, Form, Hashing, Reader, Selection, TableSource
from sync_assets.engine.tables.shape import ColumnShape, TableName, TableShape
from sync_assets.engine.tables.writing import Design, TableTarget, Wanted, Writer
from sync_assets.testing.tables.lab import TableLab


@dataclass
class Carried:
    """What became of a table. `refused` are ids with the reasons; `sums`: rows and digests of both sides."""

    design: Design = field(default_factory=Design)
    form: str = ""
    refused: dict[str, str] = field(default_factory=dict)
    sums: tuple[tuple[int, int], tuple[int, int]] | None = None
    kind: str = ""
    hashes: dict[str, int] = field(default_factory=dict)
    mine: tuple[ColumnShape, ...] = ()
    theirs: tuple[ColumnShape, ...] = ()

    def loss(self, column: str) -> str:
        """What the design says is lost of this column."""
        return "; ".join(text for text in self.design.losses if column in text)


def carry(here: TableLab, there: TableLab, table: str, form: Form | None = None) -> Carried:
    """Raises `Stop` when the table cannot be had there at all."""
    with contextlib.ExitStack() as stack:
        source, target = here.open(), there.open()
        stack.callback(source.close)
        stack.callback(target.close)
        return _carry(source, target, here.name(table), there.name(table), form)


def forms(source: TableSource, target: TableTarget, pairs: Sequence[tuple[ColumnShape, ColumnShape]]) -> list[Form]:
    return [f for f in source.forms(target.dialect, pairs) if f in target.takes()]


def _carry(source: TableSource, target: TableTarget, name: TableName, into: TableName, form: Form | None) -> Carried:
    shape = source.shapes([name])[name]
    design = target.design([Wanted(shape, into, shape.columns, shape.key)], source, "apply")
    if design.stops:
        raise Stop("; ".join(design.stops))
    target.build(design.before)
    made = target.shapes([into])[into]
    theirs = {c.name: c for c in made.columns}
    columns = tuple(theirs[c.name] for c in shape.columns)
    offered = forms(source, target, list(zip(shape.columns, columns, strict=True)))
    result = Carried(design, str(form or offered[0]), mine=shape.columns, theirs=columns)
    if form is not None and form not in offered:
        result.form = ""
        return result
    target.open_ledger()
    target.take_over(f"carry {into.name}", 1)
    writer = target.writer(f"carry {into.name}", 1)
    try:
        with source.snapshot([name], 1) as snapshot:
            reader = snapshot.reader()
            _move(reader, writer, shape, into, columns, form or offered[0], target.dialect, result)
            reader.close()
    finally:
        writer.close()
    target.build(design.after)
    _digests(source, target, shape, made, columns, result)
    return result


def _move(reader: Reader, writer: Writer, shape: TableShape, into: TableName, columns: Sequence[ColumnShape],
          form: Form, dialect: str, result: Carried) -> None:  # fmt: skip
    whole = Selection(shape.name, shape.columns)
    try:
        with writer.batch("all"):
            writer.load(into, columns, form, reader.rows(whole, form, columns, dialect))
    except (BadBatch, RejectRow, Stop):
        with writer.batch("one by one"):
            for id in _ids(reader, shape, dialect):
                one = whole.having(Condition("id", "=", id))
                try:
                    writer.try_load(into, columns, list(reader.rows(one, Form.LINES, columns, dialect)))
                except (BadBatch, RejectRow, Stop) as error:
                    result.refused[id] = str(error)


def _ids(reader: Reader, shape: TableShape, dialect: str) -> Iterator[str]:
    id = shape.column("id")
    assert id is not None  # noqa: S101
    blocks = list(reader.rows(Selection(shape.name, (id,)), Form.LINES, (id,), dialect))
    return iter(b"".join(blocks).decode().split("\n")[:-1])


def _digests(source: TableSource, target: TableTarget, shape: TableShape, made: TableShape,
             columns: Sequence[ColumnShape], result: Carried) -> None:  # fmt: skip
    """Sums of hashes on both sides of the rows that were not refused."""
    both = source.hashing(target, shape.columns, columns, ("id",), 100)
    if both is None:
        return
    result.kind = both[0].kind
    mine = _hashes(source, Selection(shape.name, shape.columns), both[0])
    theirs = _hashes(target, Selection(made.name, tuple(columns)), both[1])
    result.hashes = mine
    kept = {id: h for id, h in mine.items() if id not in result.refused}
    result.sums = (len(kept), sum(kept.values())), (len(theirs), sum(theirs.values()))


def _hashes(source: TableSource, selection: Selection, hashing: Hashing) -> dict[str, int]:
    assert selection.table is not None  # noqa: S101
    with source.snapshot([selection.table], 1) as snapshot:
        reader = snapshot.reader()
        buckets = list(reader.buckets(selection, hashing))
        rows = {key[0]: h for key, h in reader.hashes(selection, hashing, [b.number for b in buckets])}
        reader.close()
    if sum(b.rows for b in buckets) != len(rows) or sum(b.sum for b in buckets) != sum(rows.values()):
        raise AssertionError("the buckets are not the sums of the hashes")
    return rows


def reference_hash(texts: Sequence[str | None], mine: Sequence[ColumnShape], theirs: Sequence[ColumnShape]) -> int:
    """The portable hash of a row, from the canonical texts of its columns."""
    types = [common(a.type, b.type) for a, b in zip(mine, theirs, strict=True)]
    return portable_hash(row_text(texts, [t for t in types if t is not None]))
