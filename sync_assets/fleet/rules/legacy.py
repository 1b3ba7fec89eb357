"""Words that the two ways of importing rules share: databases, attributes and privileges as they were called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

ENGINES = {"mysql": "mysql", "mariadb": "mysql", "postgresql": "postgres", "postgres": "postgres",
           "sqlserver": "sqlserver", "oracle": "oracle"}  # fmt: skip
# Attributes of PostgreSQL's roles, as the original called them and as its pages did.
CAPABILITIES: Mapping[str, str] = {
    "superuser": "SUPERUSER", "can_super": "SUPERUSER", "grant_admin": "GRANT_ADMIN", "locked": "LOCKED",
    "can_login": "CAN_LOGIN", "login": "CAN_LOGIN", "can_create_role": "CREATE_ROLE", "createrole": "CREATE_ROLE",
    "can_create_db": "CREATE_DB", "createdb": "CREATE_DB", "can_replicate": "REPLICATION",
    "can_replication": "REPLICATION", "replication": "REPLICATION", "can_bypass_rls": "BYPASS_RLS",
    "bypassrls": "BYPASS_RLS", "can_inherit": "INHERIT", "inherit": "INHERIT",
}  # fmt: skip


class NotImportable(Exception):
    """A rule cannot be taken over; the message says why."""


@dataclass(frozen=True, slots=True)
class Translation:
    """A node of ours, and what differs from before."""

    node: dict[str, Any]
    notes: tuple[str, ...] = ()


def call(fn: str, **args: Any) -> dict[str, Any]:
    return {"fn": fn, "args": args} if args else {"fn": fn}


def joined(op: str, nodes: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """One node of several; a single one stays as it is."""
    every = list(nodes)
    return every[0] if len(every) == 1 else {"op": op, "args": every}


def capability(word: object) -> str:
    """Ours for the original's word. Raises `NotImportable`."""
    found = CAPABILITIES.get(str(word).strip().lower())
    if found is None:
        raise NotImportable("it asks for a capability or attribute that is not known")
    return found


def privilege(word: object, engine: str) -> str:
    """In capitals, as servers say it."""
    text = str(word).strip().upper()
    if not text:
        raise NotImportable("it names an empty privilege")
    return "TEMPORARY" if engine == "postgres" and text == "TEMP" else text


def locked(engine: str) -> dict[str, Any]:
    """LOCKED of PostgreSQL meant NOLOGIN or expired."""
    if engine != "postgres":
        return call("is_locked")
    return joined("OR", [{"op": "NOT", "args": [call("can_login")]}, call("is_expired")])


LOCKED_NOTE = "LOCKED of PostgreSQL meant that it may not log in or has expired, and is written so"
