"""Running gateways: a real uvicorn on a free port over a private control database, in a thread or in a process.

    def test_x(gateway: Gateway):
        with gateway.client("read:*") as http:      # a new API key with these scopes; no scope: no key
            assert http.get("/api/sync/ping").status_code == 200

`gateways` makes more than one, each with a database and an id of its own.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
import uvicorn
from psycopg import sql

from sync_assets.exchange import signing
from sync_assets.gateway.serve import config
from sync_assets.gateway.services import Services
from sync_assets.gateway.settings import Limits, Settings
from sync_assets.store import embedded
from sync_assets.store.address import Address
from sync_assets.store.control import PostgresStore, open_store
from sync_assets.store.gateway.keys import Keys
from sync_assets.store.gateway.users import Users
from sync_assets.store.keyring import Key, KeyRing
from sync_assets.testing.servers import drop_in_use

LIMITS = Limits(
    calls=10_000.0, burst=100_000, strangers=1_000.0, strangers_burst=10_000, logins=100.0, logins_burst=999
)
_NEVER_COMPARED = ("gateway_audit", "gateway_nonce", "alembic_version")


@dataclass
class Gateway:
    """A gateway that runs, and the hands to look into it."""

    url: str
    store: PostgresStore
    address: Address
    services: Services | None = None  # None: it runs in another process
    app: Any = field(default=None, repr=False)  # the FastAPI app; None in another process

    @property
    def keys(self) -> Keys:
        return Keys(self.store.sessions)

    @property
    def users(self) -> Users:
        return Users(self.store.sessions)

    @property
    def sync_url(self) -> str:
        """As a peer's address is written."""
        return f"{self.url}/api/sync"

    def key(self, *scopes: str, name: str = "", seconds: float | None = None) -> str:
        """A new API key. `name` is how this installation knows a peer that uses it."""
        made = self.keys.create(name or f"key-{uuid.uuid4().hex[:8]}", scopes, seconds=seconds, by="test")
        return made.reveal()

    def client(self, *scopes: str, key: str = "", **headers: str) -> httpx.Client:
        """A client with a new key of these scopes, with `key`, or without any."""
        used = key or (self.key(*scopes) if scopes else "")
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        bearer = {"Authorization": f"Bearer {used}"} if used else {}
        return httpx.Client(base_url=self.url, headers={**bearer, **given}, timeout=30, trust_env=False)

    def signer(self, *scopes: str, key: str = "", **headers: str) -> httpx.Client:
        """As `client`, but it signs its calls."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        auth = Signing(key or self.key(*scopes))
        return httpx.Client(base_url=self.url, headers=given, auth=auth, timeout=30, trust_env=False)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """What a query on the control database says."""
        with psycopg.connect(**self.address.arguments()) as connection:
            return connection.execute(query.encode()).fetchall()

    def dump(self) -> dict[str, list[str]]:
        """Every row of every table but audit rows and that keys were used: equal dumps, nothing was changed."""
        tables = [
            name
            for (name,) in self.rows("select tablename from pg_tables where schemaname = 'sync_assets' order by 1")
            if name not in _NEVER_COMPARED
        ]
        gone = " - 'last_used_at'"
        return {
            name: [
                row for (row,) in self.rows(f"select (to_jsonb(t){gone})::text from sync_assets.{name} t order by 1")
            ]
            for name in tables
        }


class Signing(httpx.Auth):
    """Signs each call as installations do."""

    requires_request_body = True

    def __init__(self, key: str) -> None:
        self.key = key

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = signature(self.key, request)
        yield request


def signature(key: str, request: httpx.Request, at: float | None = None) -> str:
    """The header of a call that is not compressed, signed at a time, or now."""
    told = (request.headers.get(name, "") for name in ("X-Sync-Origin", "X-Sync-Id", "Idempotency-Key"))
    head = signing.Head(request.method, request.url.raw_path.decode(), *told)
    digest = hashlib.sha256(request.content).hexdigest()
    return signing.sign(key, head, digest=digest, time=int(time.time() if at is None else at))


@dataclass
class Gateways:
    """`gateways()` starts one more."""

    make: Callable[..., Gateway] = field(repr=False)

    def __call__(self, limits: Limits = LIMITS, **settings: Any) -> Gateway:
        return self.make(limits=limits, **settings)


@contextmanager
def new_database(server_home: Path) -> Iterator[Address]:
    """An empty database on the session's control server."""
    server = embedded.ensure_running(home=server_home)
    name = f"gateway_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(**server.arguments(), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} strategy wal_log").format(sql.Identifier(name)))
        try:
            yield replace(server, database=name)
        finally:
            drop_in_use(admin, name)


