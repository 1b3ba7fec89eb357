"""Makes answers of templates: escaped everywhere, a header that lets nothing inline run, times of the deployment.

Must not know what pages there are.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from sync_assets.gateway.access import COOKIE, Caller
from sync_assets.gateway.pages.explaining import explain
from sync_assets.gateway.pages.words import LANGUAGES, choose, say_in
from sync_assets.project.load import time_zone_of_deployment

HERE = Path(__file__).parent
LANGUAGE_COOKIE = "sync_assets_language"
_YEAR = 365 * 86400
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": POLICY,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # a browser that tells no origin with a form could not be told from a stranger
    "Vary": "Cookie, Accept-Language",
}


@cache
def _templates() -> Environment:
    loader = FileSystemLoader(HERE / "templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True,
                              lstrip_blocks=True)  # fmt: skip
    environment.globals.update(version=_version(), link=link, languages=LANGUAGES)
    return environment


def _version() -> str:
    """Changes with the files, so that browsers may keep them."""
    files = sorted((HERE / "static").iterdir())
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]


def language_of(request: Request) -> str:
    """What `lang` in the address says, what was chosen before, what the browser asks for."""
    asked = request.query_params.get("lang") or request.cookies.get(LANGUAGE_COOKIE)
    return choose(asked, request.headers.get("accept-language", ""))


def render(request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
    """A page; `values` are put in escaped. A language that was asked for is kept."""
    language = language_of(request)
    caller, zone = request.scope.get("state", {}).get("caller"), time_zone_of_deployment()
    given: dict[str, Any] = {
        "t": say_in(language), "language": language, "installation": request.url.netloc, "moment": _clock(zone),
        "zone": zone.key, "caller": caller if isinstance(caller, Caller) else None, "token": form_token(request),
        "speaking": lambda tag: _speaking(request, tag),
        "explain": lambda text, code="": explain(text, language, code),
    }  # fmt: skip
    text = _templates().get_template(template).render({**given, **values})
    answer = HTMLResponse(text, status, dict(HEADERS))
    if request.query_params.get("lang") == language:
        answer.set_cookie(LANGUAGE_COOKIE, language, max_age=_YEAR, httponly=True, samesite="strict")
    return answer


def form_token(request: Request) -> str:
    """What a form must bring to be ours: made of the session, which no other site can read; empty without one."""
    session = request.cookies.get(COOKIE, "")
    return hashlib.sha256(b"form of the page|" + session.encode()).hexdigest() if session else ""


def link(path: str, **query: object) -> str:
    """A path with its query, what is empty left out."""
    kept = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(kept)}" if kept else path


def _speaking(request: Request, language: str) -> str:
    """The address of this page in another language; after a form, which cannot be got again, that of the first page."""
    if request.method not in ("GET", "HEAD"):
        return link("/pages", lang=language)
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "lang"]
    return f"{request.url.path}?{urlencode([*kept, ('lang', language)])}"


def _clock(zone: ZoneInfo) -> Callable[[datetime | None], Markup]:
    def moment(at: datetime | None) -> Markup:
        if at is None:
            return Markup("&ndash;")
        local = at.astimezone(zone)
        shown, offset = f"{local:%Y-%m-%d %H:%M:%S}", local.isoformat()[-6:]
        return Markup('<time datetime="{}" title="{} UTC{}">{}</time>').format(local.isoformat(), shown, offset, shown)

    return moment
