"""What one caller may ask of the gateway: calls a second, bytes of a body and of an answer, depth, time.

A body is counted while it is read and while it is inflated, so that a small one cannot grow large; an endpoint sees it
whole and within bounds. Must not know what it is about.
"""

from __future__ import annotations

import asyncio
import re
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

from sync_assets.gateway.refusal import Refused, busy
from sync_assets.gateway.settings import Limits

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_REMEMBERED = 10_000  # callers; the longest unheard is forgotten, and begins with a full bucket
_TOKENS = re.compile(rb'"(?:[^"\\]+|\\.)*+"|[\[{]|[\]}]', re.DOTALL)


class Buckets:
    """A token bucket for each caller: `rate` a second, `burst` at once. Safe to share between threads."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float]) -> None:
        self._rate, self._burst, self._clock = rate, burst, clock
        self._filled: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, who: str, text: str) -> None:
        """One call. Raises 429 with the time after which the next one is heard."""
        with self._lock:
            left = self._left(who)
            self._filled[who] = (left - 1 if left >= 1 else left, self._clock())
            self._filled.move_to_end(who)
            if len(self._filled) > _REMEMBERED:
                self._filled.popitem(last=False)
        self._refuse_below_one(left, text)

    def look(self, who: str, text: str) -> None:
        """Raises 429 where `take` would."""
        self._refuse_below_one(self._left(who), text)

    def _left(self, who: str) -> float:
        left, at = self._filled.get(who, (float(self._burst), 0.0))
        return min(float(self._burst), left + (self._clock() - at) * self._rate)

    def _refuse_below_one(self, left: float, text: str) -> None:
        if left < 1:
            raise busy(text, (1 - left) / self._rate)


class Paced:
    """Middleware: so many calls a second for each caller, by name; for whom nobody knows, by address."""

    def __init__(self, app: ASGIApp, buckets: Buckets) -> None:
        self._app = app
        self._buckets = buckets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            caller = scope.get("state", {}).get("caller")
            who = str(caller) if caller else f"address:{(scope.get('client') or ('', 0))[0]}"
            try:
                self._buckets.take(who, "too many calls")
            except Refused as refused:
                await refused.send(scope, receive, send)
                return
        await self._app(scope, receive, send)


class Bounded:
    """Middleware: reads the body within its bounds, then lets the endpoint have it; bounds the answer."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self._app = app
        self._limits = limits
        self._held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        held: list[int] = []
        try:
            body = await self._body(scope, receive, held)
        except Refused as refused:
            await refused.send(scope, receive, send)
        else:
            await self._app(_inflated(scope, len(body)), again(body, receive), _Answer(send, self._limits.answer))
        finally:
            self._held -= sum(held)

    async def _body(self, scope: Scope, receive: Receive, held: list[int]) -> bytes:
        """The whole body; what it takes of the room for all is noted in `held`."""

        def hold(count: int) -> None:
            if self._held + count > self._limits.bodies_together:
                raise Refused(503, "too much is being received at this moment", {"Retry-After": "1"})
            self._held += count
            held.append(count)

        known = scope.get("state", {}).get("caller") is not None
        size = self._limits.body if known else self._limits.small_body
        body = await _Reading(Headers(scope=scope), receive, size, self._limits).whole(hold)
        _check_depth(body, self._limits.depth)
        return body


class _Reading:
    """One body as it comes in."""

    def __init__(self, headers: Headers, receive: Receive, size: int, limits: Limits) -> None:
        self._receive, self._size, self._limits = receive, size, limits
        self._announced = headers.get("content-length", "0")
        self._inflate = _inflater(headers.get("content-encoding", "identity").strip().lower())
        self._pieces: list[bytes] = []
        self.held = 0

    async def whole(self, hold: Callable[[int], None]) -> bytes:
        """Raises 408, 413, 415, 400."""
        if not self._announced.isdecimal() or int(self._announced) > self._size:
            raise _too_large(self._size)
        try:
            async with asyncio.timeout(self._limits.total):
                while await self._piece(hold):
                    pass
        except TimeoutError:
            raise Refused(408, "the body did not come in time", {"Connection": "close"}) from None
        return b"".join(self._pieces)

    async def _piece(self, hold: Callable[[int], None]) -> bool:
        async with asyncio.timeout(self._limits.idle):
            message = await self._receive()
        if message["type"] != "http.request":
            raise Refused(400, "the body ended too early")
        more = bool(message.get("more_body", False))
        self._keep(message.get("body", b""), hold, more)
        return more

    def _keep(self, raw: bytes, hold: Callable[[int], None], more: bool) -> None:
        try:
            plain = self._inflate(raw, self._size - self.held + 1, more)
        except zlib.error:
            raise Refused(400, "the body is not in the encoding that it is said to be in") from None
        if self.held + len(plain) > self._size:
            raise _too_large(self._size)
        hold(len(plain))
        self.held += len(plain)
        self._pieces.append(plain)


_Inflate = Callable[[bytes, int, bool], bytes]


def _inflater(encoding: str) -> _Inflate:
    """`(piece, at most so many bytes, whether more comes)` gives plain bytes. Raises 415."""
    if encoding == "identity":
        return lambda raw, _most, _more: raw
    if encoding != "gzip":
        raise Refused(415, "the body may be in gzip or plain, in no other encoding", {"Accept-Encoding": "gzip"})
    worker = zlib.decompressobj(31)

    def inflate(raw: bytes, most: int, more: bool) -> bytes:
        plain = worker.decompress(raw, most)
        if worker.unused_data or (not more and not worker.eof and len(plain) < most):
            raise zlib.error("too short or too long")
        return plain

    return inflate


def _too_large(size: int) -> Refused:
    return Refused(413, f"the body has more than {size} bytes", {"Connection": "close"})


def _check_depth(body: bytes, most: int) -> None:
    """Deep nesting costs the readers of JSON their stack. Raises 400."""
    if body.count(b"[") + body.count(b"{") <= most:
        return
    depth = 0
    for token in _TOKENS.finditer(body):
        first = body[token.start()]
        depth += 1 if first in b"[{" else -1 if first in b"]}" else 0
        if depth > most:
            raise Refused(400, f"the body is nested deeper than {most}")


def _inflated(scope: Scope, size: int) -> Scope:
    """The request as if it had come plain."""
    if any(name == b"content-encoding" for name, _ in scope["headers"]):
        kept = [pair for pair in scope["headers"] if pair[0] not in (b"content-encoding", b"content-length")]
        scope["headers"] = [*kept, (b"content-length", str(size).encode())]
    return scope


def again(body: bytes, receive: Receive) -> Receive:
    """Gives the body that was read, then what comes after it."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def take() -> Message:
        return first.pop() if first else await receive()

    return take


class _Answer:
    """Counts an answer. One that says beforehand that it is too large is refused; another is cut off."""

    def __init__(self, send: Send, most: int) -> None:
        self._send, self._most, self._sent = send, most, 0
        self._refused = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _announced(message) > self._most:
            self._refused = True
            text = f"the answer would have more than {self._most} bytes; ask for less at once"
            await Refused(413, text).send({"type": "http"}, _nothing, self._send)
        self._sent += len(message.get("body", b""))
        if self._refused:
            return
        if self._sent > self._most:
            raise ConnectionAbortedError("an answer became too large")
        await self._send(message)


def _announced(message: Message) -> int:
    return int(MutableHeaders(raw=list(message["headers"])).get("content-length", "0"))


async def _nothing() -> Message:
    return {"type": "http.disconnect"}
