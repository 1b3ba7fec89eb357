"""The sensors of an exchange: repositories that come and go, here and at each peer; and what a group is told.

Must not exchange anything.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import dagster as dg

from sync_assets.components import exchange_partitions as cuts
from sync_assets.components.exchange_alerts import alerts
from sync_assets.components.exchange_assets import Made
from sync_assets.components.naming import slug
from sync_assets.engine.errors import SyncError

if TYPE_CHECKING:
    from sync_assets.exchange.model import Repository

Tick = Callable[[dg.SensorEvaluationContext], dg.SensorResult]


def exchange_sensors(made: Made) -> list[dg.SensorDefinition]:
    """One for our repositories, one for those of each peer: one that is silent holds up no other."""
    name, every = slug(made.exchange.name), made.exchange.spec.every
    found: list[dg.SensorDefinition] = []
    pushed = [peer for peer, way in made.travels if way == "push"]
    if pushed:
        tick = _repositories(cuts.definition_name(pushed[0], "push"), lambda: made.execution.local(made.exchange.spec))
        found.append(_sensor(f"{name}__repositories", every, tick, "Makes partitions of our repositories."))
    for peer in (peer for peer, way in made.travels if way == "pull"):
        tick = _repositories(cuts.definition_name(peer, "pull"), lambda peer=peer: made.execution.remote(peer))  # type: ignore[misc]
        about = f"Makes partitions of the repositories of {peer.title}."
        found.append(_sensor(f"{name}__{slug(peer.name)}__repositories", every, tick, about))
    if made.exchange.spec.alerts:
        about = "Tells the group of repositories that failed: once for each trouble, and when it is over."
        found.append(_sensor(f"{name}__alerts", 60, alerts(made), about))
    return found


def _sensor(name: str, every: int, tick: Tick, about: str) -> dg.SensorDefinition:
    return dg.SensorDefinition(
        name=name,
        evaluation_fn=_careful(tick),
        minimum_interval_seconds=every,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=about,
    )


def _careful(tick: Tick) -> Tick:
    """Trouble with the control database or a peer is said, and the next tick tries again."""

    def evaluate(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        try:
            return tick(context)
        except SyncError as error:
            context.log.warning(str(error))
            return dg.SensorResult(skip_reason=str(error), cursor=context.cursor)

    return evaluate


def _repositories(name: str, look: Callable[[], Sequence["Repository"]]) -> Tick:
    definition = cuts.repositories(name)

    def tick(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        found = look()
        new, gone = cuts.differences(found, context.instance.get_dynamic_partitions(name))
        adding = [definition.build_add_request(new)] if new else []
        leaving = [definition.build_delete_request(gone)] if gone else []
        return dg.SensorResult(
            dynamic_partitions_requests=[*adding, *leaving], skip_reason=f"{len(found)} repositories"
        )

    return tick
