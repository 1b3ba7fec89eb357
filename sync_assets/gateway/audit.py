"""An audit row for every call that changes something, and for every one that was denied for want of a scope.

The row is there with the change or neither is: it goes into the first transaction of the call that writes anything, as
`begun`, and a second row tells the outcome before that is answered. A call that is refused before it changes anything
costs nothing. What matters by itself (keys, users, logins, clearing) is noted by the store besides.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

import anyio.to_thread

from sync_assets.engine.errors import SyncError
from sync_assets.engine.faults import point
from sync_assets.gateway.logging import route_of
from sync_assets.store.gateway.audit import Act, Begun, note
from sync_assets.store.session import witness

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from sync_assets.gateway.services import Services

_log = logging.getLogger(__name__)
_CHANGING = ("POST", "PUT", "PATCH", "DELETE")
_FIRST_ERROR, _DENIED, _BROKEN = 400, 403, 500


class Audited:
    """Middleware, the innermost: what the endpoint changes is witnessed, and its outcome is noted before it is sent."""

    def __init__(self, app: ASGIApp, services: Services) -> None:
        self._app = app
        self._services = services

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        caller = scope.get("state", {}).get("caller")
        if scope["type"] != "http" or caller is None or scope["method"] not in _CHANGING:
            await self._app(scope, receive, send)
            return
        begun = Begun(lambda: _act(scope, str(caller)))

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._ended(begun, message["status"])
            await send(message)

        witness.set(begun)
        try:
            await self._app(scope, receive, noting)
        except Exception:
            await self._ended(begun, _BROKEN)
            raise
        finally:
            witness.set(None)

    async def _ended(self, begun: Begun, status: int) -> None:
        """Once; what comes after it is not of the call."""
        if not begun.ended:
            begun.ended = True
            witness.set(None)
            if begun.number is not None or _counts(status):
                await anyio.to_thread.run_sync(self._note, replace(begun.act(), outcome=str(status), ends=begun.number))

    def _note(self, act: Act) -> None:
        """A call that was carried out is answered as such, even if its outcome could not be written: that is logged,
        and its row `begun` stands."""
        point("gateway_changed")
        try:
            self._services.store.sessions.run(lambda cursor: note(cursor, act))
        except SyncError as error:
            _log.error("request %s: no audit row of its outcome: %s", act.request_id, error.message)
        point("gateway_noted")


def _counts(status: int) -> bool:
    return status < _FIRST_ERROR or status == _DENIED or status >= _BROKEN


def _act(scope: Scope, caller: str) -> Act:
    thing = ",".join(f"{name}={value}" for name, value in scope.get("path_params", {}).items())
    return Act(caller, f"{scope['method']} {route_of(scope)}", thing[:200], request_id=scope["state"]["request_id"])
