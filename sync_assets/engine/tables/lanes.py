"""Lanes: pairs of a reader and a writer, each used by one thread at a time. How many there are bounds the work.

Small tables take one lane each, side by side; the slices of a large one are spread over all of them. Whoever waits for
slices holds no lane, so nobody waits for a lane that waits for them.
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from sync_assets.engine.tables.reading import Reader, Snapshot, TableSource
from sync_assets.engine.tables.shape import TableName
from sync_assets.engine.tables.writing import TableTarget, Writer

T = TypeVar("T")
R = TypeVar("R")


@dataclass(slots=True)
class Lane:
    """Opened when first used: a run that ships nothing opens no writer."""

    open_reader: Callable[[], Reader]
    open_writer: Callable[[], Writer]
    _reader: Reader | None = None
    _writer: Writer | None = None
    _past: tuple[int, int] = (0, 0)  # bytes of connections that were closed

    @property
    def reader(self) -> Reader:
        if self._reader is None:
            self._reader = self.open_reader()
        return self._reader

    @property
    def writer(self) -> Writer:
        if self._writer is None:
            self._writer = self.open_writer()
        return self._writer

    @property
    def bytes(self) -> tuple[int, int]:
        """Received from the source, sent to the target."""
        received = self._reader.moved.bytes if self._reader else 0
        return self._past[0] + received, self._past[1] + (self._writer.moved.bytes if self._writer else 0)

    def read_anew(self) -> None:
        """After rows that nobody took to their end: the next reader, of the same moment, has nothing under way."""
        self._past = self.bytes[0], self._past[1]
        if self._reader is not None:
            self._reader.close()
        self._reader = None

    def close(self) -> None:
        self._past = self.bytes
        for end in (self._reader, self._writer):
            if end is not None:
                end.close()
        self._reader = self._writer = None


class Readers:
    """Readers of one snapshot, lent to one thread at a time."""

    def __init__(self, snapshot: Snapshot, streams: int) -> None:
        self._snapshot = snapshot
        self._free: queue.SimpleQueue[Reader | None] = queue.SimpleQueue()
        for _ in range(max(1, min(streams, snapshot.streams))):
            self._free.put(None)  # opened when first used

    @contextmanager
    def one(self) -> Iterator[Reader]:
        """A reader of one's own for the block."""
        reader = self._free.get()
        try:
            reader = reader or self._snapshot.reader()
            yield reader
        finally:
            self._free.put(reader)

    def close(self) -> None:
        while not self._free.empty():
            if (reader := self._free.get()) is not None:
                reader.close()


@contextmanager
def reading(source: TableSource, tables: Sequence[TableName], streams: int) -> Iterator[Readers]:
    """A moment of `source` and readers in it, for the length of the block."""
    with source.snapshot(tables, streams) as snapshot:
        readers = Readers(snapshot, streams)
        try:
            yield readers
        finally:
            readers.close()


class Lanes:
    """As many lanes as the snapshot and the pace allow."""

    def __init__(self, snapshot: Snapshot, target: TableTarget, streams: int) -> None:
        self.count = max(1, min(streams, snapshot.streams))
        self.lanes = [Lane(snapshot.reader, target.writer) for _ in range(self.count)]
        self._free: queue.SimpleQueue[Lane] = queue.SimpleQueue()
        for lane in self.lanes:
            self._free.put(lane)
        self._slices = ThreadPoolExecutor(self.count, thread_name_prefix="slice")
        self._tables = ThreadPoolExecutor(self.count, thread_name_prefix="table")

    @contextmanager
    def one(self) -> Iterator[Lane]:
        """A lane of one's own for the block."""
        lane = self._free.get()
        try:
            yield lane
        finally:
            self._free.put(lane)

    @contextmanager
    def reader(self) -> Iterator[Reader]:
        """The reader of a lane, for the block."""
        with self.one() as lane:
            yield lane.reader

    def spread(self, work: Callable[[Lane, T], R], items: Sequence[T]) -> list[R]:
        """`work` for each item, over all lanes. The first error ends it; what has not begun is not begun."""

        def alone(item: T) -> R:
            with self.one() as lane:
                return work(lane, item)

        if len(items) == 1:
            return [alone(items[0])]
        return _all(self._slices, alone, items)

    def each(self, work: Callable[[T], None], items: Iterable[T]) -> None:
        """`work` for each table, side by side."""
        _all(self._tables, work, list(items))

    def close(self) -> None:
        self._tables.shutdown()
        self._slices.shutdown()
        for lane in self.lanes:
            lane.close()


def _all(pool: ThreadPoolExecutor, work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    futures = [pool.submit(work, item) for item in items]
    done, rest = wait(futures, return_when=FIRST_EXCEPTION)
    for future in rest:
        future.cancel()
    failed = [f for f in done if f.exception() is not None]
    if failed:
        wait([f for f in rest if not f.cancelled()])
        first = failed[0].exception()
        assert first is not None  # noqa: S101 (asked above)
        raise first
    return [future.result() for future in futures]
