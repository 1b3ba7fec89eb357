"""Projects as YAML in a temporary folder: scripted ones for the definitions alone, and real ones over real servers."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import pytest

from sync_assets.components.execution import Execution
from sync_assets.components.notices import Notice
from sync_assets.engine.control import ControlStore
from sync_assets.engine.errors import SyncError
from sync_assets.engine.model import Counts, Delivery, Mode, Observation, Progress, Report, SyncErrorInfo
from sync_assets.engine.tables.report import Outcome
from sync_assets.project.load import PlacedReplica, PlacedSync, Project, load_project
from sync_assets.project.replicas import Listing
from sync_assets.testing.bitable import Config, Emulator
from sync_assets.testing.memory import MemoryStore
from sync_assets.testing.servers import Server

ROOT = Path(__file__).parents[1]

CONNECTIONS = """
type: sync_assets.components.Connections
attributes:
  connections:
    - {type: mysql, name: shop, database: shop, user: reader, password: "env:SHOP_PASSWORD"}
    - {type: postgres, name: dw, database: dw, user: writer, password: "env:DW_PASSWORD"}
    - {type: feishu, name: feishu, app_id: cli_1, app_secret: "env:FEISHU_SECRET"}
    - {type: feishu_bot, name: ops, webhook: "env:OPS_WEBHOOK"}
