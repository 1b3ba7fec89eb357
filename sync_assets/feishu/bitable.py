"""Bases of Feishu Bitable, and the way from a link to one. Boards themselves are in `board`.

One method, one call, but for `create_table`, which looks after an unclear answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

from sync_assets.engine.errors import Retry, Stop, Unclear
from sync_assets.feishu.board import READ, SCHEMA, Board, Field, Page, listed
from sync_assets.feishu.client import Endpoint, FeishuClient
from sync_assets.feishu.link import Link
from sync_assets.feishu.pacing import Rate
from sync_assets.feishu.wire import is_loopback

__all__ = ["Base", "Board", "Field", "Page", "Table", "open_base"]

WIKI_NODE = Endpoint("wiki node", "GET", Rate(100 / 60))
BASE_INFO = Endpoint("base info", "GET", READ)
TABLE_LIST = Endpoint("table list", "GET", READ)
TABLE_CREATE = Endpoint("table create", "POST", SCHEMA, write=True, repeatable=False)


@dataclass(frozen=True, slots=True)
class Table:
    """A table of a base, as the list shows it."""

    id: str
    name: str
    revision: int


def open_base(client: FeishuClient, link: Link) -> Base:
    """The base behind a link; for a wiki link that costs one call. Raises `Stop` when it is no base."""
    if link.host != client.host and not is_loopback(urlsplit(client.host).hostname or ""):
        raise Stop(
            f"the link belongs to {link.host}, the connection to {client.host}",
            hint="apps do not cross over: use a connection with that host",
            code="host",
        )
    if link.kind == "base":
        return Base(client, link.token)
    place = "Feishu wiki page of the link"
    params = {"token": link.token}
    node = client.call(WIKI_NODE, "/open-apis/wiki/v2/spaces/get_node", params=params, place=place).get("node", {})
    if node.get("obj_type") != "bitable" or not node.get("obj_token"):
        raise Stop(
            f"{place}: it holds no base but a {node.get('obj_type', 'thing unknown')}",
            hint="link to the wiki page that is the base itself",
            code="link",
        )
    return Base(client, node["obj_token"])


class Base:
    """One base (多维表格). `app_token` identifies it; it is no secret."""

    def __init__(self, client: FeishuClient, app_token: str) -> None:
        self.client, self.app_token = client, app_token
        self._path = f"/open-apis/bitable/v1/apps/{quote(app_token, safe='')}"
        self._created: dict[str, float] = {}

    def info(self) -> dict[str, Any]:
        """name, time_zone, revision and is_advanced (advanced permissions are on)."""
        app = self.client.call(BASE_INFO, self._path, lane=self.app_token).get("app", {})
        return {name: app.get(name) for name in ("name", "time_zone", "revision", "is_advanced")}

    def tables(self) -> list[Table]:
        return [
            Table(item["table_id"], item.get("name", ""), int(item.get("revision") or 0))
            for item in listed(self.client, TABLE_LIST, f"{self._path}/tables", self.app_token)
        ]

    def create_table(self, name: str, fields: list[dict[str, Any]]) -> str:
        """Create a table with its whole schema, the first field being the primary one; returns its id.

        The call takes no idempotency token: after an unclear answer the table is looked for by name and fields.
        """
        body = {"table": {"name": name, "default_view_name": "Grid", "fields": fields}}
        try:
            data = self.client.call(TABLE_CREATE, f"{self._path}/tables", json=body, lane=self.app_token)
            table_id = str(data["table_id"])
        except Unclear:
            table_id = self._created_after_all(name, fields)
        self._created[table_id] = self.client.clock()
        return table_id

    def table(self, table_id: str) -> Board:
        board = Board(self.client, self.app_token, table_id)
        if table_id in self._created:
            board.settle(self._created[table_id])
        return board

    def _created_after_all(self, name: str, fields: list[dict[str, Any]]) -> str:
        wanted = {str(field["field_name"]).strip() for field in fields}
        for table in self.tables():
            if table.name == name and wanted == {f.name for f in self.table(table.id).fields()}:
                return table.id
        raise Retry("Feishu table create: no clear answer, and no such table since", code="no-answer")
