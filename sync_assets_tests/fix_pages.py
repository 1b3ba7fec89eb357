"""The page of the exchange over a desk that is made by hand: hostile titles, a thousand documents, a sync that goes on.

The page itself, its middleware and its forms are real; only what is behind the desk is not. Whole installations that
exchange are in `fix_exchange_page`.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import uvicorn
from fastapi import FastAPI, Request, Response

from sync_assets.engine.errors import RejectRow, Retry, SyncError
from sync_assets.exchange.model import Cleared, Document, Id, Repository
from sync_assets.exchange.work import (
    AlreadyRunning,
    Direction,
    DocumentOutcome,
    Order,
    Sight,
    SyncState,
    SyncStatus,
    Unit,
    UnitStatus,
)
from sync_assets.gateway.access import COOKIE, Caller
from sync_assets.gateway.door import Signed
from sync_assets.gateway.exchanging import sight
from sync_assets.gateway.pages import router
from sync_assets.gateway.pages.desk import PeerChoice
from sync_assets.gateway.pages.shown import Shown
from sync_assets.gateway.refusal import Refused, stranger
from sync_assets.store.gateway.scopes import Action

WHEN = datetime(2026, 2, 13, 4, 30, tzinfo=UTC)
HOSTILE = (
    "<script>document.title='owned'</script>",
    '"><img src=x onerror="document.title=\'owned\'">',
    "'; alert(1); //",
    "{{ 7 * 7 }} {% raw %} ${7*7}",
    "\u202egnp.\u202d exe \u202e right to left",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f680 \u4e2d\u6587\u6807\u9898\uff1a\u201c\u5f15\u53f7\u201d",
    "a_very_long_name_without_any_place_to_break_" * 12,
    "</title></textarea></pre><style>*{display:none}</style>",
    "javascript:alert(1)",
    "&lt;b&gt; &amp;amp; &#x3c;",
    "",
)
STATES = ("pending", "queued", "running", "succeeded", "failed", "canceled")
PASSWORD = "correct horse battery"


def a_page_document(id: Id, title: str) -> Document:
    return Document(id, 7, id, title, f"{id}.md", "", created_at=WHEN + timedelta(minutes=id))


@dataclass
class Shelf:
    """What is here: `Library`, as far as the page asks it."""

    kept: list[tuple[Document, str]] = field(default_factory=list)
    names: dict[Id, str] = field(default_factory=lambda: {7: "handbook", 8: "<b>secret</b>"})

    def repositories(self, of: Sequence[Id] | None = None) -> list[Repository]:
        made = [Repository(id, name, clone_branch="main", updated_at=WHEN) for id, name in self.names.items()]
        return [r for r in made if of is None or r.repository_id in of]

    def documents(self, repository_id: Id) -> list[tuple[Document, str]]:
        if repository_id not in self.names:
            raise RejectRow("unknown repository", code="unknown_repository")
        return [pair for pair in self.kept if pair[0].repository_id == repository_id]


@dataclass
class Book:
    """Syncs: `SyncStore`, as far as the page asks it."""

    states: dict[str, SyncState] = field(default_factory=dict)
    outcomes: dict[str, list[Unit]] = field(default_factory=dict)

    def state(self, sync_id: str) -> SyncState | None:
        return self.states.get(sync_id)

    def units(self, sync_id: str) -> list[Unit]:
        return self.outcomes.get(sync_id, [])

    def recent(self, *, direction: Direction | None = None, peer: str | None = None, sight: Sight | None = None,
               limit: int = 50, repository_id: Id | None = None) -> list[SyncState]:  # fmt: skip
        return [
            s for s in self.states.values()
            if direction in (None, s.order.direction) and peer in (None, s.order.peer)
            and (sight is None or s.order.repository_id in sight.repositories)
        ][:limit]  # fmt: skip


@dataclass
class FarShelf:
    """A peer, as far as the page asks it."""

    shelf: Shelf
    broken: bool = False

    def repositories(self) -> list[Repository]:
        if self.broken:
            raise Retry("peer berlin does not answer", hint="is it running?", code="connect")
        return self.shelf.repositories()

    def documents(self, repository_id: Id) -> list[tuple[Id, str, str, datetime | None]]:
        return [(d.document_id, d.title, status, d.created_at) for d, status in self.shelf.documents(repository_id)]

    def close(self) -> None:
        pass


@dataclass
class HandDesk:
    """A desk whose drawers tests fill. What was ordered is in `orders`."""

    library: Any = field(default_factory=Shelf)
    syncs: Any = field(default_factory=Book)
    far: FarShelf = field(default_factory=lambda: FarShelf(Shelf()))
    orders: list[Order] = field(default_factory=list)
    running: str = ""
    refusal: SyncError | None = None  # of what is started
    attempts: int = 0
    ended: list[str] = field(default_factory=list)
    sessions: dict[str, Caller] = field(default_factory=dict)
    scopes: tuple[str, ...] = ("read:*", "write:*", "clear:*")

    def pace(self, name: str, address: str) -> None:
        self.attempts += 1
        if self.attempts > 5:
            raise Refused(429, "too many logins", {"Retry-After": "33"})

    def sign_in(self, name: str, password: str, request_id: str) -> Signed | None:
        if password != PASSWORD:
            return None
        self.sessions[f"token-{name}"] = Caller(name, self.scopes, "user")
        return Signed(f"token-{name}", f"refresh-{name}", 3600)

    def sign_out(self, refresh: str, request_id: str) -> None:
        self.ended.append(refresh)
        self.sessions.clear()

    def may_see(self, caller: Caller, state: SyncState) -> bool:
        return caller.may("read", state.order.repository_id)

    def sight(self, caller: Caller) -> Sight | None:
        return sight(caller)

    def may_start(self, caller: Caller, order: Order) -> bool:
        wanted: tuple[Action, ...] = ("read", "write", *(("clear",) if order.replace else ()))
        return all(caller.may(action, order.repository_id) for action in wanted)

    def peers(self) -> list[PeerChoice]:
        both = (Direction.PUSH, Direction.PULL)
        return [
            PeerChoice("berlin", "Berlin <HQ>", "https://berlin.example.org/api/sync", both),
            PeerChoice("shanghai", "\u4e0a\u6d77", "https://shanghai.example.org/api/sync", (Direction.PUSH,)),
        ]

    def open_peer(self, name: str) -> Any:
        return self.far

    def document(self, repository_id: Id, document_id: Id) -> tuple[Document, str] | None:
        for document, status in self.library.kept:
            if (document.repository_id, document.document_id) == (repository_id, document_id):
                return replace(document, content=f"{document.title}\n<script>alert(1)</script>"), status
        return None

    def start(self, caller: Caller, order: Order) -> SyncState:
        if self.running:
            raise AlreadyRunning(self.running, "handbook")
        if self.refusal:
            raise self.refusal
        self.orders.append(order)
        state = SyncState(f"s{len(self.orders)}", order, SyncStatus.IN_PROGRESS, "handbook", started_at=WHEN)
        self.syncs.states[state.sync_id] = state
        return state

    def add_sync(self, sync_id: str, status: SyncStatus, titles: Sequence[str], **facts: Any) -> SyncState:
        """A sync with a unit for each title: succeeded, failed, skipped in turn."""
        turn = (UnitStatus.SUCCEEDED, UnitStatus.FAILED, UnitStatus.SKIPPED)
        units = [
            Unit(n, n, f"task of {title}", turn[n % 3], 1, f"refused: {title}" if n % 3 == 1 else "",
                 (DocumentOutcome(n, title, turn[n % 3], f"refused: {title}" if n % 3 == 1 else ""),))
            for n, title in enumerate(titles)
        ]  # fmt: skip
        done, failed, skipped = (sum(unit.status is status for unit in units) for status in turn)
        order = Order(Direction.PUSH, "berlin", 7, asked_by="user:ada")
        made = SyncState(
            sync_id, order, status, "handbook", len(units), done, failed, skipped, started_at=WHEN, **facts
        )
        self.syncs.states[sync_id] = made
        self.syncs.outcomes[sync_id] = units
        return made


def filled(count: int = 0) -> HandDesk:
    """A desk with the hostile titles, or `count` documents, on both sides, and syncs in every state."""
    desk = HandDesk()
    titles = HOSTILE if not count else [f"\u7b2c {n} \u7ae0 chapter {n}" for n in range(1, count + 1)]
    documents = [(a_page_document(n, title), STATES[n % 6]) for n, title in enumerate(titles, 1)]
    desk.library.kept = documents
    desk.far.shelf.kept = documents
    for status in SyncStatus:
        ended = None if status is SyncStatus.IN_PROGRESS else WHEN + timedelta(seconds=42)
        desk.add_sync(f"sync-{status}", status, titles, finished_at=ended, current=titles[0])
    desk.syncs.states["sync-failed"] = replace(
        desk.syncs.states["sync-failed"], error=HOSTILE[0], cleared=Cleared(1, 2, 3)
    )
    return desk


def page_app(desk: HandDesk) -> FastAPI:
    """The page as the gateway serves it, with a gatekeeper of three lines in front."""
    app = FastAPI(exception_handlers={Refused: lambda _, refused: refused.response()})

    @app.middleware("http")
    async def admit(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        caller = desk.sessions.get(request.cookies.get(COOKIE, ""))
        if caller is None and not request.url.path.startswith(("/pages/login", "/pages/static/")):
            return stranger().response()
        request.state.caller = caller
        return await go_on(request)

    app.add_middleware(Shown)
    app.include_router(router(cast(Any, None), desk))
    return app


@dataclass
class Reader:
    """A browser without scripts: follows links and sends the forms that it finds."""

    http: httpx.Client

    def see(self, path: str, **headers: str) -> httpx.Response:
        return self.http.get(path, headers={"Accept": "text/html", **headers})

    def sign_in(self, name: str = "ada", password: str = PASSWORD, path: str = "/pages/login") -> httpx.Response:
        return self.send(self.see(path), "/pages/login", name=name, password=password)

    def send(self, page: httpx.Response, action: str, **changed: str | list[str]) -> httpx.Response:
        """Fill in and send the form of a page. Fields that a person cannot change stay as they are."""
        fields = {**form_of(page.text, action), **changed}
        return self.http.post(action, data=fields, headers={"Accept": "text/html", "Origin": origin_of(page)})


def origin_of(page: httpx.Response) -> str:
    return f"{page.url.scheme}://{page.url.netloc.decode()}"


class _Forms(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: dict[str, dict[str, str | list[str]]] = {}
        self._now: dict[str, str | list[str]] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self._now = self.forms.setdefault(given.get("action", ""), {})
        elif tag == "input" and _sent(given):
            self._now[given["name"]] = given.get("value", "")


def _sent(given: dict[str, str]) -> bool:
    ticked = given.get("type") not in ("checkbox", "radio") or "checked" in given
    return ticked and "name" in given and "disabled" not in given


def form_of(text: str, action: str) -> dict[str, str | list[str]]:
    """The fields of a form as a browser would send them untouched."""
    parser = _Forms()
    parser.feed(text)
    assert action in parser.forms, f"no form to {action} among {sorted(parser.forms)}"
    return dict(parser.forms[action])


def query_of(answer: httpx.Response) -> dict[str, list[str]]:
    return parse_qs(urlsplit(answer.headers["location"]).query)


@contextmanager
def served(desk: HandDesk) -> Iterator[str]:
    """The page of a desk on a free port; its address."""
    server = uvicorn.Server(uvicorn.Config(page_app(desk), log_config=None, lifespan="off", ws="none"))
    with socket.create_server(("127.0.0.1", 0)) as listener, in_thread(server, listener):
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


@contextmanager
def reader_of(desk: HandDesk) -> Iterator[Reader]:
    with served(desk) as url, httpx.Client(base_url=url, trust_env=False, timeout=30) as http:
        yield Reader(http)


@contextmanager
def in_thread(server: uvicorn.Server, listener: socket.socket) -> Iterator[None]:
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="page")
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the page did not start"
            thread.join(0.01)
        yield
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive(), "the page did not end"


@pytest.fixture
def desk() -> HandDesk:
    """A desk with hostile titles and syncs in every state."""
    return filled()


@pytest.fixture
def reader(desk: HandDesk) -> Iterator[Reader]:
    """Somebody in front of the page of `desk`, not signed in."""
    with reader_of(desk) as made:
        yield made


@pytest.fixture
def ada(reader: Reader) -> Reader:
    """... signed in, with all rights."""
    assert reader.sign_in().status_code == 303
    return reader
