"""Signing in and out. The session is a token in a cookie that no script can read and no other site sends along."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, Request
from fastapi.responses import RedirectResponse, Response

from sync_assets.gateway.access import COOKIE
from sync_assets.gateway.door import Signed
from sync_assets.gateway.pages.desk import Desk
from sync_assets.gateway.pages.forms import Form, our_form, read_form, same_site
from sync_assets.gateway.pages.rendering import render
from sync_assets.gateway.pages.shown import is_page
from sync_assets.gateway.refusal import Refused

END_COOKIE = "sync_assets_end"  # ends the session; sent to nothing but the sign-out
LOGIN_COOKIE = "sync_assets_login"  # ties the form of the sign-in to the browser that got it
_LOGIN, _LOGOUT = "/pages/login", "/pages/logout"


def add(router: APIRouter, desk: Desk) -> None:
    """The routes of signing in and out."""

    @router.get(_LOGIN)
    def sign_in_page(request: Request) -> Response:
        notice = "ended" if "ended" in request.query_params else ""
        return _page(request, request.query_params.get("next", ""), notice=notice)

    @router.post(_LOGIN)
    async def sign_in(request: Request, form: Annotated[Form, Depends(read_form)]) -> Response:
        if not same_site(request) or not _ties(request, form):
            raise Refused(403, "form")
        name, target = form.one("name"), _local(form.one("next"))
        try:
            desk.pace(name, request.client.host if request.client else "")
        except Refused as refused:
            return _later(request, refused, target, name)
        signed = await run_sync(desk.sign_in, name, form.one("password"), _request_id(request))
        if signed is None:
            return _page(request, target, name=name, notice="refused", status=403)
        return _entered(signed, target, secure=request.url.scheme == "https")

    @router.post(_LOGOUT)
    def sign_out(request: Request, form: Annotated[Form, Depends(our_form)]) -> Response:
        desk.sign_out(request.cookies.get(END_COOKIE, ""), _request_id(request))
        answer = RedirectResponse(f"{_LOGIN}?ended=1", 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=request.url.scheme == "https")
        answer.delete_cookie(
            END_COOKIE, _LOGOUT, httponly=True, samesite="strict", secure=request.url.scheme == "https"
        )
        return answer


def _later(request: Request, refused: Refused, target: str, name: str) -> Response:
    after = (refused.headers or {}).get("Retry-After", "60")
    page = _page(request, target, name=name, wait=after, status=429)
    page.headers["Retry-After"] = after
    return page


def _page(
    request: Request, target: str, *, notice: str = "", name: str = "", wait: str = "", status: int = 200
) -> Response:
    tie = request.cookies.get(LOGIN_COOKIE) or secrets.token_hex(16)  # the same in every tab
    page = render(request, "login.html", status=status,
                  target=_local(target), notice=notice, name=name[:100], wait=wait, tie=_tie(tie))  # fmt: skip
    page.set_cookie(
        LOGIN_COOKIE, tie, path=_LOGIN, httponly=True, samesite="strict", secure=request.url.scheme == "https"
    )
    return page


def _tie(cookie: str) -> str:
    return hashlib.sha256(b"form of the sign-in|" + cookie.encode()).hexdigest()


def _ties(request: Request, form: Form) -> bool:
    cookie = request.cookies.get(LOGIN_COOKIE, "")
    return bool(cookie) and hmac.compare_digest(_tie(cookie).encode(), form.one("tie").encode())


def _entered(signed: Signed, target: str, *, secure: bool) -> Response:
    answer = RedirectResponse(target or "/pages", 303)
    answer.headers["Cache-Control"] = "no-store"
    answer.set_cookie(COOKIE, signed.access, signed.seconds, httponly=True, samesite="strict", secure=secure)
    answer.set_cookie(
        END_COOKIE, signed.refresh, signed.seconds, path=_LOGOUT, httponly=True, samesite="strict", secure=secure
    )
    return answer


def _local(target: str) -> str:
    """A page of ours, or nothing: `//elsewhere` and `/\\elsewhere` lead away."""
    good = is_page(target.partition("?")[0]) and target.isascii() and target.isprintable() and "\\" not in target
    return target if good and not target.startswith(("//", _LOGOUT, _LOGIN)) else ""


def _request_id(request: Request) -> str:
    return str(request.scope.get("state", {}).get("request_id", ""))
