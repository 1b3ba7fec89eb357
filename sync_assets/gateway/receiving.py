"""What other installations send: the receiving half of the protocol, below /api/sync.

Ids in repository_id, and in task_id of task-create, are the sender's; those in an answer are ours, and document-create,
task-update-docid and task-usage-create take them back. A sender is known by `X-Sync-Origin`, one of the original kind
by the name of its key. Every call may be repeated: the second finds what the first has made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Depends, Header

from sync_assets.engine.errors import RejectRow
from sync_assets.exchange.model import Entity, Id, PackReceived
from sync_assets.gateway import speaking, wire
from sync_assets.gateway.access import Caller, allowed
from sync_assets.gateway.envelope import Ok
from sync_assets.gateway.refusal import Refused, missing

if TYPE_CHECKING:
    from sync_assets.gateway.services import Services

Writer = Annotated[Caller, Depends(allowed("write"))]
Clearer = Annotated[Caller, Depends(allowed("clear"))]
Origin = Annotated[str | None, Header(alias="X-Sync-Origin", pattern=r"^[A-Za-z0-9._-]{1,100}$")]
SyncId = Annotated[str | None, Header(alias="X-Sync-Id", pattern=r"^[\x21-\x7e]{1,100}$")]


def router(services: Services) -> APIRouter:
    routes = APIRouter()
    _add_things(routes, services)
    _add_last_steps(routes, services)
    _add_batches(routes, services)
    return routes


def _add_things(routes: APIRouter, services: Services) -> None:
    library = services.library

    @routes.post("/repository-upsert")
    def upsert_repository(
        body: wire.RepositoryBody, caller: Writer, x_sync_origin: Origin = None, x_sync_id: SyncId = None
    ) -> Ok[wire.RepositoryOut]:
        """Create a repository or bring it up to date. One that is new here needs the right to write all."""
        origin = origin_of(services, caller, x_sync_origin)
        repository = wire.repository(body)
        ours = library.recognised(origin, repository)
        if ours is None or not caller.may("write", ours):
            caller.must("write", None)  # the same answer for one that is new and one that is not the caller's
        done = library.put_repository(origin, repository)
        if body.replacing and x_sync_id:
            library.begin_replacing(origin, body.repository_id, x_sync_id)
        return Ok(data=wire.RepositoryOut(repository_id=done.id, name=repository.name, did=done.did))

    @routes.post("/task-create")
    def create_task(body: wire.TaskBody, caller: Writer, x_sync_origin: Origin = None) -> Ok[wire.TaskOut]:
        """Create a task or bring it up to date; its document is chosen later."""
        origin = origin_of(services, caller, x_sync_origin)
        ours = _ours(services, caller, origin, body.repository_id)
        done = library.put_task(origin, wire.task(body))
        _link_at_once(services, x_sync_origin, origin, body.repository_id)
        return Ok(data=wire.TaskOut(task_id=done.id, repository_id=ours, title=body.title, did=done.did))

    @routes.post("/document-create")
    def create_document(body: wire.DocumentBody, caller: Writer, x_sync_origin: Origin = None) -> Ok[wire.DocumentOut]:
        """Create a document of a task, or bring it up to date."""
        origin = origin_of(services, caller, x_sync_origin)
        ours = _ours(services, caller, origin, body.repository_id)
        _must_write_task(services, caller, body.task_id)
        done = library.put_document(origin, wire.document(body), task=body.task_id)
        _link_at_once(services, x_sync_origin, origin, body.repository_id)
        data = wire.DocumentOut(document_id=done.id, repository_id=ours, task_id=body.task_id, did=done.did)
        return Ok(data=data)


def _add_last_steps(routes: APIRouter, services: Services) -> None:
    library = services.library

    @routes.post("/task-update-docid")
    def choose_document(body: wire.ChoiceBody, caller: Writer) -> Ok[wire.ChoiceOut]:
        """Choose the document of a task. The same choice again changes nothing."""
        _must_write_task(services, caller, body.task_id)
        changed = library.set_document(body.task_id, body.document_id)
        return Ok(data=wire.ChoiceOut(task_id=body.task_id, document_id=body.document_id, changed=changed))

    @routes.post("/task-usage-create")
    def put_usages(body: wire.UsagesBody, caller: Writer) -> Ok[wire.UsagesOut]:
        """All that a task has cost, in place of what was told before."""
        _must_write_task(services, caller, body.task_id)
        return Ok(
            data=wire.UsagesOut(task_id=body.task_id, changed=library.put_usages(body.task_id, wire.usages(body)))
        )

    @routes.post("/repository-clear")
    def clear_repository(body: wire.ClearBody, caller: Clearer, x_sync_origin: Origin = None) -> Ok[wire.ClearedOut]:
        """Delete tasks, documents and usages of a repository, in one step; with `keep` what that sync did not bring."""
        origin = origin_of(services, caller, x_sync_origin)
        ours = library.local(origin, Entity.REPOSITORY, body.repository_id)
        if ours is None:
            raise missing()
        caller.must("clear", ours)
        done = library.clear(ours, keep=body.keep, by=str(caller))
        return Ok(data=wire.ClearedOut(repository_id=ours, **asdict(done)))


def _add_batches(routes: APIRouter, services: Services) -> None:
    library = services.library

    @routes.post("/packs", response_model_exclude_none=True)
    def put_packs(body: wire.PacksBody, caller: Writer, x_sync_origin: Origin = None) -> Ok[wire.PacksOut]:
        """Many tasks, each with its documents, its chosen document and its usages. One that is refused is told in its
        place; the others are kept."""
        origin = origin_of(services, caller, x_sync_origin)
        packs = [wire.pack(one) for one in body.packs]
        writable = _writable(services, caller, origin, {one.task.repository_id for one in packs})
        outcomes = iter(library.put_packs(origin, [one for one in packs if one.task.repository_id in writable]))
        told = [_told(next(outcomes) if one.task.repository_id in writable else None) for one in packs]
        return Ok(data=wire.PacksOut(packs=told))

    @routes.post("/link")
    def link(body: wire.LinkBody, caller: Writer, x_sync_origin: Origin = None) -> Ok[wire.LinkedOut]:
        """Turn references between tasks, and between documents, that came before their aim, into ours."""
        origin = origin_of(services, caller, x_sync_origin)
        _ours(services, caller, origin, body.repository_id)
        return Ok(data=wire.LinkedOut(linked=library.link(origin, body.repository_id)))


def origin_of(services: Services, caller: Caller, said: str | None) -> str:
    """By what name the sender's ids are known. Raises 400 for ourselves: ids would be taken for another's; 403 for an
    installation that another speaks for."""
    if said is None:
        return str(caller)  # no origin can have a colon
    if said == services.instance:
        raise Refused(400, "this is the installation itself; it cannot be its own peer")
    speaking.check(services.origins, caller, said)
    return said


def _ours(services: Services, caller: Caller, origin: str, repository: Id) -> Id:
    """Our repository for the sender's, which the caller may write. Raises 404."""
    ours = services.library.local(origin, Entity.REPOSITORY, repository)
    if ours is None:
        raise missing()
    caller.must("write", ours)
    return ours


def _writable(services: Services, caller: Caller, origin: str, repositories: Iterable[Id]) -> set[Id]:
    found = {id: services.library.local(origin, Entity.REPOSITORY, id) for id in repositories}
    return {id for id, ours in found.items() if ours is not None and caller.may("write", ours)}


def _told(outcome: PackReceived | RejectRow | None) -> wire.PackOut:
    if outcome is None:
        hint = "send the repository first (repository-upsert)"
        outcome = RejectRow("the repository is not known here", code="unknown_repository", hint=hint)
    if isinstance(outcome, RejectRow):
        return wire.pack_refused(outcome)
    return wire.pack_received(outcome.task, outcome.documents, outcome.errors)


def _must_write_task(services: Services, caller: Caller, task: Id) -> None:
    """Raises 404 for a task that is not here or not the caller's."""
    repository = services.library.repository_of(Entity.TASK, task)
    if repository is None:
        raise missing()
    caller.must("write", repository)


def _link_at_once(services: Services, said: str | None, origin: str, repository: Id) -> None:
    """A sender of the original kind knows of no second pass: for it every call is followed by one."""
    if said is None:
        services.library.link(origin, repository)
