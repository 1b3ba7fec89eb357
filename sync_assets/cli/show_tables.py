"""What people see of tables: how each came out of a run, what a comparison found, the history of runs.

Like `cli.show`, whose tables these are.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sync_assets.cli import clock
from sync_assets.cli.show import counted, mark, numbers, plain, table
from sync_assets.engine.control import RunEntry
from sync_assets.engine.errors import Retry, SyncError
from sync_assets.engine.model import Counts, Report
from sync_assets.engine.tables.job import Verdict
from sync_assets.engine.tables.report import Outcome

_SHOWN = 10  # lines of a kind
_FOLDED = 10  # from so many tables without a change on, they share a line
_SILENT = ("nothing to do", "position ")  # notes that a list of many tables does without
Found = Mapping[str, Outcome]


def outcomes(name: str, found: Found, *, planned: bool = False) -> None:
    """How each table came out of a run, or would: what changed, what to know, what failed; one line for all at last."""
    print(f"{name}: what {'a run would do' if planned else 'was done'}")
    reports = {t: o.report for t, o in found.items() if o.report is not None}
    quiet = [r for r in reports.values() if _is_quiet(r)]
    fold = len(quiet) >= _FOLDED
    rows = [_row(plain(t), r, planned) for t, r in reports.items() if not (fold and _is_quiet(r))]
    if fold:
        rows.append([f"{len(quiet)} tables without a change", *_added(quiet), _agreed(quiet, planned)])
    if len(reports) > 1:
        rows.append([f"{len(reports)} tables", *_added(reports.values()), ""])
    if rows:
        table(["table", *_COUNTS, "equal"], rows)
    print()
    for line in (*_noted(reports), *_wrong(reports), *_failed(found)):
        print(line)
    print(_summary(found, planned))


_COUNTS = ("read", "created", "updated", "unchanged", "rejected", "deleted")


def _is_quiet(report: Report) -> bool:
    """Nothing was written, and nothing is wrong."""
    counts = report.counts
    written = counts.created or counts.updated or counts.deleted or counts.rejected
    return not (written or report.failed or report.equal is False)


def _row(name: str, report: Report, planned: bool) -> list[str]:
    return [name, *numbers(report.counts), _agreed([report], planned)]


def _added(reports: Iterable[Report]) -> list[str]:
    return numbers(sum((r.counts for r in reports), Counts()))


def _agreed(reports: Sequence[Report], planned: bool) -> str:
    """Whether both sides agree, in the word for the least that was looked at."""
    if any(r.equal is False for r in reports):
        return mark(False, sys.stdout) + "no"
    if any(r.equal is None for r in reports):
        return "" if planned else "not compared"
    return "counts" if any(map(counted, reports)) else "yes"


def _noted(reports: Mapping[str, Report]) -> Iterator[str]:
    """What to know: a line that many tables have once, and no more lines than are read."""
    lines: dict[str, list[str]] = {}
    for name, report in reports.items():
        notes = [n for n in report.notes if not n.startswith(_SILENT)]
        for line in (*(f"structure: {plain(d)}" for d in report.drift), *map(plain, notes)):
            lines.setdefault(line, []).append(plain(name))
    shown = sorted(lines.items(), key=lambda item: -len(item[1]))
    yield from (f"  {_of_tables(line, names, len(reports))}" for line, names in shown[: 2 * _SHOWN])
    if len(shown) > 2 * _SHOWN:
        yield f"  ... and {len(shown) - 2 * _SHOWN} more lines: --json has all"


def _of_tables(line: str, names: Sequence[str], every: int) -> str:
    if len(names) == 1:
        return f"{names[0]}: {line}"
    if len(names) == every:
        return f"all tables: {line}"
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{', '.join(names[:3])}{more}: {line}"


def _wrong(reports: Mapping[str, Report]) -> Iterator[str]:
    """What ran to its end and is not as it should be."""
    for name, report in reports.items():
        for line in report.differences[:_SHOWN]:
            yield f"{mark(False, sys.stdout)}{plain(name)} differs: {plain(line)}"
        for key, info in report.failed.items():
            yield f"{mark(False, sys.stdout)}{plain(name)} {plain(key)}: {_short(info.message, name)}"
        if report.counts.rejected:
            what = f"{report.counts.rejected:,} rows were rejected"
            yield f"{mark(False, sys.stdout)}{plain(name)}: {what}"
            yield f"  -> sync-assets rejects {report.sync}"


def _failed(found: Found) -> Iterator[str]:
    """The tables that were not done, those with one thing to do about it together."""
    errors = [(name, o.error) for name, o in found.items() if o.error is not None]
    hints = dict.fromkeys(_hint(error) for _, error in errors)
    for hint in hints:
        for name, error in errors:
            if _hint(error) == hint:
                code = f" [{error.code}]" if error.code else ""
                yield f"{mark(False, sys.stdout)}{plain(name)}: {_short(error.message, name)}{code}"
        if hint:
            yield f"  -> {hint}"


def _hint(error: SyncError) -> str:
    passing = "this may pass: run it again; what is done already is not done twice"
    return error.hint or (passing if isinstance(error, Retry) else "")


def _short(message: str, name: str) -> str:
    """A message without the name of the sync: the line begins with the table's."""
    _, found, rest = message.partition(f":{name}: ")
    return plain(rest if found else message)


