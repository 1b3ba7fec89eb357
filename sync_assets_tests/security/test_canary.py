"""No secret is ever shown: the command line in good times and in all bad ones, with tracebacks on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sync_assets.store.address import Address
from sync_assets.testing.servers import free_port
from sync_assets_tests.fix_command import Said, Shell
from sync_assets_tests.security.canaries import Canary, dump, files, found

TABLE = "create table orders (id int primary key, name varchar(40))", "insert into orders values (1, 'a'), (2, 'b')"
BOT = """
type: sync_assets.components.Connections
attributes:
  connections:
    - {type: feishu_bot, name: ops, webhook: "env:WEBHOOK", secret: "env:BOT_SECRET"}
"""


class Cage:
    """A project whose every secret is a canary: `run` runs a command with tracebacks on and listens."""

    def __init__(self, shell: Shell) -> None:
        self.shell = shell
        self.password, self.app, self.bot, self.wrong = (Canary.fresh() for _ in range(4))
        self.app_id, _ = shell.feishu.make_app(secret=self.app.value)
        self.webhook = Canary.of(shell.feishu.make_bot(secret=self.bot.value).rpartition("/")[2])
        server, name = shell.shop.server, shell.shop.args.database
        assert server is not None
        self.user = f"{name}_reader"
        to = self.user if server.kind == "postgres" else f"'{self.user}'@'%'"
        literal = self.password.value.replace("'", "''")
        if server.kind == "mysql":
            literal = literal.replace("\\", "\\\\")
        shell.shop.execute(*TABLE)
        server.create_user(self.user, literal, f"grant select on orders to {to}", database=name)
        shell.environment |= {
            "SHOP_PASSWORD": self.password.value,
            "FEISHU_SECRET": self.app.value,
            "WEBHOOK": f"{shell.feishu.url}/open-apis/bot/v2/hook/{self.webhook.value}",
            "BOT_SECRET": self.bot.value,
            "WRONG": self.wrong.value,
            "SYNC_ASSETS_DEBUG": "1",
        }
        self.write()

    @property
    def canaries(self) -> list[Canary]:
        return [self.password, self.app, self.bot, self.wrong, self.webhook]

    def write(self, sync: str = "", **connections: str) -> None:
        bitable = f'bitable: "{self.shell.link()}", table_name: orders, key: [id]'
        text = sync or f"    - {{name: orders, table: orders, {bitable}}}\n"
        self.shell.write(text, **{"user": self.user, "app_id": self.app_id} | connections)
        bots = self.shell.folder / "defs" / "bots" / "defs.yaml"
        bots.parent.mkdir(exist_ok=True)
        bots.write_text(BOT, encoding="utf-8")

    def run(self, *arguments: str, **environment: str) -> Said:
        said = self.shell(*arguments, **environment)
        assert found(said.all, self.canaries) == []
        assert "unexpected error" not in said.err
        return said


@pytest.fixture
def cage(any_shell: Shell) -> Iterator[Cage]:
    made = Cage(any_shell)
    yield made
    server = any_shell.shop.server
    assert server is not None
    if server.kind == "postgres":
        any_shell.shop.execute(f'drop owned by "{made.user}"')
    server.drop_user(made.user)


def test_in_good_times(cage: Cage, control_database: Address) -> None:
    assert cage.run("check").code == 0
    assert cage.run("plan", "orders").code == 0
    assert cage.run("run", "orders", "--json").code == 0
    assert cage.run("run", "orders").code == 0
    assert cage.run("status").code == 0
    assert len(cage.shell.board("orders")) == 2
    assert found(dump(control_database.arguments()), cage.canaries) == []
    assert found(files(cage.shell.folder), cage.canaries) == []


SOURCE_TROUBLES = [
    {"password": "env:WRONG"},
    {"user": "nobody"},
    {"database": "nowhere"},
    {"port": "1"},
    {"host": "no-such-host.invalid"},
    {"password": "env:UNSET"},
]


def test_when_the_source_cannot_be_reached(cage: Cage, control_database: Address) -> None:
    for trouble in SOURCE_TROUBLES:
        cage.write(**trouble)
        for command in (["check", "shop"], ["plan", "orders"], ["run", "orders"]):
            assert cage.run(*command).code in (2, 3), (trouble, command)
    assert found(dump(control_database.arguments()), cage.canaries) == []


def test_when_feishu_refuses(cage: Cage, control_database: Address) -> None:
    feishu = cage.shell.feishu
    cage.write(app_secret="env:WRONG")
    for command in (["check", "feishu"], ["plan", "orders"], ["run", "orders"]):
        assert cage.run(*command).code == 2
    cage.write()
    feishu.fault("code", "batch_create", code=99991663)  # the token has expired in the middle of the run
    assert cage.run("run", "orders").code == 0
    feishu.set_permission(cage.shell.base, right="")
    for command in (["check"], ["plan", "orders"], ["run", "orders"]):
        said = cage.run(*command)
        assert (said.code, "91403" in said.all) == (2, True), said
    assert found(dump(control_database.arguments()), cage.canaries) == []


def test_when_the_bot_is_wrong(cage: Cage) -> None:
    for name in ("WEBHOOK", "BOT_SECRET"):
        cage.run("check", "ops", **{name: cage.wrong.value})
    cage.run("check", "ops", WEBHOOK=f"http://10.0.0.1/open-apis/bot/v2/hook/{cage.wrong.marks[0]}")


@pytest.mark.parametrize("place", ["host", "user", "database", "app_id", "feishu", "password", "app_secret", "port"])
def test_when_somebody_writes_a_secret_where_it_does_not_belong(cage: Cage, place: str) -> None:
    """A whole address with the password in it, in a field that is no secret; or the secret in place of a reference."""
    plain = place in ("password", "app_secret")
    torn = cage.wrong.value.replace("\\", "\\\\").replace('"', '\\"')
    cage.write(**{place: torn if plain else f"mysql://reader:{torn}@127.0.0.1/shop"})
    for command in (["check"], ["plan", "orders"], ["run", "orders"], ["syncs"]):
        assert cage.run(*command).code != 0 or command == ["syncs"]


@pytest.mark.parametrize("place", ["host", "app_id", "feishu", "user", "database", "port"])
def test_when_a_variable_holds_a_secret_where_it_does_not_belong(cage: Cage, place: str) -> None:
    """The two variables of the app swapped, or the address of the database in the variable of its host."""
    cage.write(**{place: "env:WRONG"})
    for command in (["check"], ["plan", "orders"], ["run", "orders"]):
        assert cage.run(*command).code in (2, 3)


def test_when_the_control_database_is_wrong(cage: Cage) -> None:
    def settings(**more: str) -> dict[str, str]:
        return {f"SYNC_ASSETS_PG_{name}": value for name, value in more.items()}

    wrong = cage.wrong.value
    for environment in (
        settings(PASSWORD=wrong), settings(PASSWORD=wrong, PORT=str(free_port())), settings(DB="nowhere"),
        settings(PASSWORD=wrong, SSLMODE="verify-full"), settings(PASSWORD=wrong, HOST=f"boss:{wrong}@127.0.0.1"),
        settings(PASSWORD=f"{wrong}\n"), settings(SSLMODE=wrong, HOST="127.0.0.1"), settings(PORT=wrong),
    ):  # fmt: skip
        for command in (["up"], ["status"], ["run", "orders"]):
            assert cage.run(*command, **environment).code != 0, (list(environment), command)


def test_a_traceback_is_masked(cage: Cage, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that quotes the password in its error, under SYNC_ASSETS_DEBUG."""
    from sync_assets import cli
    from sync_assets.store.secrets import Secret

    monkeypatch.setenv("SYNC_ASSETS_DEBUG", "1")
    password = Secret(cage.password.value)
    try:
        raise RuntimeError(f"cannot parse postgres://reader:{password.reveal()}@h")
    except RuntimeError as error:
        assert cli._told(error) == 1
    shown = capsys.readouterr().err
    assert "***" in shown and "Traceback" in shown
    assert found(shown, cage.canaries) == []


def test_the_search_finds_what_it_should(tmp_path: Path) -> None:
    import base64
    import json
    from urllib.parse import quote

    canary = Canary.fresh()
    user = f"reader:{canary.value}"
    for text in (
        user, quote(user), json.dumps(user), repr(user), canary.value[:20], canary.value[-20:],
        base64.b64encode(user.encode()).decode(), base64.b64encode(b"a" + user.encode()).decode(),
    ):  # fmt: skip
        assert found(f"x{text}y", [canary]), text
    (tmp_path / "log").write_text(user, encoding="utf-8")
    assert found(files(tmp_path), [canary])
    assert found("nothing", [canary]) == []
