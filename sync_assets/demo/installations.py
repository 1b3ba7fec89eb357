"""Two installations side by side: each its own control database, its own YAML, its own gateway as a process of its own.

Both databases are on the demo's embedded PostgreSQL. Must not know what is exchanged.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from sync_assets.engine.errors import Stop
from sync_assets.store import embedded
from sync_assets.store.address import Address
from sync_assets.testing.servers import HOST, free_port

if TYPE_CHECKING:
    import httpx

    from sync_assets.store.control import PostgresStore

USER = "demo"
YAML = """\
type: sync_assets.components.RepositoryExchange
attributes:
  name: exchange
  peers:
    - name: {name}
      title: {title}
      url: {url}/api/sync
      api_key: file:{key}
      network: {{internal: [127.0.0.0/8]}}
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """A running one. `http` calls its gateway with a key that may do everything with repositories."""

    name: str
    title: str
    url: str
    folder: Path
    store: PostgresStore
    http: httpx.Client
    password: str  # of `USER`, for its page


@contextmanager
def installations(home: Path, *names: tuple[str, str]) -> Iterator[list[Installation]]:
    """One for each (name, title), each a peer of the next; gateways listen when this yields, and are ended after."""
    from sync_assets.store.control import open_store

    with ExitStack() as stack:
        addresses = [_database(home, name) for name, _ in names]
        stores = [stack.enter_context(open_store(partial(_known, address))) for address in addresses]
        made = [_prepare(stack, home, *named, store) for named, store in zip(names, stores, strict=True)]
        for one, other in zip(made, [*made[1:], made[0]], strict=True):
            _make_peers(one, other)
        for one, address in zip(made, addresses, strict=True):
            stack.enter_context(_gateway(one, address))
        yield made


def _database(home: Path, name: str) -> Address:
    """A new database on the embedded server."""
    import psycopg
    from psycopg import sql

    server = embedded.ensure_running(home=home)
    with psycopg.connect(**server.arguments(), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    return replace(server, database=name)


def _known(address: Address) -> Address:
    return address


def _prepare(stack: ExitStack, home: Path, name: str, title: str, store: PostgresStore) -> Installation:
    import httpx

    from sync_assets.store.gateway.keys import Keys
    from sync_assets.store.gateway.users import Users

    folder, url = home / name, f"http://{HOST}:{free_port()}"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "workspace.yaml").write_text("", encoding="utf-8")  # the root of its project
    password = secrets.token_urlsafe(9)
    Users(store.sessions).add(USER, password, ["read", "write", "clear"], by="demo")
    key = Keys(store.sessions).create("demo", ["read", "write", "clear"], by="demo").reveal()
    http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30, trust_env=False)
    return Installation(name, title, url, folder, store, stack.enter_context(http), password)


def _make_peers(one: Installation, other: Installation) -> None:
    """`one` gets a key of `other`, and says in its YAML where that is."""
    from sync_assets.store.gateway.keys import Keys

    file = one.folder / "key"
    file.touch(mode=0o600)
    file.write_text(Keys(other.store.sessions).create(one.name, ["read", "write", "clear"], by="demo").reveal())
    defs = one.folder / "sync_assets" / "defs" / "exchange"
    defs.mkdir(parents=True)
    text = YAML.format(name=other.name, title=other.title, url=other.url, key=file)
    (defs / "defs.yaml").write_text(text, encoding="utf-8")


@contextmanager
def _gateway(one: Installation, address: Address) -> Iterator[None]:
    """`sync-assets serve`, listening."""
    port = one.url.rpartition(":")[2]
    with (one.folder / "gateway.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "sync_assets.cli", "serve", "--host", HOST, "--port", port],
            cwd=one.folder, env=_environment(one.folder, address),
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log,
        )  # fmt: skip
    try:
        _wait_for_its_first_line(one, process.stdout)
        yield
    finally:
        process.terminate()
        process.wait(30)
        if process.stdout is not None:
            process.stdout.close()


def _wait_for_its_first_line(one: Installation, said: IO[bytes] | None) -> None:
    """It says its address when it listens."""
    if said is None or not said.readline().startswith(b"http"):
        raise Stop(f"the gateway of {one.name} does not start", hint=f"see {one.folder / 'gateway.log'}")


def _environment(folder: Path, address: Address) -> dict[str, str]:
    """Nothing of the developer's deployment leaks in."""
    mine = {k: v for k, v in os.environ.items() if not k.startswith(("SYNC_ASSETS_", "DAGSTER_"))}
    password = address.password.reveal() if address.password else ""
    return {
        **mine, "SYNC_ASSETS_HOME": str(folder / "home"), "SYNC_ASSETS_DEFS": str(folder / "sync_assets" / "defs"),
        "SYNC_ASSETS_PG_HOST": address.host, "SYNC_ASSETS_PG_PORT": str(address.port),
        "SYNC_ASSETS_PG_USER": address.user, "SYNC_ASSETS_PG_PASSWORD": password, "SYNC_ASSETS_PG_DB": address.database,
    }  # fmt: skip
