"""Two sides compared by digests: first bucket by bucket, then the rows of those buckets that differ.

Unchanged rows are never moved: what travels is a count and a sum for each bucket, and a key and a hash for each row of
a bucket that differs. Knows no SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

from sync_assets.engine.tables.reading import Bucket, BucketRule, Hashing, Key, Reader, Selection

SHARE = 0.5  # of the buckets; when more differ, shipping everything is cheaper than asking for keys
AT_ONCE = 2_000  # buckets asked for in one statement
KEYS = 2_000_000  # differences that are kept in memory; more are shipped as a whole
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a comparison: where to ask, which rows, how they are hashed there."""

    reader: Reader
    selection: Selection
    hashing: Hashing


@dataclass(slots=True)
class Difference:
    """What two sides do not have in common. Keys are canonical texts. `whole`: too much differs to name it."""

    source_rows: int = 0
    target_rows: int = 0
    missing: list[Key] = field(default_factory=list)
    changed: list[Key] = field(default_factory=list)
    extra: list[Key] = field(default_factory=list)
    buckets: list[int] = field(default_factory=list)
    whole: bool = False

    @property
    def none(self) -> bool:
        return not (self.missing or self.changed or self.extra or self.whole or self.buckets)


def compare(
    source: Side, target: Side, *, exact: bool = False, checked: Callable[[], None] = lambda: None
) -> Difference:
    """Find what differs. With `exact` every key is named, however many there are; a table without a key has none."""
    here, there = _both(lambda: _totals(source), lambda: _totals(target))
    found = Difference(sum(b.rows for b in here.values()), sum(b.rows for b in there.values()))
    found.buckets = sorted(n for n in here.keys() | there.keys() if here.get(n) != there.get(n))
    keyless = not source.hashing.buckets.columns
    if not found.buckets or keyless:
        found.whole = bool(found.buckets)
        return found
    if not exact and len(found.buckets) > SHARE * len(here.keys() | there.keys()) and len(found.buckets) > 50:
        found.whole = True
        return found
    compare_rows(source, target, found, exact=exact)
    return found


def compare_rows(source: Side, target: Side, found: Difference, *, exact: bool = False) -> None:
    """Name the rows that differ in the buckets of `found`."""
    for at in range(0, len(found.buckets), AT_ONCE):
        _rows(source, target, found.buckets[at : at + AT_ONCE], found)
        if not exact and len(found.missing) + len(found.changed) + len(found.extra) > KEYS:
            found.whole = True
            return


def _totals(side: Side) -> dict[int, Bucket]:
    return {bucket.number: bucket for bucket in side.reader.buckets(side.selection, side.hashing)}


def _rows(source: Side, target: Side, numbers: Sequence[int], found: Difference) -> None:
    here, there = _both(lambda: _hashes(source, numbers), lambda: _hashes(target, numbers))
    for key, value in here.items():
        other = there.pop(key, None)
        if other is None:
            found.missing.append(key)
        elif other != value:
            found.changed.append(key)
    found.extra += there


def _hashes(side: Side, numbers: Sequence[int]) -> dict[Key, int]:
    return dict(side.reader.hashes(side.selection, side.hashing, numbers))


def _both(one: Callable[[], T], other: Callable[[], T]) -> tuple[T, T]:
    """Both servers work at the same time."""
    with ThreadPoolExecutor(1, thread_name_prefix="compare") as pool:
        ahead = pool.submit(one)
        result = other()
        return ahead.result(), result


def ranges(rule: BucketRule, numbers: Sequence[int], limit: int = 20) -> list[str]:
    """Buckets as words: adjacent ranges of an integer key together, hashed ones by their number."""
    if not rule.columns:
        return ["the whole table"]
    if not rule.width:
        return [f"bucket {n} of {rule.count} by hash of {', '.join(rule.columns)}" for n in numbers[:limit]]
    column = rule.columns[0]
    return [f"{column} {low}..{high}" for low, high in _joined(rule.width, numbers)][:limit]


def _joined(width: int, numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Bucket numbers are cut towards zero: 0 holds (-width, width)."""
    first = last = None
    for number in sorted(numbers):
        if last is not None and number == last + 1:
            last = number
            continue
        if first is not None and last is not None:
            yield _low(width, first), _high(width, last)
        first = last = number
    if first is not None and last is not None:
        yield _low(width, first), _high(width, last)


def _low(width: int, number: int) -> int:
    return number * width if number > 0 else (number - 1) * width + 1


def _high(width: int, number: int) -> int:
    return (number + 1) * width - 1 if number >= 0 else number * width
