"""A replica in Dagster: its tables as assets, any of them in one run, failures of single ones; a scripted engine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from sync_assets.components import body, listings
from sync_assets.components.deployment import load_definitions, whole_definitions
from sync_assets.components.naming import written_key
from sync_assets.engine.errors import Retry, Stop
from sync_assets.engine.tables.shape import TableEntry, TableKind, TableName
from sync_assets_tests.fix_project import CONNECTIONS, ProjectOf, Script, write_defs

REPLICA = """
type: sync_assets.components.DatabaseReplica
attributes:
  name: shop_copy
  title: 商店
  source: shop
  target: dw
  tables: ["shop.*", other.named, shop.totals]
  exclude: ["*.tmp_*"]
  into: {shop: copy}
  schedule: "0 3 * * *"
  overrides:
    shop.events: {partitions: {by: key, column: id, end: 2000, size: 1000}}
    shop.secrets: {skip: true}
    shop.lines: {into: public.lines, proof: none}
"""
SHOP = """
type: sync_assets.components.TableSync
attributes:
  source: shop
  target: dw
  syncs:
    - {name: products, table: products, into: mine.products}
"""


def entry(text: str, *references: str, kind: TableKind = TableKind.TABLE) -> TableEntry:
    def name(text: str) -> TableName:
        return TableName(*text.split("."))

    return TableEntry(name(text), kind, references=tuple(name(r) for r in references))


LISTING = listings.Listing(
    (
        entry("shop.customers"),
        entry("shop.orders", "shop.customers", "shop.orders"),
        entry("shop.lines", "shop.orders", "shop.products"),
        entry("shop.products"),
        entry("shop.events", "shop.orders"),
        entry("shop.hens", "shop.eggs"),
        entry("shop.eggs", "shop.hens"),
        entry("shop.after_events", "shop.events"),
        entry("shop.secrets"),
        entry("shop.tmp_x"),
        entry("shop.some_view", kind=TableKind.VIEW),
        entry("shop.totals", kind=TableKind.VIEW),
        entry("other.named"),
        entry("other.unnamed"),
        entry("shop.订单"),
    ),
    ("shop", "public"),
    "2026-11-22T08:00:00+00:00",
)
STEP = "replica__shop_copy"


def key(*path: str) -> dg.AssetKey:
    return dg.AssetKey(["dw", *path])


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


@pytest.fixture
def defs(project_of: ProjectOf, script: Script) -> dg.Definitions:
    return whole_definitions(project_of(copy=REPLICA, shop=SHOP), script.execution, {"shop_copy": LISTING})


def run(
    defs: dg.Definitions, instance: dg.DagsterInstance, *keys: dg.AssetKey, **arguments: object
) -> dg.ExecuteInProcessResult:
    job = defs.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(instance=instance, asset_selection=list(keys), raise_on_error=False, **arguments)  # type: ignore[arg-type]


def test_the_patterns_mean_tables_and_foreign_keys_are_lineage(defs: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(defs)
    graph = defs.resolve_asset_graph()
    made = {k for k in graph.get_all_asset_keys() if k.path[0] == "dw" and k != key("shop_copy_tables")}
    odd = next(k for k in made if k.path[-1].startswith("x_"))
    parents = {k.to_user_string(): {p.to_user_string() for p in graph.get(k).parent_keys} for k in made - {odd}}
    assert parents == {
        "dw/copy/customers": {"shop/customers"},
        "dw/copy/orders": {"shop/orders", "dw/copy/customers"},
        "dw/lines": {"shop/lines", "dw/copy/orders", "dw/copy/products"},
        "dw/copy/products": {"shop/products"},
        "dw/copy/events": {"shop/events", "dw/copy/orders"},
        "dw/copy/after_events": {"shop/after_events"},  # a step cannot come before and after another
        "dw/copy/hens": {"shop/hens"},
        "dw/copy/eggs": {"shop/eggs"},
        "dw/copy/totals": {"shop/totals"},
        "dw/other/named": {"shop/other/named"},
        "dw/mine/products": {"shop/products"},
    }  # fmt: skip
    assert graph.get(key("copy", "orders")).group_name == "shop_copy_shop"
    assert graph.get(key("other", "named")).group_name == "shop_copy_other"
    assert graph.get(key("copy", "orders")).kinds == {"mysql", "postgres"}
    assert "订单" in (graph.get(odd).description or "")


def test_what_a_sync_of_its_own_reads_stays_observable(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    assert graph.get(dg.AssetKey(["shop", "products"])).is_observable
    assert graph.get(dg.AssetKey(["shop", "orders"])).is_external
    assert graph.get(dg.AssetKey(["shop", "orders"])).group_name == "shop"


def test_one_run_of_any_tables_is_one_run_of_the_engine(
    defs: dg.Definitions, script: Script, instance: dg.DagsterInstance
) -> None:
    done = run(defs, instance, key("lines"), key("copy", "customers"), key("copy", "orders"))
    assert done.success
    assert script.replicated == [("shop_copy", ("shop.customers", "shop.orders", "shop.lines"), {})]
    assert [e.asset_key.path[-1] for e in done.asset_materializations_for_node(STEP)] == [
        "customers",
        "orders",
        "lines",
    ]
    (first, *_) = done.asset_materializations_for_node(STEP)
    assert first.metadata["created"] == dg.MetadataValue.int(2)
    assert first.metadata["delivery"] == dg.MetadataValue.text("ledger")
    assert {(c.asset_key.path[-1], c.check_name) for c in done.get_asset_check_evaluations()} == {
        ("customers", "target_equals_source"), ("customers", "schema_drift"), ("orders", "target_equals_source"),
        ("orders", "schema_drift"), ("lines", "schema_drift")}  # fmt: skip


def test_a_failed_table_does_not_hold_up_the_others(
    defs: dg.Definitions, script: Script, instance: dg.DagsterInstance
) -> None:
    script.errors = {"shop.orders": [Stop("no right to create", hint="grant it")]}
    done = run(defs, instance, key("copy", "customers"), key("copy", "orders"), key("copy", "products"))
    assert not done.success
    written = {e.asset_key.path[-1] for e in done.asset_materializations_for_node(STEP)}
    assert written == {"customers", "products"}
    (failure,) = [e for e in done.all_events if e.is_step_failure]
    told = failure.step_failure_data.user_failure_data
    assert told.description == "1 of 3 tables failed: shop.orders: no right to create -> grant it"
    assert told.metadata["failed"].records[0].data["partition"] == "shop.orders"


def test_passing_trouble_is_waited_for_and_only_those_tables_are_run_again(
    defs: dg.Definitions, script: Script, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "LONGEST_WAIT", 0.0)
    monkeypatch.setattr("sync_assets.components.replica_body.LONGEST_WAIT", 0.0)
    script.errors = {"shop.orders": [Retry("busy"), Retry("busy")]}
    assert run(defs, instance, key("copy", "customers"), key("copy", "orders")).success
    assert [tables for _, tables, _ in script.replicated] == [
        ("shop.customers", "shop.orders"), ("shop.orders",), ("shop.orders",)]  # fmt: skip


def test_trouble_of_the_whole_run_is_given_up_after_some_attempts(
    defs: dg.Definitions, script: Script, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync_assets.components.replica_body.LONGEST_WAIT", 0.0)
    script.error = Retry("the server is starting")
    assert not run(defs, instance, key("copy", "customers")).success
    assert len(script.replicated) == 1 + body.MAX_RETRIES
    script.error, script.replicated = Stop("no such database"), []
    assert not run(defs, instance, key("copy", "customers")).success
    assert len(script.replicated) == 1


def test_a_table_that_differs_fails_the_run_and_is_named(
    defs: dg.Definitions, script: Script, instance: dg.DagsterInstance
) -> None:
    script.report = {"equal": False, "differences": ("1 rows missing: 7",)}
    done = run(defs, instance, key("copy", "customers"))
    (failure,) = [e for e in done.all_events if e.is_step_failure]
    assert "shop_copy:shop.customers: the table differs" in failure.step_failure_data.user_failure_data.description


def test_a_large_table_is_an_asset_with_partitions(
    defs: dg.Definitions, script: Script, instance: dg.DagsterInstance
) -> None:
    graph = defs.resolve_asset_graph()
    parts = graph.get(key("copy", "events")).partitions_def
    assert parts is not None
    assert parts.get_partition_keys() == ["0000000000", "0000001000"]
    script.errors = {"shop.events": [Stop("no")]}
    assert not run(defs, instance, key("copy", "events"), partition_key="0000001000").success
    assert run(defs, instance, key("copy", "events"), partition_key="0000001000").success
    assert script.replicated[-1] == ("shop_copy", ("shop.events",), {"shop.events": ("0000001000",)})
    assert instance.get_materialized_partitions(key("copy", "events")) == {"0000001000"}


def test_its_schedule_asks_for_all_of_it(defs: dg.Definitions) -> None:
    repository = defs.get_repository_def()
    names = {schedule.name for schedule in repository.schedule_defs}
    assert names == {"shop_copy_schedule", "shop_copy_values_schedule"}
    now = datetime(2026, 10, 5, 3, tzinfo=UTC)
    with (  # a schedule's context wants to open the instance itself, and must close it
        dg.instance_for_test() as stored,
        dg.build_schedule_context(stored, repository_def=repository, scheduled_execution_time=now) as context,
    ):
        (request,) = repository.get_schedule_def("shop_copy_schedule").evaluate_tick(context).run_requests
    assert len(request.asset_selection) == 10


def test_before_the_first_list_there_is_one_asset_that_says_so(
    project_of: ProjectOf, script: Script, instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_ASSETS_HOME", str(tmp_path / "home"))
    project = project_of(copy=REPLICA)
    bare = whole_definitions(project, script.execution)
    dg.Definitions.validate_loadable(bare)
    node = bare.resolve_asset_graph().get(key("shop_copy_tables"))
    assert "not known yet" in (node.description or "")
    assert "商店" in (node.description or "")
    script.listing = LISTING
    done = run(bare, instance, key("shop_copy_tables"))
    assert done.success
    (event,) = done.asset_materializations_for_node("dw__shop_copy_tables")
    assert event.metadata["tables"].value == event.metadata["new"].value == 11
    assert listings.kept("shop_copy") == LISTING
    assert (listings.place("shop_copy").stat().st_mode & 0o777) == 0o600
    known = whole_definitions(project, script.execution, {"shop_copy": LISTING})
    assert "11 tables" in (known.resolve_asset_graph().get(key("shop_copy_tables")).description or "")


def test_a_list_that_cannot_be_made_is_told_and_the_old_one_stays(
    project_of: ProjectOf, script: Script, instance: dg.DagsterInstance, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_ASSETS_HOME", str(tmp_path / "home"))
    listings.keep("shop_copy", LISTING)
    script.error = Stop("the server does not answer")
    assert not run(
        whole_definitions(project_of(copy=REPLICA), script.execution), instance, key("shop_copy_tables")
    ).success
    assert listings.kept("shop_copy") == LISTING


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 0}', '{"version": 1}', '{"version": 1, "tables": [{}]}'])
def test_a_list_that_cannot_be_read_is_none(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNC_ASSETS_HOME", str(tmp_path))
    listings.place("shop_copy").parent.mkdir()
    listings.place("shop_copy").write_text(text, encoding="utf-8")
    assert listings.kept("shop_copy") is None


@pytest.mark.filterwarnings("ignore:`parse_obj_as` is deprecated")
def test_definitions_load_from_a_folder_while_the_databases_are_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNC_ASSETS_DEFS", str(tmp_path / "defs"))
    monkeypatch.setenv("SYNC_ASSETS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("DAGSTER_IS_DEV_CLI", "1")  # as `dagster dev`, which asks the source first
    nobody = CONNECTIONS.replace("database: shop", "port: 1, database: shop").replace(
        "database: dw", "port: 1, database: dw"
    )
    monkeypatch.setenv("SHOP_PASSWORD", "x")
    monkeypatch.setenv("DW_PASSWORD", "x")
    write_defs(tmp_path / "defs", connections=nobody, copy=REPLICA, shop=SHOP)
    keys = load_definitions(Path("unused")).resolve_asset_graph().get_all_asset_keys()
    assert key("shop_copy_tables") in keys
    assert key("copy", "orders") not in keys
    listings.keep("shop_copy", LISTING)
    keys = load_definitions(Path("unused")).resolve_asset_graph().get_all_asset_keys()
    assert key("copy", "orders") in keys


def test_a_table_that_two_write_is_left_to_the_sync(project_of: ProjectOf, script: Script) -> None:
    both = SHOP.replace("mine.products", "copy.products")
    defs = whole_definitions(project_of(copy=REPLICA, shop=both), script.execution, {"shop_copy": LISTING})
    dg.Definitions.validate_loadable(defs)
    about = defs.resolve_asset_graph().get(key("shop_copy_tables")).description or ""
    assert "`shop.products` is left out" in about


# -- alerts -----------------------------------------------------------------------------------------------------


def test_many_failed_tables_are_one_trouble(
    project_of: ProjectOf, script: Script, instance: dg.DagsterInstance
) -> None:
    from sync_assets.components.alerts import settle
    from sync_assets.components.deployment import known_of

    project = project_of(copy=REPLICA.replace("schedule:", "alerts: ops\n  schedule:"))
    defs = whole_definitions(project, script.execution, {"shop_copy": LISTING})
    watched = {written_key(s): s for s in known_of(project, {"shop_copy": LISTING}).replicated}
    script.errors = {"shop.orders": [Stop("no")], "shop.customers": [Stop("no")]}
    keys = [key("copy", "customers"), key("copy", "orders"), key("copy", "products")]
    failed = run(defs, instance, *keys)
    settle(project, watched, script.execution, instance, failed.run_id)
    ((bot, notice),) = script.notices
    assert bot == "ops"
    assert notice.title == "商店: sync failed"
    assert "tables without their data: shop.customers, shop.orders" in notice.lines
    script.errors = {"shop.products": [Stop("no")]}
    another = run(defs, instance, key("copy", "products"))
    settle(project, watched, script.execution, instance, another.run_id)
    assert len(script.notices) == 1, "another table of the same replica is the same trouble"
    good = run(defs, instance, *keys)
    settle(project, watched, script.execution, instance, good.run_id)
    assert script.notices[-1][1].title == "商店: works again"


def test_a_run_that_is_asked_for_another_mode_passes_it_on(
    defs: dg.Definitions, script: Script, instance: dg.DagsterInstance
) -> None:
    config = {"ops": {STEP: {"config": {"mode": "full", "accept_empty": True}}}}
    done = run(defs, instance, key("copy", "customers"), run_config=config)
    assert script.asked == [{"mode": "full", "run_id": done.run_id, "accept_empty": True}]
