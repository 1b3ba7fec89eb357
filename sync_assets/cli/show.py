"""What people see: tables on standard output, progress and errors on standard error.

Values of rows (keys in samples) may hold anything, so they pass through `plain` and never through markup. Knows
reports and findings, not where they come from.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from sync_assets.engine.errors import SyncError
from sync_assets.engine.model import Counts, Delivery, Finding, Mode, Progress, Report

if TYPE_CHECKING:
    from rich.console import Console

    from sync_assets.project.deployment import PlacedReplica, PlacedSync

_LINE_EVERY = 5.0  # seconds between lines where no bar can be drawn
_SHOWN = 10  # lines of a sample
_WIDE = 160  # columns of output that goes to a file or a pipe


def forgiving(*streams: TextIO) -> None:
    """Let a terminal that cannot show a character (GBK has no cross) show a question mark instead of failing."""
    for stream in streams:
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")


def plain(text: object) -> str:
    """Text of unknown origin, without the control characters that could drive the terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(text))


def mark(ok: bool, stream: TextIO) -> str:
    """``ok`` or a cross that the stream can show."""
    if ok:
        return "ok"
    try:
        "✗".encode(getattr(stream, "encoding", None) or "ascii")
    except UnicodeEncodeError:
        return "x "
    return "✗ "


def error_block(error: SyncError) -> None:
    """One block on standard error: what happened, and what to do."""
    code = f" [{error.code}]" if error.code else ""
    sys.stderr.write(f"{mark(False, sys.stderr).strip()} {error.message}{code}\n")
    if error.hint:
        sys.stderr.write(f"  -> {error.hint}\n")


def findings(name: str, found: Sequence[Finding]) -> bool:
    """Print what a check found. False when something is not as it should be."""
    print(name)
    for finding in found:
        print(f"  {mark(finding.ok, sys.stdout)} {plain(finding.what)}")
        if finding.hint:
            print(f"     {'(note)' if finding.ok else '->'} {plain(finding.hint)}")
    return all(finding.ok for finding in found)


def report(done: Report, *, planned: bool = False) -> None:
    """The summary of a run, or of a plan."""
    verb = "would do" if planned else "did"
    print(f"{done.sync}: what mode {done.mode} {verb}")
    table(["partition", "read", "created", "updated", "unchanged", "rejected", "deleted"], _count_rows(done))
    changes = [[c.outcome, plain(c.key), ", ".join(map(plain, c.fields))] for c in done.changes]
    _sample(["change", "key", "fields"], changes)
    rejected = [[plain(r.key), plain(r.field), r.code, plain(r.reason)] for r in done.rejected]
    _sample(["rejected row", "field", "code", "reason"], rejected)
    print()
    for line in _remarks(done):
        print(line)


