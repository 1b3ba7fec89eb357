"""What schedules and sensors ask for, with the engine scripted and the clock given."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from sync_assets.components import freshness, sensors
from sync_assets.components.deployment import whole_definitions
from sync_assets.components.partitions import contiguous
from sync_assets.components.schedules import REQUEST_TAG, requests
from sync_assets.components.sensors import Cursor, changes
from sync_assets.engine.errors import Retry
from sync_assets.engine.model import Observation
from sync_assets_tests.fix_project import ProjectOf, Script

ZONE = ZoneInfo("Asia/Shanghai")
BOARD = "https://acme.feishu.cn/base/bascnExample?table="
SHOP = f"""
type: sync_assets.components.TableSync
attributes:
  source: shop
  target: feishu
  schedule: "0 * * * *"
  syncs:
    - name: daily
      table: orders
      bitable: {BOARD}tblDaily
      key: [id]
      watermark: updated_at
      sensor: {{every: 30, windows: 4}}
      fresh_within: 26h
      partitions: {{every: day, start: 2026-10-01, column: updated_at}}
    - {{name: customers, table: customers, bitable: "{BOARD}tblC", key: [id], fresh_within: 90m}}
    - {{name: products, table: products, bitable: "{BOARD}tblP", key: [id]}}
    - name: regions
      table: sales
      bitable: {BOARD}tblR
      key: [id]
      fresh_within: 2d
      partitions: {{column: region, values: [north, south, west]}}
"""
DAILY = dg.AssetKey(["feishu", "daily"])


@pytest.fixture
def stored() -> Iterator[dg.DagsterInstance]:
    """On disk: a schedule's context wants to open the instance itself."""
    with dg.instance_for_test() as made:
        yield made


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZONE)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def written(instance: dg.DagsterInstance, key: dg.AssetKey, partition: str | None = None) -> None:
    instance.report_runless_asset_event(dg.AssetMaterialization(key, partition=partition))


def wants(found: Iterator[dg.RunRequest]) -> list[tuple[list[str], str | None, str | None, str | None]]:
    return [
        (
            [key.path[-1] for key in request.asset_selection or ()],
            request.partition_key,
            request.tags.get("dagster/asset_partition_range_start"),
            request.tags.get("dagster/asset_partition_range_end"),
        )
        for request in found
    ]


def test_unpartitioned_syncs_of_a_file_share_one_run(project_of: ProjectOf, instance: dg.DagsterInstance) -> None:
    syncs = project_of(shop=SHOP).syncs
    found = requests(instance, [syncs["customers"], syncs["products"]], at("2026-10-05T09:00"))
    assert wants(found) == [(["customers", "products"], None, None, None)]


def test_fixed_values_are_asked_for_as_one_range(project_of: ProjectOf, instance: dg.DagsterInstance) -> None:
    found = requests(instance, [project_of(shop=SHOP).syncs["regions"]], at("2026-10-05T09:00"))
    assert wants(found) == [(["regions"], None, "north", "west")]


def test_a_tick_wants_the_window_before_once_more_after_it_closed(
    project_of: ProjectOf, instance: dg.DagsterInstance
) -> None:
    syncs, now = [project_of(shop=SHOP).syncs["daily"]], datetime.now(ZONE)
    today, tick = now.strftime("%Y-%m-%d"), now.replace(hour=23, minute=30)
    ((_, single, start, end),) = wants(requests(instance, syncs, tick))
    assert (single, end) == (None, today)
    written(instance, DAILY, start)  # after it closed: now
    assert wants(requests(instance, syncs, tick)) == [(["daily"], today, None, None)]


def test_a_window_written_only_while_it_was_open_is_asked_for_again(
    project_of: ProjectOf, instance: dg.DagsterInstance
) -> None:
    syncs, now = [project_of(shop=SHOP).syncs["daily"]], datetime.now(ZONE)
    today = now.strftime("%Y-%m-%d")
    written(instance, DAILY, today)  # as the current window
    tomorrow = now.replace(hour=12) + freshness.timedelta(days=1)
    ((_, _, start, end),) = wants(requests(instance, syncs, tomorrow))
    assert (start, end) == (today, tomorrow.strftime("%Y-%m-%d"))


def test_run_per_partition_is_one_request_each(project_of: ProjectOf, instance: dg.DagsterInstance) -> None:
    text = SHOP.replace("name: regions", "name: regions\n      backfill: run_per_partition")
    found = requests(instance, [project_of(shop=text).syncs["regions"]], at("2026-10-05T09:00"))
    assert [one[1] for one in wants(found)] == ["north", "south", "west"]


