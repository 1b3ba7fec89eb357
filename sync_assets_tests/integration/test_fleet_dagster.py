"""A fleet in Dagster for real: daemon, web server and run processes over three servers, one of which is down.

One deployment for all tests of the module, which build on each other in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from sync_assets.components.partitions import RANGE_END, RANGE_START
from sync_assets.fleet.model import (
    CapacityReading,
    DatabaseSize,
    SectionKey,
    SectionName,
    SectionState,
    ServerFact,
    Status,
)
from sync_assets.fleet.periods import Period, period_of
from sync_assets.store.control import PostgresStore, open_store
from sync_assets.store.fleet.capacity import CapacityStore
from sync_assets.store.fleet.periods import PeriodStore
from sync_assets.testing.servers import Server, postgres_server
from sync_assets_tests.fix_project import Deployment, running_deployment, until

pytestmark = pytest.mark.timeout(400)
SHANGHAI = ZoneInfo("Asia/Shanghai")
NAMES = ("maria", "主库", "late")
ACCOUNTS = ("account_inventory", "account_permissions", "account_classification")


def files(maria: Server, well: Server, sick: Server, since: date) -> Mapping[str, str]:
    def listed(name: str, kind: str, server: Server) -> tuple[str, str]:
        login = f"{{user: {server.user}, password: 'env:WORD_{kind}_{server.port}'}}"
        return (
            f"{{name: {name}, type: {kind}, host: '{server.host}', port: {server.port}, login: {kind}_{server.port}, "
            f"adopted_on: {since}}}\n",
            f"{kind}_{server.port}: {login}",
        )

    each = [listed("maria", "mysql", maria), listed("主库", "postgres", well), listed("late", "postgres", sick)]
    return {
        "fleet": "type: sync_assets.components.DatabaseFleet\n"
        "attributes:\n"
        "  name: prod\n"
        "  deadline: 10\n"
        "  connect_seconds: 2\n"
        "  accounts: {schedule: null}\n"
        "  capacity: {schedule: null, grace: 720, window: 30}\n"
        "  aggregation: {periods: [week], settle: 0}\n"
        "  logins:\n" + "".join(f"    {login}\n" for _, login in each) + "  instances:\n"
        + "".join(f"    - {one}" for one, _ in each)
    }  # fmt: skip


@dataclass
class Fleet:
    """A running deployment with one fleet of three, and the last closed week."""

    dagster: Deployment
    sick: Server
    week: Period
    store: PostgresStore

    @property
    def capacity(self) -> CapacityStore:
        return CapacityStore(self.store.sessions)

    @property
    def summary(self) -> tuple[str, tuple[str, ...], tuple[date, ...]]:
        """What the control database says of the week."""
        found = PeriodStore(self.store.sessions).summary("prod", self.week)
        assert found is not None
        return found.status, found.missing_instances, found.missing_days

    @property
    def instance(self) -> dg.DagsterInstance:
        return self.dagster.instance

    def green(self, name: str) -> set[str]:
        return self.instance.get_materialized_partitions(key(name))

    def red(self, name: str) -> set[str]:
        """What the UI shows in red: planned by a run that failed, and not written since."""
        storage = self.instance.event_log_storage
        attempts = storage.get_latest_asset_partition_materialization_attempts_without_materializations(key(name))
        runs = {run_id: self.instance.get_run_by_id(run_id) for run_id, _ in attempts.values()}
        return {part for part, (run_id, _) in attempts.items() if (r := runs[run_id]) and r.is_failure}

    def launch(self, assets: Sequence[str], first: str, last: str) -> dg.DagsterRun:
        """One run over a range of partitions, to its end."""
        selector = {
            "repositoryLocationName": "sync_assets", "repositoryName": "__repository__", "jobName": "__ASSET_JOB",
            "assetSelection": [{"path": ["prod", name]} for name in assets],
        }  # fmt: skip
        tags = [{"key": RANGE_START, "value": first}, {"key": RANGE_END, "value": last}]
        done = self.dagster.graphql(
            """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
                 __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }""",
            params={"selector": selector, "runConfigData": {}, "mode": "default", "executionMetadata": {"tags": tags}},
        )["launchRun"]
        assert done["__typename"] == "LaunchRunSuccess", done
        return self.dagster.ended(done["run"]["runId"])

    def backfill(self, asset: str, partition: str) -> str:
        """As the UI does it for a red partition. Returns how it ended."""
        done = self.dagster.graphql(
            """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
                 __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }""",
            params={"assetSelection": [{"path": ["prod", asset]}], "partitionNames": [partition]},
        )["launchPartitionBackfill"]
        assert done["__typename"] == "LaunchBackfillSuccess", done
        ended = {"COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED"}
        found = until(
            lambda: (b := self.instance.get_backfill(done["backfillId"])) and b.status.value in ended and b, 90
        )
        return str(found.status.value)

    def told(self, name: str, partition: str) -> Mapping[str, dg.MetadataValue]:
        """What the newest materialization of a partition shows."""
        asked = dg.AssetRecordsFilter(key(name), asset_partitions=[partition])
        (record, *_) = self.instance.fetch_materializations(asked, limit=1).records
        assert record.asset_materialization is not None
        return record.asset_materialization.metadata

    def why(self) -> str:
        """What failed steps said, of all runs."""
        told = [e.dagster_event for run in self.instance.get_runs()
                for e in self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)]  # fmt: skip
        return "; ".join(str(e and e.step_failure_data.user_failure_data) for e in told)


def key(name: str) -> dg.AssetKey:
    return dg.AssetKey(["prod", name])


@pytest.fixture(scope="module")
def fleet(mariadb: Server, postgres: Server) -> Iterator[Fleet]:
    last = period_of("week", datetime.now(SHANGHAI).date()).previous
    with postgres_server() as sick, pytest.MonkeyPatch.context() as patch:
        sick.stop()
        for kind, server in (("mysql", mariadb), ("postgres", postgres), ("postgres", sick)):
            patch.setenv(f"WORD_{kind}_{server.port}", server.password)
        made = running_deployment(mariadb, lambda link: files(mariadb, postgres, sick, last.starts))
        with made as deployment, open_store() as store:
            yield Fleet(deployment, sick, last, store)


def reading(day: date, size: int) -> CapacityReading:
    ok = {SectionKey(name): SectionState(Status.OK) for name in (SectionName.DATABASES, SectionName.SIZES)}
    moment = datetime.combine(day, time(3), SHANGHAI).astimezone(UTC)
    return CapacityReading(ServerFact("mysql", "MariaDB", (10, 11)), moment, ok, (DatabaseSize("shop", bytes=size),))


def test_the_sensor_makes_partitions_of_the_instances(fleet: Fleet) -> None:
    until(lambda: set(fleet.instance.get_dynamic_partitions("prod_instances")) == set(NAMES), 120)


def test_accounts_of_the_good_instances_are_published_and_the_dead_one_is_red(fleet: Fleet) -> None:
    order = fleet.instance.get_dynamic_partitions("prod_instances")
    run = fleet.launch(ACCOUNTS, order[0], order[-1])
    assert run.status is dg.DagsterRunStatus.FAILURE
    for name in ACCOUNTS:
        assert fleet.green(name) == {"maria", "主库"}, fleet.why()
        assert fleet.red(name) == {"late"}
    shown = fleet.told("account_permissions", "maria")
    assert int(str(shown["principals"].value)) > 0
    assert "late" in fleet.why()


def test_a_day_without_one_instance_is_red_and_its_week_is_partial_and_names_it(fleet: Fleet) -> None:
    """D8: all other days of the last closed week are there."""
    missing = fleet.week.days[2]
    for at, day in enumerate(fleet.week.days):
        for name in NAMES:
            if (name, day) != ("late", missing):
                fleet.capacity.record("prod", name, day, "seeded", reading(day, 10**9 + at))
    assert fleet.backfill("capacity_snapshot", f"{missing}|late") == "COMPLETED_FAILED"
    assert fleet.red("capacity_snapshot") == {f"{missing}|late"}
    (gap,) = fleet.capacity.gaps("prod", kind="capacity")
    assert (gap.instance, gap.day) == ("late", missing)
    assert gap.reason in ("refused", "timeout")
    until(lambda: fleet.week.key in fleet.green("capacity_weekly"), 120)
    until(lambda: fleet.told("capacity_weekly", fleet.week.key)["status"].value == "partial", 120)
    assert "late" in str(fleet.told("capacity_weekly", fleet.week.key)["missing"].value)
    assert fleet.summary == ("partial", ("late",), (missing,))


def test_a_backfill_of_the_day_closes_it_and_the_week_becomes_complete_by_itself(fleet: Fleet) -> None:
    missing = fleet.week.days[2]
    fleet.sick.start()
    assert fleet.backfill("capacity_snapshot", f"{missing}|late") == "COMPLETED_SUCCESS", fleet.why()
    assert fleet.red("capacity_snapshot") == set()
    assert fleet.capacity.gaps("prod", kind="capacity") == []
    until(lambda: fleet.told("capacity_weekly", fleet.week.key)["status"].value == "complete", 150)
    assert fleet.summary == ("complete", (), ())
    assert fleet.dagster.errors_of_daemon() == []


def test_days_are_aggregated_too_and_no_day_that_is_not_over(fleet: Fleet) -> None:
    """D6: nothing carries the label of today, or of a period that is still running."""
    until(lambda: {d.isoformat() for d in fleet.week.days} <= fleet.green("capacity_daily"), 120)
    today = datetime.now(SHANGHAI).date()
    assert all(date.fromisoformat(k) < today for k in fleet.green("capacity_daily"))
    assert all(date.fromisoformat(k) + timedelta(days=7) <= today for k in fleet.green("capacity_weekly"))
