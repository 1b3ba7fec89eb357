"""An audit row for every call that changes something, and for every one that was denied for want of a scope.

What an endpoint changes in the control database it notes itself in the same transaction where that matters (keys,
users, logins, clearing); the row of the call comes besides, after it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import anyio.to_thread

from sync_assets.engine.errors import SyncError
from sync_assets.gateway.logging import route_of
from sync_assets.store.gateway.audit import Act, note

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from sync_assets.gateway.services import Services

_log = logging.getLogger(__name__)
_CHANGING = ("POST", "PUT", "PATCH", "DELETE")
_FIRST_ERROR, _DENIED, _BROKEN = 400, 403, 500


class Audited:
    """Middleware, the innermost: the row is written when the answer is known and before it is sent."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = scope.get("state", {}).get("caller")
        if scope["type"] != "http" or caller is None or scope["method"] not in _CHANGING:
            await self._app(scope, receive, send)
            return

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start" and _counts(message["status"]):
                await anyio.to_thread.run_sync(self._note, _act(scope, str(caller), message["status"]))
            await send(message)

        await self._app(scope, receive, noting)

    def _note(self, act: Act) -> None:
        """A call that was carried out is answered as such, even if the row could not be written: that is logged."""
        try:
            self._services.store.sessions.run(lambda cursor: note(cursor, act))
        except SyncError as error:
            _log.error("request %s: no audit row: %s", act.request_id, error.message)


def _counts(status: int) -> bool:
    return status < _FIRST_ERROR or status == _DENIED or status >= _BROKEN


def _act(scope: Scope, caller: str, status: int) -> Act:
    thing = ",".join(f"{name}={value}" for name, value in scope.get("path_params", {}).items())
    return Act(caller, f"{scope['method']} {route_of(scope)}", thing[:200], str(status), scope["state"]["request_id"])
