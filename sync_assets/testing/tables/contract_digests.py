# ruff: noqa: S101 (tests)
"""The contract of buckets and hashes within one database. Tests over the fixture `lab` (a `TableLab`)."""

from __future__ import annotations

from collections import Counter

import pytest

from sync_assets.engine.tables.reading import Bucket, Condition, Selection
from sync_assets.testing.tables.contract_reading import BIG, opened, reading, shape_of, whole
from sync_assets.testing.tables.lab import TableLab


@pytest.mark.parametrize("key", [("id",), ("t",), ("id", "t"), ()])
def test_digests_are_the_sums_of_their_rows(lab: TableLab, key: tuple[str, ...]) -> None:
    name = lab.make("digest", {"id": "big not null", "t": "name not null", "n": "int"}, key=["id", "t"])
    ids = [-BIG - 1, BIG, -101, -100, -99, -1, 0, 1, 99, 100, 101, *range(1000, 1400)]
    lab.fill("digest", [(i, f"k{i}", i % 7 or None) for i in ids])
    with opened(lab) as source, reading(source, name) as reader:
        shape = shape_of(source, name)
        both = source.hashing(source, shape.columns, shape.columns, key, len(ids))
        assert both is not None
        mine = both[0]
        buckets = {b.number: b for b in reader.buckets(whole(shape), mine)}
        assert sum(b.rows for b in buckets.values()) == len(ids)
        if not key:
            assert list(buckets) == [0]
            return
        hashed = list(reader.hashes(whole(shape), mine, sorted(buckets)))
        assert Counter(k for k, _ in hashed) == Counter(
            tuple(str(i) if c == "id" else f"k{i}" for c in key) for i in ids
        )
        assert sum(h for _, h in hashed) == sum(b.sum for b in buckets.values())
        for number in sorted(buckets)[:4]:
            part = list(reader.hashes(whole(shape), mine, [number]))
            assert Bucket(number, len(part), sum(h for _, h in part)) == buckets[number]
        if mine.buckets.width:
            assert set(buckets) == {int(i / mine.buckets.width) if abs(i) < 2**52 else _cut(i, mine.buckets.width)
                                    for i in ids}  # fmt: skip


def _cut(number: int, width: int) -> int:
    return number // width if number >= 0 else -(-number // width)


def test_digests_of_a_part_of_a_table(lab: TableLab) -> None:
    name = lab.make("digest", {"id": "big not null", "n": "int"}, key=["id"])
    lab.fill("digest", [(i, i) for i in range(500)])
    with opened(lab) as source, reading(source, name) as reader:
        shape = shape_of(source, name)
        both = source.hashing(source, shape.columns, shape.columns, ("id",), 500)
        assert both is not None
        some = whole(shape, where="id % 2 = 0", conditions=(Condition("id", "<", "100"),))
        assert sum(b.rows for b in reader.buckets(some, both[0])) == 50
        assert len(list(reader.hashes(some, both[0], range(0, 10)))) == 50 or both[0].buckets.width != 100


CHANGES = {
    "case": ("abc", "aBc"), "accent": ("cafe", "café"), "trailing blank": ("a", "a "), "composed": ("é", "e\u0301"),
    "empty": ("", None), "tilde": ("~", None), "width": ("a", "ａ"), "ss": ("ss", "ß"), "emoji": ("😀", "😁"),
    "zero width": ("a", "a\u200b"),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_a_small_change_changes_the_digest(lab: TableLab, change: str) -> None:
    before, after = CHANGES[change]
    name = lab.make("digest", {"id": "big not null", "t": "text", "u": "text"}, key=["id"])
    lab.fill("digest", [(1, before, "x"), (2, after, "x"), (3, before, "x")])
    with opened(lab) as source, reading(source, name) as reader:
        texts = shape_of(source, name).columns[1:]
        both = source.hashing(source, texts, texts, (), 3)
        assert both is not None
        sums = []
        for id in "123":
            selection = Selection(name, texts, conditions=(Condition("id", "=", id),))
            sums.append([b.sum for b in reader.buckets(selection, both[0])])
    assert sums[0] == sums[2] != sums[1]


def test_columns_do_not_run_into_each_other(lab: TableLab) -> None:
    name = lab.make("digest", {"id": "big not null", "t": "text", "u": "text"}, key=["id"])
    pairs = [
        ("a", "bc"),
        ("ab", "c"),
        ("", "abc"),
        (None, "abc"),
        ("abc", None),
        ("abc", ""),
        ("1:a", ""),
        ("~", "abc"),
    ]
    lab.fill("digest", [(i, *p) for i, p in enumerate(pairs)])
    with opened(lab) as source, reading(source, name) as reader:
        shape = shape_of(source, name)
        texts = shape.columns[1:]
        both = source.hashing(source, texts, texts, (), 3)
        assert both is not None
        sums = {
            sum(
                b.sum
                for b in reader.buckets(Selection(name, texts, conditions=(Condition("id", "=", str(i)),)), both[0])
            )
            for i in range(len(pairs))
        }
    assert len(sums) == len(pairs)


def test_the_oldest_writer(lab: TableLab) -> None:
    with opened(lab) as source:
        found = source.oldest_writer()
        assert found is None or found[:2] == "20"
