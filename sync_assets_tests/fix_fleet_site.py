"""A fleet over real servers: a MariaDB, a PostgreSQL and a port where nobody listens, with a control database."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest

from sync_assets.project.deployment import PlacedFleet, Project
from sync_assets.project.fleet import Item, collect_accounts, collect_capacity
from sync_assets.project.load import load_project
from sync_assets.store.address import Address
from sync_assets.store.control import PostgresStore
from sync_assets.testing.servers import Server, free_port

if TYPE_CHECKING:
    from sync_assets_tests.fix_command import Said

PASSWORD = "ch1ef-0f-watch"


@dataclass
class Hurry:
    """A clock that runs as all clocks do, and jumps where somebody would sleep."""

    skipped: float = 0.0
    waits: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return time.monotonic() + self.skipped

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.skipped += seconds


@dataclass
class FleetSite:
    """``my``, ``pg`` and ``down`` are the instances; `write` changes the YAML. What ``my`` and ``pg`` see is theirs."""

    folder: Path
    store: PostgresStore
    address: Address
    servers: dict[str, Server]
    user: str
    dead_port: int
    settings: str = ""
    ports: dict[str, int] = field(default_factory=dict)  # in place of the servers' own, as behind a proxy
    hurry: Hurry = field(default_factory=Hurry)
    extra: str = ""  # an account that a test made

    def yaml(self, *names: str) -> str:
        kinds = {"my": "mysql", "pg": "postgres", "down": "postgres"}
        entries = [
            f"    - {{name: {n}, type: {kinds.get(n, 'mysql')}, host: 127.0.0.1, port: {self.port(n)}}}\n"
            for n in names
        ]
        return (
            "type: sync_assets.components.DatabaseFleet\nattributes:\n  name: prod\n  time_zone: Asia/Shanghai\n"
            f"  logins: {{default: {{user: {self.user}, password: 'env:WATCH_PASSWORD', tls: 'off'}}}}\n"
            f"{self.settings}  instances:\n{''.join(entries)}"
        )

    def port(self, name: str) -> int:
        if name in self.ports:
            return self.ports[name]
        return self.servers[name].port if name in self.servers else self.dead_port

    def write(self, *names: str, text: str = "") -> None:
        (self.folder / "defs" / "prod").mkdir(parents=True, exist_ok=True)
        (self.folder / "defs" / "prod" / "defs.yaml").write_text(text or self.yaml(*names), encoding="utf-8")

    def load(self) -> tuple[Project, PlacedFleet]:
        project = load_project(self.folder / "defs")
        return project, project.fleet("prod")

    def accounts(self, names: Sequence[str] | None = None, **options: Any) -> dict[str, Item]:
        run = {"run_id": f"r-{uuid.uuid4()}", "store": self.store, **self.pace, **options}
        return {item.instance: item for item in collect_accounts(*self.load(), names, **run)}

    def capacity(self, day: Any, names: Sequence[str] | None = None, **options: Any) -> dict[str, Item]:
        run = {"run_id": f"r-{uuid.uuid4()}", "store": self.store, **self.pace, **options}
        return {item.instance: item for item in collect_capacity(*self.load(), day, names, **run)}

    @property
    def pace(self) -> dict[str, Any]:
        return {"clock": self.hurry.clock, "sleep": self.hurry.sleep}

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(**self.address.arguments()) as connection:
            return connection.execute(statement.encode(), values or None).fetchall()

    def history(self) -> dict[tuple[str, str], str]:
        """How each line of the history stands."""
        found = self.rows("select sync, partition, outcome from sync_assets.run order by started_at")
        return {(sync, partition): outcome for sync, partition, outcome in found}

    @property
    def environment(self) -> dict[str, str]:
        """For a process of its own."""
        assert self.address.password is not None
        return {
            **{
                name: os.environ[name]
                for name in ("PATH", "HOME", "TMPDIR", "PYTHONDONTWRITEBYTECODE")
                if name in os.environ
            },
            "SYNC_ASSETS_DEFS": str(self.folder / "defs"),
            "SYNC_ASSETS_HOME": str(self.folder / "home"),
            "SYNC_ASSETS_PG_HOST": self.address.host,
            "SYNC_ASSETS_PG_PORT": str(self.address.port),
            "SYNC_ASSETS_PG_USER": self.address.user,
            "SYNC_ASSETS_PG_PASSWORD": self.address.password.reveal(),
            "SYNC_ASSETS_PG_DB": self.address.database,
            "WATCH_PASSWORD": PASSWORD,
            "PYTHONWARNINGS": "error",
        }

    def command(self, *arguments: str) -> Said:
        """`sync-assets` in a process of its own."""
        import subprocess
        import sys

        from sync_assets_tests.fix_command import Said

        words = [sys.executable, "-X", "utf8", "-m", "sync_assets.cli", *arguments]
        done = subprocess.run(
            words, cwd=self.folder, env=self.environment, capture_output=True, timeout=120, check=False
        )
        said = Said(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
        assert PASSWORD not in said.all
        return said


@pytest.fixture
def fleet_site(
    tmp_path: Path, store: PostgresStore, control_database: Address, mariadb: Server, postgres: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[FleetSite]:  # fmt: skip
    """The fleet ``prod`` of three instances, one of them down. Our login may read everything that collectors need."""
    user = f"watch_{uuid.uuid4().hex[:8]}"
    monkeypatch.setenv("WATCH_PASSWORD", PASSWORD)
    (tmp_path / "workspace.yaml").write_text("", encoding="utf-8")  # marks the project's root
    rights = "SELECT, PROCESS, SHOW DATABASES, SHOW VIEW, REPLICATION CLIENT"
    mariadb.create_user(user, PASSWORD, f"grant {rights} on *.* to '{user}'@'%'")
    postgres.create_user(user, PASSWORD, f'grant pg_monitor to "{user}"')
    site = FleetSite(tmp_path, store, control_database, {"my": mariadb, "pg": postgres}, user, free_port())
    site.write("my", "pg", "down")
    yield site
    mariadb.drop_user(user)
    postgres.drop_user(user)
