"""Adding up what a server says of its files and tables: bytes by database, and the largest tables.

A table of InnoDB counts with its file, any other (and one in a shared space) with the lengths that the server tells.
Shared spaces belong to no database: undo and temporary ones are told beside the logs, the system's and general ones
not at all, so that no table counts twice. Must not know where the rows come from.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sync_assets.fleet.model import DatabaseSize, TableSize

_SYSTEM = frozenset({"information_schema", "performance_schema", "mysql", "sys"})
# Tables whose rows are in memory, elsewhere, or counted already in other tables.
_NO_FILES = frozenset({"memory", "mrg_myisam", "federated", "spider", "connect", "blackhole", "performance_schema",
                       "sphinx", "s3", "sequence"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Sizes:
    """`broken`: databases with a table whose size the server does not tell."""

    databases: Mapping[str, int]
    tables: Sequence[TableSize]
    broken: frozenset[str]


def added_up(databases: Sequence[Any], spaces: Sequence[Any], tables: Sequence[Any]) -> Sizes:
    """`databases`: (name, folder); `spaces`: (folder/file, bytes); `tables`: (database, name, engine, data bytes,
    index bytes, rows, folder, file). A file of no database that is listed (it was made or dropped just now) is left
    out: the list decides."""
    files = _files(spaces)
    total: dict[str, int] = {name: 0 for name, _ in databases}
    folders = {folder: name for name, folder in databases}
    for (folder, _), size in files.items():
        if folder in folders:
            total[folders[folder]] += size
    found: list[TableSize] = []
    broken: set[str] = set()
    for database, name, engine, data, index, rows, folder, file in tables:
        own = files.get((folder, file))
        told = _lengths(engine, data, index) if own is None else own
        if told is None:
            broken.add(database)
            continue
        found.append(TableSize(database, "", name, told, rows))
        if own is None and database in total:
            total[database] += told
    return Sizes(total, found, frozenset(broken))


def _files(spaces: Sequence[Any]) -> dict[tuple[str, str], int]:
    """Bytes by (folder, file); the partitions of a table are one."""
    found: dict[tuple[str, str], int] = defaultdict(int)
    for name, size in spaces:
        folder, slash, file = name.partition("/")
        if slash:
            found[folder, file.partition("#p#")[0].partition("#P#")[0]] += int(size or 0)
    return dict(found)


def _lengths(engine: str | None, data: int | None, index: int | None) -> int | None:
    if engine is None:
        return None
    return 0 if engine.lower() in _NO_FILES else int(data or 0) + int(index or 0)


def databases(found: Sizes, known: bool) -> tuple[DatabaseSize, ...]:
    """All databases that are listed; without a size where that is not `known`, or the server does not tell it."""
    return tuple(
        DatabaseSize(name, bytes=size if known and name not in found.broken else None, system=name in _SYSTEM)
        for name, size in sorted(found.databases.items())
    )


def largest(found: Sizes, count: int) -> tuple[TableSize, ...]:
    """The `count` largest tables of each database."""
    by: dict[str, list[TableSize]] = defaultdict(list)
    for table in found.tables:
        by[table.database].append(table)
    return tuple(t for name in sorted(by) for t in heapq.nsmallest(count, by[name], key=lambda t: (-t.bytes, t.name)))


def shared(spaces: Sequence[Any]) -> Iterator[tuple[str, int]]:
    """Bytes of the undo and temporary spaces, where the server tells them."""
    names = {"undo": "innodb_undo", "temporary": "innodb_temporary"}
    for kind, start in names.items():
        sizes = [int(size or 0) for name, size in spaces if "/" not in name and name.startswith(start)]
        if sizes:
            yield kind, sum(sizes)
