"""Two sides compared by digests: first bucket by bucket, then the rows of those buckets that differ.

Unchanged rows are never moved: what travels is a count and a sum for each bucket, and a key and a hash for each row of
a bucket that differs. Knows no SQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from sync_assets.engine.tables.reading import BucketRule, Key

SHARE = 0.5  # of the buckets; when more differ, shipping everything is cheaper than asking for keys
AT_ONCE = 250_000  # rows whose keys are held at a time, about 200 bytes each on either side
KEYS = 2_000_000  # differences that are kept in memory; more are shipped as a whole

Totals = dict[int, tuple[int, int]]  # by bucket: rows, sum of hashes


class Sides(Protocol):
    """Both sides of a comparison: where they are asked and by how many at once is theirs to know."""

    @property
    def rule(self) -> BucketRule: ...

    def totals(self) -> tuple[Totals, Totals]:
        """Rows and sum of hashes of each bucket, of the source and of the target."""
        ...

    def rows(self, numbers: Sequence[int]) -> tuple[dict[Key, int], dict[Key, int]]:
        """Key and hash of each row in these buckets."""
        ...


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
    rows: dict[int, int] = field(default_factory=dict)  # in each of `buckets`, on the fuller side

    @property
    def none(self) -> bool:
        return not (self.missing or self.changed or self.extra or self.whole or self.buckets)


def compare(sides: Sides, *, exact: bool = False) -> Difference:
    """Find what differs. With `exact` every key is named, however many there are; a table without a key has none."""
    here, there = sides.totals()
    found = Difference(sum(rows for rows, _ in here.values()), sum(rows for rows, _ in there.values()))
    found.buckets = sorted(n for n in here.keys() | there.keys() if here.get(n) != there.get(n))
    found.rows = {n: max(side.get(n, (0, 0))[0] for side in (here, there)) for n in found.buckets}
    most = max(50.0, SHARE * len(here.keys() | there.keys()))
    if not sides.rule.columns or (not exact and len(found.buckets) > most):
        found.whole = bool(found.buckets)
        return found
    compare_rows(sides, found, exact=exact)
    return found


def compare_rows(sides: Sides, found: Difference, *, exact: bool = False) -> None:
    """Name the rows that differ in the buckets of `found`."""
    for numbers in _portions(found):
        _named(*sides.rows(numbers), found)
        if not exact and len(found.missing) + len(found.changed) + len(found.extra) > KEYS:
            found.whole = True
            return


def _portions(found: Difference) -> Iterator[list[int]]:
    """The buckets in portions that hold about `AT_ONCE` rows, or one bucket that holds more."""
    portion: list[int] = []
    held = 0
    for number in found.buckets:
        rows = found.rows.get(number, 1)
        if portion and held + rows > AT_ONCE:
            yield portion
            portion, held = [], 0
        portion.append(number)
        held += rows
    if portion:
        yield portion


def _named(here: dict[Key, int], there: dict[Key, int], found: Difference) -> None:
    for key, value in here.items():
        other = there.pop(key, None)
        if other is None:
            found.missing.append(key)
        elif other != value:
            found.changed.append(key)
    found.extra += there


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
