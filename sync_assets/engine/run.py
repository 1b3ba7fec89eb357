"""One run of one sync, from the lease to the report. The only way that data takes to a board.

    lease -> look at the target -> read the source -> shape -> scan and compare -> plan -> guards
          -> updates, creates, deletes -> verify -> position and rejects -> report

Reading the source and scanning the target overlap. Nothing is written before the plan is whole and its guards passed;
what an earlier, killed run may have left unclear is settled first (docs/decisions/004).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from sync_assets.engine import faults, guard, scope
from sync_assets.engine.ahead import Ahead
from sync_assets.engine.control import ControlStore, JournalEntry, SyncState
from sync_assets.engine.errors import Stop, SyncError
from sync_assets.engine.interpreter import tuned
from sync_assets.engine.job import Job
from sync_assets.engine.lease import SECONDS, HeldLease, holding, steady
from sync_assets.engine.model import (
    Batch,
    Canonical,
    Column,
    ColumnType,
    Mode,
    Partition,
    Progress,
    Record,
    Rejected,
    Report,
    Schema,
    Source,
    silent,
)
from sync_assets.engine.outcome import Facts, fill_report, refuse_unknown_columns
from sync_assets.engine.plan import ByColumns, ByContent, Key, KeyOf, Plan, SourceRows, Update, digest, key_text
from sync_assets.engine.target import Pending, Shape, Target
from sync_assets.engine.write import Writer

CHUNK = 2_000  # rows encoded at a time, so that a first load does not hold every request body at once
T = TypeVar("T")


@dataclass(slots=True)
class Run:
    """The state of one run. `execute` is the story; each step is a method below it."""

    job: Job
    source: Source
    target: Target
    store: ControlStore
    partitions: Sequence[Partition] = ()
    owner: str = ""
    progress: Progress = silent
    clock: Callable[[], float] = steady
    lease_seconds: float = SECONDS
    dry: bool = False
    schema: Schema = ()
    columns: Sequence[str] = ()  # those of the schema that are read
    state: SyncState = field(default_factory=SyncState)
    known: Sequence[Rejected] = ()
    entries: Sequence[JournalEntry] = ()
    failed: dict[int, SyncError] = field(default_factory=dict)
    newest: object | None = None
    marks: Counter[str] = field(default_factory=Counter)
    since: object | None = None  # where this run starts to read; None: all of it
    warnings: list[str] = field(default_factory=list)  # what would stop a run that is not dry
    _stack: ExitStack = field(default_factory=ExitStack)

    def execute(self) -> Report:
        """Do it all. Raises `Stop`, `Fenced` or `Retry`; rows that cannot be written are in the report."""
        started = self.clock()
        with self._stack, tuned():
            held = None if self.dry else self._hold()
            report = self._steps(held)
        report.seconds = self.clock() - started
        return report

    def _hold(self) -> HeldLease:
        name = self.target.lease_name
        held = self._stack.enter_context(
            holding(self.store, name, self.owner, seconds=self.lease_seconds, clock=self.clock)
        )
        self.target.fence(held.ensure)
        faults.point("after_lease")
        return held

    def _steps(self, held: HeldLease | None) -> Report:
        self._look()
        rows, shape, plan = self._compare(held)
        writer = None
        if held is not None:
            writer = self._writer(held, shape, rows.key_of)
            self._settle_journal(writer, plan, shape)
        self._close(plan)
        if writer is not None and held is not None:
            self._write_and_keep(writer, plan)
            differences = self._rescan(plan, shape, writer) if self.job.rescan else None
            self._remember(held, plan, writer, rows)
        else:
            differences = None
        return fill_report(self._facts(), plan, shape, writer, differences)

    # -- before anything is written --------------------------------------------------------------------------------

    def _look(self) -> None:
        self.schema = self.source.describe()
        refuse_unknown_columns(self.job, self.schema)
        if self.job.mode is Mode.APPEND:
            self.schema = (*self.schema, Column(self.job.append_column, ColumnType.TEXT))
        self.state = self.store.state(self.job.sync)
        labels = set(self.labels)
        self.known = [r for r in self.store.rejects(self.job.sync) if r.partition in labels]
        # another sync's entries on this table are its own to settle: their keys mean nothing here
        open_entries = self.store.journal_open(self.target.lease_name)
        self.entries = [e for e in open_entries if e.sync == self.job.sync]

    @property
    def labels(self) -> Sequence[str]:
        """Partition keys by number; one empty key without partitions."""
        return [p.key for p in self.partitions] or [""]

    def _compare(self, held: HeldLease | None) -> tuple[SourceRows, Shape, Plan]:
        ensure = held.ensure if held else _nothing
        undecided = self.target.open(self.schema)
        self.columns = self._used()
        if undecided:
            buffered = self._buffer(ensure)
            shape = self._shape([b for batches in buffered.values() for b in batches])
            pages = self._pages()
            rows = self._source_rows(shape)
            for number in list(buffered):
                self._take(rows, number, iter(buffered.pop(number)))
        else:
            shape = self._shape([])
            pages = self._pages()
            rows = self._source_rows(shape)
            for number, batches in self._read_parts(ensure):
                self._take(rows, number, batches)
        self._read_failed()
        faults.point("after_read")
        with self._allowed_when_dry():
            rows.refuse_duplicates(self.job.sync, self.job.key)
            guard.refuse_many_rejects(self.job.sync, len(rows.rejected), rows.still_rejected, self.job.reject_limit)
        plan = self._plan(rows, shape)
        for page in pages:
            ensure()
            plan.see_all(page)
            self.progress("compare", plan.records, None)
        faults.point("after_scan")
        return rows, shape, plan

    def _shape(self, batches: Sequence[Batch]) -> Shape:
        shape = self.target.shape(batches, dry=self.dry)
        faults.point("after_shape")
        return shape

    def _pages(self) -> Iterator[Iterable[Record]]:
        only = (self.job.append_column, self.job.seed) if self.job.mode is Mode.APPEND else None
        pages = Ahead(self.target.scan(extra=self.job.clear_unmapped, only=only))
        self._stack.callback(pages.close)
        return pages

    def _source_rows(self, shape: Shape) -> SourceRows:
        key = (self.job.append_column,) if self.job.mode is Mode.APPEND else self.job.key
        positions = [p for p in map(shape.position, key) if p is not None]
        if len(positions) < len(key):
            raise Stop(
                f"{self.job.sync}: a key column is not on the target: {', '.join(key)}",
                hint="give it a type under columns (bytes are left out without one), or choose another key",
                code="unmapped_key",
            )
        return SourceRows(
            key_of=ByColumns(positions) if positions else ByContent(),
            canonise=[m.canonise for m in shape.mapped],
            pick=[self._position(m.column.name) for m in shape.mapped],
            duplicates=self.job.source_duplicates,
            known_rejects={r.key: r.digest for r in self.known},
            columnwise=[m.canonise_column for m in shape.mapped],
        )

    def _used(self) -> list[str]:
        """The columns that anybody asks for, in the order of the source."""
        job = self.job
        used = {*self.target.columns, *job.key, job.watermark, job.partition_column}
        return [c.name for c in self.schema if c.name in used and c.name != self._appended]

    @property
    def _appended(self) -> str | None:
        return self.job.append_column if self.job.mode is Mode.APPEND else None

    def _position(self, column: str) -> int:
        """Where a column stands in the rows that are read; the mark of an append comes last."""
        return len(self.columns) if column == self._appended else self.columns.index(column)

    def _plan(self, rows: SourceRows, shape: Shape) -> Plan:
        rows.key_of.restart()
        in_scope: scope.InScope = scope.whole
        if self.partitions and self.job.mode is Mode.CLONE:
            good = [(n, p) for n, p in enumerate(self.partitions) if n not in self.failed]
            in_scope = scope.of_partitions(self.job.sync, shape, self.job.partition_column or "", good)
        watermark = shape.position(self.job.watermark) if self.job.watermark else None
        return Plan(
            self.job.mode, rows, self.job.clear_unmapped, watermark, in_scope, self.job.target_duplicates
        )  # fmt: skip

    # -- reading ---------------------------------------------------------------------------------------------------

    def _read_parts(self, ensure: Callable[[], None]) -> Iterator[tuple[int, Iterator[Batch]]]:
        parts: Sequence[Partition | None] = self.partitions or [None]
        for number, part in enumerate(parts):
            yield number, self._read(part, ensure)

    def _read(self, part: Partition | None, ensure: Callable[[], None]) -> Iterator[Batch]:
        read = 0
        self.since = self._since(part)
        narrowed = self.columns if len(self.columns) < len(self.schema) - (self._appended is not None) else None
        batches = Ahead(
            self.source.read(part, self.since, narrowed), depth=1
        )  # the server fills the next one meanwhile
        self._stack.callback(batches.close)
        for batch in batches:
            ensure()
            read += len(batch.rows)
            self._note_newest(batch)
            self.progress("read", read, None)
            yield self._marked(batch, part) if self.job.mode is Mode.APPEND else batch

    def _since(self, part: Partition | None) -> object | None:
        """Where an incremental run starts to read: the last watermark less the look-back."""
        incremental = self.job.mode is Mode.INCREMENTAL and self.job.watermark and part is None
        if not incremental or self.state.position is None or self.state.digest != self.job.spec_digest:
            return None
        try:
            at = datetime.fromisoformat(self.state.position)
        except ValueError:
            return self.state.position
        return (at - timedelta(seconds=self.job.lookback)).isoformat()

    def _note_newest(self, batch: Batch) -> None:
        if self.job.watermark and batch.rows:
            index = batch.columns.index(self.job.watermark)
            values = [row[index] for row in batch.rows if row[index] is not None]
            if values:
                best = max(values)
                self.newest = best if self.newest is None else max(self.newest, best)

    def _marked(self, batch: Batch, part: Partition | None) -> Batch:
        seed = f"{self.job.seed}:{part.key}" if part else self.job.seed
        return replace(batch, columns=(*batch.columns, self.job.append_column), rows=[
            (*row, self._mark(seed, digest(row))) for row in batch.rows
        ])  # fmt: skip

    def _mark(self, seed: str, content: str) -> str:
        mark = f"{seed}:{content[:20]}"
        self.marks[mark] += 1
        return f"{mark}:{self.marks[mark]}"

    def _buffer(self, ensure: Callable[[], None]) -> dict[int, list[Batch]]:
        """Everything of the source, for a first run that must see values before it can decide on fields."""
        buffered = {}
        for number, batches in self._read_parts(ensure):
            with self._isolating(number):
                buffered[number] = list(batches)
        return buffered

    def _take(self, rows: SourceRows, number: int, batches: Iterator[Batch]) -> None:
        with self._isolating(number):
            for batch in batches:
                rows.add(batch, number, self.labels[number])
        if number in self.failed:
            rows.forget(number, self.labels[number])

    @contextmanager
    def _isolating(self, number: int) -> Iterator[None]:
        """One partition that cannot be read does not hold the others up."""
        try:
            yield
        except SyncError as error:
            if len(self.labels) == 1:
                raise
            self.failed[number] = error

    def _read_failed(self) -> None:
        if self.failed and len(self.failed) == len(self.labels):
            raise next(iter(self.failed.values()))

    # -- settling, guarding, writing -------------------------------------------------------------------------------

    def _writer(self, held: HeldLease, shape: Shape, key_of: KeyOf) -> Writer:
        def is_present(keys: Sequence[str]) -> bool:
            key_of.restart()
            found = (key_of(r.values) for page in self._pages() for r in page)
            return any(key is not None and key_text(key) in keys for key in found)

        job = self.job
        return Writer(job.sync, self.target, self.store, held, shape, 0, self.labels, self.progress, is_present)

    def _settle_journal(self, writer: Writer, plan: Plan, shape: Shape) -> None:
        """Creates whose answer was never seen: present (then they are done), or sent again under the same token."""
        for entry in self.entries:
            if self._is_present(entry, plan):
                self.store.journal_done([entry.client_token])
                continue
            for key, written in zip(entry.keys, writer.replay(entry), strict=False):
                if written.values is None:
                    plan.take_for_granted(key, written.id)
                else:
                    values = tuple(written.values.get(i) for i in range(len(shape.mapped)))
                    plan.see(Record(written.id, values))
            faults.point("after_replay")

    def _is_present(self, entry: JournalEntry, plan: Plan) -> bool:
        """Whether rows of the entry are on the board. A batch is atomic, so one stands for all."""
        if self.job.mode is Mode.APPEND and not any(self.job.seed in key for key in entry.keys):
            marks = (self.job.append_column, entry.keys[0].partition(":")[0])  # of another run: not scanned yet
            return any(True for page in self.target.scan(extra=False, only=marks) for _ in page)
        present = {key_text(k) for k in plan.seen}
        return any(key in present for key in entry.keys)

    def _close(self, plan: Plan) -> None:
        job, plan_read = self.job, sum(plan.source.read.values())
        plan.finish()
        with self._allowed_when_dry():
            if job.mode is not Mode.APPEND:
                last = None if job.accept_shrunken else self.state.rows
                guard.refuse_shrunken_target(job.sync, plan.records, last)
            plan.refuse_duplicates(job.sync)
            if job.mode is Mode.CLONE:
                allowed = job.allow_empty_source or bool(self.partitions)
                guard.refuse_empty_source(job.sync, plan_read, plan.scoped, allowed)
            if not (plan_read == 0 and job.allow_empty_source):
                guard.refuse_mass_delete(job.sync, len(plan.deletes), plan.scoped, job.delete_limit)
        faults.point("after_plan")

    @contextmanager
    def _allowed_when_dry(self) -> Iterator[None]:
        """A dry run shows what a guard would stop: people are sent to it to look."""
        try:
            yield
        except Stop as error:
            if not self.dry:
                raise
            self.warnings.append(f"a run would stop here: {error}")

    def _write_and_keep(self, writer: Writer, plan: Plan) -> None:
        """Write; rows found bad are kept even if the run fails, so that nobody looks for them again."""
        rows = plan.source
        writer.reject_limit = self.job.reject_limit - len(rows.rejected) - rows.still_rejected
        try:
            self._write(writer, plan)
        except SyncError:
            with suppress(SyncError):
                self.store.save_rejects(self.job.sync, [r for _, r in writer.done.rejected], [])
            raise

    def _write(self, writer: Writer, plan: Plan) -> None:
        rows = plan.source.rows
        writer.totals = {"update": len(plan.updates), "create": len(plan.creates), "delete": len(plan.deletes)}
        again: list[Key] = []
        for chunk in self._prepared(plan.updates, lambda u: self._update(u, rows[u.key][0])):
            gone = {p.record for p in writer.update(chunk)}
            again += [u.key for u in plan.updates if u.record in gone] if gone else []
        creates = [*plan.creates, *again]
        for chunk in self._prepared(creates, lambda k: self._create(k, *rows[k])):
            writer.create(chunk)
        if plan.deletes:
            writer.delete(plan.deletes, plan.delete_keys)

    def _prepared(self, items: Sequence[T], encode: Callable[[T], Pending]) -> Iterator[list[Pending]]:
        """Chunks ready to be sent; the next one is encoded while the target works on this one."""
        starts = range(0, len(items), CHUNK)
        chunks = Ahead((list(map(encode, items[start : start + CHUNK])) for start in starts), depth=1)
        self._stack.callback(chunks.close)
        return chunks

    def _create(self, key: Key, values: tuple[Canonical, ...], part: int) -> Pending:
        body = self.target.create_part(values)
        return Pending(key_text(key), part, body, expect=dict(enumerate(values)), row=values)

    def _update(self, update: Update, values: tuple[Canonical, ...]) -> Pending:
        body = self.target.update_part(update.record, update.changes, update.clear)
        return Pending(key_text(update.key), update.part, body, update.record, update.changes, values)

    # -- afterwards ------------------------------------------------------------------------------------------------

    def _rescan(self, plan: Plan, shape: Shape, writer: Writer) -> list[str]:
        fresh = self._plan(plan.source, shape)
        for page in self._pages():
            fresh.see_all(page)
        fresh.finish()
        refused = {r.key for _, r in writer.done.rejected}  # rejected, and reported as such
        differ = [u for u in fresh.updates if key_text(u.key) not in refused]
        missing = [k for k in fresh.creates if key_text(k) not in refused]
        parts = (("differ", differ), ("are missing", missing), ("are too many", fresh.deletes))
        return [f"{len(items)} records {what}" for what, items in parts if items]

    def _remember(self, held: HeldLease, plan: Plan, writer: Writer, rows: SourceRows) -> None:
        faults.point("before_state")
        held.ensure()
        done = writer.done
        now = [*rows.rejected, *(r for _, r in done.rejected)]
        self.store.save_rejects(self.job.sync, now, self._resolved(rows, {r.key for r in now}))
        position = self.state.position if self.newest is None else _position(self.newest)
        state = SyncState(position, self._records_after(plan, writer), self.job.spec_digest, datetime.now(UTC))
        self.store.save_state(held.lease, self.job.sync, "", state)
        faults.point("after_state")

    def _resolved(self, rows: SourceRows, now: set[str]) -> list[str]:
        """Known rejects that were written, or are gone from the source; of rows that were not read nothing is known."""
        keep = now | {key_text(k) for k in rows.held}
        unread = {self.labels[n] for n in self.failed}
        read = {key_text(k) for k in rows.rows} if self.since is not None else None
        return [
            r.key
            for r in self.known
            if r.key not in keep and r.partition not in unread and (read is None or r.key in read)
        ]

    def _records_after(self, plan: Plan, writer: Writer) -> int | None:
        if self.job.mode is Mode.APPEND:
            return None
        return plan.records + sum(writer.done.created.values()) - writer.done.deleted

    def _facts(self) -> Facts:
        failures = {self.labels[n]: error for n, error in self.failed.items()}
        return Facts(self.job, self.target, self.schema, self.labels, failures, self.known, self.warnings)


def _position(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _nothing() -> None:
    """A dry run holds no lease."""