def _summary(found: Found, planned: bool) -> str:
    reports = [o.report for o in found.values() if o.report is not None]
    failed = len(found) - len(reports) + sum(bool(r.failed) for r in reports)
    quiet = sum(map(_is_quiet, reports))
    rejected, differ = sum(r.counts.rejected > 0 for r in reports), sum(r.equal is False for r in reports)
    wrote = sum(bool(r.counts.created or r.counts.updated or r.counts.deleted) for r in reports)
    parts = [
        f"{wrote} {'would be written' if planned else 'written'}",
        f"{quiet} without a change",
        *([f"{rejected} with rejected rows"] if rejected else []),
        *([f"{differ} DIFFERENT FROM THE SOURCE"] if differ else []),
        *([f"{failed} FAILED"] if failed else []),
    ]
    took = max((r.seconds for r in reports), default=0.0)
    return f"{len(found)} table{'' if len(found) == 1 else 's'}: {', '.join(parts)}; {took:,.1f} s"


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
    """The history, newest first."""
    if not entries:
        print("no run has been recorded yet")
        return
    head = [clock.named("began"), "seconds", "outcome", "sync", "partitions", "what came of it"]
    table(head, [_run(entry) for entry in entries])


def _run(entry: RunEntry) -> list[str]:
    began = entry.started_at or entry.finished_at
    took = (entry.finished_at - entry.started_at).total_seconds() if entry.started_at and entry.finished_at else None
    return [
        clock.told(began, seconds=True),
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
    if "state" in report:
        return of_fleet(report)
    if entry.outcome == "running":
        return f"by {entry.holder.partition(' #')[0]}"
    failed = report.get("failed_partitions")
    counts = ", ".join(f"{report[name]:,} {name}" for name in _COUNTS if report.get(name))
    return (counts or "nothing to do") + (
        f"; {len(failed)} partitions failed" if isinstance(failed, dict) and failed else ""
    )


def of_fleet(report: Mapping[str, object]) -> str:
    """What came of an instance or period of a fleet: its state, and what was counted."""
    counts = report.get("counts")
    told = [f"{number:,} {name}" for name, number in counts.items() if number] if isinstance(counts, dict) else []
    return ", ".join([str(report["state"]), *told])


def run_as_json(entry: RunEntry) -> Mapping[str, Any]:
    kept = ("run_id", "sync", "partition", "outcome", "started_at", "finished_at", "report")
    return {name: getattr(entry, name) for name in kept} | {"process": entry.holder.partition(" #")[0]}
