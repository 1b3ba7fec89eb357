"""Refusals as people want them: whoever is not signed in is led to the sign-in, other troubles are pages.

A middleware around everything, because what guards the gateway refuses before any page is asked. It changes answers
of pages only, and only those that begin with a status from 400 on and are JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from sync_assets.gateway.pages.rendering import render

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PAGES = ("/pages/", "/repo/")
_MOST = 10_000  # of the text of a refusal
_KINDS: Mapping[int, str] = {
    400: "wrong", 403: "denied", 404: "missing", 408: "later", 413: "large", 429: "busy", 500: "broken", 503: "later",
}  # fmt: skip
_PLAIN = ("form", "denied", "missing", "large")  # whose own text says less than ours


def is_page(path: str) -> bool:
    return path in ("/", "/pages") or path.startswith(_PAGES)


class Shown:
    """The middleware."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_page(scope["path"]) or not _wants_page(scope):
            await self._app(scope, receive, send)
            return
        held = _Held(send)
        await self._app(scope, receive, held)
        if held.start is not None:
            await self._instead(Request(scope), held)(scope, receive, send)

    def _instead(self, request: Request, held: _Held) -> Response:
        status = held.status
        if status == 401:
            return _to_sign_in(request)
        text = held.text()
        kind = "form" if (status, text) == (403, "form") else _KINDS.get(status, "general")
        after = held.headers.get("retry-after", "")
        page = render(request, "trouble.html", status=status,
                      kind=kind, text="" if kind in _PLAIN else text, after=after)  # fmt: skip
        for name in ("retry-after", "x-request-id"):
            value = held.headers.get(name)
            if value:
                page.headers[name] = value
        return page


def _wants_page(scope: Scope) -> bool:
    return "text/html" in Headers(scope=scope).get("accept", "")


def _to_sign_in(request: Request) -> Response:
    """Back to where the reader was, afterwards; after a form, to the first page."""
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    kept = {"next": back} if request.method == "GET" and back not in ("/", "/pages") else {}
    answer = RedirectResponse("/pages/login" + (f"?{urlencode(kept)}" if kept else ""), 303)
    answer.headers["Cache-Control"] = "no-store"
    return answer


class _Held:
    """Passes an answer on, but keeps a refusal."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.start: Message | None = None
        self._body = b""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_refusal(message):
            self.start = message
        elif self.start is None:
            await self._send(message)
        else:
            self._body = (self._body + message.get("body", b""))[:_MOST]

    @property
    def status(self) -> int:
        return int(self.start["status"]) if self.start else 0

    @property
    def headers(self) -> Headers:
        return Headers(raw=list(self.start["headers"])) if self.start else Headers()

    def text(self) -> str:
        """The reason in words."""
        try:
            return str(json.loads(self._body)["error"])
        except (ValueError, KeyError, TypeError):
            return ""


def _is_refusal(message: Message) -> bool:
    kind = Headers(raw=list(message["headers"])).get("content-type", "")
    return message["status"] >= 400 and not kind.startswith("text/html")
