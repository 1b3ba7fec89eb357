"""Python's own settings while rows are read and compared: no cycle collection, and threads that take turns sooner.

A run allocates millions of rows that live until its end and form no cycles. The collector walks them again and again:
a fifth of the time of a run that changes nothing (benchmarks/bitable.py). Reference counts free what is dropped.
The thread that fetches pages waits for the interpreter after every packet; 5 ms a time, Python's default, is as long
as a whole page takes.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

SWITCH_SECONDS = 0.0005


@dataclass(slots=True)
class _Before:
    """What was set before the first run that is under way, and how many are."""

    runs: int = 0
    collected: bool = True
    switched: float = 0.005


_lock, _before = threading.Lock(), _Before()


@contextmanager
def tuned() -> Iterator[None]:
    """These settings for the whole process, until the last block that asked for them ends. Safe for threads."""
    with _lock:
        if _before.runs == 0:
            _before.collected, _before.switched = gc.isenabled(), sys.getswitchinterval()
            gc.disable()
            sys.setswitchinterval(SWITCH_SECONDS)
        _before.runs += 1
    try:
        yield
    finally:
        with _lock:
            _before.runs -= 1
            if _before.runs == 0:
                sys.setswitchinterval(_before.switched)
                if _before.collected:
                    gc.enable()
