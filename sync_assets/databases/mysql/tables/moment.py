"""One moment of a database, seen by several connections.

InnoDB cannot hand a snapshot from one connection to another. So nobody may write for the blink in which all of them
begin theirs: LOCK TABLES ... READ by another connection waits for open writers and holds off new ones. Without that
right, or when somebody writes for too long, there is one connection, and a note that says why.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator, Mapping, Sequence

from sync_assets.databases.base import ConnectionArgs
from sync_assets.databases.mysql.tables import choice
from sync_assets.databases.mysql.tables.line import Line
from sync_assets.databases.mysql.tables.reader import TableReader
from sync_assets.databases.mysql.tables.slices import slices
from sync_assets.engine.errors import Retry, SyncError
from sync_assets.engine.tables.reading import Selection
from sync_assets.engine.tables.shape import TableKind, TableName, TableShape

LOCK_WAIT = 2  # seconds: while we wait for open writers, new ones wait for us
_TRANSACTIONAL = frozenset({"innodb", "rocksdb", "tokudb", "ndbcluster", "ndb", ""})


class Moment:
    """`engine.tables.reading.Snapshot`."""

    def __init__(
        self, args: ConnectionArgs, lines: Sequence[Line], shapes: Mapping[TableName, TableShape], notes: Sequence[str]
    ) -> None:
        self.streams = len(lines)
        self.notes = notes
        self._shapes = shapes
        self._free: queue.SimpleQueue[Line] = queue.SimpleQueue()
        for line in lines:
            self._free.put(line)
        self._bounds = Line(args)  # for slices, which mean the same in any snapshot
        self._asking = threading.Lock()

    def reader(self) -> TableReader:
        """Raises `Retry` when a connection was lost: its snapshot cannot be had again."""
        with contextlib.suppress(queue.Empty):
            while True:
                line = self._free.get_nowait()
                if line.open:
                    return TableReader(line, self._free.put)
        raise Retry("a connection to the source was lost, and its snapshot with it", after=1)

    def slices(self, selection: Selection, size: int) -> Sequence[Selection]:
        shape = self._shapes.get(selection.table) if selection.table else None
        if shape is None or shape.bytes <= size:
            return [selection]
        with self._asking:
            return slices(self._bounds, selection, shape, size)

    def close(self) -> None:
        self._bounds.close()


@contextlib.contextmanager
def moment(args: ConnectionArgs, shapes: Mapping[TableName, TableShape], streams: int) -> Iterator[Moment]:
    """Open up to `streams` connections that see the same moment of the tables in `shapes`."""
    lines = [Line(args) for _ in range(max(1, streams))]
    notes = [f"{name.name} is kept by {shape.engine}, which has no snapshots: rows may change while they are read"
             for name, shape in shapes.items() if shape.engine.lower() not in _TRANSACTIONAL]  # fmt: skip
    try:
        lines, more = _begun(lines, sorted(shapes), args)
        for line in lines:
            _hold(line, shapes)
        with contextlib.closing(Moment(args, lines, shapes, [*notes, *more])) as found:
            yield found
    finally:
        for line in lines:
            line.close()


def _begun(lines: list[Line], tables: Sequence[TableName], args: ConnectionArgs) -> tuple[list[Line], list[str]]:
    if len(lines) == 1 or not tables:
        _begin(lines[:1] if not tables else lines)
        return (lines[:1] if not tables else lines), []
    control = Line(args, writes=True)
    try:
        _ready([control, *lines])
        control.run(f"set session lock_wait_timeout = {LOCK_WAIT}")
        control.run(f"lock tables {', '.join(f'{choice.table(t)} read' for t in tables)}")
    except SyncError as error:
        if isinstance(error, Retry) and error.code != "1205":
            raise
        _begin(lines[:1])
        return lines[:1], [f"one connection reads: {_why(error)}"]
    else:
        _begin(lines)
        return lines, []
    finally:
        control.close()  # unlocks


def _why(error: SyncError) -> str:
    if error.code == "1205":
        return "a transaction has been writing to the tables for too long to wait for"
    return "several would need the right to LOCK TABLES, to begin at the same moment"


def _ready(lines: Sequence[Line]) -> None:
    for line in lines:
        line.connection  # noqa: B018 (opens; logging in takes long, and is not done under the lock)


def _begin(lines: Sequence[Line]) -> None:
    _ready(lines)
    for line in lines:
        line.run("start transaction with consistent snapshot, read only")
        line.pinned = True


def _hold(line: Line, shapes: Mapping[TableName, TableShape]) -> None:
    """A look at each table: from now on nobody can change its shape until we are through."""
    for name, shape in shapes.items():
        if shape.kind is not TableKind.FOREIGN:
            line.ask(f"select 1 from {choice.table(name)} limit 0")  # noqa: S608 (quoted)
