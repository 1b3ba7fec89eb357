"""Two sides compared by digests find exactly what differs, and ask for rows of dirty buckets only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables import compare as comparing
from sync_assets.engine.tables.compare import Side, compare, ranges
from sync_assets.engine.tables.reading import Bucket, BucketRule, Hashing, Key, Moved, Selection
from sync_assets.engine.tables.shape import ColumnShape, TableName

ID = ColumnShape("id", ColumnType.BIGINT, "bigint")
RULE = BucketRule(("id",), width=10)
HASHING = Hashing("portable", (ID,), (ID,), RULE)
TABLE = Selection(TableName("s", "t"), (ID,), key=("id",))


@dataclass
class Held:
    """A reader whose table is a dictionary from id to hash."""

    rows_: Mapping[int, int]
    moved: Moved = field(default_factory=Moved)
    asked: set[int] = field(default_factory=set)

    def _number(self, key: int) -> int:
        return int(key / 10)

    def buckets(self, selection: Selection, hashing: Hashing) -> Iterator[Bucket]:
        numbers = {self._number(k) for k in self.rows_}
        for n in numbers:
            mine = [v for k, v in self.rows_.items() if self._number(k) == n]
            yield Bucket(n, len(mine), sum(mine))

    def hashes(self, selection: Selection, hashing: Hashing, numbers: Sequence[int]) -> Iterator[tuple[Key, int]]:
        self.asked |= set(numbers)
        for key, value in self.rows_.items():
            if self._number(key) in numbers:
                yield (str(key),), value


def side(rows: Mapping[int, int]) -> Side:
    return Side(Held(rows), TABLE, HASHING)  # type: ignore[arg-type]


tables = st.dictionaries(st.integers(-300, 300), st.integers(1, 2**60), max_size=60)


@given(tables, tables, st.booleans())
def test_what_differs_is_named_exactly(here: dict[int, int], there: dict[int, int], mostly_equal: bool):
    if mostly_equal:
        there = {**here, **dict(list(there.items())[:3])}
    found = compare(side(here), side(there), exact=True)
    assert sorted(found.missing) == sorted((str(k),) for k in here.keys() - there.keys())
    assert sorted(found.extra) == sorted((str(k),) for k in there.keys() - here.keys())
    assert sorted(found.changed) == sorted((str(k),) for k in here.keys() & there.keys() if here[k] != there[k])
    assert found.none == (here == there)


def test_equal_sides_ask_for_no_rows():
    rows = {n: n * 7 + 1 for n in range(1000)}
    one, other = side(rows), side(rows)
    assert compare(one, other).none
    assert one.reader.asked == set() == other.reader.asked  # type: ignore[attr-defined]


def test_only_rows_of_buckets_that_differ_are_asked_for():
    rows = {n: n * 7 + 1 for n in range(1000)}
    one, other = side({**rows, 555: 1}), side(rows)
    assert compare(one, other).changed == [("555",)]
    assert one.reader.asked == {55}  # type: ignore[attr-defined]


def test_when_nearly_all_differs_nobody_lists_keys():
    found = compare(side({n: 1 for n in range(2000)}), side({n: 2 for n in range(2000)}))
    assert found.whole
    assert not found.changed


def test_too_many_keys_for_memory_are_shipped_as_a_whole(monkeypatch):
    monkeypatch.setattr(comparing, "KEYS", 3)
    rows = {n: 1 for n in range(1000)}
    found = compare(side(rows), side({**rows, **{n: 2 for n in range(5)}}))
    assert found.whole


def test_a_table_without_a_key_is_equal_or_not():
    rule = BucketRule(())
    hashing = Hashing("portable", (ID,), (ID,), rule)
    one, other = Side(Held({1: 5}), TABLE, hashing), Side(Held({2: 5}), TABLE, hashing)  # type: ignore[arg-type]
    assert compare(one, other).none  # one row of hash 5 on either side
    assert compare(one, Side(Held({1: 6}), TABLE, hashing)).whole  # type: ignore[arg-type]


def test_ranges_join_neighbours_and_know_that_buckets_are_cut_towards_zero():
    assert ranges(RULE, [3, 4, 9]) == ["id 30..49", "id 90..99"]
    assert ranges(RULE, [0]) == ["id -9..9"]
    assert ranges(RULE, [-2, -1]) == ["id -29..-10"]
    assert ranges(BucketRule(("code",), count=64), [5]) == ["bucket 5 of 64 by hash of code"]
    assert ranges(BucketRule(()), [0]) == ["the whole table"]
