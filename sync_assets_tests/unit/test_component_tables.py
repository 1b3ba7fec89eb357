"""Tables as targets in Dagster: keys that join up, checks that block, chains in one run; the engine is scripted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dagster as dg
import pytest

from sync_assets.components import body
from sync_assets.components.deployment import whole_definitions
from sync_assets.engine.errors import Retry
from sync_assets.engine.model import Counts, Delivery, Mode, Report, SyncErrorInfo
from sync_assets_tests.fix_project import ProjectOf, Script
from sync_assets_tests.unit.test_component_assets import days, run

BOARD = "https://acme.feishu.cn/base/bascnExample?table="
TABLES = """
type: sync_assets.components.TableSync
attributes:
  source: shop
  target: dw
  syncs:
    - {name: orders, table: shop.orders, into: public.orders, partitions: {every: day, start: 2026-10-01, column: at}}
    - {name: customers, title: 客户, table: customers, into: crm.customers, where: "name <> ''"}
    - {name: ranges, table: lines, partitions: {by: key, column: id, end: 3000, size: 1000}}
"""
BOARDS = f"""
type: sync_assets.components.TableSync
attributes:
  source: dw
  target: feishu
  syncs:
    - {{name: orders_board, table: orders, bitable: "{BOARD}tblO", key: [id]}}
    - {{name: days_board, table: public.orders, bitable: "{BOARD}tblD", key: [id],
        partitions: {{every: day, start: 2026-10-01, column: at}}}}
    - {{name: people, query: select id from crm.customers, bitable: "{BOARD}tblP", key: [id]}}
