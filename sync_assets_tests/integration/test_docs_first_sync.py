"""The README's first sync, the tutorial and the services, carried out as they are written. Only addresses differ."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from sync_assets.testing.bitable import Config, Emulator
from sync_assets.testing.servers import free_port
from sync_assets_tests.fix_docs import ROOT, Page, readme
from sync_assets_tests.fix_project import until
from sync_assets_tests.fix_store import private_home

ORDERS = (
    "create table orders (order_id bigint primary key, customer varchar(40), status enum('new', 'paid', 'done'),"
    " amount decimal(12,2), paid tinyint(1), updated_at timestamp)",
    "insert into orders values (1, '王伟', 'paid', 120.50, 1, '2026-10-01 09:00:00'),"
    " (2, null, 'new', 80, 0, '2026-10-02 09:00:00'),"
    " (730000000000000123, '李娜', 'done', 9.99, 1, '2026-10-03 00:00:00')",
)


def _place_of(block: str) -> str:
    """The file that a YAML block says it is."""
    found = re.match(r"# sync_assets/(defs/\S+)", block)
    assert found, block
    return found.group(1)


def test_the_first_sync_of_the_readme(shell):
    shell.shop.execute(*ORDERS)
    args = shell.shop.args
    table = shell.feishu.make_table(shell.base, "订单", [{"field_name": "order_id", "type": 1}])
    real = {
        "host: db.example.com": f"host: {args.host}",
        "port: 3306": f"port: {args.port}",
        "database: shop": f"database: {args.database}",
        "user: reader": f"user: {args.user}",
        "https://open.feishu.cn": shell.feishu.url,
        "cli_example": shell.feishu.app_id,
        "https://acme.feishu.cn/base/bascnExample?table=tblExample": shell.link(table),
    }
    for block in readme().blocks("yaml")[:2]:
        text = block
        for example, ours in real.items():
            text = text.replace(example, ours)
        file = shell.folder / _place_of(block)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    variables = {"FEISHU_APP_SECRET": shell.environment["FEISHU_SECRET"]}
    said = [shell(*words[1:], **variables) for words in _sync_assets(_section(readme(), "**4."))]
    assert [s.code for s in said] == [0, 0, 0, 0], said
    assert len(shell.feishu.rows(shell.base, table)) == 3
    shell.feishu.reset_calls()
    assert shell("run", "orders_board", **variables).code == 0
    assert shell.writes() == 0


def _section(page: Page, begin: str) -> str:
    return page.text.partition(begin)[2]


def _sync_assets(text: str) -> list[list[str]]:
    """The command lines of the first shell block of `text`."""
    block = re.search(r"```sh\n(.*?)```", text, re.DOTALL)
    assert block is not None
    return [shlex.split(line) for line in block.group(1).splitlines()]


# -- the tutorial -----------------------------------------------------------------------------------------------------


@pytest.fixture
def classroom() -> Iterator[tuple[Path, dict[str, str]]]:
    """An empty project folder with an embedded server of its own, and the environment of its terminal."""
    with private_home() as home:
        folder = home / "project"
        (folder / "sync_assets").mkdir(parents=True)
        (folder / "workspace.yaml").write_text("", encoding="utf-8")
        bare = {n: v for n, v in os.environ.items() if not n.startswith(("SYNC_ASSETS_", "DAGSTER_"))}
        path = f"{Path(sys.executable).parent}{os.pathsep}{bare['PATH']}"
        more = {"SYNC_ASSETS_HOME": str(home), "SYNC_ASSETS_DEFS": str(folder / "sync_assets" / "defs")}
        yield folder, bare | more | {"PATH": path, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}


def _shell(folder: Path, environment: dict[str, str], script: str) -> str:
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script], cwd=folder, env=environment, capture_output=True, timeout=200,
        check=False,
    )  # fmt: skip
    said = (done.stdout + done.stderr).decode()
    assert done.returncode == 0, f"{script}\n{said}"
    return said


def _first(page: Page, begin: str, end: str) -> str:
    """The shell blocks of the chapters from `begin` to `end` as one script."""
    part = page.text[page.text.index(begin) : page.text.index(end)]
    return "".join(re.findall(r"^```sh\n(.*?)^```$", part, re.MULTILINE | re.DOTALL))


def test_the_tutorial(classroom):
    folder, environment = classroom
    page = Page(ROOT / "docs" / "tutorial.md")
    with Emulator.start(Config(app_id="cli_tutorial")) as emulator:

        def ours(text: str) -> str:
            return text.replace("http://127.0.0.1:8123", emulator.url)

        _shell(folder, environment, _first(page, "## 1.", "## 2."))
        board = _first(page, "## 2.", "## 3.").partition("curl")
        _shell(folder, environment, ours("curl" + board[2]))
        prepare = _first(page, "## 3.", "## 4.")
        _shell(folder, environment, prepare)
        for block in page.blocks("yaml")[:2]:
            (folder / "sync_assets" / _place_of(block)).write_text(ours(block), encoding="utf-8")
        exports = "".join(line + "\n" for line in prepare.splitlines() if line.startswith("export"))
        looked = _shell(folder, environment, exports + _first(page, "## 4.", "## 5."))
        assert "✗" not in looked
        assert "订单" not in str(emulator.describe("bascnTutorial")["tables"]), "a look wrote something"
        said = _shell(folder, environment, exports + _first(page, "## 5.", "## 6."))
        tables = emulator.describe("bascnTutorial")["tables"]
        rows = emulator.rows("bascnTutorial", next(t["table_id"] for t in tables if t["name"] == "订单"))
        assert len(rows) == 5, said
        [changed] = [r for r in rows.values() if str(r["订单号"]) in ("2", "2.0")]
        assert changed["status"] == "done"
        assert not changed.get("客户")
        for line in re.findall(r"^curl.*set_permission.*$", page.text, re.MULTILINE):
            _shell(folder, environment, ours(line))


def test_the_tutorial_between_databases(classroom):
    folder, environment = classroom
    page = Page(ROOT / "docs" / "tutorial.md")
    _shell(folder, environment, _first(page, "## 1.", "## 2."))
    shop, _, copy, _ = page.blocks("yaml")
    connections = next(d for d in yaml.safe_load_all(shop))
    connections["attributes"]["connections"] = [
        c for c in connections["attributes"]["connections"] if c["type"] == "sqlite"
    ]
    _write(folder, shop, yaml.safe_dump(connections))
    _write(folder, copy, copy)
    prepare, look, spoil, lose, alter = _blocks(page, "## 8.", "## 9.")
    _shell(folder, environment, prepare)
    looked = _shell(folder, environment, look)
    assert "✗" not in looked
    assert "loaded directly" in looked
    assert "0 written, 1 without a change" in looked
    found = _shell(folder, environment, spoil)
    assert "exit code 2" in found
    assert re.search(r"main\.orders +✗ no +5 +4 +1 +1 +0", found), found
    assert _rows(folder / "copy.db", "orders") == _rows(folder / "shop.db", "orders")
    assert "restore shop_copy:main.orders" in _shell(folder, environment, lose)
    assert len(_rows(folder / "shop.db", "orders")) == 5
    assert "column note" in _shell(folder, environment, alter)
    assert _rows(folder / "copy.db", "orders") == _rows(folder / "shop.db", "orders")
    assert {row[2] for row in _rows(folder / "copy.db", "paid_orders")} == {"paid"}


def test_the_tutorial_of_the_servers(classroom):
    folder, environment = classroom
    page = Page(ROOT / "docs" / "tutorial.md")
    serve, prepare, look, grant, report = _blocks(page, "## 9.", "Next:")
    server = subprocess.Popen(["bash", "-c", serve], cwd=folder, env=environment, start_new_session=True)
    try:
        until((folder / "fleet.env").is_file, seconds=60)
        _write(folder, page.blocks("yaml")[3], page.blocks("yaml")[3])
        looked = _shell(folder, environment, prepare + look)
        assert re.search(r"^客户库: ok", looked, re.M), looked
        assert re.search(r"旧报表库: failed", looked)
        assert looked.count("exit code 3") == 3
        holders = looked[looked.index("SELECT on crm.public.customers") :]
        assert "app -> reading: SELECT on table crm.public.customers" in holders
        assert "张三" not in holders
        granted = _shell(folder, environment, prepare + grant)
        assert "joined 张三: role reading" in granted
        assert "altered app" in granted
        assert "张三 -> reading: SELECT" in granted
        assert "superuser" in granted[granted.index("SELECT on crm") :]
        said = _shell(folder, environment, prepare + report)
        assert "servers/accounts" in said
        pages = [(folder / name).read_text("utf-8") for name in ("accounts.html", "capacity.html")]
        assert all("旧报表库" in text and "not complete" in text for text in pages)
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.wait(60)


def _write(folder: Path, block: str, text: str) -> None:
    file = folder / "sync_assets" / _place_of(block)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _blocks(page: Page, begin: str, end: str) -> list[str]:
    """The shell blocks from `begin` to `end`, one by one."""
    part = page.text[page.text.index(begin) : page.text.index(end)]
    return re.findall(r"^```sh\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)


def _rows(file: Path, table: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(file)) as connection:
        return connection.execute(f"select * from {table} order by order_id").fetchall()


# -- the services -----------------------------------------------------------------------------------------------------


def _services(folder: Path, ports: dict[str, str]) -> list[Sequence[str]]:
    """ExecStart of code server, daemon and both web servers, with the places and ports of this test."""
    commands = []
    for name in ("code", "daemon", "web", "web-readonly"):
        text = (ROOT / "deploy" / "systemd" / f"sync-assets-{name}.service").read_text("utf-8")
        found = re.search(r"^ExecStart=(.+)$", text, re.MULTILINE)
        assert found is not None
        command = found.group(1).replace("/opt/sync_assets/.venv/bin", str(Path(sys.executable).parent))
        words = command.replace("/opt/sync_assets/deploy/systemd", str(folder)).split()
        commands.append([ports.get(word, word) for word in words])
    return commands


def test_the_services_load_the_project(classroom):
    folder, environment = classroom
    ports = {port: str(free_port()) for port in ("4000", "3000", "3001")}
    workspace = (ROOT / "deploy" / "systemd" / "workspace.yaml").read_text("utf-8")
    (folder / "workspace.yaml").write_text(workspace.replace("4000", ports["4000"]), encoding="utf-8")
    (folder / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text("utf-8"), encoding="utf-8")
    (folder / "sync_assets" / "defs").mkdir()
    environment = environment | {"DAGSTER_HOME": str(folder), "PYTHONWARNINGS": "ignore"}
    del environment["PYTHONPATH"]
    processes = []
    try:
        for command in _services(folder, ports):
            with (folder / f"{len(processes)}.log").open("wb") as log:
                processes.append(
                    subprocess.Popen(
                        command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
                    )
                )
        for port in (ports["3000"], ports["3001"]):
            assert until(lambda port=port: _loaded(port), 120) == ["LOADED"], [
                p.read_text() for p in folder.glob("*.log")
            ]
        assert _may_launch(ports["3000"])
        assert not _may_launch(ports["3001"])
        assert until(lambda: _daemons_healthy(ports["3000"]), 60)
    finally:
        for process in processes:
            _end_group(process)


def _ask(port: str, query: str) -> dict[str, object]:
    answer = httpx.post(f"http://127.0.0.1:{port}/graphql", json={"query": query}, timeout=30, trust_env=False).json()
    data: dict[str, object] = answer["data"]
    return data


def _loaded(port: str) -> list[str]:
    entry = "locationEntries { loadStatus locationOrLoadError { __typename } }"
    query = f"{{ workspaceOrError {{ ... on Workspace {{ {entry} }} }} }}"
    try:
        entries = _ask(port, query)["workspaceOrError"]["locationEntries"]  # type: ignore[index]
    except httpx.TransportError:
        return []
    return [e["loadStatus"] for e in entries if e["locationOrLoadError"]["__typename"] == "RepositoryLocation"]


def _may_launch(port: str) -> bool:
    found = _ask(port, "{ permissions { permission value } }")["permissions"]
    return any(p["permission"] == "launch_pipeline_execution" and p["value"] for p in found)  # type: ignore[attr-defined]


def _daemons_healthy(port: str) -> bool:
    found = _ask(port, "{ instance { daemonHealth { allDaemonStatuses { required healthy } } } }")
    return all(d["healthy"] for d in found["instance"]["daemonHealth"]["allDaemonStatuses"] if d["required"])  # type: ignore[index]


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """As systemd does: the whole group, politely first."""
    import psutil

    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.terminate()
    psutil.wait_procs([*family], 1)
    for one in [*family, process]:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue
    process.wait()
