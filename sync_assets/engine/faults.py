"""Named points at which a test may kill, stop or break the process. Off unless SYNC_ASSETS_FAULT names one.

``SYNC_ASSETS_FAULT=after_create:3=kill`` kills -9 the process the third time it comes past `after_create`. Actions:
``kill``, ``stop`` (SIGSTOP) and ``retry`` (raise `Retry`). The list is closed, so that a test can prove that every
point is reached (`sync_assets_tests/chaos`).
"""

from __future__ import annotations

import os
import signal
import threading

from sync_assets.engine.errors import Retry

POINTS = (
    "after_lease", "after_read", "after_shape", "after_scan", "after_replay", "after_plan", "before_update",
    "after_update", "after_journal", "after_create", "before_delete", "after_delete", "before_state", "after_state",
)  # fmt: skip
# The same for runs over tables.
TABLE_POINTS = (
    "after_lease", "after_build", "after_choice", "in_slice", "after_slice", "before_apply", "in_apply", "after_apply",
    "before_swap", "after_swap", "before_end", "before_proof",
)  # fmt: skip
# The same for syncs with another installation.
EXCHANGE_POINTS = (
    "exchange_started", "exchange_ping", "exchange_export", "exchange_repository", "exchange_planned",
    "exchange_before_send", "exchange_after_send", "exchange_noted", "exchange_before_link", "exchange_after_link",
    "exchange_before_clear", "exchange_after_clear", "exchange_before_finish", "exchange_finished",
)  # fmt: skip
# The same for calls of the gateway that change something.
GATEWAY_POINTS = ("gateway_changed", "gateway_noted")

_armed = os.environ.get("SYNC_ASSETS_FAULT", "")
_passed: dict[str, int] = {}


def point(name: str) -> None:
    """Come past a named point; nothing happens unless it is armed."""
    if _armed:
        _passed[name] = _passed.get(name, 0) + 1
        _act(name)


def arm(fault: str) -> None:
    """As the environment variable, for a process that is told later than at its start (`sync_assets.testing`)."""
    global _armed
    _armed = fault


def passed() -> dict[str, int]:
    """How often each point was passed, while any was armed."""
    return dict(_passed)


def _act(name: str) -> None:
    where, _, action = _armed.partition("=")
    wanted, _, nth = where.partition(":")
    if wanted != name or _passed[name] != int(nth or 1):
        return
    if action == "retry":
        raise Retry(f"fault asked for at {name}")
    # To this very thread: sent to the process, it may be another that takes it, and we would go on for a while.
    signal.pthread_kill(threading.get_ident(), signal.SIGSTOP if action == "stop" else signal.SIGKILL)
