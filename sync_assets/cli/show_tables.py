"""What people see of tables: how each came out of a run, what a comparison found, the history of runs.

Like `cli.show`, whose tables these are.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sync_assets.cli.show import mark, numbers, plain, table
from sync_assets.engine.control import RunEntry
from sync_assets.engine.errors import SyncError
from sync_assets.engine.model import Counts, Report
from sync_assets.engine.tables.job import Verdict
from sync_assets.engine.tables.report import Outcome

_SHOWN = 10  # lines of a kind


def outcomes(name: str, found: Mapping[str, Outcome], *, planned: bool = False) -> None:
    """How each table came out of a run, or would."""
    print(f"{name}: what {'a run would do' if planned else 'was done'}")
    rows = [_row(plain(t), o.report, planned) for t, o in found.items() if o.report is not None]
    table(["table", *_COUNTS, "equal"], [*rows, *_sum(found)])
    print()
    for line in _remarks(found):
        print(line)


_COUNTS = ("read", "created", "updated", "unchanged", "rejected", "deleted")


def _row(name: str, report: Report, planned: bool) -> list[str]:
    equal = {True: "yes", False: mark(False, sys.stdout) + "no", None: "" if planned else "?"}[report.equal]
    return [name, *numbers(report.counts), equal]


def _sum(found: Mapping[str, Outcome]) -> Iterator[list[str]]:
    reports = [o.report for o in found.values() if o.report is not None]
    if len(reports) > 1:
        yield [f"{len(reports)} tables", *numbers(sum((r.counts for r in reports), Counts())), ""]


def _remarks(found: Mapping[str, Outcome]) -> Iterator[str]:
    for name, outcome in found.items():
        if outcome.error is not None:
            yield f"{mark(False, sys.stdout)} {plain(name)}: {outcome.error}"
        elif outcome.report is not None:
            yield from (f"  {plain(name)}: {line}" for line in _of_report(outcome.report))


def _of_report(report: Report) -> Iterator[str]:
    for key, info in report.failed.items():
        yield f"{mark(False, sys.stdout)} {plain(key)}: {info.message}"
    yield from (plain(line) for line in report.differences[:_SHOWN])
    yield from (f"structure: {plain(line)}" for line in report.drift[:_SHOWN])
    yield from (plain(note) for note in report.notes[:_SHOWN])
    if report.counts.rejected:
        yield f"{report.counts.rejected:,} rows were rejected: sync-assets rejects {report.sync}"


# -- comparisons ------------------------------------------------------------------------------------------------


def verdicts(found: Mapping[str, Verdict | SyncError]) -> None:
    """What a comparison of whole tables found."""
    head = ["table", "equal", "source rows", "target rows", "missing", "changed", "extra"]
    table(head, [_verdict(plain(name), v) for name, v in found.items() if isinstance(v, Verdict)])
    print()
    for name, one in found.items():
        if isinstance(one, SyncError):
            print(f"{mark(False, sys.stdout)} {plain(name)}: {one}")
            continue
        for line in [*one.ranges[:_SHOWN], *([one.note] if one.note else [])]:
            print(f"  {plain(name)}: {plain(line)}")


def _verdict(name: str, one: Verdict) -> list[str]:
    equal = {True: "yes", False: mark(False, sys.stdout) + "no", None: "?"}[one.equal]
    counts = (one.source_rows, one.target_rows, one.missing, one.changed, one.extra)
    return [name, equal, *(f"{number:,}" for number in counts)]


def verdicts_as_json(found: Mapping[str, Verdict | SyncError]) -> Mapping[str, Any]:
    return {name: {"error": str(v)} if isinstance(v, SyncError) else asdict(v) for name, v in found.items()}


# -- history ----------------------------------------------------------------------------------------------------


def runs(entries: Sequence[RunEntry]) -> None:
    """The history, newest first. Times are UTC."""
    if not entries:
        print("no run has been recorded yet")
        return
    head = ["began (UTC)", "seconds", "outcome", "sync", "partitions", "what came of it"]
    table(head, [_run(entry) for entry in entries])


def _run(entry: RunEntry) -> list[str]:
    began = entry.started_at or entry.finished_at
    took = (entry.finished_at - entry.started_at).total_seconds() if entry.started_at and entry.finished_at else None
    return [
        f"{began:%Y-%m-%d %H:%M:%S}" if began else "",
        "" if took is None else f"{took:,.1f}",
        entry.outcome,
        plain(entry.sync),
        plain(entry.partition),
        plain(_came_of(entry)),
    ]


def _came_of(entry: RunEntry) -> str:
    report = entry.report
    if "error" in report:
        return str(report["error"])
    if entry.outcome == "running":
        return f"by {entry.holder.partition(' #')[0]}"
    failed = report.get("failed_partitions")
    counts = ", ".join(f"{report[name]:,} {name}" for name in _COUNTS if report.get(name))
    return (counts or "nothing to do") + (
        f"; {len(failed)} partitions failed" if isinstance(failed, dict) and failed else ""
    )


def run_as_json(entry: RunEntry) -> Mapping[str, Any]:
    kept = ("run_id", "sync", "partition", "outcome", "started_at", "finished_at", "report")
    return {name: getattr(entry, name) for name in kept} | {"process": entry.holder.partition(" #")[0]}
