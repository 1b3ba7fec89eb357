"""Dagster on our storage and launcher, with real processes: code server, daemon, runs."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest
import yaml
from dagster import DagsterInstance, DagsterRunStatus, asset, materialize
from dagster._core.instance.ref import InstanceRef

from sync_assets.components.instance import MonitoredRunLauncher, SyncAssetsStorage
from sync_assets.store import embedded
from sync_assets.store.server_files import place_of

PROJECT = Path(__file__).parents[2]
JOB = """
import time
from dagster import Definitions, in_process_executor, job, op

@op
def wait():
    time.sleep(600)

@job(executor_def=in_process_executor)
def waits():
    wait()

defs = Definitions(jobs=[waits])
"""


@pytest.fixture
def deployment(own_home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A DAGSTER_HOME with the project's own dagster.yaml and a server of its own."""
    folder = own_home / "project"
    folder.mkdir()
    shutil.copy(PROJECT / "dagster.yaml", folder)
    monkeypatch.setenv("DAGSTER_HOME", str(folder))
    monkeypatch.setenv("SYNC_ASSETS_HOME", str(own_home))
    return folder


@pytest.fixture
def instance(deployment: Path) -> Iterator[DagsterInstance]:
    with DagsterInstance.get() as made:
        yield made


def until(happened: Callable[[], bool], seconds: float = 150.0) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)


def python(*arguments: str) -> list[str]:
    return [sys.executable, *arguments]


def test_the_instance_is_ours_and_leaves_the_project_clean(instance: DagsterInstance, deployment: Path) -> None:
    @asset
    def noted() -> int:
        print("printed")
        return 1

    assert materialize([noted], instance=instance).success
    assert instance.get_ref().storage_data.class_name == SyncAssetsStorage.__name__  # type: ignore[union-attr]
    assert isinstance(instance.run_launcher, MonitoredRunLauncher)
    assert instance.get_latest_materialization_event(noted.key) is not None
    assert [path.name for path in deployment.iterdir()] == ["dagster.yaml"]
    logs = [path.read_text() for path in (deployment.parent / "dagster").rglob("*.out")]
    assert any("printed" in text for text in logs)
    assert instance.telemetry_enabled is False


def test_every_key_of_dagster_yaml_is_understood(instance: DagsterInstance, deployment: Path) -> None:
    settings = yaml.safe_load((deployment / "dagster.yaml").read_text())
    assert instance.run_monitoring_enabled
    assert instance.run_retries_enabled and instance.run_retries_max_retries == 1
    assert instance.run_retries_retry_on_asset_or_op_failure is False
    assert instance.get_settings("run_monitoring") == settings["run_monitoring"]
    assert instance.get_settings("retention") == settings["retention"]
    assert instance.get_concurrency_config().pool_config.default_pool_limit == 1


def test_another_process_finds_the_same_storage_by_the_reference(instance: DagsterInstance, deployment: Path) -> None:
    """As run processes do; and the reference, which everybody can see in `ps`, tells no password."""
    reference = json.dumps(instance.get_ref().to_dict())
    assert place_of(deployment.parent).password().reveal() not in reference
    code = (
        "import json, sys; from dagster import DagsterInstance; from dagster._core.instance.ref import InstanceRef;"
        "ref = InstanceRef.from_dict(json.loads(sys.argv[1])); i = DagsterInstance.from_ref(ref);"
        "i.run_storage.set_cursor_values({'from': 'child'}); print(i.get_runs_count(), len(i.all_instigator_state()))"
    )
    done = subprocess.run(python("-c", code, reference), capture_output=True, timeout=60, cwd="/")
    assert done.stdout.decode().split() == ["0", "0"], done.stderr.decode()
    assert instance.run_storage.get_cursor_values({"from"}) == {"from": "child"}


