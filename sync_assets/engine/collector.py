"""Python's cycle collector, paused while rows are read and compared.

A run allocates millions of rows that live until its end and form no cycles. The collector walks them again and again:
a fifth of the time of a run that changes nothing (benchmarks/bitable.py). Reference counts free what is dropped.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_lock = threading.Lock()
_pausing = 0
_was_on = False


@contextmanager
def collector_paused() -> Iterator[None]:
    """No cycle collection in this process until the last block that asked for it ends. Safe for threads."""
    global _pausing, _was_on
    with _lock:
        _was_on = gc.isenabled() if _pausing == 0 else _was_on
        _pausing += 1
        gc.disable()
    try:
        yield
    finally:
        with _lock:
            _pausing -= 1
            if _pausing == 0 and _was_on:
                gc.enable()
