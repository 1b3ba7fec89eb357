"""One request under way, and the endpoints that can serve it: the words shared by all handlers."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sync_assets.testing.bitable.answers import Refusal
from sync_assets.testing.bitable.world import App, Base, Table, World

T = TypeVar("T")


@dataclass(slots=True)
class Call:
    """What a handler gets. `app`, `base` and `table` are filled in as far as the path names them."""

    world: World
    path: Mapping[str, str]
    query: Mapping[str, str]
    raw: bytes
    headers: Mapping[str, str]
    body: dict[str, Any] = field(default_factory=dict)
    app: App | None = None
    base: Base | None = None
    table: Table | None = None
    made: list[str] | None = None  # ids of a request that was applied before: answer, do not apply
    kept: list[str] | None = None  # ids to remember under the client_token

    @property
    def here(self) -> tuple[Base, Table]:
        if self.base is None or self.table is None:
            raise Refusal(1254041)
        return self.base, self.table

    @property
    def the_base(self) -> Base:
        if self.base is None:
            raise Refusal(1254040)
        return self.base

    @property
    def user_id_type(self) -> str:
        kind = self.query.get("user_id_type") or "open_id"
        if kind not in ("open_id", "union_id", "user_id"):
            raise Refusal(1254001, "user_id_type is open_id, union_id or user_id")
        return kind


Answer = Mapping[str, Any] | str | bytes  # the data, or its JSON, or a whole answer with an envelope of its own
Handler = Callable[[Call], Answer]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One documented call. `rate` is (calls, per seconds); `scopes` are alternatives."""

    name: str
    group: str
    method: str
    path: str
    handler: Handler
    rate: tuple[int, float] | None = None
    scopes: tuple[str, ...] = ()
    writes: str = ""  # "" reads; "table" holds the table while it writes; "base" changes no single table
    repeats: bool = False  # takes a client_token
    open: bool = False  # needs no token

    @property
    def labels(self) -> frozenset[str]:
        """The names a fault can be armed under."""
        return frozenset(("*", self.name, self.group, "write" if self.writes else "read"))


def flag(text: str | bool | None) -> bool:
    """A boolean of a query: the official SDK sends True, others send true or 1."""
    return text is True or str(text).lower() in ("true", "1")


def parsed(raw: bytes) -> dict[str, Any]:
    """The JSON object of a body; an empty body is an empty object. Raises Refusal."""
    if not raw.strip():
        return {}
    try:
        body = json.loads(raw, parse_constant=_no_constant)
    except ValueError:
        raise Refusal(1254000) from None
    if not isinstance(body, dict):
        raise Refusal(1254001, "the body must be an object")
    return body


def _no_constant(word: str) -> float:
    raise ValueError(word)


def page_size(query: Mapping[str, str], most: int) -> int:
    text = query.get("page_size") or "20"
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise Refusal(1254011, f"page_size is 1 to {most}")
    return int(text)


def page_start(query: Mapping[str, str], mark: str) -> int:
    """Where the page begins. A token of another query, or one that was made up, is refused."""
    token = query.get("page_token") or ""
    if not token:
        return 0
    try:
        told, place = base64.urlsafe_b64decode(token).decode().split(":")
        start = int(place)
    except (ValueError, binascii.Error):
        raise Refusal(1254030, "InvalidPageToken") from None
    if told != mark:
        raise Refusal(1254030, "InvalidPageToken")
    return start


def page_token(mark: str, start: int) -> str:
    return base64.urlsafe_b64encode(f"{mark}:{start}".encode()).decode()


def page_of(items: list[T], call: Call, mark: str, most: int) -> tuple[list[T], dict[str, Any]]:
    """One page of `items`, and the fields of the answer that go with it."""
    size, start = page_size(call.query, most), page_start(call.query, mark)
    more = start + size < len(items)
    frame: dict[str, Any] = {"has_more": more, "total": len(items)}
    if more:
        frame["page_token"] = page_token(mark, start + size)
    return items[start : start + size], frame
