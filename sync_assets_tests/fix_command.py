"""The `sync-assets` command as a user runs it: a real process over a folder of YAML, a database and the emulator."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sync_assets.store.address import Address
from sync_assets.testing.bitable import Emulator

if TYPE_CHECKING:  # pytest loads the fixture modules one by one and wants to be the first to import each
    from sync_assets_tests.fix_servers import ScratchDatabase


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        return self.out + self.err


@dataclass
class Shell:
    """`shell("run", "orders")` runs the command; `write` changes the project before."""

    folder: Path
    shop: ScratchDatabase
    feishu: Emulator
    base: str
    environment: dict[str, str] = field(default_factory=dict)

    def __call__(self, *arguments: str, **environment: str) -> Said:
        done = subprocess.run(
            [sys.executable, "-X", "utf8", "-m", "sync_assets.cli", *arguments],
            cwd=self.folder,
            env={**_bare(), **self.environment, **environment},
            capture_output=True,
            timeout=120,
            check=False,
        )
        said = Said(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))
        for secret in (self.environment["SHOP_PASSWORD"], self.environment["FEISHU_SECRET"]):
            assert secret not in said.all, "a secret was shown"
        return said

    def write(self, syncs: str, head: str = "", **connections: str) -> None:
        """The two files of the project. `connections` replaces words of the connections' YAML."""
        from sync_assets_tests.fix_project import write_defs

        text = self.connections()
        for old, new in connections.items():
            text = text.replace(f"<{old}>", new)
        for place, value in self._places().items():
            text = text.replace(f"<{place}>", value)
        table_sync = f"type: sync_assets.components.TableSync\nattributes:\n  source: shop\n  target: feishu\n{head}"
        write_defs(self.folder / "defs", connections=text, shop=f"{table_sync}  syncs:\n{syncs}")

    def connections(self) -> str:
        kind = {"postgres": "postgres", "mysql": "mysql"}[self.shop.kind]
        return f"""
            type: sync_assets.components.Connections
            attributes:
              connections:
                - {{type: {kind}, name: shop, host: "<host>", port: <port>, database: "<database>", user: "<user>",
                    password: "<password>"}}
                - {{type: feishu, name: feishu, app_id: "<app_id>", app_secret: "<app_secret>", host: "<feishu>"}}
            """

    def _places(self) -> dict[str, str]:
        args = self.shop.args
        return {
            "host": args.host,
            "port": str(args.port),
            "database": args.database,
            "user": args.user,
            "password": "env:SHOP_PASSWORD",
            "app_id": self.feishu.app_id,
            "app_secret": "env:FEISHU_SECRET",
            "feishu": self.feishu.url,
        }

    def link(self, table: str = "") -> str:
        return self.feishu.link(self.base, table)

    def board(self, name: str) -> list[dict[str, object]]:
        """The records of the table with that name; none where there is no such table."""
        tables = self.feishu.describe(self.base)["tables"]
        found = [t["table_id"] for t in tables if t["name"] == name]
        return list(self.feishu.rows(self.base, found[0]).values()) if found else []

    def writes(self) -> int:
        """Calls that change a base, since the last reset."""
        return sum(1 for call in self.feishu.log() if _is_write(call))


def _is_write(call: dict[str, object]) -> bool:
    method, path = str(call.get("method")), str(call.get("path"))
    return "/bitable/" in path and (method in ("PUT", "DELETE") or (method == "POST" and not path.endswith("search")))


def _bare() -> dict[str, str]:
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "PYTHONDONTWRITEBYTECODE")
    return {name: os.environ[name] for name in kept if name in os.environ} | {"PYTHONWARNINGS": "error"}


def _shell(folder: Path, shop: ScratchDatabase, feishu: Emulator, control: Address) -> Shell:
    (folder / "workspace.yaml").write_text("", encoding="utf-8")  # marks the project's root
    (folder / "defs").mkdir(exist_ok=True)
    assert control.password is not None
    assert shop.args.open_password is not None
    environment = {
        "SYNC_ASSETS_DEFS": str(folder / "defs"),
        "SYNC_ASSETS_HOME": str(folder / "home"),
        "SYNC_ASSETS_PG_HOST": control.host,
        "SYNC_ASSETS_PG_PORT": str(control.port),
        "SYNC_ASSETS_PG_USER": control.user,
        "SYNC_ASSETS_PG_PASSWORD": control.password.reveal(),
        "SYNC_ASSETS_PG_DB": control.database,
        "SHOP_PASSWORD": shop.args.open_password(),
        "FEISHU_SECRET": feishu.app_secret,
    }
    return Shell(folder, shop, feishu, feishu.make_base("店铺"), environment)


@pytest.fixture
def shell(tmp_path: Path, my_db: ScratchDatabase, bitable: Emulator, control_database: Address) -> Shell:
    """Over MariaDB."""
    return _shell(tmp_path, my_db, bitable, control_database)


@pytest.fixture
def any_shell(tmp_path: Path, server_db: ScratchDatabase, bitable: Emulator, control_database: Address) -> Shell:
    """Once over MariaDB and once over PostgreSQL."""
    return _shell(tmp_path, server_db, bitable, control_database)
