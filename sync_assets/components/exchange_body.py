"""What happens inside a run of an exchange: the work is done elsewhere, this tells Dagster about it.

One run covers many repositories. Each gets its events the moment it is done, so that a run that is killed loses none;
failures are collected and raised once at the end, so that Dagster marks exactly those. What arrived of a repository
that failed is told as an observation. Must not know how definitions are built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import dagster as dg

from sync_assets.components import exchange_metadata as shown
from sync_assets.components.body import ended, unexpected
from sync_assets.components.exchange_execution import Asked, ExchangeExecution
from sync_assets.components.exchange_partitions import ids_of
from sync_assets.components.fleet_body import asked_by
from sync_assets.components.naming import slug
from sync_assets.engine.errors import SyncError
from sync_assets.store import redaction

if TYPE_CHECKING:
    from sync_assets.project.deployment import Project
    from sync_assets.project.exchange.items import Item
    from sync_assets.project.exchange.placed import PlacedPeer
    from sync_assets.project.exchange_spec import Way

REPOSITORIES, TASKS, DOCUMENTS, LINKS = NAMES = ("repositories", "tasks", "documents", "links")
TAKEN = "taken"
_SHOWN = 5  # failures named in a message
_METADATA: Mapping[str, Callable[[Item], shown.Metadata]] = {
    REPOSITORIES: shown.of_repository,
    TASKS: shown.of_tasks,
    DOCUMENTS: shown.of_documents,
    LINKS: shown.of_links,
}
ExchangeEvents = Iterator[dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation]


@dataclass(frozen=True, slots=True)
class Work:
    """What a body works with: one peer, one way, the run that it is in, and what has gone wrong so far."""

    execution: ExchangeExecution
    project: Project
    peer: PlacedPeer
    way: Way
    context: dg.AssetExecutionContext
    failed: dict[str, str] = field(default_factory=dict)

    @property
    def wanted(self) -> list[str]:
        """Those of its assets that the run is to write, in their order."""
        return [name for name in NAMES if asset_key(self.peer, self.way, name) in self.context.selected_asset_keys]

    @property
    def asked(self) -> Asked:
        config = self.context.op_execution_context.op_config or {}
        run = self.context.run
        return Asked(run.run_id, asked_by(run.tags), True if config.get("replace") else None, self.context.log.info)


def asset_key(peer: PlacedPeer, way: Way, name: str) -> dg.AssetKey:
    return dg.AssetKey([slug(peer.exchange.name), slug(peer.name), way, name])


def run_body(work: Work) -> ExchangeEvents:
    """Exchange the repositories of the run, and at the end raise one failure for all that went wrong."""
    redaction.install()
    keys = [str(key) for key in work.context.partition_keys]
    try:
        yield from _exchanged(work, keys)
    except SyncError as error:
        raise ended(work.context, str(error), work.failed) from None
    except Exception as error:  # Dagster would keep its text, which may quote a document or a secret
        raise unexpected(work.context, error) from None
    if work.failed:
        raise ended(work.context, _summary(work.failed, len(keys)), work.failed)


def _exchanged(work: Work, keys: list[str]) -> ExchangeEvents:
    by_id = ids_of(keys)
    for key in set(keys) - set(by_id.values()):
        work.failed[key] = "is no repository -> keys begin with the id of one: remove the partition"
    for item in work.execution.run(work.project, work.peer, work.way, list(by_id), work.asked) if by_id else ():
        yield from _told(work, by_id[item.repository_id], item)


def _told(work: Work, key: str, item: Item) -> ExchangeEvents:
    """The assets of one repository. Of one that failed, the repository itself may have arrived all the same."""
    if not item.good:
        work.failed[key] = redaction.redact(item.trouble)
    for name in work.wanted:
        asset, metadata = asset_key(work.peer, work.way, name), _METADATA[name](item)
        if item.good or (name == REPOSITORIES and item.begun):
            yield dg.AssetMaterialization(asset, partition=key, metadata=metadata)
        elif item.state is not None:
            yield dg.AssetObservation(asset, partition=key, metadata=metadata)
    if DOCUMENTS in work.wanted and item.good:
        yield _taken(work, key, shown.skipped(item))


def _taken(work: Work, key: str, trouble: str) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=asset_key(work.peer, work.way, DOCUMENTS), check_name=TAKEN, passed=not trouble, metadata={},
        severity=dg.AssetCheckSeverity.WARN, description=trouble or None, partition=key,
    )  # fmt: skip


def _summary(failed: Mapping[str, str], total: int) -> str:
    lines = [f"{key}: {reason}" for key, reason in list(failed.items())[:_SHOWN]]
    more = f" (and {len(failed) - _SHOWN} more)" if len(failed) > _SHOWN else ""
    return f"{len(failed)} of {total} repositories failed: {'; '.join(lines)}{more}"
