"""Two installations for `benchmarks.exchange`: control databases on a private server, a gateway, a slow line."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from psycopg import sql

from sync_assets.exchange.model import Document, Repository, Task, TaskPack, TaskUsage
from sync_assets.project.exchange.placed import PlacedPeer, peer_of
from sync_assets.project.load import load_project
from sync_assets.store import embedded
from sync_assets.store.address import Address
from sync_assets.store.control import PostgresStore, open_store
from sync_assets.store.exchange.library import PostgresLibrary

_MOMENT = datetime(2026, 2, 10, tzinfo=UTC)
_PIECE = 200  # tasks that are made at once
_YAML = """
type: sync_assets.components.RepositoryExchange
attributes:
  name: bench
  peers:
    - name: there
      url: http://127.0.0.1:{port}/api/sync
      api_key: env:BENCH_KEY
      network: {{internal: [127.0.0.0/8]}}
"""


@dataclass(frozen=True)
class Site:
    """`url` is the gateway of the other installation behind the slow line; `key` for an original client of it."""

    folder: Path
    server: Address
    there: Address
    url: str
    key: str
    gateway: int  # its process
    stack: ExitStack

    @property
    def peer(self) -> PlacedPeer:
        return peer_of(load_project(self.folder / "defs"), "there")

    def installation(self) -> PostgresStore:
        """One more, empty."""
        address = _database(self.server)
        return self.stack.enter_context(open_store(lambda: address))

    def peak_of_gateway(self) -> float:
        """Most memory it has had, in MB."""
        status = Path(f"/proc/{self.gateway}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024


@contextmanager
def two_installations(seconds: float) -> Iterator[Site]:
    """All of it, `seconds` one way; everything is ended and removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="sa-"))
    folder.chmod(0o711)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder)
        stack.callback(embedded.stop, folder)
        server = embedded.ensure_running(home=folder)
        there = _database(server)
        process, (port, ours, original) = _child(stack, "benchmarks.exchange_gateway", _environment(there, folder))
        assert isinstance(port, int)
        _, (slow,) = _child(stack, "benchmarks.exchange_line", dict(os.environ), [port, seconds])
        os.environ["BENCH_KEY"] = str(ours)
        (folder / "defs" / "bench").mkdir(parents=True)
        (folder / "defs" / "bench" / "defs.yaml").write_text(_YAML.format(port=slow))
        yield Site(folder, server, there, f"http://127.0.0.1:{slow}/api/sync", str(original), process.pid, stack)


def _database(server: Address) -> Address:
    name = f"bench_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(**server.arguments(), autocommit=True) as admin:
        admin.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    return replace(server, database=name)


def _environment(address: Address, folder: Path) -> dict[str, str]:
    assert address.password is not None
    return {
        **os.environ,
        "SYNC_ASSETS_HOME": str(folder / "there"),
        "SYNC_ASSETS_PG_HOST": address.host,
        "SYNC_ASSETS_PG_PORT": str(address.port),
        "SYNC_ASSETS_PG_USER": address.user,
        "SYNC_ASSETS_PG_PASSWORD": address.password.reveal(),
        "SYNC_ASSETS_PG_DB": address.database,
    }


def _child(
    stack: ExitStack, module: str, environment: dict[str, str], said: object = None
) -> tuple[subprocess.Popen[str], list[object]]:
    """A process that tells one line of JSON and ends with its standard input."""
    process = subprocess.Popen(
        [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )
    stack.callback(process.wait, 30)
    assert process.stdin is not None
    assert process.stdout is not None
    stack.callback(process.stdin.close)
    if said is not None:
        print(json.dumps(said), file=process.stdin, flush=True)
    return process, json.loads(process.stdout.readline())


def fill(store: PostgresStore, tasks: int, size: int) -> int:
    """A repository with a document of `size` bytes for each task, made piece by piece. Its id."""
    library, chance = PostgresLibrary(store.sessions), random.Random(7)
    words = ["".join(chance.choices("abcdefghijklmnopqrstuvwxyz", k=chance.randint(3, 9))) for _ in range(4000)]
    ours = library.put_repository("seed", Repository(1, "bench", created_at=_MOMENT, updated_at=_MOMENT)).id
    for first in range(1, tasks + 1, _PIECE):
        numbers = range(first, min(first + _PIECE, tasks + 1))
        library.put_packs("seed", [_pack(n, " ".join(chance.choices(words, k=size // 6))[:size]) for n in numbers])
    return ours


def _pack(number: int, content: str) -> TaskPack:
    title = f"document {number}"
    stamps = {"created_at": _MOMENT, "updated_at": _MOMENT}
    task = Task(number, 1, number, title=title, status="succeeded", sort_order=number, **stamps)  # type: ignore[arg-type]
    document = Document(number, 1, number, title, f"{number}.md", content, number, **stamps)  # type: ignore[arg-type]
    return TaskPack(task, (document,), (TaskUsage("key", 100, 200, 300, 0, 0, "2026-02-10T00:00:00Z"),))


def contents(address: Address | PostgresStore, repository: int) -> tuple[int, str]:
    """How many documents a repository has, and a digest of all their texts, titles and choices."""
    query = """
        select count(*),
               md5(string_agg(md5(d.title || d.content || (t.doc_id = d.document_id)::text), '' order by d.title))
          from sync_assets.exchange_document d join sync_assets.exchange_task t using (task_id)
         where d.repository_id = %s
        """
    if isinstance(address, PostgresStore):
        row = address.sessions.run(lambda cursor: cursor.execute(query, [repository]).fetchone())
    else:
        with psycopg.connect(**address.arguments()) as connection:
            row = connection.execute(query, [repository]).fetchone()
    assert row is not None
    return int(row[0]), str(row[1])
