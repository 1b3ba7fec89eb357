"""The plan of every mode, carried out on a model board: what comes of it is what the mode's definition says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_assets.engine.errors import RejectRow, Stop
from sync_assets.engine.model import Batch, Mode, Record
from sync_assets.engine.plan import ByColumns, ByContent, Plan, SourceRows, digest, key_text, same
from sync_assets.testing.board import REFUSED, canonise

# A row is (key, a, b, watermark). A board is {record id: [values, unmapped cells]}.
Values = tuple[Any, ...]
BoardRows = dict[str, tuple[Values, tuple[str, ...]]]
COLUMNS = ("k", "a", "b", "w")
keys = st.integers(0, 6)
cell = st.sampled_from([None, "x", "y", 1.5])
mark = st.sampled_from([None, 1, 2, 3])
rows = st.lists(st.tuples(keys, cell, cell, mark), max_size=8, unique_by=lambda r: r[0])
boards = st.lists(st.tuples(keys, cell, cell, mark, st.sampled_from([(), ("remark",)])), max_size=8)
unique_boards = boards.map(lambda b: list({r[0]: r for r in b}.values()))


def board_of(found: Sequence[tuple[Any, ...]]) -> BoardRows:
    return {f"r{n}": (tuple(map(canonise, r[:4])), r[4]) for n, r in enumerate(found)}


def source_of(found: Sequence[Values], key: Sequence[int] = (0,), duplicates: str = "error") -> SourceRows:
    made = SourceRows(ByColumns(key) if key else ByContent(), [canonise] * 4, range(4), duplicates)
    for start in range(0, len(found), 3):
        made.add(Batch(COLUMNS, found[start : start + 3], start))
    return made


def planned(mode: Mode, source: SourceRows, board: BoardRows, *, quick: bool = True, **more: Any) -> Plan:
    clear = mode in (Mode.OVERWRITE, Mode.CLONE)
    plan = Plan(mode, source, clear, **({"watermark": None if mode is Mode.APPEND else 3} | more))
    source.key_of.restart()
    records = [Record(i, values, extra if clear else ()) for i, (values, extra) in board.items()]
    if quick:
        plan.see_all(records)
    else:
        for record in records:
            plan.see(record)
    plan.finish()
    return plan


def carried_out(plan: Plan, board: BoardRows) -> BoardRows:
    after = dict(board)
    for update in plan.updates:
        values, extra = after[update.record]
        changed = tuple(update.changes.get(i, v) for i, v in enumerate(values))
        after[update.record] = (changed, tuple(n for n in extra if n not in update.clear))
    for number, key in enumerate(plan.creates):
        after[f"new{number}"] = (plan.source.rows[key][0], ())
    for record in plan.deletes:
        del after[record]
    return after


def by_key(board: BoardRows) -> dict[Any, tuple[Values, tuple[str, ...]]]:
    return {values[0]: (values, extra) for values, extra in board.values()}


def expected(mode: Mode, source: Sequence[Values], board: BoardRows) -> dict[Any, tuple[Values, tuple[str, ...]]]:
    """The words of DESIGN 2, one row at a time."""
    held, after = by_key(board), by_key(board)
    ours = {float(r[0]): tuple(map(canonise, r)) for r in source}
    for key, row in ours.items():
        if key not in held:
            after[key] = (row, ())
            continue
        theirs, extra = held[key]
        if mode is Mode.FULL:
            after[key] = (row, extra)
        elif mode in (Mode.OVERWRITE, Mode.CLONE):
            after[key] = (row, ())
        elif mode is Mode.INCREMENTAL and row[3] is not None and (theirs[3] is None or row[3] > theirs[3]):
            after[key] = (row, extra)
    return {k: v for k, v in after.items() if k in ours} if mode is Mode.CLONE else after


@pytest.mark.parametrize("mode", list(Mode))
@settings(max_examples=300, deadline=None)
@given(source=rows, found=unique_boards)
def test_every_mode_leaves_what_it_says(mode: Mode, source: list[Values], found: list[Any]) -> None:
    board = board_of(found)
    plan = planned(mode, source_of(source), board)
    after = carried_out(plan, board)
    assert by_key(after) == expected(mode, source, board)
    assert len(after) == len(by_key(after)), "nothing doubled"
    survivors = {i for i, (values, _) in board.items() if values[0] in by_key(after)}
    assert survivors <= after.keys(), "a record that survives keeps its id"
    assert len(source) == len(plan.creates) + len(plan.updates) + plan.unchanged.total()
    for update in plan.updates:
        values, extra = board[update.record]
        assert all(values[i] != v for i, v in update.changes.items()), "only what changed is written"
        assert update.changes or extra
    again = planned(mode, source_of(source), after)
    assert not (again.updates or again.creates or again.deletes), "a second run has nothing to do"


@pytest.mark.parametrize("mode", list(Mode))
@settings(max_examples=100, deadline=None)
@given(source=rows, found=boards)
def test_pages_are_compared_as_records_are(mode: Mode, source: list[Values], found: list[Any]) -> None:
    for policy in ("first", "last", "delete"):
        quick = planned(mode, source_of(source), board_of(found), target_duplicates=policy)
        slow = planned(mode, source_of(source), board_of(found), target_duplicates=policy, quick=False)
        for name in ("updates", "creates", "deletes", "unchanged", "repeated", "records", "scoped", "seen"):
            assert getattr(quick, name) == getattr(slow, name), name


@settings(max_examples=300, deadline=None)
@given(source=st.lists(st.tuples(keys, cell, cell, mark), max_size=8), found=boards)
def test_clone_without_a_key_leaves_the_same_rows_as_often(source: list[Values], found: list[Any]) -> None:
    board = board_of(found)
    after = carried_out(planned(Mode.CLONE, source_of(source, ()), board), board)
    assert sorted(map(repr, (v for v, _ in after.values()))) == sorted(repr(tuple(map(canonise, r))) for r in source)
    assert all(extra == () for _, extra in after.values())
    common = [tuple(map(canonise, r)) for r in source]
    for i, (values, _) in board.items():
        if common.count(values) >= sum(v == values for v, _ in board.values()):
            assert i in after, "a record of the right content stays"


@settings(max_examples=200, deadline=None)
@given(source=st.lists(st.tuples(keys, cell, cell, mark), max_size=10), policy=st.sampled_from(["first", "last"]))
def test_repeated_keys_of_the_source(source: list[Values], policy: str) -> None:
    made = source_of(source, duplicates=policy)
    wanted: dict[float, Values] = {}
    for row in source:
        if policy == "last" or float(row[0]) not in wanted:
            wanted[float(row[0])] = tuple(map(canonise, row))
    assert {k: v for k, (v, _) in made.rows.items()} == wanted
    assert made.rejected_parts.total() == len(source) - len(wanted), "the losers are counted"
    made.refuse_duplicates("orders", ["k"])


def test_repeated_keys_of_the_source_stop_by_default() -> None:
    made = source_of([(1, "x", None, 1), (2, "x", None, 1), (1, "y", None, 1), (1, "z", None, 1)])
    with pytest.raises(Stop, match="1 keys stand on 3 source rows"):
        made.refuse_duplicates("orders", ["k"])


DOUBLE = [(1, "old", None, 1, ()), (1, "new", None, 1, ()), (2, "x", None, 1, ())]


@pytest.mark.parametrize(
    ("policy", "mode", "left"),
    [
        ("first", Mode.FULL, ["new", "s"]),
        ("last", Mode.FULL, ["old", "s"]),
        ("delete", Mode.FULL, ["s"]),
        ("first", Mode.CLONE, ["new", "s"]),
        ("delete", Mode.CLONE, ["s"]),
    ],
)
def test_repeated_keys_of_the_target(policy: str, mode: Mode, left: list[str]) -> None:
    board = board_of(DOUBLE)
    source = source_of([(1, "s", None, 1), (2, "x", None, 1)])
    after = carried_out(planned(mode, source, board, target_duplicates=policy), board)
    assert sorted(values[1] for values, _ in after.values() if values[0] == 1) == left


def test_repeated_keys_of_the_target_stop_by_default() -> None:
    plan = planned(Mode.FULL, source_of([(1, "s", None, 1)]), board_of(DOUBLE))
    with pytest.raises(Stop, match="repeat the key"):
        plan.refuse_duplicates("orders")


def test_doubles_of_a_row_that_is_gone_go_with_it() -> None:
    board = board_of([*DOUBLE, (3, "s", None, 1, ())])
    plan = planned(Mode.CLONE, source_of([(3, "s", None, 1)]), board, target_duplicates="first")
    assert set(plan.deletes) == {"r0", "r1", "r2"}


@settings(max_examples=200, deadline=None)
@given(source=rows, found=unique_boards, bad=st.sets(keys))
def test_a_row_that_cannot_be_written_is_not_taken_for_deleted(
    source: list[Values], found: list[Any], bad: set[int]
) -> None:
    given_rows = [(k, REFUSED if k in bad else a, b, w) for k, a, b, w in source]
    board = board_of(found)
    plan = planned(Mode.CLONE, source_of(given_rows), board)
    after = by_key(carried_out(plan, board))
    rejected = {float(k) for k in bad if k in {r[0] for r in source}}
    assert {r.key for r in plan.source.rejected} == {key_text(k) for k in rejected}
    before = by_key(board)
    for key in rejected:
        assert after.get(key) == before.get(key), "its record stays as it was"
    assert len(source) == len(plan.creates) + len(plan.updates) + plan.unchanged.total() + len(rejected)


def test_a_row_without_a_key_is_rejected() -> None:
    made = source_of([(None, "x", None, 1), (1, "x", None, 1)])
    assert [r.code for r in made.rejected] == ["empty_key"]
    assert made.rejected_parts.total() == 1
    two = source_of([(1, None, None, 1), (1, "x", None, 1)], key=(0, 1))
    assert len(two.rows) == 1


def test_a_cell_is_cleared() -> None:
    plan = planned(Mode.FULL, source_of([(1, None, "x", 1)]), board_of([(1, "old", "x", 1, ())]))
    assert [u.changes for u in plan.updates] == [{1: None}]


def test_a_known_reject_is_held_until_it_changes() -> None:
    first = source_of([(1, "x", None, 1)])
    from sync_assets.engine.plan import digest

    values, _ = first.rows[1.0]
    known = {"1": digest(values)}
    same_row = SourceRows(ByColumns((0,)), [canonise] * 4, range(4), known_rejects=known)
    same_row.add(Batch(COLUMNS, [(1, "x", None, 1)]))
    assert (same_row.rows, same_row.held, same_row.still_rejected) == ({}, {1.0}, 1)
    changed = SourceRows(ByColumns((0,)), [canonise] * 4, range(4), known_rejects=known)
    changed.add(Batch(COLUMNS, [(1, "y", None, 1)]))
    assert list(changed.rows) == [1.0]


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [
        (0.1 + 0.2, 0.3, True),
        (1e15 + 0.1, 1e15 + 0.2, True),  # less than the fifteenth digit
        (1.0, 1.0 + 1e-9, False),
        (0.0, 1e-300, False),
        (True, 1.0, False),
        (None, "", False),
        ("a", "A", False),
        (("a", "b"), ("a", "b"), True),
    ],
)
def test_when_two_values_are_the_same(a: Any, b: Any, equal: bool) -> None:
    assert same(a, b) is equal
    assert same(b, a) is equal


class TestForgetting:
    """A partition whose reading failed half-way is as if it had never been asked for."""

    def read(self, duplicates: str, *parts: Sequence[Values]) -> SourceRows:
        made = SourceRows(ByColumns((0,)), [canonise] * 4, range(4), duplicates)
        for number, part in enumerate(parts):
            made.add(Batch(COLUMNS, part), number, f"p{number}")
        return made

    @pytest.mark.parametrize("duplicates", ["error", "first", "last"])
    def test_nothing_of_it_is_left(self, duplicates: str) -> None:
        good: Sequence[Values] = [(1, "x", None, 1), (2, "x", None, 1), (3, REFUSED, None, 1)]
        broken: Sequence[Values] = [(2, "moved", None, 1), (4, "x", None, 1), (5, REFUSED, None, 1)]
        made, alone = self.read(duplicates, good, broken), self.read(duplicates, good)
        made.forget(1, "p1")
        for name in ("rows", "rejected", "repeated", "read"):
            assert getattr(made, name) == getattr(alone, name), name
        assert +made.rejected_parts == +alone.rejected_parts
        made.refuse_duplicates("orders", ["k"])


def test_key_texts() -> None:
    assert key_text(1.0) == "1"
    assert key_text((1.0, None, "x")) == "1 |  | x"
    long = key_text("x" * 1000)
    assert len(long) < 200
    assert long != key_text("x" * 1001)


def test_a_good_row_beside_a_rejected_one_of_its_key_is_a_duplicate() -> None:
    """Whichever comes first, and whether the other was refused by the target before or cannot be written at all."""
    bad, good = ("1", "bad"), ("1", "good")
    for first, second in ((bad, good), (good, bad)):
        rows = SourceRows(ByColumns([0]), [str, str], [0, 1], known_rejects={"1": digest(bad)})
        rows.add(Batch(("id", "name"), [first]))
        rows.add(Batch(("id", "name"), [second]))
        with pytest.raises(Stop, match="key must be unique"):
            rows.refuse_duplicates("orders", ["id"])


def test_rows_without_a_usable_key_are_told_apart_by_their_number() -> None:
    """Batches are numbered, not rows: two bad rows of two batches must not share a name, or one reject is lost."""

    def refuse(value: Any) -> Any:
        raise RejectRow("not a key", field="id")

    rows = SourceRows(ByColumns([0]), [refuse, str], [0, 1])
    for number in range(2):
        rows.add(Batch(("id", "name"), [("?", "a"), ("?", "b")], number))
    assert [r.key for r in rows.rejected] == ["row 1", "row 2", "row 3", "row 4"]
