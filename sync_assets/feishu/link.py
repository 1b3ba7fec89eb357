"""Links to boards, as people copy them from the browser. Pure; asks no server.

Forms: https://<tenant>.feishu.cn/base/<app_token>?table=tbl...&view=vew..., the same under /wiki/<node_token>, and
tokens <app_token>_<table_id> of boards embedded in documents.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import SplitResult, parse_qs, urlsplit

from sync_assets.engine.errors import Stop

RIGHT = "https://<tenant>.feishu.cn/base/<token>?table=tbl..."
_HOSTS = {
    ".feishu.cn": "https://open.feishu.cn",
    ".larkoffice.com": "https://open.feishu.cn",
    ".larksuite.com": "https://open.larksuite.com",
}
_NOT_TABLES = {"blk": "a dashboard", "wkf": "a workflow", "ldx": "a document"}
_OTHER_PAGES = {
    "sheets": "a spreadsheet",
    "docx": "a document",
    "docs": "a document",
    "file": "a file",
    "share": "a shared form or view",
    "drive": "a folder",
    "minutes": "a recording",
    "app": "an application page",
}
_TOKEN = re.compile(r"[A-Za-z0-9]{1,64}")


@dataclass(frozen=True, slots=True)
class Link:
    """Where a board is. `host` is that of the API, `token` that of the base, or of the wiki page before it."""

    host: str
    kind: Literal["base", "wiki"]
    token: str
    table_id: str | None = None
    view_id: str | None = None


def parse_link(url: str) -> Link:
    """Take a link apart. Raises `Stop` that says what is wrong and what would be right."""
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        raise _wrong("it is no address") from None
    host = _api_host(parts)
    kind, token = _page(parts)
    token, _, embedded = token.partition("_")
    if not _TOKEN.fullmatch(token):
        raise _wrong(f"its path names no {kind}, or has signs that a token cannot have")
    query = parse_qs(parts.query)
    table = query.get("table", [embedded])[0] or None
    return Link(host, kind, token, _table(table), query.get("view", [None])[0])


def _wrong(what: str, right: str = RIGHT) -> Stop:
    return Stop(f"the link to the board is wrong: {what}", hint=f"copy it from the browser: {right}", code="link")


def _api_host(parts: SplitResult) -> str:
    name = (parts.hostname or "").lower()
    if parts.scheme in ("http", "https") and not name.endswith(tuple(_HOSTS)):
        # Late, because it brings httpx: whoever only reads links of the real platforms goes without.
        from sync_assets.feishu.wire import is_loopback

        if is_loopback(name):
            return f"{parts.scheme}://{parts.netloc}"
    if parts.scheme != "https":
        raise _wrong("it does not begin with https://")
    for ending, host in _HOSTS.items():
        if name.endswith(ending):
            if name.startswith("open."):
                raise _wrong("it leads to the open platform, not to a base")
            return host
    raise _wrong("its host is neither of feishu.cn, larkoffice.com nor larksuite.com")


def _page(parts: SplitResult) -> tuple[Literal["base", "wiki"], str]:
    kind, _, token = parts.path.strip("/").partition("/")
    if kind in _OTHER_PAGES:
        raise _wrong(f"it leads to {_OTHER_PAGES[kind]}, not to a base")
    if kind not in ("base", "wiki"):
        raise _wrong("its path begins with neither /base/ nor /wiki/")
    if not token:
        raise _wrong(f"the token after /{kind}/ is missing")
    return ("base" if kind == "base" else "wiki"), token


def _table(table: str | None) -> str | None:
    if table is None or re.fullmatch(r"tbl[A-Za-z0-9]{1,61}", table):
        return table
    if table[:3] in _NOT_TABLES:
        raise _wrong(
            f"table= names {_NOT_TABLES[table[:3]]}, not a table", "open the table first; its id begins with tbl"
        )
    raise _wrong("table= names no table; the id of a table begins with tbl")
