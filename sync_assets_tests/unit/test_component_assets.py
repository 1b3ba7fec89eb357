"""What a project looks like in Dagster, and what a run of it records; the engine is scripted."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from sync_assets.components import body
from sync_assets.components.deployment import whole_definitions
from sync_assets.engine.errors import Retry, Stop
from sync_assets.engine.model import Change, Column, ColumnType, Counts, Observation, Outcome, Rejected, SyncErrorInfo
from sync_assets_tests.fix_project import ProjectOf, Script

BOARD = "https://acme.feishu.cn/base/bascnExample?table="
DAILY = f"""
type: sync_assets.components.TableSync
attributes:
  source: shop
  target: feishu
  syncs:
    - name: orders_board
      title: 订单
      table: orders
      bitable: {BOARD}tblOrders
      key: [order_id]
      partitions: {{every: day, start: 2026-10-01, column: updated_at}}
"""
WHOLE = f"""
type: sync_assets.components.TableSync
attributes:
  source: shop
  target: feishu
  syncs:
    - {{name: customers_board, table: customers, bitable: "{BOARD}tblCustomers", key: [id]}}
    - name: totals
      query: select c.id, sum(o.amount) as amount from customers c join orders o on o.c = c.id group by c.id
      bitable: {BOARD}tblTotals
      key: [id]
