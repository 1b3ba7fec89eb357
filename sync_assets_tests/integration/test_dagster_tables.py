"""Tables in Dagster for real: daemon, web server, code servers and run processes, from one PostgreSQL to another.

One deployment for all tests of the module, which build on each other in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
import pytest

from sync_assets.testing.servers import Server
from sync_assets_tests.fix_project import Deployment, running_deployment, until

pytestmark = pytest.mark.timeout(400)
RANGES = ["0000000000", "0000001000", "0000002000"]
EVENTS, ORDERS, CUSTOMERS = ["dw", "copy", "events"], ["dw", "copy", "orders"], ["dw", "copy", "customers"]


def files(server: Server) -> Mapping[str, str]:
    def connection(name: str) -> str:
        return (
            f'{{type: postgres, name: {name}, host: "{server.host}", port: {server.port}, database: real_{name}, '
            f'user: {server.user}, password: "env:PG_WORD"}}'
        )

    return {
        "databases": f"""
            type: sync_assets.components.Connections
            attributes:
              connections:
                - {connection("src")}
                - {connection("dw")}
            """,
        "copy": """
            type: sync_assets.components.DatabaseReplica
            attributes:
              name: shop_copy
              source: src
              target: dw
              tables: [public.*]
              into: {public: copy}
              overrides:
                public.events: {partitions: {by: key, column: id, end: 3000, size: 1000}}
            """,
        "boards": """
            type: sync_assets.components.TableSync
            attributes:
              source: dw
              target: dw
              syncs:
                - {name: names, table: copy.customers, into: made.names, mode: full, columns: {name: {skip: true}}}
            """,
    }


@pytest.fixture(scope="module")
def real(mariadb: Server, postgres: Server) -> Iterator[Deployment]:
    for name in ("src", "dw"):
        postgres.create_database(f"real_{name}")
    postgres.execute(
        "create table customers (id int primary key, name text)",
        "create table orders (id int primary key, customer int references customers, at timestamptz)",
        "create table events (id bigint primary key, what text)",
        "insert into customers select n, 'c' || n from generate_series(1, 50) n",
        "insert into orders select n, 1 + n % 50, now() from generate_series(1, 500) n",
        "insert into events select n, 'e' || n from generate_series(0, 2999) n",
        database="real_src",
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PG_WORD", postgres.password)
        patch.setenv("DAGSTER_IS_DEV_CLI", "1")  # as `dagster dev` does: code servers list the tables as they start
        with running_deployment(mariadb, lambda link: files(postgres)) as deployment:
            yield deployment
    for name in ("src", "dw"):
        postgres.drop_database(f"real_{name}")


def launch(real: Deployment, *paths: Sequence[str]) -> dg.DagsterRun:
    """Materialise assets as the UI does, and wait for the end of the run."""
    selector = {
        "repositoryLocationName": "sync_assets", "repositoryName": "__repository__", "jobName": "__ASSET_JOB",
        "assetSelection": [{"path": list(path)} for path in paths],
        "assetCheckSelection": None,
    }  # fmt: skip
    done = real.graphql(
        """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
             __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }""",
        params={"selector": selector, "runConfigData": {}, "mode": "default"},
    )["launchRun"]
    assert done["__typename"] == "LaunchRunSuccess", done
    return real.ended(done["run"]["runId"])


def backfill(real: Deployment, path: Sequence[str], keys: Sequence[str]) -> Any:
    done = real.graphql(
        """mutation($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
             __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }""",
        params={"assetSelection": [{"path": list(path)}], "partitionNames": list(keys)},
    )["launchPartitionBackfill"]
    assert done["__typename"] == "LaunchBackfillSuccess", done
    ended = {"COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED", "CANCELED"}
    return until(lambda: (b := real.instance.get_backfill(done["backfillId"])) and b.status.value in ended and b, 150)


def written(real: Deployment, path: Sequence[str]) -> set[str]:
    return real.instance.get_materialized_partitions(dg.AssetKey(list(path)))


def why(real: Deployment) -> str:
    """What failed steps said, of all runs."""
    told = [e.dagster_event for run in real.instance.get_runs()
            for e in real.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)]  # fmt: skip
    return "; ".join(str(e and e.step_failure_data.user_failure_data) for e in told)


def test_the_tables_are_there_when_it_starts_and_a_new_one_after_a_reload(real: Deployment, postgres: Server) -> None:
    parents = lineage(real)
    assert parents["dw", "copy", "orders"] == {("src", "orders"), ("dw", "copy", "customers")}
    assert parents["dw", "made", "names"] == {("dw", "copy", "customers")}
    postgres.execute("create table late (id int primary key)", database="real_src")
    assert launch(real, ["dw", "shop_copy_tables"]).status is dg.DagsterRunStatus.SUCCESS, why(real)
    real.graphql("""mutation { reloadRepositoryLocation(repositoryLocationName: "sync_assets") { __typename } }""")
    assert lineage(real)["dw", "copy", "late"] == {("src", "late")}


def lineage(real: Deployment) -> dict[tuple[str, ...], set[tuple[str, ...]]]:
    found = real.graphql("{ assetNodes { assetKey { path } dependencyKeys { path } } }")["assetNodes"]
    return {tuple(n["assetKey"]["path"]): {tuple(d["path"]) for d in n["dependencyKeys"]} for n in found}


def test_tables_and_what_reads_them_are_written_in_one_run(real: Deployment, postgres: Server) -> None:
    run = launch(real, ORDERS, CUSTOMERS, ["dw", "made", "names"])
    assert run.status is dg.DagsterRunStatus.SUCCESS, why(real)
    counts = "select (select count(*) from copy.customers), (select count(*) from copy.orders)"
    assert postgres.execute(counts, database="real_dw") == [(50, 500)]
    assert postgres.execute("select count(*) from made.names", database="real_dw") == [(50,)]
    (record,) = real.instance.fetch_materializations(dg.AssetKey(ORDERS), limit=1).records
    assert record.asset_materialization is not None
    assert record.asset_materialization.metadata["created"].value == 500


def test_a_backfill_closes_exactly_the_failed_range(real: Deployment, postgres: Server) -> None:
    postgres.execute(
        "create table copy.events (id bigint primary key, what text, constraint no_1500 check (id <> 1500))",
        database="real_dw",
    )
    first = backfill(real, EVENTS, RANGES)
    assert first.status.value == "COMPLETED_FAILED"
    assert written(real, EVENTS) == {RANGES[0], RANGES[2]}, why(real)
    postgres.execute("alter table copy.events drop constraint no_1500", database="real_dw")
    again = backfill(real, EVENTS, sorted(set(RANGES) - written(real, EVENTS)))
    assert again.status.value == "COMPLETED_SUCCESS", why(real)
    assert written(real, EVENTS) == set(RANGES)
    same = "select count(*), min(id), max(id), md5(string_agg(what, ',' order by id)) from {}"
    assert postgres.execute(same.format("copy.events"), database="real_dw") == postgres.execute(
        same.format("events"), database="real_src")  # fmt: skip


def test_no_tick_failed_in_all_this(real: Deployment) -> None:
    assert real.errors_of_daemon() == []
