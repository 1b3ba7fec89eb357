"""Puts what comes from another installation: tasks, documents, the chosen document, usages, for a whole batch at once.

What holds:
- An id means something only together with the installation that gave it; a uid is the same everywhere. A row that
  belongs to another repository is never touched, whatever ids and uids say.
- What is the same is not written: no time stamp moves, no row gets a new place.
- References to what has not come yet wait, as the origin's ids, for `library_links`.

A few round trips for any number of packs: look up, decide, write. Each function is part of one transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sync_assets.engine.errors import RejectRow
from sync_assets.exchange.model import Did, Document, Entity, Id, PackReceived, Received, Task, TaskPack, TaskUsage
from sync_assets.store.exchange import library_known as known
from sync_assets.store.exchange.library_known import SQL, KnownDocument, Place, Waiting
from sync_assets.store.exchange.library_values import fit_document, fit_pack, row
from sync_assets.store.session import Cursor

_TAKEN = (Did.CREATED, Did.UPDATED, Did.UNCHANGED)
Values = dict[str, Any]


@dataclass
class Writes:
    """Rows by the name of their statement, sent together in the order in which statements were first named."""

    rows: dict[str, list[Values]] = field(default_factory=dict)

    def add(self, statement: str, **values: object) -> None:
        self.rows.setdefault(statement, []).append(values)

    def send(self, cursor: Cursor) -> None:
        for statement, rows in self.rows.items():
            cursor.executemany(SQL[statement], rows)  # one pipeline each


@dataclass(frozen=True, slots=True)
class Placed:
    """A document that is to be put, and our task for it."""

    place: Place
    task: Id
    document: Document


def put_packs(cursor: Cursor, origin: str, packs: Sequence[TaskPack]) -> list[PackReceived | RejectRow]:
    """The outcome of each pack, in order. No task and no document may be in two of them (`without_repeats`)."""
    fit = [_or_refused(pack) for pack in packs]
    good = [pack for pack in fit if isinstance(pack, TaskPack)]
    placed = put_tasks(cursor, origin, [pack.task for pack in good])
    kept = {pack.task.task_id: found for pack, found in zip(good, placed, strict=True)}
    documents = _put_documents_of(cursor, good, kept)
    taken = [pack for pack in good if _did(kept[pack.task.task_id]) in _TAKEN]
    _choose(cursor, origin, taken, kept, documents)
    put_usages(cursor, {_id(kept[pack.task.task_id]): pack.usages for pack in taken})
    return [pack if isinstance(pack, RejectRow) else _outcome(pack, kept, documents) for pack in fit]


Kept = Mapping[Id, tuple[Place, Received] | RejectRow]


def _or_refused(pack: TaskPack) -> TaskPack | RejectRow:
    try:
        return fit_pack(pack)
    except RejectRow as refused:
        return refused


def _did(found: tuple[Place, Received] | RejectRow) -> Did | None:
    return None if isinstance(found, RejectRow) else found[1].did


def _id(found: tuple[Place, Received] | RejectRow) -> Id:
    return 0 if isinstance(found, RejectRow) else found[1].id


def _outcome(pack: TaskPack, kept: Kept, documents: Mapping[Id, Received | RejectRow]) -> PackReceived | RejectRow:
    found = kept[pack.task.task_id]
    if isinstance(found, RejectRow):
        return found
    each = {one.document_id: documents[one.document_id] for one in pack.documents}
    return PackReceived(
        found[1],
        {id: did for id, did in each.items() if isinstance(did, Received)},
        {id: str(error) for id, error in each.items() if isinstance(error, RejectRow)},
    )


# -- tasks


def put_tasks(cursor: Cursor, origin: str, tasks: Sequence[Task]) -> list[tuple[Place, Received] | RejectRow]:
    """Where each went and what was done. Tasks are fit; none comes twice."""
    places = _places(cursor, origin, {task.repository_id for task in tasks})
    references = [(task.run_after, task.run_after_uid) for task in tasks]
    had = known.tasks(cursor, origin, [*references, *((task.task_id, task.uid) for task in tasks)])
    fresh = iter(known.new_ids(cursor, Entity.TASK, sum(task.task_id not in had for task in tasks)))
    writes = Writes()
    found = [_put_task(writes, task, places.get(task.repository_id), had, fresh) for task in tasks]
    writes.send(cursor)
    return found


def _places(cursor: Cursor, origin: str, ids: Iterable[Id]) -> Mapping[Id, Place]:
    found = known.repositories(cursor, origin, [(id, "") for id in ids])
    return {id: Place(origin, one.repository.repository_id, one.sync_id) for id, one in found.items()}


def place(cursor: Cursor, origin: str, repository: Id) -> Place:
    """Our repository for one of the origin's. Raises `RejectRow`."""
    found = _places(cursor, origin, [repository]).get(repository)
    if found is None:
        raise unknown_repository()
    return found


