"""Holding the lease of a target while a run works: renewed in passing, checked before every write.

No thread renews it. A worker that was stopped (SIGSTOP, a sleeping laptop) must not find its lease fresh when it wakes,
so the age is measured here, on a clock that goes on while the machine sleeps, and a lease older than a third of its
time is renewed before the next step and before every request that writes. Renewal is a compare-and-set on the fencing
token: whoever lost the lease learns it before writing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sync_assets.engine.control import ControlStore, Lease, LeaseHeld
from sync_assets.engine.errors import SyncError
from sync_assets.engine.holder import is_gone

SECONDS = 120.0
_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # Linux stops CLOCK_MONOTONIC while it sleeps


def steady() -> float:
    """Seconds on a clock that nobody sets and that goes on while the machine sleeps."""
    return time.clock_gettime(_CLOCK)


@dataclass(slots=True)
class HeldLease:
    """A lease in use. `ensure` costs nothing while it is young."""

    store: ControlStore
    lease: Lease
    clock: Callable[[], float]
    renewed: float

    def ensure(self) -> None:
        """Renew when a third of the time is over. Raises `Fenced` when somebody else took it."""
        if self.clock() - self.renewed > self.lease.seconds / 3:
            asked = self.clock()
            self.store.renew_lease(self.lease)
            self.renewed = asked


@contextmanager
def holding(
    store: ControlStore,
    name: str,
    owner: str,
    *,
    seconds: float = SECONDS,
    clock: Callable[[], float] = steady,
    gone: Callable[[str], bool] = is_gone,
) -> Iterator[HeldLease]:
    """Hold the lease `name` for the length of the block. Raises `LeaseHeld` when somebody else writes there.

    A holder that `gone` knows to have died is replaced at once: a crash costs no waiting on its own machine.
    """
    asked = clock()
    held = HeldLease(store, _acquire(store, name, owner, seconds, gone), clock, asked)
    try:
        yield held
    finally:
        _give_back(held)


def _acquire(store: ControlStore, name: str, owner: str, seconds: float, gone: Callable[[str], bool]) -> Lease:
    try:
        return store.acquire_lease(name, owner, seconds)
    except LeaseHeld as held:
        if not gone(held.holder):
            raise
        return store.acquire_lease(name, owner, seconds, over=held.token)


def _give_back(held: HeldLease) -> None:
    with suppress(SyncError):  # it ends by itself; the error that brought us here must not be hidden
        held.store.release_lease(held.lease)
