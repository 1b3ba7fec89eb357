"""Push and pull over HTTP: between two gateways of ours, and with an installation of the original program."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from sync_assets.engine.errors import RejectRow, Retry, Stop, SyncError, TooLarge, Unclear
from sync_assets.engine.holder import holder_name
from sync_assets.exchange import engine
from sync_assets.exchange.model import PackReceived
from sync_assets.exchange.work import Direction, Order, SyncState, SyncStatus
from sync_assets.gateway import wire as served
from sync_assets.project.exchange import wire
from sync_assets.project.exchange.network import internal
from sync_assets.project.exchange.peer import HttpPeer
from sync_assets.store.exchange.library import PostgresLibrary
from sync_assets.store.exchange.syncs import PostgresSyncs
from sync_assets.testing.http_faults import KINDS, Fault, FaultyDoor, Kind
from sync_assets.testing.original_peer import OriginalPeer
from sync_assets_tests.fix_exchange import Installation, a_pack, a_repository
from sync_assets_tests.fix_gateway import Gateway
from sync_assets_tests.integration.exchange_scenes import own_repository, shape

HERE = internal(["127.0.0.0/8"])
TASKS = 7


@dataclass
class Line:
    """An installation, and a peer over HTTP through a door that misbehaves."""

    here: Installation
    door: FaultyDoor
    direction: Direction
    key: str = ""
    repository: int = 0
    slept: list[float] = field(default_factory=list)

    @property
    def syncs(self) -> PostgresSyncs:
        return PostgresSyncs(self.here.store)

    def peer(self, seconds: float = 15.0) -> HttpPeer:
        opener = (lambda: self.key) if self.key else None
        origin = self.syncs.deployment_id()
        return HttpPeer("other", self.door.url, opener, HERE, sleep=self.slept.append, origin=origin, seconds=seconds)

    def run(self, *, seconds: float = 15.0, resume: str = "", **order: Any) -> SyncState:
        peer = self.peer(seconds)
        more: dict[str, Any] = {"holder": holder_name("test"), "sleep": self.slept.append}
        try:
            if resume:
                return engine.resume(resume, self.here.library, peer, self.syncs, **more)
            wanted = Order(self.direction, "other", self.repository, **order)
            return engine.run(wanted, self.here.library, peer, self.syncs, **more)
        finally:
            peer.close()

    def last(self) -> SyncState:
        return self.syncs.recent()[0]


def of_gateway(gateway: Gateway) -> Installation:
    return Installation("other", gateway.address, gateway.store, PostgresLibrary(gateway.store.sessions))


@pytest.fixture(params=list(Direction))
def ours(request: pytest.FixtureRequest, here: Installation, gateway: Gateway) -> Iterator[tuple[Line, Installation]]:
    """A line to a gateway of ours, and what is behind it. The source has a repository of some tasks."""
    there = of_gateway(gateway)
    with FaultyDoor(int(gateway.url.rpartition(":")[2])) as door:
        line = Line(here, door, request.param, gateway.key("read:*", "write:*", "clear:*"))
        line.repository = own_repository(here if request.param is Direction.PUSH else there, TASKS)
        yield line, there


def settled(line: Line, there: Installation, state: SyncState) -> None:
    assert (state.status, state.total, state.succeeded) == (SyncStatus.COMPLETED, TASKS, TASKS), state
    assert shape(line.here) == shape(there)
    assert len(shape(there)) == 2 * TASKS


def test_between_two_of_ours_all_arrives_in_few_calls(ours: tuple[Line, Installation]) -> None:
    line, there = ours
    settled(line, there, line.run())
    paths = [seen.path.removeprefix("/api/sync/") for seen in line.door.seen]
    push = ["ping", "repository-upsert", "packs", "link"]
    assert paths == (push if line.direction is Direction.PUSH else ["ping", "pull-export"])


def test_a_second_time_changes_nothing(ours: tuple[Line, Installation]) -> None:
    line, there = ours
    line.run()
    before = line.here.everything(), there.everything()
    assert line.run().status is SyncStatus.COMPLETED
    assert (line.here.everything(), there.everything()) == before


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", range(1, 6))
def test_a_peer_that_fails_once_at_any_call_is_called_again(
    ours: tuple[Line, Installation], kind: Kind, call: int
) -> None:
    line, there = ours
    line.door.plan = [Fault(call, kind, retry_after="7")]
    state = line.run(seconds=0.5 if kind == "silent" else 15.0, replace=True)
    settled(line, there, state)
    made = 5 if line.direction is Direction.PUSH else 2
    assert line.door.calls == made + (call <= made)
    assert all(7 <= seconds < 8 for seconds in line.slept) if kind == "429" else True
    assert len(line.slept) == (call <= made)
    failed = [seen for seen in line.door.seen if seen.status in (0, 500, 429)]
    again = {seen.key for seen in line.door.seen if seen.status == 200}
    assert all(seen.key in again for seen in failed)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", range(1, 6))
def test_a_peer_that_goes_on_failing_from_any_call_is_made_good_later(
    ours: tuple[Line, Installation], kind: Kind, call: int
) -> None:
    line, there = ours
    line.door.plan = [Fault(call, kind, times=1_000, seconds=0.2)]
    seconds = 0.1 if kind == "silent" else 15.0
    made = 5 if line.direction is Direction.PUSH else 2
    if call > made:
        return settled(line, there, line.run(replace=True))
    with pytest.raises(Retry):
        line.run(seconds=seconds, replace=True)
    state = line.last()
    assert state.status is SyncStatus.FAILED and state.error
    assert state.total == state.succeeded + state.failed + state.skipped
    line.door.heal()
    settled(line, there, line.run(resume=state.sync_id))
    assert len(line.syncs.recent()) == 1
    return None


def test_an_answer_that_was_lost_is_unclear_for_writes(ours: tuple[Line, Installation]) -> None:
    line, _ = ours
    peer = line.peer()
    line.door.plan = [Fault(2, "cut_after", times=99)]
    peer.ping()
    with pytest.raises(Unclear):
        peer.put_repository(a_repository(5), "s1")
    with pytest.raises(Retry) as lost:
        peer.repositories()
    assert not isinstance(lost.value, Unclear)
    assert len({seen.key for seen in line.door.seen if seen.path.endswith("upsert")}) == 1
    peer.close()


def test_the_same_write_has_the_same_key_in_another_process_too(ours: tuple[Line, Installation]) -> None:
    line, _ = ours
    for repository, sync_id in ((5, "s1"), (5, "s1"), (5, "s2"), (6, "s1")):
        peer = line.peer()
        peer.put_repository(a_repository(repository), sync_id)
        peer.close()
    keys = [seen.key for seen in line.door.seen]
    assert keys[0] == keys[1] and len(set(keys)) == 3


def test_a_wrong_key_is_told_and_not_tried_again(ours: tuple[Line, Installation]) -> None:
    line, _ = ours
    line.key = "sak_wrong"
    with pytest.raises(Stop, match="key"):
        line.run()
    assert line.door.calls == 1 and line.slept == []
    assert "sak_wrong" not in line.last().error


def test_replacing_leaves_what_the_sync_brought(ours: tuple[Line, Installation]) -> None:
    line, there = ours
    line.run()
    source = line.here if line.direction is Direction.PUSH else there
    source.rows("delete from sync_assets.exchange_task where title = 'task 3' returning 1")
    state = line.run(replace=True)
    assert state.cleared is not None and (state.cleared.tasks, state.cleared.documents) == (1, 2)
    assert shape(line.here) == shape(there) and len(shape(there)) == 2 * (TASKS - 1)


def test_chosen_documents_and_wrong_ones(ours: tuple[Line, Installation]) -> None:
    line, there = ours
    source = line.here if line.direction is Direction.PUSH else there
    ids = [document.document_id for document, _ in source.library.documents(line.repository)][:3]
    with pytest.raises(SyncError):
        line.run(document_ids=(ids[0], 9_999_999))
    assert line.last().total == 0
    state = line.run(document_ids=tuple(ids))
    assert (state.status, state.total) == (SyncStatus.COMPLETED, 2)


def test_lists_of_a_peer(ours: tuple[Line, Installation]) -> None:
    line, there = ours
    peer = line.peer()
    assert [r.name for r in peer.repositories()] == [r.name for r in there.library.repositories()]
    for repository in there.library.repositories():
        found = [(d.document_id, d.title, s) for d, s in there.library.documents(repository.repository_id)]
        assert [each[:3] for each in peer.documents(repository.repository_id)] == found
    peer.close()


# -- an installation of the original program


@pytest.fixture
def old(here: Installation) -> Iterator[tuple[Line, OriginalPeer]]:
    """It has nothing, we have a repository."""
    with OriginalPeer() as peer, FaultyDoor(peer.port) as door:
        line = Line(here, door, Direction.PUSH)
        line.repository = own_repository(here, TASKS)
        yield line, peer


def arrived(line: Line, peer: OriginalPeer) -> None:
    """Everything is there once, under our ids, each task with its document."""
    shelf = peer.shelf
    assert {n: d["content"] for n, d in shelf.documents.items()} == dict(
        line.here.rows("select document_id, content from sync_assets.exchange_document")
    )
    chosen = dict(line.here.rows("select task_id, doc_id from sync_assets.exchange_task"))
    assert {n: t["doc_id"] for n, t in shelf.tasks.items()} == chosen
    assert {n: len(u) for n, u in shelf.usages.items()} == dict.fromkeys(chosen, 1)


def test_an_original_peer_is_spoken_to_as_it_always_was(old: tuple[Line, OriginalPeer]) -> None:
    line, peer = old
    state = line.run()
    assert (state.status, state.succeeded) == (SyncStatus.COMPLETED, TASKS)
    arrived(line, peer)
    assert peer.calls == {"ping": 1, "repository-upsert": 1, "task-create": 7, "document-create": 14,
                          "task-update-docid": 7, "task-usage-create": 7}  # fmt: skip


def test_a_document_that_the_original_refuses_is_counted(old: tuple[Line, OriginalPeer]) -> None:
    line, peer = old
    bad = next(iter(line.here.rows("select min(document_id) from sync_assets.exchange_document")))[0]
    peer.refuse = {bad}
    state = line.run()
    assert (state.status, state.succeeded, state.failed) == (SyncStatus.PARTIAL, TASKS - 1, 1)
    events = [e for e in line.syncs.events(limit=99) if e.error]
    assert [e.document_id for e in events] == [bad]
    peer.refuse = set()
    assert line.run(resume=state.sync_id).status is SyncStatus.COMPLETED
    assert peer.calls["task-create"] == TASKS + 1  # what had succeeded was not sent again
    arrived(line, peer)


def test_an_unknown_repository_is_sent_again_and_the_task_once_more(old: tuple[Line, OriginalPeer]) -> None:
    line, peer = old
    real = peer.answer

    def forgets(method: str, target: str, body: dict[str, Any]) -> Any:
        if target.endswith("task-create") and peer.calls["task-create"] == 2:
            peer.shelf.repositories.clear()
        return real(method, target, body)

    peer.answer = forgets  # type: ignore[method-assign]
    assert line.run().status is SyncStatus.COMPLETED
    assert peer.calls["repository-upsert"] == 2
    arrived(line, peer)


def test_an_original_peer_cannot_replace_in_stages_and_that_is_said(old: tuple[Line, OriginalPeer]) -> None:
    line, peer = old
    peer.shelf.repositories[line.repository] = {"repository_id": line.repository}
    peer.shelf.tasks[999] = {"task_id": 999, "repository_id": line.repository}
    state = line.run(replace=True)
    assert state.status is SyncStatus.COMPLETED and "cannot replace in stages" in state.error
    arrived(line, peer)
    assert list(line.door.seen[2].path.split("/"))[-1] == "repository-clear"


@pytest.mark.parametrize("kind", ["500", "cut_before", "cut_after"])
@pytest.mark.parametrize("call", [1, 2, 3, 4, 5, 6, 7, 8, 12, 25, 37])
def test_an_original_peer_may_fail_anywhere_too(old: tuple[Line, OriginalPeer], kind: Kind, call: int) -> None:
    line, peer = old
    line.door.plan = [Fault(call, kind, times=1_000)]
    if (call, kind) == (37, "500"):  # the very last call: it may be for what was sent
        assert line.run().status is SyncStatus.PARTIAL
    else:
        with pytest.raises(Retry):
            line.run()
    state = line.last()
    assert state.status is not SyncStatus.COMPLETED
    assert state.total == state.succeeded + state.failed + state.skipped
    line.door.heal()
    assert line.run(resume=state.sync_id).succeeded == TASKS
    arrived(line, peer)


def test_one_document_at_which_the_original_breaks_does_not_hold_up_the_rest(old: tuple[Line, OriginalPeer]) -> None:
    line, _ = old
    line.door.plan = [Fault(4, "500", times=4)]  # all tries of one call
    state = line.run()
    assert (state.status, state.succeeded, state.failed) == (SyncStatus.PARTIAL, TASKS - 1, 1)


def test_pull_from_an_original_peer(old: tuple[Line, OriginalPeer], there: Installation) -> None:
    line, _ = old
    line.run()
    back = Line(there, line.door, Direction.PULL, repository=line.repository)
    assert back.run().succeeded == TASKS
    assert shape(there) == shape(line.here)
    before = there.everything()
    assert back.run().status is SyncStatus.COMPLETED
    assert there.everything() == before


# -- what a peer may answer


@dataclass
class Talker:
    """A server that answers what it is told."""

    status: int = 200
    body: bytes = b'{"code": "OK"}'
    headers: dict[str, str] = field(default_factory=dict)
    seen: list[dict[str, str]] = field(default_factory=list)


@pytest.fixture
def talker() -> Iterator[tuple[Talker, Callable[[], HttpPeer]]]:
    told = Talker()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            told.seen.append(dict(self.headers.items()))
            self.send_response_only(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(told.body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    class Quiet(HTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A caller that has read enough is no news."""

    server = Quiet(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    made: list[HttpPeer] = []

    def peer() -> HttpPeer:
        url = f"http://127.0.0.1:{server.server_address[1]}/api/sync"
        made.append(HttpPeer("odd", url, lambda: "sak_canary", HERE, sleep=lambda s: None))
        return made[-1]

    yield told, peer
    for one in made:
        one.close()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("status", "headers", "kind"),
    [
        (301, {"Location": "http://127.0.0.1:1/"}, Stop), (307, {"Location": "/api/sync/ping"}, Stop),
        (400, {}, RejectRow), (401, {}, Stop), (403, {}, Stop), (404, {}, RejectRow), (409, {}, RejectRow),
        (413, {}, TooLarge), (429, {}, Retry), (500, {}, Retry), (503, {"Retry-After": "999"}, Retry),
    ],
)  # fmt: skip
def test_statuses_are_sorted_by_what_is_to_be_done(
    talker: tuple[Talker, Callable[[], HttpPeer]], status: int, headers: dict[str, str], kind: type[SyncError]
) -> None:
    told, peer = talker
    told.status, told.headers, told.body = status, headers, b'{"error": "row value 4711"}'
    with pytest.raises(kind) as refused:
        peer().ping()
    assert "4711" not in str(refused.value) and "sak_canary" not in str(refused.value)
    retried = kind is Retry and not headers
    assert len(told.seen) == (4 if retried else 1)
    assert told.seen[0]["Authorization"] == "Bearer sak_canary"


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b'{"code": "NO"}', b"[" * 100_000, b'{"code":"OK","data":[{"repository_id":"x"}]}',
             b'{"code":"OK","data":[{"repository_id":true}]}', b'{"code":"OK","data":{"items":7}}']
)  # fmt: skip
def test_what_is_not_of_the_protocol_is_refused(talker: tuple[Talker, Callable[[], HttpPeer]], body: bytes) -> None:
    told, peer = talker
    told.body = body
    with pytest.raises(SyncError):
        peer().repositories()