"""


def write_defs(folder: Path, **files: str) -> Path:
    """One sub-folder with a defs.yaml for each of `files`; returns the folder."""
    for name, text in files.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / name / "defs.yaml").write_text(textwrap.dedent(text), encoding="utf-8")
    return folder


@dataclass
class Script:
    """An engine that does nothing but what a test says, and remembers what it was asked."""

    fail: dict[str, SyncErrorInfo] = field(default_factory=dict)  # partition ("" without) -> how it fails
    error: Exception | None = None  # raised instead
    seen: dict[str, Observation] = field(default_factory=dict)  # partition -> what a look finds
    report: dict[str, Any] = field(default_factory=dict)  # more fields of the report
    runs: list[tuple[str, tuple[str, ...] | None]] = field(default_factory=list)
    looks: list[tuple[str, tuple[str, ...] | None]] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    notices: list[tuple[str, Notice]] = field(default_factory=list)
    store: MemoryStore = field(default_factory=MemoryStore)
    errors: dict[str, list[SyncError]] = field(default_factory=dict)  # of tables of a replica
    replicated: list[tuple[str, tuple[str, ...], dict[str, tuple[str, ...]]]] = field(default_factory=list)
    listing: Listing | None = None
    open_store: Callable[[], AbstractContextManager[ControlStore]] | None = None  # in place of `store`

    def run(
        self,
        project: Project,
        name: str,
        *,
        partitions: Sequence[str] | None,
        mode: Mode | None = None,
        run_id: str,
        progress: Progress,
        accept_empty: bool = False,
    ) -> Report:
        self.runs.append((name, None if partitions is None else tuple(partitions)))
        self.asked.append({"mode": mode, "run_id": run_id, "accept_empty": accept_empty})
        if self.error is not None:
            raise self.error
        good = [key for key in (partitions if partitions is not None else [""]) if key not in self.fail]
        failed = {key: self.fail[key] for key in (partitions or [""]) if key in self.fail}
        counts = {key: Counts(read=3, created=2, unchanged=1) for key in good}
        total = sum(counts.values(), Counts())
        plain = {"counts": total, "partitions": counts, "failed": failed, "equal": True, "seconds": 1.0}
        delivery = Delivery.LEDGER if project.syncs[name].into_table else Delivery.TOKEN
        return Report(name, mode or Mode.FULL, delivery, **plain | self.report)

    def observe(self, project: Project, name: str, partitions: Sequence[str] | None) -> Mapping[str, Observation]:
        self.looks.append((name, None if partitions is None else tuple(partitions)))
        if self.error is not None:
            raise self.error
        return {key: self.seen.get(key, Observation(0, None)) for key in (partitions or [""])}

    def replica(
        self,
        project: Project,
        replica: PlacedReplica,
        syncs: Mapping[str, PlacedSync],
        partitions: Mapping[str, Sequence[str]],
        *,
        mode: Mode | None,
        run_id: str,
        progress: Progress,
        accept_empty: bool,
    ) -> Mapping[str, Outcome]:
        """Tables named in `errors` end with these; an error is taken from the front of its list, once."""
        self.replicated.append((replica.name, tuple(syncs), {t: tuple(k) for t, k in partitions.items()}))
        self.asked.append({"mode": mode, "run_id": run_id, "accept_empty": accept_empty})
        if self.error is not None:
            raise self.error
        return {table: self._outcome(table, sync, partitions.get(table)) for table, sync in syncs.items()}

    def _outcome(self, table: str, sync: PlacedSync, keys: Sequence[str] | None) -> Outcome:
        if self.errors.get(table):
            return Outcome(None, self.errors[table].pop(0))
        counts = {key: Counts(read=3, created=2, unchanged=1) for key in keys or [""]}
        plain = {"counts": sum(counts.values(), Counts()), "partitions": counts, "equal": True}
        return Outcome(Report(sync.name, sync.spec.mode, Delivery.LEDGER, **plain | self.report))

    def list_tables(self, project: Project, replica: PlacedReplica) -> Listing:
        if self.error is not None:
            raise self.error
        assert self.listing is not None
        return self.listing

    @property
    def execution(self) -> Execution:
        def notify(project: Project, bot: str, notice: Notice) -> None:
            self.notices.append((bot, notice))

        return Execution(
            run=self.run, observe=self.observe, notify=notify, replica=self.replica, list_tables=self.list_tables,
            open_store=self.open_store or (lambda: nullcontext(self.store)),
        )  # fmt: skip


@pytest.fixture
def script() -> Script:
    return Script()


ProjectOf = Callable[..., Project]


@pytest.fixture
def project_of(tmp_path: Path) -> ProjectOf:
    """`project_of(shop="...yaml...")`: a loaded project of these files and three connections."""

    def load(**files: str) -> Project:
        return load_project(write_defs(tmp_path / "defs", connections=CONNECTIONS, **files))

    return load


# -- a whole deployment in real processes -------------------------------------------------------------------------


@dataclass
class Deployment:
    """Daemon and web server over a private DAGSTER_HOME, a shop in MariaDB, boards in the emulator."""

    home: Path
    shop: Server
    feishu: Emulator
    base: str
    environment: dict[str, str]
    processes: list[subprocess.Popen[bytes]]
    port: int
    database: str = "shop"

    @cached_property
    def instance(self) -> dg.DagsterInstance:
        return dg.DagsterInstance.from_config(str(self.home / "project"))

    def sql(self, *statements: str) -> list[tuple[Any, ...]]:
        return self.shop.execute(*statements, database=self.database)

    def table(self, name: str) -> str:
        """The table of the base with that name."""
        tables = self.feishu.describe(self.base)["tables"]
        return str(next(t["table_id"] for t in tables if t["name"] == name))

    def board(self, name: str) -> list[dict[str, Any]]:
        return list(self.feishu.rows(self.base, self.table(name)).values())

    def graphql(self, query: str, **variables: Any) -> Any:
        answer = httpx.post(
            f"http://127.0.0.1:{self.port}/graphql", json={"query": query, "variables": variables},
            timeout=60, trust_env=False)  # fmt: skip
        content = answer.json()
        assert "errors" not in content, content
        return content["data"]

    def launch(self, name: str, partition: str | None = None) -> str:
        """Materialise one board as the UI does. Returns the id of the run."""
        tags = [{"key": "dagster/partition", "value": partition}] if partition else []
        selector = {
            "repositoryLocationName": "sync_assets",
            "repositoryName": "__repository__",
            "jobName": "__ASSET_JOB",
            "assetSelection": [{"path": ["feishu", name]}],
        }
        done = self.graphql(
            """mutation($params: ExecutionParams!) { launchRun(executionParams: $params) {
                 __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }""",
            params={"selector": selector, "runConfigData": {}, "mode": "default",
                    "executionMetadata": {"tags": tags}})["launchRun"]  # fmt: skip
        assert done["__typename"] == "LaunchRunSuccess", done
        return str(done["run"]["runId"])

    def ended(self, run_id: str, seconds: float = 120) -> dg.DagsterRun:
        """Wait until the run has ended and return it."""
        run = until(lambda: (r := self.instance.get_run_by_id(run_id)) and r.is_finished and r, seconds)
        assert isinstance(run, dg.DagsterRun)
        return run

    def runs_of(self, name: str) -> list[dg.DagsterRun]:
        """Runs that have this board in them, oldest first."""
        key = dg.AssetKey(["feishu", name])
        runs = [r for r in self.instance.get_runs() if key in (r.asset_selection or ())]
        return runs[::-1]

    def errors_of_daemon(self) -> list[str]:
        """Lines of the daemon's log that tell of a tick or a daemon that failed."""
        log = (self.home / "dagster._daemon.log").read_text(encoding="utf-8", errors="replace")
        return [line for line in log.splitlines() if "caught an error" in line]

    def partitions(self, name: str) -> set[str]:
        return self.instance.get_materialized_partitions(dg.AssetKey(["feishu", name]))


def until(happened: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Wait until it returns something true, and return that."""
    deadline = time.monotonic() + seconds
    while not (found := happened()):
        assert time.monotonic() < deadline, f"it did not happen within {seconds:.0f} s"
        time.sleep(0.3)
    return found


def _free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        return int(asked.getsockname()[1])


def _connections(shop: Server, feishu: Emulator, database: str) -> str:
    return f"""
        type: sync_assets.components.Connections
        attributes:
          connections:
            - {{type: mysql, name: shop, host: "{shop.host}", port: {shop.port}, database: {database},
                user: "{shop.user}", password: "env:SHOP_PASSWORD", tls: prefer}}
            - {{type: feishu, name: feishu, app_id: "{feishu.app_id}", app_secret: "env:FEISHU_SECRET",
                host: "{feishu.url}"}}
            - {{type: feishu_bot, name: ops, webhook: "env:OPS_WEBHOOK", secret: "env:OPS_SECRET", style: text}}
        """


@contextmanager
def running_deployment(shop: Server, files: Callable[[str], Mapping[str, str]]) -> Iterator[Deployment]:
    """Start all of it over the YAML that `files` makes for the link of a base, and end all of it."""
    from sync_assets_tests.fix_store import private_home

    with private_home() as home, Emulator.start(Config(rate_factor=0)) as feishu, pytest.MonkeyPatch.context() as patch:
        base = feishu.make_base("shop")
        made = files(feishu.link(base))
        write_defs(home / "defs", connections=_connections(shop, feishu, "shop"), **made)
        (home / "project").mkdir()
        for name in ("dagster.yaml", "workspace.yaml"):
            shutil.copy(ROOT / name, home / "project")
        environment = {
            "DAGSTER_HOME": str(home / "project"),
            "SYNC_ASSETS_HOME": str(home),
            "SYNC_ASSETS_DEFS": str(home / "defs"),
            "SHOP_PASSWORD": shop.password,
            "FEISHU_SECRET": feishu.app_secret,
            "OPS_WEBHOOK": feishu.make_bot("sesame"),
            "OPS_SECRET": "sesame",
        }
        for name, value in environment.items():
            patch.setenv(name, value)
        yield from _served(Deployment(home, shop, feishu, base, environment, [], _free_port()))


def _served(made: Deployment) -> Iterator[Deployment]:
    folder = made.home / "project"
    webserver = ["-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(made.port)]
    try:
        for arguments in (webserver, ["-m", "dagster._daemon", "run"]):
            with (made.home / f"{arguments[1]}.log").open("wb") as log:
                made.processes.append(
                    subprocess.Popen(
                        [sys.executable, *arguments, "-w", str(folder / "workspace.yaml")],
                        cwd=folder,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )
        until(lambda: _answers(made), 120)
        yield made
    finally:
        for process in made.processes:
            _end(process)
        if "instance" in made.__dict__:
            made.instance.dispose()


def _answers(made: Deployment) -> bool:
    try:
        found = made.graphql("{ workspaceOrError { ... on Workspace { locationEntries { loadStatus } } } }")
    except httpx.TransportError:
        return False
    return [e["loadStatus"] for e in found["workspaceOrError"]["locationEntries"]] == ["LOADED"]


def _end(process: subprocess.Popen[bytes]) -> None:
    """The process and all that it started: its code servers, and their runs."""
    import psutil

    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(signal.SIGINT)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for one in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(family, 10)
