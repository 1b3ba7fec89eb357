"""`sync-assets connections`: secrets and whole addresses that are stored encrypted in the control database.

A value comes from a prompt that does not show it, or from standard input; never from an argument, which other users of
the machine can see. Nothing here prints one. Must not know how a value is encrypted.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sync_assets.engine.model import Finding
    from sync_assets.project.deployment import Project
    from sync_assets.store.vault import Kind

_LONGEST = 65536  # characters; a certificate fits
_NAME = r"[A-Za-z_][A-Za-z0-9_]*"  # as in the YAML


@click.group(short_help="Secrets and addresses, stored encrypted.")
def connections() -> None:
    """Secrets and whole addresses, stored encrypted in the control database; in the YAML they are store:NAME."""


@connections.command(context_settings={"allow_extra_args": True})
@click.argument("name")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the value from standard input.")
@click.option("--dsn", is_flag=True, help="The value is a whole address: mysql://... or postgres://...")
@click.option("--replace", is_flag=True, help="A new value for a name that is stored already.")
@click.pass_context
def add(context: click.Context, name: str, from_stdin: bool, dsn: bool, replace: bool) -> int:
    """Store a password, an app secret, a webhook, or with --dsn a whole address. Asks for it without showing it."""
    from sync_assets.store.vault import open_vault

    _check_words(name, context.args)
    value = _read(from_stdin, "address" if dsn else "value")
    kind: Kind = _kind(value) if dsn else "secret"
    with open_vault() as vault:
        made = vault.put(name, kind, value.strip() if dsn else value, replace=replace)
    print(f"stored: {'dsn: ' if dsn else ''}store:{name}")
    if made is not None:
        print(f"  a key was made: {made}")
        print(
            "  -> copy this file to a safe place, apart from dumps of the database: without it what is stored is lost"
        )
    return 0


@connections.command("list")
def list_stored() -> int:
    """List what is stored: names, kinds, keys and dates; never a value."""
    from sync_assets.cli import clock, show
    from sync_assets.store.vault import open_vault

    with open_vault() as vault:
        entries = vault.entries()
    if not entries:
        print("nothing is stored yet: sync-assets connections add NAME")
        return 0
    rows = [[e.name, e.kind, e.key_id, str(e.version), *map(clock.told, (e.added_at, e.changed_at))] for e in entries]
    show.table(["name", "kind", "key", "version", clock.named("added"), "changed"], rows)
    return 0


@connections.command()
@click.argument("name")
def test(name: str) -> int:
    """Open what is stored, and try the connections that use it; an address that none uses is tried by itself."""
    from sync_assets.cli import exits, show
    from sync_assets.cli.work import project
    from sync_assets.engine.model import Finding
    from sync_assets.project.check import check_connection
    from sync_assets.store.vault import open_vault

    with open_vault() as vault:
        value = vault.open(name)
        kind = next((e.kind for e in vault.entries() if e.name == name), "secret")
    good = show.findings(f"store:{name}", [Finding(True, f"opens with its key; kind {kind}")])
    found = project()
    users = _users(found, name)
    for user in users:
        good &= show.findings(user, check_connection(found, user))
    if not users and kind == "secret":
        print("no connection of the project uses it")
    elif not users:
        good &= show.findings(f"dsn: store:{name}", _tried(name, value.reveal()))
    return exits.OK if good else exits.STOP


@connections.command("rotate-key")
def rotate_key() -> int:
    """Make a new key, encrypt everything with it, and prove that the old one is not used any more."""
    from sync_assets.store.vault import open_vault

    with open_vault() as vault:
        done = vault.rotate()
    print(f"{done.resealed} encrypted with key {done.key_id}; each was read back with that key alone")
    for old in done.unused:
        print(f"  key {old} is not used any more: it can be removed from {done.place}")
    print("  -> copy the new key to a safe place; keep old ones for as long as you keep dumps from before")
    return 0


@connections.command()
@click.argument("name")
def remove(name: str) -> int:
    """Forget what is stored under this name. Needs no key."""
    from sync_assets.cli.work import project
    from sync_assets.engine.errors import Stop
    from sync_assets.store.vault import open_vault

    with open_vault() as vault:
        vault.remove(name)
    print(f"removed: {name}")
    try:
        users = _users(project(), name)
    except Stop:  # the YAML is wrong: that is told by every other command
        users = []
    if users:
        print(f"  -> the project still uses it: {', '.join(users)}")
    return 0


# -- values -----------------------------------------------------------------------------------------------------


def _check_words(name: str, more: Sequence[str]) -> None:
    """What stands where it does not belong may be the value: it is not quoted."""
    import re

    from sync_assets.engine.errors import Stop

    if more:
        hint = "give the name alone, and change a secret that stood there: it is in the history of the shell"
        raise Stop("a value is never taken from an argument", hint=hint, code="argument")
    if not re.fullmatch(_NAME, name) or len(name) > 100:
        raise Stop("this is no name", hint="letters, digits and _; the value is asked for afterwards", code="name")


def _read(from_stdin: bool, what: str) -> str:
    """The value, from standard input to its end without the last newline, or from a prompt. Raises `Stop`."""
    from sync_assets.engine.errors import Stop
    from sync_assets.store.redaction import remember

    if not from_stdin and not sys.stdin.isatty():
        raise Stop("there is no terminal to ask for the value", hint="give --stdin, and the value on it", code="stdin")
    try:
        value = _piped() if from_stdin else str(click.prompt(what, hide_input=True))
        value.encode()
    except UnicodeError:
        raise Stop("the value is not text in UTF-8", hint="encode it, in base64 for example", code="stdin") from None
    remember(value)
    if not value or len(value) > _LONGEST:
        trouble = "is empty" if not value else f"has more than {_LONGEST} characters"
        raise Stop(f"the value {trouble}", hint="give the secret alone", code="stdin")
    return value


def _piped() -> str:
    raw = sys.stdin.buffer.read(4 * _LONGEST + 2)
    return raw.decode().removesuffix("\n").removesuffix("\r")


def _kind(value: str) -> Kind:
    from sync_assets.project.dsn import parse

    return parse(value).type


def _users(found: Project, name: str) -> list[str]:
    """Connections of the project that refer to it."""
    ref = f"store:{name}"
    return [user for user, spec in sorted(found.connections.items()) if ref in spec.model_dump().values()]


def _tried(name: str, value: str) -> list[Finding]:
    """What a login with the address finds."""
    from sync_assets.databases.base import open_database
    from sync_assets.engine.errors import SyncError
    from sync_assets.engine.model import Finding
    from sync_assets.project.connect import args_of
    from sync_assets.project.dsn import parse

    address = parse(value, f"the stored {name}")
    password = address.password
    database = open_database(address.type, args_of(address, name, password.reveal if password else str))
    try:
        return list(database.check())
    except SyncError as error:
        return [Finding(False, error.message, error.hint)]
    finally:
        database.close()
