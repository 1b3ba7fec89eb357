"""Reading ahead: pages are fetched while earlier ones, or the other side, are being worked on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class _Failed:
    def __init__(self, error: BaseException) -> None:
        self.error = error


class Ahead(Generic[T]):
    """Yields `items` in order, fetched by a thread that starts now and stays at most `depth` items ahead.

    An error of the iterator is raised at its place. `close` ends the thread after the item that it is fetching; a
    consumer that stops early must call it. Memory: `depth` items.
    """

    def __init__(self, items: Iterator[T], depth: int = 8) -> None:
        self._ready: queue.Queue[T | _Failed | None] = queue.Queue(depth)
        self._stopped = threading.Event()
        threading.Thread(target=self._fetch, args=(items,), name="read-ahead", daemon=True).start()

    def __iter__(self) -> Iterator[T]:
        return self

    def __next__(self) -> T:
        item = None if self._stopped.is_set() else self._ready.get()
        if item is None or isinstance(item, _Failed):
            self.close()
        if item is None:
            raise StopIteration
        if isinstance(item, _Failed):
            raise item.error
        return item

    def close(self) -> None:
        """Fetch no more."""
        self._stopped.set()

    def _fetch(self, items: Iterator[T]) -> None:
        try:
            for item in items:
                if not self._put(item):
                    return
        except BaseException as error:  # handed over and raised by the consumer
            self._put(_Failed(error))
        else:
            self._put(None)

    def _put(self, item: T | _Failed | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._ready.put(item, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False
