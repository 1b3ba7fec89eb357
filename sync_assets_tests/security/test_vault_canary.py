"""No stored secret is ever shown or kept in the clear: commands in good and bad times, processes, both databases."""

from __future__ import annotations

import base64
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import dagster as dg
import psutil
import psycopg
import pytest

from sync_assets.components.deployment import whole_definitions
from sync_assets.components.execution import REAL
from sync_assets.project.load import load_project
from sync_assets.store.address import Address
from sync_assets.testing.servers import free_port
from sync_assets_tests.fix_command import Said, Shell, _bare
from sync_assets_tests.security.canaries import Canary, dump, files, found
from sync_assets_tests.security.test_canary import Cage


class Vaulted:
    """A project whose secrets are canaries and are in the vault only: no variable holds one."""

    def __init__(self, shell: Shell, control: Address) -> None:
        self.cage, self.shell, self.control = Cage(shell), shell, control
        self.heard: set[str] = set()
        for name in ("SHOP_PASSWORD", "FEISHU_SECRET", "WEBHOOK", "BOT_SECRET", "WRONG"):
            shell.environment[name] = f"not-used-{name}"
        args = shell.shop.args
        secret, user = quote(self.cage.password.value, safe=""), quote(self.cage.user, safe="")
        self.dsn = f"{shell.shop.kind}://{user}:{secret}@{args.host}:{args.port}/{args.database}"
        self.write()

    @property
    def key_file(self) -> Path:
        return self.shell.folder / "home" / "keys"

    @property
    def canaries(self) -> list[Canary]:
        lines = self.key_file.read_text().splitlines() if self.key_file.exists() else []
        return [*self.cage.canaries, *(Canary.of(line.partition(":")[2]) for line in lines if line[:1] == "k")]

    def write(self) -> None:
        """One connection by its password, and one by its whole address; the bot's secrets are stored, too."""
        self.cage.write(password="store:shop_password", app_secret="store:app")
        (self.shell.folder / "defs" / "bots" / "defs.yaml").write_text(
            "type: sync_assets.components.Connections\nattributes:\n  connections:\n"
            "    - {type: feishu_bot, name: ops, webhook: store:webhook, secret: store:bot}\n"
            f"    - {{type: {self.shell.shop.kind}, name: whole, dsn: store:whole}}\n",
            encoding="utf-8",
        )

    def store(self) -> None:
        hook = f"{self.shell.feishu.url}/open-apis/bot/v2/hook/{self.cage.webhook.value}"
        values = {
            "shop_password": self.cage.password.value,
            "app": self.cage.app.value,
            "bot": self.cage.bot.value,
            "webhook": hook,
        }
        for name, value in values.items():
            assert self.run("connections", "add", name, "--stdin", value=value).code == 0
        assert self.run("connections", "add", "whole", "--stdin", "--dsn", value=self.dsn).code == 0

    def run(self, *arguments: str, value: str = "", **environment: str) -> Said:
        done = subprocess.run(
            [sys.executable, "-X", "utf8", "-m", "sync_assets.cli", *arguments],
            cwd=self.shell.folder,
            env={**_bare(), **self.shell.environment, **environment},
            input=value.encode(),
            capture_output=True,
            timeout=120,
            check=False,
        )
        said = Said(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert found(said.all, self.canaries) == []
        assert "unexpected error" not in said.err, said
        return said

    def sql(self, text: str) -> None:
        with psycopg.connect(**self.control.arguments()) as connection:
            connection.execute(text)

    def silent(self) -> None:
        """Neither the database nor any file but the keys' own holds a canary."""
        kept = dump(self.control.arguments())
        assert "shop_password" in kept, "the dump holds what is stored"
        assert found(kept, self.canaries) == []
        aside = {self.key_file, self.key_file.with_name("copy")}
        assert found(files(self.shell.folder, without=aside), self.canaries) == []


@contextmanager
def listening(heard: set[str]) -> Iterator[None]:
    """The command lines of all processes that live meanwhile."""
    over = threading.Event()

    def listen() -> None:
        while not over.wait(0.02):
            for process in psutil.process_iter(["cmdline"]):
                heard.add(" ".join(process.info["cmdline"] or ()))

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@pytest.fixture
def vaulted(any_shell: Shell, control_database: Address) -> Iterator[Vaulted]:
    made = Vaulted(any_shell, control_database)
    with listening(made.heard):
        yield made
    assert any("sync_assets.cli" in line for line in made.heard)
    assert found("\n".join(made.heard), made.canaries) == []
    server = any_shell.shop.server
    assert server is not None
    if server.kind == "postgres":
        any_shell.shop.execute(f'drop owned by "{made.cage.user}"')
    server.drop_user(made.cage.user)


def test_in_good_times(vaulted: Vaulted) -> None:
    vaulted.store()
    assert len(vaulted.canaries) == len(vaulted.cage.canaries) + 1
    for command in (
        ["connections", "list"], ["connections", "test", "shop_password"], ["connections", "test", "whole"],
        ["connections", "test", "webhook"], ["check"], ["run", "orders", "--json"], ["connections", "rotate-key"],
        ["connections", "list"], ["check"], ["run", "orders"], ["connections", "remove", "bot"],
    ):  # fmt: skip
        said = vaulted.run(*command)
        assert said.code == 0, (command, said)
    assert len(vaulted.shell.board("orders")) == 2
    vaulted.silent()


DAMAGES = [
    "update sync_assets.secret set ciphertext = set_byte(ciphertext, 3, get_byte(ciphertext, 3) # 1)",
    "update sync_assets.secret set version = 7",
    "update sync_assets.deployment set id = md5('other')::uuid",
    "update sync_assets.vault_key set fingerprint = 'other'",
    "delete from sync_assets.secret where name <> 'webhook'",
]
COMMANDS = (
    ["check"],
    ["run", "orders"],
    ["connections", "test", "shop_password"],
    ["connections", "test", "whole"],
    ["connections", "list"],
)


@pytest.mark.parametrize("damage", DAMAGES)
def test_when_what_is_stored_is_damaged(vaulted: Vaulted, damage: str) -> None:
    vaulted.store()
    vaulted.sql(damage)
    for command in COMMANDS:
        assert vaulted.run(*command).code == (0 if command[-1] == "list" else 2), command
    if "delete" not in damage:
        assert vaulted.run("connections", "rotate-key").code == 2
    dump_of = dump(vaulted.control.arguments())
    assert found(dump_of, vaulted.canaries) == []


def test_when_the_key_is_lost_or_another(vaulted: Vaulted) -> None:
    vaulted.store()
    key_id, _, right = vaulted.key_file.read_text().splitlines()[-1].partition(":")
    other = base64.b64encode(secrets.token_bytes(32)).decode()
    vaulted.key_file.rename(vaulted.key_file.with_name("copy"))
    for line in (None, f"{key_id}:{other}", f"{key_id}:{right[:-8]}", right, f"another:{other}"):
        if line is not None:
            vaulted.key_file.write_text(line)
            vaulted.key_file.chmod(0o600)
        for command in COMMANDS[:4]:
            said = vaulted.run(*command)
            assert (said.code, found(said.all, [Canary.of(right), Canary.of(other)])) == (2, []), command
        more = vaulted.run("connections", "add", "more", "--stdin", value=vaulted.cage.wrong.value)
        assert more.code == (0 if line and line.startswith("another") else 2), more
    vaulted.silent()


def test_when_servers_refuse(vaulted: Vaulted) -> None:
    vaulted.store()
    add = ["connections", "add", "--stdin", "--replace"]
    wrong = vaulted.cage.wrong.value
    encoded = quote(wrong, safe="")
    addresses = [
        vaulted.dsn.replace(quote(vaulted.cage.password.value, safe=""), encoded),
        vaulted.dsn.replace(f":{vaulted.shell.shop.args.port}/", f":{free_port()}/"),
    ]
    for dsn in addresses:
        assert vaulted.run(*add, "whole", "--dsn", value=dsn).code == 0
        assert vaulted.run("connections", "test", "whole").code == 2
        assert vaulted.run("check", "whole").code == 2
    for name in ("shop_password", "app"):
        assert vaulted.run(*add, name, value=wrong).code == 0
        assert vaulted.run("connections", "test", name).code == 2
        assert vaulted.run("run", "orders").code == 2
    vaulted.silent()


def test_when_an_address_is_wrong_or_in_the_wrong_place(vaulted: Vaulted) -> None:
    vaulted.store()
    value = vaulted.cage.wrong.value
    for dsn in (
        value, f"mysql://reader:{value}@db/shop", f"postgres://{value}@db/shop", f"x://{quote(value, safe='')}@db/shop",
        f"mysql://reader:pw@db/shop?{value}", f"mysql://reader:pw@db/shop?tls={quote(value, safe='')}",
    ):  # fmt: skip
        said = vaulted.run("connections", "add", "a", "--stdin", "--dsn", value=dsn)
        assert (said.code, "[dsn]" in said.err) == (2, True), said
    # stored as a plain value, and used as an address: told when it is opened
    vaulted.run("connections", "add", "whole", "--stdin", "--replace", value=f"mysql://reader:{value}@db/shop")
    assert vaulted.run("check", "whole").code == 2
    vaulted.silent()


def test_a_value_given_as_an_argument_is_refused_without_repeating_it(any_shell: Shell, tmp_path: Path) -> None:
    canary = Canary.fresh()
    for arguments in (["a", canary.value], [canary.value], ["a", "--dsn", canary.value], [canary.value, "--stdin"]):
        said = any_shell("connections", "add", *arguments)
        assert said.code == 2
        assert found(said.all, [canary]) == []


def test_when_the_control_database_is_away(vaulted: Vaulted) -> None:
    vaulted.store()
    for command in (*COMMANDS, ["connections", "rotate-key"]):
        assert vaulted.run(*command, SYNC_ASSETS_PG_PORT=str(free_port())).code in (2, 3)
    value = vaulted.cage.wrong.value
    assert vaulted.run("connections", "add", "a", "--stdin", value=value, SYNC_ASSETS_PG_HOST="127.0.0.1",
                       SYNC_ASSETS_PG_PORT=str(free_port())).code == 3  # fmt: skip


def test_dagster_keeps_no_stored_secret(
    vaulted: Vaulted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    vaulted.store()
    for name, value in vaulted.shell.environment.items():
        monkeypatch.setenv(name, value)
    defs = whole_definitions(load_project(vaulted.shell.folder / "defs"), REAL)
    home = tmp_path / "dagster"
    home.mkdir()
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        assert _materialised(defs, instance, vaulted)
        vaulted.run("connections", "add", "shop_password", "--stdin", "--replace", value=vaulted.cage.wrong.value)
        assert not _materialised(defs, instance, vaulted)
        vaulted.sql("update sync_assets.secret set version = 7")
        assert not _materialised(defs, instance, vaulted)
    kept = files(home)
    assert "STEP_FAILURE" in kept, "the events are in these files"
    shown = capfd.readouterr()
    assert found(kept + shown.out + shown.err, vaulted.canaries) == []
    vaulted.silent()


def _materialised(defs: dg.Definitions, instance: dg.DagsterInstance, vaulted: Vaulted) -> bool:
    job = defs.resolve_implicit_global_asset_job_def()
    key = dg.AssetKey(["feishu", "orders"])
    result = job.execute_in_process(instance=instance, asset_selection=[key], raise_on_error=False)
    told = "\n".join(str(entry) for entry in instance.all_logs(result.run_id))
    assert found(told, vaulted.canaries) == []
    return result.success
