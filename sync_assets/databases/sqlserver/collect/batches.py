"""The two batches: all relations of accounts, all sizes, each over every database that may be entered, in one trip.

Pieces of `statements.sql` are put into its frame. A piece for a database becomes a literal that the server prepends
with USE of the quoted name. Nothing from outside gets into the text but whole numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from sync_assets.store.sql import read_named

SQL = read_named(Path(__file__).with_name("statements.sql"))


def probe() -> str:
    return SQL["probe"]


def accounts(major: int) -> str:
    """Of a server of that major version."""
    server = [SQL[name] for name in ("databases", "logins", "server_members", "server_grants")]
    text = ";\n".join(SQL[name] for name in ("users_of_database", "members_of_database", "grants_of_database"))
    return _framed(server, [_step("accounts", ("user", "member", "grant"), text)], major, 0)


def capacity(major: int, top: int) -> str:
    """With the `top` largest tables of each database; 0: none."""
    server = [SQL["databases"], _server_step("files", SQL["files"]), _server_step("snapshots", SQL["snapshots"])]
    each = [_step("files", ("own_file",), SQL["files_of_database"])]
    if top:
        each.append(_step("tables", ("table",), SQL["tables_of_database"]))
    return _framed(server, each, major, top)


def _framed(server: Iterable[str], each: Iterable[str], major: int, top: int) -> str:
    frame = SQL["batch"].replace("{major}", str(int(major))).replace("{top}", str(int(top)))
    return frame.replace("{each}", "\n".join(each)).replace("{server}", ";\n".join(server))


def _step(section: str, kinds: Iterable[str], text: str) -> str:
    listed = ", ".join(f"'{kind}'" for kind in kinds)
    step = SQL["step"].replace("{kinds}", listed).replace("{section}", section)
    return "    " + step.replace("{text}", text.replace("'", "''"))


def _server_step(section: str, text: str) -> str:
    return SQL["server_step"].replace("{section}", section).replace("{text}", text)