def test_an_answer_without_end_is_not_read(talker: tuple[Talker, Callable[[], HttpPeer]]) -> None:
    told, peer = talker
    told.body = b" " * 70_000_000
    with pytest.raises(Stop, match="too large"):
        peer().ping()


def test_no_proxy_of_the_environment_is_used(
    talker: tuple[Talker, Callable[[], HttpPeer]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    told, peer = talker
    peer().ping()
    assert len(told.seen) == 1


# -- both sides mean the same


def test_client_and_gateway_agree_on_every_field() -> None:
    pack = a_pack(3, [31, 32], 5, run_after=2, error_msg="\u574f")
    out = json.loads(json.dumps(wire.pack_out(pack)))
    assert served.pack(served.PackBody.model_validate(out)) == pack
    repository = a_repository(5, size_mb=1.5, clone_branch="b", clone_commit_id="c")
    assert served.repository(served.RepositoryBody.model_validate(wire.repository_out(repository))) == repository
    from sync_assets.exchange.model import ExportPage

    page = served.exported(ExportPage((pack,)), of=repository, export="e", total=1)
    data = json.loads(page.model_dump_json(exclude_none=True))
    assert wire.packs_in(data) == (pack,)
    assert wire.repository_in(data["repository"]) == repository


def test_half_a_character_is_the_unit_that_fails(old: tuple[Line, OriginalPeer]) -> None:
    line, _ = old
    peer = line.peer()
    good, bad = a_pack(1, [11], line.repository), a_pack(2, [22], line.repository, title="\ud800")
    peer.put_repository(a_repository(line.repository), "s")
    outcomes = peer.put_packs([good, bad], "s")
    assert isinstance(outcomes[0], PackReceived) and isinstance(outcomes[1], RejectRow)
    peer.close()
