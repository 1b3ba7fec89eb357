"""What a fleet's schedules and sensors ask for: a day's collection, instances that come and go, periods that are due,
and another try for what failed for a passing reason.

The ledger in the control database decides what still needs work, not the colour of a partition. Must not collect or
compute anything itself.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from sync_assets.components import fleet_kept
from sync_assets.components import fleet_partitions as cuts
from sync_assets.components.fleet_assets import Made, shows
from sync_assets.components.fleet_body import CLASSES, INVENTORY, PERMISSIONS, SNAPSHOT, asset_key
from sync_assets.components.fleet_kept import Kept
from sync_assets.components.naming import slug
from sync_assets.components.partitions import contiguous, run_request
from sync_assets.engine.errors import SyncError
from sync_assets.fleet.periods import PeriodName

FLEET_TAG = "sync_assets/fleet"  # on every run that we ask for: FLEET__STEP
RETRY_EVERY = timedelta(minutes=30)
TRIES = 8  # of one instance on one day, over all runs; three passing failures an hour apart are not the last word
PASSING = ("dns", "refused", "timeout", "lost", "protocol")  # never auth: the server would lock our account
_MOST_RUNS = 10  # that one tick asks for; beyond, one run takes all in between
_WAITING = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


def running(instance: dg.DagsterInstance, tag: str) -> bool:
    """Whether a run that we asked for, of this step, waits or runs."""
    return bool(instance.get_run_ids(dg.RunsFilter(statuses=_WAITING, tags={FLEET_TAG: tag}), limit=1))


# -- schedules --------------------------------------------------------------------------------------------------


def fleet_schedules(made: Made) -> list[dg.ScheduleDefinition]:
    """One for the accounts and one for the capacity, where the YAML has a cron line."""
    spec = made.fleet.spec
    parts: list[tuple[str, str | None, Sequence[str]]] = [
        ("accounts", spec.accounts.schedule, (INVENTORY, PERMISSIONS, CLASSES)),
        (SNAPSHOT, spec.capacity.schedule, (SNAPSHOT,)),
    ]
    return [_schedule(made, name, cron, assets) for name, cron, assets in parts if cron]


def _schedule(made: Made, name: str, cron: str, assets: Sequence[str]) -> dg.ScheduleDefinition:
    keys = [asset_key(made.fleet.name, asset) for asset in assets]
    return dg.ScheduleDefinition(
        name=f"{made.step(name)}_schedule",
        job=dg.define_asset_job(f"{made.step(name)}_job", selection=dg.AssetSelection.assets(*keys)),
        cron_schedule=cron,
        execution_timezone=str(made.fleet.time_zone),
        default_status=dg.DefaultScheduleStatus.RUNNING,
        execution_fn=_collection(made, name, keys),
        description=f"{cron} ({made.fleet.time_zone}): all instances of {made.fleet.name}",
    )


def _collection(
    made: Made, name: str, assets: Sequence[dg.AssetKey]
) -> Callable[[dg.ScheduleEvaluationContext], Iterator[dg.RunRequest | dg.SkipReason]]:
    def tick(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        """The day is that of the tick as it was planned: one that comes late is the same day's all the same."""
        day = context.scheduled_execution_time.astimezone(made.fleet.time_zone).date()
        keys = order(made, context.instance, name, day)
        if not keys:
            yield dg.SkipReason("no instance is known yet: the sensor that looks for them has not run")
        elif running(context.instance, made.step(name)):
            yield dg.SkipReason("a run for this fleet is still waiting or running")
        else:
            yield run_request(assets, keys, tags={FLEET_TAG: made.step(name)})

    return tick


def order(made: Made, instance: dg.DagsterInstance, name: str, day: date) -> list[str]:
    """The partitions of the accounts, or those of the capacity of one day, in Dagster's order."""
    known = list(instance.get_dynamic_partitions(cuts.instances_name(made.fleet.name)))
    if name != SNAPSHOT:
        return known
    members = known if made.cut.by == "instance" else list(made.cut.members)
    return [cuts.snapshot_key(day, member) for member in members]


# -- sensors ----------------------------------------------------------------------------------------------------


