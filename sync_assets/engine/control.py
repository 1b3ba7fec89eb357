"""What the engine asks of the control database: leases, the journal of creates, positions, rejects, incidents.

The protocol lives here so that the engine can be tested on the in-memory twin (`sync_assets.testing.memory`) and run
on PostgreSQL (`sync_assets.store`). Times are aware datetimes of the control database's own clock: workers' clocks
are never compared with each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from sync_assets.engine.errors import Retry
from sync_assets.engine.model import Rejected


class LeaseHeld(Retry):
    """Somebody else writes to this target now. `after` says when their lease ends at the latest.

    `holder` is the owner's name and `token` theirs, so that a holder that is known to be gone can be replaced.
    """

    def __init__(self, name: str, *, after: float, holder: str, token: int) -> None:
        people = holder.partition(" #")[0]
        hint = f"wait for it to end, {after:.0f} s at most if that process is gone"
        super().__init__(f"{name} is being written by {people}", after=after, hint=hint, code="lease_held")
        self.holder, self.token = holder, token


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to write to one target. `token` grows with every new holder: the fence."""

    name: str
    owner: str
    token: int
    seconds: float


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """A create that was about to be sent. Present until its answer was seen.

    `payload` is the exact request body, so that a repeat with the same `client_token` is the same request. `keys`
    are the key texts of its rows, in order ("" for keyless rows), to look them up on the board.
    """

    client_token: str
    target: str
    sync: str
    keys: tuple[str, ...]
    payload: bytes
    written_at: datetime


@dataclass(frozen=True, slots=True)
class SyncState:
    """What the last finished run of a sync (or of one partition of it) left behind."""

    position: str | None = None  # newest watermark read, as text
    rows: int | None = None  # records on the board after the run
    digest: str = ""  # of the spec, to see that it changed
    finished_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Incident:
    """One trouble with a beginning and an end, whatever number of runs and retries saw it."""

    name: str
    opened_at: datetime
    closed_at: datetime | None
    message: str
    occurrences: int


@dataclass(frozen=True, slots=True)
class RunEntry:
    """One line of the history. `outcome` is ``running``, ``finished``, ``failed`` or ``lost`` (its process died).

    `asked_by` is who or what asked for it, where that is known. `holder` names the process; `seconds` is how long ago
    it began; `leased` says whether that process holds any lease. Runs that were recorded by an older version have no
    beginning and no holder.
    """

    run_id: str
    sync: str
    partition: str
    outcome: str
    started_at: datetime | None
    finished_at: datetime | None
    holder: str
    report: Mapping[str, object]
    seconds: float = 0.0
    leased: bool = False
    asked_by: str = ""


class ControlStore(Protocol):
    """The control database. Every method is one transaction. Raises `Retry` when it cannot be reached."""

    # one writer per target, across processes and machines
    def acquire_lease(self, name: str, owner: str, seconds: float, over: int | None = None) -> Lease:
        """Take the lease if it is free, its time is over, or its token is still `over`: that holder is gone.

        Raises `LeaseHeld` with the time that is left.
        """
        ...

    def renew_lease(self, lease: Lease) -> None:
        """Prolong by `lease.seconds`. Raises `Fenced` when the token is no longer the newest."""
        ...

    def release_lease(self, lease: Lease) -> None:
        """Give it back. Says nothing when it was already lost."""
        ...

    # creates that were sent, or were about to be
    def journal(self, lease: Lease, entry: JournalEntry) -> None:
        """Write the entry down, in one transaction with the fence check. Raises `Fenced`."""
        ...

    def journal_done(self, client_tokens: Iterable[str]) -> None: ...

    def journal_open(self, target: str) -> Sequence[JournalEntry]:
        """Entries of `target` whose answer was never seen, oldest first."""
        ...

    # where a sync stands
    def state(self, sync: str, partition: str = "") -> SyncState: ...

    def save_state(self, lease: Lease, sync: str, partition: str, state: SyncState) -> None:
        """Raises `Fenced` when the lease was lost."""
        ...

    # rows that were set aside
    def rejects(self, sync: str) -> Sequence[Rejected]: ...

    def save_rejects(self, sync: str, rejected: Sequence[Rejected], resolved: Iterable[str]) -> None:
        """Upsert `rejected` by (sync, key) and drop the keys in `resolved` (they were written, or are gone)."""
        ...

    def forget_rejects(self, sync: str, keys: Iterable[str] | None = None) -> int:
        """Make the next run try these rows again (all of the sync without `keys`). Returns how many.

        The position is dropped with them: an incremental run would not read rows again that lie before it.
        """
        ...

    # alerts once per trouble
    def open_incident(self, name: str, message: str) -> tuple[Incident, bool]:
        """Count one more occurrence. The flag is True when this one opened the incident."""
        ...

    def close_incident(self, name: str) -> Incident | None:
        """Close the open incident of that name and return it, or None when there was none."""
        ...

    # history
    def start_run(self, run_id: str, sync: str, partition: str, holder: str) -> None:
        """Note that a run has begun; a repeat of it begins anew."""
        ...

    def start_runs(self, run_id: str, syncs: Sequence[tuple[str, str]], holder: str, asked_by: str = "") -> None:
        """The same for many, each a sync and its partitions, in one transaction."""
        ...

    def runs(self, sync: str | None = None, *, running: bool = False, limit: int = 100) -> Sequence[RunEntry]:
        """The newest runs (of one sync), or with `running` those that have not ended, newest first."""
        ...

    def lose_run(self, run_id: str, sync: str, partition: str) -> None:
        """Note that a run's process is gone; says nothing when the run has ended meanwhile."""
        ...

    def record_run(self, run_id: str, sync: str, partition: str, outcome: str, report: dict[str, object]) -> None:
        """Keep a finished (or failed) run's summary. No row values in `report`."""
        ...

    def record_runs(self, run_id: str, ends: Sequence[tuple[str, str, str, dict[str, object]]]) -> None:
        """The same for many, each as (sync, partition, outcome, report), in one transaction."""
        ...
