"""From a plan and what came of it to the report: counts that balance, samples, and whether both sides are equal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sync_assets.engine.errors import Retry, Stop, SyncError
from sync_assets.engine.job import Job
from sync_assets.engine.model import Change, Counts, Mode, Outcome, Rejected, Report, Schema, SyncErrorInfo
from sync_assets.engine.plan import Plan, key_text
from sync_assets.engine.target import Shape, Target
from sync_assets.engine.write import SAMPLE, Done, Writer


@dataclass(frozen=True, slots=True)
class Facts:
    """What a report says of a run besides its plan and its writes. `failures` are partitions that were not read."""

    job: Job
    target: Target
    schema: Schema
    labels: Sequence[str]  # partition keys by number
    failures: Mapping[str, SyncError]
    known: Sequence[Rejected]
    warnings: Sequence[str]


def refuse_unknown_columns(job: Job, schema: Schema) -> None:
    """Raise `Stop` when the sync names a column that the source does not have."""
    names = [c.name for c in schema]
    repeated = sorted(n for n, count in Counter(names).items() if count > 1)
    if repeated:
        raise Stop(f"{job.sync}: the source has two columns named {repeated[0]}", hint="give one an alias in the query")
    wanted = [*job.key, *([job.watermark] if job.watermark else [])]
    if job.partition_column and job.mode is Mode.CLONE:
        wanted.append(job.partition_column)
    missing = [w for w in wanted if w not in names]
    if missing:
        raise Stop(
            f"{job.sync}: the source has no column {missing[0]}",
            hint=f"it has: {', '.join(names)}",
            code="unknown_column",
        )


def sort_error(error: SyncError) -> SyncErrorInfo:
    """An error as words that may be kept, with what happens next."""
    return SyncErrorInfo("retry" if isinstance(error, Retry) else "stop", str(error))


def fill_report(run: Facts, plan: Plan, shape: Shape, writer: Writer | None, rescanned: Sequence[str] | None) -> Report:
    """The report of a finished run, or of a dry one (what would happen)."""
    done = writer.done if writer else _foreseen(plan, shape)
    parts = {label: _counts(plan, done, number) for number, label in enumerate(run.labels) if label not in run.failures}
    traffic = run.target.traffic
    return Report(
        sync=run.job.sync,
        mode=run.job.mode,
        delivery=run.target.delivery,
        partitions=parts,
        failed={key: sort_error(e) for key, e in run.failures.items()},
        counts=sum(parts.values(), Counts()),
        requests=traffic.requests,
        bytes_sent=traffic.bytes_sent,
        bytes_received=traffic.bytes_received,
        equal=None if writer is None else _equal(done, rescanned),
        differences=tuple([*done.differences, *(rescanned or [])][:10]),
        duplicates=sum(plan.source.repeated.values()),
        changes=tuple(done.changes),
        rejected=_rejected(run, plan, done),
        notes=(*shape.notes, *run.warnings, *_notes(plan)),
        schema=run.schema,
        link=run.target.link,
    )


def _counts(plan: Plan, done: Done, part: int) -> Counts:
    refused = sum(1 for number, _ in done.rejected if number == part)
    return Counts(
        read=plan.source.read[part],
        created=done.created[part],
        updated=done.updated[part],
        unchanged=plan.unchanged[part],
        rejected=plan.source.rejected_parts[part] + refused,
        deleted=plan.deleted_parts[part],
    )


def _equal(done: Done, rescanned: Sequence[str] | None) -> bool | None:
    if done.differences or rescanned:
        return False
    return None if done.silent and rescanned is None else True


def _foreseen(plan: Plan, shape: Shape) -> Done:
    """What a run of this plan would do, if no row is refused by the target."""
    done = Done()
    for update in plan.updates:
        done.updated[update.part] += 1
        if len(done.changes) < SAMPLE:
            fields = (*(shape.mapped[i].field for i in update.changes), *update.clear)
            done.changes.append(Change(Outcome.UPDATED, key_text(update.key), fields))
    for key in plan.creates:
        done.created[plan.source.rows[key][1]] += 1
    done.changes += [Change(Outcome.CREATED, key_text(k)) for k in plan.creates[:SAMPLE]]
    done.changes += [Change(Outcome.DELETED, k) for k in plan.delete_keys[:SAMPLE]]
    done.deleted = len(plan.deletes)
    return done


def _rejected(run: Facts, plan: Plan, done: Done) -> tuple[Rejected, ...]:
    now = [*plan.source.rejected, *(r for _, r in done.rejected)]
    names = {r.key for r in now}
    held = {key_text(k) for k in plan.source.held}
    return (*now, *(r for r in run.known if r.key in held and r.key not in names))


def _notes(plan: Plan) -> list[str]:
    notes = []
    if plan.source.repeated:
        dropped = sum(plan.source.repeated.values())
        notes.append(f"{dropped} source rows repeat a key; kept: {plan.source.duplicates} (counted as rejected)")
    if plan.repeated:
        notes.append(f"{plan.repeated} records of the target repeat a key; policy: {plan.target_duplicates}")
    cleared = sum(len(u.clear) for u in plan.updates)
    if cleared:
        notes.append(f"{cleared} cells in fields without a source column are cleared (unmapped: clear)")
    return notes
