"""How often and how long a call is tried again: by the sort of its error, on one budget of waiting.

Exponential with full jitter; the time that a server names is waited in full, with the jitter on top, so that many
workers do not come back in step. Pure logic; knows nothing of HTTP and never sleeps.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from sync_assets.engine.errors import Retry, Stop, SyncError, Unclear
from sync_assets.feishu.codes import REFRESHES, SETTLES, attempts_for

ATTEMPTS = 16  # under the storm of the tests (55 % of calls fail) a call then fails for good once in 14,000
FIRST_WAIT, LONGEST_WAIT = 0.5, 15.0  # seconds, before jitter
SETTLING_WAIT = 0.5


class Budget:
    """Seconds that may be spent waiting between tries, for all calls of one client together."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds
        self._lock = threading.Lock()

    def take(self, seconds: float) -> bool:
        """Take `seconds`, or take nothing and say no."""
        with self._lock:
            if seconds > self._left:
                return False
            self._left -= seconds
            return True


@dataclass(frozen=True, slots=True)
class Plan:
    """What all calls of one client share: the budget, the dice, and how to have the access token renewed."""

    budget: Budget
    jitter: Callable[[], float]
    renew: Callable[[str], None]
    attempts: int = ATTEMPTS


class Tries:
    """The tries of one call: how many, whether one was unclear, and how long to wait before the next."""

    def __init__(self, plan: Plan, *, repeatable: bool, settling: bool = False, limit: int | None = None) -> None:
        self._plan, self._repeatable, self._settling = plan, repeatable, settling
        self._limit = limit or plan.attempts
        self._failed = 0
        self._unclear = self._renewed = False
        self.bearer = ""

    def wait_after(self, error: SyncError) -> float:
        """Seconds before the next try. Raises the final error when there must be none."""
        if error.code in REFRESHES and not self._renewed:
            self._renewed = True
            self._plan.renew(self.bearer)
            return 0.0
        settles = self._settling and error.code in SETTLES
        if not settles and not isinstance(error, Retry):
            raise error
        self._failed += 1
        self._unclear = self._unclear or isinstance(error, Unclear)
        wait = SETTLING_WAIT if settles else self._backoff(error)
        if self._is_last(error) or not self._plan.budget.take(wait):
            raise self._final(error)
        return wait

    def _backoff(self, error: SyncError) -> float:
        ceiling = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** (self._failed - 1))
        return (error.after if isinstance(error, Retry) else 0.0) + self._plan.jitter() * ceiling

    def _is_last(self, error: SyncError) -> bool:
        unsafe = isinstance(error, Unclear) and not self._repeatable
        return unsafe or self._failed >= min(self._limit, attempts_for(error.code) or self._limit)

    def _final(self, error: SyncError) -> SyncError:
        """What the caller is told: the last error, but unclear if any try was."""
        if isinstance(error, Stop):
            return error
        kind = Unclear if self._unclear else Retry
        after = error.after if isinstance(error, Retry) else 0.0
        message = f"{error.message} (given up after {self._failed} tries)"
        return kind(message, after=after, hint=error.hint, code=error.code)
