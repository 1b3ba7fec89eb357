"""One run over tables, from the leases to the reports. The only way that rows take from database to database.

    leases -> shapes, design, build -> one moment of the source -> choose a way for each table
           -> ship, referenced tables first -> deletes, referenced tables last
           -> indexes, constraints, sequences -> proof -> reports

One failed table or window does not hold up the others. A run that was killed is simply run again: what took effect is
in the target's ledger.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from sync_assets.engine import faults
from sync_assets.engine.control import ControlStore, SyncState
from sync_assets.engine.errors import Fenced, Stop, SyncError
from sync_assets.engine.interpreter import tuned
from sync_assets.engine.lease import SECONDS, HeldLease, holding, steady
from sync_assets.engine.model import Progress, silent
from sync_assets.engine.tables.choose import Chooser
from sync_assets.engine.tables.job import Pace, TableJob, Verdict
from sync_assets.engine.tables.lanes import Lanes, reading
from sync_assets.engine.tables.order import generations
from sync_assets.engine.tables.prove import prove, verdict
from sync_assets.engine.tables.reading import Snapshot, TableSource
from sync_assets.engine.tables.report import Outcome, foreseen, outcomes
from sync_assets.engine.tables.shape import TableName
from sync_assets.engine.tables.ship import Shipping
from sync_assets.engine.tables.sides import Both
from sync_assets.engine.tables.structure import Structure
from sync_assets.engine.tables.work import Way, Work
from sync_assets.engine.tables.writing import TableTarget


@dataclass(slots=True)
class TablesRun:
    """The state of one run. `execute` is the story; each step is a method below it."""

    jobs: Sequence[TableJob]
    source: TableSource
    target: TableTarget
    store: ControlStore
    owner: str = ""
    progress: Progress = silent
    pace: Pace = field(default_factory=Pace)
    dry: bool = False
    run_id: str = ""
    accept_empty: bool = False
    clock: Callable[[], float] = steady
    lease_seconds: float = SECONDS
    sleep: Callable[[float], None] = time.sleep
    works: list[Work] = field(default_factory=list)
    tokens: dict[str, int] = field(default_factory=dict)  # by sync
    _held: list[HeldLease] = field(default_factory=list)
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _done: int = 0

    def execute(self) -> dict[str, Outcome]:
        """Do it all. Raises `Stop` or `Retry` for what concerns all tables; each table's own end is in its outcome."""
        started = self.clock()
        structure = Structure(self.source, self.target, self.jobs)
        with tuned(), ExitStack() as stack:
            if not self.dry:
                self._lease(structure, stack)
                self.target.open_ledger()
            self._steps(structure)
            found = outcomes(structure, self.works)
            self._remember(structure)
        for outcome in found.values():
            if outcome.report is not None:
                outcome.report.seconds = self.clock() - started
        return found

    def verify(self) -> dict[str, Verdict | SyncError]:
        """Compare whole tables and change nothing."""
        structure = Structure(self.source, self.target, self.jobs)
        structure.look()
        works = structure.works()
        found: dict[str, Verdict | SyncError] = dict(structure.errors)
        with self._both(works) as both:
            for work in works:
                self.progress("compare", len(found), len(self.jobs))
                found[work.ledger] = verdict(self.source, self.target, work, both)
        return found

    def _steps(self, structure: Structure) -> None:
        self.progress("structure", 0, None)
        structure.look()
        if self.dry:
            self._foresee(structure)
            return
        structure.build()
        faults.point("after_build")
        oldest = self.source.oldest_writer() if any(job.watermark for job in self.jobs) else None
        with self._moment(structure) as snapshot:
            structure.refuse_changed()
            self.works = structure.works()
            for work in self.works:
                work.token = self.tokens[work.job.sync]
                work.notes += snapshot.notes
            lanes = Lanes(snapshot, self.target, self.pace.streams)
            try:
                self._through(structure, snapshot, lanes, oldest)
            finally:
                lanes.close()

    def _through(self, structure: Structure, snapshot: Snapshot, lanes: Lanes, oldest: str | None) -> None:
        self._choose(structure, lanes, oldest)
        faults.point("after_choice")
        self._ship(structure, snapshot, lanes)
        self.ensure()
        after = (*structure.design.after, *structure.positions())
        if after:
            self.progress("indexes and constraints", 0, None)
            self.target.build(after)
        faults.point("before_proof")
        self._prove(lanes)

    # -- leases

    def _lease(self, structure: Structure, stack: ExitStack) -> None:
        taken: dict[str, HeldLease] = {}
        for job in self.jobs:
            name = self._lease_name(job)
            try:
                if name not in taken:
                    held = holding(self.store, name, self.owner, seconds=self.lease_seconds, clock=self.clock)
                    taken[name] = stack.enter_context(held)
            except SyncError as error:
                structure.errors[job.sync] = error
                continue
            self.tokens[job.sync] = taken[name].lease.token
        self._held = list(taken.values())
        faults.point("after_lease")

    def _lease_name(self, job: TableJob) -> str:
        return job.lease or f"{self.target.address}/{job.target}"

    def ensure(self) -> None:
        """Renew the leases if they grow old. Raises `Fenced`. From any thread."""
        with self._guard:
            for held in self._held:
                held.ensure()

    # -- the steps

    @contextmanager
    def _moment(self, structure: Structure) -> Iterator[Snapshot]:
        """One moment of all sources. A table that cannot be had is told of, and does not hold up the others."""
        with ExitStack() as stack:
            try:
                found = stack.enter_context(self.source.snapshot(self._sources(structure), self.pace.streams))
            except Stop:
                if not self._left_out(structure):
                    raise
                found = stack.enter_context(self.source.snapshot(self._sources(structure), self.pace.streams))
            yield found

    def _left_out(self, structure: Structure) -> bool:
        """Find the tables that cannot be had by themselves."""
        before = len(structure.errors)
        for job in structure.left():
            try:
                with self.source.snapshot([job.source] if job.source is not None else [], 1):
                    pass
            except Stop as error:
                structure.errors[job.sync] = error
        return len(structure.errors) > before

    def _sources(self, structure: Structure) -> list[TableName]:
        return sorted({job.source for job in structure.left() if job.source is not None})

    def _choose(self, structure: Structure, lanes: Lanes, oldest: str | None) -> None:
        chooser = Chooser(self.source, self.target, structure.existing, structure.fresh, oldest)
        standing = sorted({w.table for w in self.works if w.table not in structure.fresh})

        self._fence()

        def choose(work: Work) -> None:
            chooser.choose(work, both)
            self._tell("compare", len(self.works))

        with self._against(lanes, standing) as both:
            lanes.each(lambda work: self._kept(work, lambda: choose(work)), self._going())

    def _fence(self) -> None:
        """From here on nobody writes under an older token, whatever he has in hand: so we look at the target only
        now. Also where nothing will be shipped: who was overtaken must not write what we found to be in step."""
        heads = self.target.take_over_all({work.ledger: work.token for work in self.works})
        for work in self.works:
            work.head = heads[work.ledger]
            if work.head.token > work.token:
                hint = "nothing to do: the other run goes on"
                work.error = Fenced(f"{work.job.sync}: another worker has taken over", hint=hint, code="fenced")

    def _ship(self, structure: Structure, snapshot: Snapshot, lanes: Lanes) -> None:
        references = self._references(structure)
        pointed = frozenset(to for tables in references.values() for to in tables)
        shipping = Shipping(
            self.source, self.target, snapshot, lanes, self.pace.slice_bytes, pointed, self.accept_empty,
            self.sleep,
        )  # fmt: skip
        self._done = 0
        orders = generations(references)
        for tables in orders:
            works = [w for w in self._going() if w.table in tables]
            lanes.each(lambda work: self._kept(work, lambda: self._one(shipping, work)), works)
        for tables in reversed(orders):
            later = [w for w in self._going() if w.table in tables and w.later is not None]
            lanes.each(lambda work: self._kept(work, work.later or _nothing), later)

    def _one(self, shipping: Shipping, work: Work) -> None:
        self.ensure()
        shipping.ship(work)
        if work.resumed and work.key:
            self._settle(shipping, work)
        self._tell("ship", len(self.works))

    def _settle(self, shipping: Shipping, work: Work) -> None:
        """The first slices of a resumed load are of an older moment: what has changed since is shipped now."""
        chooser = Chooser(self.source, self.target, {}, frozenset(), None)
        read, created = work.counts.read, work.counts.created
        work.head, position = self.target.take_over(work.ledger, work.token), work.position
        with self._against(shipping.lanes, [work.table]) as both:
            chooser.choose(work, both)
        work.position = position
        work.resumed = False
        shipping.ship(work)
        if work.way is Way.NOTHING:
            work.counts.read, work.counts.created, work.counts.unchanged = read, created, 0
        elif work.way is Way.KEYS:
            work.counts.created += created
            work.counts.unchanged -= created

    def _prove(self, lanes: Lanes) -> None:
        works = self._going()
        self._done = 0

        def proved(work: Work) -> None:
            prove(self.source, self.target, work, both)
            self._tell("prove", len(works))

        with self._against(lanes, sorted({w.table for w in works})) as both:
            lanes.each(lambda work: self._kept(work, lambda: proved(work)), works)

    def _foresee(self, structure: Structure) -> None:
        """A plan: the same choice with nothing written, the fence included."""
        structure.pretend = True
        self.works = structure.works()
        chooser = Chooser(self.source, self.target, structure.existing, structure.fresh, None)
        with self._both(self.works, structure.fresh) as both:
            for work in self.works:
                self._kept(work, partial(self._foreseen, chooser, work, both))

    def _foreseen(self, chooser: Chooser, work: Work, both: Both) -> None:
        work.head = self.target.peek(work.ledger)
        chooser.choose(work, both)
        if work.table in chooser.fresh:
            work.notes.append(f"{work.table} does not exist yet: it would be created")
        with both.here() as here:
            foreseen(work, here)

    # -- small things

    @contextmanager
    def _both(self, works: Sequence[Work], fresh: Collection[TableName] = ()) -> Iterator[Both]:
        """One moment of each side, for the tables that there are."""
        sources = sorted({w.job.source for w in works if w.job.source is not None})
        tables = sorted({w.table for w in works} - set(fresh))
        streams = self.pace.streams
        with (
            reading(self.source, sources, streams) as here,
            reading(self.target, tables, streams) as there,
            closing(Both(here.one, there.one, streams)) as both,
        ):
            yield both

    @contextmanager
    def _against(self, lanes: Lanes, tables: Sequence[TableName]) -> Iterator[Both]:
        """The source as the lanes see it, and a moment of the target's tables as they are now."""
        with (
            reading(self.target, tables, lanes.count) as there,
            closing(Both(lanes.reader, there.one, lanes.count)) as both,
        ):
            yield both

    def _going(self) -> list[Work]:
        return [w for w in self.works if w.error is None]

    def _kept(self, work: Work, action: Callable[[], None]) -> None:
        try:
            action()
        except SyncError as error:
            if work.job.sync not in error.message:
                error.message = f"{work.job.sync}: {error.message}"
            work.error = error

    def _tell(self, stage: str, total: int) -> None:
        with self._guard:
            self._done += 1
            self.progress(stage, self._done, total)

    def _references(self, structure: Structure) -> Mapping[TableName, Sequence[TableName]]:
        """Which table points to which, in names of the target."""
        over = {job.source: job.target for job in structure.left() if job.source is not None}
        found: dict[TableName, list[TableName]] = {}
        for work in self.works:
            keys = work.shape.foreign_keys
            there = structure.existing.get(work.table)
            theirs = [key.to for key in there.foreign_keys] if there is not None else []
            found[work.table] = [*(over[key.to] for key in keys if key.to in over), *theirs]
        return found

    def _remember(self, structure: Structure) -> None:
        """Rejected rows for `sync-assets rejects`, and where each table stands, for people."""
        if self.dry:
            return
        leases = {h.lease.name: h.lease for h in self._held}
        for job in structure.left():
            works = [w for w in self.works if w.job is job and w.error is None]
            if not works:
                continue
            if job.reject_limit:
                self._keep_rejects(job, works)
            lease = leases[self._lease_name(job)]
            for work in works:
                if work.position is not None:
                    state = SyncState(work.position, None, job.spec_digest, datetime.now(UTC))
                    self.store.save_state(lease, job.sync, work.part, state)

    def _keep_rejects(self, job: TableJob, works: Sequence[Work]) -> None:
        parts = {w.part for w in works}
        known = {r.key for r in self.store.rejects(job.sync) if r.partition in parts}
        rejected = [r for w in works for r in w.rejected]
        if known or rejected:
            self.store.save_rejects(job.sync, rejected, known - {r.key for r in rejected})


def _nothing() -> None:
    """No deletes are waiting."""
