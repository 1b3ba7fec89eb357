"""What a fleet's schedules and sensors ask for. Collecting is scripted; Dagster's instance is real."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from sync_assets.components import fleet_kept, fleet_retries
from sync_assets.components.deployment import beta_accepted
from sync_assets.components.fleet_assets import Made, fleet_assets
from sync_assets.components.fleet_partitions import cut_of
from sync_assets.components.fleet_requests import FLEET_TAG
from sync_assets.components.fleet_schedules import fleet_schedules
from sync_assets.components.fleet_sensors import fleet_sensors
from sync_assets.components.partitions import RANGE_END, RANGE_START
from sync_assets.engine.errors import Retry, Stop
from sync_assets.fleet.capacity import Gap, GapKind, GapReason
from sync_assets.fleet.periods import period_of
from sync_assets_tests.fix_fleet_dagster import FLEET, NAMES, Scripted
from sync_assets_tests.fix_project import ProjectOf

NOW = datetime(2026, 11, 23, 3, 5, tzinfo=ZoneInfo("Asia/Shanghai"))  # a Monday; in UTC it is still Sunday

TODAY = NOW.date()


class World:
    """A fleet's ticks at a moment that a test sets."""

    def __init__(self, project_of: ProjectOf, fleet: Scripted, yaml: str = FLEET) -> None:
        self.fleet, self.now = fleet, NOW
        project = project_of(prod=yaml)
        placed = project.fleet("prod")
        self.made = Made(project, placed, cut_of(placed, fleet_kept.kept("prod"), NOW.date()), fleet.execution)
        with beta_accepted():
            self.defs = dg.Definitions(
                assets=fleet_assets(self.made), schedules=fleet_schedules(self.made),
                sensors=fleet_sensors(self.made, lambda: self.now),
            )  # fmt: skip
        self.cursors: dict[str, str | None] = {}

    def sense(self, instance: dg.DagsterInstance, name: str) -> dg.SensorResult:
        sensor = self.defs.resolve_sensor_def(f"prod__{name}")
        context = dg.build_sensor_context(instance, definitions=self.defs, cursor=self.cursors.get(name))
        result = sensor(context)
        assert isinstance(result, dg.SensorResult)
        self.cursors[name] = result.cursor
        return result

    def tick(self, instance: dg.DagsterInstance, name: str) -> list[dg.RunRequest | dg.SkipReason]:
        schedule = self.defs.resolve_schedule_def(f"prod__{name}_schedule")
        context = dg.build_schedule_context(instance, scheduled_execution_time=self.now)
        data = schedule.evaluate_tick(context)
        return list(data.run_requests or []) or [dg.SkipReason(data.skip_message)]


@pytest.fixture
def fleet() -> Scripted:
    return Scripted()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        made.add_dynamic_partitions("prod_instances", list(NAMES))
        yield made


@pytest.fixture
def stored() -> Iterator[dg.DagsterInstance]:
    """On disk: a schedule's context wants to open the instance itself."""
    with dg.instance_for_test() as made:
        made.add_dynamic_partitions("prod_instances", list(NAMES))
        yield made


