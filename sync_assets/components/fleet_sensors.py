"""The sensors of a fleet: instances that come and go, periods that are due, another try, and what a group is told.

The ledger in the control database decides what still needs work, not the colour of a partition. Must not collect or
compute anything itself.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

import dagster as dg

from sync_assets.components import fleet_kept
from sync_assets.components import fleet_partitions as cuts
from sync_assets.components.fleet_alerts import alerts
from sync_assets.components.fleet_assets import Made
from sync_assets.components.fleet_body import CLASSES, INVENTORY, PERMISSIONS, SNAPSHOT, asset_key
from sync_assets.components.fleet_kept import Kept
from sync_assets.components.fleet_requests import FLEET_TAG, Clock, running, runs_over, utc_now
from sync_assets.components.fleet_retries import retries
from sync_assets.components.freshness import last_written
from sync_assets.components.naming import slug
from sync_assets.components.partitions import run_request
from sync_assets.engine.errors import SyncError
from sync_assets.fleet.periods import PeriodName

_NEW_INPUTS = 10  # times that a period may be due again right after it was written
_LONGEST = 6 * 3600.0  # seconds between two requests for a period that stays due
_TELLS = "Tells the group what is new in accounts, gaps and sizes: once for each trouble, and when it is over."


def fleet_sensors(made: Made, now: Clock = utc_now) -> list[dg.SensorDefinition]:
    """Who belongs to the fleet; which periods are due; what is to be tried again."""
    source = made.fleet.spec.instances_from
    collected = [asset_key(made.fleet.name, name) for name in (INVENTORY, PERMISSIONS, CLASSES, SNAPSHOT)]
    computed = [asset_key(made.fleet.name, cuts.asset_of_period(p)) for p in cuts.PERIODS if cuts.shows(made.fleet, p)]
    telling = [_sensor(made, "alerts", 60, alerts(made, now), [], _TELLS)] if made.fleet.spec.alerts else []
    return [
        *telling,
        _sensor(made, "instances", source.every if source else 30, _instances(made, now), [],
                "Adopts new instances, retires those that have left, and makes partitions of them."),
        _sensor(made, "periods", 30, _periods(made, now), computed,
                "Asks for closed periods that were never computed, or from other inputs than there are now."),
        _sensor(made, "retries", 60, retries(made, now), collected,
                "Asks again for what failed today for a passing reason."),
    ]  # fmt: skip


def _sensor(
    made: Made,
    name: str,
    every: int,
    tick: Callable[[dg.SensorEvaluationContext], dg.SensorResult],
    assets: Sequence[dg.AssetKey],
    about: str,
) -> dg.SensorDefinition:
    return dg.SensorDefinition(
        name=f"{slug(made.fleet.name)}__{name}",
        evaluation_fn=_careful(tick),
        asset_selection=dg.AssetSelection.assets(*assets) if assets else None,
        minimum_interval_seconds=every,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=about,
    )


def _careful(
    tick: Callable[[dg.SensorEvaluationContext], dg.SensorResult],
) -> Callable[[dg.SensorEvaluationContext], dg.SensorResult]:
    """Trouble with the control database is said, and the next tick tries again."""

    def evaluate(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        try:
            return tick(context)
        except SyncError as error:
            context.log.warning(str(error))
            return dg.SensorResult(skip_reason=str(error), cursor=context.cursor)

    return evaluate


def _instances(made: Made, now: Clock) -> Callable[[dg.SensorEvaluationContext], dg.SensorResult]:
    definition = cuts.instances(made.fleet.name)

    def tick(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        fleet = made.fleet
        today = now().astimezone(fleet.time_zone).date()
        found = made.execution.look_up(made.project, fleet, today)
        if found.trouble:
            context.log.warning(str(found.trouble))
        _keep(made, found.present, context.log.warning)
        shown = set(context.instance.get_dynamic_partitions(definition.name or ""))
        new = [name for name in found.present if name not in shown]
        gone = sorted(shown - set(found.present))
        requests = [definition.build_add_request(new)] if new else []
        leaving = [definition.build_delete_request(gone)] if gone else []
        said = str(found.trouble) if found.trouble else f"{len(found.present)} instances"
        return dg.SensorResult(dynamic_partitions_requests=[*requests, *leaving], skip_reason=said)

    return tick


def _keep(made: Made, present: Sequence[str], warn: Callable[[str], None]) -> None:
    """Remember for the next load who belongs to the fleet, and since when there is anybody."""
    before = fleet_kept.kept(made.fleet.name)
    if before and before.instances == tuple(present):
        return
    days = [m.adopted_on for m in made.execution.members(made.project, made.fleet).values() if m.adopted_on]
    days += [before.since] if before and before.since else []
    known = Kept(tuple(present), min(days, default=None))
    fleet_kept.keep(made.fleet.name, known)
    now_cut = cuts.cut_of(made.fleet, known, made.cut.starts + timedelta(days=made.fleet.spec.capacity.window))
    if now_cut.by != made.cut.by or now_cut.since < made.cut.since:
        warn("the fleet has grown: reload the code location, so that all of its partitions are shown")


# -- periods ----------------------------------------------------------------------------------------------------


def _periods(made: Made, now: Clock) -> Callable[[dg.SensorEvaluationContext], dg.SensorResult]:
    def tick(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        """What a period comes from in the lineage goes first: else Dagster would show it as out of date ever after."""
        moment = now()
        due: dict[PeriodName, list[str]] = {}
        for period in made.execution.due(made.project, made.fleet, moment):
            if cuts.shows(made.fleet, period.name):
                due.setdefault(period.name, []).append(period.key)
        asked: dict[str, list[float]] = json.loads(context.cursor) if context.cursor else {}
        still = {f"{name}:{key}" for name, keys in due.items() for key in keys}
        asked = {key: tried for key, tried in asked.items() if key in still}
        requests, held = list[dg.RunRequest](), set[PeriodName]()
        for name in cuts.PERIODS:
            if (
                running(context.instance, made.step(cuts.asset_of_period(name)))
                or cuts.source_of(made.fleet, name) in held
            ):
                held.add(name)
                continue
            ready = [k for k in due.get(name, ()) if _ripe(made, context.instance, name, k, asked, moment)]
            runs = list(_due_runs(made, name, ready, asked, moment))
            requests += runs
            held |= {name} if runs else set()
        return dg.SensorResult(
            run_requests=requests, cursor=json.dumps(asked), skip_reason=None if requests else "nothing is due"
        )

    return tick


def _due_runs(
    made: Made, name: PeriodName, keys: Sequence[str], asked: dict[str, list[float]], moment: datetime
) -> Iterator[dg.RunRequest]:
    """Runs over exactly these keys, as far as they exist; `asked` is told of them."""
    definition, tag = cuts.closed(made.cut, name), made.step(cuts.asset_of_period(name))
    with dg.partition_loading_context(effective_dt=moment):
        existing = list(definition.get_partition_keys())
    for keys_of_run in runs_over(keys, existing):
        for key in keys_of_run:
            tries = asked.get(f"{name}:{key}", [0, 0])[0]
            asked[f"{name}:{key}"] = [tries + 1, moment.timestamp()]
        yield run_request([asset_key(made.fleet.name, cuts.asset_of_period(name))], keys_of_run, tags={FLEET_TAG: tag})


def _ripe(
    made: Made,
    instance: dg.DagsterInstance,
    name: PeriodName,
    key: str,
    asked: dict[str, list[float]],
    moment: datetime,
) -> bool:
    """Whether it is a due period's turn. One that stays due after its run is asked for more and more rarely."""
    tries, last = asked.get(f"{name}:{key}", (0, 0))
    if not tries:
        return True
    written = last_written(instance, asset_key(made.fleet.name, cuts.asset_of_period(name)), key)
    return moment.timestamp() - last >= _wait(int(tries), written is not None and written > last)


def _wait(tries: int, written: bool) -> float:
    """Seconds between two requests. A period that was written and is due nonetheless has met new inputs, and does not
    wait; but not for ever, lest a fault of ours makes a run each half minute."""
    steps = tries - 1 - (_NEW_INPUTS if written else 0)
    return 0.0 if steps < 0 else min(60.0 * 4**steps, _LONGEST)