def _put_task(
    writes: Writes, task: Task, at: Place | None, had: Mapping[Id, known.KnownTask], fresh: Iterable[Id]
) -> tuple[Place, Received] | RejectRow:
    if at is None:
        return unknown_repository()
    here = had.get(task.task_id)
    if here is None:
        id = next(iter(fresh))
        _write_task(writes, "new_task", task, at, id, _waiting_for(at, task.run_after))
        writes.add("map", **_mapping(at, Entity.TASK, task.task_id, id))
        return at, Received(id, Did.CREATED)
    if here.task.repository_id != at.repository:
        return other_repository("task")
    before = had.get(task.run_after)
    same = here.waiting.is_to(at.origin, task.run_after, before.task.task_id if before else None)
    did = here.verdict(task, same)
    if did is Did.UPDATED:
        waiting = here.waiting if same else _waiting_for(at, task.run_after)
        _write_task(writes, "change_task", task, at, here.task.task_id, waiting)
    if here.sync_id != at.sync_id:
        writes.add("map", **_mapping(at, Entity.TASK, task.task_id, here.task.task_id))
    return at, Received(here.task.task_id, did)


def _write_task(writes: Writes, statement: str, task: Task, at: Place, id: Id, waiting: Waiting) -> None:
    values = {**row(task), "local": id, "repository": at.repository, **waiting.values()}
    writes.add(statement, **values)


def _mapping(at: Place, entity: Entity, id: Id, local: Id) -> Values:
    """Of a task or document: what may be replaced is asked of its repository only, so `was_here` says nothing."""
    known_as = {"origin": at.origin, "entity": entity.value, "id": id}
    return {**known_as, "local": local, "sync_id": at.sync_id, "was_here": False}


# -- documents


def _put_documents_of(cursor: Cursor, packs: Sequence[TaskPack], kept: Kept) -> dict[Id, Received | RejectRow]:
    """The documents of packs whose task is here; refused ones with the reason."""
    outcome: dict[Id, Received | RejectRow] = {}
    placed: list[Placed] = []
    for pack in packs:
        found = kept[pack.task.task_id]
        if isinstance(found, RejectRow):
            continue
        for one in pack.documents:
            try:
                placed.append(Placed(found[0], found[1].id, _of_pack(pack.task, fit_document(one))))
            except RejectRow as refused:
                outcome[one.document_id] = refused
    return {**outcome, **put_documents(cursor, placed)}


def _of_pack(task: Task, document: Document) -> Document:
    """Raises `RejectRow` for a document that says that it belongs to another task or repository."""
    if document.repository_id != task.repository_id:
        raise other_repository("document")
    if document.task_id != task.task_id:
        raise RejectRow("task_id of a document is not that of its task", field="task_id", code="invalid")
    return document


