"""What a sync decides by itself: the document that a task shows, batches, what became of a unit; and trying again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_assets.engine.errors import RejectRow, Retry, Stop, SyncError
from sync_assets.exchange.model import Did, Document, PackReceived, Received, Task, TaskPack
from sync_assets.exchange.plan import batches, checked, ended, shown, unit_of
from sync_assets.exchange.sending import IN_SUCCESSION, LOCAL_TRIES, ToPeer, patient
from sync_assets.exchange.work import Direction, Order, UnitStatus


def pack(task: int = 1, *documents: Document) -> TaskPack:
    return TaskPack(Task(task, 1, doc_id=777, title=f"t{task}"), documents)


def document(id: int, version: int = 1, latest: bool = False, content: str = "") -> Document:
    return Document(id, 1, 1, f"d{id}", version=version, is_latest=latest, content=content)


@pytest.mark.parametrize(
    ("documents", "subset", "wanted"),
    [
        ((), False, 0),
        ((document(1, 9), document(2, 1, True)), False, 2),
        ((document(1, 9), document(2, 1, True)), True, 1),
        ((document(1, 3), document(2, 3)), True, 2),
        ((document(5, 3), document(2, 3)), False, 5),
        ((document(1, 2, True), document(2, 1, True)), False, 1),
    ],
)
def test_the_document_that_a_task_shows(documents: tuple[Document, ...], subset: bool, wanted: int) -> None:
    assert shown(pack(1, *documents), subset=subset).task.doc_id == wanted


@given(st.lists(st.integers(0, 60), max_size=40), st.integers(0, 7), st.integers(1, 100))
def test_batches_keep_order_lose_nothing_and_stay_small(sizes: list[int], count: int, most: int) -> None:
    packs = [pack(n, document(n, content="x" * size)) for n, size in enumerate(sizes, 1)]
    made = list(batches(packs, count, most))
    assert [p for batch in made for p in batch] == packs
    for batch in made:
        held = sum(len(d.content) for p in batch for d in p.documents)
        assert batch and len(batch) <= max(count, 1) and (held <= most or len(batch) == 1)


def test_ids_are_normalised_and_wrong_ones_refused() -> None:
    assert checked(Order(Direction.PUSH, "p", 1, (3, 0, 1, 3, 0))).document_ids == (3, 1)
    for wrong in (Order(Direction.PUSH, "p", 0), Order(Direction.PUSH, "p", 1, (0,)),
                  Order(Direction.PUSH, "p", 1, (-2,)),
                  Order(Direction.PULL, "p", 1, (2,), replace=True)):  # fmt: skip
        with pytest.raises(Stop):
            checked(wrong)
    assert checked(Order(Direction.PULL, "p", 1, (2,), replace=True, confirm=True)).replace


def did(task: Did, *documents: Did | None) -> UnitStatus:
    sent = pack(1, *(document(n) for n in range(1, len(documents) + 1)))
    taken = {n: Received(n, d) for n, d in enumerate(documents, 1) if d is not None}
    unit = ended(unit_of(1, sent), sent, PackReceived(Received(1, task), taken))
    assert unit.attempts == 1 and (unit.status is UnitStatus.FAILED) == bool(unit.error)
    return unit.status


def test_every_unit_ends_in_one_of_three() -> None:
    assert did(Did.UNCHANGED, Did.UNCHANGED) is UnitStatus.SUCCEEDED
    assert did(Did.OLDER, Did.UNCHANGED) is UnitStatus.SKIPPED
    assert did(Did.UNCHANGED, Did.OLDER, Did.CREATED) is UnitStatus.SUCCEEDED
    assert did(Did.UPDATED, Did.CONFLICT, Did.CREATED) is UnitStatus.FAILED
    assert did(Did.CONFLICT) is UnitStatus.FAILED
    assert did(Did.CREATED, None) is UnitStatus.FAILED
    refused = ended(unit_of(1, pack(1, document(4))), pack(1, document(4)), RejectRow("no"))
    assert (refused.status, refused.documents[0].status, refused.error) == (UnitStatus.FAILED, UnitStatus.FAILED, "no")


class Moody:
    """A peer of which each pack gets the next outcome."""

    name = "moody"

    def __init__(self, outcomes: list[PackReceived | SyncError]) -> None:
        self.outcomes = outcomes

    def put_packs(self, packs: list[TaskPack], sync_id: str) -> list[PackReceived | SyncError]:
        return [self.outcomes.pop(0) for _ in packs]


def test_failures_of_the_peer_in_succession_end_it_others_do_not() -> None:
    good, bad = PackReceived(Received(1, Did.CREATED), {}), Retry("HTTP 500", code="http_500")
    packs = [pack(n) for n in range(1, 6)]
    to = ToPeer(Moody([bad, bad, good, bad, bad]), None, "s")  # type: ignore[arg-type]
    assert [isinstance(o, Retry) for p in packs for o in to.deliver([p])] == [True, True, False, True, True]
    to = ToPeer(Moody([bad] * 9), None, "s")  # type: ignore[arg-type]
    seen = 0
    with pytest.raises(Retry):
        for one in packs:
            to.deliver([one])
            seen += 1
    assert seen == IN_SUCCESSION - 1


def test_our_own_database_is_waited_for_but_not_for_ever() -> None:
    slept: list[float] = []
    tries: list[int] = []

    def call() -> int:
        tries.append(1)
        if len(tries) < LOCAL_TRIES:
            raise Retry("down", after=30.0)
        return 7

    assert patient(call, slept.append) == 7
    assert slept == [30.0] * (LOCAL_TRIES - 1)
    with pytest.raises(Retry):
        patient(lambda: (_ for _ in ()).throw(Retry("down")), slept.append)
    with pytest.raises(Stop):
        patient(lambda: (_ for _ in ()).throw(Stop("no")), lambda s: None)


def test_an_order_as_it_was_is_not_changed_by_checking() -> None:
    order = Order(Direction.PULL, "p", 4, (), replace=True, asked_by="a")
    assert checked(order) == replace(order)
