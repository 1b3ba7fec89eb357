"""The two sides of a comparison: which readers are asked, in which pieces, for which buckets.

A large table with an integer key is asked in ranges of the key, over as many readers as there are on each side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TypeVar

from sync_assets.engine.tables.buckets import BUCKETS, coarse, fitted
from sync_assets.engine.tables.compare import Totals
from sync_assets.engine.tables.reading import BucketRule, Condition, Hashing, Key, Reader, Selection, TableSource
from sync_assets.engine.tables.work import Work

LARGE = 200_000  # rows from which a table is asked in pieces
NUMBERS = 1_000  # buckets asked for in one statement
A = TypeVar("A")
B = TypeVar("B")
T = TypeVar("T")
Borrow = Callable[[], AbstractContextManager[Reader]]


class Both:
    """Readers of both sides, lent for one question at a time, and the threads that ask."""

    def __init__(self, here: Borrow, there: Borrow, streams: int) -> None:
        self.here, self.there, self.streams = here, there, streams
        self._ours = ThreadPoolExecutor(streams, thread_name_prefix="here")
        self._theirs = ThreadPoolExecutor(streams, thread_name_prefix="there")

    def spread(
        self, work: Work, ours: Callable[[Reader, T], A], theirs: Callable[[Reader, T], B], items: Sequence[T]
    ) -> tuple[list[A], list[B]]:
        """Both questions for each item; both servers work at the same time."""

        def asked(borrow: Borrow, question: Callable[[Reader, T], A | B], item: T) -> A | B:
            with borrow() as reader:
                before = reader.moved.bytes
                try:
                    return question(reader, item)
                finally:
                    work.moved(reader.moved.bytes - before)

        first = [self._ours.submit(asked, self.here, ours, item) for item in items]
        second = [self._theirs.submit(asked, self.there, theirs, item) for item in items]
        try:
            return [f.result() for f in first], [f.result() for f in second]  # type: ignore[misc]
        except BaseException:
            for future in (*first, *second):
                future.cancel()
            raise

    def close(self) -> None:
        self._ours.shutdown()
        self._theirs.shutdown()


@dataclass(frozen=True, slots=True)
class Asked:
    """`compare.Sides` of one table. `pieces` are the same rows on both sides, pair by pair."""

    work: Work
    both: Both
    ours: Hashing
    theirs: Hashing
    pieces: tuple[tuple[Selection, Selection], ...]
    whole: tuple[Selection, Selection]

    @property
    def rule(self) -> BucketRule:
        return self.ours.buckets

    def totals(self) -> tuple[Totals, Totals]:
        ours, theirs = self.both.spread(
            self.work,
            lambda reader, piece: _totals(reader, piece[0], self.ours),
            lambda reader, piece: _totals(reader, piece[1], self.theirs),
            self.pieces,
        )
        return _sum(ours), _sum(theirs)

    def rows(self, numbers: Sequence[int]) -> tuple[dict[Key, int], dict[Key, int]]:
        parts = [numbers[at : at + NUMBERS] for at in range(0, len(numbers), NUMBERS)]
        ours, theirs = self.both.spread(
            self.work,
            lambda reader, some: dict(reader.hashes(self.whole[0], self.ours, some)),
            lambda reader, some: dict(reader.hashes(self.whole[1], self.theirs, some)),
            parts,
        )
        return _joined(ours), _joined(theirs)


def _totals(reader: Reader, selection: Selection, hashing: Hashing) -> Totals:
    return {b.number: (b.rows, b.sum) for b in reader.buckets(selection, hashing)}


def _sum(parts: Sequence[Totals]) -> Totals:
    """Pieces may cut through a bucket."""
    found = parts[0]
    for part in parts[1:]:
        for number, (rows, total) in part.items():
            before = found.get(number, (0, 0))
            found[number] = (before[0] + rows, before[1] + total)
    return found


def _joined(parts: Sequence[dict[Key, int]]) -> dict[Key, int]:
    found: dict[Key, int] = {}
    for part in parts:
        found |= part
    return found


def sides_of(
    source: TableSource, target: TableSource, work: Work, both: Both, *claimed: Condition, most: int = BUCKETS
) -> Asked | None:
    """A comparison of what `work` is about (and `claimed`), or None where hashes cannot be compared.

    `most` is how many buckets there may be.
    """
    rows = max(work.shape.rows, work.shape.bytes // 400, 1_000)
    pair = source.hashing(target, work.names.here, work.names.there, work.key, rows)
    if pair is None:
        return None
    over = [Condition(work.names.over([c.column])[0], c.operator, c.value) for c in claimed]
    whole = work.selection.having(*claimed), work.there.having(*over)
    span = _span(work, both, rows, pair[0].buckets)
    ours, theirs = (replace(h, buckets=coarse(fitted(h.buckets, rows, span), rows, most)) for h in pair)
    pieces = tuple(_pieces(whole, work, span, both.streams)) if span is not None and rows >= LARGE else (whole,)
    return Asked(work, both, ours, theirs, pieces, whole)


def _span(work: Work, both: Both, rows: int, rule: BucketRule) -> tuple[int, int] | None:
    """The least and the greatest key of an integer key, where that is a step in an index."""
    if not rule.width or work.job.query or work.job.where or rows < LARGE:
        return None
    with both.here() as reader:
        low = reader.newest(work.selection, work.key[0], oldest=True)
        high = reader.newest(work.selection, work.key[0])
    return None if low is None or high is None else (int(low), int(high))


def _pieces(
    whole: tuple[Selection, Selection], work: Work, span: tuple[int, int], streams: int
) -> Iterator[tuple[Selection, Selection]]:
    """Ranges of the key that together are everything: the first and the last are open."""
    count = streams * 2
    cuts = sorted({span[0] + (span[1] - span[0]) * n // count for n in range(1, count)})
    here, there = work.key[0], work.target_key[0]
    for low, high in zip([None, *cuts], [*cuts, None], strict=True):
        bounds = [(">=", low)] * (low is not None) + [("<", high)] * (high is not None)
        yield (
            whole[0].having(*(Condition(here, op, str(value)) for op, value in bounds)),  # type: ignore[arg-type]
            whole[1].having(*(Condition(there, op, str(value)) for op, value in bounds)),  # type: ignore[arg-type]
        )
