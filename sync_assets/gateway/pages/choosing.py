"""Choosing a peer, a direction, a repository and its documents, and beginning a sync.

Must not know how a sync is carried out: `Desk.start` is the same door as ``POST /api/sync``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from sync_assets.engine.errors import SyncError
from sync_assets.exchange.model import Id, Repository
from sync_assets.exchange.work import AlreadyRunning, Direction, Order, Peer
from sync_assets.gateway.access import Caller, caller_of
from sync_assets.gateway.pages.desk import Desk, PeerChoice, readable
from sync_assets.gateway.pages.forms import Form, our_form
from sync_assets.gateway.pages.rendering import link, render
from sync_assets.gateway.refusal import missing, of_error


@dataclass(frozen=True, slots=True)
class Listed:
    """A document as it is offered; `href` leads to it where it lives."""

    id: Id
    title: str
    status: str
    created_at: datetime | None
    href: str


@dataclass(frozen=True, slots=True)
class Choice:
    """How far somebody has come in choosing."""

    peers: Sequence[PeerChoice]
    peer: PeerChoice | None = None
    direction: Direction = Direction.PUSH
    repositories: Sequence[Repository] = ()
    repository: Repository | None = None
    documents: Sequence[Listed] = ()
    trouble: str = ""  # why the peer could not be asked
    hint: str = ""
    code: str = ""

    @property
    def possible(self) -> bool:
        return self.peer is not None and self.direction in self.peer.ways


def add(router: APIRouter, desk: Desk) -> None:
    """The routes of choosing and beginning."""

    @router.get("/")
    def first() -> Response:
        return RedirectResponse("/pages", 303)

    @router.get("/pages")
    def choose(
        request: Request, caller: Annotated[Caller, Depends(caller_of)], peer: str = "", direction: str = "",
        repository: str = "",
    ) -> Response:  # fmt: skip
        choice = _chosen(desk, caller, peer, direction, repository)
        return _page(request, desk, caller, choice, Form({}))

    @router.post("/pages/start")
    def start(
        request: Request, caller: Annotated[Caller, Depends(caller_of)], form: Annotated[Form, Depends(our_form)]
    ) -> Response:
        choice = _chosen(desk, caller, form.one("peer"), form.one("direction"), form.one("repository"))
        if choice.trouble:
            return _page(request, desk, caller, choice, form, status=502)
        if choice.repository is None or not choice.possible:
            raise missing()
        order = _order(choice, form, caller)
        wrong = _wrong(choice, form, order)
        if wrong:
            return _page(request, desk, caller, choice, form, status=400, wrong=wrong)
        return _begin(request, desk, caller, choice, form, order)


def _begin(request: Request, desk: Desk, caller: Caller, choice: Choice, form: Form, order: Order) -> Response:
    try:
        state = desk.start(caller, order)
    except AlreadyRunning as running:
        return RedirectResponse(link(f"/pages/sync/{running.sync_id}", running=1), 303)
    except SyncError as error:
        failed = replace(choice, trouble=error.message, hint=error.hint, code=error.code)
        status = of_error(error).status_code
        return _page(request, desk, caller, failed, form, status=status, wrong="failed")
    return RedirectResponse(f"/pages/sync/{state.sync_id}", 303)


def _page(
    request: Request, desk: Desk, caller: Caller, choice: Choice, form: Form, *, status: int = 200, wrong: str = ""
) -> Response:
    return render(
        request,
        "choose.html",
        status=status,
        choice=choice,
        wrong=wrong,
        startable=_may(desk, caller, choice, clear=False),
        clearable=_may(desk, caller, choice, clear=True),
        ticked=frozenset(form.fields.get("document", ())),
        some=form.one("what") == "some",
        clear=bool(form.one("clear")),
    )


def _may(desk: Desk, caller: Caller, choice: Choice, *, clear: bool) -> bool:
    if choice.peer is None or choice.repository is None:
        return False
    wanted = Order(choice.direction, choice.peer.name, choice.repository.repository_id, replace=clear)
    return desk.may_start(caller, wanted)


# -- what can be chosen ---------------------------------------------------------------------------------------------


def _chosen(desk: Desk, caller: Caller, peer: str, direction: str, repository: str) -> Choice:
    """Raises 404 for what is not there, or not for the caller."""
    peers = desk.peers()
    choice = Choice(peers, direction=Direction.PULL if direction == Direction.PULL else Direction.PUSH)
    if not peer:
        return choice
    found = next((p for p in peers if p.name == peer), None)
    if found is None:
        raise missing()
    choice = replace(choice, peer=found)
    if not choice.possible:
        return choice
    if choice.direction is Direction.PUSH:
        return _of_here(desk, caller, choice, repository)
    caller.must("write", None)  # as a pull does: what a peer shows us is not for everybody
    return _of_there(desk, choice, found, repository)


def _of_here(desk: Desk, caller: Caller, choice: Choice, wanted: str) -> Choice:
    choice = replace(choice, repositories=readable(desk, caller))
    repository = _pick(choice.repositories, wanted)
    if repository is None:
        return choice
    number = repository.repository_id
    documents = [
        Listed(d.document_id, d.title, status, d.created_at, f"/repo/{number}/doc/{d.document_id}")
        for d, status in desk.library.documents(number)
    ]
    return replace(choice, repository=repository, documents=documents)


def _of_there(desk: Desk, choice: Choice, peer: PeerChoice, wanted: str) -> Choice:
    """What the peer shows; where it cannot be asked, why."""
    try:
        with _opened(desk, peer.name) as line:
            choice = replace(choice, repositories=line.repositories())
            repository = _pick(choice.repositories, wanted)
            if repository is None:
                return choice
            number = repository.repository_id
            documents = [
                Listed(id, title, status, at, f"{peer.page}/repo/{number}/doc/{id}")
                for id, title, status, at in line.documents(number)
            ]
            return replace(choice, repository=repository, documents=documents)
    except SyncError as error:
        return replace(choice, trouble=error.message, hint=error.hint, code=error.code)


@contextmanager
def _opened(desk: Desk, name: str) -> Iterator[Peer]:
    line = desk.open_peer(name)
    try:
        yield line
    finally:
        line.close()


def _pick(repositories: Sequence[Repository], wanted: str) -> Repository | None:
    """The wanted one, None where none is wanted. Raises 404."""
    if not wanted:
        return None
    found = next((r for r in repositories if str(r.repository_id) == wanted), None)
    if found is None:
        raise missing()
    return found


# -- what was asked for ---------------------------------------------------------------------------------------------


def _order(choice: Choice, form: Form, caller: Caller) -> Order:
    if choice.peer is None or choice.repository is None:
        raise missing()
    some, clear = form.one("what") == "some", bool(form.one("clear"))
    return Order(
        choice.direction, choice.peer.name, choice.repository.repository_id,
        document_ids=form.ids("document") if some else (), replace=clear, confirm=clear, asked_by=str(caller),
    )  # fmt: skip


def _wrong(choice: Choice, form: Form, order: Order) -> str:
    """What keeps the form from being carried out: `nothing` is ticked, or the typed name is a `mismatch`."""
    if form.one("what") == "some" and not order.document_ids:
        return "nothing"
    name = choice.repository.name if choice.repository else ""
    if order.replace and _typed(form.one("typed")) != _typed(name):
        return "mismatch"
    return ""


def _typed(text: str) -> str:
    """A browser shows runs of blanks as one, and a name with blanks around it without them."""
    return " ".join(text.split())
