"""One sync of a repository with a peer, from its start to its end, whatever happens between.

    run(order, library, peer, syncs, holder=...)        push or pull
    resume(sync_id, library, peer, syncs, holder=...)   go on after a crash, or after an end that was not whole

Every unit ends in exactly one of succeeded, failed, skipped, and what became of it is kept before the next is begun: a
process that is killed anywhere leaves a sync that can go on. Pure of HTTP and SQL.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sync_assets.engine.errors import Fenced, SyncError
from sync_assets.engine.faults import point
from sync_assets.exchange.ahead import ahead
from sync_assets.exchange.model import Cleared, ExportPage, Id, Library, TaskPack
from sync_assets.exchange.plan import batches, checked, ended, failed, shown, unit_of
from sync_assets.exchange.sending import patient
from sync_assets.exchange.ways import Ends, Way
from sync_assets.exchange.work import Order, Peer, SyncState, SyncStatus, SyncStore, Unit, UnitStatus

Progress = Callable[[SyncState], None]
Sleep = Callable[[float], None]
_Result = TypeVar("_Result")
_GONE = "no longer there"


def silent(state: SyncState) -> None:
    """No progress is told."""


def run(
    order: Order,
    library: Library,
    peer: Peer,
    syncs: SyncStore,
    *,
    holder: str,
    progress: Progress = silent,
    sleep: Sleep = time.sleep,
) -> SyncState:
    """Do what was asked; what became of each unit is in the state.

    Raises `AlreadyRunning`, `Stop` for an order that makes no sense, and what broke it off, which is kept with the
    sync: `Retry` when the peer or the control database stays out of reach, `Stop` for what a person must mend,
    `RejectRow` for a repository or a chosen document that is not there, `Fenced` when another process took it over.
    """
    return carry_on(begin(order, syncs, holder=holder), library, peer, syncs, progress=progress, sleep=sleep)


def begin(order: Order, syncs: SyncStore, *, holder: str) -> SyncState:
    """Note that it begins, for whoever wants its id before it is carried on. Raises as `run`."""
    state = syncs.start(checked(order), holder)
    point("exchange_started")
    return state


def resume(
    sync_id: str,
    library: Library,
    peer: Peer,
    syncs: SyncStore,
    *,
    holder: str,
    progress: Progress = silent,
    sleep: Sleep = time.sleep,
) -> SyncState:
    """Go on with a sync whose process is gone, or that ended failed or partial. Raises as `run`, and `Stop` for a sync
    that is unknown or completed."""
    return carry_on(syncs.resume(sync_id, holder), library, peer, syncs, progress=progress, sleep=sleep)


def carry_on(
    state: SyncState,
    library: Library,
    peer: Peer,
    syncs: SyncStore,
    *,
    progress: Progress = silent,
    sleep: Sleep = time.sleep,
) -> SyncState:
    """Carry out a sync that this process has begun or taken over. Raises as `run`."""
    work = _Work(state, syncs, progress, sleep)
    try:
        end = work.go(library, peer)
    except Fenced:
        raise
    except SyncError as error:
        work.finish(_End(SyncStatus.FAILED, str(error), work.cleared))
        raise
    except BaseException as error:  # or it would be in progress for as long as this process lives
        syncs.finish(state.sync_id, SyncStatus.FAILED, f"ended by {type(error).__name__}", work.cleared)
        raise
    return work.finish(end)


@dataclass(frozen=True, slots=True)
class _End:
    status: SyncStatus
    error: str
    cleared: Cleared | None


@dataclass(slots=True)
class _Work:
    state: SyncState
    syncs: SyncStore
    progress: Progress
    sleep: Sleep
    known: dict[Id, Unit] = field(default_factory=dict)
    counts: Counter[UnitStatus] = field(default_factory=Counter)  # of what is known
    seen: set[Id] = field(default_factory=set)
    cleared: Cleared | None = None

    @property
    def sync_id(self) -> str:
        return self.state.sync_id

    def go(self, library: Library, peer: Peer) -> _End:
        self._know(self._kept(lambda: self.syncs.units(self.sync_id)))
        fresh = self.counts[UnitStatus.SUCCEEDED] == 0
        way = Ends(self.state.order, self.sync_id, library, peer, self.sleep, fresh).open()
        self.cleared = way.cleared
        self._plan(way, (), way.total)
        with closing(ahead(way.pages)) as pages:
            for page in pages:
                self._page(way, page)
        self._no_longer_there(way)
        return self._outcome(way)

    # -- page by page

    def _page(self, way: Way, page: ExportPage) -> None:
        subset = bool(self.state.order.document_ids)
        packs = [shown(pack, subset=subset) for pack in self._unseen(page)]
        self._plan(way, [p for p in packs if p.task.task_id not in self.known], way.total)
        due = [p for p in packs if self.known[p.task.task_id].status is UnitStatus.PENDING]
        for batch in batches(due, way.at_once):
            self._send(way, batch)

    def _unseen(self, page: ExportPage) -> list[TaskPack]:
        """Of a peer that names a task twice, the first counts."""
        fresh = []
        for pack in page.packs:
            if pack.task.task_id not in self.seen:
                self.seen.add(pack.task.task_id)
                fresh.append(pack)
        return fresh

    def _plan(self, way: Way, packs: Sequence[TaskPack], total: int) -> None:
        after = max((unit.number for unit in self.known.values()), default=0) if packs else 0
        units = [unit_of(after + n, pack) for n, pack in enumerate(packs, 1)]
        total = max(total, len(self.known) + len(units))
        self._kept(lambda: self.syncs.plan(self.sync_id, way.repository, units, total))
        self._know(units)
        self.state = replace(self.state, repository_name=way.repository.name, total=total)
        point("exchange_planned")

    def _send(self, way: Way, batch: Sequence[TaskPack]) -> None:
        title = batch[0].task.title
        self.state = replace(self.state, current=title)
        self._kept(lambda: self.syncs.at(self.sync_id, title))
        units = [self.known[pack.task.task_id] for pack in batch]
        point("exchange_before_send")
        try:
            outcomes = way.deliver(batch)
        except SyncError as error:
            tried = [replace(unit, attempts=unit.attempts + 1) for unit in units]
            self._note([failed(u, p.documents, str(error)) for u, p in zip(tried, batch, strict=True)])
            raise
        point("exchange_after_send")
        self._note([ended(u, p, o) for u, p, o in zip(units, batch, outcomes, strict=True)])

    def _note(self, units: Sequence[Unit]) -> None:
        self._kept(lambda: self.syncs.done(self.sync_id, units))
        self._know(units)
        self.state = replace(
            self.state,
            succeeded=self.counts[UnitStatus.SUCCEEDED],
            failed=self.counts[UnitStatus.FAILED],
            skipped=self.counts[UnitStatus.SKIPPED],
        )
        point("exchange_noted")
        self.progress(self.state)

    # -- the end

    def _no_longer_there(self, way: Way) -> None:
        """Units of before a crash whose task was deleted meanwhile; and the total is what it came to."""
        left = [u for u in self.known.values() if u.status is UnitStatus.PENDING and u.task_id not in self.seen]
        if left:
            self._note([replace(u, status=UnitStatus.SKIPPED, error=_GONE) for u in left])
        self._plan(way, (), len(self.known))

    def finish(self, end: _End) -> SyncState:
        point("exchange_before_finish")
        finished = self._kept(lambda: self.syncs.finish(self.sync_id, end.status, end.error, end.cleared))
        point("exchange_finished")
        self.progress(finished)
        return finished

    def _outcome(self, way: Way) -> _End:
        bad, good = self.counts[UnitStatus.FAILED], self.counts[UnitStatus.SUCCEEDED]
        if good:
            point("exchange_before_link")
            way.link()
            point("exchange_after_link")
        notes = [way.note]
        if way.clear and not bad:
            point("exchange_before_clear")
            self.cleared = way.clear()
            point("exchange_after_clear")
        elif way.clear:
            notes.append(f"nothing was cleared, because {bad} of {len(self.known)} failed")
        status = SyncStatus.COMPLETED if not bad else SyncStatus.PARTIAL if bad < len(self.known) else SyncStatus.FAILED
        return _End(status, "; ".join(n for n in notes if n), self.cleared)

    def _know(self, units: Sequence[Unit]) -> None:
        for unit in units:
            before = self.known.get(unit.task_id)
            if before is not None:
                self.counts[before.status] -= 1
            self.counts[unit.status] += 1
            self.known[unit.task_id] = unit

    def _kept(self, call: Callable[[], _Result]) -> _Result:
        return patient(call, self.sleep)