def test_a_schedule_does_not_pile_up_runs(project_of: ProjectOf, script: Script, stored: dg.DagsterInstance) -> None:
    defs = whole_definitions(project_of(shop=SHOP), script.execution)
    repository = defs.get_repository_def()
    schedule = repository.get_schedule_def("shop_schedule")
    assert schedule.execution_timezone == "Asia/Shanghai"
    context = dg.build_schedule_context(stored, scheduled_execution_time=at("2026-10-05T09:00"))
    (request,) = schedule.evaluate_tick(context).run_requests
    run = stored.create_run_for_job(
        repository.get_job("shop_sync"), tags={REQUEST_TAG: request.tags[REQUEST_TAG]},
        status=dg.DagsterRunStatus.STARTED)  # fmt: skip
    assert schedule.evaluate_tick(context).run_requests == []
    stored.report_run_canceled(run)
    assert len(schedule.evaluate_tick(context).run_requests) == 1


def test_every_schedule_asks_for_what_its_job_can_do(
    project_of: ProjectOf, script: Script, stored: dg.DagsterInstance
) -> None:
    defs = whole_definitions(project_of(shop=SHOP), script.execution)
    repository = defs.get_repository_def()
    assert {s.name for s in repository.schedule_defs} == {"shop_day_schedule", "shop_schedule", "shop_values_schedule"}
    for schedule in repository.schedule_defs:
        context = dg.build_schedule_context(
            stored, repository_def=repository, scheduled_execution_time=at("2026-10-05T09:00"))  # fmt: skip
        for request in schedule.evaluate_tick(context).run_requests:
            job = repository.get_job(schedule.job_name)
            result = job.get_subset(asset_selection=set(request.asset_selection or ())).execute_in_process(
                instance=stored, tags=dict(request.tags), partition_key=request.partition_key)  # fmt: skip
            assert result.success
    assert {name for name, _ in script.runs} == {"daily", "customers", "products", "regions"}


# -- sensors ----------------------------------------------------------------------------------------------------

NOON = at("2026-10-05T12:00")


def look(project_of: ProjectOf, script: Script, cursor: Cursor) -> list[dg.RunRequest]:
    project = project_of(shop=SHOP)
    return list(changes(project, project.syncs["daily"], script.execution, cursor, NOON))


def test_a_sensor_asks_only_for_what_changed(project_of: ProjectOf, script: Script) -> None:
    cursor = Cursor()
    script.seen = {"2026-10-03": Observation(3, "a"), "2026-10-05": Observation(1, "b")}
    first = wants(iter(look(project_of, script, cursor)))
    assert first == [(["daily"], "2026-10-03", None, None), (["daily"], "2026-10-05", None, None)]
    assert script.looks == [("daily", ("2026-10-02", "2026-10-03", "2026-10-04", "2026-10-05"))]
    cursor = Cursor.read(cursor.write())
    assert look(project_of, script, cursor) == []
    script.seen["2026-10-03"] = Observation(4, "a2")  # a late row in an old window
    assert wants(iter(look(project_of, script, cursor))) == [(["daily"], "2026-10-03", None, None)]


def test_an_emptied_window_is_a_change_and_an_empty_new_one_is_none(project_of: ProjectOf, script: Script) -> None:
    cursor = Cursor()
    assert look(project_of, script, cursor) == []
    script.seen = {"2026-10-04": Observation(3, "a")}
    assert len(look(project_of, script, cursor)) == 1
    script.seen = {}
    assert wants(iter(look(project_of, script, cursor))) == [(["daily"], "2026-10-04", None, None)]


def test_neighbours_are_one_run_and_a_return_to_an_old_version_is_asked_for(
    project_of: ProjectOf, script: Script
) -> None:
    cursor, keys = Cursor(), []
    for rows in (1, 2, 1):
        script.seen = {"2026-10-03": Observation(rows, "a"), "2026-10-04": Observation(rows, "a")}
        (request,) = look(project_of, script, cursor)
        assert request.tags["dagster/asset_partition_range_end"] == "2026-10-04"
        keys.append(request.run_key)
    assert len(set(keys)) == 3
    assert all(len(key or "") == 24 for key in keys)


def test_a_source_that_is_away_costs_a_skip_and_keeps_the_cursor(
    project_of: ProjectOf, script: Script, instance: dg.DagsterInstance
) -> None:
    defs = whole_definitions(project_of(shop=SHOP), script.execution)
    sensor = defs.get_repository_def().get_sensor_def("shop_changes")
    before = Cursor(seen={"daily": {"2026-10-03": "3:a"}}).write()
    script.error = Retry("shop does not answer")
    with dg.build_sensor_context(instance, cursor=before, definitions=defs) as context:
        result = sensor.evaluate_tick(context)
    assert result.run_requests == []
    assert result.skip_message == "daily: shop does not answer"
    assert Cursor.read(result.cursor).seen == {"daily": {"2026-10-03": "3:a"}}


