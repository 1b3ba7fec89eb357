"""Push and pull between two installations, the peer called directly: what is counted, kept, cleared and refused."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from sync_assets.engine.errors import Fenced, RejectRow, Retry, Stop
from sync_assets.engine.holder import holder_name
from sync_assets.exchange import engine
from sync_assets.exchange.model import PackReceived
from sync_assets.exchange.work import (
    AlreadyRunning,
    Direction,
    Order,
    PeerFacts,
    SyncState,
    SyncStatus,
    UnitStatus,
)
from sync_assets.store.exchange.syncs import PostgresSyncs
from sync_assets.testing.direct_peer import DirectPeer
from sync_assets_tests.fix_exchange import Installation, a_document, a_pack, fill
from sync_assets_tests.integration.exchange_scenes import own, ring, shape

BOTH = pytest.mark.parametrize("direction", list(Direction))


@dataclass
class Pair:
    """An installation that asks, and the other. `source` has a repository of ours, made by hand."""

    direction: Direction
    asks: Installation
    other: Installation
    repository: int = 0
    slept: list[float] = field(default_factory=list)

    @property
    def source(self) -> Installation:
        return self.asks if self.direction is Direction.PUSH else self.other

    @property
    def target(self) -> Installation:
        return self.other if self.direction is Direction.PUSH else self.asks

    @property
    def origin(self) -> str:
        """By what name the target knows the ids of the source."""
        return self.source.name if self.direction is Direction.PUSH else f"peer:other:{self.source.name}"

    @property
    def syncs(self) -> PostgresSyncs:
        return PostgresSyncs(self.asks.store)

    def peer(self, **facts: Any) -> DirectPeer:
        known = replace(PeerFacts(self.other.name, 100, True, True), **facts)
        return DirectPeer("other", self.other.library, self.asks.name, known)

    def order(self, **facts: Any) -> Order:
        return Order(self.direction, "other", self.repository, **facts)

    def run(self, peer: DirectPeer | None = None, order: Order | None = None, **more: Any) -> SyncState:
        return engine.run(
            order or self.order(), self.asks.library, peer or self.peer(), self.syncs,
            holder=holder_name("test"), sleep=self.slept.append, **more,
        )  # fmt: skip

    def resume(self, sync_id: str, peer: DirectPeer | None = None) -> SyncState:
        return engine.resume(
            sync_id, self.asks.library, peer or self.peer(), self.syncs,
            holder=holder_name("again"), sleep=self.slept.append,
        )  # fmt: skip

    def last(self) -> SyncState:
        return self.syncs.recent()[0]


@pytest.fixture(params=list(Direction))
def pair(request: pytest.FixtureRequest, here: Installation, there: Installation) -> Pair:
    """Both have a repository of their own under id 1 already; the one of the source with 7 tasks is id 2."""
    made = Pair(request.param, here, there)
    for one in (here, there):
        fill(one.library, 9, 2)
    made.repository = own(made.source, ring(7))
    return made


def settled(pair: Pair, state: SyncState, total: int = 7) -> None:
    """All arrived once, all is counted."""
    assert (state.status, state.total, state.succeeded) == (SyncStatus.COMPLETED, total, total), state
    theirs = [row for row in shape(pair.target) if row[0] == "repository 1"]
    assert theirs == [row for row in shape(pair.source) if row[0] == "repository 1"]
    assert len(theirs) == 2 * total


def test_all_of_a_repository_travels_and_both_sides_keep_what_is_theirs(pair: Pair) -> None:
    before = shape(pair.target)
    settled(pair, pair.run())
    assert [row for row in shape(pair.target) if row[0] == "repository 9"] == before


def test_a_second_time_changes_not_a_byte(pair: Pair) -> None:
    pair.run()
    before = pair.target.everything()
    state = pair.run()
    assert (state.status, state.succeeded) == (SyncStatus.COMPLETED, 7)
    assert pair.target.everything() == before


def test_what_was_pushed_comes_back_as_the_same_thing(here: Installation, there: Installation) -> None:
    names = ("repository", "task", "document", "usage")
    push, back = Pair(Direction.PUSH, here, there), Pair(Direction.PULL, here, there)
    push.repository = own(here, [a_pack(n, [n * 10, n * 10 + 1]) for n in range(1, 8)])
    push.run()
    before = [len(here.table(f"exchange_{name}")) for name in names]
    back.repository = there.library.repositories()[0].repository_id
    assert back.run().status is SyncStatus.COMPLETED
    assert [len(here.table(f"exchange_{name}")) for name in names] == before


def test_progress_adds_up_at_every_moment(pair: Pair) -> None:
    seen: list[SyncState] = []
    pair.run(pair.peer(batch=3), progress=seen.append)
    assert [s.succeeded for s in seen] == ([3, 6, 7, 7] if pair.direction is Direction.PUSH else [7, 7])
    assert all(s.total == 7 == s.succeeded + s.failed + s.skipped + s.pending for s in seen)


def chosen(pair: Pair, *titles: str) -> tuple[int, ...]:
    ids = {d.title: d.document_id for d, _ in pair.source.library.documents(pair.repository)}
    return tuple(ids[title] for title in titles)


def test_chosen_documents_travel_alone_zero_and_repeats_do_not_count(pair: Pair) -> None:
    ids = chosen(pair, "document 30", "document 20")
    state = pair.run(order=pair.order(document_ids=(0, *ids, ids[0], 0)))
    assert (state.total, state.succeeded, state.order.document_ids) == (2, 2, ids)
    rows = [row for row in shape(pair.target) if row[0] == "repository 1"]
    assert [(row[1], row[3], row[7]) for row in rows] == [
        ("task 2", "document 20", True),
        ("task 3", "document 30", True),
    ]


@pytest.mark.parametrize("wrong", ["missing", "another repository's"])
def test_one_wrong_document_refuses_the_whole_sync(pair: Pair, wrong: str) -> None:
    theirs = next(r.repository_id for r in pair.source.library.repositories() if r.name == "repository 9")
    bad = 987_654 if wrong == "missing" else pair.source.library.documents(theirs)[0][0].document_id
    before = pair.target.everything()
    with pytest.raises(RejectRow):
        pair.run(order=pair.order(document_ids=(*chosen(pair, "document 20"), bad)))
    state = pair.last()
    assert (state.status, state.total, bool(state.error)) == (SyncStatus.FAILED, 0, True)
    assert pair.target.everything() == before


def test_an_order_that_makes_no_sense_begins_nothing(pair: Pair) -> None:
    for order in (pair.order(document_ids=(0,)), pair.order(document_ids=(-1,)),
                  pair.order(document_ids=chosen(pair, "document 20"), replace=True)):  # fmt: skip
        with pytest.raises(Stop):
            pair.run(order=order)
    assert list(pair.syncs.recent()) == []


# -- failures that are told


def conflict(pair: Pair) -> None:
    """One document has other text under the same version, of the same moment, on either side: a person must decide."""
    for one, text in ((pair.target, "mine"), (pair.source, "other")):
        one.rows(
            f"update sync_assets.exchange_document set content = '{text}', updated_at = '2036-01-01' "
            "where title = 'document 40' returning 1"
        )


def test_a_document_in_conflict_is_told_and_the_rest_goes_on(pair: Pair) -> None:
    pair.run()
    conflict(pair)
    state = pair.run()
    units = {u.title: u for u in pair.syncs.units(state.sync_id)}
    assert (state.status, state.total, state.succeeded, state.failed) == (SyncStatus.PARTIAL, 7, 6, 1)
    assert units["task 4"].status is UnitStatus.FAILED and "same version" in units["task 4"].error
    assert [d.status for d in units["task 4"].documents] == [UnitStatus.FAILED, UnitStatus.SUCCEEDED]
    assert pair.target.rows("select content from sync_assets.exchange_document where title = 'document 40'") == [
        ("mine",)
    ]


def test_what_is_newer_there_is_skipped(pair: Pair) -> None:
    pair.run()
    pair.target.rows("update sync_assets.exchange_document set version = 9 where title like 'document 4_' returning 1")
    state = pair.run()
    assert (state.status, state.succeeded, state.skipped) == (SyncStatus.COMPLETED, 6, 1)


def failing(wanted: str, error: Exception, first: int = 1, times: int = 1_000) -> Callable[[str, int], None]:
    """A fault at calls of one name."""
    seen = iter(range(1, 1_000_000))

    def hook(name: str, _: int) -> None:
        if name == wanted and first <= next(seen) < first + times:
            raise error

    return hook


def calls_of(pair: Pair) -> list[str]:
    peer = pair.peer(batch=3)
    peer.page_rows = 3
    probe = peer.calls
    pair.run(peer, order=pair.order(replace=True))
    return probe


@BOTH
@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("nth", range(1, 8))
def test_a_peer_that_fails_at_any_call_is_made_good_by_resuming(
    here: Installation, there: Installation, direction: Direction, applied: bool, nth: int
) -> None:
    pair = Pair(direction, here, there)
    pair.repository = own(pair.source, [a_pack(n, [n * 10, n * 10 + 1]) for n in range(1, 8)])
    peer = pair.peer(batch=3)
    peer.page_rows = 3

    def fail(name: str, number: int) -> None:
        if number == nth:
            raise Retry(f"broken on purpose at {name}", code="connect")

    if applied:
        peer.after = fail
    else:
        peer.before = fail
    order = pair.order(replace=True)
    try:
        state = pair.run(peer, order)
        assert nth > len(peer.calls)  # nothing was broken
    except Retry:
        state = pair.last()
        assert state.status is SyncStatus.FAILED
        assert state.total == state.succeeded + state.failed + state.skipped
        state = pair.resume(state.sync_id)
    settled(pair, state)
    assert {u.attempts for u in pair.syncs.units(state.sync_id)} <= {1, 2}


def test_the_last_faults_of_that_test_come_after_the_last_call(pair: Pair) -> None:
    assert len(calls_of(pair)) < 8


# -- replace


def extra(pair: Pair) -> None:
    """Something that the target has besides, in the same repository."""
    pair.run()
    gone = [a_pack(70, [700])]
    repository = pair.repository
    (outcome,) = pair.target.library.put_packs(
        pair.origin, [replace(gone[0], task=replace(gone[0].task, repository_id=repository),
                         documents=(a_document(700, 70, repository),))]
    )  # fmt: skip
    assert isinstance(outcome, PackReceived)


def test_replacing_clears_the_rest_at_the_end(pair: Pair) -> None:
    extra(pair)
    peer = pair.peer()
    state = pair.run(peer, pair.order(replace=True))
    settled(pair, state)
    assert state.cleared is not None and (state.cleared.tasks, state.cleared.documents) == (1, 1)
    assert peer.calls[-1] == "clear" if pair.direction is Direction.PUSH else "clear" not in peer.calls


def test_replacing_clears_nothing_when_something_failed(pair: Pair) -> None:
    extra(pair)
    conflict(pair)
    state = pair.run(order=pair.order(replace=True))
    assert (state.status, state.failed, state.cleared) == (SyncStatus.PARTIAL, 1, None)
    assert "nothing was cleared" in state.error
    assert ("task 70",) in pair.target.rows("select title from sync_assets.exchange_task")


def test_replacing_with_some_documents_must_be_confirmed(pair: Pair) -> None:
    extra(pair)
    ids = chosen(pair, "document 20")
    state = pair.run(order=pair.order(document_ids=ids, replace=True, confirm=True))
    assert state.status is SyncStatus.COMPLETED
    assert [row[3] for row in shape(pair.target) if row[0] == "repository 1"] == ["document 20"]


# -- one at a time


def test_a_second_sync_is_told_which_one_is_going_on(pair: Pair) -> None:
    at_work, go_on = threading.Event(), threading.Event()
    peer = pair.peer()

    def wait(name: str, _: int) -> None:
        at_work.set()
        go_on.wait(20)

    peer.before = wait
    ended: list[SyncState] = []
    thread = threading.Thread(target=lambda: ended.append(pair.run(peer)))
    thread.start()
    try:
        assert at_work.wait(20)
        with pytest.raises(AlreadyRunning) as refused:
            pair.run()
        with pytest.raises(AlreadyRunning):
            pair.resume(refused.value.sync_id)
    finally:
        go_on.set()
        thread.join(20)
    assert ended[0].sync_id == refused.value.sync_id
    settled(pair, ended[0])


def test_who_was_taken_for_dead_writes_no_more(pair: Pair) -> None:
    impatient = PostgresSyncs(pair.asks.store, silence=-1.0)
    peer = pair.peer()
    taken: list[SyncState] = []

    def overtake(name: str, _: int) -> None:
        if name in ("put_packs", "export"):
            taken.append(impatient.resume(impatient.recent()[0].sync_id, "other"))

    peer.after = overtake
    with pytest.raises(Fenced):
        pair.run(peer)
    assert [u for u in pair.syncs.units(taken[0].sync_id) if u.status is not UnitStatus.PENDING] == []
    assert pair.last().status is SyncStatus.IN_PROGRESS
    ended = engine.carry_on(taken[0], pair.asks.library, pair.peer(), impatient, sleep=lambda s: None)
    settled(pair, ended)


def test_a_sync_that_is_completed_is_not_resumed(pair: Pair) -> None:
    state = pair.run()
    with pytest.raises(Stop, match="completed"):
        pair.resume(state.sync_id)
    with pytest.raises(Stop, match="no sync"):
        pair.resume("nonsense")


def test_an_error_of_ours_does_not_leave_it_in_progress(pair: Pair) -> None:
    peer = pair.peer()
    peer.before = failing("ping", ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        pair.run(peer)
    assert (pair.last().status, pair.last().error) == (SyncStatus.FAILED, "ended by ZeroDivisionError")


def test_events_and_history_tell_each_document(pair: Pair) -> None:
    state = pair.run()
    events = pair.syncs.events(repository_id=pair.repository, direction=pair.direction, limit=100)
    assert len(events) == 14 and {e.status for e in events} == {UnitStatus.SUCCEEDED}
    assert {e.sync_id for e in events} == {state.sync_id} and events[0].at >= events[-1].at
    other = next(d for d in Direction if d is not pair.direction)
    assert pair.syncs.events(direction=other) == []
    assert [name for name, _ in pair.syncs.targets()] == ["other"]


@pytest.fixture(autouse=True)
def _no_thread_left() -> Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert {t for t in threading.enumerate() if t not in before and t.is_alive() and not t.daemon} == set()
