"""Alerts: once per trouble, after the last retry, with an end."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator

import dagster as dg
import psycopg
import pytest

from sync_assets.components import alerts
from sync_assets.components.alerts import settle, will_retry
from sync_assets.components.deployment import whole_definitions
from sync_assets.components.naming import written_key
from sync_assets.engine.errors import Retry, Stop
from sync_assets.engine.model import SyncErrorInfo
from sync_assets.project.load import Project
from sync_assets.store.address import Address
from sync_assets.store.control import PostgresStore, open_store
from sync_assets_tests.fix_project import ProjectOf, Script

BOARD = "https://acme.feishu.cn/base/bascnExample?table="
SHOP = f"""
type: sync_assets.components.TableSync
attributes:
  source: shop
  target: feishu
  alerts: ops
  syncs:
    - {{name: customers, title: 客户, table: customers, bitable: "{BOARD}tblC", key: [id]}}
    - {{name: products, table: products, bitable: "{BOARD}tblP", key: [id]}}
    - name: daily
      table: orders
      bitable: {BOARD}tblD
      key: [id]
      partitions: {{every: day, start: 2026-10-01, column: updated_at}}
"""
CUSTOMERS, DAILY = dg.AssetKey(["feishu", "customers"]), dg.AssetKey(["feishu", "daily"])


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


class Deployment:
    def __init__(self, project: Project, script: Script, instance: dg.DagsterInstance) -> None:
        self.project, self.script, self.instance = project, script, instance
        self.job = whole_definitions(project, script.execution).resolve_implicit_global_asset_job_def()
        self.watched = {written_key(sync): sync for sync in project.syncs.values()}

    def run(self, *keys: dg.AssetKey, **arguments: object) -> str:
        """Run and settle, as the sensors do after a run has ended. Returns its id."""
        done = self.job.execute_in_process(
            instance=self.instance, asset_selection=list(keys), raise_on_error=False, **arguments
        )  # type: ignore[arg-type]
        self.settle(done.run_id)
        return done.run_id

    def settle(self, run_id: str) -> None:
        settle(self.project, self.watched, self.script.execution, self.instance, run_id)

    def said(self) -> list[str]:
        return [notice.title for _, notice in self.script.notices]


@pytest.fixture
def shop(project_of: ProjectOf, script: Script, instance: dg.DagsterInstance) -> Deployment:
    return Deployment(project_of(shop=SHOP), script, instance)


def test_one_alert_for_a_trouble_and_one_for_its_end(shop: Deployment) -> None:
    shop.script.error = Stop("the app was not added to the base", hint="add it")
    run_id = shop.run(CUSTOMERS)
    shop.run(CUSTOMERS)
    ((bot, notice),) = shop.script.notices
    assert bot == "ops"
    assert notice.title == "客户: sync failed"
    assert notice.lines[0] == "the app was not added to the base -> add it"
    assert notice.lines[1].startswith("since 20")
    assert notice.link == f"http://127.0.0.1:3000/runs/{run_id}"
    shop.script.error = None
    shop.run(CUSTOMERS)
    shop.run(CUSTOMERS)
    assert shop.said() == ["客户: sync failed", "客户: works again"]
    assert shop.script.notices[1][1].lines[0].endswith("failed runs: 2")
    shop.script.error = Stop("again")
    shop.run(CUSTOMERS)
    assert len(shop.script.notices) == 3


def test_in_one_run_each_sync_is_judged_by_itself(shop: Deployment) -> None:
    shop.script.error = Stop("no")
    shop.run(CUSTOMERS, dg.AssetKey(["feishu", "products"]))
    assert sorted(shop.said()) == ["products: sync failed", "客户: sync failed"]
    shop.script.error = None
    shop.run(CUSTOMERS)
    assert shop.said()[2:] == ["客户: works again"]


def test_partitions_that_are_still_missing_are_named(shop: Deployment) -> None:
    shop.script.fail = {"2026-10-02": SyncErrorInfo("stop", "no permission")}
    tags = {
        "dagster/asset_partition_range_start": "2026-10-01",
        "dagster/asset_partition_range_end": "2026-10-03",
    }
    shop.run(DAILY, tags=tags)
    assert "partitions without their data: 2026-10-02" in shop.script.notices[0][1].lines
    shop.run(DAILY, partition_key="2026-10-05")
    assert shop.said() == ["daily: sync failed", "daily: works again"]
    assert any(line.startswith("still without their data: 2026-10-02;") for line in shop.script.notices[1][1].lines)


def test_a_killed_run_has_no_last_words_and_counts(shop: Deployment) -> None:
    run = shop.instance.create_run_for_job(
        shop.job.get_subset(asset_selection={CUSTOMERS}), asset_selection=frozenset({CUSTOMERS})
    )
    shop.instance.report_run_failed(run)
    shop.settle(run.run_id)
    ((_, notice),) = shop.script.notices
    assert notice.lines[0] == "the process of the run died, or never started"


def test_a_failure_that_is_seen_after_a_later_success_says_nothing(shop: Deployment) -> None:
    shop.script.error = Stop("no")
    done = shop.job.execute_in_process(instance=shop.instance, asset_selection=[CUSTOMERS], raise_on_error=False)
    shop.script.error = None
    shop.run(CUSTOMERS)
    shop.settle(done.run_id)
    assert shop.said() == []


def test_an_alert_that_could_not_be_sent_is_sent_by_the_next_failure(shop: Deployment) -> None:
    def refuse(*_: object) -> None:
        raise Retry("the group does not answer")

    working, shop.script.error = shop.script.execution, Stop("no")
    away = dataclasses.replace(working, notify=refuse)
    done = shop.job.execute_in_process(instance=shop.instance, asset_selection=[CUSTOMERS], raise_on_error=False)
    with pytest.raises(Retry):
        settle(shop.project, shop.watched, away, shop.instance, done.run_id)
    shop.run(CUSTOMERS)
    assert shop.said() == ["客户: sync failed"]


def test_an_alert_leaves_no_connection_to_the_control_database(shop: Deployment, control_database: Address) -> None:
    """Two sensors ask every few seconds: what they left open would be all that the server has, in a day."""
    opened: list[PostgresStore] = []  # kept, so that nothing is closed by being forgotten

    def opening() -> PostgresStore:
        opened.append(open_store(lambda: control_database))
        return opened[-1]

    shop.script.open_store, shop.script.error = opening, Stop("no")
    shop.run(CUSTOMERS)
    shop.script.error = None
    shop.run(CUSTOMERS)
    assert shop.said() == ["客户: sync failed", "客户: works again"]
    assert len(opened) == 2
    assert _left(control_database) == 0


def _left(address: Address) -> int:
    """Connections of others to the database; those that were just closed are given a moment to end."""
    asked = "select count(*) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    with psycopg.connect(**address.arguments(), autocommit=True) as admin:
        for _ in range(50):
            (left,) = admin.execute(asked).fetchone() or (-1,)
            if left == 0:
                break
            time.sleep(0.1)
    return int(left)


def test_a_run_that_will_be_tried_again_is_waited_for(shop: Deployment) -> None:
    run = shop.instance.create_run_for_job(shop.job, tags={"dagster/will_retry": "true"})
    assert will_retry(shop.instance, run, lambda _: None)
    run = shop.instance.create_run_for_job(shop.job, tags={"dagster/will_retry": "false"})
    assert not will_retry(shop.instance, run, lambda _: None)
    run = shop.instance.create_run_for_job(shop.job)  # no retries configured, so no tag will come
    assert not will_retry(shop.instance, run, lambda _: None)


def test_the_answer_whether_it_will_be_tried_again_may_come_late(
    shop: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = shop.instance.create_run_for_job(shop.job)
    monkeypatch.setattr(dg.DagsterInstance, "run_retries_enabled", True)
    assert will_retry(shop.instance, run, lambda _: shop.instance.add_run_tags(run.run_id, {alerts.WILL_RETRY: "true"}))


def test_without_alerts_there_are_no_alert_sensors(project_of: ProjectOf, script: Script) -> None:
    quiet = project_of(shop=SHOP.replace("  alerts: ops\n", ""))
    names = {s.name for s in whole_definitions(quiet, script.execution).get_repository_def().sensor_defs}
    assert names == set()


def test_a_tick_takes_a_run_that_will_be_tried_again_beside_one_that_will_not(
    project_of: ProjectOf, script: Script
) -> None:
    """Dagster fails a tick, for ever, in which one run is skipped with a reason and another reacted to."""
    definitions = whole_definitions(project_of(shop=SHOP), script.execution)
    repository = definitions.get_repository_def()
    sensor, job = repository.get_sensor_def("alerts_on_failure"), repository.get_job("__ASSET_JOB")

    def tick(cursor: str | None) -> str | None:
        with dg.build_sensor_context(stored, cursor=cursor, repository_def=repository) as context:
            return sensor.evaluate_tick(context).cursor

    with dg.instance_for_test() as stored:
        cursor = tick(None)
        for tags in ({alerts.WILL_RETRY: "true"}, {alerts.WILL_RETRY: "false"}):
            only = job.get_subset(asset_selection={CUSTOMERS})
            run = stored.create_run_for_job(only, asset_selection=frozenset({CUSTOMERS}), tags=tags)
            stored.report_run_failed(run)
        assert tick(cursor) != cursor
    assert len(script.notices) == 1
