"""The library of an installation in its control database: implements `exchange.model.Library`.

Every method is one transaction. What comes from one installation is put one call after the other: of the same call
twice at once, the second finds what the first has made. Must not know HTTP, peers, or who may do what.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any, TypeVar

import psycopg

from sync_assets.engine.errors import RejectRow
from sync_assets.exchange.model import (
    Cleared,
    Did,
    Document,
    Entity,
    Export,
    ExportPage,
    Id,
    PackReceived,
    Received,
    Repository,
    Task,
    TaskPack,
    TaskUsage,
)
from sync_assets.store.control import storable
from sync_assets.store.exchange import library_export, library_incoming
from sync_assets.store.exchange import library_known as known
from sync_assets.store.exchange.library_export import unknown
from sync_assets.store.exchange.library_known import SQL
from sync_assets.store.exchange.library_values import fit_document, fit_repository, fit_task, fit_usage, row
from sync_assets.store.exchange.library_verdict import by_clock
from sync_assets.store.session import Cursor, Sessions

Result = TypeVar("Result")


class PostgresLibrary:
    """Safe to share between threads. Raises `RejectRow` as `Library` says, `Retry`, `Unclear` and `Stop`."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    # -- what is here

    def repositories(self, of: Sequence[Id] | None = None) -> Sequence[Repository]:
        asked = None if of is None else list(of)
        return [Repository(*row) for row in self._rows("repositories", of=asked)]

    def documents(self, repository_id: Id) -> Sequence[tuple[Document, str]]:
        def look(cursor: Cursor) -> list[tuple[Document, str]]:
            _require_repository(cursor, repository_id)
            rows = cursor.execute(SQL["documents"], {"repository": repository_id})
            return [(Document(*row[:-1]), row[-1]) for row in rows]

        return self._sessions.run(look)

    def export(
        self, repository_id: Id, document_ids: Sequence[Id] = (), *, rows: int = 100, bytes: int = 8_000_000
    ) -> Export:
        self._sessions.run(library_export.drop_old)
        return self._sessions.run(lambda c: library_export.export(c, repository_id, document_ids, rows, bytes))

    def export_page(self, export: str, cursor: int) -> ExportPage:
        return self._sessions.run(lambda c: library_export.page(c, export, cursor))

    def exported(self, export: str) -> Id:
        return self._sessions.run(lambda c: library_export.exported(c, export))

    def repository_of(self, entity: Entity, id: Id) -> Id | None:
        return self._sessions.run(lambda c: _repository_of(c, entity, id))

    def repositories_of(self, entity: Entity, ids: Sequence[Id]) -> Mapping[Id, Id]:
        return {row[0]: row[1] for row in self._rows(f"repositories_of_{entity.value}", ids=list(ids))}

    def local(self, origin: str, entity: Entity, origin_id: Id) -> Id | None:
        def look(cursor: Cursor) -> Id | None:
            asked = {"origin": storable(origin), "entity": entity.value, "id": origin_id}
            row = cursor.execute(SQL["local"], asked).fetchone()
            return row[0] if row and _repository_of(cursor, entity, row[0]) is not None else None

        return self._sessions.run(look)

    def recognised(self, origin: str, repository: Repository) -> Id | None:
        asked = {"origin": storable(origin), "id": repository.repository_id, "uid": fit_repository(repository).uid}
        ((ours,),) = self._rows("recognised", **asked)
        return None if ours is None else int(ours)

    # -- what comes from elsewhere

    def put_repository(self, origin: str, repository: Repository) -> Received:
        fit = fit_repository(repository)
        return self._from(origin, lambda c: _put_repository(c, storable(origin), fit))

    def put_task(self, origin: str, task: Task) -> Received:
        fit = fit_task(task)
        return self._from(origin, lambda c: _one(library_incoming.put_tasks(c, storable(origin), [fit]))[1])

    def put_document(self, origin: str, document: Document, *, task: Id | None = None) -> Received:
        fit = fit_document(document)
        return self._from(origin, lambda c: _put_document(c, storable(origin), fit, task))

    def set_document(self, task_id: Id, document_id: Id) -> bool:
        """The task's own time stamp says when its origin changed it: choosing a document does not move it."""
        return self._sessions.run(lambda c: _set_document(c, task_id, document_id))

    def put_usages(self, task_id: Id, usages: Sequence[TaskUsage]) -> bool:
        fit = [fit_usage(usage) for usage in usages]

        def put(cursor: Cursor) -> bool:
            _hold_task(cursor, task_id)
            return bool(library_incoming.put_usages(cursor, {task_id: fit}))

        return self._sessions.run(put)

    def put_pack(self, origin: str, pack: TaskPack) -> PackReceived:
        return _one(self._from(origin, lambda c: library_incoming.put_packs(c, storable(origin), [pack])))

    def put_packs(self, origin: str, packs: Sequence[TaskPack]) -> Sequence[PackReceived | RejectRow]:
        """All in one transaction; if the tables refuse something that nobody foresaw, each pack in its own."""
        try:
            return self._from(origin, lambda c: _put_in_runs(c, storable(origin), packs))
        except RejectRow:
            return [self._or_refused(origin, pack) for pack in packs]

    def _or_refused(self, origin: str, pack: TaskPack) -> PackReceived | RejectRow:
        try:
            return self.put_pack(origin, pack)
        except RejectRow as refused:
            return refused

    def know(self, origin: str, entity: Entity, ids: Mapping[Id, Id]) -> None:
        shared = {"origin": storable(origin), "entity": entity.value}
        values = [{**shared, "id": id, "local": local} for id, local in ids.items()]
        if values:
            self._from(origin, lambda c: c.executemany(SQL["know"], values))

    def link(self, origin: str, repository_id: Id) -> int:
        def both(cursor: Cursor) -> int:
            place = library_incoming.place(cursor, storable(origin), repository_id)
            asked = {"origin": place.origin, "repository": place.repository}
            return sum(cursor.execute(SQL[one], asked).rowcount for one in ("link_tasks", "link_documents"))

        return self._from(origin, both)

    def begin_replacing(self, origin: str, repository_id: Id, sync_id: str) -> None:
        def begin(cursor: Cursor) -> None:
            place = library_incoming.place(cursor, storable(origin), repository_id)
            asked = {"origin": place.origin, "repository": place.repository, "sync_id": storable(sync_id)}
            if cursor.execute(SQL["was_here"], asked).fetchone():
                hint = "what is only here would be cleared; go without replacing"
                raise RejectRow("the repository was here before it came from there", code="was_here", hint=hint)
            cursor.execute(SQL["begin_replacing"], asked)
            cursor.execute(SQL["forget_replacing"], asked)

        self._from(origin, begin)

    def clear(self, repository_id: Id, *, keep: str | None = None, by: str) -> Cleared:
        """With `keep`, refused (``not_replacing``) unless that sync is the last that began to replace it."""
        return self._sessions.run(lambda c: _clear(c, repository_id, keep, storable(by)))

    # -- transactions

    def _rows(self, query: str, /, **values: object) -> list[tuple[Any, ...]]:
        return self._sessions.run(lambda cursor: cursor.execute(SQL[query], values).fetchall())

    def _from(self, origin: str, work: Callable[[Cursor], Result]) -> Result:
        """One transaction of what comes from an installation, alone among those."""

        def alone(cursor: Cursor) -> Result:
            known.lock(cursor, storable(origin))
            return work(cursor)

        try:
            try:
                return self._sessions.run(alone)
            except psycopg.errors.UniqueViolation:  # the same new thing came from two installations at once
                return self._sessions.run(alone)  # now it is here
        except (psycopg.DataError, psycopg.IntegrityError):
            # the texts of the driver may quote values
            raise RejectRow("the tables do not take it", code="invalid") from None


