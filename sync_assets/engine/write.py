"""Carrying a plan out: batches by rows and bytes, creates journalled before they are sent, bad rows found by halves.

A target's batch is atomic: one bad row refuses it whole. Halving finds k bad rows among n in at most 2k log2(n)
calls more, and every good row is written on the way. Order: updates, creates, deletes; so an interrupted run leaves
too much rather than too little.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sync_assets.engine import faults
from sync_assets.engine.control import ControlStore, JournalEntry
from sync_assets.engine.errors import AnswerTooLarge, BadBatch, Gone, Stop, TooLarge
from sync_assets.engine.lease import HeldLease
from sync_assets.engine.model import Change, Outcome, Progress, Rejected
from sync_assets.engine.plan import digest, same
from sync_assets.engine.target import Pending, Shape, Target, Written

SAMPLE = 20


@dataclass(slots=True)
class Done:
    """What was written, by outcome and partition number, and what the target said of it."""

    created: Counter[int] = field(default_factory=Counter)
    updated: Counter[int] = field(default_factory=Counter)
    deleted: int = 0
    rejected: list[tuple[int, Rejected]] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    differences: list[str] = field(default_factory=list)
    silent: int = 0  # writes that the target acknowledged without saying what it holds


@dataclass(frozen=True, slots=True)
class Pass:
    """One of the three passes over a plan: its name, how a batch is sent, and what a record that is gone means."""

    kind: str
    send: Callable[[Sequence[Pending]], None]
    on_gone: Callable[[Pending], None]


@dataclass(slots=True)
class Writer:
    """Writes pending rows to one target under one lease."""

    sync: str
    target: Target
    store: ControlStore
    held: HeldLease
    shape: Shape
    reject_limit: int
    labels: Sequence[str]
    progress: Progress
    is_present: Callable[[Sequence[str]], bool]  # whether a record with one of these keys is on the target now
    done: Done = field(default_factory=Done)
    _caps: dict[str, int] = field(default_factory=dict)
    _settled: list[str] = field(default_factory=list)  # client tokens whose answer was seen
    totals: dict[str, int] = field(default_factory=dict)  # how many rows each pass will have, for the progress
    _sent: Counter[str] = field(default_factory=Counter)
    _sampled: Counter[Outcome] = field(default_factory=Counter)

    # -- the three passes ----------------------------------------------------------------------------------------

    def update(self, pending: Sequence[Pending]) -> list[Pending]:
        """Change records. Returns the rows whose record is gone: they are to be created again."""
        lost: list[Pending] = []

        def send(rows: Sequence[Pending]) -> None:
            faults.point("before_update")
            answer = self.target.update(self.target.payload([p.body for p in rows]))
            self._acknowledge(rows, answer, Outcome.UPDATED)
            faults.point("after_update")

        self._all(Pass("update", send, on_gone=lost.append), pending)
        return lost

    def create(self, pending: Sequence[Pending]) -> None:
        """Create records, each batch under a client token that was written down first."""
        self._all(Pass("create", self._send_create, on_gone=self._refuse_gone), pending)
        self._settle()

    def delete(self, ids: Sequence[str], keys: Sequence[str]) -> None:
        """Delete records; those that are gone already count as deleted."""
        pending = [Pending(key, 0, b"", record) for record, key in zip(ids, keys, strict=True)]

        def send(rows: Sequence[Pending]) -> None:
            faults.point("before_delete")
            self.target.delete([p.record for p in rows])
            self._count_deleted(rows)
            faults.point("after_delete")

        self._all(Pass("delete", send, on_gone=lambda p: self._count_deleted([p])), pending)

    def replay(self, entry: JournalEntry) -> Sequence[Written]:
        """Send a journalled create again, byte for byte under its token: applied once, arrived or not.

        Refused now (a field was renamed since, a row was bad): nothing of it exists, and the plan creates its rows.
        """
        self.held.ensure()
        try:
            answer = self.target.create(entry.payload, entry.client_token)
        except (BadBatch, Stop):
            answer = []
        self.store.journal_done([entry.client_token])
        return answer

    # -- batches ---------------------------------------------------------------------------------------------------

    def _all(self, step: Pass, pending: Sequence[Pending]) -> None:
        self._caps.setdefault(step.kind, getattr(self.target.limits, f"{step.kind}_rows"))
        for rows in self._batches(step.kind, pending):
            self._send(step, rows)
            self._sent[step.kind] += len(rows)
            self.progress(step.kind, self._sent[step.kind], max(self.totals.get(step.kind, 0), self._sent[step.kind]))

    def _batches(self, kind: str, pending: Sequence[Pending]) -> Iterator[Sequence[Pending]]:
        start = 0
        while start < len(pending):
            end, size = start, 0
            while end < len(pending) and end - start < self._caps[kind]:
                size += len(pending[end].body)
                if size > self.target.limits.payload_bytes and end > start:
                    break
                end += 1
            yield pending[start:end]
            start = end

    def _send(self, step: Pass, rows: Sequence[Pending]) -> bool:
        """Send a batch; on refusal its halves, down to the single row that is to blame. True: all rows were taken."""
        if len(rows) > self._caps[step.kind]:  # half of a batch that was too large, and so would this be
            return self._halve(step, rows, guilty=False)
        self.held.ensure()
        try:
            step.send(rows)
        except BadBatch as refused:
            if isinstance(refused, Gone) and self._drop_gone(step, rows):
                return False
            if len(rows) > 1:
                if isinstance(refused, TooLarge):
                    self._caps[step.kind] = min(self._caps[step.kind], (len(rows) + 1) // 2)
                self._halve(step, rows, guilty=not isinstance(refused, TooLarge))
            elif isinstance(refused, Gone):
                step.on_gone(rows[0])
            else:
                self._reject(rows[0], refused)
            return False
        return True

    def _drop_gone(self, step: Pass, rows: Sequence[Pending]) -> bool:
        """Send a batch again without the records that are gone; False when none is said to be.

        A delete whose answer was lost finds its whole batch gone: asked for at once, not found one by one.
        """
        gone = self.target.absent([p.record for p in rows if p.record])
        left = [p for p in rows if p.record not in gone]
        if len(left) == len(rows):
            return False
        for pending in rows:
            if pending.record in gone:
                step.on_gone(pending)
        if left:
            self._send(step, left)
        return True

    def _halve(self, step: Pass, rows: Sequence[Pending], *, guilty: bool) -> bool:
        """Send the halves. Where a bad row is among the rows and not in the first half, the second is halved unsent."""
        first, rest = rows[: len(rows) // 2], rows[len(rows) // 2 :]
        fine = self._send(step, first)
        if guilty and fine and len(rest) > 1:
            return self._halve(step, rest, guilty=True)
        return self._send(step, rest) and fine

    def _send_create(self, rows: Sequence[Pending]) -> None:
        payload = self.target.payload([p.body for p in rows])
        entry = JournalEntry(
            client_token=str(uuid.uuid4()),
            target=self.target.lease_name,
            sync=self.sync,
            keys=tuple(p.key for p in rows),
            payload=payload,
            written_at=datetime.now(UTC),
        )
        self._settle()
        self.store.journal(self.held.lease, entry)
        faults.point("after_journal")
        try:
            answer = self.target.create(payload, entry.client_token)
        except AnswerTooLarge:
            self._settled.append(entry.client_token)
            if not self.is_present(entry.keys):
                raise
            answer = [Written("")] * len(rows)  # applied; which ids they got is told by the next scan
        except BadBatch:
            self._settled.append(entry.client_token)  # refused whole: nothing of it exists
            raise
        faults.point("after_create")
        self._settled.append(entry.client_token)
        self._acknowledge(rows, answer, Outcome.CREATED)

    def _settle(self) -> None:
        if self._settled:
            self.store.journal_done(self._settled)
            self._settled.clear()

    # -- outcomes --------------------------------------------------------------------------------------------------

    def _acknowledge(self, rows: Sequence[Pending], answer: Sequence[Written], outcome: Outcome) -> None:
        counter = self.done.created if outcome is Outcome.CREATED else self.done.updated
        for row in rows:
            counter[row.part] += 1
            self._sample(outcome, row)
        if len(answer) != len(rows):
            self.done.differences.append(f"{len(rows)} records sent, {len(answer)} acknowledged")
            return
        for row, written in zip(rows, answer, strict=True):
            self._compare(row, written)

    def _compare(self, row: Pending, written: Written) -> None:
        if written.values is None:
            self.done.silent += 1
            return
        if written.values == row.expect:
            return
        for position, value in row.expect.items():
            if not same(value, written.values.get(position)):
                name = self.shape.mapped[position].field
                self.done.differences.append(f"{row.key}: {name} is held otherwise than sent")

    def _sample(self, outcome: Outcome, row: Pending) -> None:
        if self._sampled[outcome] < SAMPLE:
            self._sampled[outcome] += 1
            names = tuple(self.shape.mapped[i].field for i in row.expect) if outcome is Outcome.UPDATED else ()
            self.done.changes.append(Change(outcome, row.key, names))

    def _count_deleted(self, rows: Sequence[Pending]) -> None:
        self.done.deleted += len(rows)
        for row in rows:
            self._sample(Outcome.DELETED, row)

    def _refuse_gone(self, row: Pending) -> None:
        raise Stop(
            f"{self.sync}: the target says that a new record is gone", hint="report this; the run can be repeated"
        )

    def _reject(self, row: Pending, refused: BadBatch) -> None:
        label = self.labels[row.part]
        self.done.rejected.append(
            (row.part, Rejected(row.key, digest(row.row), refused.field, refused.code, refused.message, label))
        )
        if len(self.done.rejected) > self.reject_limit:
            self._settle()
            raise Stop(
                f"{self.sync}: more rows were refused by the target than reject_limit allows",
                hint=f"see the reasons with: sync-assets rejects {self.sync}; raise reject_limit if this is expected",
                code="reject_limit",
            )
