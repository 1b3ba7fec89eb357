"""Dagster for real: daemon, web server, code servers and run processes, over MariaDB and the emulator.

One deployment for all tests of the module; each test has a sync, a table and a board of its own.
"""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
import psutil
import pytest

from sync_assets.testing.servers import Server
from sync_assets_tests.fix_project import Deployment, running_deployment, until

pytestmark = pytest.mark.timeout(400)
ZONE = ZoneInfo("Asia/Shanghai")
TODAY = datetime.now(ZONE).replace(hour=12, minute=0, second=0, microsecond=0, tzinfo=None)
TABLES = ("ticked", "sensed", "gaps", "killed", "alerted")


def day(ago: int) -> str:
    return (TODAY - timedelta(days=ago)).strftime("%Y-%m-%d")


def file(link: str, name: str, more: str, head: str = "") -> str:
    return f"""
        type: sync_assets.components.TableSync
        attributes:
          source: shop
          target: feishu
          alerts: ops
          {head}
          syncs:
            - name: {name}
              table: {name}
              bitable: "{link}"
              table_name: {name}
              key: [id]
              watermark: updated_at
              {more}
        """


def files(link: str) -> Mapping[str, str]:
    windows = f"partitions: {{every: day, start: {day(5)}, column: updated_at}}"
    return {
        "ticked": file(link, "ticked", "", head='schedule: "* * * * *"'),
        "sensed": file(link, "sensed", windows + "\n              sensor: {every: 5, windows: 6}"),
        "gaps": file(link, "gaps", f"partitions: {{every: day, start: {day(5)}}}").replace(
            "table: gaps",
            "query: select id, (select word from words where words.id = gaps.id) as name, updated_at from gaps"
            " where updated_at >= :start and updated_at < :end",
        ),
        "killed": file(link, "killed", ""),
        "alerted": file(link, "alerted", ""),
    }


@pytest.fixture(scope="module")
def real(mariadb: Server) -> Iterator[Deployment]:
    mariadb.execute("drop database if exists shop", "create database shop")
    for table in TABLES:
        mariadb.execute(
            f"create table {table} (id int primary key, name varchar(40), updated_at datetime)", database="shop"
        )
        rows = ", ".join(f"({i}, '{table} {i}', '{day(i % 3 + 1)} 10:00:00')" for i in range(1, 10))
        mariadb.execute(f"insert into {table} values {rows}", database="shop")
    mariadb.execute("create table words as select id, name as word from gaps", database="shop")
    with running_deployment(mariadb, files) as deployment:
        yield deployment


def names(real: Deployment, board: str) -> list[str]:
    return sorted(str(row["name"]) for row in real.board(board))


def test_a_schedule_ticks_and_the_board_fills(real: Deployment) -> None:
    run = until(lambda: [r for r in real.runs_of("ticked") if r.is_finished], 150)[0]
    assert run.status is dg.DagsterRunStatus.SUCCESS
    assert run.tags["dagster/schedule_name"] == "ticked_schedule"
    assert names(real, "ticked") == sorted(f"ticked {i}" for i in range(1, 10))


def test_a_sensor_asks_for_the_changed_partition_only(real: Deployment) -> None:
    until(lambda: real.partitions("sensed") == {day(1), day(2), day(3)}, 120)
    before = {run.run_id for run in real.runs_of("sensed")}
    real.sql(f"update sensed set name = 'late', updated_at = '{day(3)} 11:00:00' where id = 2")
    run = until(lambda: [r for r in real.runs_of("sensed") if r.run_id not in before], 60)[0]
    run = real.ended(run.run_id)
    assert (run.status, run.tags["dagster/partition"]) == (dg.DagsterRunStatus.SUCCESS, day(3))
    assert "late" in names(real, "sensed")
    assert len(real.runs_of("sensed")) == len(before) + 1


