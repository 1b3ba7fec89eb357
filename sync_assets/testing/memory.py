"""The control database in memory: the exact twin of `store.PostgresStore` for tests that need no server.

Both pass the same contract tests. Times come from the clock that is handed in.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from sync_assets.engine.control import Incident, JournalEntry, Lease, LeaseHeld, RunEntry, SyncState
from sync_assets.engine.errors import Fenced
from sync_assets.engine.model import Rejected


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True)
class _Held:
    owner: str | None
    token: int
    until: datetime


class MemoryStore:
    """Safe to share between threads."""

    def __init__(self, clock: Callable[[], datetime] = _utc_now) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._leases: dict[str, _Held] = {}
        self._journal: dict[str, JournalEntry] = {}
        self._states: dict[tuple[str, str], SyncState] = {}
        self._rejects: dict[tuple[str, str], Rejected] = {}
        self._incidents: dict[str, Incident] = {}
        self.runs_by_key: dict[tuple[str, str, str], RunEntry] = {}

    def close(self) -> None:
        """Nothing to close; for symmetry."""

    # -- leases

    def acquire_lease(self, name: str, owner: str, seconds: float, over: int | None = None) -> Lease:
        with self._lock:
            now = self._clock()
            held = self._leases.get(name)
            if held and held.owner is not None and held.until > now and held.token != over:
                left = (held.until - now).total_seconds()
                raise LeaseHeld(name, after=left, holder=held.owner, token=held.token)
            token = max(held.token + 1 if held else 0, int(now.timestamp() * 1000))
            self._leases[name] = _Held(owner, token, now + timedelta(seconds=seconds))
            return Lease(name, owner, token, seconds)

    def renew_lease(self, lease: Lease) -> None:
        with self._lock:
            self._check(lease).until = self._clock() + timedelta(seconds=lease.seconds)

    def release_lease(self, lease: Lease) -> None:
        with self._lock:
            held = self._leases.get(lease.name)
            if held and held.token == lease.token:
                held.owner = None

    def _check(self, lease: Lease) -> _Held:
        held = self._leases.get(lease.name)
        if held is None or held.token != lease.token or held.owner is None:
            raise Fenced(
                f"{lease.name}: another worker has taken over since token {lease.token}",
                hint="nothing to do: the other run goes on; this one has stopped",
                code="fenced",
            )
        return held

    # -- journal

    def journal(self, lease: Lease, entry: JournalEntry) -> None:
        with self._lock:
            self._check(lease)
            self._journal.setdefault(entry.client_token, replace(entry, written_at=self._clock()))

    def journal_done(self, client_tokens: Iterable[str]) -> None:
        with self._lock:
            for token in client_tokens:
                self._journal.pop(token, None)

    def journal_open(self, target: str) -> Sequence[JournalEntry]:
        with self._lock:
            return [entry for entry in self._journal.values() if entry.target == target]

    # -- states

    def state(self, sync: str, partition: str = "") -> SyncState:
        with self._lock:
            return self._states.get((sync, partition), SyncState())

    def save_state(self, lease: Lease, sync: str, partition: str, state: SyncState) -> None:
        with self._lock:
            self._check(lease)
            finished = state.finished_at or self._clock()
            self._states[sync, partition] = replace(state, finished_at=finished)

    # -- rejects

    def rejects(self, sync: str) -> Sequence[Rejected]:
        with self._lock:
            return [self._rejects[at] for at in sorted(self._rejects) if at[0] == sync]

    def save_rejects(self, sync: str, rejected: Sequence[Rejected], resolved: Iterable[str]) -> None:
        with self._lock:
            self._drop_rejects(sync, resolved)
            for one in map(_storable, rejected):
                self._rejects[sync, one.key] = one

    def forget_rejects(self, sync: str, keys: Iterable[str] | None = None) -> int:
        with self._lock:
            gone = self._drop_rejects(sync, keys)
            for at, state in self._states.items():
                if at[0] == sync and gone:
                    self._states[at] = replace(state, position=None)
            return gone

    def _drop_rejects(self, sync: str, keys: Iterable[str] | None) -> int:
        wanted = None if keys is None else {_text(key) for key in keys}
        gone = [at for at in self._rejects if at[0] == sync and (wanted is None or at[1] in wanted)]
        for at in gone:
            del self._rejects[at]
        return len(gone)

    # -- incidents and runs

    def open_incident(self, name: str, message: str) -> tuple[Incident, bool]:
        with self._lock:
            seen = self._incidents.get(name)
            opened = seen.opened_at if seen else self._clock()
            count = seen.occurrences + 1 if seen else 1
            self._incidents[name] = Incident(name, opened, None, _text(message), count)
            return self._incidents[name], seen is None

    def close_incident(self, name: str) -> Incident | None:
        with self._lock:
            seen = self._incidents.pop(name, None)
            return replace(seen, closed_at=self._clock()) if seen else None

    def start_run(self, run_id: str, sync: str, partition: str, holder: str) -> None:
        with self._lock:
            at = (run_id, _text(sync), _text(partition))
            self.runs_by_key.pop(at, None)
            self.runs_by_key[at] = RunEntry(*at, "running", self._clock(), None, _text(holder), {})

    def start_runs(self, run_id: str, syncs: Sequence[tuple[str, str]], holder: str, asked_by: str = "") -> None:
        for sync, partition in syncs:
            self.start_run(run_id, sync, partition, holder)
            at = (run_id, _text(sync), _text(partition))
            self.runs_by_key[at] = replace(self.runs_by_key[at], asked_by=_text(asked_by))

    def runs(self, sync: str | None = None, *, running: bool = False, limit: int = 100) -> Sequence[RunEntry]:
        with self._lock:
            now = self._clock()
            owners = {held.owner for held in self._leases.values() if held.owner and held.until > now}
            found = [run for run in self.runs_by_key.values() if run.outcome == "running" or not running]
            mine = [r for r in found if sync is None or _is_of(sync, r.sync)]
            mine.sort(key=lambda r: (-(r.started_at or r.finished_at or now).timestamp(), r.sync, r.partition))
            return [
                replace(r, seconds=(now - (r.started_at or now)).total_seconds(), leased=r.holder in owners)
                for r in mine[:limit]
            ]

    def lose_run(self, run_id: str, sync: str, partition: str) -> None:
        with self._lock:
            run = self.runs_by_key.get((run_id, _text(sync), _text(partition)))
            if run is not None and run.outcome == "running":
                self.record_run(run_id, sync, partition, "lost", {"error": "its process ended without a word"})

    def record_run(self, run_id: str, sync: str, partition: str, outcome: str, report: dict[str, object]) -> None:
        with self._lock:
            at = (run_id, _text(sync), _text(partition))
            begun = self.runs_by_key.get(at) or RunEntry(*at, "", None, None, "", {})
            self.runs_by_key[at] = replace(begun, outcome=outcome, finished_at=self._clock(), report=report)

    def record_runs(self, run_id: str, ends: Sequence[tuple[str, str, str, dict[str, object]]]) -> None:
        for sync, partition, outcome, report in ends:
            self.record_run(run_id, sync, partition, outcome, report)


def _storable(one: Rejected) -> Rejected:
    return replace(
        one,
        key=_text(one.key),
        field=_text(one.field),
        reason=_text(one.reason),
        partition=_text(one.partition),
    )


def _text(text: str) -> str:
    """As a PostgreSQL text column gives it back."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{SYMBOL FOR NULL}")


def _is_of(name: str, sync: str) -> bool:
    """Whether a run's sync is the one of this name, of its replica or fleet, or a table named without its schema."""
    forward = sync.removeprefix("restore ")
    replica, colon, table = name.partition(":")
    of, _, full = forward.partition(":")
    short = full.split(".")[1] if full.count(".") and '"' not in full else None
    inside = forward.startswith((f"{name}:", f"{name}/"))
    return name in (sync, forward) or inside or bool(colon and replica == of and short == table)
