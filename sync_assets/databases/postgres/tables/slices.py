"""Cutting a table into pieces: by the leading column of its key where that is the order on disk, else by pages.

Pieces by key mean the same rows in another snapshot, so that a broken load can go on; pieces by page do not. Whatever
the statistics say, the pieces cover all rows exactly once: they only say where it is cut.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sync_assets.databases.postgres.tables.canonical import canonical_of
from sync_assets.databases.postgres.tables.quoting import array_literal, bare
from sync_assets.databases.postgres.tables.selecting import select
from sync_assets.databases.quoting import qualified, quoted
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.reading import Condition, Pages, Selection
from sync_assets.engine.tables.shape import ColumnShape, TableName
from sync_assets.store.sql import read_named

SQL = read_named(Path(__file__).with_name("slices.sql"))
_TID_RANGES = 140000  # older servers read the whole table for each range of pages
_IN_ORDER = 0.9  # correlation of the key's order with the order on disk
_SPARSE = 0.2  # a filter that keeps less than this is not worth many scans of the table
_WHOLE = (ColumnType.INTEGER, ColumnType.BIGINT)
_ORDERED = frozenset({*_WHOLE, ColumnType.DATE, ColumnType.DATETIME, ColumnType.INSTANT, ColumnType.TEXT})
Ask = Callable[..., list[tuple[Any, ...]]]


@dataclass(frozen=True, slots=True)
class _Facts:
    """What is known of a table before it is cut. `key` is the leading column of the primary key."""

    kind: str
    pages: int
    bytes: int
    rows: float
    key: str | None
    identity: bool
    correlation: float | None
    bounds: Sequence[str]
    children: bool


def slices(ask: Ask, version: int, selection: Selection, size: int) -> Sequence[Selection]:
    """Pieces of about `size` bytes; [selection] where it is small, or cannot be cut."""
    if selection.table is None or selection.query or selection.keys is not None or selection.pages is not None:
        return [selection]
    rows = ask(SQL["facts"], (qualified(selection.table),))
    if not rows:
        return [selection]
    facts = _Facts(*rows[0])
    share = _share(ask, selection, facts)
    count = int(facts.bytes * share / max(1, size)) + 1
    if count < 2 or facts.kind not in ("r", "p"):
        return [selection]
    bounds = _bounds(ask, selection, facts, count)
    if bounds:
        return [selection.having(*piece) for piece in _between(facts.key or "", bounds)]
    if share < _SPARSE:
        return [selection]
    if facts.kind == "p":
        return _leaves(ask, version, selection, size)
    return _by_pages(selection, facts.pages, count) if version >= _TID_RANGES and not facts.children else [selection]


def _share(ask: Ask, selection: Selection, facts: _Facts) -> float:
    """The part of the table that the filter keeps, as the planner sees it."""
    if not selection.conditions and not selection.where:
        return 1.0
    said = ask(f"explain (format json) {select(selection, ('1',))}")[0][0]
    plan = said if isinstance(said, list) else json.loads(said)
    return float(min(1.0, plan[0]["Plan"]["Plan Rows"] / max(1.0, facts.rows)))


def _bounds(ask: Ask, selection: Selection, facts: _Facts, count: int) -> list[str]:
    """Where to cut the key's column, as canonical texts; none if its order is not near the order on disk."""
    column = next((c for c in selection.columns if c.name == facts.key), None)
    if column is None or column.type not in _ORDERED or column.collation:
        return []
    near = facts.identity if facts.correlation is None else facts.correlation > _IN_ORDER
    if not near and facts.kind != "p":
        return []
    if column.type in _WHOLE:
        found = _whole_bounds(ask, selection, column, facts, count)
    else:
        found = _histogram(ask, column, facts, count)
    taken = {c.value for c in selection.conditions if c.column == column.name}
    return [b for b in found if b not in taken]


def _whole_bounds(ask: Ask, selection: Selection, column: ColumnShape, facts: _Facts, count: int) -> list[str]:
    """Between the least and the largest, following the histogram where there is one."""
    name = quoted(column.name)
    low, high = ask(f"select min({name}), max({name}) from {qualified(selection.table)}")[0]  # type: ignore[arg-type]  # noqa: S608
    if low is None:
        return []
    inner = sorted({int(b) for b in facts.bounds if low < int(b) < high})
    known = [int(low), *inner, int(high) + 1]
    cuts = {_interpolated(known, at / count) for at in range(1, count)}
    return [str(c) for c in sorted(cuts) if low < c <= high]


def _interpolated(known: Sequence[int], share: float) -> int:
    at = share * (len(known) - 1)
    left = min(int(at), len(known) - 2)
    return known[left] + int((known[left + 1] - known[left]) * (at - left))


def _histogram(ask: Ask, column: ColumnShape, facts: _Facts, count: int) -> list[str]:
    inner = facts.bounds[1:-1]
    if not inner:
        return []
    step = max(1.0, (len(inner) + 1) / count)
    picked = [inner[int(at * step) - 1] for at in range(1, count) if 0 < int(at * step) <= len(inner)]
    text = canonical_of(column, f"(b::{bare(column.native)})")
    rows = ask(f"select {text} from unnest({array_literal(picked)}::text[]) with ordinality as u(b, n) order by n")  # noqa: S608
    return list(dict.fromkeys(str(row[0]) for row in rows))


def _between(key: str, bounds: Sequence[str]) -> list[tuple[Condition, ...]]:
    """Half-open ranges: the first open below, the last open above, so that nothing lies outside."""
    first = (Condition(key, "<", bounds[0]),)
    middle = [(Condition(key, ">=", a), Condition(key, "<", b)) for a, b in itertools.pairwise(bounds)]
    return [first, *middle, (Condition(key, ">=", bounds[-1]),)]


def _by_pages(selection: Selection, pages: int, count: int) -> list[Selection]:
    """Ranges of pages; the last is open, for pages that were added since."""
    cuts = sorted({pages * at // count for at in range(1, count)} - {0})
    edges = [0, *cuts, None]
    return [replace(selection, pages=Pages(low or 0, high)) for low, high in itertools.pairwise(edges)]


def _leaves(ask: Ask, version: int, selection: Selection, size: int) -> Sequence[Selection]:
    """Each partition by itself, large ones by pages. Marked as pages: they say nothing about which rows they hold."""
    found = ask(SQL["leaves"], (qualified(selection.table),))  # type: ignore[arg-type]
    if not found or not all(readable for *_, readable in found):
        return [selection]
    pieces: list[Selection] = []
    for schema, name, kind, pages, size_of, _ in found:
        leaf = replace(selection, table=TableName(schema, name))
        count = int(size_of / max(1, size)) + 1 if kind == "r" and version >= _TID_RANGES else 1
        pieces += _by_pages(leaf, pages, count)
    return pieces