def test_a_backfill_closes_exactly_the_failed_partitions(real: Deployment) -> None:
    real.sql("insert into words values (3, 'a second word')")  # the subquery of row 3, of yesterday, fails
    first = backfill(real, "gaps", [day(3), day(2), day(1)])
    assert first.status.value == "COMPLETED_FAILED"
    assert real.partitions("gaps") == {day(3), day(2)}, why(real, "gaps")
    real.sql("delete from words where word = 'a second word'")
    again = backfill(real, "gaps", sorted({day(3), day(2), day(1)} - real.partitions("gaps")))
    assert again.status.value == "COMPLETED_SUCCESS"
    assert real.partitions("gaps") == {day(3), day(2), day(1)}
    last = real.runs_of("gaps")[-1].tags
    assert last["dagster/asset_partition_range_start"] == last["dagster/asset_partition_range_end"] == day(1)
    assert names(real, "gaps") == sorted(f"gaps {i}" for i in range(1, 10))


def why(real: Deployment, name: str) -> str:
    """What the last run of that board says about its failure."""
    entries = real.instance.all_logs(real.runs_of(name)[-1].run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    return "; ".join(str(e.dagster_event and e.dagster_event.step_failure_data.user_failure_data) for e in entries)


def backfill(real: Deployment, name: str, keys: list[str]) -> dg.PartitionBackfill:  # type: ignore[name-defined]
    """What the UI's dialog sends; waits for its end."""
    done = real.graphql(
        """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
             __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }""",
        params={"assetSelection": [{"path": ["feishu", name]}], "partitionNames": keys},
    )["launchPartitionBackfill"]
    assert done["__typename"] == "LaunchBackfillSuccess", done
    ended = {"COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED"}
    return until(lambda: (b := real.instance.get_backfill(done["backfillId"])) and b.status.value in ended and b, 150)


def test_a_killed_run_is_tried_again_and_nothing_is_lost_or_doubled(real: Deployment) -> None:
    real.feishu.fault("latency", "batch_create", seconds=20.0)
    run_id = real.launch("killed")
    until(lambda: real.feishu.struck() and real.feishu.struck()[-1], 60)
    os.kill(process_of(real, run_id), signal.SIGKILL)
    killed = real.ended(run_id)
    assert killed.status is dg.DagsterRunStatus.FAILURE
    second = until(lambda: [r for r in real.runs_of("killed") if r.parent_run_id == run_id], 60)[0]
    assert real.ended(second.run_id, 240).status is dg.DagsterRunStatus.SUCCESS
    assert names(real, "killed") == sorted(f"killed {i}" for i in range(1, 10))
    assert not [m for m in texts(real) if "killed" in m]  # a retry that works is nobody's trouble


def process_of(real: Deployment, run_id: str) -> int:
    for entry in real.instance.all_logs(run_id):
        found = re.search(r"\(pid: (\d+)\)", entry.message or entry.user_message or "")
        if found and psutil.pid_exists(int(found[1])):
            return int(found[1])
    raise AssertionError("the run named no process")


def will_be_tried_again(real: Deployment, run_id: str) -> bool:
    tag = until(lambda: (r := real.instance.get_run_by_id(run_id)) and r.tags.get("dagster/will_retry"))
    return bool(tag == "true")


def texts(real: Deployment) -> list[str]:
    return [message["body"]["content"]["text"] for message in real.feishu.messages()]


def test_an_alert_reaches_the_group_once_and_so_does_the_recovery(real: Deployment) -> None:
    def mine() -> list[str]:
        return [text for text in texts(real) if "alerted" in text]

    real.sql("alter table alerted drop primary key", f"insert into alerted values (3, 'twice', '{day(1)} 12:00:00')")
    for _ in range(2):
        failed = real.ended(real.launch("alerted"))
        assert failed.status is dg.DagsterRunStatus.FAILURE
        assert not will_be_tried_again(real, failed.run_id)  # what the engine refused is not for run retries
        until(mine, 60)
    real.sql("delete from alerted where name = 'twice'")
    assert real.ended(real.launch("alerted")).status is dg.DagsterRunStatus.SUCCESS
    until(lambda: len(mine()) > 1, 60)
    first, second = mine()
    assert first.splitlines()[0] == "alerted: sync failed"
    assert "/runs/" in first
    assert second.splitlines()[0] == "alerted: works again"
    assert "failed runs: " in second


def test_no_tick_failed_in_all_this(real: Deployment) -> None:
    """The last test: it judges the daemon by what the others made it do."""
    assert real.errors_of_daemon() == []
