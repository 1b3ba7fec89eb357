"""From the patterns of a replica to its tables: which there are, where each goes, what is asked of it.

A table of a replica is a sync like any other (`PlacedSync`), named ``replica:schema.table``. The list can be kept as
plain data, so that what a replica consists of is known without asking a server. Asks nothing itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import partial
from typing import Any

from sync_assets.databases.base import name_parts
from sync_assets.engine.errors import Stop
from sync_assets.engine.tables.shape import TableEntry, TableKind, TableName
from sync_assets.project.deployment import PlacedReplica, PlacedSync
from sync_assets.project.faults import nearest
from sync_assets.project.replica_spec import DatabaseReplicaSpec, TableOverride
from sync_assets.project.spec import SyncSpec

VERSION = 1  # of the kept list
_COPIED = (TableKind.TABLE, TableKind.PARTITIONED)
_WILD = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Listing:
    """The tables of a source as it told them. `homes` are the connections' own schemas, here and there."""

    tables: tuple[TableEntry, ...]
    homes: tuple[str, str]
    found_at: str = ""

    def as_data(self) -> dict[str, Any]:
        """As plain data for JSON."""
        tables = [
            {
                "table": [t.name.schema, t.name.name],
                "kind": str(t.kind),
                "references": [[r.schema, r.name] for r in t.references],
            }
            for t in self.tables
        ]
        return {"version": VERSION, "found_at": self.found_at, "homes": list(self.homes), "tables": tables}

    @staticmethod
    def from_data(data: Mapping[str, Any]) -> Listing | None:
        """What `as_data` made; None for the data of another version."""
        if data.get("version") != VERSION:
            return None
        tables = tuple(
            TableEntry(
                TableName(*t["table"]),
                TableKind(t["kind"]),
                references=tuple(TableName(*r) for r in t["references"]),
            )
            for t in data["tables"]
        )
        return Listing(tables, (data["homes"][0], data["homes"][1]), data["found_at"])


def meant(spec: DatabaseReplicaSpec, listing: Listing) -> tuple[TableEntry, ...]:
    """The tables that the patterns mean, in the order of their names."""
    home = listing.homes[0]
    return tuple(e for e in sorted(listing.tables, key=lambda e: e.name) if _is_meant(spec, e, home))


def unknown_overrides(spec: DatabaseReplicaSpec, listing: Listing) -> list[str]:
    """Overrides of what is no table of the replica."""
    home = listing.homes[0]
    found = meant(spec, listing)
    known = {str(e.name) for e in found} | {e.name.name for e in found if e.name.schema == home}
    return [name for name, table in spec.overrides.items() if name not in known and not table.skip]


def _is_meant(spec: DatabaseReplicaSpec, entry: TableEntry, home: str) -> bool:
    override = override_of(spec, entry.name, home)
    if override.skip or any(_fits(pattern, entry.name, home) for pattern in spec.exclude):
        return False
    patterns = [pattern for pattern in spec.tables if _fits(pattern, entry.name, home)]
    if entry.kind in _COPIED:
        return bool(patterns)
    return any(not _WILD & set(pattern) for pattern in patterns)


def _fits(pattern: str, name: TableName, home: str) -> bool:
    if "." not in pattern:
        return name.schema == home and fnmatchcase(name.name, pattern)
    return fnmatchcase(str(name), pattern)


def override_of(spec: DatabaseReplicaSpec, name: TableName, home: str) -> TableOverride:
    """What is said of one table; nothing special where it is not mentioned."""
    own = spec.overrides.get(str(name))
    if own is None and name.schema == home:
        own = spec.overrides.get(name.name)
    return own or TableOverride()


def destination(spec: DatabaseReplicaSpec, name: TableName, homes: tuple[str, str]) -> TableName:
    """Where a table goes: as its override says, else as `into` says for its schema, else to its like."""
    here, there = homes
    schema = spec.into.get(name.schema) or (there if name.schema == here else name.schema)
    own = override_of(spec, name, here).into
    if own is None:
        return TableName(schema, name.name)
    parts = name_parts(own)
    return TableName(parts[0] if len(parts) == 2 else schema, parts[-1])