def put_documents(cursor: Cursor, placed: Sequence[Placed]) -> dict[Id, Received | RejectRow]:
    """By the origin's id. All are fit, of one origin, and none comes twice."""
    if not placed:
        return {}
    all = [one.document for one in placed]
    references = [(one.replaced_by, one.replaced_by_uid) for one in all]
    had = known.documents(cursor, placed[0].place.origin, [*references, *((one.document_id, one.uid) for one in all)])
    count = sum(one.document.document_id not in had for one in placed)
    fresh = iter(known.new_ids(cursor, Entity.DOCUMENT, count))
    writes = Writes()
    outcome = {one.document.document_id: _put_document(writes, one, had, fresh) for one in placed}
    writes.send(cursor)
    return outcome


def _put_document(
    writes: Writes, one: Placed, had: Mapping[Id, KnownDocument], fresh: Iterable[Id]
) -> Received | RejectRow:
    at, theirs = one.place, one.document
    here = had.get(theirs.document_id)
    if here is None:
        id = next(iter(fresh))
        _write_document(writes, one, id, None, _waiting_for(at, theirs.replaced_by))
        writes.add("map", **_mapping(at, Entity.DOCUMENT, theirs.document_id, id))
        return Received(id, Did.CREATED)
    if here.document.repository_id != at.repository:
        return other_repository("document")
    newer = had.get(theirs.replaced_by)
    same = here.waiting.is_to(at.origin, theirs.replaced_by, newer.document.document_id if newer else None)
    did = here.verdict(theirs, same, one.task)
    if did is Did.UPDATED:
        waiting = here.waiting if same else _waiting_for(at, theirs.replaced_by)
        _write_document(writes, one, here.document.document_id, here.document.task_id, waiting)
    if here.sync_id != at.sync_id:
        writes.add("map", **_mapping(at, Entity.DOCUMENT, theirs.document_id, here.document.document_id))
    return Received(here.document.document_id, did)


def _waiting_for(at: Place, id: Id) -> Waiting:
    return Waiting(0, id, at.origin) if id else Waiting()


def _write_document(writes: Writes, one: Placed, id: Id, before: Id | None, waiting: Waiting) -> None:
    if before is not None and before != one.task:
        writes.add("leave_document", before=before, local=id)
    values = {**row(one.document), "local": id, "repository": one.place.repository, "task": one.task}
    writes.add("new_document" if before is None else "change_document", **{**values, **waiting.values()})


# -- what comes last


def _choose(
    cursor: Cursor, origin: str, packs: Sequence[TaskPack], kept: Kept, documents: Mapping[Id, Received | RejectRow]
) -> None:
    wanted: dict[Id, Id] = {}
    for pack in packs:
        found, chosen = kept[pack.task.task_id], documents.get(pack.task.doc_id)
        if isinstance(chosen, Received) and not isinstance(found, RejectRow):
            wanted[found[1].id] = chosen.id
    if wanted:
        chosen_by = {"origin": origin, "tasks": list(wanted), "documents": list(wanted.values())}
        cursor.execute(SQL["choose"], chosen_by)


def put_usages(cursor: Cursor, usages: Mapping[Id, Sequence[TaskUsage]]) -> set[Id]:
    """Usages by our task, each set in place of the one before. Which were others."""
    had: dict[Id, list[TaskUsage]] = {}
    if usages:
        for task, *values in cursor.execute(SQL["usages"], {"tasks": list(usages)}):
            had.setdefault(task, []).append(TaskUsage(*values))
    others = {task for task, wanted in usages.items() if had.get(task, []) != list(wanted)}
    gone = [task for task in others if task in had]
    if gone:
        cursor.execute(SQL["drop_usages"], {"tasks": gone})
    writes = Writes()
    for task in sorted(others):
        for number, usage in enumerate(usages[task], 1):
            writes.add("new_usage", task=task, number=number, **row(usage))
    writes.send(cursor)
    return others


# -- refusals


def unknown_repository() -> RejectRow:
    hint = "send the repository first (repository-upsert)"
    return RejectRow("the repository is not known here", field="repository_id", code="unknown_repository", hint=hint)


def other_repository(what: str) -> RejectRow:
    text = f"the {what} belongs to another repository and is left there"
    return RejectRow(text, field="repository_id", code="other_repository")
