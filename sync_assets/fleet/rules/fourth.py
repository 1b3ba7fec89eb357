"""The original's expressions of version 4, as ours: the same shape, with its words for databases and abilities.

Must not know classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sync_assets.fleet.rules.legacy import (
    ENGINES,
    LOCKED_NOTE,
    NotImportable,
    Translation,
    call,
    capability,
    locked,
    privilege,
)

_DEEPEST = 40
_TABLESPACES = "scope database counted rights on tablespaces as well; it does not here"
_KEYS = "rights on databases of SQL Server were never found, so that this never matched; it will now"


def modernised(expression: Mapping[str, Any], engine: str) -> Translation:
    """An expression of version 4 as a node of ours. Raises `NotImportable`."""
    if expression.get("version") != 4:
        raise NotImportable("its expression is of no known version")
    work = _Work(engine)
    node = work.node(expression["expr"], 1)
    return Translation(node, tuple(dict.fromkeys(work.notes)))


@dataclass(slots=True)
class _Work:
    engine: str
    notes: list[str] = field(default_factory=list)

    def node(self, raw: Any, depth: int) -> dict[str, Any]:
        if not isinstance(raw, Mapping) or depth > _DEEPEST:
            raise NotImportable("a part of its expression is no node, or lies too deep")
        if "op" in raw:
            return self._combined(raw, depth)
        args = raw.get("args")
        return self._call(str(raw.get("fn", "")).strip(), args if isinstance(args, Mapping) else {})

    def _combined(self, raw: Mapping[str, Any], depth: int) -> dict[str, Any]:
        op, args = str(raw["op"]).strip().upper(), raw.get("args")
        if not isinstance(args, list) or not args:
            what = "every account" if op == "AND" else "nobody"
            raise NotImportable(f"it has {op} of nothing, which matched {what}")
        return {"op": op, "args": [self.node(one, depth + 1) for one in args]}

    def _call(self, fn: str, args: Mapping[str, Any]) -> dict[str, Any]:
        if fn == "db_type_in":
            return call(fn, types=[ENGINES.get(str(t).strip().lower(), t) for t in args.get("types") or []])
        if fn == "has_capability":
            return self._capability(capability(args.get("name")))
        if fn == "has_privilege":
            return self._privilege(args)
        return {"fn": fn, "args": dict(args)} if args else {"fn": fn}

    def _capability(self, name: str) -> dict[str, Any]:
        if name == "LOCKED" and self.engine == "postgres":
            self.notes.append(LOCKED_NOTE)
            return locked(self.engine)
        return call("has_capability", name=name)

    def _privilege(self, args: Mapping[str, Any]) -> dict[str, Any]:
        scope = str(args.get("scope", "")).strip().lower()
        rest = {k: v for k, v in args.items() if k not in ("name", "scope") and v is not None}
        if scope == "database" and self.engine != "mysql":
            self.notes.append(_KEYS if self.engine == "sqlserver" else _TABLESPACES)
        if self.engine == "oracle" and scope in ("server", "global"):
            scope = "any"  # a system privilege of a container holds in that container
        if scope == "tablespace" and "database" in rest:
            rest["object"] = rest.pop("database")
        return call("has_privilege", name=privilege(args.get("name", ""), self.engine), scope=scope, **rest)
