"""Rules of a fleet that need more than its own fields: the project's connections, the SQL of its list, its rules.

Looks at the attributes as written, so that one mistake elsewhere does not hide these. Asks no server.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sync_assets.engine.errors import Stop
from sync_assets.project.faults import Loc, Trouble, listed
from sync_assets.project.spec import Connection, Feishu, FeishuBot, SQLite

if TYPE_CHECKING:
    from sync_assets.fleet.rules.documents import RuleSet

_SERVERS = "a connection of type mysql or postgres"
_RULES: Loc = ("classification", "rules")


def of_fleet(
    attributes: Mapping[str, Any], path: Path, known: Mapping[str, Connection], may_exist: Callable[[str], bool]
) -> Iterator[Trouble]:
    """What is wrong with what a fleet names; connections that `may_exist` elsewhere are left alone."""
    yield from _connections(attributes, known, may_exist)
    yield from _query(attributes.get("instances_from"), known)
    yield from _rules(attributes, path)


def _connections(
    attributes: Mapping[str, Any], known: Mapping[str, Connection], may_exist: Callable[[str], bool]
) -> Iterator[Trouble]:
    servers = [name for name, c in known.items() if not isinstance(c, Feishu | FeishuBot | SQLite)]
    choice = listed(servers) if servers else f"write {_SERVERS} into a Connections document first"
    for loc, name in _named(attributes):
        near = listed(servers, name) if servers else choice
        if name not in known:
            if not may_exist(name):
                yield Trouble(loc, f"there is no connection {name}", f"known here: {near}" if servers else choice)
        elif isinstance(known[name], Feishu | FeishuBot):
            yield Trouble(loc, f"{name} is of type {known[name].type}, no database", f"name a database: {choice}")
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


def _query(table: Any, known: Mapping[str, Connection]) -> Iterator[Trouble]:
    """The SELECT that lists servers: one statement that only reads, and binds nothing."""
    text = table.get("query") if isinstance(table, dict) else None
    named = known.get(table.get("connection", "")) if isinstance(text, str) else None
    if not isinstance(text, str) or named is None or isinstance(named, Feishu | FeishuBot):
        return
    from sync_assets.sources.query import parsed

    try:
        names = parsed(text, named.type).names
    except Stop as stop:
        yield Trouble(("instances_from", "query"), stop.message, stop.hint)
        return
    if names:
        yield Trouble(("instances_from", "query"), f"binds :{min(names)}, which nothing gives", "write it without")


def _rules(attributes: Mapping[str, Any], path: Path) -> Iterator[Trouble]:
    found = attributes.get("classification")
    names = found.get("rules") if isinstance(found, dict) else None
    if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
        return  # the default, or wrong by itself
    from sync_assets.fleet.rules.documents import RulesInvalid

    try:
        load_rules(path, names)
    except RulesInvalid as invalid:
        yield from (Trouble(_RULES, fault) for fault in invalid.faults)
    except Stop as stop:
        yield Trouble(_RULES, stop.message, stop.hint)


def load_rules(path: Path, names: list[str]) -> RuleSet:
    """The rules of the fleet that is written in `path`: ``shipped``, or files relative to it. Raises `Stop` with
    every fault of all of them."""
    from sync_assets.fleet.rules import documents

    return documents.load([(name, documents.shipped() if name == "shipped" else _text(path, name)) for name in names])


def _text(path: Path, name: str) -> str:
    try:
        return (path.parent / name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        hint = "write `shipped`, or the path of a UTF-8 file, relative to the fleet's YAML"
        raise Stop(f"{name} cannot be read ({type(error).__name__})", hint=hint, code="rules") from None