@contextmanager
def running(address: Address, **settings: Any) -> Iterator[Gateway]:
    """A gateway in a thread of this process, over this database."""
    ring = KeyRing((Key("test", secrets.token_bytes(32)),), "the test")
    with open_store(lambda: address) as store:
        services = Services(store, ring)
        server = uvicorn.Server(config(Settings(**{"port": 0, "limits": LIMITS, **settings}), services))
        app = server.config.app
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        port = listener.getsockname()[1]
        with _in_thread(server, listener):
            scheme = "https" if settings.get("certificate") else "http"
            yield Gateway(f"{scheme}://127.0.0.1:{port}", store, address, services, app)


@contextmanager
def _in_thread(server: uvicorn.Server, listener: socket.socket) -> Iterator[None]:
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=[listener])), name="gateway")
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the gateway did not start"
            thread.join(0.01)
        yield
    finally:
        server.should_exit = True
        thread.join(30)
        listener.close()
        assert not thread.is_alive(), "the gateway did not end"


@pytest.fixture
def gateways(control_server: Path) -> Iterator[Gateways]:
    """Starts gateways, each over a database of its own."""
    with ExitStack() as stack:

        def make(**settings: Any) -> Gateway:
            address = stack.enter_context(new_database(control_server))
            return stack.enter_context(running(address, **settings))

        yield Gateways(make)


@pytest.fixture
def gateway(gateways: Gateways) -> Gateway:
    """One gateway, with limits so wide that no test meets them by chance."""
    return gateways()


@dataclass
class GatewayProcess:
    """`sync-assets serve` as a process: it can be killed and started again over the same database and port."""

    gateway: Gateway
    environment: Mapping[str, str] = field(repr=False)
    folder: Path
    arguments: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def log(self) -> str:
        """All that it said on standard error."""
        return (self.folder / "gateway.log").read_text(encoding="utf-8")

    def start(self, **environment: str) -> None:
        port = self.gateway.url.rpartition(":")[2]
        command = [sys.executable, "-X", "utf8", "-m", "sync_assets.cli", "serve", "--port", port, *self.arguments]
        with (self.folder / "gateway.log").open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.folder, env={**self.environment, **environment}, stdout=subprocess.PIPE, stderr=log
            )
        assert self.process.stdout is not None
        said = self.process.stdout.readline().decode().strip()
        assert said.startswith("http"), self.log
        httpx.get(f"{self.gateway.url}/health", timeout=30, trust_env=False)

    def kill(self) -> None:
        """As a power cut does it."""
        self._end(signal.SIGKILL)

    def stop(self) -> int:
        """As a service manager does it; the exit code."""
        return self._end(signal.SIGTERM)

    def _end(self, how: signal.Signals) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(how)
        code = self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.process = None
        return code


@pytest.fixture
def gateway_process(control_server: Path, tmp_path: Path) -> Iterator[GatewayProcess]:
    """`sync-assets serve` over a database of its own, running; `kill` and `start` as often as you like."""
    with new_database(control_server) as address, open_store(lambda: address) as store:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        (tmp_path / "workspace.yaml").write_text("", encoding="utf-8")
        gateway = Gateway(f"http://127.0.0.1:{port}", store, address)
        process = GatewayProcess(gateway, environment_of(address, tmp_path), tmp_path)
        try:
            process.start()
            yield process
        finally:
            process.kill()


def environment_of(address: Address, folder: Path) -> dict[str, str]:
    """For a command of ours over this control database."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONDONTWRITEBYTECODE")
    assert address.password is not None
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "PYTHONWARNINGS": "error",
        "SYNC_ASSETS_HOME": str(folder / "home"),
        "SYNC_ASSETS_PG_HOST": address.host,
        "SYNC_ASSETS_PG_PORT": str(address.port),
        "SYNC_ASSETS_PG_USER": address.user,
        "SYNC_ASSETS_PG_PASSWORD": address.password.reveal(),
        "SYNC_ASSETS_PG_DB": address.database,
    }


@contextmanager
def closed_database(address: Address) -> Iterator[None]:
    """Nobody can connect to the database, and whoever was connected is cut off."""
    name = sql.Identifier(address.database)
    with psycopg.connect(**replace(address, database="postgres").arguments(), autocommit=True) as admin:
        admin.execute(sql.SQL("alter database {} allow_connections false").format(name))
        admin.execute("select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [address.database])
        try:
            yield
        finally:
            admin.execute(sql.SQL("alter database {} allow_connections true").format(name))
