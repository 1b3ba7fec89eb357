"""Looking before anything is written: can the app reach Feishu, log in, find the board and read it.

Each look is one finding with what to do next. Reads only: whether the app may also write cannot be told without
writing, so the hint says so. A refused secret is tried once.
"""

from __future__ import annotations

from collections.abc import Callable

from sync_assets.engine.errors import SyncError
from sync_assets.engine.model import Finding
from sync_assets.feishu.bitable import Base, Board, open_base
from sync_assets.feishu.client import FeishuClient
from sync_assets.feishu.link import Link

TRIES = 2  # a check is watched by a person; a run has more patience

_READABLE_EMPTY = (
    "the base has advanced permissions and the app sees no records: if there are some, give its role the right to "
    "read and write this table, or the sync would take the board for empty"
)
_PICK_TABLE = "link to one of its tables (?table=tbl...), or give table_name"


def check_app(client: FeishuClient) -> list[Finding]:
    """Address, TLS, app id and secret: one finding, for they are one call."""
    place = f"{client.host}, app {client.app_id}"
    return [_look(f"{place}: reached, and logged in", lambda: client.login(attempts=TRIES))]


def check_board(client: FeishuClient, link: Link) -> list[Finding]:
    """App, scope, membership, table, fields and records of one board, until the first that is not as it should be."""
    found = check_app(client)
    opened: list[Base] = []
    steps: list[Callable[[], Finding]] = [
        lambda: _look(_what_opens(link), lambda: opened.append(open_base(client, link))),
        lambda: _base(opened[0]),
        lambda: _table(opened[0], link),
    ]
    if link.table_id:
        board_id = link.table_id
        steps.append(lambda: _fields(opened[0].table(board_id)))
        steps.append(lambda: _records(opened[0], opened[0].table(board_id)))
    for step in steps:
        if not found[-1].ok:
            break
        found.append(step())
    return found


def _look(what: str, look: Callable[[], object]) -> Finding:
    try:
        look()
    except SyncError as error:
        return _fault(error)
    return Finding(True, what)


def _fault(error: SyncError) -> Finding:
    return Finding(False, error.message + (f" [{error.code}]" if error.code else ""), error.hint)


def _what_opens(link: Link) -> str:
    return "the wiki page holds a base" if link.kind == "wiki" else "the link leads to a base"


def _base(base: Base) -> Finding:
    try:
        info = base.info()
    except SyncError as error:
        return _fault(error)
    return Finding(True, f"base {info['name']!r}: the app may open it (time zone {info['time_zone']})")


def _table(base: Base, link: Link) -> Finding:
    try:
        tables = {table.id: table.name for table in base.tables()}
    except SyncError as error:
        return _fault(error)
    if link.table_id is None:
        return Finding(True, f"the link names no table; the base has {len(tables)}", _PICK_TABLE)
    if link.table_id not in tables:
        return Finding(False, f"the base has no table {link.table_id} that the app can see", _PICK_TABLE)
    return Finding(True, f"table {tables[link.table_id]!r} exists")


def _fields(board: Board) -> Finding:
    try:
        fields = board.fields()
    except SyncError as error:
        return _fault(error)
    return Finding(True, f"{len(fields)} fields can be read")


def _records(base: Base, board: Board) -> Finding:
    try:
        page = next(board.search(page_size=1))
        hidden = page.total == 0 and bool(base.info()["is_advanced"])
    except SyncError as error:
        return _fault(error)
    return Finding(True, f"records can be read ({page.total})", _READABLE_EMPTY if hidden else "")
