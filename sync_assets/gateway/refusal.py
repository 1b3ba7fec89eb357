"""How the gateway says no: `{"error": text}` with a status. Expected errors of the engine become one of these.

Texts name what is wrong and what to do; a secret or a text of a document is never in them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from sync_assets.engine.errors import Fenced, RejectRow, Retry, Stop, SyncError, TooLarge

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_MISSING = "there is no such thing, or not for you"
_STRANGER = "credentials are missing or do not count"
WHO = {"WWW-Authenticate": 'Bearer realm="sync_assets", Sync realm="sync_assets"'}
_CONFLICTS = ("other_repository", "not_replacing", "was_here")
_STORE = ("login", "42501", "42P01", "3F000")  # the control database needs a person; the caller can do nothing


class Refusal(BaseModel):
    """What every status from 400 on brings. `code`: a word for programs; `seconds`: by how much the clocks
    differ, with a 401."""

    error: str
    sync_id: str | None = None
    code: str | None = None
    seconds: int | None = None


class Refused(HTTPException):
    """Ends a request with `status` and `{"error": text}`; `more` are further fields of the answer."""

    def __init__(
        self, status: int, text: str, headers: Mapping[str, str] | None = None, more: Mapping[str, object] | None = None
    ) -> None:
        super().__init__(status, text, dict(headers or {}))
        self.more = dict(more or {})

    def response(self) -> JSONResponse:
        return JSONResponse({"error": self.detail, **self.more}, self.status_code, self.headers)

    async def send(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.response()(scope, receive, send)


def missing() -> Refused:
    """404: the same for what does not exist and for what is not the caller's."""
    return Refused(404, _MISSING)


def stranger() -> Refused:
    """401: one text for all reasons."""
    return Refused(401, _STRANGER, WHO)


def busy(text: str, after: float) -> Refused:
    """429: come again after so many seconds."""
    return Refused(429, text, {"Retry-After": str(max(1, math.ceil(after)))})


def of_error(error: SyncError) -> Refused:
    """Unknown things 404, what does not go together with what is here 409 (a sync that runs already with its id), too
    large 413, passing trouble 503, else 400."""
    text = error.message + (f" -> {error.hint}" if error.hint else "")
    if isinstance(error, RejectRow):
        return missing() if error.code.startswith("unknown_") else _of_row(error, text)
    if isinstance(error, TooLarge):
        return Refused(413, text)
    if isinstance(error, Retry):
        return Refused(503, "this cannot be done now", {"Retry-After": str(max(1, math.ceil(error.after)))})
    return _of_stop(error, text) if isinstance(error, Stop) else Refused(400, text)


def _of_row(error: RejectRow, text: str) -> Refused:
    if error.code in _CONFLICTS:
        return Refused(409, text, more={"code": error.code})
    return Refused(400, text)


def _of_stop(error: Stop, text: str) -> Refused:
    sync_id = getattr(error, "sync_id", None)
    if sync_id:
        return Refused(409, text, more={"sync_id": str(sync_id)})
    if error.code in _STORE:
        return Refused(503, "this cannot be done until somebody has mended the installation", {"Retry-After": "60"})
    return Refused(409 if isinstance(error, Fenced) else 400, text)
