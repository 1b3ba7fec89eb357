"""What came before from an installation and is here: looked up for a whole batch, held against what comes now.

A thing is found by the id that it has there, or else by its uid: then it came another way, or is our own come back.
Must not know what is done about a difference (`library_verdict`), nor who asks.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from sync_assets.exchange.model import Did, Document, Entity, Id, Repository, Task
from sync_assets.store.exchange.library_verdict import by_clock, by_version
from sync_assets.store.session import Cursor
from sync_assets.store.sql import read_named

SQL = read_named(Path(__file__).with_name("library.sql"))


Named = tuple[Id, str]  # the origin's id of a thing, and its uid ('' where the origin does not tell it)


@dataclass(frozen=True, slots=True)
class Place:
    """Our repository for what comes, and the sync that replaces it ('' for none)."""

    origin: str
    repository: Id
    sync_id: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A reference of a row that is here: our id, and the origin's as long as that is not known here."""

    local: Id = 0
    came: Id = 0
    origin: str = ""

    def is_to(self, origin: str, id: Id, local: Id | None) -> bool:
        """Whether it is what came now: `id` of the origin, which is our `local` if it is here."""
        if id == 0:
            return self.local == 0 and self.came == 0
        return (self.came, self.origin) == (id, origin) if self.came else local is not None and self.local == local

    def values(self) -> dict[str, object]:
        return {"reference": self.local or None, "came": self.came or None, "came_origin": self.origin or None}


@dataclass(frozen=True, slots=True)
class KnownTask:
    task: Task  # with our ids; without its document and uids
    waiting: Waiting
    sync_id: str | None  # None: its id there was not known until now

    def verdict(self, theirs: Task, reference_is_same: bool) -> Did:
        same = reference_is_same and self.task == replace(
            theirs,
            task_id=self.task.task_id,
            repository_id=self.task.repository_id,
            run_after=self.task.run_after,
            doc_id=0,
            uid="",
            run_after_uid="",
            created_at=self.task.created_at,
            updated_at=self.task.updated_at,
        )
        return by_clock(same, self.task.updated_at, theirs.updated_at)


@dataclass(frozen=True, slots=True)
class KnownDocument:
    document: Document  # with our ids; without its content
    digest: bytes
    waiting: Waiting
    sync_id: str | None  # as of a task

    def verdict(self, theirs: Document, reference_is_same: bool, task: Id) -> Did:
        ours = self.document
        same_text = (
            (ours.title, ours.filename) == (theirs.title, theirs.filename)
            and self.digest == sha256(theirs.content.encode()).digest()
        )  # fmt: skip
        kept = (ours.sort_order, ours.is_latest, ours.clone_branch, ours.clone_commit_id, ours.task_id)
        came = (theirs.sort_order, theirs.is_latest, theirs.clone_branch, theirs.clone_commit_id, task)
        return by_version(
            (ours.version, ours.updated_at),
            (theirs.version, theirs.updated_at),
            same_text=same_text,
            same=reference_is_same and kept == came,
        )


def lock(cursor: Cursor, origin: str) -> None:
    cursor.execute(SQL["one_at_a_time"], {"origin": origin})


@dataclass(frozen=True, slots=True)
class KnownRepository:
    """`mapped`: its id there was known before. `sync_id`: the sync that replaces it, '' for none."""

    repository: Repository  # as it is here, without its uid
    mapped: bool
    sync_id: str


def repositories(cursor: Cursor, origin: str, asked: Iterable[Named]) -> Mapping[Id, KnownRepository]:
    """By the origin's id."""
    rows = _look(cursor, "known_repositories", origin, asked)
    return {id: KnownRepository(Repository(*values), mapped, sync_id) for id, mapped, sync_id, *values in rows}


def tasks(cursor: Cursor, origin: str, asked: Iterable[Named]) -> Mapping[Id, KnownTask]:
    """By the origin's id."""
    rows = _look(cursor, "known_tasks", origin, asked)
    found = ((row[0], row[1], row[2], row[3], Task(*row[4:])) for row in rows)
    return {
        id: KnownTask(replace(task, run_after=0), Waiting(task.run_after, came, came_origin), sync_id)
        for id, sync_id, came, came_origin, task in found
    }


def documents(cursor: Cursor, origin: str, asked: Iterable[Named]) -> Mapping[Id, KnownDocument]:
    """By the origin's id."""
    rows = _look(cursor, "known_documents", origin, asked)
    found = ((row[0], row[1], row[2], row[3], bytes(row[4]), Document(*row[5:])) for row in rows)
    return {
        id: KnownDocument(document, digest, Waiting(document.replaced_by, came, came_origin), sync_id)
        for id, sync_id, came, came_origin, digest, document in found
    }


def new_ids(cursor: Cursor, entity: Entity, count: int) -> list[Id]:
    statement = SQL["task_ids" if entity is Entity.TASK else "document_ids"]
    return [row[0] for row in cursor.execute(statement, {"count": count})] if count else []


def _look(cursor: Cursor, query: str, origin: str, asked: Iterable[Named]) -> list[tuple[Any, ...]]:
    wanted = {id: uid or None for id, uid in asked if id}
    if not wanted:
        return []
    values = {"origin": origin, "ids": list(wanted), "uids": list(wanted.values())}
    return cursor.execute(SQL[query], values).fetchall()
