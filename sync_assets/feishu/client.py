"""Calls to the Feishu open platform that are tried again where that helps and cannot do harm.

One call: wait for its turn (pacing), token, exchange, then decide by the sort of the error. A write is repeated after
an unclear outcome only if its endpoint says that a repeat has no second effect. Waiting between tries is taken from
one budget for the whole client, so that a sick server ends a run in bounded time. Knows nothing of boards.
"""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sync_assets.engine.errors import Retry, SyncError
from sync_assets.feishu.codes import THROTTLES
from sync_assets.feishu.pacing import HEADROOM, Pacer, Rate
from sync_assets.feishu.token import PATH, TokenSource
from sync_assets.feishu.tries import ATTEMPTS, Budget, Plan, Tries
from sync_assets.feishu.wire import Ask, Stats, Wire, encode

if TYPE_CHECKING:
    import httpx

FEISHU = "https://open.feishu.cn"
LARK = "https://open.larksuite.com"

log = logging.getLogger("sync_assets.feishu")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What the client must know of one API. `repeatable`: sending it twice has no second effect."""

    name: str
    method: str
    rate: Rate
    write: bool = False
    repeatable: bool = True


@dataclass(frozen=True, slots=True)
class Line:
    """What all clients of one app on one host share in a process: connections, token, pacing."""

    wire: Wire
    token: TokenSource
    pacer: Pacer

    def close(self) -> None:
        self.wire.close()


class FeishuClient:
    """One app on one host, for one run: its own budget and statistics, on a line of its own or a shared one.

    `budget` is in seconds of waiting between tries, `timeout` in seconds per request, `rate_factor` scales the
    client's own obedience to documented limits (0: only the server limits). Raises `Stop` for a host without TLS.
    """

    def __init__(
        self,
        app_id: str,
        open_secret: Callable[[], str],
        host: str = FEISHU,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
        budget: float = 600.0,
        attempts: int = ATTEMPTS,
        timeout: float = 30.0,
        rate_factor: float = HEADROOM,
        transport: httpx.BaseTransport | None = None,
        line: Line | None = None,
    ) -> None:
        self._line = line or Line(
            Wire(host, timeout, transport), TokenSource(app_id, open_secret, clock), Pacer(clock, sleep, rate_factor)
        )
        self._owns_line = line is None
        self.app_id, self.host = app_id, self._line.wire.host
        self.clock, self._sleep, self.stats = clock, sleep, Stats()
        self._plan = Plan(Budget(budget), jitter, self._line.token.renew, attempts)
        self.before_write: Callable[[], None] = _nothing  # called just before each write goes out, every try of it

    def __repr__(self) -> str:
        return f"FeishuClient({self.app_id!r}, host={self.host!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections, unless they are shared."""
        if self._owns_line:
            self._line.close()

    @property
    def pacer(self) -> Pacer:
        return self._line.pacer

    def call(
        self,
        endpoint: Endpoint,
        path: str,
        *,
        params: Mapping[str, Any] | None = None,
        json: Any = None,
        body: bytes | None = None,
        lane: str = "",
        place: str = "",
        settling: bool = False,
        attempts: int | None = None,
    ) -> dict[str, Any]:
        """The `data` of the answer.

        `body` goes out byte for byte, `json` is encoded. Writes in one `lane` (the base's token) take turns. With
        `settling` a table or field that is not found is looked for some times more: it was created just now.
        Raises the engine's errors; `Unclear` whenever one try of a write got no clear answer and no later one did.
        """
        payload = encode(json) if json is not None else body
        ask = Ask(endpoint.method, path, place or f"Feishu {endpoint.name}", endpoint.write, params, payload)
        tries = Tries(self._plan, repeatable=endpoint.repeatable, settling=settling, limit=attempts)
        while True:
            try:
                return self._once(endpoint, ask, lane, tries)
            except SyncError as error:
                self._pause(tries.wait_after(error), error)

    def login(self, attempts: int | None = None) -> None:
        """Get a token, if none is cached. Raises `Stop` when the app or its secret is refused."""
        tries = Tries(self._plan, repeatable=True, limit=attempts)
        while True:
            try:
                self._line.token.get(self._fetch_token)
                return
            except SyncError as error:
                self._pause(tries.wait_after(error), error)

    def _pause(self, seconds: float, error: SyncError) -> None:
        """Wait before the next try, and say so."""
        self.stats.retries += 1
        self.stats.waited += seconds
        log.info("%s; next try in %.1f s", error, seconds)
        if seconds:
            self._sleep(seconds)

    def _once(self, endpoint: Endpoint, ask: Ask, lane: str, tries: Tries) -> dict[str, Any]:
        tries.bearer = self._line.token.get(self._fetch_token)
        with self.pacer.turn(endpoint.name, endpoint.rate, lane, write=endpoint.write) as waited:
            self.stats.waited += waited
            if endpoint.write:
                self.before_write()
            try:
                envelope = self._line.wire.exchange(ask, tries.bearer, self.stats)
            except Retry as error:
                if error.code in THROTTLES:
                    self.pacer.throttled(endpoint.name, lane, error.after)
                raise
            if endpoint.write:
                self.pacer.eased(lane)
        data = envelope.get("data")
        return data if isinstance(data, dict) else {}

    def _fetch_token(self, credentials: dict[str, str]) -> dict[str, Any]:
        ask = Ask("POST", PATH, f"Feishu token of app {self.app_id}", body=encode(credentials))
        return self._line.wire.exchange(ask, "", self.stats)


def _nothing() -> None:
    """Nobody has asked to be told of writes."""
