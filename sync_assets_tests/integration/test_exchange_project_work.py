"""Runs of an exchange over real control databases, the peer called directly: rounds, waiting, taking over."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sync_assets.engine.errors import Retry, Stop
from sync_assets.engine.holder import holder_name
from sync_assets.exchange.work import Direction, Order, PeerFacts, SyncStatus, UnitStatus
from sync_assets.project.exchange import work
from sync_assets.project.exchange.items import Item
from sync_assets.project.exchange.placed import PlacedPeer, peer_of
from sync_assets.project.exchange.work import Desk, local_repositories, newest_syncs, remote_repositories
from sync_assets.store.exchange.syncs import PostgresSyncs
from sync_assets.testing.direct_peer import DirectPeer, Hook, nothing
from sync_assets_tests.fix_exchange import Installation, fill
from sync_assets_tests.fix_exchange_dagster import EXCHANGE
from sync_assets_tests.fix_project import ProjectOf


@dataclass
class Site:
    """Our installation with three repositories of a few tasks, and a peer with a fault that a test sets."""

    here: Installation
    there: Installation
    repositories: list[int]
    placed: PlacedPeer
    slept: list[float] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    @property
    def syncs(self) -> PostgresSyncs:
        return PostgresSyncs(self.here.store)

    def peer(self, before: Hook = nothing) -> DirectPeer:
        facts = PeerFacts("there", 100, True, True)
        return DirectPeer("branch", self.there.library, self.here.name, facts, before=before)

    def desk(self, before: Hook = nothing) -> Desk:
        return Desk(
            self.here.library, self.syncs, self.peer(before), holder_name("test"), self.said.append, self.slept.append
        )

    def orders(self, **facts: object) -> list[Order]:
        return [Order(Direction.PUSH, "branch", one, **facts) for one in self.repositories]  # type: ignore[arg-type]

    def run(self, before: Hook = nothing, tries: int = work.TRIES) -> list[Item]:
        return list(work.rounds(self.desk(before), self.orders(), tries))

    def count(self, table: str = "document") -> int:
        return int(self.there.rows(f"select count(*) from sync_assets.exchange_{table}")[0][0])


@pytest.fixture
def site(here: Installation, there: Installation, project_of: ProjectOf) -> Site:
    repositories = [fill(here.library, number, tasks, documents=2) for number, tasks in ((1, 3), (2, 1), (3, 2))]
    return Site(here, there, repositories, peer_of(project_of(books=EXCHANGE), "branch"))


def test_every_repository_is_an_item_with_each_of_its_documents(site: Site) -> None:
    items = site.run()
    assert [(item.repository_id, item.good, len(item.documents)) for item in items] == [
        (site.repositories[0], True, 6), (site.repositories[1], True, 2), (site.repositories[2], True, 4),
    ]  # fmt: skip
    assert site.count() == 12
    again = site.run()
    assert all(item.good for item in again)
    assert site.count() == 12


def test_a_peer_that_is_silent_for_a_while_is_tried_again_and_goes_on_where_it_stopped(site: Site) -> None:
    calls = 0

    def before(name: str, number: int) -> None:
        nonlocal calls
        calls += 1
        if 3 < calls < 7:  # within the first repository, and for all that follows
            raise Retry("the peer does not answer")

    items = site.run(before)
    assert [item.good for item in sorted(items, key=lambda one: one.repository_id)] == [True] * 3
    assert site.count() == 12
    assert work.PAUSE in site.slept
    assert any("tried again after the others" in line for line in site.said)
    assert len(site.syncs.recent()) == 3  # the one that was broken off went on


def test_one_that_never_answers_is_asked_by_few(site: Site) -> None:
    """Without a repository each waiting for its own time-outs, and every one is told."""
    asked: list[str] = []

    def before(name: str, number: int) -> None:
        asked.append(name)
        raise Retry("the peer does not answer")

    items = site.run(before)
    assert [str(item.error) for item in items] == ["the peer does not answer"] * 3
    assert [item.repository_id for item in items] == site.repositories
    assert asked == ["ping", "ping"] * work.TRIES  # the first repository, and the look whether to go on


def test_what_a_person_must_mend_is_not_tried_again_and_holds_up_no_other(site: Site) -> None:
    def before(name: str, number: int) -> None:
        if number == 2:
            raise Stop("the key may not write", hint="give it the scope", code="http_403")

    items = site.run(before)
    assert [item.good for item in items] == [False, True, True]
    assert items[0].trouble == "the key may not write [http_403] -> give it the scope"
    assert items[0].state is not None
    assert items[0].state.status is SyncStatus.FAILED
    assert site.slept == []


def test_a_sync_that_is_going_on_is_waited_for_and_is_the_answer(site: Site) -> None:
    entered, let_go = threading.Event(), threading.Event()

    def before(name: str, number: int) -> None:
        if name == "put_packs":
            entered.set()
            assert let_go.wait(30)

    others: list[Item] = []
    first = site.orders()[:1]
    thread = threading.Thread(target=lambda: others.extend(work.rounds(site.desk(before), first)))
    thread.start()
    assert entered.wait(30)
    desk = site.desk()
    looked: list[float] = []

    def sleep(seconds: float) -> None:
        looked.append(seconds)
        let_go.set()
        thread.join(30)

    (item,) = work.rounds(Desk(desk.library, desk.syncs, desk.peer, desk.holder, desk.tell, sleep), first)
    assert item.good
    assert item.waited
    assert looked == [work.LOOK]
    assert item.state is not None
    assert others[0].state is not None
    assert item.state.sync_id == others[0].state.sync_id
    assert "ping" not in site.said
    assert len(site.syncs.recent()) == 1


def test_a_sync_of_something_else_is_waited_for_and_ours_comes_after_it(site: Site) -> None:
    order = site.orders()[0]
    state = site.syncs.start(Order(Direction.PUSH, "branch", order.repository_id, document_ids=(1,)), holder_name("x"))
    desk = site.desk()

    def sleep(seconds: float) -> None:
        # the other one ends meanwhile; by its own hands, whose token only they have
        desk.syncs.finish(state.sync_id, SyncStatus.COMPLETED)

    desk.syncs._tokens[state.sync_id] = 1  # type: ignore[attr-defined]
    (item,) = work.rounds(Desk(desk.library, desk.syncs, desk.peer, desk.holder, desk.tell, sleep), [order])
    assert item.good
    assert not item.waited
    assert item.state is not None
    assert item.state.sync_id != state.sync_id
    assert len(item.documents) == 6


KILLED = """
import os, signal, sys
from dataclasses import replace
from sync_assets.engine.holder import holder_name
from sync_assets.exchange.work import Direction, Order, PeerFacts
from sync_assets.project.exchange.work import Desk, rounds
from sync_assets.store.address import Address
from sync_assets.store.control import open_store
from sync_assets.store.exchange.library import PostgresLibrary
from sync_assets.store.exchange.syncs import PostgresSyncs
from sync_assets.store.secrets import Secret
from sync_assets.testing.direct_peer import DirectPeer
host, port, user, word, here, there, repository, at = sys.argv[1:]
def address(name):
    return Address(host=host, port=int(port), user=user, password=Secret(word), database=name)
