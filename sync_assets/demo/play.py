"""The demo's story, step by step, said aloud while it happens.

Five acts: two boards are filled; a day fails and is backfilled; a warehouse gets a copy of the shop (`copying`); the
servers themselves are watched as a fleet (`fleet`); two installations exchange a repository (`exchange`).
Every start is a new one: servers, boards and the demo's own Dagster storage are made fresh below SYNC_ASSETS_HOME/demo,
apart from a deployment of your own.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sync_assets.demo import compare, deployment, history, servers
from sync_assets.demo.compare import Comparison
from sync_assets.demo.copying import Copying
from sync_assets.demo.dagster_api import Dagster, dagster_dev
from sync_assets.demo.exchange import fifth_act
from sync_assets.demo.fleet import Watching, told
from sync_assets.demo.servers import Servers
from sync_assets.demo.shop import DAYS, TABLES, ZONE, Shop, shop_server
from sync_assets.demo.warehouse import Warehouse, warehouse
from sync_assets.engine.errors import Stop
from sync_assets.store import embedded
from sync_assets.store.home import home as sync_assets_home
from sync_assets.store.home import project_root
from sync_assets.testing.bitable import Config, Emulator
from sync_assets.testing.servers import free_port

Say = Callable[[str], None]
ORDERS, CUSTOMERS = ("feishu", deployment.ORDERS), ("feishu", deployment.CUSTOMERS)
UI_PORT = 3000


@dataclass(slots=True)
class Stage:
    """Everything that runs while the demo does."""

    shop: Shop
    warehouse: Warehouse
    servers: Servers
    emulator: Emulator
    files: deployment.Deployment
    dagster: Dagster
    say: Say

    def tables(self) -> dict[str, str]:
        """Table ids by name."""
        return {t["name"]: t["table_id"] for t in self.emulator.describe(self.files.app_token)["tables"]}


def main(*, once: bool) -> int:
    """The command ``sync-assets demo``: 0 when boards and copies equal their tables, 1 when one does not."""
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - started:6.1f} s  {text}", flush=True)

    results = play(once=once, say=say)
    if once:
        _table(results)
    return 0 if all(r.equal for r in results) else 1


def _table(results: list[Comparison]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title="boards and copies compared with the shop, row by row, value by value")
    table.add_column("board or copy", no_wrap=True)
    for name in ("shop", "there", "lost", "too many", "different"):
        table.add_column(name, justify="right")
    table.add_column("result")
    for r in results:
        counts = (r.rows, r.records, len(r.lost), len(r.extra), len(r.differing))
        table.add_row(r.name, *map(str, counts), "equal" if r.equal else "DIFFERENT")
    Console().print(table)


def play(*, once: bool, say: Say) -> list[Comparison]:
    """Set the stage, play the story; without `once` trade on until Ctrl-C. Returns how boards and copies compare."""
    with set_stage(say) as stage, ExitStack() as until_the_end:
        _story(stage)
        until_the_end.enter_context(fifth_act(stage.files.home, say))
        results = _compared(stage)
        if not once:
            _report(results, say)
            _stay(stage)
        return results


@contextmanager
def set_stage(say: Say) -> Iterator[Stage]:
    """Servers, boards, deployment and Dagster, started and in the end stopped."""
    root, home = project_root(), sync_assets_home() / "demo"
    if not (root / "workspace.yaml").is_file():
        raise Stop("the demo runs in the project's folder", hint="cd to the folder that holds workspace.yaml")
    with ExitStack() as stack:
        _sweep(home)
        shop, password = _open_shop(stack, say)
        say("the warehouse is a private PostgreSQL, still empty")
        copy = stack.enter_context(warehouse(secrets.token_urlsafe(12)))
        emulator = stack.enter_context(Emulator.start(Config()))
        fleet = Servers(shop.server, copy.server, secrets.token_urlsafe(12))
        first = (datetime.now(ZONE) - timedelta(days=DAYS)).date()
        files = deployment.write(home, root, shop.server, copy, emulator, password, first)
        say("starting the embedded PostgreSQL (control database and Dagster's storage)")
        embedded.ensure_running(home=home)
        stack.callback(embedded.stop, home)
        _open_fleet(fleet, files, emulator, home, say)
        say("starting Dagster: web server, daemon, code server (about 20 s)")
        port = _port()
        environment = deployment.process_environment(files, SYNC_ASSETS_UI_URL=f"http://127.0.0.1:{port}")
        dagster = stack.enter_context(dagster_dev(root, home, port, environment))
        say(f"Dagster UI    {dagster.url}")
        say(f"board 订单    {files.orders_link}")
        say(f"board 客户    {files.customers_link}")
        yield Stage(shop, copy, fleet, emulator, files, dagster, say)


def _sweep(home: Path) -> None:
    """End what an earlier demo may have left behind (after kill -9), and start from nothing."""
    if home.exists():
        embedded.stop(home)
        shutil.rmtree(home)
    home.mkdir(parents=True)


def _open_shop(stack: ExitStack, say: Say) -> tuple[Shop, str]:
    server = stack.enter_context(shop_server())
    if server.kind == "mysql":
        say("the shop lives in a private MariaDB")
    else:
        say("the shop lives in a private PostgreSQL (MariaDB is not installed: apt-get install mariadb-server-core)")
    password = secrets.token_urlsafe(12)
    shop = Shop(server, random.Random(7))  # noqa: S311 - a shop, not a secret
    shop.open(password)
    return shop, password


def _open_fleet(fleet: Servers, files: deployment.Deployment, emulator: Emulator, home: Path, say: Say) -> None:
    """Accounts on the servers, the fleet's YAML, and a past for it in the control database."""
    from sync_assets.project.load import load_project
    from sync_assets.store.control import open_store

    fleet.open()
    past = history.measured(fleet)
    servers.write(files, fleet, emulator, past.sizes, past.begins)
    with open_store(lambda: embedded.ensure_running(home=home)) as store:
        past.write(load_project(files.defs), store)
    say(f"the same servers are a fleet of three; the history of their sizes since {past.begins} is made up")