def spelled(name: TableName) -> str:
    """The name as text that is read back as the same: odd parts in quotes."""
    parts = [p if p and not set(p) & set('."`') else '"' + p.replace('"', '""') + '"' for p in (name.schema, name.name)]
    return ".".join(parts)


def sync_of(placed: PlacedReplica, name: TableName, homes: tuple[str, str]) -> PlacedSync:
    """A table of a replica as a sync."""
    spec = placed.spec
    own = override_of(spec, name, homes[0])
    return PlacedSync(
        spec=_sync_spec(spec, own, name, homes),
        source=spec.source,
        target=spec.target,
        schedule=spec.schedule,
        alerts=spec.alerts,
        time_zone=placed.time_zone,
        path=placed.path,
        file=f"{spec.name}_{name.schema}",
        document=placed.document,
        homes=homes,
        replica=spec.name,
        beside=partial(_goes, spec, homes),
        objects=spec.views_and_triggers,
    )


def _goes(spec: DatabaseReplicaSpec, homes: tuple[str, str], name: TableName) -> TableName | None:
    """Where the replica takes a table; None for one that it leaves out."""
    is_meant = _is_meant(spec, TableEntry(name, TableKind.TABLE), homes[0])
    return destination(spec, name, homes) if is_meant else None


def _sync_spec(spec: DatabaseReplicaSpec, own: TableOverride, name: TableName, homes: tuple[str, str]) -> SyncSpec:
    """The parts were validated where they stand; the name of a table may be any text, which that of a sync may not."""
    return SyncSpec.model_construct(
        name=f"{spec.name}:{spelled(name)}",
        title=own.title,
        table=spelled(name),
        into=spelled(destination(spec, name, homes)),
        mode=own.mode or spec.mode,
        key=own.key,
        columns=own.columns,
        where=own.where,
        watermark=own.watermark,
        lookback=own.lookback,
        partitions=own.partitions,
        backfill=own.backfill,
        changes=own.changes or spec.changes,
        proof=own.proof or spec.proof,
        schema_changes=own.schema_changes or spec.schema_changes,
        create=spec.create,
        delete_guard=own.delete_guard or spec.delete_guard,
        allow_empty_source=spec.allow_empty_source if own.allow_empty_source is None else own.allow_empty_source,
        allow_writing_role=spec.allow_writing_role,
        reject_limit=own.reject_limit,
    )


def syncs_of(placed: PlacedReplica, listing: Listing) -> dict[str, PlacedSync]:
    """All tables of a list as syncs, by ``schema.table``, odd parts in quotes."""
    return {spelled(e.name): sync_of(placed, e.name, listing.homes) for e in listing.tables}


def chosen(placed: PlacedReplica, listing: Listing, names: Sequence[str]) -> Iterator[TableEntry]:
    """The tables that `names` mean (patterns too), all without names. Raises `Stop` for a name or override of none."""
    spec, home, found = placed.spec, listing.homes[0], meant(placed.spec, listing)
    known = [str(e.name) for e in found]
    for name in unknown_overrides(spec, listing):
        hint = f"correct its name, or the patterns in tables{nearest(name, known)}"
        raise Stop(f"{spec.name}: overrides names {name}, which is no table of the replica", hint=hint, code="override")
    if not known:
        hint = "check the patterns in tables, and that the user may see the tables"
        raise Stop(f"{spec.name}: no table of {spec.source} is meant by its patterns", hint=hint, code="tables")
    for name in names:
        if not any(_fits(name, e.name, home) for e in found):
            hint = f"its tables are {', '.join(known[:20])}"
            raise Stop(f"{spec.name} has no table {name}{nearest(name, known)}", hint=hint, code="tables")
    yield from (e for e in found if not names or any(_fits(n, e.name, home) for n in names))
