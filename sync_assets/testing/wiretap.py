"""What a client really sent and got, beneath all of its own code: an httpx transport that looks on.

For tests that count errors as the client saw them, or that hold its calls against times that a server named.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx


@dataclass(frozen=True)
class Heard:
    """One exchange: when it was sent on the tap's clock, and the status, or 0 where no answer came."""

    at: float
    path: str
    status: int
    reset: float = 0.0  # seconds of x-ogw-ratelimit-reset


@dataclass
class Wiretap(httpx.BaseTransport):
    """Passes everything on. `heard` is in the order of sending; its times are those of `clock`."""

    clock: Callable[[], float] = time.monotonic
    heard: list[Heard] = field(default_factory=list)
    _inner: httpx.HTTPTransport = field(default_factory=httpx.HTTPTransport)

    @property
    def errors(self) -> int:
        """Exchanges that brought no answer."""
        return sum(h.status == 0 for h in self.heard)

    def early(self) -> list[Heard]:
        """Calls that went out before the time that the server had named for their path."""
        free: dict[str, float] = {}
        early = []
        for one in self.heard:
            if one.at < free.get(one.path, one.at) - 1e-6:
                early.append(one)
            free[one.path] = max(free.get(one.path, 0.0), one.at + one.reset)
        return early

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        at, path = self.clock(), request.url.path
        try:
            answer = self._inner.handle_request(request)
        except httpx.TransportError:
            self.heard.append(Heard(at, path, 0))
            raise
        reset = float(answer.headers.get("x-ogw-ratelimit-reset", 0)) if answer.status_code >= 400 else 0.0
        self.heard.append(Heard(at, path, answer.status_code, reset))
        return answer

    def close(self) -> None:
        self._inner.close()
