"""Two sides compared by digests find exactly what differs, and ask for rows of dirty buckets only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables import compare as comparing
from sync_assets.engine.tables.buckets import PROOF, coarse, fitted, hashings
from sync_assets.engine.tables.compare import AT_ONCE, Difference, Totals, _portions, compare, ranges
from sync_assets.engine.tables.reading import BucketRule, Key
from sync_assets.engine.tables.shape import ColumnShape

RULE = BucketRule(("id",), width=10)


@dataclass
class Two:
    """`compare.Sides` of two dictionaries from id to hash."""

    here: Mapping[int, int]
    there: Mapping[int, int]
    rule: BucketRule = RULE
    asked: set[int] = field(default_factory=set)

    def _number(self, key: int) -> int:
        return int(key / 10) if self.rule.columns else 0

    def totals(self) -> tuple[Totals, Totals]:
        return self._totals(self.here), self._totals(self.there)

    def _totals(self, rows: Mapping[int, int]) -> Totals:
        found: Totals = {}
        for key, value in rows.items():
            before = found.get(self._number(key), (0, 0))
            found[self._number(key)] = (before[0] + 1, before[1] + value)
        return found

    def rows(self, numbers: Sequence[int]) -> tuple[dict[Key, int], dict[Key, int]]:
        self.asked |= set(numbers)
        sides = [
            {(str(k),): v for k, v in rows.items() if self._number(k) in numbers} for rows in (self.here, self.there)
        ]
        return sides[0], sides[1]


def _digests(rows: dict[int, int]) -> dict[int, int]:
    """As of whole rows, key included: two rows of one bucket that are not the same do not add up to the same."""
    return {k: int.from_bytes(sha256(f"{k}:{v}".encode()).digest()[:8]) for k, v in rows.items()}


tables = st.dictionaries(st.integers(-300, 300), st.integers(1, 2**60), max_size=60).map(_digests)


@given(tables, tables, st.booleans())
def test_what_differs_is_named_exactly(here: dict[int, int], there: dict[int, int], mostly_equal: bool):
    if mostly_equal:
        there = {**here, **dict(list(there.items())[:3])}
    found = compare(Two(here, there), exact=True)
    assert sorted(found.missing) == sorted((str(k),) for k in here.keys() - there.keys())
    assert sorted(found.extra) == sorted((str(k),) for k in there.keys() - here.keys())
    assert sorted(found.changed) == sorted((str(k),) for k in here.keys() & there.keys() if here[k] != there[k])
    assert found.none == (here == there)


def test_equal_sides_ask_for_no_rows():
    rows = {n: n * 7 + 1 for n in range(1000)}
    two = Two(rows, rows)
    assert compare(two).none
    assert two.asked == set()


def test_only_rows_of_buckets_that_differ_are_asked_for():
    rows = {n: n * 7 + 1 for n in range(1000)}
    two = Two({**rows, 555: 1}, rows)
    assert compare(two).changed == [("555",)]
    assert two.asked == {55}


def test_when_nearly_all_differs_nobody_lists_keys():
    found = compare(Two(dict.fromkeys(range(2000), 1), dict.fromkeys(range(2000), 2)))
    assert found.whole
    assert not found.changed


def test_too_many_keys_for_memory_are_shipped_as_a_whole(monkeypatch):
    monkeypatch.setattr(comparing, "KEYS", 3)
    rows = dict.fromkeys(range(1000), 1)
    found = compare(Two(rows, {**rows, **dict.fromkeys(range(5), 2)}))
    assert found.whole


def test_a_table_without_a_key_is_equal_or_not():
    assert compare(Two({1: 5}, {2: 5}, BucketRule(()))).none  # one row of hash 5 on either side
    assert compare(Two({1: 5}, {1: 6}, BucketRule(()))).whole


@pytest.mark.parametrize("rows", [1, 1_000, 2_000_000, 4_000_000_000])
def test_buckets_are_neither_too_many_nor_too_large(rows: int):
    code = ColumnShape("code", ColumnType.TEXT, "text")
    number = ColumnShape("id", ColumnType.BIGINT, "bigint")
    rule = hashings("portable", [number], [number.renamed("nr")], ["id"], rows)[1].buckets
    assert rule.columns == ("nr",)
    assert rule.width >= 32
    assert rows / rule.width <= 65_536
    assert hashings("portable", [code], [code], ["code"], rows)[0].buckets.count <= 65_536


def test_ids_that_are_far_apart_get_wide_buckets():
    sparse = fitted(RULE, 1_000_000, (7_000_000_000_000_000_000, 7_000_000_000_000_000_000 + 10**15))
    assert 10**15 / sparse.width < 65_536
    assert fitted(BucketRule(()), 5, (0, 9)) == BucketRule(())


def test_ranges_join_neighbours_and_know_that_buckets_are_cut_towards_zero():
    assert ranges(RULE, [3, 4, 9]) == ["id 30..49", "id 90..99"]
    assert ranges(RULE, [0]) == ["id -9..9"]
    assert ranges(RULE, [-2, -1]) == ["id -29..-10"]
    assert ranges(BucketRule(("code",), count=64), [5]) == ["bucket 5 of 64 by hash of code"]
    assert ranges(BucketRule(()), [0]) == ["the whole table"]


def test_rows_of_large_buckets_are_held_in_portions() -> None:
    """Buckets of a large table hold thousands of rows: what is held at once is counted in rows, not in buckets."""
    found = Difference(buckets=[1, 2, 3, 4], rows={1: AT_ONCE - 1, 2: 2, 3: 3 * AT_ONCE, 4: 1})
    assert list(_portions(found)) == [[1], [2], [3], [4]]
    assert list(_portions(Difference(buckets=[5, 6], rows={5: 10, 6: 20}))) == [[5, 6]]


@pytest.mark.parametrize("rows", [1_000, 2_000_000, 300_000_000])
def test_a_proof_has_fewer_buckets(rows: int) -> None:
    by_width = fitted(BucketRule(("id",), width=max(32, -(-rows // 65_536))), rows, (1, rows))
    assert rows / coarse(by_width, rows, PROOF).width <= PROOF + 1
    by_hash = BucketRule(("id",), count=max(1, rows // 32))
    assert 1 <= coarse(by_hash, rows, PROOF).count <= by_hash.count
    assert coarse(by_width, 1_000, PROOF) == by_width or rows != 1_000