@pytest.mark.parametrize("part", ["run_storage", "event_storage", "schedule_storage"])
def test_the_older_parts_of_the_reference_lead_to_the_same_place(instance: DagsterInstance, part: str) -> None:
    reference: InstanceRef = instance.get_ref()
    assert getattr(reference, part) is not None


def test_many_processes_may_make_the_tables_at_once(deployment: Path) -> None:
    code = "from dagster import DagsterInstance; print(DagsterInstance.get().get_runs_count())"
    starters = [subprocess.Popen(python("-c", code), stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(6)]
    said = [starter.communicate(timeout=120) for starter in starters]
    assert [out.decode().strip() for out, _ in said] == ["0"] * 6, said
    assert not [err for _, err in said if b"Retrying" in err]


def test_a_killed_server_comes_back_for_a_running_process(instance: DagsterInstance, deployment: Path) -> None:
    instance.run_storage.set_cursor_values({"a": "1"})
    first = embedded.status().pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: embedded.status().pid is None)
    assert instance.run_storage.get_cursor_values({"a"}) == {"a": "1"}
    assert embedded.status().pid not in (None, first)


def test_the_storage_may_be_your_own(deployment: Path, own_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same server, named by environment: a socket folder as host, a password with every awkward sign."""
    server = embedded.ensure_running("dagster", own_home)
    import psycopg

    awkward = "p@ss/w:rd?&=%20 '\"#"
    with psycopg.connect(**embedded.ensure_running(home=own_home).arguments(), autocommit=True) as admin:
        admin.execute("create role other login password " + psycopg.sql.Literal(awkward).as_string())
        admin.execute("grant other to sync_assets with set true")
        admin.execute("create database elsewhere owner other")
    for name, value in {"HOST": server.host, "USER": "other", "PASSWORD": awkward, "DB": "elsewhere"}.items():
        monkeypatch.setenv(f"DAGSTER_PG_{name}", value)
    with DagsterInstance.get() as made:
        assert made.get_runs_count() == 0
        assert awkward not in json.dumps(made.get_ref().to_dict())
        assert made.run_storage._engine.url.database == "elsewhere"  # type: ignore[attr-defined]


# -- a run whose code server dies


@contextlib.contextmanager
def process(folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A Dagster process in a session of its own, so that all of it can be killed at once, as a reboot does."""
    with (folder.parent / "processes.log").open("ab") as log:
        started = subprocess.Popen(python(*arguments), cwd=folder, stdout=log, stderr=log, start_new_session=True)
    try:
        yield started
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def test_a_run_whose_code_server_died_is_failed_and_the_password_is_never_shown(
    instance: DagsterInstance, deployment: Path
) -> None:
    (deployment / "job.py").write_text(JOB)
    socket = str(deployment / "code.sock")
    server = {"grpc_server": {"host": "localhost", "socket": socket, "location_name": "here"}}
    (deployment / "workspace.yaml").write_text(yaml.dump({"load_from": [server]}))
    code = ("-m", "dagster", "api", "grpc", "--socket", socket, "-f", "job.py", "--location-name", "here")
    with process(deployment, *code) as code_server, process(deployment, "-m", "dagster._daemon", "run"):
        until(lambda: Path(socket).exists())
        launch = python("-m", "dagster", "job", "launch", "-w", "workspace.yaml", "-j", "waits")
        subprocess.run(launch, cwd=deployment, check=True, capture_output=True, timeout=60)
        until(lambda: _status(instance) is DagsterRunStatus.STARTED)
        secret = place_of(deployment.parent).password().reveal()
        shown = [" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"])]
        assert [line for line in shown if "SyncAssetsStorage" in line or "dagster._daemon" in line]
        assert not [line for line in shown if secret in line]
        os.killpg(code_server.pid, signal.SIGKILL)
        until(lambda: _status(instance) is DagsterRunStatus.FAILURE)


def _status(instance: DagsterInstance) -> DagsterRunStatus | None:
    """Of the oldest run: retries come after it."""
    runs = instance.get_runs(ascending=True)
    return runs[0].status if runs else None