def _sample(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if rows:
        print()
        table(head, rows[:_SHOWN])
    if len(rows) > _SHOWN:
        print("...")


def _count_rows(done: Report) -> Iterator[list[str]]:
    for key, counts in done.partitions.items() if len(done.partitions) > 1 else ():
        yield [plain(key), *numbers(counts)]
    only = next(iter(done.partitions), "") if len(done.partitions) == 1 else ""
    yield [only or "all", *numbers(done.counts)]


def numbers(counts: Counts) -> list[str]:
    """The counts of a report, in the order of its columns."""
    every = (counts.read, counts.created, counts.updated, counts.unchanged, counts.rejected, counts.deleted)
    return [f"{number:,}" for number in every]


def _remarks(done: Report) -> Iterator[str]:
    yield (f"{done.requests:,} requests, " if _thing(done) == "board" else "") + (
        f"{done.bytes_sent:,} bytes sent, {done.bytes_received:,} received, "
        f"{done.seconds:.1f} s, {done.rows_per_second:,.0f} rows/s; delivery: {done.delivery}"
    )
    if done.duplicates:
        yield f"{done.duplicates:,} rows of the source share their key with another and were left out"
    yield from (plain(note) for note in done.notes)
    for key, info in done.failed.items():
        yield f"{mark(False, sys.stdout)} {plain(key) or 'run'}: {info.message}"
    if done.counts.rejected:
        yield f"{done.counts.rejected:,} rows were rejected: sync-assets rejects {done.sync}"
    if done.equal is not None:
        yield _agreement(done) if done.equal else f"the {_thing(done)} differs from the source:"
    yield from (f"structure: {plain(line)}" for line in done.drift[:_SHOWN])
    yield from (f"  {plain(difference)}" for difference in done.differences[:_SHOWN])
    if done.link:
        yield done.link


def _agreement(done: Report) -> str:
    """What "equal" means after a run of this mode: only clone makes both sides the same."""
    inside = "in the table" if _thing(done) == "table" else "on the board"
    if counted(done):
        return "the counts of both sides agree"
    said = {
        Mode.CLONE: f"the {_thing(done)} equals the source",
        Mode.FULL: f"every row of the source is {inside} as it is there",
        Mode.OVERWRITE: f"every row of the source is {inside} as it is there",
    }.get(done.mode, f"what was to be written is {inside}")
    if any(note.startswith("compared: ") for note in done.notes):  # by watermark
        said = f"every row that was compared is {inside} as it is in the source"
    return said + (", besides the rejected rows" if done.counts.rejected else "")


def counted(done: Report) -> bool:
    """Whether the rows of both sides were counted and not compared: their values may differ all the same."""
    return any("rows were counted" in note for note in done.notes)


def _thing(done: Report) -> str:
    """What was written to."""
    return "table" if done.delivery is Delivery.LEDGER else "board"


def syncs(found: Iterable[PlacedSync], replicas: Iterable[PlacedReplica] = ()) -> None:
    """The list of syncs and replicas."""
    rows = [*map(_sync, found), *map(_replica, replicas)]
    table(["name", "from -> to", "mode", "partitions or tables", "schedule", "written in", "title"], rows)


def _replica(r: PlacedReplica) -> list[str]:
    spec = r.spec
    tables = ", ".join(spec.tables[:5]) + ("" if len(spec.tables) <= 5 else ", ...")
    where = f"{r.file}: line {r.line}"
    return [
        r.name,
        f"{spec.source} -> {spec.target}",
        str(spec.mode),
        tables,
        spec.schedule or "",
        where,
        spec.title or "",
    ]


def _sync(s: PlacedSync) -> list[str]:
    where = f"{s.file}: line {s.line}"
    return [
        s.name,
        f"{s.source} -> {s.target}",
        str(s.spec.mode),
        _partitions(s),
        s.schedule or "",
        where,
        s.spec.title or "",
    ]


def _partitions(sync: PlacedSync) -> str:
    parts = sync.spec.partitions
    every, size = getattr(parts, "every", None), getattr(parts, "size", None)
    if every or parts is None:
        return f"every {every}" if every else ""
    return f"by {parts.column}" + (f", {size:,} each" if size else "")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, header_style="bold", pad_edge=False)
    for at, name in enumerate(head):
        drawn.add_column(name, justify="right" if name in Counts.__slots__ else "left", no_wrap=at == 0)
    for row in rows:
        drawn.add_row(*(Text(str(cell)) for cell in row))
    console().print(drawn)


def console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else _WIDE
    return Console(file=stream, highlight=False, markup=False, width=width)


@contextmanager
def progress(clock: Callable[[], float] = time.monotonic) -> Iterator[Progress]:
    """A bar on a terminal, a line now and then elsewhere; on standard error, so that output can be piped."""
    if sys.stderr.isatty():
        with _bar() as bar:
            yield bar
    else:
        yield _lines(clock)


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars

    said = TextColumn("{task.fields[said]}", markup=False)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), said, TimeElapsedColumn())
    with Bars(*columns, console=console(stderr=True), transient=True) as bars:
        tasks: dict[str, int] = {}

        def tell(stage: str, done: int, total: int | None) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total, said="")
            bars.update(tasks[stage], completed=done, total=total, said=_far(done, total))  # type: ignore[arg-type]

        yield tell


def _far(done: int, total: int | None) -> str:
    """How far it is; nothing of a stage that does not count."""
    return f"{done:,} of {total:,}" if total else f"{done:,}" if done else ""


def _lines(clock: Callable[[], float]) -> Progress:
    told: dict[str, float] = {}

    def tell(stage: str, done: int, total: int | None) -> None:
        now = clock()
        if now - told.get(stage, -_LINE_EVERY) >= _LINE_EVERY or done == total:
            told[stage] = now
            far = _far(done, total)
            sys.stderr.write(f"{stage}: {far}\n" if far else f"{stage}\n")

    return tell


def as_json(done: Report) -> Mapping[str, object]:
    """A report for programs. Keys of rows are in the samples; values never are."""
    from dataclasses import asdict

    return asdict(done) | {"rows_per_second": done.rows_per_second}
