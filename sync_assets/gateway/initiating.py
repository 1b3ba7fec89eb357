"""Syncs with other installations: begun, looked at, listed. What a user calls of the protocol, below /api/sync.

`target_server` is the name of a configured peer or its exact address; nobody else is dialled. A sync goes on in this
process after the answer, and in the next one if this dies.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace as changed
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi import Path as InPath
from pydantic import BaseModel, Field

from sync_assets.exchange.work import Direction, Event, Order, SyncState, SyncStatus, Unit, UnitStatus
from sync_assets.gateway.access import Caller, allowed, caller_of
from sync_assets.gateway.envelope import Ok
from sync_assets.gateway.exchanging import may_look, may_see, must_start, sight
from sync_assets.gateway.refusal import Refused, missing
from sync_assets.gateway.wire import Id, Reference

if TYPE_CHECKING:
    from sync_assets.gateway.services import Services

_EVENTS = 500
Anybody = Annotated[Caller, Depends(caller_of)]
Writer = Annotated[Caller, Depends(allowed("write"))]


def _onlooker(request: Request) -> Caller:
    """A caller who may see some sync. Raises 401, 403."""
    caller = caller_of(request)
    if not may_look(caller):
        raise Refused(403, "this needs the scope read, or write for syncs of your own")
    return caller


Onlooker = Annotated[Caller, Depends(_onlooker)]
Target = Annotated[str, Field(min_length=1, max_length=2048)]
Chosen = Annotated[list[Reference], Field(max_length=100_000)]
SyncId = Annotated[str, InPath(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class PushBody(BaseModel):
    """`repository_id` and `document_ids` are ours. `clear_target`: what the peer has besides goes, at the end; with
    `document_ids` only together with `confirm`."""

    target_server: Target
    repository_id: Id
    document_ids: Chosen | None = None
    clear_target: bool = False
    confirm: bool = False


class PullBody(BaseModel):
    """`repository_id` and `document_ids` are the peer's. `clear_local`: what we have besides goes, at the end."""

    target_server: Target
    repository_id: Id
    document_ids: Chosen | None = None
    clear_local: bool = False
    confirm: bool = False


class BegunOut(BaseModel):
    sync_id: str
    repository_id: int
    total_tasks: int
    status: SyncStatus


class DocumentStatusOut(BaseModel):
    document_id: int
    title: str
    status: UnitStatus
    error: str


class TaskStatusOut(BaseModel):
    task_id: int
    title: str
    status: UnitStatus
    attempts: int
    error: str
    documents: list[DocumentStatusOut]


class StatusOut(BegunOut):
    """total = completed + failed + skipped + those still to come. `tasks` only where they were asked for."""

    direction: Direction
    target_server: str
    repository_name: str
    completed_tasks: int
    failed_tasks: int
    skipped_tasks: int
    current_task: str
    error: str
    started_at: datetime | None
    updated_at: datetime | None
    finished_at: datetime | None
    tasks: list[TaskStatusOut] | None = None


class EventOut(BaseModel):
    """What became of one document."""

    type: Literal["DocPushed", "DocPulled"]
    sync_id: str
    repository_id: int
    doc_id: int
    title: str
    target_server: str
    success: bool
    status: UnitStatus
    error: str
    created_at: datetime


class TargetOut(BaseModel):
    """A configured peer. `used_at`: when the latest sync with it began."""

    name: str
    title: str
    url: str
    ways: list[Direction]
    used_at: datetime | None


def router(services: Services) -> APIRouter:
    routes = APIRouter()
    services.at_start.append(services.exchanging.begin)
    services.at_end.append(services.exchanging.end)
    _add_starts(routes, services)
    _add_looks(routes, services)
    return routes


def _add_starts(routes: APIRouter, services: Services) -> None:
    @routes.post("")
    def push(body: PushBody, caller: Writer) -> Ok[BegunOut]:
        """Begin to send a repository, or some of its documents, to a peer. 409 with its id while one is going on."""
        ids, clear = tuple(body.document_ids or ()), body.clear_target
        return Ok(data=_begun(services, caller, body, Direction.PUSH, ids, clear))

    @routes.post("/pull")
    def pull(body: PullBody, caller: Writer) -> Ok[BegunOut]:
        """Begin to fetch a repository, or some of its documents, from a peer. 409 with its id while one is going on."""
        ids, clear = tuple(body.document_ids or ()), body.clear_local
        return Ok(data=_begun(services, caller, body, Direction.PULL, ids, clear))


