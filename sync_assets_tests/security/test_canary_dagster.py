"""No secret and no value of a row is kept by Dagster: events, tags, logs of runs, process lists, both databases."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import dagster as dg
import psutil
import pytest

from sync_assets.components.deployment import whole_definitions
from sync_assets.store import embedded
from sync_assets.testing.servers import Server
from sync_assets_tests.fix_project import Deployment, ProjectOf, Script, running_deployment, until
from sync_assets_tests.security.canaries import Canary, dump, files, found

pytestmark = pytest.mark.timeout(400)
PASSWORD, OTHER_PASSWORD, VALUE, REJECTED = (Canary.fresh() for _ in range(4))


def _files(link: str) -> Mapping[str, str]:
    sync = f"""
        type: sync_assets.components.TableSync
        attributes:
          source: shop
          target: feishu
          alerts: ops
          syncs:
            - name: people
              query: select id, name, qty from people where (select count(*) from people p where p.name = 'x') = 0
              bitable: "{link}"
              table_name: people
              key: [id]
              columns: {{qty: {{type: number}}}}
              mode: clone
        """
    return {"people": sync}


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "''")


@contextmanager
def _listening(heard: dict[int, str]) -> Iterator[None]:
    """The command lines of all processes that live meanwhile."""
    over = threading.Event()

    def listen() -> None:
        while not over.wait(0.05):
            for process in psutil.process_iter(["cmdline"]):
                heard[process.pid] = " ".join(process.info["cmdline"] or ())

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _read_answers(real: Deployment, run_id: str) -> str:
    """What the UI shows of a run and of its asset."""
    asked = real.graphql(
        """query($id: ID!) { runOrError(runId: $id) { ... on Run { runConfigYaml tags { key value } } }
             logsForRun(runId: $id) { ... on EventConnection { events { ... on MessageEvent { message }
               ... on ExecutionStepFailureEvent { error { message stack cause { message stack } } } } } }
             instance { info } }""",
        id=run_id,
    )
    return str(asked)


def test_dagster_keeps_no_secret(mariadb: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    mariadb.execute(
        "drop database if exists shop",
        "create database shop",
        f"create or replace user canary@'%' identified by '{_quoted(PASSWORD.value)}'",
        "grant select on shop.* to canary@'%'",
    )
    mariadb.execute(
        "create table people (id int primary key, name varchar(100), qty varchar(100))",
        f"insert into people values (1, '{_quoted(VALUE.value)}', '1'), (2, 'b', '{_quoted(REJECTED.value)}')",
        database="shop",
    )
    reader = replace(mariadb, user="canary", password=PASSWORD.value)
    heard: dict[int, str] = {}
    with running_deployment(reader, _files) as real, _listening(heard):
        secrets = [PASSWORD, OTHER_PASSWORD, Canary.of(real.environment["OPS_WEBHOOK"].rpartition("/")[2])]
        secrets += [Canary.of((real.home / "postgres" / name).read_text()) for name in ("password", "admin_password")]
        said = [_answer(real, work) for work in _good_and_bad(real, mariadb)]
        until(real.feishu.messages, 60)
        values = [VALUE, REJECTED]
        app = Canary.of(real.feishu.app_secret)
        assert found("\n".join(said), [*secrets, *values, app]) == []
        told = str([message["body"] for message in real.feishu.messages()])
        assert found(told, [*secrets, *values]) == []
        assert found("\n".join(heard.values()), [*secrets, *values]) == []
        assert any("--instance-ref" in line for line in heard.values()), "this is where an address would show"
        for database in ("dagster", "sync_assets"):
            text = dump(embedded.ensure_running(database, home=real.home).arguments())
            assert found(text, [*secrets, *values, app]) == []
            assert "people" in text
        kept = files(real.home, without=[real.home / "postgres"])
        assert "compute_logs" in kept
        assert found(kept, [*secrets, *values, app]) == []
    mariadb.execute("drop user canary@'%'")


def _good_and_bad(real: Deployment, mariadb: Server) -> Iterator[bool]:
    """Each step leaves the world as the next run is to find it: whether that run may succeed."""
    yield True
    assert len(real.board("people")) == 1, "the other row was rejected"
    mariadb.execute("insert into people values (3, 'x', '3')", database="shop")
    yield False  # the query finds nothing now: the guard speaks
    mariadb.execute("delete from people where id = 3", database="shop")
    real.feishu.expire_tokens()
    yield True
    real.feishu.set_permission(real.base, right="")
    yield False
    real.feishu.set_permission(real.base, right="edit")
    mariadb.execute("alter table people drop column qty", database="shop")
    yield False
    mariadb.execute(f"set password for canary@'%' = password('{_quoted(OTHER_PASSWORD.value)}')")
    yield False


def _answer(real: Deployment, may_succeed: bool) -> str:
    run_id = real.launch("people")
    status = real.ended(run_id).status
    assert (status is dg.DagsterRunStatus.SUCCESS) == may_succeed, _read_answers(real, run_id)
    return _read_answers(real, run_id)


SYNC = """
type: sync_assets.components.TableSync
attributes:
  source: shop
  target: feishu
  syncs:
    - {name: people, table: people, bitable: "https://acme.feishu.cn/base/bascnExample?table=tblPeople", key: [id]}
"""


def test_an_error_nobody_expected_leaves_its_place_and_not_its_text(
    project_of: ProjectOf, script: Script, capfd: pytest.CaptureFixture[str]
) -> None:
    script.error = RuntimeError(f"cannot parse postgres://reader:{PASSWORD.value}@h, row {VALUE.value}")
    defs = whole_definitions(project_of(people=SYNC), script.execution)
    with dg.DagsterInstance.ephemeral() as instance:
        job = defs.resolve_implicit_global_asset_job_def()
        result = job.execute_in_process(
            instance=instance, asset_selection=[dg.AssetKey(["feishu", "people"])], raise_on_error=False
        )
        kept = "\n".join(str(entry) for entry in instance.all_logs(result.run_id))
    shown = capfd.readouterr()
    assert not result.success
    assert "unexpected error: RuntimeError" in kept
    assert "fix_project.py" in kept, "the trace says where"
    assert found(kept + shown.out + shown.err, [PASSWORD, VALUE]) == []
