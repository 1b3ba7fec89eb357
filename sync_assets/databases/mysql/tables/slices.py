"""A table in pieces of about the same size, by ranges of its primary key. InnoDB keeps rows in that order.

Integers that lie close are cut by arithmetic; others by walking along the key. The first piece is open below and the
last above, so that together they are everything, in any other snapshot too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

from sync_assets.databases.mysql.tables import choice, render
from sync_assets.databases.mysql.tables.line import Line, quote
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.reading import Condition, Selection
from sync_assets.engine.tables.shape import ColumnShape, TableShape

SPARSE = 4.0  # numbers for each row, from which on equal widths would make unequal pieces
MOST = 10_000  # pieces
_ORDERED = frozenset({ColumnType.INTEGER, ColumnType.BIGINT, ColumnType.DECIMAL, ColumnType.TEXT, ColumnType.UUID,
                      ColumnType.DATE, ColumnType.DATETIME, ColumnType.INSTANT, ColumnType.BLOB})  # fmt: skip
_INTEGERS = frozenset({ColumnType.INTEGER, ColumnType.BIGINT})


def slices(line: Line, selection: Selection, shape: TableShape, size: int) -> Sequence[Selection]:
    """`selection` in pieces of about `size` bytes."""
    leading = shape.column(shape.key[0]) if shape.key else None
    if leading is None or leading.type not in _ORDERED or selection.keys is not None:
        return [selection]
    wanted = min(MOST, max(1, round(shape.bytes / max(1, size))), max(1, shape.rows // 2))
    if wanted < 2:
        return [selection]
    bounds = list(dict.fromkeys(_bounds(line, selection, leading, wanted, shape.rows)))
    return list(_cut(selection, leading.name, bounds))


def _bounds(line: Line, selection: Selection, leading: ColumnShape, wanted: int, rows: int) -> Iterator[str]:
    """Where to cut. Only restrictions of the key itself are looked at; others would mean reading all."""
    on_key = tuple(c for c in selection.conditions if c.column == leading.name)
    along = replace(selection, columns=(leading,), where="", conditions=on_key)
    if leading.type in _INTEGERS:
        name = quote(leading.name)
        low, high = line.ask(choice.statement(f"min({name}), max({name})", along))[0]
        if low is None:
            return
        if high - low < SPARSE * max(rows, 1):
            yield from (str(low + (high - low + 1) * n // wanted) for n in range(1, wanted))
            return
    yield from _walk(line, along, leading, max(1, rows // wanted))


def _walk(line: Line, along: Selection, leading: ColumnShape, step: int) -> Iterator[str]:
    """Every `step`th key. The server reads along its index; a value goes over the wire for each."""
    name = quote(leading.name)
    at: str | None = None
    for _ in range(MOST):
        here = along if at is None else along.having(Condition(leading.name, ">", at))
        tail = f"order by {name} limit 1 offset {step - 1}"
        found = line.ask(choice.statement(render.canonical(leading, name), here, tail))
        if not found:
            return
        value = found[0][0]
        at = value.decode() if isinstance(value, bytes) else str(value)
        yield at


def _cut(selection: Selection, name: str, bounds: Sequence[str]) -> Iterator[Selection]:
    if not bounds:
        yield selection
        return
    yield selection.having(Condition(name, "<", bounds[0]))
    for low, high in pairwise(bounds):
        yield selection.having(Condition(name, ">=", low), Condition(name, "<", high))
    yield selection.having(Condition(name, ">=", bounds[-1]))