def _port() -> int:
    import socket

    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", UI_PORT)) == 0
    return free_port() if taken else UI_PORT


# -- the story ------------------------------------------------------------------------------------------------------


def _story(stage: Stage) -> None:
    say, dagster = stage.say, stage.dagster
    keys = sorted(k for group in dagster.partitions(ORDERS).values() for k in group)
    gap, days = keys[-3], (keys[0], keys[-1])
    copying = Copying(dagster, stage.warehouse, stage.files, say)
    watching = Watching(dagster, stage.servers, stage.files, say)
    say(f"filling both boards: 客户 whole, 订单 by days, {gap} held back")
    _together(stage, dagster.materialize(CUSTOMERS), dagster.materialize(ORDERS, keys[0], keys[-4]))
    _together(stage, dagster.materialize(ORDERS, keys[-2], keys[-1]))
    mended = _break_and_mend(stage, gap)
    say("meanwhile the warehouse: a copy of the whole shop, from one database to another")
    first = copying.start(*days)
    accounts, sizes = watching.look(), watching.measure()  # told in the fourth act
    _together(stage, first)
    copying.say_filled(first)
    _expect(dagster.wait_backfill(mended), "COMPLETED_SUCCESS")
    _expect_alert(stage, 2)
    _trade_on(stage, copying, days)
    copying.damage_and_repair()
    watching.tell(accounts, sizes)
    watching.tell_periods()
    watching.catch_the_careless()
    watching.report()


