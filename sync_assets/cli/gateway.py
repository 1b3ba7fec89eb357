"""`sync-assets serve`, and who may call it: `keys` and `users`. What they do is in `gateway.serve` and `store.gateway`.

A key or a password is never an argument: a key is made here and shown once, a password is asked for or read from
standard input.
"""

from __future__ import annotations

import getpass
import sys
from pathlib import Path

import click

_SCOPES = "read, write or clear, alone or with :ID of a repository; metrics; admin. May be given several times."
_DAY = 86400


@click.command(short_help="Start the HTTP gateway.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8420, show_default=True, help="0: a free one.")
@click.option("--cert", type=click.Path(path_type=Path), help="Certificate chain in PEM: HTTPS.")
@click.option("--cert-key", type=click.Path(path_type=Path), help="Its private key in PEM.")
@click.option("--proxy", "proxies", multiple=True, help="Address of a proxy whose X-Forwarded headers are believed.")
@click.option("--insecure", is_flag=True, help="Plain HTTP beyond this machine, where others can read the keys.")
@click.option("--signed-only", is_flag=True, help="Take calls that are signed with a key, and no key itself.")
def serve(
    host: str,
    port: int,
    cert: Path | None,
    cert_key: Path | None,
    proxies: tuple[str, ...],
    insecure: bool,
    signed_only: bool,
) -> int:
    """Start the HTTP gateway of this installation; other installations and people call it with keys and logins."""
    from sync_assets.gateway.serve import serve as run
    from sync_assets.gateway.settings import Settings

    run(Settings(host, port, cert, cert_key, proxies, insecure, signed_only=signed_only))
    return 0


@click.group(short_help="API keys of the gateway.")
def keys() -> None:
    """API keys of the gateway: how other installations and programs call it."""


@keys.command("create")
@click.argument("name")
@click.option("--scope", "-s", "scopes", multiple=True, required=True, help=_SCOPES)
@click.option("--days", type=click.FloatRange(0, min_open=True), default=365, show_default=True, help="It counts.")
@click.option("--forever", is_flag=True, help="It counts until it is revoked.")
def create_key(name: str, scopes: tuple[str, ...], days: float, forever: bool) -> int:
    """Make a key for NAME and show it, this once. An installation that uses it is known by NAME."""
    from sync_assets.store.control import open_store
    from sync_assets.store.gateway.keys import Keys

    with open_store() as store:
        made = Keys(store.sessions).create(name, scopes, seconds=None if forever else days * _DAY, by=_me())
    print(made.reveal())
    sys.stderr.write("  -> keep it now: it is stored as a digest and cannot be shown again\n")
    return 0


@keys.command("list")
def list_keys() -> int:
    """List the keys: names, scopes, dates, and for which installation each speaks; never a key."""
    from sync_assets.cli import clock, show
    from sync_assets.store.control import open_store
    from sync_assets.store.gateway.keys import Keys

    with open_store() as store:
        entries = Keys(store.sessions).entries()
    if not entries:
        print("there are no keys yet: sync-assets keys create NAME --scope read")
        return 0
    rows = [
        [
            e.key_id,
            e.name,
            " ".join(e.scopes),
            *map(clock.told, (e.created_at, e.expires_at, e.revoked_at, e.last_used_at)),
            e.origin or "",
        ]
        for e in entries
    ]
    show.table(["id", "name", "scopes", clock.named("created"), "expires", "revoked", "last used", "speaks for"], rows)
    return 0


@keys.command("revoke")
@click.argument("key_id", metavar="ID")
def revoke_key(key_id: str) -> int:
    """End a key, from its next call on. ID is as `list` shows it."""
    from sync_assets.store.control import open_store
    from sync_assets.store.gateway.keys import Keys

    with open_store() as store:
        name = Keys(store.sessions).revoke(key_id, by=_me())
    print(f"revoked: {key_id} ({name})")
    return 0


@keys.command("release")
@click.argument("name")
def release_key(name: str) -> int:
    """Forget for which installation the key NAME speaks: it is bound anew to the next in whose name it writes."""
    from sync_assets.store.control import open_store
    from sync_assets.store.gateway.origins import Origins

    with open_store() as store:
        origin = Origins(store.sessions).release(f"key:{name}", by=_me())
    print(f"released: {name} ({origin})")
    return 0


@click.group(short_help="People who log in to the gateway.")
def users() -> None:
    """People who log in to the gateway with name and password."""


@users.command("add")
@click.argument("name")
@click.option("--scope", "-s", "scopes", multiple=True, required=True, help=_SCOPES)
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the password from standard input.")
def add_user(name: str, scopes: tuple[str, ...], from_stdin: bool) -> int:
    """Let NAME log in. Asks for the password without showing it."""
    from sync_assets.store.control import open_store
    from sync_assets.store.gateway.users import Users

    password = _password(from_stdin)
    with open_store() as store:
        Users(store.sessions).add(name, password, scopes, by=_me())
    print(f"added: {name}")
    return 0


@users.command("list")
def list_users() -> int:
    """List the users: names, scopes and dates."""
    from sync_assets.cli import clock, show
    from sync_assets.store.control import open_store
    from sync_assets.store.gateway.users import Users

    with open_store() as store:
        entries = Users(store.sessions).entries()
    if not entries:
        print("there are no users yet: sync-assets users add NAME --scope read")
        return 0
    rows = [[e.name, " ".join(e.scopes), clock.told(e.created_at), clock.told(e.disabled_at)] for e in entries]
    show.table(["name", "scopes", clock.named("created"), "disabled"], rows)
    return 0


@users.command("disable")
@click.argument("name")
def disable_user(name: str) -> int:
    """Lock NAME out at once. A new password lets the user in again."""
    from sync_assets.store.control import open_store
    from sync_assets.store.gateway.users import Users

    with open_store() as store:
        Users(store.sessions).disable(name, by=_me())
    print(f"disabled: {name}")
    return 0


@users.command("password")
@click.argument("name")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the password from standard input.")
def set_password(name: str, from_stdin: bool) -> int:
    """Give NAME a new password; ends all logins of NAME."""
    from sync_assets.store.control import open_store
    from sync_assets.store.gateway.users import Users

    password = _password(from_stdin)
    with open_store() as store:
        Users(store.sessions).set_password(name, password, by=_me())
    print(f"changed: {name}")
    return 0


def _password(from_stdin: bool) -> str:
    """From a prompt, typed twice, or from standard input without its last newline. Raises `Stop`."""
    from sync_assets.engine.errors import Stop
    from sync_assets.store.redaction import remember

    if not from_stdin and not sys.stdin.isatty():
        hint = "give --stdin, and the password on it"
        raise Stop("there is no terminal to ask for the password", hint=hint, code="stdin")
    if from_stdin:
        value = sys.stdin.readline().removesuffix("\n").removesuffix("\r")
    else:
        value = str(click.prompt("password", hide_input=True, confirmation_prompt=True))
    remember(value)
    return value


def _me() -> str:
    """Who works at this terminal, for the audit rows."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a user without a name, in a container
        return "cli"
