"""Tables are written after those that they point to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sync_assets.engine.tables.order import generations


def test_referenced_tables_come_first():
    assert generations({"line": ["order"], "order": ["customer"], "customer": []}) == [
        ["customer"],
        ["order"],
        ["line"],
    ]


def test_what_is_not_listed_and_oneself_do_not_matter():
    assert generations({"tree": ["tree", "elsewhere"], "leaf": ["tree"]}) == [["tree"], ["leaf"]]


def test_a_circle_comes_last_and_what_hangs_on_it_does_not_vanish():
    found = generations({"a": ["b"], "b": ["a"], "c": ["a"], "d": []})
    assert {t for group in found for t in group} == {"a", "b", "c", "d"}
    assert set(found[-1]) == {"a", "b"}


def test_nothing_is_nothing():
    assert generations({}) == []


@given(st.dictionaries(st.integers(0, 8), st.lists(st.integers(0, 8), max_size=4), max_size=9))
def test_every_table_comes_once_and_after_its_references_unless_in_a_circle(graph: dict[int, list[int]]):
    found = generations(graph)
    flat = [t for group in found for t in group]
    assert sorted(flat) == sorted(graph)
    circle = set(found[-1]) if found else set()
    place = {t: n for n, group in enumerate(found) for t in group}
    for table, to in graph.items():
        for other in to:
            if other in graph and other != table and other not in circle:
                assert place[other] < place[table]
