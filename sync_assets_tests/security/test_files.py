"""Who may read what is written to disk, and who may knock at the embedded server."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from datetime import date
from pathlib import Path

import pytest

from sync_assets.demo import deployment
from sync_assets.demo.warehouse import Warehouse
from sync_assets.store import embedded
from sync_assets.testing.bitable import Emulator
from sync_assets.testing.servers import Server

ROOT = Path(__file__).parents[2]
OPEN = stat.S_IRWXG | stat.S_IRWXO


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_secrets_of_the_demo_are_for_its_user_alone(
    tmp_path: Path, mariadb: Server, postgres: Server, bitable: Emulator, umask: int
) -> None:
    home, copy = tmp_path / "demo", Warehouse(postgres, "canary-of-the-copy")
    before = os.umask(umask)
    try:
        for _ in range(2):
            deployment.write(home, tmp_path, mariadb, copy, bitable, "canary-of-the-shop", date(2026, 10, 1))
    finally:
        os.umask(before)
    folder = home / "secrets"
    assert not mode(folder) & OPEN
    assert {path.name for path in folder.iterdir()} == {"shop", "warehouse", "feishu", "webhook", "bot"}
    assert not [path for path in folder.iterdir() if mode(path) & OPEN]
    others = [p for p in home.rglob("*") if p.is_file() and p.parent != folder]
    assert others and not [p for p in others if "canary-of-the-" in p.read_text(encoding="utf-8")]


def test_the_env_file_into_which_people_put_passwords_is_for_its_user_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        subprocess.run(["make", "-s", "-f", str(ROOT / "Makefile"), "-C", str(tmp_path), ".env"], check=True)
    finally:
        os.umask(before)
    assert "DAGSTER_HOME" in (tmp_path / ".env").read_text(encoding="utf-8")
    assert not mode(tmp_path / ".env") & OPEN


def test_the_embedded_server_is_for_its_user_alone(control_server: Path) -> None:
    address = embedded.ensure_running(home=control_server)
    base = (control_server / "postgres").resolve()
    door = Path(address.host)
    assert not mode(door) & OPEN
    assert not mode(base / "data") & OPEN
    for name in ("password", "admin_password"):
        assert not mode(base / name) & OPEN
    pid = embedded.status(control_server).pid
    assert pid is not None
    assert _listens_on_tcp(pid) == []


def _listens_on_tcp(pid: int) -> list[object]:
    import psutil

    return [c for c in psutil.Process(pid).net_connections("tcp") if c.status == psutil.CONN_LISTEN]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_cannot_reach_the_door_of_the_embedded_server(control_server: Path) -> None:
    address = embedded.ensure_running(home=control_server)
    look = ["test", "-e", f"{address.host}/.s.PGSQL.{address.port}"]
    assert subprocess.run(look, check=False).returncode == 0
    stranger = pwd.getpwnam("nobody")
    tried = subprocess.run(look, user=stranger.pw_uid, group=stranger.pw_gid, extra_groups=[], cwd="/", check=False)
    assert tried.returncode == 1
