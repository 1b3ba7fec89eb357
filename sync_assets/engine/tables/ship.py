"""Shipping rows: directly into an empty table, through a stage and one merge, or into a twin that is swapped.

Whatever the way, rows take effect in batches of the ledger: fence, rows, ledger row and position in one transaction. A
batch that was applied is never applied again, whoever asks; so a lost answer is met by asking once more.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from types import MappingProxyType
from typing import TypeVar

from sync_assets.engine import faults
from sync_assets.engine.control import LeaseHeld
from sync_assets.engine.errors import BadBatch, Retry, Stop
from sync_assets.engine.guard import refuse_empty_source, refuse_many_rejects, refuse_mass_delete
from sync_assets.engine.model import Change, Counts, Mode, Outcome, Rejected
from sync_assets.engine.plan import key_text
from sync_assets.engine.tables.careful import digest_of, lines_of, sift
from sync_assets.engine.tables.lanes import Lane, Lanes
from sync_assets.engine.tables.reading import Condition, Form, Key, Selection, Snapshot, TableSource
from sync_assets.engine.tables.shape import ColumnShape, TableName
from sync_assets.engine.tables.work import Plan, Way, Work, read_plan
from sync_assets.engine.tables.writing import Merge, TableTarget, Writer

KEYS_AT_ONCE = 5_000
TRIES = 3
SAMPLE = 20
T = TypeVar("T")
_NONE: Mapping[str, Rejected] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class _Apply:
    """What one transaction does to a table: merge what is staged (read as `plan` says), delete what is `gone`."""

    stage: TableName | None
    plan: Plan
    how: Merge
    gone: tuple[Key, ...]
    clears: bool = False  # without a key the whole scope is replaced
    staged: int = 0  # rows that went into the stage


@dataclass(slots=True)
class Shipping:
    """What all tables of a run share. `referenced` are tables that other tables of the run point to."""

    source: TableSource
    target: TableTarget
    snapshot: Snapshot
    lanes: Lanes
    slice_bytes: int
    referenced: frozenset[TableName] = frozenset()
    accept_empty: bool = False
    sleep: Callable[[float], None] = time.sleep

    # -- the ways

    def ship(self, work: Work) -> None:
        """Bring the rows of `work` into its table. Raises what stops it; rejected rows are in `work`."""
        ways = {Way.DIRECT: self._direct, Way.SWAP: self._swapped, Way.WHOLE: self._whole, Way.KEYS: self._keys}
        ways |= {Way.SINCE: self._since, Way.NOTHING: self._nothing}
        ways[work.way](work)

    def _nothing(self, work: Work) -> None:
        found = work.found
        work.counts = Counts(read=found.source_rows, unchanged=found.source_rows) if found else Counts()
        if work.position != work.stood:
            self._end(work)

    def _direct(self, work: Work) -> None:
        plan, left = self._planned(work)
        if len(plan.slices) == 1 and not work.resumed:
            rows = self._slices(work, work.table, plan, left, ends=True)
        else:
            rows = self._slices(work, work.table, plan, left)
            self._end(work)
        work.counts = Counts(read=rows, created=rows - len(work.rejected), rejected=len(work.rejected))

    def _swapped(self, work: Work) -> None:
        plan, left = self._planned(work)
        with self.lanes.one() as lane:
            twin = self._again(lane, work, lambda lane: lane.writer.twin(work.table, keep=work.resumed))
        rows = self._slices(work, twin, plan, left)
        if not work.resumed:
            self._guard_missing(work, rows)
        with self.lanes.one() as lane:
            self._swap_in(lane, work, twin, plan)
        work.counts = Counts(read=rows, created=rows - len(work.rejected), rejected=len(work.rejected))

    def _swap_in(self, lane: Lane, work: Work, twin: TableName, plan: Plan) -> None:
        faults.point("before_swap")
        mark = _id(work, plan.nonce, "swap")
        at = work.stamped(work.settled)
        swapped = self._again(lane, work, lambda lane: lane.writer.swap(twin, work.table, mark, position=at))
        if not swapped:
            work.notes.append("other objects hang on the table: replaced row by row in one transaction, not swapped")
            how = self._merge(work, delete_missing=bool(work.key))
            self._again(lane, work, partial(self._replace, work=work, stage=twin, how=how, mark=mark))
            work.way = Way.WHOLE  # what became of it, for the report
        faults.point("after_swap")

    def _replace(self, lane: Lane, work: Work, stage: TableName, how: Merge, mark: str) -> None:
        """Everything of the scope is what is staged, in one transaction."""
        with self._batch(lane, work, mark, position=work.settled, ends=True) as todo:
            if not todo:
                return
            if not how.key:
                lane.writer.clear(work.table, work.scope)
            lane.writer.merge(stage, work.table, how)
        lane.writer.drop(stage)

    def _whole(self, work: Work) -> None:
        self._ship_staged(work, self._cut(work), delete_missing=work.deletes)

    def _since(self, work: Work) -> None:
        selection = work.selection
        if work.since is not None and work.job.watermark is not None:
            selection = selection.having(Condition(work.job.watermark, ">=", work.since))
        self._ship_staged(work, [selection], delete_missing=False)

    def _keys(self, work: Work) -> None:
        found = work.found
        assert found is not None  # noqa: S101 (this way is chosen by what was found)
        changed = found.changed if work.replaces else []
        keys = [*found.missing, *changed]
        extra = found.extra if work.deletes else []
        self._guard_deletes(work, found.source_rows, found.target_rows, len(extra))
        pieces = [replace(work.selection, keys=tuple(part)) for part in _parts(keys, KEYS_AT_ONCE)]
        self._ship_staged(work, pieces, delete_missing=False, gone=extra)
        work.counts.read = found.source_rows
        touched = work.counts.created + work.counts.updated + work.counts.rejected
        work.counts.unchanged = found.source_rows - touched
        work.changes += _sample(work, Outcome.CREATED, found.missing) + _sample(work, Outcome.DELETED, extra)
        if work.counts.updated == len(changed):  # of newer rows only, it is not known here which they were
            work.changes += _sample(work, Outcome.UPDATED, changed)

    # -- staged rows

    def _ship_staged(
        self, work: Work, pieces: Sequence[Selection], *, delete_missing: bool, gone: Sequence[Key] = ()
    ) -> None:
        """Stage the pieces, then bring them in, all in one transaction: readers see the old rows or the new."""
        plan = Plan(work.way, uuid.uuid4().hex[:12], work.job.spec_digest, tuple(pieces))
        stage, staged = self._stage(work, plan)
        if delete_missing:
            self._guard_missing(work, staged)
        how, clears = self._merge(work, delete_missing=delete_missing), delete_missing and not work.key
        applied = _Apply(stage, plan, how, tuple(gone), clears, staged - len(work.rejected))
        if work.table in self.referenced and (delete_missing or gone):
            work.later = partial(self._delete_later, work, applied)
        with self.lanes.one() as lane:
            faults.point("before_apply")
            counts = self._again(lane, work, partial(self._apply, work=work, what=applied))
            faults.point("after_apply")
            if stage is not None and work.later is None:
                lane.writer.drop(stage)
        refused = len(work.rejected)
        unchanged = staged - counts.created - counts.updated - refused
        work.counts = replace(counts, read=staged, rejected=refused, unchanged=unchanged)

    def _stage(self, work: Work, plan: Plan) -> tuple[TableName | None, int]:
        """The stage with all pieces in it, and how many rows they are. No stage without pieces."""
        if not plan.slices:
            return None, 0
        with self.lanes.one() as lane:
            stage = self._again(lane, work, lambda lane: lane.writer.stage(work.table, work.names.there))
        return stage, self._slices(work, stage, plan, plan.slices)

    def _apply(self, lane: Lane, work: Work, what: _Apply) -> Counts:
        """Bring what is staged into the table, and delete what is gone, in one transaction."""
        writer, mark = lane.writer, _id(work, what.plan.nonce, "apply")
        try:
            with self._batch(lane, work, mark, position=work.position, ends=work.later is None) as todo:
                if todo:
                    work.applied[mark] = self._bring_in(writer, work, what)
                faults.point("in_apply")
        except BadBatch as error:
            if not work.job.reject_limit or what.how.delete_missing or not work.key:
                raise _no_rows_refused(work, error) from None
            return self._apply_carefully(lane, work, what, mark)
        return work.applied.get(mark, Counts())

    def _bring_in(self, writer: Writer, work: Work, what: _Apply) -> Counts:
        counts, now = Counts(), work.later is None
        if what.clears:
            counts.deleted = writer.clear(work.table, work.scope)
        if what.stage is not None:
            done = writer.merge(what.stage, work.table, what.how if now else replace(what.how, delete_missing=False))
            if done.read != what.staged:  # a stage is not logged: the server lost it when it crashed
                hint = "run it again: nothing of it was written"
                raise Retry(f"{work.job.sync}: the target lost staged rows", after=1, hint=hint, code="stage_lost")
            counts += done
        if what.gone and now:
            counts.deleted += writer.delete(work.table, _key_columns(work), what.gone)
        return counts

    def _apply_carefully(self, lane: Lane, work: Work, what: _Apply, mark: str) -> Counts:
        """The merge refused some row: read all pieces again, and merge them piece by piece to find it."""
        writer, counts = lane.writer, Counts()
        stage = writer.stage(work.table, work.names.there)

        def write(lines: Sequence[bytes]) -> None:
            nonlocal counts
            with writer.savepoint():
                writer.clear(stage)
                writer.try_load(stage, work.names.there, lines)
                done = writer.merge(stage, work.table, what.how)
            counts += done

        refused: list[Rejected] = []
        known = {r.digest: r for r in work.rejected}  # what the stage refused is read again, and not tried again
        work.rejected.clear()
        with self._batch(lane, work, mark, position=work.position, ends=work.later is None) as todo:
            if todo:
                for piece in what.plan.slices:
                    refused += self._sift(lane, work, piece, write, len(refused), known)
                if what.gone and work.later is None:
                    counts.deleted += writer.delete(work.table, _key_columns(work), what.gone)
        work.rejected += refused
        return counts

    def _delete_later(self, work: Work, what: _Apply) -> None:
        """Rows that others may have pointed to, once those others were brought up to date."""
        mark = _id(work, what.plan.nonce, "delete")

        def delete(lane: Lane) -> None:
            with self._batch(lane, work, mark, position=work.position, ends=True) as todo:
                if todo and what.how.delete_missing and what.stage is not None:
                    done = lane.writer.merge(what.stage, work.table, replace(what.how, add=False)).deleted
                    work.applied[mark] = Counts(deleted=done)
                elif todo and what.gone:
                    done = lane.writer.delete(work.table, _key_columns(work), what.gone)
                    work.applied[mark] = Counts(deleted=done)

        with self.lanes.one() as lane:
            self._again(lane, work, delete)
            if what.stage is not None:
                lane.writer.drop(what.stage)
        work.counts.deleted += work.applied.get(mark, Counts()).deleted

    def _merge(self, work: Work, *, delete_missing: bool) -> Merge:
        mode, watermark = work.job.mode, work.job.watermark
        newer = work.names.over([watermark])[0] if watermark and mode is Mode.INCREMENTAL else None
        return Merge(
            key=work.target_key,
            columns=work.names.there,
            replace=work.replaces,
            newer=newer,
            delete_missing=delete_missing and bool(work.key),
            scope=work.scope,
        )

    # -- slices

    def _planned(self, work: Work) -> tuple[Plan, Sequence[Selection]]:
        """The slices of a load and those that are left of an earlier, broken run."""
        old = read_plan(work.head.plan, work.selection, work.job.spec_digest)
        if old is not None and old.way is work.way:
            if old.lasting and work.key:
                work.resumed = True
                done = [_id(work, old.nonce, str(n)) in work.head.applied for n in range(len(old.slices))]
                work.notes.append(f"resumed: {sum(done)} of {len(done)} slices were there already")
                return old, [s for s, there in zip(old.slices, done, strict=True) if not there]
            self._start_over(work, old)
        slices = tuple(self._cut(work))
        plan = Plan(work.way, uuid.uuid4().hex[:12], work.job.spec_digest, slices)
        if len(slices) > 1:
            with self.lanes.one() as lane:
                self._again(lane, work, lambda lane: lane.writer.keep_plan(plan.as_text()))
        return plan, plan.slices

    def _cut(self, work: Work) -> Sequence[Selection]:
        """A table that is known to be small is not asked about again: with hundreds of them that adds up."""
        if work.job.source is not None and 0 < work.shape.bytes <= self.slice_bytes:
            return [work.selection]
        return self.snapshot.slices(work.selection, self.slice_bytes)

    def _start_over(self, work: Work, old: Plan) -> None:
        """Slices by physical page mean nothing in a new snapshot: what was loaded of them goes."""
        work.notes.append("an earlier load broke off and the table has no key to go on by: started over")
        if work.way is Way.DIRECT:
            with self.lanes.one() as lane:
                clear = partial(self._clear, work=work, mark=_id(work, old.nonce, f"clear {uuid.uuid4().hex[:8]}"))
                self._again(lane, work, clear)

    def _clear(self, lane: Lane, work: Work, mark: str) -> None:
        with self._batch(lane, work, mark) as todo:
            if todo:
                lane.writer.clear(work.table, work.scope)

    def _slices(self, work: Work, into: TableName, plan: Plan, left: Sequence[Selection], *, ends: bool = False) -> int:
        """Load slices, over all lanes. Returns how many rows were read."""
        numbers = {id(s): n for n, s in enumerate(plan.slices)}

        def load(lane: Lane, piece: Selection) -> int:
            mark = _id(work, plan.nonce, str(numbers[id(piece)]))
            return self._again(
                lane, work, partial(self._slice, work=work, piece=piece, into=into, mark=mark, ends=ends)
            )

        return sum(self.lanes.spread(load, left))

    def _slice(self, lane: Lane, work: Work, piece: Selection, into: TableName, mark: str, ends: bool) -> int:
        position = work.position if ends else None
        try:
            with self._batch(lane, work, mark, position=position, ends=ends) as todo:
                if todo:
                    form = self._form(work)
                    blocks = lane.reader.rows(piece, form, work.names.there, self.target.dialect)
                    work.applied[mark] = Counts(read=lane.writer.load(into, work.names.there, form, blocks))
                faults.point("in_slice")
        except BadBatch as error:
            if not work.job.reject_limit:
                raise _no_rows_refused(work, error) from None
            lane.read_anew()
            work.applied[mark] = Counts(read=self._slice_carefully(lane, work, piece, into, mark, position, ends))
        faults.point("after_slice")
        return work.applied.get(mark, Counts()).read

    def _slice_carefully(
        self, lane: Lane, work: Work, piece: Selection, into: TableName, mark: str, position: str | None, ends: bool
    ) -> int:
        """How many rows were read."""
        written, refused = 0, list[Rejected]()

        def write(lines: Sequence[bytes]) -> None:
            nonlocal written
            lane.writer.try_load(into, work.names.there, lines)
            written += len(lines)

        with self._batch(lane, work, mark, position=position, ends=ends) as todo:
            if todo:
                refused = self._sift(lane, work, piece, write)
        work.rejected += refused
        return written + len(refused)

    def _sift(
        self, lane: Lane, work: Work, piece: Selection, write: Callable[[Sequence[bytes]], None],
        before: int = 0, known: Mapping[str, Rejected] = _NONE,
    ) -> list[Rejected]:  # fmt: skip
        """Write what can be written of a piece; what cannot is returned. `before` were refused in this batch, `known`
        by digest before it."""
        blocks = lane.reader.rows(piece, Form.LINES, work.names.there, self.target.dialect)
        names = [c.name for c in work.names.there]
        positions = [names.index(k) for k in work.target_key]
        refused: list[Rejected] = []
        for lines in lines_of(blocks):
            left, again = _apart(lines, known)
            for rejected in chain(again, sift(left, write, positions, work.part) if left else ()):
                refused.append(rejected)
                count = len(work.rejected) + before + len(refused)
                refuse_many_rejects(work.job.sync, count, 0, work.job.reject_limit)
        return refused

    def _form(self, work: Work) -> Form:
        taken = self.target.takes()
        for form in self.source.forms(self.target.dialect, work.names.pairs):
            if form in taken:
                return form
        return Form.LINES

    # -- the ledger

    def _end(self, work: Work) -> None:
        """The run of this table is over: epoch and position."""
        mark = _id(work, uuid.uuid4().hex[:12], "end")
        with self.lanes.one() as lane:
            self._again(lane, work, partial(self._ended, work=work, mark=mark))

    def _ended(self, lane: Lane, work: Work, mark: str) -> None:
        with self._batch(lane, work, mark, position=work.settled, ends=True):
            faults.point("before_end")

    @contextmanager
    def _batch(
        self, lane: Lane, work: Work, mark: str, *, position: str | None = None, ends: bool = False
    ) -> Iterator[bool]:
        """A batch of the ledger. The one that ends the run leaves no row there: that it was applied, when its answer
        was lost, shows in the epoch, which nobody but us can have moved."""
        if work.epoch > work.head.epoch:
            yield False
            return
        with lane.writer.batch(mark, position=work.stamped(position), ends=ends) as todo:
            yield todo

    def _again(self, lane: Lane, work: Work, action: Callable[[Lane], T]) -> T:
        """Do it, on new connections if the old ones were lost. What was applied is in the ledger, so asking is safe."""
        for attempt in range(1, TRIES + 1):
            try:
                return self._counted(lane, work, action)
            except LeaseHeld:
                raise
            except Retry as error:
                lane.close()
                if attempt == TRIES:
                    raise
                self.sleep(min(max(error.after, 0.1 * attempt), 5.0))
        raise AssertionError  # the last attempt returns or raises

    @staticmethod
    def _counted(lane: Lane, work: Work, action: Callable[[Lane], T]) -> T:
        received, sent = lane.bytes
        try:
            work.epoch = lane.writer.serve(work.ledger, work.token).epoch
            return action(lane)
        finally:
            now = lane.bytes
            work.moved(now[0] - received, now[1] - sent)

    # -- guards

    def _guard_deletes(self, work: Work, read: int, there: int, deletes: int) -> None:
        if not work.deletes:
            return
        allowed = work.job.allow_empty_source or self.accept_empty
        refuse_empty_source(work.job.sync, read, there, allowed)
        if read or not allowed:
            refuse_mass_delete(work.job.sync, deletes, there, work.job.delete_limit)

    def _guard_missing(self, work: Work, staged: int) -> None:
        there = self._rows_there(work)
        self._guard_deletes(work, staged, there, max(0, there - staged))

    def _rows_there(self, work: Work) -> int:
        with self.target.snapshot((), 1) as snapshot:
            reader = snapshot.reader()
            try:
                return reader.count(work.there)
            finally:
                reader.close()


def _apart(lines: Sequence[bytes], known: Mapping[str, Rejected]) -> tuple[Sequence[bytes], list[Rejected]]:
    """The lines that are still to be tried, and what is known of the others."""
    if not known:
        return lines, []
    digests = [digest_of(line) for line in lines]
    left = [line for line, digest in zip(lines, digests, strict=True) if digest not in known]
    return left, [known[digest] for digest in digests if digest in known]


def _id(work: Work, nonce: str, what: str) -> str:
    return f"{work.head.epoch}:{nonce}:{what}"


def _key_columns(work: Work) -> list[ColumnShape]:
    by_name = {c.name: c for c in work.names.there}
    return [by_name[k] for k in work.target_key]


def _parts(keys: Sequence[Key], size: int) -> Iterable[Sequence[Key]]:
    return (keys[at : at + size] for at in range(0, len(keys), size))


def _sample(work: Work, outcome: Outcome, keys: Sequence[Key]) -> list[Change]:
    return [Change(outcome, key_text(key)) for key in keys[: SAMPLE // 2]]


def _no_rows_refused(work: Work, error: BadBatch) -> Stop:
    hint = error.hint or "correct the row at the source, or set reject_limit above 0 to set such rows aside"
    return Stop(f"{work.job.sync}: {error.message}", hint=hint, code=error.code)
