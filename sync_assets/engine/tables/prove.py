"""The proof: both sides compared after the run, for what the run claims.

A clone claims that both are equal; full and overwrite, that every row of the source is in the target as it is;
incremental, that no row of the source is missing. Rows that were rejected are not claimed.
"""

from __future__ import annotations

from dataclasses import replace

from sync_assets.engine.model import Mode
from sync_assets.engine.plan import key_text
from sync_assets.engine.tables.buckets import BUCKETS, PROOF
from sync_assets.engine.tables.compare import Difference, Sides, compare, compare_rows, ranges
from sync_assets.engine.tables.job import Verdict
from sync_assets.engine.tables.reading import BucketRule, Condition, Key, TableSource
from sync_assets.engine.tables.sides import Both, sides_of
from sync_assets.engine.tables.work import Way, Work


def prove(source: TableSource, target: TableSource, work: Work, both: Both) -> None:
    """Set `equal` and `differences` of `work`."""
    if work.way is Way.NOTHING and work.found is not None:
        work.equal = True  # it is the comparison that found nothing to do
        return
    if work.job.proof == "none":
        return
    if work.job.proof == "count":
        work.notes.append("rows were counted, not compared, as proof: count asks")
        _by_count(work, both)
        return
    most = BUCKETS if work.way is Way.KEYS else PROOF  # those keys are in the buckets of the comparison before
    sides = sides_of(source, target, work, both, *_claimed(work), most=most)
    if sides is None:
        work.notes.append("these columns cannot be compared by digest: rows were counted instead")
        _by_count(work, both)
        return
    found = _again(work, sides) if work.way is Way.KEYS else compare(sides, exact=work.job.mode is not Mode.CLONE)
    _judge(work, found, sides.rule)


def _claimed(work: Work) -> tuple[Condition, ...]:
    """By watermark only what was read is claimed; older rows may differ, and deleted ones stay."""
    if work.way is Way.SINCE and work.since is not None and work.job.watermark is not None:
        work.notes.append(f"compared: rows with {work.job.watermark} from {work.since} on")
        return (Condition(work.job.watermark, ">=", work.since),)
    return ()


def _again(work: Work, sides: Sides) -> Difference:
    """Only what differed can differ now: both snapshots of the others were equal when this run looked."""
    assert work.found is not None  # noqa: S101 (of this way)
    found = replace(work.found, missing=[], changed=[], extra=[])
    compare_rows(sides, found, exact=True)
    return found


def _by_count(work: Work, both: Both) -> None:
    ours, theirs = _counted(work, both)
    ours -= len(work.rejected)
    work.equal = ours == theirs if work.job.mode is Mode.CLONE else ours <= theirs
    if not work.equal:
        work.differences = (f"{ours} rows in the source, {theirs} in the target",)


def _counted(work: Work, both: Both) -> tuple[int, int]:
    ours, theirs = both.spread(
        work, lambda reader, _: reader.count(work.selection), lambda reader, _: reader.count(work.there), [None]
    )
    return ours[0], theirs[0]


def _judge(work: Work, found: Difference, rule: BucketRule) -> None:
    mode, refused = work.job.mode, {r.key for r in work.rejected}
    wrong: list[tuple[str, list[Key]]] = [("missing", found.missing)]
    if mode is not Mode.INCREMENTAL:
        wrong.append(("different", found.changed))
    if mode is Mode.CLONE:
        wrong.append(("too many", found.extra))
    wrong = [(word, [k for k in keys if key_text(k) not in refused]) for word, keys in wrong]
    if found.whole:
        work.equal = False
        work.differences = tuple(ranges(rule, found.buckets))
        return
    work.equal = not any(keys for _, keys in wrong)
    if not work.equal:
        said = tuple(f"{len(keys)} rows {word}: {_named(keys)}" for word, keys in wrong if keys)
        work.differences = (*said, *ranges(rule, found.buckets, 10))


def _named(keys: list[Key]) -> str:
    more = f" and {len(keys) - 5} more" if len(keys) > 5 else ""
    return ", ".join(key_text(k) for k in keys[:5]) + more


def verdict(source: TableSource, target: TableSource, work: Work, both: Both) -> Verdict:
    """Both sides compared whole, whatever the mode claims."""
    sides = sides_of(source, target, work, both, most=PROOF)
    if sides is None:
        ours, theirs = _counted(work, both)
        note = "these columns cannot be compared by digest: rows were counted only"
        return Verdict(None if ours == theirs else False, ours, theirs, note=note)
    found = compare(sides, exact=True)
    return Verdict(
        found.none,
        found.source_rows,
        found.target_rows,
        len(found.missing),
        len(found.changed),
        len(found.extra),
        tuple(ranges(sides.rule, found.buckets)),
        "" if work.key else "the table has no key: differing rows cannot be named",
    )