def _trade_on(stage: Stage, copying: Copying, days: tuple[str, str]) -> None:
    stage.say("business goes on: new orders, changed ones, cleared notes; boards and warehouse again")
    for _ in range(5):
        stage.shop.trade()
    second = copying.start(*days)
    _together(stage, second, stage.dagster.materialize(CUSTOMERS), stage.dagster.materialize(ORDERS, *days))
    copying.say_shipped(second)


def _together(stage: Stage, *run_ids: str) -> None:
    for run_id in run_ids:
        _expect(stage.dagster.wait_run(run_id), "SUCCESS")


def _break_and_mend(stage: Stage, key: str) -> str:
    """One partition fails because the app was removed from the base; the backfill that closes the gap is launched."""
    say, dagster = stage.say, stage.dagster
    say(f"somebody removes the app from the base: the day {key} must fail")
    stage.emulator.set_permission(stage.files.app_token, right="")
    _expect(dagster.wait_run(dagster.materialize(ORDERS, key)), "FAILURE")
    _expect_alert(stage, 1)
    say("the app is added again: a backfill of what failed closes the gap (Dagster looks for backfills twice a minute)")
    stage.emulator.set_permission(stage.files.app_token, right="edit")
    found = dagster.partitions(ORDERS)
    gaps = sorted(found["FAILED"] + found["MISSING"])
    if key not in gaps:
        raise Stop(f"Dagster does not show {key} as failed")
    return dagster.backfill(ORDERS, gaps)


def _expect(status: str, wanted: str) -> None:
    if status != wanted:
        log = sync_assets_home() / "demo" / "dagster.log"
        raise Stop(f"a run ended as {status} instead of {wanted}", hint=f"see {log}")


def _expect_alert(stage: Stage, count: int, seconds: float = 60) -> None:
    """The group bot has received that many messages: the failure, then the recovery."""
    end = time.monotonic() + seconds
    while (received := sum(m["bot"] == stage.files.ops_bot for m in stage.emulator.messages())) < count:
        if time.monotonic() > end:
            raise Stop(f"the group bot received {received} messages, {count} were expected")
        time.sleep(0.5)
    stage.say("the group bot says: " + ("something failed" if count == 1 else "it works again"))


def _compared(stage: Stage) -> list[Comparison]:
    """Both boards and all copies against the tables of the shop."""
    tables, app = stage.tables(), stage.files.app_token
    jobs = (("订单看板", "orders", compare.ORDERS), ("客户名册", "customers", compare.CUSTOMERS))
    boards = [
        compare.compare(board, stage.shop, stage.emulator, app, tables[board], source, columns)
        for board, source, columns in jobs
    ]
    copies = [compare.compare_copy(table, stage.shop, stage.warehouse) for table in TABLES]
    return [*boards, *copies, compare.compare_keys(stage.shop, stage.warehouse)]


def _report(results: list[Comparison], say: Say) -> None:
    for result in results:
        say(f"{result.name}: {result.rows} rows, {result.records} there, {'equal' if result.equal else 'DIFFERENT'}")


def _stay(stage: Stage) -> None:
    stage.say("the shop goes on trading; watch a board, or in another terminal:")
    stage.say(f"    . {os.path.relpath(stage.files.home / 'env')}; .venv/bin/sync-assets plan {deployment.CUSTOMERS}")
    stage.say(f"    .venv/bin/sync-assets verify {deployment.COPY}; .venv/bin/sync-assets run {deployment.COPY}")
    stage.say(f"    .venv/bin/sync-assets fleet list; .venv/bin/sync-assets fleet gaps {servers.FLEET}")
    stage.say("Ctrl-C ends everything")
    done, seen = threading.Event(), 0
    try:
        while not done.wait(4):
            stage.shop.trade()
            heard = [m for m in stage.emulator.messages() if m["bot"] != stage.files.ops_bot]
            for message in heard[seen:]:
                stage.say("\n            ".join(["the group of the DBAs is told:", *told(message["body"])]))
            seen = len(heard)
    except KeyboardInterrupt:
        stage.say("closing")