"""
ORDERS = dg.AssetKey(["feishu", "orders_board"])


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def days(first: int, last: int) -> dict[str, str]:
    return {
        "dagster/asset_partition_range_start": f"2026-10-{first:02}",
        "dagster/asset_partition_range_end": f"2026-10-{last:02}",
    }


def run(
    defs: dg.Definitions, instance: dg.DagsterInstance, key: dg.AssetKey, **arguments: object
) -> dg.ExecuteInProcessResult:
    job = defs.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(instance=instance, asset_selection=[key], raise_on_error=False, **arguments)  # type: ignore[arg-type]


def test_lineage_joins_tables_queries_and_boards(project_of: ProjectOf, script: Script) -> None:
    defs = whole_definitions(project_of(orders=DAILY, people=WHOLE), script.execution)
    dg.Definitions.validate_loadable(defs)
    graph = defs.resolve_asset_graph()
    parents = {k.to_user_string(): {p.to_user_string() for p in graph.get(k).parent_keys}
               for k in graph.get_all_asset_keys()}  # fmt: skip
    assert parents == {
        "shop/orders": set(),
        "shop/customers": set(),
        "feishu/orders_board": {"shop/orders"},
        "feishu/customers_board": {"shop/customers"},
        "feishu/totals": {"shop/customers", "shop/orders"},
    }
    node = graph.get(ORDERS)
    assert node.kinds == {"feishu", "mysql"}
    assert node.group_name == "orders"
    assert "订单" in (node.description or "")
    assert {c.name for c in graph.get(ORDERS).check_keys} == {
        "counts_balance", "target_equals_source", "rejected_rows", "key_unique_in_source"}  # fmt: skip
    assert node.pools == {"bitable_bascnExample_tblOrders"}


def test_nothing_is_executed_or_opened_by_loading(project_of: ProjectOf, script: Script) -> None:
    whole_definitions(project_of(orders=DAILY), script.execution)
    assert script.runs == script.looks == []


def test_an_unpartitioned_run_records_what_people_look_at(
    project_of: ProjectOf, script: Script, instance: dg.DagsterInstance
) -> None:
    script.report = {
        "requests": 7,
        "changes": (Change(Outcome.CREATED, "1", ("name",)),),
        "rejected": (Rejected("9", "d", "amount", "1254060", "does not fit"),),
        "schema": (Column("id", ColumnType.INTEGER, "int(11)"),),
        "notes": ("field created: name",),
        "link": BOARD + "tblCustomers",
    }
    defs = whole_definitions(project_of(people=WHOLE), script.execution)
    result = run(defs, instance, dg.AssetKey(["feishu", "customers_board"]))
    assert result.success
    (event,) = result.asset_materializations_for_node("feishu__customers_board")
    shown = event.metadata
    assert shown["created"] == dg.MetadataValue.int(2)
    assert shown["requests"] == dg.MetadataValue.int(7)
    assert shown["board"] == dg.MetadataValue.url(BOARD + "tblCustomers")
    assert shown["dagster/column_schema"].schema.columns[0].type == "int(11)"
    assert shown["changes"].records[0].data["key"] == "1"
    assert shown["rejected_rows"].records[0].data["reason"] == "does not fit"
    assert {e.check_name: e.passed for e in result.get_asset_check_evaluations()} == {
        "counts_balance": True,
        "target_equals_source": True,
        "rejected_rows": True,
        "key_unique_in_source": True,
    }


def test_checks_tell_what_is_wrong(project_of: ProjectOf, script: Script, instance: dg.DagsterInstance) -> None:
    off = Counts(read=5, created=1, rejected=2)
    script.report = {
        "counts": off,
        "partitions": {"": off},
        "equal": False,
        "differences": ("key 4: missing on the board",),
        "duplicates": 1,
    }
    defs = whole_definitions(project_of(people=WHOLE), script.execution)
    result = run(defs, instance, dg.AssetKey(["feishu", "customers_board"]))
    found = {e.check_name: (e.passed, e.severity.value) for e in result.get_asset_check_evaluations()}
    assert result.success
    assert found == {
        "counts_balance": (False, "ERROR"),
        "target_equals_source": (False, "ERROR"),
        "rejected_rows": (False, "WARN"),
        "key_unique_in_source": (False, "WARN"),
    }


def test_one_run_covers_many_partitions_and_fails_exactly_the_bad_ones(
    project_of: ProjectOf, script: Script, instance: dg.DagsterInstance
) -> None:
    script.fail = {"2026-10-03": SyncErrorInfo("stop", "no permission -> ask")}
    defs = whole_definitions(project_of(orders=DAILY), script.execution)
    result = run(defs, instance, ORDERS, tags=days(1, 5))
    assert not result.success
    assert script.runs == [("orders_board", tuple(f"2026-10-0{d}" for d in range(1, 6)))]
    written = instance.get_materialized_partitions(ORDERS)
    assert written == {"2026-10-01", "2026-10-02", "2026-10-04", "2026-10-05"}
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    told = failure.step_failure_data.user_failure_data
    assert told.description == "1 of 5 partitions failed: 2026-10-03: no permission -> ask"
    assert told.metadata["failed"].records[0].data["partition"] == "2026-10-03"
    assert {e.check_name for e in result.get_asset_check_evaluations()} >= {"counts_balance"}
    assert instance.get_run_by_id(result.run_id).tags[body.NO_RUN_RETRY] == "false"


def test_stop_ends_the_run_at_once(project_of: ProjectOf, script: Script, instance: dg.DagsterInstance) -> None:
    script.error = Stop("the app was not added to the base", hint="add it", code="91403")
    defs = whole_definitions(project_of(people=WHOLE), script.execution)
    result = run(defs, instance, dg.AssetKey(["feishu", "customers_board"]))
    assert len(script.runs) == 1
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    assert failure.step_failure_data.user_failure_data.description == (
        "the app was not added to the base [91403] -> add it"
    )
    assert instance.get_run_by_id(result.run_id).tags[body.NO_RUN_RETRY] == "false"


def test_retry_is_tried_again_in_the_same_run_and_then_given_up(
    project_of: ProjectOf, script: Script, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "LONGEST_WAIT", 0.0)
    script.error = Retry("busy", after=30, code="1254290")
    defs = whole_definitions(project_of(people=WHOLE), script.execution)
    result = run(defs, instance, dg.AssetKey(["feishu", "customers_board"]))
    assert len(script.runs) == 1 + body.MAX_RETRIES
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    assert failure.step_failure_data.user_failure_data.description == "busy [1254290] (after 4 attempts)"


def test_a_second_attempt_takes_only_the_partitions_that_are_left(
    project_of: ProjectOf, script: Script, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "LONGEST_WAIT", 0.0)
    script.fail = {"2026-10-02": SyncErrorInfo("retry", "busy")}
    defs = whole_definitions(project_of(orders=DAILY), script.execution)
    run(defs, instance, ORDERS, tags=days(1, 3))
    assert [keys for _, keys in script.runs] == [
        ("2026-10-01", "2026-10-02", "2026-10-03"),
        *[("2026-10-02",)] * body.MAX_RETRIES,
    ]
    assert instance.get_materialized_partitions(ORDERS) == {"2026-10-01", "2026-10-03"}


def test_mode_and_accept_empty_can_be_set_for_one_run(
    project_of: ProjectOf, script: Script, instance: dg.DagsterInstance
) -> None:
    defs = whole_definitions(project_of(people=WHOLE), script.execution)
    config = {"ops": {"feishu__customers_board": {"config": {"mode": "clone", "accept_empty": True}}}}
    result = run(defs, instance, dg.AssetKey(["feishu", "customers_board"]), run_config=config)
    assert result.success
    assert script.asked == [{"mode": "clone", "run_id": result.run_id, "accept_empty": True}]


def test_observing_a_source_gives_its_data_version(
    project_of: ProjectOf, script: Script, instance: dg.DagsterInstance
) -> None:
    key = dg.AssetKey(["shop", "customers"])
    script.seen = {"": Observation(12, "2026-10-05")}
    defs = whole_definitions(project_of(people=WHOLE), script.execution)
    assert run(defs, instance, key).success
    (record,) = instance.fetch_observations(key, limit=1).records
    observation = record.asset_observation
    assert observation.tags["dagster/data_version"] == "12:2026-10-05"
    assert observation.metadata["dagster/row_count"] == dg.MetadataValue.int(12)
    assert script.looks == [("customers_board", None)]  # of the table's own sync, not of the query's


def test_observing_a_partitioned_source_gives_one_version_a_window(
    project_of: ProjectOf, script: Script, instance: dg.DagsterInstance
) -> None:
    script.seen = {datetime.now(UTC).strftime("%Y-%m-%d"): Observation(5, "now")}
    defs = whole_definitions(project_of(orders=DAILY), script.execution)
    assert run(defs, instance, dg.AssetKey(["shop", "orders"])).success
    ((_, keys),) = script.looks
    assert keys is not None
    records = instance.fetch_observations(dg.AssetKey(["shop", "orders"]), limit=100).records
    assert {r.partition_key for r in records} == set(keys)
    assert len(keys) == 30


def test_a_source_that_its_readers_cut_differently_is_whole(project_of: ProjectOf, script: Script) -> None:
    graph = whole_definitions(project_of(orders=DAILY, people=WHOLE), script.execution).resolve_asset_graph()
    assert graph.get(dg.AssetKey(["shop", "orders"])).partitions_def is None  # `totals` reads all of it
    assert graph.get(ORDERS).partitions_def is not None


def test_progress_is_logged_sparingly() -> None:
    lines: list[str] = []
    now = iter([0.0, 1.0, 5.0, 6.0, 11.0, 17.0])
    progress = body.LoggedProgress(lines.append, clock=lambda: next(now))
    for done in (1, 2000, 3000, 4000):
        progress("write", done, 4000 if done < 4000 else None)
    progress("structure", 0, None)
    assert lines == ["write: 2,000 of 4,000", "write: 4,000", "structure"]


def test_windows_of_dagster_are_the_windows_of_the_project(project_of: ProjectOf) -> None:
    from sync_assets.components.partitions import newest_keys
    from sync_assets.project import windows

    for every in ("hour", "day", "week", "month"):
        for current in ("true", "false"):
            text = DAILY.replace("every: day", f"every: {every}, include_current: {current}")
            text = text.replace("target: feishu", "target: feishu\n  time_zone: America/New_York")
            sync = project_of(orders=text).syncs["orders_board"]
            for hours in range(0, 24 * 40, 7 if every == "hour" else 11):
                now = datetime(2026, 10, 20, tzinfo=UTC) + timedelta(hours=hours)
                mine = newest_keys(sync, 5, now)
                assert mine == windows.keys(sync.spec.partitions, sync.time_zone, now)[-5:]