def fleet_sensors(made: Made, now: Clock = utc_now) -> list[dg.SensorDefinition]:
    """Who belongs to the fleet; which periods are due; what is to be tried again."""
    source = made.fleet.spec.instances_from
    collected = [asset_key(made.fleet.name, name) for name in (INVENTORY, PERMISSIONS, CLASSES, SNAPSHOT)]
    computed = [asset_key(made.fleet.name, cuts.asset_of_period(p)) for p in cuts.PERIODS if shows(made.fleet, p)]
    return [
        _sensor(made, "instances", source.every if source else 30, _instances(made, now), [],
                "Adopts new instances, retires those that have left, and makes partitions of them."),
        _sensor(made, "periods", 60, _periods(made, now), computed,
                "Asks for closed periods that were never computed, or from other inputs than there are now."),
        _sensor(made, "retries", 60, _retries(made, now), collected,
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
        moment = now()
        due: dict[PeriodName, list[str]] = {}
        for period in made.execution.due(made.project, made.fleet, moment):
            if shows(made.fleet, period.name):
                due.setdefault(period.name, []).append(period.key)
        asked: dict[str, list[float]] = json.loads(context.cursor) if context.cursor else {}
        still = {f"{name}:{key}" for name, keys in due.items() for key in keys}
        asked = {key: tried for key, tried in asked.items() if key in still}
        requests: list[dg.RunRequest] = []
        for name, keys in due.items():
            if not running(context.instance, made.step(cuts.asset_of_period(name))):
                requests += _due_runs(made, name, keys, asked, moment)
        return dg.SensorResult(
            run_requests=requests, cursor=json.dumps(asked), skip_reason=None if requests else "nothing is due"
        )

    return tick


def _due_runs(
    made: Made, name: PeriodName, keys: Sequence[str], asked: dict[str, list[float]], moment: datetime
) -> Iterator[dg.RunRequest]:
    """Runs for those due keys whose turn it is: one that stays due after its run is asked for again more and more
    rarely, up to every six hours."""
    definition, tag = cuts.closed(made.cut, name), made.step(cuts.asset_of_period(name))
    with dg.partition_loading_context(effective_dt=moment):
        existing = list(definition.get_partition_keys())
    ready = [key for key in keys if _ripe(asked.get(f"{name}:{key}"), moment)]
    for keys_of_run in _runs(ready, existing):
        for key in keys_of_run:
            tries = asked.get(f"{name}:{key}", [0, 0])[0]
            asked[f"{name}:{key}"] = [tries + 1, moment.timestamp()]
        yield run_request([asset_key(made.fleet.name, cuts.asset_of_period(name))], keys_of_run, tags={FLEET_TAG: tag})


def _ripe(before: Sequence[float] | None, moment: datetime) -> bool:
    if before is None:
        return True
    tries, last = before
    return bool(moment.timestamp() - last >= min(60 * 4 ** (tries - 1), 6 * 3600))


def _runs(wanted: Sequence[str], existing: Sequence[str]) -> list[list[str]]:
    """The fewest runs that take exactly the wanted keys; one over all in between where those were too many."""
    runs = contiguous(wanted, existing)
    return runs if len(runs) <= _MOST_RUNS else [cuts.spanning(wanted, existing)]


# -- another try ------------------------------------------------------------------------------------------------


def _retries(made: Made, now: Clock) -> Callable[[dg.SensorEvaluationContext], dg.SensorResult]:
    def tick(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        moment = now()
        today = moment.astimezone(made.fleet.time_zone).date()
        last: dict[str, float] = json.loads(context.cursor) if context.cursor else {}
        requests: list[dg.RunRequest] = []
        for name, kind in (("accounts", "accounts"), (SNAPSHOT, "capacity")):
            asked = datetime.fromtimestamp(last.get(kind, 0), UTC)
            failed = _again(made, kind, today, moment) if moment - asked >= RETRY_EVERY else []
            if failed and not running(context.instance, made.step(name)):
                requests += _tries(made, context.instance, name, today, failed)
                last[kind] = moment.timestamp()
        return dg.SensorResult(
            run_requests=requests, cursor=json.dumps(last), skip_reason=None if requests else "nothing to try again"
        )

    return tick


def _again(made: Made, kind: str, today: date, moment: datetime) -> list[str]:
    """Instances with a gap of today that may close by itself, and that was not tried a moment ago."""
    return [
        gap.instance
        for gap in made.execution.gaps(made.fleet, today)
        if gap.kind == kind
        and gap.reason in PASSING
        and gap.attempts < TRIES
        and moment - gap.recorded_at >= RETRY_EVERY
    ]


def _tries(
    made: Made, instance: dg.DagsterInstance, name: str, today: date, failed: Sequence[str]
) -> Iterator[dg.RunRequest]:
    assets = [SNAPSHOT] if name == SNAPSHOT else [INVENTORY, PERMISSIONS, CLASSES]
    members = {made.cut.member_of(one) if name == SNAPSHOT else one for one in failed}
    wanted = [cuts.snapshot_key(today, m) for m in sorted(members)] if name == SNAPSHOT else sorted(members)
    for keys in _runs(wanted, order(made, instance, name, today)):
        yield run_request(
            [asset_key(made.fleet.name, asset) for asset in assets], keys, tags={FLEET_TAG: made.step(name)}
        )
