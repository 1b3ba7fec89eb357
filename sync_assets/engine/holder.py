"""Who holds a lease: a name that tells machine, process and run, and whether that process is gone.

A crash must not lock its own machine out until the lease's time is over. So the holder's name carries a mark that no
other process can have: kernel boot, pid namespace, pid, start time. Only a process in the same place may say that a
holder is gone; of another machine or container nothing is known, and its time is waited for. Knows nothing of stores.
"""

from __future__ import annotations

import os
import re
import socket
import uuid
from functools import cache
from hashlib import blake2b
from pathlib import Path

_MARK = re.compile(r" #([0-9a-f]{16}):(\d+):(\d*)$")
_DEAD = ("Z", "X")  # a zombie writes no more


def holder_name(run: str = "") -> str:
    """The name of this process as the holder of a lease, for people and for `is_gone`."""
    pid = os.getpid()
    return f"{socket.gethostname()}:{pid}:{run} #{_place()}:{pid}:{(_status(pid) or ('', ''))[1]}"


def is_gone(holder: str) -> bool:
    """Whether the process of that name has ended for certain. False whenever that cannot be known from here."""
    found = _MARK.search(holder)
    if found is None or found[1] != _place():
        return False
    pid = int(found[2])
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # somebody else's process; its status may be readable all the same
    status = _status(pid)
    return status is not None and (status[0] in _DEAD or status[1] != found[3])


def is_here(holder: str) -> bool:
    """Whether the process of that name is, or was, one of this place: only then does `is_gone` know of it."""
    found = _MARK.search(holder)
    return found is not None and found[1] == _place()


@cache
def _place() -> str:
    """Within which a pid means one process: this boot of this kernel, this pid namespace."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        where = f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:  # no Linux: no pid namespaces either
        where = f"{socket.gethostname()} {uuid.getnode():x}"
    return blake2b(where.encode(), digest_size=8).hexdigest()


def _status(pid: int) -> tuple[str, str] | None:
    """State letter and start time (clock ticks since boot) of a process; None where it cannot be read."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    after_name = text.rpartition(")")[2].split()  # the name may hold anything, brackets included
    return after_name[0], after_name[19]