def _one(found: Sequence[Result | RejectRow]) -> Result:
    if isinstance(found[0], RejectRow):
        raise found[0]
    return found[0]


def _put_in_runs(cursor: Cursor, origin: str, packs: Sequence[TaskPack]) -> list[PackReceived | RejectRow]:
    runs = list(without_repeats(packs))
    return [one for run in runs for one in library_incoming.put_packs(cursor, origin, run)]


def without_repeats(packs: Sequence[TaskPack]) -> Iterator[list[TaskPack]]:
    """The packs in order, in runs in which no task and no document comes twice."""
    run: list[TaskPack] = []
    seen: set[tuple[Entity, Id]] = set()
    for pack in packs:
        ids = {(Entity.TASK, pack.task.task_id), *((Entity.DOCUMENT, one.document_id) for one in pack.documents)}
        if ids & seen:
            yield run
            run, seen = [], set()
        run.append(pack)
        seen |= ids
    if run:
        yield run


def _put_repository(cursor: Cursor, origin: str, theirs: Repository) -> Received:
    had = known.repositories(cursor, origin, [(theirs.repository_id, theirs.uid)]).get(theirs.repository_id)
    mapping = {"origin": origin, "entity": "repository", "id": theirs.repository_id, "sync_id": ""}
    if had is None:
        (made,) = cursor.execute(SQL["new_repository"], row(theirs)).fetchone() or (0,)
        cursor.execute(SQL["map"], {**mapping, "local": made, "was_here": False})
        return Received(made, Did.CREATED)
    ours = had.repository
    if not had.mapped:
        cursor.execute(SQL["map"], {**mapping, "local": ours.repository_id, "was_here": True})
    same = ours == replace(
        theirs, repository_id=ours.repository_id, uid="", created_at=ours.created_at, updated_at=ours.updated_at
    )
    did = by_clock(same, ours.updated_at, theirs.updated_at)
    if did is Did.UPDATED:
        cursor.execute(SQL["change_repository"], {**row(theirs), "local": ours.repository_id})
    return Received(ours.repository_id, did)


