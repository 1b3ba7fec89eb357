"""The tenant access token: cached, renewed before it ends, and a refused secret is never sent twice.

Source: POST /open-apis/auth/v3/tenant_access_token/internal; `expire` is at most 7,200 s. Knows the secret only for
the moment of the call. Knows nothing of HTTP: the caller passes in how to exchange one request.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from typing import Any

from sync_assets.engine.errors import Retry, Stop

PATH = "/open-apis/auth/v3/tenant_access_token/internal"
MARGIN = 300.0  # seconds before its end at which a token is renewed, or half of its life if that is shorter

REFUSALS = frozenset({"10003", "10012", "10013", "10014", "10015"})  # repeating these may lock the app

Exchange = Callable[[dict[str, str]], dict[str, Any]]


class TokenSource:
    """One per app and host in a process. Safe for threads: while one fetches, the others wait for its token."""

    def __init__(
        self, app_id: str, open_secret: Callable[[], str], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.app_id = app_id
        self.open_secret = open_secret
        self._clock = clock
        self._lock = threading.Lock()
        self._token = ""
        self._good_until = 0.0
        self._refused: tuple[bytes, Stop] | None = None

    def __repr__(self) -> str:
        return f"TokenSource({self.app_id!r})"

    def get(self, exchange: Exchange) -> str:
        """A token that is good for some minutes. Raises `Stop` when the app or secret is refused, `Retry` else."""
        with self._lock:
            if not self._token or self._clock() >= self._good_until:
                self._fetch(exchange)
            return self._token

    def renew(self, stale: str) -> None:
        """Forget `stale`. Does nothing when another thread has renewed it already."""
        with self._lock:
            if self._token == stale:
                self._token = ""

    def _fetch(self, exchange: Exchange) -> None:
        secret = self.open_secret()
        mark = hashlib.sha256(secret.encode()).digest()
        if self._refused and self._refused[0] == mark:
            raise _again(self._refused[1])
        asked = self._clock()
        try:
            answer = exchange({"app_id": self.app_id, "app_secret": secret})
        except Stop as error:
            if error.code in REFUSALS:
                self._refused = (mark, error)
            raise
        self._keep(answer, asked)

    def _keep(self, answer: dict[str, Any], asked: float) -> None:
        token, life = answer.get("tenant_access_token"), answer.get("expire")
        if not isinstance(token, str) or not token or not isinstance(life, (int, float)):
            raise Retry("Feishu token: the answer holds no token", code="unreadable")
        self._token = token
        self._good_until = asked + life - min(MARGIN, life / 2)


def _again(error: Stop) -> Stop:
    return Stop(f"{error.message}; not tried again with the same secret", hint=error.hint, code=error.code)
