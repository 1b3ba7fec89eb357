"""A contender as a whole process tree: wall time, processor time, and the most memory that all of it held at once.

Knows nothing of what is run. Reads /proc, so it needs Linux.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")
_EVERY = 0.02  # seconds between looks at the memory


@dataclass(frozen=True)
class Measured:
    """One run. `peak` is the largest sum of resident memory over the tree, in MB; pages shared count for each."""

    seconds: float
    cpu: float
    peak: float
    code: int
    said: str  # the end of what it printed

    @property
    def failed(self) -> bool:
        return self.code != 0


def measure(command: Sequence[str], environment: Mapping[str, str], limit: float) -> Measured:
    """Run `command` to its end, or end it after `limit` seconds, it and all it started."""
    with tempfile.TemporaryFile() as output:
        before, started = os.times(), time.perf_counter()
        process = subprocess.Popen(
            command, env=dict(environment), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        watch = _Watch(process.pid)
        watch.start()
        alarm = threading.Timer(limit, os.killpg, (process.pid, 9))
        alarm.start()
        code = process.wait()  # with a limit, it would look every 50 ms only
        alarm.cancel()
        seconds, after = time.perf_counter() - started, os.times()
        watch.stop()
        output.seek(0)
        said = output.read()[-1_000_000:].decode(errors="replace")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return Measured(seconds, cpu, watch.peak / 1e6, code, said)


class _Watch(threading.Thread):
    """Looks at the memory of a process and its descendants again and again."""

    def __init__(self, root: int) -> None:
        super().__init__(daemon=True)
        self.root, self.peak = root, 0
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(_EVERY):
            self.peak = max(self.peak, sum(map(_resident, _tree(self.root))))

    def stop(self) -> None:
        self._over.set()
        self.join()


def _tree(root: int) -> list[int]:
    found, at = [root], 0
    while at < len(found):
        with contextlib.suppress(OSError):  # it has just ended
            for children in Path(f"/proc/{found[at]}/task").glob("*/children"):
                found += map(int, children.read_text().split())
        at += 1
    return found


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0