def test_a_tick_has_a_budget_and_the_next_one_goes_on(
    project_of: ProjectOf, script: Script, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = SHOP.replace("name: customers, ", "name: customers, watermark: u, sensor: {every: 30}, ")
    defs = whole_definitions(project_of(shop=text), script.execution)
    sensor = defs.get_repository_def().get_sensor_def("shop_changes")
    monkeypatch.setattr(sensors, "TICK_SECONDS", -1.0)
    with dg.build_sensor_context(instance, definitions=defs) as context:
        assert sensor.evaluate_tick(context).run_requests == []
    assert script.looks == []
    monkeypatch.undo()
    with dg.build_sensor_context(instance, definitions=defs) as context:
        sensor.evaluate_tick(context)
    assert [name for name, _ in script.looks] == ["daily", "customers"]


def test_a_query_of_the_users_speaks_for_all_windows(project_of: ProjectOf, script: Script) -> None:
    text = SHOP.replace("{every: 30, windows: 4}", "{by: query, query: select max(id) from log, windows: 2}")
    project, cursor = project_of(shop=text), Cursor()
    execution = script.execution
    for mark, asked in (("7", 1), ("7", 0), ("8", 1)):
        look_at = Observation(None, mark)
        execution = dataclasses.replace(script.execution, observe=lambda *_, seen=look_at: {"": seen})
        found = wants(changes(project, project.syncs["daily"], execution, cursor, NOON))
        assert found == [(["daily"], None, "2026-10-04", "2026-10-05")] * asked


def test_what_a_sensor_sees_is_shown_on_the_source(
    project_of: ProjectOf, script: Script, instance: dg.DagsterInstance
) -> None:
    text = SHOP.replace("name: customers, ", "name: customers, watermark: u, sensor: {every: 30}, ")
    defs = whole_definitions(project_of(shop=text), script.execution)
    script.seen = {"": Observation(240, "2026-10-05T11:00:00")}
    with dg.build_sensor_context(instance, definitions=defs) as context:
        result = defs.get_repository_def().get_sensor_def("shop_changes").evaluate_tick(context)
    (event,) = [e for e in result.asset_events if e.asset_key.path[-1] == "customers"]
    assert event.tags["dagster/data_version"] == "240:2026-10-05T11:00:00"
    assert event.metadata["dagster/row_count"].value == 240


def test_contiguous_follows_the_order() -> None:
    assert contiguous(["b", "d", "c", "a"], list("abxcde")) == [["a", "b"], ["c", "d"]]
    assert contiguous([], list("abc")) == []


# -- freshness --------------------------------------------------------------------------------------------------


def verdict(instance: dg.DagsterInstance, project_of: ProjectOf, name: str, hours: float) -> bool:
    now = datetime.now(ZONE) + freshness.timedelta(hours=hours)
    return freshness.evaluate(instance, project_of(shop=SHOP).syncs[name], now).passed


def test_freshness_of_a_whole_sync_is_its_age(project_of: ProjectOf, instance: dg.DagsterInstance) -> None:
    assert not verdict(instance, project_of, "customers", 0)
    written(instance, dg.AssetKey(["feishu", "customers"]))
    assert verdict(instance, project_of, "customers", 1.4)
    assert not verdict(instance, project_of, "customers", 1.6)


def test_a_backfill_of_an_old_window_is_not_fresh_data(project_of: ProjectOf, instance: dg.DagsterInstance) -> None:
    written(instance, DAILY, "2026-10-02")
    assert not verdict(instance, project_of, "daily", 0)
    written(instance, DAILY, datetime.now(ZONE).strftime("%Y-%m-%d"))
    assert verdict(instance, project_of, "daily", 0)
    assert not verdict(instance, project_of, "daily", 72)


def test_fixed_values_are_as_fresh_as_the_oldest(project_of: ProjectOf, instance: dg.DagsterInstance) -> None:
    key, times = dg.AssetKey(["feishu", "regions"]), []
    for value in ("north", "south", "west"):
        assert not verdict(instance, project_of, "regions", 0)
        written(instance, key, value)
        times.append(freshness.last_written(instance, key, value))
    assert verdict(instance, project_of, "regions", 0)
    sync = project_of(shop=SHOP).syncs["regions"]
    assert freshness.written_at(instance, sync, NOON) == times[0] != times[2]


def test_the_freshness_sensor_reports_what_is_new_only(
    project_of: ProjectOf, script: Script, instance: dg.DagsterInstance
) -> None:
    defs = whole_definitions(project_of(shop=SHOP), script.execution)
    sensor = defs.get_repository_def().get_sensor_def("freshness")
    with dg.build_sensor_context(instance, definitions=defs) as context:
        first = sensor.evaluate_tick(context)
    assert {e.asset_key.path[-1]: e.passed for e in first.asset_events} == {
        "daily": False, "customers": False, "regions": False}  # fmt: skip
    written(instance, dg.AssetKey(["feishu", "customers"]))
    with dg.build_sensor_context(instance, cursor=first.cursor, definitions=defs) as context:
        second = sensor.evaluate_tick(context)
    assert [(e.asset_key.path[-1], e.passed) for e in second.asset_events] == [("customers", True)]
