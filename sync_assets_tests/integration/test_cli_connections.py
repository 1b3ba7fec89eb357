"""`sync-assets connections` as a user has it, over both kinds of server: what is typed, what is shown, what works."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from urllib.parse import quote

import psycopg
import pytest

from sync_assets.store.address import Address
from sync_assets_tests.fix_command import Said, Shell, _bare

ORDERS = "create table orders (id int primary key, name varchar(40))", "insert into orders values (1, 'a'), (2, 'b')"


def feed(shell: Shell, value: str | bytes, *arguments: str) -> Said:
    """The command, with `value` on its standard input."""
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-m", "sync_assets.cli", *arguments],
        cwd=shell.folder,
        env={**_bare(), **shell.environment},
        input=value.encode() if isinstance(value, str) else value,
        capture_output=True,
        timeout=120,
        check=False,
    )
    return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


def password(shell: Shell) -> str:
    assert shell.shop.args.open_password is not None
    return shell.shop.args.open_password()


def sync(shell: Shell) -> str:
    return f'    - {{name: orders, table: orders, bitable: "{shell.link()}", table_name: orders, key: [id]}}\n'


def dsn(shell: Shell) -> str:
    args = shell.shop.args
    user, secret = quote(args.user, safe=""), quote(password(shell), safe="")
    return f"{shell.shop.kind}://{user}:{secret}@{args.host}:{args.port}/{args.database}"


def stored(shell: Shell) -> Shell:
    """A project whose password and app secret are stored."""
    shell.shop.execute(*ORDERS)
    for name, value in (("shop_password", password(shell)), ("app", shell.feishu.app_secret)):
        said = feed(shell, value + "\n", "connections", "add", name, "--stdin")
        assert said.code == 0, said
    shell.write(sync(shell), password="store:shop_password", app_secret="store:app")
    return shell


def test_a_stored_password_and_app_secret_run_a_sync(any_shell: Shell) -> None:
    stored(any_shell)
    assert any_shell("check").code == 0
    said = any_shell("run", "orders")
    assert said.code == 0, said
    assert len(any_shell.board("orders")) == 2
    tested = any_shell("connections", "test", "shop_password")
    assert (tested.code, "orders can be read" in tested.out) == (0, True), tested


def test_the_first_add_says_that_a_key_was_made_and_must_be_copied(shell: Shell) -> None:
    first = feed(shell, "x" * 20, "connections", "add", "a", "--stdin")
    file = shell.folder / "home" / "keys"
    assert str(file) in first.out and "copy this file" in first.out
    assert file.stat().st_mode & 0o777 == 0o600
    assert "key was made" not in feed(shell, "x" * 20, "connections", "add", "b", "--stdin").out


def test_list_shows_names_kinds_keys_and_dates(shell: Shell) -> None:
    assert "nothing is stored yet" in shell("connections", "list").out
    feed(shell, "canary-one", "connections", "add", "app", "--stdin")
    feed(shell, dsn(shell), "connections", "add", "shop", "--stdin", "--dsn")
    said = shell("connections", "list")
    assert said.code == 0
    head, app, shop = (line.split() for line in said.out.splitlines())
    key = (shell.folder / "home" / "keys").read_text().splitlines()[-1].partition(":")[0]
    assert head[:4] == ["name", "kind", "key", "version"]
    assert app[:4] == ["app", "secret", key, "1"]
    assert shop[:4] == ["shop", "mysql", key, "1"]
    assert "canary-one" not in said.all


def test_a_stored_address_is_a_whole_connection(any_shell: Shell) -> None:
    shell = any_shell
    shell.shop.execute(*ORDERS)
    assert feed(shell, dsn(shell), "connections", "add", "shop", "--stdin", "--dsn").code == 0
    alone = shell("connections", "test", "shop")
    assert (alone.code, "dsn: store:shop" in alone.out) == (0, True), alone
    shell.write(sync(shell))
    file = shell.folder / "defs" / "connections" / "defs.yaml"
    lines = file.read_text().splitlines()
    at = next(n for n, line in enumerate(lines) if "name: shop" in line)
    lines[at : at + 2] = [f"    - {{type: {shell.shop.kind}, name: shop, dsn: store:shop}}"]
    file.write_text("\n".join(lines))
    said = shell("run", "orders")
    assert said.code == 0, said
    assert len(shell.board("orders")) == 2
    tested = shell("connections", "test", "shop")
    assert (tested.code, "orders can be read" in tested.out) == (0, True), tested
    other = dsn(shell).replace("mysql://", "x://").replace("postgres://", "mysql://").replace("x://", "postgres://")
    assert feed(shell, other, "connections", "add", "shop", "--stdin", "--dsn", "--replace").code == 0
    said = shell("check", "shop")
    assert (said.code, "make them agree" in said.out) == (2, True), said


def test_a_value_that_was_replaced_counts_from_then_on(any_shell: Shell) -> None:
    stored(any_shell)
    feed(any_shell, "not the one", "connections", "add", "shop_password", "--stdin", "--replace")
    said = any_shell("connections", "test", "shop_password")
    assert (said.code, "password" in said.out) == (2, True), said
    feed(any_shell, password(any_shell), "connections", "add", "shop_password", "--stdin", "--replace")
    assert any_shell("check", "shop").code == 0


def test_a_rotation_says_which_key_may_go_and_then_it_may(any_shell: Shell) -> None:
    stored(any_shell)
    file = any_shell.folder / "home" / "keys"
    old = file.read_text().splitlines()[-1].partition(":")[0]
    said = any_shell("connections", "rotate-key")
    assert said.code == 0, said
    assert "2 encrypted with key" in said.out
    assert f"key {old} is not used any more: it can be removed from {file}" in said.out
    file.write_text("".join(line for line in file.read_text().splitlines(keepends=True) if not line.startswith(old)))
    assert any_shell("run", "orders").code == 0


@pytest.mark.parametrize(
    ("value", "arguments", "says"),
    [
        ("", ["add", "a", "--stdin"], "is empty"),
        ("\n", ["add", "a", "--stdin"], "is empty"),
        (b"\xff\xfe", ["add", "a", "--stdin"], "not text in UTF-8"),
        ("x" * 65537, ["add", "a", "--stdin"], "more than 65536"),
        ("secret", ["add", "a"], "give --stdin"),
        ("", ["add", "a", "canary-value"], "never taken from an argument"),
        ("", ["add", "a", "--stdin", "canary-value", "--replace"], "never taken from an argument"),
        ("", ["add", "canary-value", "--stdin"], "this is no name"),
        ("canary-value", ["add", "a", "--stdin", "--dsn"], "percent-encoded"),
        ("", ["test", "a"], "connections add a"),
        ("", ["remove", "a"], "connections add a"),
        ("", ["rotate-key"], "nothing is stored yet"),
    ],
)
def test_wrong_use_says_what_to_do_and_stores_nothing(
    shell: Shell, value: str | bytes, arguments: list[str], says: str
) -> None:
    said = feed(shell, value, "connections", *arguments)
    assert said.code == 2, said
    assert says in said.err
    assert "canary-value" not in said.all
    assert "nothing is stored yet" in shell("connections", "list").out
    assert not (shell.folder / "home" / "keys").exists()


def test_a_name_is_not_overwritten_by_accident(shell: Shell) -> None:
    feed(shell, "one", "connections", "add", "a", "--stdin")
    said = feed(shell, "two", "connections", "add", "a", "--stdin")
    assert (said.code, "--replace" in said.err) == (2, True)


def test_remove_forgets_and_names_who_still_wants_it(shell: Shell) -> None:
    stored(shell)
    said = shell("connections", "remove", "shop_password")
    assert (said.code, "still uses it: shop" in said.out) == (0, True), said
    said = shell("check", "shop")
    assert (said.code, "store:shop_password: nothing is stored under this name" in said.out) == (2, True), said


def test_a_missing_key_is_told_by_check_and_by_a_run(shell: Shell) -> None:
    stored(shell)
    file = shell.folder / "home" / "keys"
    key = file.read_text().splitlines()[-1].partition(":")[0]
    file.rename(file.with_name("copy"))
    for command in (["check", "shop"], ["run", "orders"], ["connections", "test", "app"]):
        said = shell(*command)
        assert (said.code, f"encrypted with key {key}, which is not in {file}" in said.all) == (2, True), said
    assert shell("connections", "list").code == 0


TYPED = "p@ss/w#rd%'\" x密"
_TERMINAL = """
import os, sys
os.setsid()
line = os.open(sys.argv[1], os.O_RDWR)  # the first terminal that a new session opens becomes its own
for place in (0, 1, 2): os.dup2(line, place)
os.execv(sys.executable, [sys.executable, "-X", "utf8", "-m", "sync_assets.cli", *sys.argv[2:]])
"""


def on_terminal(shell: Shell, typed: str, *arguments: str) -> tuple[int, str]:
    """The command on a terminal where `typed` is typed as soon as it asks; its exit code and all that was shown."""
    ours, theirs = os.openpty()
    child = subprocess.Popen(
        [sys.executable, "-c", _TERMINAL, os.ttyname(theirs), *arguments],
        cwd=shell.folder,
        env={**_bare(), **shell.environment},
    )
    shown, sent, deadline = b"", False, time.monotonic() + 60
    try:
        while time.monotonic() < deadline and (child.poll() is None or select.select([ours], [], [], 0.2)[0]):
            if select.select([ours], [], [], 0.2)[0]:
                shown += os.read(ours, 4096)
            if not sent and b"value:" in shown:
                os.write(ours, typed.encode() + b"\n")
                sent = True
        return child.wait(timeout=10), shown.decode(errors="replace")
    finally:
        child.kill()
        child.wait()
        os.close(ours)
        os.close(theirs)


def test_the_prompt_does_not_show_what_is_typed(shell: Shell, control_database: Address) -> None:
    code, shown = on_terminal(shell, TYPED, "connections", "add", "typed")
    assert code == 0, shown
    assert "stored: store:typed" in shown
    assert TYPED not in shown and "w#rd" not in shown
    shell.shop.execute(*ORDERS)
    with psycopg.connect(**control_database.arguments()) as connection:
        assert connection.execute("select count(*) from sync_assets.secret").fetchone() == (1,)
    shell.write(sync(shell), app_secret="store:typed")
    said = shell("connections", "test", "typed")
    assert "opens with its key" in said.out
