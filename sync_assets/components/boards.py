"""The target of a sync as an asset: what it depends on, how it is cut into partitions, what it promises.

The work itself is in `body.py`.
"""

from collections.abc import Mapping

import dagster as dg

from sync_assets.components import checks, naming
from sync_assets.components.body import RUN_CONFIG, Events, run_sync_in_dagster
from sync_assets.components.execution import Execution
from sync_assets.components.partitions import backfill_policy, partitions_of
from sync_assets.project.load import PlacedSync, Project


def board_asset(
    project: Project,
    sync: PlacedSync,
    execution: Execution,
    source_partitions: Mapping[dg.AssetKey, dg.PartitionsDefinition | None],
) -> dg.AssetsDefinition:
    """The asset ``feishu/orders_board`` of a sync."""
    key = naming.board_key(sync)

    # `context` has no type: Dagster would read the hints several times for each asset
    @dg.asset(
        key=key,
        deps=_deps(sync, source_partitions),
        partitions_def=partitions_of(sync),
        backfill_policy=backfill_policy(sync),
        check_specs=checks.specs(sync),
        pool=naming.pool(sync),
        kinds={"feishu", _kind(project, sync.source)},
        group_name=naming.group(sync),
        description=_description(sync),
        metadata=_metadata(sync),
        config_schema=RUN_CONFIG,
        output_required=False,
    )
    def board(context) -> Events:  # type: ignore[no-untyped-def]  # noqa: ANN001
        yield from run_sync_in_dagster(execution, project, sync, context)

    return board


def _kind(project: Project, connection: str) -> str:
    return str(project.connections[connection].type)


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


def _description(sync: PlacedSync) -> str:
    spec = sync.spec
    origin = f"table `{spec.table}`" if spec.table else "query"
    title = f"**{spec.title}**\n\n" if spec.title else ""
    about = f"{spec.description}\n\n" if spec.description else ""
    keyed = f" by {', '.join(spec.key)}" if spec.key else ""
    query = f"\n\n```sql\n{spec.query.strip()}\n```" if spec.query else ""
    return f"{title}{about}{origin} of `{sync.source}` to a board, mode {spec.mode}{keyed}.{query}"


def _metadata(sync: PlacedSync) -> dict[str, dg.MetadataValue]:
    shown: dict[str, dg.MetadataValue] = {"mode": dg.MetadataValue.text(str(sync.spec.mode))}
    if sync.spec.title:
        shown["title"] = dg.MetadataValue.text(sync.spec.title)
    if sync.spec.link.startswith("http"):
        shown["board"] = dg.MetadataValue.url(sync.spec.link)
    return shown
