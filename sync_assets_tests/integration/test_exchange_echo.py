"""What comes back is known again: installations that give things to each other, any way round, never make copies."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from sync_assets.engine.errors import RejectRow
from sync_assets.engine.holder import holder_name
from sync_assets.exchange import engine
from sync_assets.exchange.model import Did, Id, PackReceived, TaskPack
from sync_assets.exchange.work import Direction, Order, PeerFacts, SyncStatus
from sync_assets.store.exchange.syncs import PostgresSyncs
from sync_assets.testing.direct_peer import DirectPeer
from sync_assets_tests.fix_exchange import Installation, a_document, a_pack, a_repository, a_task, fill, installation
from sync_assets_tests.fix_project import until

PUSH, PULL = Direction.PUSH, Direction.PULL
TABLES = ("exchange_repository", "exchange_task", "exchange_document", "exchange_usage")
SECRET = "11111111-2222-4333-8444-555555555555"  # a uid that nobody has been told


@pytest.fixture
def third(control_server: Path) -> Iterator[Installation]:
    with installation(control_server, "third") as made:
        yield made


def sync(by: Installation, other: Installation, direction: Direction, documents: Sequence[Id] = ()) -> None:
    """All repositories of whoever sends, as a schedule with new partitions would do it."""
    sender = by if direction is PUSH else other
    for repository in sender.library.repositories():
        peer = DirectPeer(other.name, other.library, by.name, PeerFacts(other.name, 100, True, True, uids=True))
        order = Order(direction, other.name, repository.repository_id, tuple(documents))
        state = engine.run(order, by.library, peer, PostgresSyncs(by.store), holder=holder_name("test"))
        assert state.status is SyncStatus.COMPLETED


def tables(*places: Installation) -> list[list[tuple[object, ...]]]:
    return [place.table(name) for place in places for name in TABLES]


@pytest.mark.parametrize(("one", "two"), list(itertools.product((PUSH, PULL), repeat=2)))
def test_there_and_back_and_again(here: Installation, there: Installation, one: Direction, two: Direction) -> None:
    fill(here.library, 1, tasks=3, documents=2)
    fill(there.library, 5, tasks=2)
    first: list[list[tuple[object, ...]]] = []
    for turn in range(3):
        sync(here, there, one)
        sync(there, here, two)
        sync(here, there, PULL if one is PUSH else PUSH)
        now = tables(here, there)
        first = first if turn else now
        assert now == first
    assert len(here.library.repositories()) == len(there.library.repositories()) == 2


@pytest.mark.parametrize("direction", [PUSH, PULL])
def test_round_a_ring_and_by_two_ways(
    here: Installation, there: Installation, third: Installation, direction: Direction
) -> None:
    fill(here.library, 1, tasks=3, documents=2)
    before = tables(here)
    ring = [(here, there), (there, third), (third, here), (here, third), (third, there), (there, here)]
    for giver, taker in ring * 2:
        sync(*((giver, taker) if direction is PUSH else (taker, giver)), direction)
    assert tables(here) == before
    for place in (there, third):
        assert [len(place.table(name)) for name in TABLES] == [1, 3, 6, 3]


def test_a_part_that_comes_back_keeps_its_references(here: Installation, there: Installation) -> None:
    here.library.put_repository("seed", a_repository(1))
    second = replace(a_pack(2, [3], run_after=1), documents=(a_document(3, 2, replaced_by=2),))
    here.library.put_packs("seed", [a_pack(1, [2]), second])
    assert here.library.link("seed", 1) == 2
    before = tables(here)
    sync(here, there, PUSH)
    for chosen in reversed([document.document_id for document, _ in there.library.documents(1)]):
        sync(here, there, PULL, [chosen])  # what it refers to did not come back yet
        assert tables(here) == before


def test_what_was_edited_there_comes_back_as_an_edit(here: Installation, there: Installation) -> None:
    fill(here.library, 1, tasks=1)
    sync(here, there, PUSH)
    there.rows("update sync_assets.exchange_document set content = '改', version = 2 returning 1")
    sync(here, there, PULL)
    assert here.rows("select document_id, content, version from sync_assets.exchange_document") == [(1, "改", 2)]
    assert len(here.library.repositories()) == 1


def test_a_peer_that_calls_itself_another_writes_over_nothing_of_that_one(
    here: Installation, there: Installation, third: Installation
) -> None:
    """Both give repository 1 with task 1 and document 1."""
    for place in (there, third):
        place.library.put_repository("seed", a_repository(1, name=place.name))
        place.library.put_packs("seed", [a_pack(1, [1], title=place.name)])
    sync(here, there, PULL)
    before = tables(here)
    peer = DirectPeer("third", third.library, here.name, PeerFacts(there.name, 100, True, True, uids=True))
    engine.run(Order(PULL, "third", 1), here.library, peer, PostgresSyncs(here.store), holder=holder_name("test"))
    for had, now in zip(before, tables(here), strict=True):
        assert set(had) < set(now)


@pytest.mark.parametrize("direction", [PUSH, PULL])
def test_who_did_not_bring_a_repository_does_not_replace_it(
    here: Installation, there: Installation, direction: Direction
) -> None:
    fill(here.library, 1, tasks=2)
    sync(here, there, PUSH)
    here.library.put_packs("seed", [a_pack(7, [7])])  # written since, and not sent yet
    before = tables(here)
    ends = (here, there) if direction is PULL else (there, here)
    peer = DirectPeer(ends[1].name, ends[1].library, ends[0].name, PeerFacts("x", 100, True, True, uids=True))
    order = Order(direction, ends[1].name, 1, replace=True)
    with pytest.raises(RejectRow, match="was here before"):
        engine.run(order, ends[0].library, peer, PostgresSyncs(ends[0].store), holder=holder_name("test"))
    assert tables(here) == before
    sync(here, there, PULL)
    with pytest.raises(RejectRow, match="was here before"):  # nor the second time
        engine.run(order, ends[0].library, peer, PostgresSyncs(ends[0].store), holder=holder_name("test"))
    assert tables(here) == before


def test_a_uid_gives_no_way_into_another_repository(here: Installation) -> None:
    owned = fill(here.library, 1, tasks=1)
    (pack,) = here.library.export(owned).first.packs
    before = tables(here)
    here.library.put_repository("other", a_repository(9))
    stolen = TaskPack(replace(a_task(70, 9), uid=pack.task.uid), (a_document(70, 70, 9),))
    document = replace(a_document(71, 71, 9), uid=pack.documents[0].uid, content="x", version=99)
    outcomes = here.library.put_packs("other", [stolen, TaskPack(a_task(71, 9), (document,))])
    assert isinstance(outcomes[0], RejectRow)
    assert outcomes[0].code == "other_repository"
    assert isinstance(outcomes[1], PackReceived)
    assert "other_repository" in outcomes[1].errors[71]
    for had, now in zip(before, tables(here), strict=True):
        assert set(had) <= set(now)


def test_two_new_things_of_one_uid_are_no_two_things(here: Installation) -> None:
    here.library.put_repository("a", a_repository(1))
    tasks = [TaskPack(replace(a_task(n), uid=SECRET)) for n in (1, 2)]
    one, two = here.library.put_packs("a", tasks)
    assert isinstance(one, PackReceived)
    assert isinstance(two, PackReceived)
    assert (one.task.did, two.task.id) == (Did.CREATED, one.task.id)
    twice = TaskPack(a_task(3), tuple(replace(a_document(n, 3), uid=SECRET) for n in (1, 2)))
    (refused,) = here.library.put_packs("a", [twice])
    assert isinstance(refused, RejectRow)
    with pytest.raises(RejectRow, match="UUID"):
        here.library.put_repository("a", a_repository(2, uid="1 or 1"))


def test_the_same_new_thing_from_two_at_once(here: Installation) -> None:
    statement = "insert into sync_assets.exchange_repository (name, uid) values ('first', %s) returning repository_id"
    with psycopg.connect(**here.address.arguments()) as other, ThreadPoolExecutor(1) as threads:
        first = other.execute(statement, (SECRET,)).fetchone()
        second = threads.submit(here.library.put_repository, "b", a_repository(1, uid=SECRET))
        until(lambda: here.rows("select count(*) from pg_locks where not granted") == [(1,)])
        other.commit()
        assert first == (second.result(20).id,)
    assert len(here.library.repositories()) == 1
