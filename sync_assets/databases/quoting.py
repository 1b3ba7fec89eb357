"""Names in standard SQL's double quotes, as PostgreSQL and SQLite take them. MySQL has its own."""

from __future__ import annotations

from collections.abc import Iterable

from sync_assets.engine.tables.shape import TableName


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def qualified(table: TableName) -> str:
    return f"{quoted(table.schema)}.{quoted(table.name)}"


def listed(names: Iterable[str], prefix: str = "") -> str:
    return ", ".join(prefix + quoted(n) for n in names)
