"""The original's older rules: one flat mapping a rule and a database, an operator, no nesting.

How each field was read is taken from its classifiers; where they never had data, or counted what was missing as true,
a note says so. Must not know classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sync_assets.fleet.rules.legacy import NotImportable, Translation, call, capability, joined, privilege

Nodes = list[dict[str, Any]]
_NEVER = "{} never had data, so that this never matched; it will now, as it was meant"
_SPREAD = "with AND, the rights asked for may now lie in different databases or tables"


@dataclass(frozen=True, slots=True)
class Field:
    """How one field is read. `join`: AND, OR, or "" for the rule's operator; `never`: it never had data."""

    nodes: Callable[[Sequence[Any], str], Nodes]
    join: str = ""
    never: bool = False


def _privileges(scope: str) -> Callable[[Sequence[Any], str], Nodes]:
    return lambda words, op: [call("has_privilege", name=str(w).strip().upper(), scope=scope) for w in words]


def _roles(words: Sequence[Any], op: str) -> Nodes:
    return [call("has_role", name=str(word)) for word in words]


def _attributes(words: Sequence[Any], op: str) -> Nodes:
    return [call("has_capability", name=capability(word)) for word in words]


def _required(scope: str, within: Mapping[str, str]) -> Callable[[Sequence[Any], str], Nodes]:
    """Of entries like ``{database: shop, privileges: [SELECT]}`` or ``SELECT``; ``*`` is any."""

    def nodes(entries: Sequence[Any], op: str) -> Nodes:
        return [joined(op, _entry(entry, scope, within)) for entry in entries]

    return nodes


def _entry(entry: Any, scope: str, within: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    entry = entry if isinstance(entry, Mapping) else {"privileges": [entry]}
    where = {ours: str(entry[name]) for name, ours in within.items() if entry.get(name) not in (None, "", "*")}
    words = entry.get("privileges", entry.get("privilege"))
    listed = [w for w in (words if isinstance(words, list) else [words]) if w not in (None, "")]
    if not listed:
        raise NotImportable("it asks for no right in one of its entries")
    for word in listed:
        if word == "*":
            yield call("count_grants_gt", count=0, scope=scope, via="effective")
        else:
            yield call("has_privilege", name=str(word).strip().upper(), scope=scope, **where)


FIELDS: Mapping[str, Mapping[str, Field]] = {
    "mysql": {
        "global_privileges": Field(_privileges("global")),
        "exclude_privileges": Field(_privileges("global"), "OR"),
        "database_privileges": Field(_required("database", {"database": "database"})),
        "table_privileges": Field(_required("table", {"database": "database", "table": "object"}), never=True),
        "roles": Field(_roles, never=True),
    },
    "postgres": {
        "predefined_roles": Field(_roles, "AND"),
        "role_attributes": Field(_attributes, "AND"),
        "database_privileges": Field(_required("database", {"database": "database"}), "OR"),
        "tablespace_privileges": Field(_required("tablespace", {"tablespace": "object"}), "OR"),
    },
    "sqlserver": {
        "server_roles": Field(_roles, "AND"),
        "database_roles": Field(_roles, "OR"),
        "server_permissions": Field(_privileges("server")),
        "database_permissions": Field(_required("any", {"database": "database"}), "OR", never=True),
    },
    "oracle": {
        "roles": Field(_roles, "AND"),
        "system_privileges": Field(_privileges("any")),
        "object_privileges": Field(_required("any", {"object_name": "object"}), never=True),
        "tablespace_privileges": Field(_required("tablespace", {"tablespace_name": "object"})),
    },
}


def translate(expression: Mapping[str, Any], engine: str) -> Translation:
    """A flat rule as a node of ours. Raises `NotImportable`."""
    operator = str(expression.get("operator", "OR")).strip().upper()
    operator = operator if operator in ("AND", "OR") else "OR"
    fields = FIELDS[engine]
    given = {name: _list(expression[name]) for name in fields if expression.get(name)}
    strangers = sorted(str(name) for name in expression if name not in (*fields, "operator"))
    if not given:
        raise NotImportable("it has no condition that was looked at, and so matched every account")
    nodes = [_node(name, words, fields[name], operator, engine) for name, words in given.items()]
    between = "AND" if engine == "mysql" else operator
    return Translation(joined(between, nodes), tuple(_notes(engine, operator, given, strangers)))


def _list(raw: Any) -> list[Any]:
    return raw if isinstance(raw, list) else [raw]


def _node(name: str, words: list[Any], how: Field, operator: str, engine: str) -> dict[str, Any]:
    op = how.join or operator
    nodes = how.nodes(words, op)
    for node in nodes:
        _named(node, engine)
    node = joined(op, nodes)
    return {"op": "NOT", "args": [node]} if name == "exclude_privileges" else node


def _named(node: dict[str, Any], engine: str) -> None:
    """The names of rights as servers say them."""
    if node.get("fn") == "has_privilege":
        node["args"]["name"] = privilege(node["args"]["name"], engine)
    for one in node.get("args", []) if "op" in node else []:
        _named(one, engine)


def _notes(engine: str, operator: str, given: Mapping[str, list[Any]], strangers: Sequence[str]) -> Iterator[str]:
    for name in given:
        if FIELDS[engine][name].never:
            yield _NEVER.format(name)
    if strangers:
        yield f"{', '.join(strangers)}: not looked at before, and left out"
    if operator == "AND" and engine == "mysql" and {"database_privileges", "table_privileges"} & set(given):
        yield _SPREAD
    if operator == "OR" and engine == "oracle" and len(given) < len(FIELDS["oracle"]):
        yield "missing fields counted as true with OR in some versions, so that it matched every account; not here"
    if engine == "mysql" and any(_upper_database(entry) for entry in given.get("database_privileges", [])):
        yield "names of databases were turned into capitals; write them as the server does"


def _upper_database(entry: Any) -> bool:
    name = entry.get("database", "*") if isinstance(entry, Mapping) else "*"
    return isinstance(name, str) and name != "*" and name == name.upper() and name != name.lower()
