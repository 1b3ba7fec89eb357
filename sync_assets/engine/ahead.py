"""Reading ahead: pages are fetched while earlier ones, or the other side, are being worked on."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


class _Failed:
    def __init__(self, error: BaseException) -> None:
        self.error = error


def ahead(items: Iterator[T], depth: int = 8) -> Iterator[T]:
    """Yield `items` in order, fetched by a thread that starts now and stays at most `depth` items ahead.

    An error of the iterator is raised at its place. When the consumer stops early, the thread ends after the item
    that it is fetching. Memory: `depth` items.
    """
    ready: queue.Queue[T | _Failed | None] = queue.Queue(depth)
    stopped = threading.Event()

    def put(item: T | _Failed | None) -> bool:
        while not stopped.is_set():
            try:
                ready.put(item, timeout=0.2)
            except queue.Full:
                continue
            return True
        return False

    def fetch() -> None:
        try:
            for item in items:
                if not put(item):
                    return
        except BaseException as error:  # handed over and raised by the consumer
            put(_Failed(error))
        else:
            put(None)

    threading.Thread(target=fetch, name="read-ahead", daemon=True).start()
    return _drain(ready, stopped)


def _drain(ready: queue.Queue[T | _Failed | None], stopped: threading.Event) -> Iterator[T]:
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, _Failed):
                raise item.error
            yield item
    finally:
        stopped.set()
