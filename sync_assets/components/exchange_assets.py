"""An exchange as assets: for each peer and way, repositories, their tasks, their documents, and what links them.

What happens inside them is in `exchange_body.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg

from sync_assets.components import exchange_partitions as cuts
from sync_assets.components.exchange_body import (
    DOCUMENTS,
    LINKS,
    NAMES,
    REPOSITORIES,
    TAKEN,
    TASKS,
    ExchangeEvents,
    Work,
    asset_key,
    run_body,
)
from sync_assets.components.exchange_execution import ExchangeExecution
from sync_assets.components.naming import slug
from sync_assets.project.exchange.placed import PlacedPeer
from sync_assets.project.exchange_spec import Way
from sync_assets.project.load import PlacedExchange, Project

_ABOUT = {
    REPOSITORIES: "What a repository is called, where it comes from. It is there before its tasks come.",
    TASKS: "The tasks of a repository, each with its outcome. What has succeeded is not sent again.",
    DOCUMENTS: "The documents of the tasks, each with its outcome. A higher version is never replaced by a lower one.",
    LINKS: "Which document each task has chosen, which task follows which, which document replaces which: set last.",
}
_WAYS = {"push": "Sent to {peer}", "pull": "Fetched from {peer}"}
_REPLACE = {
    "replace": dg.Field(
        bool, default_value=False, description="what the receiver has besides goes, at the end, if nothing failed"
    )
}


@dataclass(frozen=True, slots=True)
class Made:
    """What the assets of one exchange are made of."""

    project: Project
    exchange: PlacedExchange
    execution: ExchangeExecution

    @property
    def travels(self) -> list[tuple[PlacedPeer, Way]]:
        """Each peer with each of its ways, in the order of the YAML."""
        peers = [PlacedPeer(self.exchange, spec) for spec in self.exchange.spec.peers]
        return [(peer, way) for peer in peers for way in peer.spec.ways]


def step(peer: PlacedPeer, way: Way) -> str:
    """The name of a step, of its pool, and of its schedule and job."""
    return "__".join((slug(peer.exchange.name), slug(peer.name), way))


def exchange_assets(made: Made) -> list[dg.AssetsDefinition]:
    """All assets of an exchange."""
    return [_travel(made, peer, way) for peer, way in made.travels]


def _travel(made: Made, peer: PlacedPeer, way: Way) -> dg.AssetsDefinition:
    """One step for four assets: they come out of one sync, which sends a task with all that belongs to it at once."""
    by_repository = cuts.repositories(cuts.definition_name(peer, way))
    check = dg.AssetCheckSpec(
        TAKEN, asset=asset_key(peer, way, DOCUMENTS), partitions_def=by_repository,
        description="The receiver had nothing newer than what came.",
    )  # fmt: skip

    @dg.multi_asset(
        name=step(peer, way),
        specs=_specs(made, peer, way, by_repository),
        check_specs=[check],
        can_subset=True,
        pool=step(peer, way),
        backfill_policy=dg.BackfillPolicy.single_run(),
        config_schema=_REPLACE,
    )
    def exchange_step(context) -> ExchangeEvents:  # type: ignore[no-untyped-def]  # noqa: ANN001
        yield from run_body(Work(made.execution, made.project, peer, way, context))

    return exchange_step


def _specs(made: Made, peer: PlacedPeer, way: Way, cut: dg.PartitionsDefinition) -> Sequence[dg.AssetSpec]:
    specs: list[dg.AssetSpec] = []
    for name in NAMES:
        mapping = dg.IdentityPartitionMapping()
        specs.append(
            dg.AssetSpec(
                asset_key(peer, way, name),
                partitions_def=cut,
                deps=[dg.AssetDep(specs[-1].key, partition_mapping=mapping)] if specs else [],
                group_name=slug(made.exchange.name),
                kinds={"http"},
                description=_described(made, peer, way, name),
                skippable=True,
            )
        )
    return specs


def _described(made: Made, peer: PlacedPeer, way: Way, name: str) -> str:
    spec = made.exchange.spec
    head = [f"**{spec.title}**"] if spec.title else []
    about = f"{_WAYS[way].format(peer=peer.title)}. {_ABOUT[name]}"
    return "\n\n".join([*head, *([spec.description] if spec.description else []), about])