def _put_document(cursor: Cursor, origin: str, document: Document, task: Id | None) -> Received:
    place = library_incoming.place(cursor, origin, document.repository_id)
    if task is None:
        theirs = known.tasks(cursor, origin, [(document.task_id, "")]).get(document.task_id)
        task = theirs.task.task_id if theirs else 0
    repository, _ = _hold_task(cursor, task)
    if repository != place.repository:
        raise library_incoming.other_repository("task")
    placed = library_incoming.Placed(place, task, document)
    return _one([library_incoming.put_documents(cursor, [placed])[document.document_id]])


def _set_document(cursor: Cursor, task: Id, document: Id) -> bool:
    _, chosen = _hold_task(cursor, task)
    row = cursor.execute(SQL["task_of_document"], {"document": document}).fetchone()
    if row is None or row[0] != task:
        raise unknown("document")
    if chosen != document:
        cursor.execute(SQL["set_document"], {"task": task, "document": document})
    return bool(chosen != document)


def _hold_task(cursor: Cursor, task: Id) -> tuple[Id, Id]:
    """Its repository and its document. Raises `RejectRow`."""
    row = cursor.execute(SQL["hold_task"], {"task": task}).fetchone()
    if row is None:
        raise unknown("task")
    return row[0], row[1]


def _repository_of(cursor: Cursor, entity: Entity, id: Id) -> Id | None:
    row = cursor.execute(SQL[f"repository_of_{entity.value}"], {"id": id}).fetchone()
    return row[0] if row else None


def _require_repository(cursor: Cursor, repository: Id) -> None:
    if _repository_of(cursor, Entity.REPOSITORY, repository) is None:
        raise unknown("repository")


def _clear(cursor: Cursor, repository: Id, keep: str | None, by: str) -> Cleared:
    asked: dict[str, Any] = {"repository": repository, "keep": keep and storable(keep), "origin": None}
    if cursor.execute(SQL["hold_repository"], asked).fetchone() is None:
        raise unknown("repository")
    if keep is not None:
        row = cursor.execute(SQL["replacing"], asked).fetchone() if keep else None
        if row is None:
            hint = "another sync has begun since, or the repository was not sent under this one; nothing was cleared"
            raise RejectRow("this sync does not replace the repository", code="not_replacing", hint=hint)
        asked["origin"] = row[0]
    usages = cursor.execute(SQL["clear_usages"], asked).rowcount
    documents, tasks = (_count(cursor, one, asked) for one in ("clear_documents", "clear_tasks"))
    cleared = Cleared(tasks, documents, usages)
    cursor.execute(SQL["audit_clear"], {**asked, "by": by, "detail": json.dumps({**asdict(cleared), "keep": keep})})
    return cleared


def _count(cursor: Cursor, query: str, asked: Mapping[str, object]) -> int:
    row = cursor.execute(SQL[query], asked).fetchone()
    return int(row[0]) if row else 0
