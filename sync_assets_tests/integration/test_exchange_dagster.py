"""An exchange in Dagster for real: daemon, web server and run processes, and the gateway of another installation.

One deployment for all tests of the module, which build on each other in order.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from sync_assets.components.partitions import RANGE_END, RANGE_START
from sync_assets.exchange.work import Direction, SyncStatus
from sync_assets.store.control import PostgresStore, open_store
from sync_assets.store.exchange.library import PostgresLibrary
from sync_assets.store.exchange.syncs import PostgresSyncs
from sync_assets.testing.proxy import Proxy
from sync_assets.testing.servers import Server
from sync_assets_tests.fix_exchange import fill
from sync_assets_tests.fix_gateway import Gateway, new_database, running
from sync_assets_tests.fix_project import Deployment, running_deployment, until

pytestmark = pytest.mark.timeout(400)
NAMES = ("repositories", "tasks", "documents", "links")
OURS = ("1 repository 1", "2 repository 2", "3 repository 3")


def files(url: str) -> Mapping[str, str]:
    return {
        "books": f"""
            type: sync_assets.components.RepositoryExchange
            attributes:
              name: books
              every: 30
              peers:
                - {{name: branch, url: "{url}", api_key: "env:BRANCH_KEY", network: {{internal: [127.0.0.0/8]}}}}
            """
    }


@dataclass
class Books:
    """A running deployment with three repositories of its own, and the other installation with two."""

    dagster: Deployment
    branch: Gateway
    line: Proxy
    store: PostgresStore

    @property
    def instance(self) -> dg.DagsterInstance:
        return self.dagster.instance

    def green(self, name: str, way: str = "push") -> set[str]:
        return self.instance.get_materialized_partitions(key(name, way))

    def red(self, name: str) -> set[str]:
        """What the UI shows in red: planned by a run that failed, and not written since."""
        storage = self.instance.event_log_storage
        attempts = storage.get_latest_asset_partition_materialization_attempts_without_materializations(key(name))
        runs = {run_id: self.instance.get_run_by_id(run_id) for run_id, _ in attempts.values()}
        return {part for part, (run_id, _) in attempts.items() if (r := runs[run_id]) and r.is_failure}

    def launch(self, first: str, last: str, way: str = "push", names: Sequence[str] = NAMES) -> dg.DagsterRun:
        """One run over a range of partitions, to its end."""
        return self.dagster.ended(self.begin(first, last, way, names))

    def begin(self, first: str, last: str, way: str = "push", names: Sequence[str] = NAMES) -> str:
        """One run over a range of partitions. Returns its id."""
        selector = {
            "repositoryLocationName": "sync_assets", "repositoryName": "__repository__", "jobName": "__ASSET_JOB",
            "assetSelection": [{"path": list(key(name, way).path)} for name in names],
        }  # fmt: skip
        tags = [{"key": RANGE_START, "value": first}, {"key": RANGE_END, "value": last}]
        done = self.dagster.graphql(
            """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
                 __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }""",
            params={"selector": selector, "runConfigData": {}, "mode": "default", "executionMetadata": {"tags": tags}},
        )["launchRun"]
        assert done["__typename"] == "LaunchRunSuccess", done
        return str(done["run"]["runId"])

    def backfill(self, names: Sequence[str], partition: str) -> str:
        """As the UI does it for a red partition. Returns how it ended."""
        done = self.dagster.graphql(
            """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
                 __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }""",
            params={
                "assetSelection": [{"path": list(key(name).path)} for name in names], "partitionNames": [partition],
            },
        )["launchPartitionBackfill"]  # fmt: skip
        assert done["__typename"] == "LaunchBackfillSuccess", done
        ended = {"COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED"}
        found = until(
            lambda: (b := self.instance.get_backfill(done["backfillId"])) and b.status.value in ended and b, 90
        )
        return str(found.status.value)

    def why(self) -> str:
        """What failed steps said, of all runs."""
        told = [e.dagster_event for run in self.instance.get_runs()
                for e in self.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)]  # fmt: skip
        return "; ".join(str(e and e.step_failure_data.user_failure_data) for e in told)

    def observed(self, name: str, partition: str) -> Mapping[str, dg.MetadataValue]:
        """What was told of a partition that failed."""
        asked = dg.AssetRecordsFilter(key(name), asset_partitions=[partition])
        (record, *_) = self.instance.fetch_observations(asked, limit=1).records
        assert record.asset_observation is not None
        return record.asset_observation.metadata

    def run_sql(self, statement: str) -> None:
        self.store.sessions.run(lambda cursor: cursor.execute(statement.encode()))


def key(name: str, way: str = "push") -> dg.AssetKey:
    return dg.AssetKey(["books", "branch", way, name])


@pytest.fixture(scope="module")
def books(mariadb: Server, control_server: Path) -> Iterator[Books]:
    with (
        new_database(control_server) as address,
        running(address) as branch,
        Proxy("127.0.0.1", int(branch.url.rpartition(":")[2])) as line,
        pytest.MonkeyPatch.context() as patch,
    ):
        for number in (1, 2):
            fill(PostgresLibrary(branch.store.sessions), number, 2, 1, origin="theirs")
        patch.setenv("BRANCH_KEY", branch.key("read", "write", name="us"))
        with (
            running_deployment(mariadb, lambda link: files(f"http://127.0.0.1:{line.port}/api/sync")) as deployment,
            open_store() as store,
        ):
            for number, tasks in ((1, 4), (2, 3), (3, 1)):
                fill(PostgresLibrary(store.sessions), number, tasks, 2)
            yield Books(deployment, branch, line, store)


def test_the_sensors_make_partitions_of_the_repositories_here_and_there(books: Books) -> None:
    instance = books.instance
    until(lambda: tuple(instance.get_dynamic_partitions("books__repositories")) == OURS, 120)
    until(lambda: len(instance.get_dynamic_partitions("books__branch__repositories")) == 2, 120)


def test_all_repositories_are_pushed_in_one_run(books: Books) -> None:
    run = books.launch(OURS[0], OURS[-1])
    assert run.status is dg.DagsterRunStatus.SUCCESS, books.why()
    for name in NAMES:
        assert books.green(name) == set(OURS)
    assert books.branch.rows("select count(*) from sync_assets.exchange_document") == [(4 + 16,)]
    states = PostgresSyncs(books.store).recent()
    assert [(state.order.peer, state.status) for state in states] == [("branch", SyncStatus.COMPLETED)] * 3
    assert {state.order.asked_by for state in states} <= {"dagster", "user", "backfill"}


def test_a_repository_whose_document_was_changed_there_is_one_red_partition_and_says_which(books: Books) -> None:
    """Same version, same time, another text: neither is newer."""
    with books.branch.store.sessions.connect() as connection:
        connection.execute(
            "update sync_assets.exchange_document set content = 'theirs now' where document_id in (select d.document_id"
            " from sync_assets.exchange_document d join sync_assets.exchange_repository r using (repository_id)"
            " join sync_assets.exchange_map m on m.entity = 'repository' and m.local_id = r.repository_id"
            " where r.name = 'repository 2' and m.origin <> 'theirs' order by 1 limit 1)"
        )
    run = books.launch(OURS[0], OURS[-1])
    assert run.status is dg.DagsterRunStatus.FAILURE
    for name in ("tasks", "documents", "links"):
        assert books.red(name) == {OURS[1]}, name
    assert books.red("repositories") == set()
    shown = books.observed("documents", OURS[1])
    assert (shown["failed"].value, shown["succeeded"].value) == (1, 5)
    table = shown["documents"]
    assert isinstance(table, dg.TableMetadataValue)
    assert str(table.records[0].data["status"]) == "failed"
    assert "another text" in str(table.records[0].data["error"])


def test_the_red_partition_alone_is_run_again_and_becomes_green(books: Books) -> None:
    books.run_sql(
        "update sync_assets.exchange_document d set version = version + 1 from sync_assets.exchange_repository r"
        " where r.repository_id = d.repository_id and r.name = 'repository 2'"
    )
    before = {state.sync_id for state in PostgresSyncs(books.store).recent()}
    assert books.backfill(NAMES[1:], OURS[1]) == "COMPLETED_SUCCESS", books.why()
    assert books.red("documents") == set()
    new = [state for state in PostgresSyncs(books.store).recent() if state.sync_id not in before]
    assert [state.order.repository_id for state in new] == [2]


def test_repositories_of_the_peer_are_pulled(books: Books) -> None:
    first, second, *_ = books.instance.get_dynamic_partitions("books__branch__repositories")
    run = books.launch(first, second, "pull")
    assert run.status is dg.DagsterRunStatus.SUCCESS, books.why()
    assert {first, second} <= books.green("links", "pull")
    origins = PostgresSyncs(books.store).recent(direction=Direction.PULL)
    assert len(origins) == 2


def test_a_run_that_is_killed_is_taken_over_by_the_next(books: Books) -> None:
    syncs = PostgresSyncs(books.store)
    books.line.silence()
    begun = books.begin(OURS[0], OURS[0])
    state = until(lambda: next((s for s in syncs.recent() if s.status is SyncStatus.IN_PROGRESS), None), 60)
    asked = "select holder from sync_assets.exchange_sync where finished_at is null"
    holders = books.store.sessions.run(lambda cursor: cursor.execute(asked).fetchall())
    ((holder,),) = holders
    os.kill(int(holder.rpartition("#")[2].split(":")[1]), signal.SIGKILL)
    until(lambda: syncs.abandoned() == [state.sync_id], 30)
    books.line.heal()
    assert books.dagster.ended(begun).status is dg.DagsterRunStatus.FAILURE
    run = books.launch(OURS[0], OURS[0])
    assert run.status is dg.DagsterRunStatus.SUCCESS, books.why()
    ended = syncs.state(state.sync_id)
    assert ended is not None
    assert (ended.status, ended.total, ended.succeeded) == (SyncStatus.COMPLETED, 4, 4)
    assert syncs.recent()[0].sync_id == state.sync_id


def test_a_peer_that_refuses_our_key_makes_red_partitions_and_says_what_to_do(books: Books) -> None:
    (found,) = [one for one in books.branch.keys.entries() if one.name == "us"]
    books.branch.keys.revoke(found.key_id)
    run = books.launch(OURS[0], OURS[0])
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert "branch" in books.why()
    assert OURS[0] in books.red("documents")


def test_the_daemon_met_no_error(books: Books) -> None:
    assert books.dagster.errors_of_daemon() == []
    assert PostgresSyncs(books.store).abandoned() == []
