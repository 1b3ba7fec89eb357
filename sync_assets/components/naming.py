"""What things are called in Dagster: asset keys, groups, pools, jobs. The one place where keys are made.

A table has the same key whether a sync reads it or writes it, so chains join up. Dagster wants ASCII words here; names
that are not (a Chinese table) become a slug with a checksum, and the true name goes into the title. Must not know
partitions, runs or the engine.
"""

from __future__ import annotations

import re
from urllib.parse import parse_qs, urlsplit
from zlib import crc32

from dagster import AssetKey

from sync_assets.components.lineage import tables_read
from sync_assets.databases.base import name_parts
from sync_assets.engine.errors import Stop
from sync_assets.project.load import PlacedSync


def slug(name: str) -> str:
    """`name` as an ASCII word. A name that loses something gets a checksum, so that two of them stay two."""
    plain = re.sub(r"[^A-Za-z0-9_]+", "_", name).strip("_")
    return name if plain == name and name else f"{plain or 'x'}_{crc32(name.encode()):08x}"


def table_key(connection: str, table: str, home: str = "") -> AssetKey:
    """The asset of a table, read or written: connection / schema / table.

    `home`, the connection's own schema, is left out, so that a table has one key however it is written.
    """
    parts = table_parts(table)
    if len(parts) == 2 and parts[0] == home:
        del parts[0]
    return AssetKey([slug(connection), *(slug(part) for part in parts)])


def table_parts(table: str) -> list[str]:
    """`schema.table` as its parts, quoted or not."""
    try:
        return name_parts(table)
    except Stop:
        return table.split(".")


def written_key(sync: PlacedSync) -> AssetKey:
    """The asset that a sync writes: a table, or for a board target connection / name of the sync."""
    if not sync.into_table:
        return AssetKey([slug(sync.target), slug(sync.spec.name)])
    if sync.spec.into is not None:
        return table_key(sync.target, sync.spec.into, sync.homes[1])
    return AssetKey([slug(sync.target), slug(table_parts(sync.spec.table or sync.spec.name)[-1])])


def source_keys(sync: PlacedSync) -> tuple[AssetKey, ...]:
    """The assets that a sync reads: its table, the tables of its query, or the query itself where none is found."""
    if sync.spec.table is not None:
        return (table_key(sync.source, sync.spec.table, sync.homes[0]),)
    tables = tables_read(sync.spec.query or "")
    if not tables:
        return (AssetKey([slug(sync.source), f"{slug(sync.spec.name)}_query"]),)
    return tuple(dict.fromkeys(table_key(sync.source, table, sync.homes[0]) for table in tables))


def group(sync: PlacedSync) -> str:
    """The file's name, or its folder's where the file is just ``defs.yaml``."""
    return slug(sync.file)


def pool(sync: PlacedSync) -> str:
    """One slot per board or table: a second run waits instead of finding the lease taken, which is the real guard."""
    if sync.into_table:
        return f"table_{'_'.join(written_key(sync).path)}"
    link = urlsplit(sync.spec.link)
    table = parse_qs(link.query).get("table", [sync.spec.table_name or ""])[0]
    return f"bitable_{slug(link.path.rsplit('/', 1)[-1])}_{slug(table) if table else 'base'}"


def step(sync: PlacedSync) -> str:
    """The name of the step that writes it: that of its asset, or of the replica that it is part of."""
    if sync.replica and sync.spec.partitions is None:
        return replica_step(sync.replica)
    return op_name(written_key(sync))


def replica_step(name: str) -> str:
    """The one step that writes all tables of a replica that are not cut into partitions."""
    return f"replica__{slug(name)}"


def op_name(key: AssetKey) -> str:
    return "__".join(key.path)
