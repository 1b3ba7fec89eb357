"""The access log, a JSON object a line, and what stands around a request: its id, its figures, its last net.

A line holds the route and no address, no query, no body, no header: nothing of what somebody typed. Unexpected errors
are logged by type and place, and answered by the request's id.
"""

from __future__ import annotations

import json
import logging
import re
import time
import traceback
import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

from sync_assets.gateway.refusal import Refused

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from sync_assets.gateway.metrics import Meters

access_log = logging.getLogger("sync_assets.gateway.access")
_log = logging.getLogger(__name__)
_REQUEST_ID = re.compile(r"[A-Za-z0-9-]{8,64}")


class Watched:
    """Middleware: gives the request its id, counts and logs it, and answers 500 where nothing else did."""

    def __init__(self, app: ASGIApp, meters: Meters, clock: Callable[[], float] = time.perf_counter) -> None:
        self._app = app
        self._meters = meters
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        seen = _Seen(send, request_id)
        begun = self._clock()
        with self._meters.at_work.track_inprogress():
            try:
                await self._guarded(scope, receive, seen)
            finally:
                self._tell(scope, seen, self._clock() - begun)

    async def _guarded(self, scope: Scope, receive: Receive, seen: _Seen) -> None:
        try:
            await self._app(scope, receive, seen)
        except Exception as error:  # the outermost boundary: a traceback is no answer
            _log.error("request %s: unexpected %s", seen.request_id, _where(error))
            if seen.status:
                raise ConnectionAbortedError("an answer broke off") from None
            await Refused(500, f"something unexpected happened; request {seen.request_id}").send(scope, receive, seen)

    def _tell(self, scope: Scope, seen: _Seen, seconds: float) -> None:
        route = route_of(scope)
        self._meters.answered(scope["method"], route, seen.status, seconds)
        caller = scope["state"].get("caller")
        line = {
            "request_id": seen.request_id,
            "method": scope["method"][:10],
            "route": route,
            "status": seen.status,
            "ms": round(seconds * 1000, 1),
            "bytes": seen.count,
            "client": (scope.get("client") or ("", 0))[0],
            "caller": str(caller) if caller else "",
        }
        access_log.info("%s", json.dumps(line, ensure_ascii=False))


class _Seen:
    """What was answered."""

    def __init__(self, send: Send, request_id: str) -> None:
        self._send, self.request_id = send, request_id
        self.status, self.count = 0, 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            MutableHeaders(scope=message)["X-Request-Id"] = self.request_id
        self.count += len(message.get("body", b""))
        await self._send(message)


def route_of(scope: Scope) -> str:
    """The route's pattern; what matched none is not told, it may be anything.

    A route knows its pattern only below the prefix of its router (FastAPI 0.165), which is fixed text.
    """
    pattern = getattr(scope.get("route"), "path", None)
    if pattern is None:
        return "-"
    parts = scope["path"].split("/")
    below = pattern.count("/")
    return "/".join(parts[: len(parts) - below]) + str(pattern)


def _request_id(scope: Scope) -> str:
    """The caller's own, where it looks like one."""
    given = Headers(scope=scope).get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _where(error: BaseException) -> str:
    """Type and place: the text may quote a row or a secret."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "?"
    return f"{type(error).__name__} at {place}"
