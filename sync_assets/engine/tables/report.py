"""From the works of a run to what is told of each sync."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sync_assets.engine.errors import SyncError
from sync_assets.engine.model import Change, Column, Counts, Delivery, Report
from sync_assets.engine.model import Outcome as RowOutcome
from sync_assets.engine.outcome import sort_error
from sync_assets.engine.plan import key_text
from sync_assets.engine.tables.compare import Difference
from sync_assets.engine.tables.job import TableJob
from sync_assets.engine.tables.reading import Reader
from sync_assets.engine.tables.structure import Structure
from sync_assets.engine.tables.work import Way, Work

SAMPLE = 10


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a sync ended: with a report, or with the error that stopped it."""

    report: Report | None
    error: SyncError | None = None


def outcomes(structure: Structure, works: Sequence[Work]) -> dict[str, Outcome]:
    """One outcome for each job of the run, by its sync."""
    return {job.sync: _outcome(job, structure, [w for w in works if w.job is job]) for job in structure.jobs}


def _outcome(job: TableJob, structure: Structure, works: Sequence[Work]) -> Outcome:
    error = structure.errors.get(job.sync)
    if error is not None:
        return Outcome(None, error)
    if not job.partitioned and works and works[0].error is not None:
        return Outcome(None, works[0].error)
    return Outcome(_report(job, structure, works))


def _report(job: TableJob, structure: Structure, works: Sequence[Work]) -> Report:
    good = [w for w in works if w.error is None]
    counts = sum((w.counts for w in good), Counts())
    shape = structure.existing.get(job.target) or structure.shapes[job.sync]
    return Report(
        sync=job.sync,
        mode=job.mode,
        delivery=Delivery.LEDGER,
        partitions={w.part: w.counts for w in good},
        failed={w.part: sort_error(w.error) for w in works if w.error is not None},
        counts=counts,
        bytes_sent=sum(w.sent for w in works),
        bytes_received=sum(w.received for w in works),
        equal=_equal(good),
        differences=tuple(d for w in good for d in w.differences)[:50],
        changes=tuple(c for w in good for c in w.changes)[:50],
        rejected=tuple(r for w in good for r in w.rejected),
        notes=_notes(job, structure, good),
        schema=tuple(Column(c.name, c.type, c.native, nullable=c.nullable, comment=c.comment) for c in shape.columns),
        drift=tuple(d for d in structure.design.drift if _told(d, job, structure.jobs)),
    )


def _equal(works: Sequence[Work]) -> bool | None:
    said = [w.equal for w in works]
    if any(e is False for e in said):
        return False
    return True if said and all(said) else None


def _notes(job: TableJob, structure: Structure, works: Sequence[Work]) -> tuple[str, ...]:
    ways = sorted({str(w.way) for w in works})
    positions = [f"position {w.position}" for w in works if w.position is not None][:1]
    losses = [f"not kept: {loss}" for loss in structure.design.losses if _told(loss, job, structure.jobs)]
    own = [note for w in works for note in w.notes]
    return tuple(dict.fromkeys([*ways, *positions, *own, *losses]))


def _told(line: str, job: TableJob, jobs: Sequence[TableJob]) -> bool:
    """Each table tells its own losses and differences, the first one those of no table."""
    return _about(line, job) or (job is jobs[0] and not any(_about(line, one) for one in jobs))


def _about(line: str, job: TableJob) -> bool:
    """Designs speak of all tables of a run; each line names its table."""
    names = [job.target.name, *([job.source.name] if job.source is not None else [])]
    return any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", line) for name in names)


def foreseen(work: Work, here: Reader) -> None:
    """What a run would count, from the comparison that a plan makes."""
    found = work.found
    if work.way is Way.DIRECT:
        rows = here.count(work.selection)
        work.counts = Counts(read=rows, created=rows)
        return
    if found is None or found.whole:
        rows = here.count(work.selection)
        work.counts = Counts(read=rows, unchanged=rows)
        work.notes.append("how many rows would change is known only once they are shipped")
        return
    work.counts = _counts(work, found)
    groups = (
        (RowOutcome.CREATED, found.missing),
        (RowOutcome.UPDATED, found.changed),
        (RowOutcome.DELETED, found.extra),
    )
    for outcome, keys in groups:
        if outcome is not RowOutcome.DELETED or work.deletes:
            work.changes += [Change(outcome, key_text(k)) for k in keys[:SAMPLE]]


def _counts(work: Work, found: Difference) -> Counts:
    updated = len(found.changed) if work.replaces else 0
    created = len(found.missing)
    return Counts(
        read=found.source_rows,
        created=created,
        updated=updated,
        unchanged=found.source_rows - created - updated,
        deleted=len(found.extra) if work.deletes else 0,
    )