"""
ORDERS, CUSTOMERS = dg.AssetKey(["dw", "orders"]), dg.AssetKey(["dw", "crm", "customers"])
RANGES, DAYS = dg.AssetKey(["dw", "lines"]), dg.AssetKey(["feishu", "days_board"])


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def defs(project_of: ProjectOf, script: Script) -> dg.Definitions:
    return whole_definitions(project_of(tables=TABLES, boards=BOARDS), script.execution)


def test_what_one_sync_writes_and_another_reads_is_one_asset(defs: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(defs)
    graph = defs.resolve_asset_graph()
    parents = {k.to_user_string(): {p.to_user_string() for p in graph.get(k).parent_keys}
               for k in graph.get_all_asset_keys()}  # fmt: skip
    assert parents == {
        "shop/orders": set(), "shop/customers": set(), "shop/lines": set(),
        "dw/orders": {"shop/orders"}, "dw/crm/customers": {"shop/customers"}, "dw/lines": {"shop/lines"},
        "feishu/orders_board": {"dw/orders"}, "feishu/days_board": {"dw/orders"}, "feishu/people": {"dw/crm/customers"},
    }  # fmt: skip


def test_an_asset_says_what_it_is(defs: dg.Definitions) -> None:
    node = defs.resolve_asset_graph().get(CUSTOMERS)
    assert node.kinds == {"mysql", "postgres"}
    assert node.pools == {"table_dw_crm_customers"}
    description = node.description or ""
    assert "客户" in description
    assert "where `name <> ''` to the table `crm.customers`" in description


def test_the_proof_of_a_table_blocks_what_reads_it(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    blocking = {key.name for key in graph.get(CUSTOMERS).check_keys if graph.get_check_spec(key).blocking}
    assert blocking == {"target_equals_source"}
    assert {key.name for key in graph.get(CUSTOMERS).check_keys} == {
        "counts_balance", "target_equals_source", "rejected_rows", "schema_drift"}  # fmt: skip
    boards = dg.AssetKey(["feishu", "orders_board"])
    assert not [key for key in graph.get(boards).check_keys if graph.get_check_spec(key).blocking]


def test_a_board_follows_its_table_in_the_same_run(
    defs: dg.Definitions, script: Script, instance: dg.DagsterInstance
) -> None:
    job = defs.resolve_implicit_global_asset_job_def()
    done = job.execute_in_process(instance=instance, asset_selection=[ORDERS, DAYS], tags=days(1, 3))
    assert done.success
    assert [name for name, _ in script.runs] == ["orders", "days_board"]
    keys = {"2026-10-01", "2026-10-02", "2026-10-03"}
    assert instance.get_materialized_partitions(ORDERS) == instance.get_materialized_partitions(DAYS) == keys


def test_each_partition_of_a_run_has_its_own_event_and_counts(
    defs: dg.Definitions, script: Script, instance: dg.DagsterInstance
) -> None:
    script.report = {"partitions": {f"2026-10-0{n}": Counts(read=n, created=n) for n in (1, 2, 3)}}
    assert run(defs, instance, ORDERS, tags=days(1, 3)).success
    records = instance.fetch_materializations(ORDERS, limit=10).records
    assert {r.partition_key: r.asset_materialization.metadata["created"].value for r in records} == {
        "2026-10-01": 1, "2026-10-02": 2, "2026-10-03": 3}  # fmt: skip
    assert len(records) == 3


def test_a_failed_range_is_one_red_partition(
    defs: dg.Definitions, script: Script, instance: dg.DagsterInstance
) -> None:
    script.fail = {"0000001000": SyncErrorInfo("stop", "a value does not fit")}
    tags = {"dagster/asset_partition_range_start": "0000000000", "dagster/asset_partition_range_end": "0000002000"}
    assert not run(defs, instance, RANGES, tags=tags).success
    assert instance.get_materialized_partitions(RANGES) == {"0000000000", "0000002000"}
    script.fail = {}
    assert run(defs, instance, RANGES, partition_key="0000001000").success
    assert instance.get_materialized_partitions(RANGES) == {"0000000000", "0000001000", "0000002000"}


def test_a_second_attempt_says_again_what_the_first_had_written(
    project_of: ProjectOf, script: Script, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "LONGEST_WAIT", 0.0)
    script.fail = {"2026-10-02": SyncErrorInfo("retry", "busy")}

    def heals(*arguments: Any, **named: Any) -> Report:
        report = script.run(*arguments, **named)
        script.fail = {}
        return report

    project = project_of(tables=TABLES, boards=BOARDS)
    job = whole_definitions(project, replace(script.execution, run=heals)).resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(instance=instance, asset_selection=[ORDERS, DAYS], tags=days(1, 3)).success
    records = instance.fetch_materializations(ORDERS, limit=10).records
    assert {r.partition_key for r in records} == {"2026-10-01", "2026-10-02", "2026-10-03"}
    assert all(r.asset_materialization.metadata["read"].value == 3 for r in records), "the newest event has counts, too"


def test_a_table_that_differs_fails_its_run_and_stops_what_reads_it(
    defs: dg.Definitions, script: Script, instance: dg.DagsterInstance
) -> None:
    script.report = {"equal": False, "differences": ("1 rows missing: 7", "id 0..99")}
    job = defs.resolve_implicit_global_asset_job_def()
    people = dg.AssetKey(["feishu", "people"])
    done = job.execute_in_process(instance=instance, asset_selection=[CUSTOMERS, people], raise_on_error=False)
    assert not done.success
    assert [name for name, _ in script.runs] == ["customers"]
    (failure,) = [e for e in done.all_events if e.is_step_failure]
    assert failure.step_failure_data.user_failure_data.description == (
        "customers: the table differs from its source after the run: 1 rows missing: 7; id 0..99")  # fmt: skip
    (check,) = [e for e in done.get_asset_check_evaluations() if e.check_name == "target_equals_source"]
    assert not check.passed
    assert "id 0..99" in str(check.metadata["differences"].value)


def test_drift_is_a_warning(defs: dg.Definitions, script: Script, instance: dg.DagsterInstance) -> None:
    script.report = {"drift": ("crm.customers: column phone is missing in the target",)}
    done = run(defs, instance, CUSTOMERS)
    assert done.success
    (check,) = [e for e in done.get_asset_check_evaluations() if e.check_name == "schema_drift"]
    assert (check.passed, check.severity) == (False, dg.AssetCheckSeverity.WARN)
    (event,) = done.asset_materializations_for_node("dw__crm__customers")
    assert event.metadata["delivery"] == dg.MetadataValue.text("ledger")
    assert "phone" in str(event.metadata["drift"].value)


def test_without_a_proof_there_is_no_check_of_it(project_of: ProjectOf, script: Script) -> None:
    text = TABLES.replace("where: \"name <> ''\"", "proof: none")
    graph = whole_definitions(project_of(tables=text), script.execution).resolve_asset_graph()
    assert "target_equals_source" not in {key.name for key in graph.get(CUSTOMERS).check_keys}


def test_passing_trouble_is_tried_again(
    defs: dg.Definitions, script: Script, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "LONGEST_WAIT", 0.0)
    script.error = Retry("busy")
    assert not run(defs, instance, CUSTOMERS).success
    assert len(script.runs) == 1 + body.MAX_RETRIES


def test_a_check_that_counts_does_not_claim_equal_values(project_of: ProjectOf) -> None:
    from sync_assets.components import checks

    counting = TABLES.replace("into: crm.customers,", "into: crm.customers, proof: count,")
    project = project_of(tables=counting)
    about = {name: _described(checks.specs(project.syncs[name])) for name in ("orders", "customers")}
    assert "What the run claims is what the target holds." in about["orders"]
    assert "counted, not compared" in about["customers"]
    note = "rows were counted, not compared, as proof: count asks"
    report = Report("customers", Mode.FULL, Delivery.LEDGER, equal=True, notes=(note,))
    results = {r.check_name: r for r in checks.results(project.syncs["customers"], report)}
    assert results[checks.EQUAL].description == note


def _described(specs: list[dg.AssetCheckSpec]) -> str:
    return next(s.description or "" for s in specs if s.name == "target_equals_source")
