"""A simulated fleet: a few real servers with accounts, and a proxied address for each instance.

Every instance has an address of its own in 127.0.0.0/8 (Linux), for no more than a few logins are sent to one host at
once. A dead one takes connections and says nothing.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sync_assets.store.address import Address
from sync_assets.store.control import PostgresStore, open_store
from sync_assets.store.secrets import Secret
from sync_assets.testing.servers import Server, mariadb_server, postgres_server

USER, PASSWORD = "fleet_watch", "w4tch-0nly"
_VARIABLE = "FLEET_BENCHMARK_PASSWORD"
_PROCESSES = 3
_RIGHTS = "SELECT, PROCESS, SHOW DATABASES, SHOW VIEW, REPLICATION CLIENT"


@dataclass(frozen=True)
class Instance:
    name: str
    kind: str
    address: str
    port: int
    dead: bool


@dataclass(frozen=True)
class Site:
    instances: Sequence[Instance]
    store: PostgresStore
    folder: Path

    def some(self, kind: str, dead: bool = False) -> list[Instance]:
        return [i for i in self.instances if i.dead is dead and i.kind == kind]


@contextmanager
def simulated(count: int, accounts: int, trip: float, dead_share: float) -> Iterator[Site]:
    """`trip`: seconds of one round trip. Half of the instances are MariaDB."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fleet_")))
        behind = {
            "mysql": [stack.enter_context(mariadb_server()) for _ in range(2)],
            "postgres": [stack.enter_context(postgres_server(options=("max_connections=200",))) for _ in range(2)],
        }
        for server in (*behind["mysql"], *behind["postgres"]):
            _populate(server, accounts)
        plans = [_plan(n, count, behind, trip, dead_share) for n in range(count)]
        ports = _proxies(stack, [plan[2:] for plan in plans])
        instances = [
            Instance(name, kind, address, port, dead)
            for (name, kind, address, _, _, dead), port in zip(plans, ports, strict=True)
        ]
        os.environ[_VARIABLE] = PASSWORD
        _write(folder, instances)
        control = stack.enter_context(postgres_server())
        address = Address(control.host, control.port, control.user, control.database, Secret(control.password))
        yield Site(instances, stack.enter_context(open_store(lambda: address)), folder)


def _plan(number: int, count: int, behind: dict[str, list[Server]], trip: float, dead_share: float) -> tuple[Any, ...]:
    """Name, kind, and what its proxy needs: address, port behind, seconds each way, dead."""
    kind = ("mysql", "postgres")[number % 2]
    server = behind[kind][number // 2 % len(behind[kind])]
    every = round(1 / dead_share) if dead_share else count + 1
    dead = number % every == every - 1
    return f"db{number:04}", kind, f"127.1.{number // 250}.{number % 250 + 1}", server.port, trip / 2, dead


def _proxies(stack: ExitStack, wanted: list[Any]) -> list[int]:
    share = -(-len(wanted) // _PROCESSES)
    started = [_started(stack, wanted[at : at + share]) for at in range(0, len(wanted), share)]
    return [port for process in started for port in json.loads(process.stdout.readline())]


def _started(stack: ExitStack, wanted: list[Any]) -> Any:
    command = [sys.executable, "-m", "benchmarks.fleet_proxies"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    stack.callback(process.wait)
    assert process.stdin is not None
    stack.callback(process.stdin.close)
    process.stdin.write(json.dumps(wanted) + "\n")
    process.stdin.flush()
    return process


def _populate(server: Server, accounts: int) -> None:
    """Accounts that may each do a few things, and a login that may only look."""
    names = [f"app_{n:03}" for n in range(accounts)]
    if server.kind == "mysql":
        server.execute("create database shop", "create table shop.orders (id int primary key, paid int)")
        for name in names:
            server.execute(
                f"create user '{name}'@'10.%' identified by 'x'", f"grant select, insert on shop.* to '{name}'@'10.%'",
                f"grant update (paid) on shop.orders to '{name}'@'10.%'", f"grant usage on *.* to '{name}'@'10.%'",
            )  # fmt: skip
        server.create_user(USER, PASSWORD, f"grant {_RIGHTS} on *.* to '{USER}'@'%'")
        return
    server.execute("create table orders (id int primary key, paid int)")
    for name in names:
        server.execute(
            f"create role {name} login", f"grant select, insert on orders to {name}",
            f"grant update (paid) on orders to {name}", f"grant pg_read_all_stats to {name}",
        )  # fmt: skip
    server.create_user(USER, PASSWORD, f"grant pg_monitor to {USER}")


def _write(folder: Path, instances: Sequence[Instance]) -> None:
    lines = [f"    - {{name: {i.name}, type: {i.kind}, host: {i.address}, port: {i.port}}}\n" for i in instances]
    (folder / "defs" / "prod").mkdir(parents=True)
    (folder / "defs" / "prod" / "defs.yaml").write_text(
        "type: sync_assets.components.DatabaseFleet\nattributes:\n  name: prod\n  time_zone: Asia/Shanghai\n"
        f"  logins: {{default: {{user: {USER}, password: 'env:{_VARIABLE}', tls: 'off'}}}}\n"
        f"  instances:\n{''.join(lines)}",
        encoding="utf-8",
    )  # fmt: skip
    (folder / "workspace.yaml").write_text("", encoding="utf-8")