@pytest.fixture
def world(project_of: ProjectOf, fleet: Scripted, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> World:
    monkeypatch.setenv("SYNC_ASSETS_HOME", str(tmp_path))
    return World(project_of, fleet, FLEET.replace("2026-11-01", "2026-06-01"))


def ranges(requests: Sequence[dg.RunRequest] | None) -> list[tuple[str | None, ...]]:
    """What each request asks for: assets without their prefix, first and last partition."""
    return [
        (*[k.path[-1] for k in r.asset_selection or ()],
         r.partition_key or r.tags.get(RANGE_START), r.partition_key or r.tags.get(RANGE_END))
        for r in requests or []
    ]  # fmt: skip


def asked(found: list[dg.RunRequest | dg.SkipReason]) -> list[tuple[str | None, ...]]:
    return ranges([r for r in found if isinstance(r, dg.RunRequest)])


def test_a_day_is_one_run_labelled_with_its_local_date(world: World, stored: dg.DagsterInstance) -> None:
    """At 03:05 in Shanghai the date of UTC is one behind."""
    assert asked(world.tick(stored, "capacity_snapshot")) == [
        ("capacity_snapshot", f"2026-11-23|{NAMES[0]}", f"2026-11-23|{NAMES[-1]}")
    ]
    assert asked(world.tick(stored, "accounts")) == [
        ("account_inventory", "account_permissions", "account_classification", NAMES[0], NAMES[-1])
    ]


def test_what_a_schedule_asks_for_can_be_run(world: World, fleet: Scripted, stored: dg.DagsterInstance) -> None:
    world.now = datetime.now(UTC)
    repository = world.defs.get_repository_def()
    for name, asset in (("accounts", "account_classification"), ("capacity_snapshot", "capacity_snapshot")):
        (request,) = world.tick(stored, name)
        assert isinstance(request, dg.RunRequest)
        job = repository.get_job(f"prod__{name}_job").get_subset(asset_selection=set(request.asset_selection or ()))
        assert job.execute_in_process(instance=stored, tags=dict(request.tags)).success
        assert len(stored.get_materialized_partitions(dg.AssetKey(["prod", asset]))) == len(NAMES)
    day = world.now.astimezone(NOW.tzinfo).date()
    assert fleet.asked == [("accounts", *NAMES), ("classify", *NAMES), (f"capacity {day}", *NAMES)]


def test_a_run_of_yesterday_still_going_is_not_doubled(world: World, stored: dg.DagsterInstance) -> None:
    stored.create_run_for_job(
        world.defs.resolve_implicit_global_asset_job_def(), status=dg.DagsterRunStatus.STARTED,
        tags={FLEET_TAG: "prod__accounts"},
    )  # fmt: skip
    assert asked(world.tick(stored, "accounts")) == []
    assert len(asked(world.tick(stored, "capacity_snapshot"))) == 1


def test_no_instances_no_run(world: World, stored: dg.DagsterInstance) -> None:
    for name in NAMES:
        stored.delete_dynamic_partition("prod_instances", name)
    (skipped,) = world.tick(stored, "accounts")
    assert isinstance(skipped, dg.SkipReason)
    assert "no instance is known yet" in (skipped.skip_message or "")


# -- instances --------------------------------------------------------------------------------------------------


def test_instances_become_partitions_and_leave_them(
    world: World, fleet: Scripted, instance: dg.DagsterInstance
) -> None:
    fleet.known = ("shop", "订单库", "new")
    result = world.sense(instance, "instances")
    assert fleet.asked == [("look_up", date(2026, 11, 23))]
    assert [(type(r).__name__, list(r.partition_keys)) for r in result.dynamic_partitions_requests or []] == [
        ("AddDynamicPartitionsRequest", ["new"]),
        ("DeleteDynamicPartitionsRequest", ["dead"]),
    ]
    assert fleet_kept.kept("prod") == fleet_kept.Kept(("shop", "订单库", "new"), date(2026, 11, 1))


def test_a_table_that_cannot_be_followed_retires_nobody(
    world: World, fleet: Scripted, instance: dg.DagsterInstance
) -> None:
    fleet.trouble = Stop("the table lists 1 of 300 instances", hint="see keep_above")
    result = world.sense(instance, "instances")
    assert not result.dynamic_partitions_requests
    assert "lists 1 of 300" in str(result.skip_reason)
    fleet.trouble, fleet.error = None, Retry("the control database is starting")
    assert "is starting" in str(world.sense(instance, "instances").skip_reason)


def test_a_kept_list_of_another_version_is_none(world: World) -> None:
    fleet_kept.place("prod").parent.mkdir(parents=True)
    for text in ("", "[]", '{"instances": 3, "since": null}', '{"since": "x", "instances": []}'):
        fleet_kept.place("prod").write_text(text, encoding="utf-8")
        assert fleet_kept.kept("prod") is None


# -- periods ----------------------------------------------------------------------------------------------------


def test_due_periods_are_asked_for_exactly(world: World, fleet: Scripted, instance: dg.DagsterInstance) -> None:
    fleet.due = [period_of("day", date(2026, 11, n)) for n in (17, 18, 19, 21)]
    assert ranges(world.sense(instance, "periods").run_requests) == [
        ("capacity_daily", "2026-11-17", "2026-11-19"),
        ("capacity_daily", "2026-11-21", "2026-11-21"),
    ]
    fleet.due = [period_of("week", date(2026, 11, 9)), period_of("month", date(2026, 10, 1))]
    assert ranges(world.sense(instance, "periods").run_requests) == [
        ("capacity_weekly", "2026-11-09", "2026-11-09"),
        ("capacity_monthly", "2026-10-01", "2026-10-01"),
    ]


def test_days_go_before_their_week_and_months_before_their_quarter(
    world: World, fleet: Scripted, instance: dg.DagsterInstance
) -> None:
    """Otherwise Dagster says of the week, ever after, that it is out of date."""
    day, week = period_of("day", date(2026, 11, 21)), period_of("week", date(2026, 11, 16))
    month, quarter = period_of("month", date(2026, 10, 1)), period_of("quarter", date(2026, 7, 1))
    for due, asked in (([quarter, week, day], ["daily"]), ([quarter, month, week], ["weekly", "monthly"])):
        fleet.due, world.cursors = due, {}
        found = ranges(world.sense(instance, "periods").run_requests)
        assert [str(one[0]) for one in found] == [f"capacity_{kind}" for kind in asked]


def test_a_period_before_the_first_or_not_closed_is_not_asked_for(
    world: World, fleet: Scripted, instance: dg.DagsterInstance
) -> None:
    fleet.due = [period_of("day", date(2026, 11, 23)), period_of("week", date(2019, 1, 1))]
    assert ranges(world.sense(instance, "periods").run_requests) == []


def test_what_stays_due_is_asked_for_more_and_more_rarely(
    world: World, fleet: Scripted, instance: dg.DagsterInstance
) -> None:
    fleet.due = [period_of("week", date(2026, 11, 16))]
    at = []
    for minute in range(0, 24 * 60):
        world.now = NOW + timedelta(minutes=minute)
        if world.sense(instance, "periods").run_requests:
            at.append(minute)
    assert at == [0, 1, 5, 21, 85, 341, 701, 1061, 1421]


def test_a_repaired_period_is_asked_for_at_once(world: World, fleet: Scripted, instance: dg.DagsterInstance) -> None:
    """D8: it was due, was computed, and its inputs changed again within the minute."""
    fleet.due = [period_of("week", date(2026, 11, 16))]
    for _ in range(3):
        assert len(world.sense(instance, "periods").run_requests or []) == 1
        fleet.due, kept = [], fleet.due
        assert not world.sense(instance, "periods").run_requests
        fleet.due = kept


def test_a_day_repaired_while_its_week_was_computed_does_not_wait(
    world: World, fleet: Scripted, instance: dg.DagsterInstance
) -> None:
    """D8: the week is due at every tick, each time for other inputs: its run has written it in between."""
    start = datetime.now(UTC)
    week = period_of("week", start.date()).previous
    fleet.due, asked = [week], []
    for tick in range(14):
        world.now = start + timedelta(milliseconds=tick)
        asked.append(len(world.sense(instance, "periods").run_requests or []))
        instance.report_runless_asset_event(dg.AssetMaterialization(["prod", "capacity_weekly"], partition=week.key))
    assert asked == [1] * 11 + [0] * 3


def test_one_run_of_a_period_at_a_time(world: World, fleet: Scripted, instance: dg.DagsterInstance) -> None:
    fleet.due = [period_of("week", date(2026, 11, 16)), period_of("day", date(2026, 11, 22))]
    instance.create_run_for_job(
        world.defs.resolve_implicit_global_asset_job_def(), status=dg.DagsterRunStatus.STARTED,
        tags={FLEET_TAG: "prod__capacity_weekly"},
    )  # fmt: skip
    assert ranges(world.sense(instance, "periods").run_requests) == [("capacity_daily", "2026-11-22", "2026-11-22")]


# -- another try ------------------------------------------------------------------------------------------------


def gap(
    name: str, reason: GapReason, attempts: int = 1, ago: float = 40, kind: GapKind = "capacity", day: date = TODAY
) -> Gap:
    return Gap(name, kind, day, reason, "nobody answers", attempts, "r", NOW - timedelta(minutes=ago))


def test_passing_trouble_of_today_is_tried_again_and_a_wrong_password_never(
    world: World, fleet: Scripted, instance: dg.DagsterInstance
) -> None:
    """D3, D18: a server that refuses our password would lock the account."""
    fleet.gaps = [gap("shop", "auth"), gap("订单库", "timeout"), gap("dead", "refused", kind="accounts")]
    assert ranges(world.sense(instance, "retries").run_requests) == [
        ("account_inventory", "account_permissions", "account_classification", "dead", "dead"),
        ("capacity_snapshot", "2026-11-23|订单库", "2026-11-23|订单库"),
    ]
    reasons: tuple[GapReason, ...] = ("auth", "privilege", "version", "too_late", "blocked", "other")
    fleet.gaps = [gap(name, reason) for name, reason in zip(NAMES * 2, reasons, strict=True)]
    world.now += timedelta(hours=2)
    assert ranges(world.sense(instance, "retries").run_requests) == []


def test_another_try_comes_every_half_hour_and_some_times(
    world: World, fleet: Scripted, instance: dg.DagsterInstance
) -> None:
    at, attempts = [], 1
    for minute in range(0, 10 * 60, 5):
        world.now = NOW + timedelta(minutes=minute)
        fleet.gaps = [gap("shop", "timeout", attempts=attempts, ago=60)]
        if world.sense(instance, "retries").run_requests:
            at.append(minute)
            attempts += 1
    assert at == [30 * n for n in range(fleet_retries.TRIES - 1)]


def test_what_was_tried_a_moment_ago_waits_and_yesterday_is_over(
    world: World, fleet: Scripted, instance: dg.DagsterInstance
) -> None:
    fleet.gaps = [gap("shop", "timeout", ago=5), gap("dead", "timeout", day=date(2026, 11, 22))]
    assert ranges(world.sense(instance, "retries").run_requests) == []


def test_scattered_failures_are_one_run_where_they_are_many(
    world: World, fleet: Scripted, instance: dg.DagsterInstance
) -> None:
    names = [f"i{n:03}" for n in range(60)]
    instance.add_dynamic_partitions("prod_instances", names)
    fleet.gaps = [gap(name, "timeout") for name in names[::2]]
    assert ranges(world.sense(instance, "retries").run_requests) == [
        ("capacity_snapshot", "2026-11-23|i000", "2026-11-23|i058")
    ]


def test_trouble_with_the_control_database_is_said(world: World, fleet: Scripted, instance: dg.DagsterInstance) -> None:
    fleet.error = Retry("the control database does not answer")
    for name in ("instances", "periods", "retries"):
        result = world.sense(instance, name)
        assert "does not answer" in str(result.skip_reason)
        assert not result.run_requests
