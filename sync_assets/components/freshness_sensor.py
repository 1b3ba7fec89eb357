"""Looks at `fresh_within` between runs and reports the freshness check, because a run that never came cannot.

Reports only what is new: a check that turns red or green, and once an hour what is still so.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import dagster as dg

from sync_assets.components.checks import FRESHNESS
from sync_assets.components.freshness import evaluate
from sync_assets.components.naming import written_key
from sync_assets.project.load import PlacedSync, Project

EVERY = 60  # seconds
REPEAT = 3600.0  # seconds


def freshness_sensor(project: Project) -> dg.SensorDefinition | None:
    """One sensor for all syncs with `fresh_within`, or None."""
    watched = [sync for sync in project.syncs.values() if sync.spec.fresh_within]
    if not watched:
        return None
    return dg.SensorDefinition(
        name="freshness",
        evaluation_fn=_tick(watched),
        asset_selection=dg.AssetSelection.assets(*(written_key(sync) for sync in watched)),
        minimum_interval_seconds=EVERY,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Turns the freshness check red when the newest data is older than fresh_within.",
    )


def _tick(watched: list[PlacedSync]) -> Callable[[dg.SensorEvaluationContext], dg.SensorResult]:
    def tick(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        known: dict[str, list[float]] = json.loads(context.cursor) if context.cursor else {}
        found = list(_news(context.instance, watched, known, datetime.now(UTC)))
        return dg.SensorResult(
            asset_events=found, cursor=json.dumps(known), skip_reason=None if found else "nothing new"
        )

    return tick


def _news(
    instance: dg.DagsterInstance, watched: list[PlacedSync], known: dict[str, list[float]], now: datetime
) -> Iterator[dg.AssetCheckEvaluation]:
    """Evaluations worth reporting; `known` is brought up to date: sync -> [passed, unix time of the report]."""
    for sync in watched:
        result = evaluate(instance, sync, now)
        passed, reported = known.get(sync.spec.name, [-1.0, 0.0])
        if passed == float(result.passed) and now.timestamp() - reported < REPEAT:
            continue
        known[sync.spec.name] = [float(result.passed), now.timestamp()]
        yield dg.AssetCheckEvaluation(
            asset_key=written_key(sync),
            check_name=FRESHNESS,
            passed=result.passed,
            severity=result.severity,
            description=result.description,
            metadata=result.metadata,
        )
