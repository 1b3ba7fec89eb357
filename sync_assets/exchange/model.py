"""What two installations exchange: repositories, their tasks, their documents, and what writing them cost.

Field names are those of the protocol. Ids are positive and mean something only in the installation that gave them
(`origin`): what came from elsewhere is known by (origin, entity, id), and has an id of our own. 0 means none.

`uid` is made where a thing is made and goes wherever it goes, so that the same thing is known again whichever way it
comes back. It cannot be guessed: who has it has had the thing. '' where a peer does not tell it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from sync_assets.engine.errors import RejectRow

Id = int
UID = r"^$|^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"


class Entity(StrEnum):
    REPOSITORY = "repository"
    TASK = "task"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class Repository:
    repository_id: Id
    name: str
    url: str = ""
    description: str = ""
    clone_branch: str = ""
    clone_commit_id: str = ""
    size_mb: float = 0.0
    status: str = "ready"
    error_msg: str = ""
    created_at: datetime | None = None  # all moments are aware
    updated_at: datetime | None = None
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Task:
    """`doc_id` is its chosen document, `run_after` the task before it; both 0 for none."""

    task_id: Id
    repository_id: Id
    doc_id: Id = 0
    writer_name: str = "DefaultWriter"
    task_type: str = "DocWrite"
    title: str = ""
    outline: str = ""
    status: str = "pending"
    run_after: Id = 0
    error_msg: str = ""
    sort_order: int = 0
    started_at: datetime | None = None
    completed_at: datetime | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    uid: str = ""
    run_after_uid: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """`replaced_by` is the newer document, 0 for none. `clone_*`: what it was written from; peers may not know them."""

    document_id: Id
    repository_id: Id
    task_id: Id
    title: str = ""
    filename: str = ""
    content: str = field(default="", repr=False)
    sort_order: int = 0
    version: int = 1
    is_latest: bool = True
    replaced_by: Id = 0
    clone_branch: str = ""
    clone_commit_id: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    uid: str = ""
    replaced_by_uid: str = ""


@dataclass(frozen=True, slots=True)
class TaskUsage:
    """What a task's writing cost. A task's usages are replaced as a set."""

    api_key_name: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    total_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    created_at: str = ""  # RFC 3339 with nanoseconds, kept as text


@dataclass(frozen=True, slots=True)
class TaskPack:
    """A task with all that travels with it: the piece that is sent, counted and tried again."""

    task: Task
    documents: tuple[Document, ...] = ()
    usages: tuple[TaskUsage, ...] = ()


class Did(StrEnum):
    """What a receiver did with one thing. `OLDER`: ours has a higher version; `CONFLICT`: same version, other text."""

    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    OLDER = "older"
    CONFLICT = "conflict"


@dataclass(frozen=True, slots=True)
class Received:
    """Our id of a thing that came from elsewhere, and what was done."""

    id: Id
    did: Did


class Library(Protocol):
    """The repositories of one installation. Every method is one transaction; ids are ours unless they say `origin`.

    Raises `RejectRow` (code ``unknown_repository``, ``unknown_task``, ``unknown_document``, ``other_repository``,
    ``invalid``; for exports ``unknown_export``; for `clear` with `keep` ``not_replacing``) and `Retry` for a database
    that cannot be reached.
    """

    # what is here
    def repositories(self, of: Sequence[Id] | None = None) -> Sequence[Repository]: ...

    def documents(self, repository_id: Id) -> Sequence[tuple[Document, str]]:
        """Without content, each with the status of its task; oldest first."""
        ...

    def export(
        self, repository_id: Id, document_ids: Sequence[Id] = (), *, rows: int = 100, bytes: int = 8_000_000
    ) -> Export:
        """Begin an export: one consistent moment, whatever happens until its last page is read."""
        ...

    def export_page(self, export: str, cursor: int) -> ExportPage: ...

    def exported(self, export: str) -> Id:
        """The repository that an export is of."""
        ...

    def repository_of(self, entity: Entity, id: Id) -> Id | None:
        """The repository of a thing that is here, None for one that is not."""
        ...

    def local(self, origin: str, entity: Entity, origin_id: Id) -> Id | None:
        """Our id of what came from `origin`, None where it never came or is gone."""
        ...

    def recognised(self, origin: str, repository: Repository) -> Id | None:
        """Our id of a repository of `origin` that came before, or that is here by its uid."""
        ...

    # what comes from elsewhere: `origin` is the installation that gave the ids
    def put_repository(self, origin: str, repository: Repository) -> Received: ...

    def put_task(self, origin: str, task: Task) -> Received:
        """`task_id`, `repository_id` and `run_after` are the origin's. Its document is not set: that comes last."""
        ...

    def put_document(self, origin: str, document: Document, *, task: Id | None = None) -> Received:
        """All ids are the origin's; in place of `task_id`, `task` may be our own."""
        ...

    def set_document(self, task_id: Id, document_id: Id) -> bool:
        """Choose a task's document. False when it was chosen before. Time stamps are the origin's: none changes."""
        ...

    def put_usages(self, task_id: Id, usages: Sequence[TaskUsage]) -> bool: ...

    def put_pack(self, origin: str, pack: TaskPack) -> PackReceived:
        """A task, its documents, its chosen document and its usages, in this order, in one transaction.

        A document that is refused is told in `errors`; the others of the pack are kept.
        """
        ...

    def put_packs(self, origin: str, packs: Sequence[TaskPack]) -> Sequence[PackReceived | RejectRow]:
        """Many packs in one transaction and few round trips; the outcome of each, in order."""
        ...

    def repositories_of(self, entity: Entity, ids: Sequence[Id]) -> Mapping[Id, Id]:
        """As `repository_of`, of many; those that are not here are left out."""
        ...

    def know(self, origin: str, entity: Entity, ids: Mapping[Id, Id]) -> None:
        """What we sent to `origin`, which tells no uid: its ids of things that are ours, so that it is the same when
        it comes back."""
        ...

    def link(self, origin: str, repository_id: Id) -> int:
        """Second pass: `run_after` and `replaced_by` of what came from `origin`, now that all rows exist. How many.

        `repository_id` is the origin's."""
        ...

    def begin_replacing(self, origin: str, repository_id: Id, sync_id: str) -> None:
        """From now on what `origin` sends to the repository is noted, so that the rest can be cleared at the end.

        `repository_id` is the origin's. A sync after which another has begun to bring things stays superseded. Refused
        (``was_here``) for a repository that the origin did not bring: one that was made here, or came another way."""
        ...

    def clear(self, repository_id: Id, *, keep: str | None = None, by: str) -> Cleared:
        """Delete tasks, documents and usages of a repository, audited; with `keep` all that this sync did not bring."""
        ...


@dataclass(frozen=True, slots=True)
class PackReceived:
    task: Received
    documents: Mapping[Id, Received]  # by the origin's id
    errors: Mapping[Id, str] = field(default_factory=dict)  # documents that were refused, and why


@dataclass(frozen=True, slots=True)
class Cleared:
    tasks: int
    documents: int
    usages: int


@dataclass(frozen=True, slots=True)
class Export:
    """`first` is the first page; `total` tasks in all."""

    id: str
    repository: Repository
    total: int
    first: ExportPage


@dataclass(frozen=True, slots=True)
class ExportPage:
    """`next` is the cursor of the following page, None after the last."""

    packs: tuple[TaskPack, ...]
    next: int | None = None
