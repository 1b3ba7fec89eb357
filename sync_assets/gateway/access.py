"""Who calls, and what he may do. Nothing is open unless it is named in `OPEN`; every refusal has one text.

`Gatekeeper` stands before all endpoints and before a body is read. An endpoint asks for what it needs:

    def documents(repository_id: int, caller: Annotated[Caller, Depends(allowed("read"))]) -> ...:
        caller.must("read", repository_id)
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

import anyio.to_thread
from starlette.datastructures import Headers
from starlette.requests import Request

from sync_assets.engine.errors import SyncError
from sync_assets.gateway.refusal import Refused, missing, of_error, stranger
from sync_assets.gateway.signed import GUESSING, Signatures, is_signed, unsigned
from sync_assets.store.gateway import scopes as rights
from sync_assets.store.gateway.scopes import Action

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from sync_assets.gateway.limits import Buckets
    from sync_assets.gateway.services import Services

COOKIE = "sync_assets_session"  # the access token of a browser
OPEN = ("/health", "/ready", "/api/v1/auth/login", "/api/v1/auth/refresh", "/api/v1/auth/logout")
OPEN_BELOW = ("/pages/login", "/pages/static/")
_OWN_RULE = ("/metrics",)  # asks for the caller itself
_REMEMBERED = 10_000
_KEY = "sak_"
_SAFE = ("GET", "HEAD", "OPTIONS")


@dataclass(frozen=True, slots=True)
class Caller:
    """`name` is that of the key or the user; `kind` says which."""

    name: str
    scopes: tuple[str, ...]
    kind: str = "key"

    def may(self, action: Action, repository: int) -> bool:
        return rights.may(self.scopes, action, repository)

    def must(self, action: Action, repository: int | None) -> None:
        """Raises 404 where the caller may not do this with the repository, as if there were none; 403 for None (all
        repositories, or one that is to be made) where he may only with some."""
        if repository is None:
            if not rights.everywhere(self.scopes, action):
                raise Refused(403, f"this needs the scope {action}:*")
        elif not self.may(action, repository):
            raise missing()

    @property
    def admin(self) -> bool:
        return "admin" in self.scopes

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


def caller_of(request: Request) -> Caller:
    """Whoever calls. Raises 401 where the endpoint is open and nobody is known."""
    caller = request.scope.get("state", {}).get("caller")
    if not isinstance(caller, Caller):
        raise stranger()
    return caller


def allowed(action: Action, repository: int | None = None) -> Callable[[Request], Caller]:
    """A dependency: the caller, who may do `action` with some repository (or with this one). Raises 401, 403, 404."""

    def check(request: Request) -> Caller:
        caller = caller_of(request)
        if not rights.somewhere(caller.scopes, action):
            raise Refused(403, f"this needs the scope {action}")
        if repository is not None:
            caller.must(action, repository)
        return caller

    return check


def admin(request: Request) -> Caller:
    """A dependency: a caller with the scope admin. Raises 401, 403."""
    caller = caller_of(request)
    if not caller.admin:
        raise Refused(403, "this needs the scope admin")
    return caller


class Gatekeeper:
    """Middleware: finds the caller before anything else is done, and lets nobody else through."""

    def __init__(self, app: ASGIApp, services: Services, strangers: Buckets) -> None:
        self._app = app
        self._services = services
        self._strangers = strangers
        self._signatures = Signatures(strangers)
        self._counted: OrderedDict[bytes, None] = OrderedDict()  # credentials, as digests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._admit(scope)
        except Refused as refused:
            await refused.send(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope) -> None:
        path, headers = scope["path"], Headers(scope=scope)
        given = credential(headers)
        if _is_open(path) or (path in _OWN_RULE and given is None):
            return
        if given is None:
            raise stranger()
        address = (scope.get("client") or ("", 0))[0]
        caller = await (self._signer if given.signed else self._recognised)(scope, given.text, address)
        if given.cookie and scope["method"] not in _SAFE:
            _check_same_site(headers)
        scope.setdefault("state", {})["caller"] = caller

    async def _signer(self, scope: Scope, header: str, address: str) -> Caller:
        """Raises 401, 429."""
        try:
            found = await self._signatures.signer(self._services.signed, scope, header, address)
        except SyncError as error:
            raise of_error(error) from None
        return Caller(found.name, found.scopes)

    async def _recognised(self, _: Scope, text: str, address: str) -> Caller:
        """Raises 401; 429 for an address that has guessed too often, but not for a credential that has counted before:
        others may share the address."""
        if self._services.settings.signed_only and text.startswith(_KEY):
            raise unsigned()
        mark = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        if mark not in self._counted:
            self._strangers.look(address, GUESSING)
        caller = await anyio.to_thread.run_sync(self._known, text)
        if caller is None:
            self._counted.pop(mark, None)
            self._strangers.take(address, GUESSING)
            raise stranger()
        self._counted[mark] = None
        self._counted.move_to_end(mark)
        if len(self._counted) > _REMEMBERED:
            self._counted.popitem(last=False)
        return caller

    def _known(self, text: str) -> Caller | None:
        try:
            if text.startswith(_KEY):
                found = self._services.keys.find(text)
                return Caller(*found) if found else None
            login = self._services.tokens.read(text)
            scopes = self._services.users.session(*login) if login else None
        except SyncError as error:
            raise of_error(error) from None
        return Caller(login[0], scopes, "user") if login and scopes is not None else None


@dataclass(frozen=True, slots=True)
class Given:
    """What a caller shows: a key or token, or with `signed` the header of a signed call; `cookie`: a browser did."""

    text: str
    signed: bool = False
    cookie: bool = False


def credential(headers: Headers) -> Given | None:
    """What a request brings to say whose it is. Headers that contradict each other bring nothing that counts."""
    sent = headers.getlist("authorization")
    keys = headers.getlist("x-api-key")
    if len(sent) + len(keys) > 1:
        return Given("")
    if sent and is_signed(sent[0]):
        return Given(sent[0], signed=True)
    if sent:
        kind, _, value = sent[0].partition(" ")
        return Given(value.strip() if kind.lower() == "bearer" else "")
    if keys:
        return Given(keys[0])
    cookie = _cookie(headers)
    return Given(cookie, cookie=True) if cookie else None


def _cookie(headers: Headers) -> str:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def _is_open(path: str) -> bool:
    return path in OPEN or path.startswith(OPEN_BELOW)


def _check_same_site(headers: Headers) -> None:
    """A browser sends cookies along with forms of other sites: such a request must say that it is from our own."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin", "")
    own = origin.partition("://")[2] == headers.get("host") if origin else site == "same-origin"
    if not own or site not in (None, "same-origin"):
        raise Refused(403, "this request comes from another site")