def _begun(
    services: Services,
    caller: Caller,
    body: PushBody | PullBody,
    direction: Direction,
    document_ids: tuple[int, ...],
    replace: bool,
) -> BegunOut:
    order = Order(
        direction, body.target_server, body.repository_id, document_ids, replace, body.confirm, str(caller)
    )  # fmt: skip
    return _short(begin(services, caller, order))


def begin(services: Services, caller: Caller, order: Order) -> SyncState:
    """Begin what a caller asked for; `order.peer` may be an address. Raises `Refused` (403, 404), as `Exchanging`."""
    must_start(caller, order)
    named = changed(order, peer=services.exchanging.peer(order.peer).name, asked_by=str(caller))
    return services.exchanging.start(named)


def _add_looks(routes: APIRouter, services: Services) -> None:
    syncs = services.syncs

    @routes.get("/status/{sync_id}", response_model=Ok[StatusOut], response_model_exclude_none=False)
    def status(sync_id: SyncId, caller: Onlooker, response: Response, tasks: bool = False) -> Ok[StatusOut]:
        """How a sync stands; with `tasks` what became of each task and document."""
        state = syncs.state(sync_id)
        if state is None or not may_see(caller, state.order):
            raise missing()
        response.headers["Cache-Control"] = "no-store"
        return Ok(data=_status(state, syncs.units(sync_id) if tasks else None))

    @routes.get("/event-list")
    def list_events(
        caller: Onlooker,
        repository_id: Annotated[int | None, Query(ge=1, le=2**63 - 1)] = None,
        mode: Direction | None = None,
        limit: Annotated[int, Query(ge=1, le=_EVENTS)] = 50,
    ) -> Ok[list[EventOut]]:
        """What became of documents, the newest first, of the syncs that the caller may see."""
        found = syncs.events(repository_id=repository_id, direction=mode, sight=sight(caller), limit=limit)
        return Ok(data=[_event(event) for event in found])

    @routes.get("/target-list")
    def list_targets(caller: Anybody) -> Ok[list[TargetOut]]:
        """The configured peers."""
        return Ok(data=targets(services))


def _event(event: Event) -> EventOut:
    return EventOut(
        type="DocPushed" if event.direction is Direction.PUSH else "DocPulled",
        sync_id=event.sync_id,
        repository_id=event.repository_id,
        doc_id=event.document_id,
        title=event.title,
        target_server=event.peer,
        success=event.status is not UnitStatus.FAILED,
        status=event.status,
        error=event.error,
        created_at=event.at,
    )


def targets(services: Services) -> list[TargetOut]:
    """The configured peers, in the order of the YAML."""
    found = []
    for peer in services.peers().values():
        last = services.syncs.recent(peer=peer.name, limit=1)
        ways = [Direction(way) for way in peer.spec.ways]
        used = last[0].started_at if last else None
        found.append(TargetOut(name=peer.name, title=peer.title, url=peer.url, ways=ways, used_at=used))
    return found


def _short(state: SyncState) -> BegunOut:
    return BegunOut(
        sync_id=state.sync_id,
        repository_id=state.order.repository_id,
        total_tasks=state.total,
        status=state.status,
    )


def _status(state: SyncState, units: Iterable[Unit] | None) -> StatusOut:
    return StatusOut(
        **_short(state).model_dump(),
        direction=state.order.direction,
        target_server=state.order.peer,
        repository_name=state.repository_name,
        completed_tasks=state.succeeded,
        failed_tasks=state.failed,
        skipped_tasks=state.skipped,
        current_task=state.current,
        error=state.error,
        started_at=state.started_at,
        updated_at=state.updated_at,
        finished_at=state.finished_at,
        tasks=None if units is None else [_task(unit) for unit in units],
    )


def _task(unit: Unit) -> TaskStatusOut:
    documents = [
        DocumentStatusOut(document_id=d.document_id, title=d.title, status=d.status, error=d.error)
        for d in unit.documents
    ]
    return TaskStatusOut(
        task_id=unit.task_id, title=unit.title, status=unit.status, attempts=unit.attempts, error=unit.error,
        documents=documents,
    )  # fmt: skip
