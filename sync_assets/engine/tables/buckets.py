"""Which buckets two tables are compared in: neither so many that they cost much, nor so large that one holds much."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.reading import BucketRule, Hashing
from sync_assets.engine.tables.shape import ColumnShape

ROWS = 32  # in a bucket: a change of 0.3 % of the rows, at random, then makes a tenth of the buckets differ
BUCKETS = 65_536  # and not more: each costs about 20 bytes on the wire and 150 here
PROOF = 8_192  # where both sides should be equal, fewer do: 24 MB less
_WHOLE = (ColumnType.INTEGER, ColumnType.BIGINT)


def hashings(
    kind: Literal["record", "portable"],
    mine: Sequence[ColumnShape],
    theirs: Sequence[ColumnShape],
    key: Sequence[str],
    rows: int,
) -> tuple[Hashing, Hashing]:
    """The same hashing in the names of either side. `key` are names of this one."""
    over = {a.name: b.name for a, b in zip(mine, theirs, strict=True)}
    here = _rule(mine, theirs, key, rows)
    there = replace(here, columns=tuple(over[k] for k in key))
    return Hashing(kind, tuple(mine), tuple(theirs), here), Hashing(kind, tuple(theirs), tuple(mine), there)


def _rule(mine: Sequence[ColumnShape], theirs: Sequence[ColumnShape], key: Sequence[str], rows: int) -> BucketRule:
    """Ranges of an integer key, which are near each other on disk too; else hashes of the key."""
    if not key:
        return BucketRule(())
    pairs = {a.name: (a, b) for a, b in zip(mine, theirs, strict=True)}
    if len(key) == 1 and all(c.type in _WHOLE for c in pairs[key[0]]):
        return BucketRule(tuple(key), width=_size(rows))
    return BucketRule(tuple(key), count=max(1, rows // _size(rows)))


def fitted(rule: BucketRule, rows: int, span: tuple[int, int] | None) -> BucketRule:
    """The rule for keys that lie in `span`, however sparse: ids of Snowflake's kind are far apart."""
    if not rule.width or span is None:
        return rule
    return replace(rule, width=_size(rows) * max(1, (span[1] - span[0]) // rows))


def coarse(rule: BucketRule, rows: int, most: int) -> BucketRule:
    """The rule with buckets that are so much larger that there are about `most`."""
    times = -(-rows // (_size(rows) * most))
    return replace(rule, width=rule.width * times, count=-(-rule.count // times)) if times > 1 else rule


def _size(rows: int) -> int:
    return max(ROWS, -(-rows // BUCKETS))
