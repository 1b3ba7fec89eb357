"""When the next call may go out: limits per endpoint, the server's own reset time, a growing gap between writes.

Limits of Feishu hold per API, app and tenant; a base besides wants no two writers at once and, when busy, 0.5 to 1 s
between writes (official guidance). Pure logic on an injected clock and sleep; knows nothing of HTTP or of retries.
Safe for threads. Writes to one lane (a base) take turns.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field

FIRST_GAP, LONGEST_GAP = 0.5, 1.0
EASING = 0.9  # per undisturbed write: from 0.5 s to none in 22 writes
SMALLEST_GAP = 0.05
HEADROOM = 0.9  # with the burst on top, no second then holds more calls than the documented limit


@dataclass(frozen=True, slots=True)
class Rate:
    """A documented limit, in calls per second, and how many may go out at once after a rest."""

    per_second: float
    burst: int = 2


@dataclass(slots=True)
class _Bucket:
    full_at: float = 0.0  # when the next call would be exactly on schedule (generic cell rate algorithm)
    not_before: float = 0.0


@dataclass(slots=True)
class _Lane:
    gap: float = 0.0
    last_write: float = float("-inf")
    turn: threading.Lock = field(default_factory=threading.Lock)


class Pacer:
    """Shared by all that use one app on one host. `factor` scales the limits; 0 leaves them to the server."""

    def __init__(self, clock: Callable[[], float], sleep: Callable[[float], None], factor: float = HEADROOM) -> None:
        self._clock, self._sleep, self._factor = clock, sleep, factor
        self._lock = threading.Lock()
        self._buckets: dict[str, _Bucket] = {}
        self._lanes: dict[str, _Lane] = {}

    @contextmanager
    def turn(self, name: str, rate: Rate, lane: str, *, write: bool) -> Iterator[float]:
        """Wait until endpoint `name` may be called in `lane`; yields the seconds waited. The call goes inside."""
        track = self._lane(lane)
        with track.turn if write else nullcontext():
            waited = self._wait(lambda: self._gap_left(track)) if write else 0.0
            waited += self._wait(lambda: self._take(name, rate))
            try:
                yield waited
            finally:
                if write:
                    track.last_write = self._clock()

    def throttled(self, name: str, lane: str, seconds: float) -> None:
        """The server asked for patience: no call of `name` for `seconds`, and a wider gap in `lane`."""
        track = self._lane(lane)
        with self._lock:
            bucket = self._buckets.setdefault(name, _Bucket())
            bucket.not_before = max(bucket.not_before, self._clock() + seconds)
            track.gap = min(LONGEST_GAP, max(FIRST_GAP, track.gap * 2))

    def eased(self, lane: str) -> None:
        """A write went well: narrow the gap a little."""
        track = self._lane(lane)
        with self._lock:
            track.gap = track.gap * EASING if track.gap * EASING >= SMALLEST_GAP else 0.0

    def gap(self, lane: str) -> float:
        """Seconds now kept between two writes in `lane`."""
        return self._lane(lane).gap

    def _lane(self, lane: str) -> _Lane:
        with self._lock:
            return self._lanes.setdefault(lane, _Lane())

    def _gap_left(self, track: _Lane) -> float:
        return track.last_write + track.gap - self._clock()

    def _take(self, name: str, rate: Rate) -> float:
        """Take a slot and return 0, or return the seconds until there may be one."""
        with self._lock:
            now, bucket = self._clock(), self._buckets.setdefault(name, _Bucket())
            every = 1 / (rate.per_second * self._factor) if self._factor else 0.0
            left = max(bucket.not_before, bucket.full_at - every * (rate.burst - 1)) - now
            if left <= 1e-6:
                bucket.full_at = max(now, bucket.full_at) + every
            return left

    def _wait(self, left: Callable[[], float]) -> float:
        waited = 0.0
        while (seconds := left()) > 1e-6:  # asked again: another thread may have been throttled meanwhile
            self._sleep(seconds)
            waited += seconds
        return waited
