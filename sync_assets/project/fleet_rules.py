"""Rules of a fleet that need the project's connections: that what its instances name is there, and is a server.

Looks at the attributes as written, so that one mistake elsewhere does not hide these. Asks no server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sync_assets.project.faults import Loc, Trouble, listed
from sync_assets.project.spec import Connection, Feishu, FeishuBot, SQLite

_SERVERS = "a connection of type mysql or postgres"


def of_fleet(
    attributes: Mapping[str, Any], known: Mapping[str, Connection], may_exist: Callable[[str], bool]
) -> Iterator[Trouble]:
    """What is wrong with the connections that a fleet names; those that `may_exist` elsewhere are left alone."""
    servers = [name for name, c in known.items() if not isinstance(c, Feishu | FeishuBot | SQLite)]
    for loc, name in _named(attributes):
        choice = listed(servers, name) if servers else f"write {_SERVERS} into a Connections document first"
        if name not in known:
            if not may_exist(name):
                yield Trouble(loc, f"there is no connection {name}", f"known here: {choice}" if servers else choice)
        elif isinstance(known[name], Feishu | FeishuBot):
            yield Trouble(loc, f"{name} is of type {known[name].type}, no database", f"name {_SERVERS}: {choice}")
        elif loc[0] == "instances" and name not in servers:
            yield Trouble(loc, f"{name} is of type {known[name].type}: a file has no accounts", f"name {choice}")


def _named(attributes: Mapping[str, Any]) -> Iterator[tuple[Loc, str]]:
    items = attributes.get("instances")
    for at, entry in enumerate(items if isinstance(items, list) else ()):
        if isinstance(entry, dict) and isinstance(entry.get("connection"), str):
            yield ("instances", at, "connection"), entry["connection"]
    table = attributes.get("instances_from")
    if isinstance(table, dict) and isinstance(table.get("connection"), str):
        yield ("instances_from", "connection"), table["connection"]
