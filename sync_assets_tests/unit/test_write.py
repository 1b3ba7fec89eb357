"""The writer: batches, halves, shrinking, records that vanished, and the journal round every create."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_assets.engine.control import JournalEntry
from sync_assets.engine.errors import Stop, Unclear
from sync_assets.engine.lease import HeldLease
from sync_assets.engine.model import Column, ColumnType, silent
from sync_assets.engine.target import Limits, Pending, Written
from sync_assets.engine.write import Writer
from sync_assets.testing.board import MemoryBoard
from sync_assets.testing.memory import MemoryStore

SCHEMA = (Column("k", ColumnType.INTEGER), Column("a", ColumnType.INTEGER))


def writer(board: MemoryBoard, store: MemoryStore | None = None, limit: int = 1000) -> Writer:
    store = store or MemoryStore()
    board.open(SCHEMA)
    held = HeldLease(store, store.acquire_lease(board.lease_name, "me", 120), lambda: 0.0, 0.0)
    shape = board.shape([], dry=False)
    return Writer("orders", board, store, held, shape, limit, [""], silent, lambda keys: False)


def new(board: MemoryBoard, number: int, value: Any = 1.0) -> Pending:
    values = (float(number), value)
    return Pending(str(number), 0, board.create_part(values), expect=dict(enumerate(values)), row=values)


def change(board: MemoryBoard, record: str, number: int, value: Any = 2.0) -> Pending:
    return Pending(
        str(number), 0, board.update_part(record, {1: value}, ()), record, {1: value}, (float(number), value)
    )


def bad(cells: Mapping[str, Any]) -> bool:
    return cells.get("a") == 13.0


def filled(board: MemoryBoard, rows: int) -> list[str]:
    """Records that are there already, in order."""
    made = {f"old{n}": {"k": float(n), "a": 1.0} for n in range(rows)}
    board.records |= made
    return list(made)


@settings(max_examples=200, deadline=None)
@given(rows=st.integers(1, 520), data=st.data())
def test_bad_rows_cost_two_logarithms_each(rows: int, data: st.DataObject) -> None:
    poison = data.draw(st.sets(st.integers(0, rows - 1), max_size=8))
    board = MemoryBoard(bad=bad)
    write = writer(board)
    write.create([new(board, n, 13.0 if n in poison else 1.0) for n in range(rows)])
    assert {r["k"] for r in board.records.values()} == {float(n) for n in range(rows) if n not in poison}
    assert len(board.records) == rows - len(poison), "nothing doubled"
    assert {r.key for _, r in write.done.rejected} == set(map(str, poison))
    batches = math.ceil(rows / 500)
    assert len(board.calls) <= batches + 2 * len(poison) * math.log2(max(rows, 2))
    assert write.done.created[0] == rows - len(poison)


@pytest.mark.parametrize("at", [0, 1, 249, 250, 497, 498, 499])
def test_one_bad_row_of_500_wherever_it_stands(at: int) -> None:
    board = MemoryBoard(bad=bad)
    write = writer(board)
    write.create([new(board, n, 13.0 if n == at else 1.0) for n in range(500)])
    assert len(board.calls) <= 18, "1 + 2 log2(500)"
    assert [r.key for _, r in write.done.rejected] == [str(at)]


def test_a_refused_update_is_found_the_same_way() -> None:
    board = MemoryBoard(bad=bad)
    ids = filled(board, 64)
    write = writer(board)
    assert write.update([change(board, i, n, 13.0 if n == 40 else 2.0) for n, i in enumerate(ids)]) == []
    assert len(board.calls) <= 13
    assert board.records["old40"]["a"] == 1.0
    assert sum(r["a"] == 2.0 for r in board.records.values()) == 63


def test_above_the_limit_it_stops() -> None:
    board = MemoryBoard(bad=bad)
    store = MemoryStore()
    write = writer(board, store, limit=2)
    with pytest.raises(Stop, match="reject_limit"):
        write.create([new(board, n, 13.0) for n in range(10)])
    assert len(write.done.rejected) == 3
    assert store.journal_open(board.lease_name) == []


def test_a_batch_too_large_is_probed_down_once() -> None:
    board = MemoryBoard(most_rows=100)
    write = writer(board)
    write.create([new(board, n) for n in range(1000)])
    refused = [n for kind, n in board.calls if n > 100]
    assert refused == [500, 250, 125], "each size is refused once, and never asked for again"
    assert len(board.records) == 1000
    before = len(board.calls)
    write.create([new(board, n) for n in range(1000, 2000)])
    assert max(n for _, n in board.calls[before:]) <= 63
    assert write.done.rejected == []


def test_the_cap_of_creates_is_not_that_of_updates() -> None:
    board = MemoryBoard(most_rows=100)
    ids = filled(board, 150)
    write = writer(board)
    write.create([new(board, n) for n in range(200, 400)])
    write.update([change(board, i, n) for n, i in enumerate(ids)])
    assert ("update", 150) in board.calls


def test_a_single_row_that_is_too_large_is_rejected() -> None:
    board = MemoryBoard(most_rows=0)
    write = writer(board)
    write.create([new(board, 1)])
    assert [r.code for _, r in write.done.rejected] == ["too_large"]


def test_bytes_end_a_batch_as_rows_do() -> None:
    board = MemoryBoard(limits=Limits(payload_bytes=100))
    write = writer(board)
    rows = [new(board, n) for n in range(20)]
    write.create(rows)
    fits = 100 // max(len(r.body) for r in rows)
    assert all(n <= 100 // min(len(r.body) for r in rows) for _, n in board.calls)
    assert len(board.calls) <= math.ceil(20 / fits)


# -- records that somebody deleted


@pytest.mark.parametrize("gone", [[0], [63], [0, 1, 2], list(range(64))])
def test_records_gone_before_an_update_come_back_to_be_created(gone: list[int]) -> None:
    board = MemoryBoard()
    ids = filled(board, 64)
    write = writer(board)
    pending = [change(board, i, n) for n, i in enumerate(ids)]
    for n in gone:
        del board.records[ids[n]]
    assert [p.record for p in write.update(pending)] == [ids[n] for n in gone]
    assert len(board.calls) <= 2, "asked for at once, not found by halves"
    assert write.done.updated[0] == 64 - len(gone)
    assert all(r["a"] == 2.0 for r in board.records.values())


@pytest.mark.parametrize("gone", [[0], [5, 9], list(range(64))])
def test_records_gone_before_a_delete_count_as_deleted(gone: list[int]) -> None:
    board = MemoryBoard()
    ids = filled(board, 64)
    for n in gone:
        del board.records[ids[n]]
    write = writer(board)
    write.delete(ids, [str(n) for n in range(64)])
    assert (board.records, write.done.deleted) == ({}, 64)
    assert len(board.calls) <= 2


def test_a_target_that_says_gone_and_names_none_is_halved() -> None:
    class Vague(MemoryBoard):
        def absent(self, ids: Sequence[str]) -> set[str]:
            return set()

        def _there(self, ids: Sequence[str]) -> None:
            if set(ids) - self.records.keys():
                from sync_assets.engine.errors import Gone

                raise Gone("a record was not found")

    board = Vague()
    ids = filled(board, 8)
    del board.records[ids[3]]
    write = writer(board)
    write.delete(ids, ids)
    assert (board.records, write.done.deleted) == ({}, 8)


# -- the journal


def test_a_create_is_written_down_before_it_is_sent_and_struck_out_after() -> None:
    store = MemoryStore()
    seen: list[int] = []

    class Watching(MemoryBoard):
        def create(self, payload: bytes, token: str) -> Sequence[Written]:
            entries = store.journal_open(self.lease_name)
            seen.append(len([e for e in entries if (e.client_token, e.payload) == (token, payload)]))
            return super().create(payload, token)

    board = Watching(limits=Limits(create_rows=2))
    write = writer(board, store)
    write.create([new(board, n) for n in range(7)])
    assert seen == [1, 1, 1, 1]
    assert store.journal_open(board.lease_name) == []


def test_an_unclear_create_stays_in_the_journal() -> None:
    store = MemoryStore()

    class Cut(MemoryBoard):
        def create(self, payload: bytes, token: str) -> Sequence[Written]:
            super().create(payload, token)
            raise Unclear("no answer")

    board = Cut()
    write = writer(board, store)
    with pytest.raises(Unclear):
        write.create([new(board, 1)])
    (entry,) = store.journal_open(board.lease_name)
    assert entry.keys == ("1",)
    whole = MemoryBoard(records=board.records, tokens=board.tokens)
    again = writer(whole, MemoryStore())
    assert len(again.replay(entry)) == 1
    assert len(board.records) == 1, "the same request under its token has one effect"


def test_a_repeat_that_is_refused_now_leaves_the_rows_to_the_plan() -> None:
    store = MemoryStore()
    board = MemoryBoard(bad=bad)
    write = writer(board, store)
    entry = JournalEntry("t", board.lease_name, "orders", ("1",), b'[{"k":1.0,"a":13.0}]', None)  # type: ignore[arg-type]
    store.journal(write.held.lease, replace(entry, written_at=store._clock()))
    assert write.replay(entry) == []
    assert store.journal_open(board.lease_name) == []


# -- what the target says it holds


def test_an_echo_of_something_else_is_a_difference() -> None:
    class Forgetting(MemoryBoard):
        def create(self, payload: bytes, token: str) -> Sequence[Written]:
            return [replace(w, values={0: 1.0, 1: None}) for w in super().create(payload, token)]

    board = Forgetting()
    write = writer(board)
    write.create([new(board, 1)])
    assert write.done.differences == ["1: a is held otherwise than sent"]


def test_fewer_echoes_than_rows_are_a_difference_and_none_is_silence() -> None:
    class Short(MemoryBoard):
        def create(self, payload: bytes, token: str) -> Sequence[Written]:
            return super().create(payload, token)[:-1]

    board = Short()
    write = writer(board)
    write.create([new(board, 1), new(board, 2)])
    assert write.done.differences == ["2 records sent, 1 acknowledged"]
    quiet = MemoryBoard(silent=True)
    write = writer(quiet)
    write.create([new(quiet, 1)])
    assert (write.done.silent, write.done.differences) == (1, [])