def before(name, number):
    if name == at:
        os.kill(os.getpid(), signal.SIGKILL)
ours, theirs = open_store(lambda: address(here)), open_store(lambda: address(there))
peer = DirectPeer("branch", PostgresLibrary(theirs.sessions), "here", PeerFacts("there", 1, True, True), before=before)
desk = Desk(PostgresLibrary(ours.sessions), PostgresSyncs(ours), peer, holder_name("killed"), print)
list(rounds(desk, [Order(Direction.PUSH, "branch", int(repository))]))
"""


@pytest.fixture(params=["put_repository", "put_packs", "link"])
def killed(request: pytest.FixtureRequest, site: Site) -> Iterator[Site]:
    """A process of ours was killed before that call."""
    a = site.here.address
    assert a.password is not None
    arguments = [a.host, str(a.port), a.user, a.password.reveal(), a.database, site.there.address.database]
    done = subprocess.run(
        [sys.executable, "-c", KILLED, *arguments, str(site.repositories[0]), request.param],
        cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == -9, done.stderr
    yield site


def test_a_run_that_was_killed_is_taken_over_by_the_next_and_goes_on(killed: Site) -> None:
    (left,) = killed.syncs.recent()
    assert left.status is SyncStatus.IN_PROGRESS
    before = {unit.number for unit in killed.syncs.units(left.sync_id) if unit.status is UnitStatus.SUCCEEDED}
    (item,) = list(work.rounds(killed.desk(), killed.orders()[:1]))
    assert item.good
    assert item.state is not None
    assert item.state.sync_id == left.sync_id
    assert item.state.total == item.state.succeeded == 3
    assert len(item.documents) == killed.count() == 6
    assert {unit.number: unit.attempts for unit in item.units} == {1: 1, 2: 1, 3: 1} or before == set()
    assert any("whose process has ended" in line for line in killed.said)


def test_repositories_are_those_that_the_exchange_wants(site: Site, project_of: ProjectOf) -> None:
    spec = site.placed.exchange.spec
    assert [one.repository_id for one in local_repositories(spec, site.here.store)] == site.repositories
    site.run()
    theirs = remote_repositories(site.placed, lambda placed, origin: site.peer())
    assert [one.name for one in theirs] == ["repository 1", "repository 2", "repository 3"]


def test_the_newest_sync_of_each_repository_is_found(site: Site) -> None:
    def before(name: str, number: int) -> None:
        if number == 2:
            raise Stop("no")

    assert not site.run(before)[0].good
    assert site.run()[0].good
    found = newest_syncs(site.here.store, ["branch", "mirror"])
    assert sorted(state.order.repository_id for state in found) == site.repositories
    assert {state.status for state in found} == {SyncStatus.COMPLETED}
