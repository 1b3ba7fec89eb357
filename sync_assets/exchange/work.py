"""A sync of one repository with one peer, as it is kept: what was asked, each unit's outcome, how it ended.

A unit is a task with its documents. Every unit ends in exactly one of succeeded, failed, skipped. The state is in the
control database, so that a restart loses nothing: what has succeeded is not sent again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from sync_assets.engine.errors import Stop, SyncError
from sync_assets.exchange.model import Cleared, ExportPage, Id, PackReceived, Repository, TaskPack


class Direction(StrEnum):
    PUSH = "push"
    PULL = "pull"


class SyncStatus(StrEnum):
    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"  # every unit succeeded or had nothing to do
    PARTIAL = "partial"  # some failed
    FAILED = "failed"  # aborted, or none succeeded


class UnitStatus(StrEnum):
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"  # the other side has something newer


@dataclass(frozen=True, slots=True)
class Order:
    """What somebody asked for. `replace`: what the other side (push) or we (pull) have besides goes, at the end.

    With `document_ids` only these documents travel; together with `replace` that is refused unless `confirm`.
    """

    direction: Direction
    peer: str
    repository_id: Id  # of the installation that sends
    document_ids: tuple[Id, ...] = ()
    replace: bool = False
    confirm: bool = False
    asked_by: str = ""


class AlreadyRunning(Stop):
    """A sync of the same repository, direction and peer is going on: `sync_id`."""

    def __init__(self, sync_id: str, where: str) -> None:
        hint = f"wait for it, or look at it: {sync_id}"
        super().__init__(f"{where}: a sync is going on", hint=hint, code="already_running")
        self.sync_id = sync_id


@dataclass(frozen=True, slots=True)
class DocumentOutcome:
    document_id: Id  # of the sender
    title: str
    status: UnitStatus
    error: str = ""


@dataclass(frozen=True, slots=True)
class Unit:
    """A task of the sender, with the outcome of each of its documents."""

    number: int
    task_id: Id
    title: str
    status: UnitStatus = UnitStatus.PENDING
    attempts: int = 0
    error: str = ""
    documents: tuple[DocumentOutcome, ...] = ()


@dataclass(frozen=True, slots=True)
class SyncState:
    """One sync as it stands. total = succeeded + failed + skipped + pending, always."""

    sync_id: str
    order: Order
    status: SyncStatus
    repository_name: str = ""
    total: int = 0
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    current: str = ""  # title of the task at work
    error: str = ""
    cleared: Cleared | None = None
    started_at: datetime | None = None
    updated_at: datetime | None = None
    finished_at: datetime | None = None

    @property
    def pending(self) -> int:
        return self.total - self.succeeded - self.failed - self.skipped


@dataclass(frozen=True, slots=True)
class Event:
    """What became of one document in one sync, for the list of events."""

    sync_id: str
    direction: Direction
    repository_id: Id  # of the sender
    document_id: Id  # of the sender
    title: str
    peer: str
    status: UnitStatus
    error: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Sight:
    """Of which syncs somebody may know: pushes of these repositories of ours, and what he asked for himself."""

    asker: str
    repositories: frozenset[Id]


class SyncStore(Protocol):
    """Syncs in the control database. `start` raises `AlreadyRunning` (a Stop, with `sync_id`) while one of the same
    repository, direction and peer is in progress by a living process."""

    def start(self, order: Order, holder: str) -> SyncState: ...

    def resume(self, sync_id: str, holder: str) -> SyncState:
        """Take over one whose process is gone, or that ended failed or partial: it goes on after what has succeeded,
        and what failed is tried again. Raises `AlreadyRunning`, and `Stop` for one that is unknown or completed."""
        ...

    def abandoned(self) -> Sequence[str]:
        """Syncs in progress whose process has ended."""
        ...

    def plan(self, sync_id: str, repository: Repository, units: Sequence[Unit], total: int = 0) -> None:
        """Units as they become known, in order; those of a task that is planned already stay as they are. `total`: how
        many there will be. Raises `Fenced`."""
        ...

    def at(self, sync_id: str, title: str) -> None:
        """What is being worked at; renews the lease. Raises `Fenced` when another process took over."""
        ...

    def done(self, sync_id: str, units: Sequence[Unit]) -> None:
        """Outcomes of units. Raises `Fenced`."""
        ...

    def finish(self, sync_id: str, status: SyncStatus, error: str = "", cleared: Cleared | None = None) -> SyncState:
        """Units that are still pending count as failed. Raises `Fenced`."""
        ...

    def state(self, sync_id: str) -> SyncState | None: ...

    def units(self, sync_id: str) -> Sequence[Unit]: ...

    # `sight`: what is beyond it is not counted by `limit`; None: everything

    def events(self, *, repository_id: Id | None = None, direction: Direction | None = None,
               sight: Sight | None = None, limit: int = 50) -> Sequence[Event]: ...  # fmt: skip

    def recent(self, *, repository_id: Id | None = None, direction: Direction | None = None, peer: str | None = None,
               sight: Sight | None = None, limit: int = 50) -> Sequence[SyncState]: ...  # fmt: skip


@dataclass(frozen=True, slots=True)
class PeerFacts:
    """What a peer said to ping. `batch`: how many packs it takes at once; 0: a call for each thing, as the original."""

    instance: str = ""
    batch: int = 0
    staged_clear: bool = False
    paged_export: bool = False
    usages: bool = True
    uids: bool = False  # it keeps the uids of things and tells them


class Peer(Protocol):
    """Another installation, over HTTP. Raises `Retry` (refused, timed out, 429, 5xx), `Unclear` where the answer was
    lost, `Stop` for what a person must mend (401, 403, TLS, a forbidden address), `RejectRow` for one unit that it
    refuses."""

    name: str

    def ping(self) -> PeerFacts: ...

    # push: ids are ours, the peer translates
    def put_repository(self, repository: Repository, sync_id: str, *, replacing: bool = False) -> Id:
        """The peer's id of it, 0 where it does not say. `replacing`: at the end what the sync did not bring goes."""
        ...

    def clear(self, repository_id: Id, *, keep: str | None, sync_id: str) -> Cleared: ...

    def put_packs(self, packs: Sequence[TaskPack], sync_id: str) -> Sequence[PackReceived | SyncError]:
        """One call where the peer takes batches, else call by call; the outcome of each pack, in order."""
        ...

    def link(self, repository_id: Id, sync_id: str) -> None: ...

    # pull: ids are the peer's
    def repositories(self) -> Sequence[Repository]: ...

    def documents(self, repository_id: Id) -> Sequence[tuple[Id, str, str, datetime | None]]:
        """(id, title, status of the task, created at)"""
        ...

    def export(self, repository_id: Id, document_ids: Sequence[Id]) -> tuple[Repository, int, Iterator[ExportPage]]: ...

    def close(self) -> None: ...
