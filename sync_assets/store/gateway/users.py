"""Users of the gateway and their logins. A login is a family of refresh tokens, each used once for the next one.

One that comes a second time was stolen or copied: its whole family ends. Tokens are kept as sha256 digests.
Must not know HTTP or the tokens of access.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sync_assets.engine.errors import Stop
from sync_assets.store.gateway import passwords
from sync_assets.store.gateway.audit import SQL, Act, note
from sync_assets.store.gateway.scopes import checked
from sync_assets.store.session import Cursor, Sessions

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,99}")


@dataclass(frozen=True, slots=True)
class UserEntry:
    """What may be seen of a user."""

    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Login:
    """A login that goes on: `family` names it, `refresh` continues it once."""

    name: str
    scopes: tuple[str, ...]
    family: str
    refresh: str = field(repr=False)


class Users:
    """Every method is one transaction. Raises `Retry` when the control database cannot be reached."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def add(self, name: str, password: str, scopes: Iterable[str], *, by: str = "") -> None:
        """Raises `Stop` for a name that is taken or none, a bad scope, a bad password."""
        if not _NAME.fullmatch(name):
            raise Stop("this is no name of a user", hint="letters, digits and _.@-, 100 at most", code="user_name")
        granted = checked(scopes)
        values = {"name": name, "digest": passwords.digest(password), "scopes": json.dumps(granted)}

        def work(cursor: Cursor) -> None:
            if cursor.execute(SQL["add_user"], values).fetchone() is None:
                raise Stop(f"there is a user {name} already", hint="sync-assets users list", code="user_name")
            note(cursor, Act(by, "users.add", name, detail={"scopes": granted}))

        self._sessions.run(work)

    def entries(self) -> Sequence[UserEntry]:
        rows = self._sessions.run(lambda cursor: cursor.execute(SQL["users"]).fetchall())
        return [UserEntry(name, tuple(scopes), *times) for name, scopes, *times in rows]

    def disable(self, name: str, *, by: str = "") -> None:
        """From now on neither password nor any login counts. Raises `Stop` for one that is not there."""
        self._change("disable_user", "users.disable", {"name": name}, by)

    def set_password(self, name: str, password: str, *, by: str = "") -> None:
        """Ends all logins. Raises `Stop`."""
        self._change("set_password", "users.password", {"name": name, "digest": passwords.digest(password)}, by)

    def _change(self, statement: str, action: str, values: dict[str, str], by: str) -> None:
        def work(cursor: Cursor) -> None:
            if cursor.execute(SQL[statement], values).fetchone() is None:
                raise Stop("no such user, or disabled before", hint="sync-assets users list", code="unknown_user")
            cursor.execute(SQL["end_all"], values)
            note(cursor, Act(by, action, values["name"]))

        self._sessions.run(work)

    # -- logins

    def login(self, name: str, password: str, seconds: int, request_id: str = "") -> Login | None:
        """Begin a login of `seconds`; None for a wrong password as for a name that nobody has, after the same time."""
        known = self._sessions.run(lambda cursor: cursor.execute(SQL["user"], {"name": _plain(name)}).fetchone())
        good = passwords.matches(password, known[0] if known else None)
        if known is None or not good:
            act = Act(_plain(name) if known else "(unknown)", "auth.login", outcome="refused", request_id=request_id)
            self._sessions.run(lambda cursor: note(cursor, act))
            return None
        login = Login(name, tuple(known[1]), secrets.token_hex(16), secrets.token_urlsafe(32))

        def begin(cursor: Cursor) -> None:
            cursor.execute(SQL["forget_old"])
            _keep(cursor, login, seconds)
            note(cursor, Act(name, "auth.login", login.family, request_id=request_id))

        self._sessions.run(begin)
        return login

    def refresh(self, token: str, seconds: int, request_id: str = "") -> Login | None:
        """Go on with a login; None where it has ended. A token that was used before ends it."""
        values = {"digest": _digest(token)}

        def turn(cursor: Cursor) -> Login | None:
            row = cursor.execute(SQL["refresh"], values).fetchone()
            if row is None:
                return None
            family, name, used, scopes, good = row
            if used and good:
                cursor.execute(SQL["end_family"], {"family": family})
                note(cursor, Act(name, "auth.reuse", family, outcome="ended", request_id=request_id))
            if used or not good:
                return None
            login = Login(name, tuple(scopes), family, secrets.token_urlsafe(32))
            cursor.execute(SQL["use_refresh"], values)
            _keep(cursor, login, seconds)
            note(cursor, Act(name, "auth.refresh", family, request_id=request_id))
            return login

        return self._sessions.run(turn)

    def logout(self, token: str, request_id: str = "") -> None:
        """End the login that the refresh token belongs to, if there is one."""

        def end(cursor: Cursor) -> None:
            row = cursor.execute(SQL["refresh"], {"digest": _digest(token)}).fetchone()
            if row is not None and cursor.execute(SQL["end_family"], {"family": row[0]}).rowcount:
                note(cursor, Act(row[1], "auth.logout", row[0], request_id=request_id))

        self._sessions.run(end)

    def session(self, name: str, family: str) -> tuple[str, ...] | None:
        """Scopes of the user, while this login goes on."""
        values = {"name": _plain(name), "family": _plain(family)}
        row = self._sessions.run(lambda cursor: cursor.execute(SQL["session"], values).fetchone())
        return tuple(row[0]) if row else None


def _keep(cursor: Cursor, login: Login, seconds: int) -> None:
    values = {"digest": _digest(login.refresh), "family": login.family, "name": login.name, "seconds": seconds}
    cursor.execute(SQL["add_refresh"], values)


def _plain(text: str) -> str:
    """Never equal to a name when it is none."""
    return text if _NAME.fullmatch(text) else ""


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
