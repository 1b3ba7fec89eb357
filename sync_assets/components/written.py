"""The target of a sync, board or table, as an asset: what it depends on, how it is cut, what it promises.

The work itself is in `body.py`.
"""

from collections.abc import Iterable, Mapping

import dagster as dg

from sync_assets.components import checks, naming
from sync_assets.components.body import RUN_CONFIG, Events, run_sync_in_dagster
from sync_assets.components.execution import Execution
from sync_assets.components.partitions import backfill_policy, partitions_of
from sync_assets.project.load import PlacedSync, Project


def written_asset(
    project: Project,
    sync: PlacedSync,
    execution: Execution,
    source_partitions: Mapping[dg.AssetKey, dg.PartitionsDefinition | None],
    references: Iterable[dg.AssetKey] = (),
) -> dg.AssetsDefinition:
    """The asset ``feishu/orders_board`` of a sync. `references` are tables that its foreign keys point to."""
    key = naming.written_key(sync)

    # `context` has no type: Dagster would read the hints several times for each asset
    @dg.asset(
        key=key,
        deps=[*_deps(sync, source_partitions), *references],
        partitions_def=partitions_of(sync),
        backfill_policy=backfill_policy(sync),
        check_specs=checks.specs(sync),
        pool=naming.pool(sync),
        kinds=kinds(project, sync),
        group_name=naming.group(sync),
        description=description(sync),
        metadata=metadata_of(sync),
        config_schema=RUN_CONFIG,
        output_required=False,
    )
    def written(context) -> Events:  # type: ignore[no-untyped-def]  # noqa: ANN001
        yield from run_sync_in_dagster(execution, project, sync, context)

    return written


def kinds(project: Project, sync: PlacedSync) -> set[str]:
    """The kinds of both ends."""
    return {str(project.connections[name].type) for name in (sync.source, sync.target)}


def _deps(
    sync: PlacedSync, source_partitions: Mapping[dg.AssetKey, dg.PartitionsDefinition | None]
) -> list[dg.AssetDep]:
    """A source that is partitioned like the sync maps key by key; any other is needed whole."""
    mine = partitions_of(sync)
    deps = []
    for key in naming.source_keys(sync):
        same = mine is not None and source_partitions.get(key) == mine
        deps.append(dg.AssetDep(key, partition_mapping=dg.IdentityPartitionMapping() if same else None))
    return deps


def description(sync: PlacedSync) -> str:
    """What people read on the asset's page."""
    spec = sync.spec
    origin = f"table `{spec.table}`" if spec.table else "query"
    title = f"**{spec.title}**\n\n" if spec.title else ""
    about = f"{spec.description}\n\n" if spec.description else ""
    keyed = f" by {', '.join(spec.key)}" if spec.key else ""
    query = f"\n\n```sql\n{spec.query.strip()}\n```" if spec.query else ""
    place = f"the table `{spec.into or naming.table_parts(spec.table or '')[-1]}`" if sync.into_table else "a board"
    where = f" where `{spec.where}`" if spec.where else ""
    return f"{title}{about}{origin} of `{sync.source}`{where} to {place}, mode {spec.mode}{keyed}.{query}"


def metadata_of(sync: PlacedSync) -> dict[str, dg.MetadataValue]:
    """What is known before any run."""
    shown: dict[str, dg.MetadataValue] = {"mode": dg.MetadataValue.text(str(sync.spec.mode))}
    if sync.spec.title:
        shown["title"] = dg.MetadataValue.text(sync.spec.title)
    if sync.spec.link.startswith("http"):
        shown["board"] = dg.MetadataValue.url(sync.spec.link)
    return shown
