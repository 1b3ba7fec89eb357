# ruff: noqa: S101 (tests)
"""The contract of the ledger: batches, fence, position, epochs. Tests over the fixture `lab` (a `TableLab`)."""

from __future__ import annotations

import threading
import time

import pytest

from sync_assets.engine.errors import Fenced, SyncError
from sync_assets.engine.tables.reading import Form
from sync_assets.engine.tables.writing import Head, Writer
from sync_assets.testing.tables.desk import Desk, found
from sync_assets.testing.tables.lines import lines


def test_a_batch_takes_effect_once(at: Desk) -> None:
    for turn in range(3):
        with at.writer.batch("b1", position="p1") as open:
            assert open is (turn == 0)
            if open:
                assert at.load("t", [("1", "a", None)]) == 1
    assert found(at) == [(1, "a", None)]
    assert at.head() == Head(1, 0, "p1", None, frozenset({"b1"}))


def test_another_process_knows_the_batch(at: Desk) -> None:
    with at.writer.batch("b1"):
        at.load("t", [("1", "a", None)])
    other = at.lab.open()
    try:
        assert other.take_over("s", 2).applied == {"b1"}
        writer = other.writer("s", 2)
        with writer.batch("b1") as open:
            assert not open
        with writer.batch("b2") as open:
            assert open
        writer.close()
    finally:
        other.close()


def test_syncs_do_not_share_batches(at: Desk) -> None:
    with at.writer.batch("b1", position="p"):
        pass
    head = at.writer.serve("other", 1)
    assert (head.position, head.applied) == (None, frozenset())
    with at.writer.batch("b1") as open:
        assert open
    assert at.head().applied == {"b1"} == at.head("other").applied
    assert at.head("never") == Head(0, 0, None, None)


def test_an_error_undoes_rows_position_and_ledger(at: Desk) -> None:
    with at.writer.batch("b0", position="p0"):
        at.load("t", [("1", "a", "1")])
    with pytest.raises(ZeroDivisionError), at.writer.batch("b1", position="p1"):
        at.load("t", [("2", "b", "2")])
        raise ZeroDivisionError
    assert found(at) == [(1, "a", 1)]
    assert at.head() == Head(1, 0, "p0", None, frozenset({"b0"}))
    with at.writer.batch("b1", position="p1") as open:
        assert open
        at.load("t", [("2", "b", "2")])
    assert found(at) == [(1, "a", 1), (2, "b", 2)]
    assert at.head().position == "p1"


def test_a_batch_without_a_position_keeps_it(at: Desk) -> None:
    with at.writer.batch("b0", position="p0"):
        pass
    with at.writer.batch("b1"):
        pass
    assert at.head().position == "p0"


def test_the_end_of_a_run(at: Desk) -> None:
    at.writer.keep_plan('{"a": "中"}')
    with at.writer.batch("b1", position="p1"):
        at.load("t", [("1", "a", None)])
    assert at.head() == Head(1, 0, "p1", '{"a": "中"}', frozenset({"b1"}))
    with at.writer.batch("last", position="p2", ends=True) as open:
        assert open
    assert at.head() == Head(1, 1, "p2", None, frozenset())
    with at.writer.batch("b1") as open:
        assert open, "a batch of an older epoch is another batch"


def test_large_plans_and_positions_are_kept(at: Desk) -> None:
    plan = "计划" * 100_000
    at.writer.keep_plan(plan)
    with at.writer.batch("b", position="位" * 1000):
        pass
    assert at.head().plan == plan
    assert at.head().position == "位" * 1000


def test_an_older_token_is_fenced(at: Desk) -> None:
    with at.writer.batch("b0", position="p0"):
        at.load("t", [("1", "a", "1")])
    assert at.target.take_over("s", 5) == Head(5, 0, "p0", None, frozenset({"b0"}))
    with pytest.raises(Fenced), at.writer.batch("b1", position="p1"):
        at.load("t", [("2", "b", "2")])
    with pytest.raises(Fenced), at.writer.batch("b2", ends=True):
        pass
    with pytest.raises(Fenced):
        at.writer.keep_plan("{}")
    with pytest.raises(Fenced):
        at.target.take_over("s", 4)
    with pytest.raises(Fenced):
        at.writer.serve("s", 4)
    assert found(at) == [(1, "a", 1)]
    assert at.head() == Head(5, 0, "p0", None, frozenset({"b0"}))


def test_a_fenced_writer_cannot_swap(at: Desk) -> None:
    twin = at.writer.twin(at.lab.name("t"))
    at.target.take_over("s", 5)
    with pytest.raises(Fenced):
        at.writer.swap(twin, at.lab.name("t"), "swap")
    assert at.head().epoch == 0


def test_a_takeover_waits_for_the_batch_that_is_open(at: Desk) -> None:
    heads: list[Head] = []
    other = at.lab.open()
    thread = threading.Thread(target=lambda: heads.append(other.take_over("s", 2)))
    with at.writer.batch("b1", position="p1"):
        at.load("t", [("1", "a", "1")])
        thread.start()
        time.sleep(0.3)
        assert not heads, "the new holder was let in while the old one could still commit"
    thread.join(30)
    other.close()
    assert heads == [Head(2, 0, "p1", None, frozenset({"b1"}))]


def test_two_writers_of_one_sync_work_side_by_side(at: Desk) -> None:
    """Batches of several streams: both may be open at once, or one waits; no deadlock, nothing lost."""
    other = at.target.writer("s", 1)
    errors: list[Exception] = []

    def work(writer: Writer, first: int) -> None:
        try:
            for i in range(first, first + 20):
                with writer.batch(f"b{i}"):
                    writer.load(at.lab.name("t"), columns, Form.LINES, [lines([(str(i), "x", None)])])
        except SyncError as error:
            errors.append(error)

    columns = at.columns("t")
    threads = [threading.Thread(target=work, args=(w, n)) for w, n in ((at.writer, 0), (other, 100))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    other.close()
    assert not errors
    assert at.lab.count("t") == 40
    assert len(at.head().applied) == 40


def test_the_ledger_can_be_opened_again(at: Desk) -> None:
    at.target.open_ledger()
    assert at.head().token == 1


def test_the_ledger_is_not_listed_among_the_tables(at: Desk) -> None:
    at.writer.stage(at.lab.name("t"), at.columns("t"))
    at.writer.twin(at.lab.name("t"))
    assert [e.name for e in at.target.tables()] == [at.lab.name("t")]
