"""A replica as assets: one for each table, its foreign keys as lineage, and one that lists the tables.

All tables that are not cut into partitions are written by one step, of which any subset can be asked for; a partitioned
table has a step of its own. What happens inside is in `replica_body.py`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from sync_assets.components import checks, listings, metadata, naming
from sync_assets.components.body import RUN_FIELDS, Events, ended
from sync_assets.components.execution import Execution
from sync_assets.components.replica_body import run_replica_in_dagster
from sync_assets.components.written import description, kinds, metadata_of, written_asset
from sync_assets.engine.errors import SyncError
from sync_assets.engine.tables.order import generations
from sync_assets.engine.tables.shape import TableEntry
from sync_assets.project.load import PlacedReplica, PlacedSync, Project
from sync_assets.project.replicas import Listing, meant, spelled, syncs_of, unknown_overrides


@dataclass(frozen=True, slots=True)
class Tables:
    """What is known of a replica without asking a server. `syncs` are its tables, referenced ones first."""

    replica: PlacedReplica
    listing: Listing | None
    syncs: Mapping[str, PlacedSync]
    references: Mapping[str, Sequence[str]]  # by table: tables that it points to and that come before it
    doubled: tuple[str, ...] = ()  # tables that something else writes: theirs is the asset

    @property
    def whole(self) -> dict[str, PlacedSync]:
        """Tables that are not cut into partitions."""
        return {table: sync for table, sync in self.syncs.items() if sync.spec.partitions is None}


def known_tables(replica: PlacedReplica, listing: Listing | None, taken: Iterable[dg.AssetKey]) -> Tables:
    """The tables of a replica by its kept list. `taken` are assets that others write."""
    if listing is None:
        return Tables(replica, None, {}, {})
    entries = meant(replica.spec, listing)
    found = syncs_of(replica, Listing(entries, listing.homes, listing.found_at))
    others = set(taken)
    doubled = tuple(table for table, sync in found.items() if naming.written_key(sync) in others)
    syncs = {table: sync for table, sync in found.items() if table not in doubled}
    order, references = _ordered([e for e in entries if spelled(e.name) in syncs])
    return Tables(replica, listing, {table: syncs[table] for table in order}, references, doubled)


def _ordered(entries: Sequence[TableEntry]) -> tuple[list[str], dict[str, list[str]]]:
    """Tables with referenced ones first, and their references without circles: lineage has none."""
    pointing = {spelled(e.name): [spelled(r) for r in e.references] for e in entries}
    rank = {table: at for at, tables in enumerate(generations(pointing)) for table in tables}
    before = {
        table: [other for other in dict.fromkeys(others) if other in rank and rank[other] < rank[table]]
        for table, others in pointing.items()
    }
    return sorted(rank, key=lambda table: (rank[table], table)), before


def replica_assets(project: Project, tables: Tables, execution: Execution) -> list[dg.AssetsDefinition]:
    """All assets of a replica."""
    cut = [
        written_asset(project, sync, execution, {}, _pointed(tables, table))
        for table, sync in tables.syncs.items()
        if sync.spec.partitions is not None
    ]
    whole = [_whole(project, tables, execution)] if tables.whole else []
    return [_list(project, tables, execution), *whole, *cut]


def _pointed(tables: Tables, table: str) -> list[dg.AssetKey]:
    """Assets that the foreign keys of a table point to. Those of partitioned tables are left out: a step that writes
    tables on both sides of one would have to run twice."""
    whole = tables.whole
    return [naming.written_key(whole[other]) for other in tables.references.get(table, ()) if other in whole]


def _whole(project: Project, tables: Tables, execution: Execution) -> dg.AssetsDefinition:
    """The step that writes all tables without partitions."""
    syncs, replica = tables.whole, tables.replica

    @dg.multi_asset(
        name=naming.replica_step(replica.name),
        specs=[_spec(project, tables, table, sync) for table, sync in syncs.items()],
        check_specs=[spec for sync in syncs.values() for spec in checks.specs(sync)],
        can_subset=True,
        pool=naming.replica_step(replica.name),
        config_schema=RUN_FIELDS,
        description=replica.spec.description,
    )
    def tables_of_replica(context) -> Events:  # type: ignore[no-untyped-def]  # noqa: ANN001
        yield from run_replica_in_dagster(execution, project, replica, syncs, context)

    return tables_of_replica


def _spec(project: Project, tables: Tables, table: str, sync: PlacedSync) -> dg.AssetSpec:
    return dg.AssetSpec(
        naming.written_key(sync),
        deps=[*naming.source_keys(sync), *_pointed(tables, table)],
        group_name=naming.group(sync),
        kinds=kinds(project, sync),
        description=description(sync),
        metadata=metadata_of(sync),
        skippable=True,
    )


# -- sources ----------------------------------------------------------------------------------------------------


def source_specs(project: Project, found: Iterable[Tables], taken: Iterable[dg.AssetKey]) -> list[dg.AssetSpec]:
    """The tables that replicas read and that nobody else shows: external assets."""
    known = set(taken)
    specs: dict[dg.AssetKey, dg.AssetSpec] = {}
    for tables in found:
        for sync in tables.syncs.values():
            (key,) = naming.source_keys(sync)
            if key not in known and key not in specs:
                kind = str(project.connections[sync.source].type)
                specs[key] = dg.AssetSpec(key, group_name=_source_group(sync), kinds={kind})
    return list(specs.values())


def _source_group(sync: PlacedSync) -> str:
    """That of the source's other tables: a schema is said where it is not the connection's own."""
    schemas = [part for part in naming.table_parts(sync.spec.table or "")[:-1] if part != sync.homes[0]]
    return naming.slug("_".join([sync.source, *schemas]))


# -- the list of tables -----------------------------------------------------------------------------------------


def _list(project: Project, tables: Tables, execution: Execution) -> dg.AssetsDefinition:
    """The asset that asks the source which tables it has, and keeps the list."""
    replica = tables.replica

    @dg.asset(
        key=dg.AssetKey([naming.slug(replica.spec.target), f"{naming.slug(replica.name)}_tables"]),
        group_name=naming.slug(replica.name),
        kinds={str(project.connections[replica.spec.source].type)},
        description=_about(tables),
    )
    def tables_listed(context) -> Iterator[dg.MaterializeResult[None]]:  # type: ignore[no-untyped-def]  # noqa: ANN001
        try:
            listing = execution.list_tables(project, replica)
        except SyncError as error:
            raise ended(context, str(error), {}) from None
        listings.keep(replica.name, listing)
        now = [spelled(e.name) for e in meant(replica.spec, listing)]
        yield dg.MaterializeResult(metadata=metadata.of_listing(now, list(tables.syncs)))

    return tables_listed


def _about(tables: Tables) -> str:
    spec, listing = tables.replica.spec, tables.listing
    title = f"**{spec.title}**\n\n" if spec.title else ""
    about = f"{spec.description}\n\n" if spec.description else ""
    again = "Materialise this asset to ask the source again, then reload the code location."
    if listing is None:
        return f"{title}{about}The tables of `{spec.source}` are not known yet. {again}"
    lines = [f"{len(tables.syncs)} tables of `{spec.source}`, as listed at {listing.found_at}. {again}"]
    lines += [f"overrides names `{name}`, which is no table." for name in unknown_overrides(spec, listing)]
    lines += [f"`{table}` is left out: a sync of its own writes it." for table in tables.doubled]
    return title + about + "\n\n".join(lines)
