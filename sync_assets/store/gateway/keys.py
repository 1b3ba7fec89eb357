"""API keys: `sak_<id>_<secret>`. The id is shown and looked up, the secret has 256 random bits and is kept as sha256.

A plain digest is enough for random secrets: there is nothing to guess from. Kept besides is the public half, which
proves calls signed with the key: who steals the table can neither show a key nor sign a call. Must not know HTTP.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sync_assets.engine.errors import Stop
from sync_assets.exchange import signing
from sync_assets.store.control import storable
from sync_assets.store.gateway.audit import SQL, Act, note
from sync_assets.store.gateway.scopes import checked
from sync_assets.store.secrets import Secret
from sync_assets.store.session import Cursor, Sessions


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """What may be seen of a key."""

    key_id: str
    name: str
    scopes: tuple[str, ...]
    created_at: datetime
    created_by: str
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None
    origin: str | None = None  # the installation that it speaks for


class Keys:
    """Every method is one transaction. Raises `Retry` when the control database cannot be reached."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def create(self, name: str, scopes: Iterable[str], *, seconds: float | None = None, by: str = "") -> Secret:
        """A new key; this is the only time that it can be seen. `seconds` until it expires, None: never.

        Raises `Stop` for a name that a valid key has: peers are known by the names of their keys.
        """
        key_id, secret, granted = secrets.token_hex(6), secrets.token_urlsafe(32), checked(scopes)
        key = f"sak_{key_id}_{secret}"
        values = {
            "key_id": key_id, "name": storable(name), "digest": _digest(key), "verifier": signing.verifier(key),
            "seconds": seconds, "by": by,
        }  # fmt: skip

        def add(cursor: Cursor) -> None:
            if not name or cursor.execute(SQL["name_taken"], values).fetchone():
                raise Stop(f"there is a key {name!r} already", hint="revoke it, or take another name", code="key_name")
            cursor.execute(SQL["add_key"], {**values, "scopes": json.dumps(granted)})
            note(cursor, Act(by, "keys.create", key_id, detail={"name": name, "scopes": granted}))

        self._sessions.run(add)
        return Secret(key)

    def find(self, key: str) -> tuple[str, tuple[str, ...]] | None:
        """Name and scopes of a key that counts now."""
        parts = signing.API_KEY.fullmatch(key)
        if parts is None:
            return None
        values = {"key_id": parts[1]}

        def look(cursor: Cursor) -> tuple[str, tuple[str, ...]] | None:
            row = cursor.execute(SQL["key_of"], values).fetchone()
            if row is None or not hmac.compare_digest(bytes(row[3]), _digest(key)):
                return None
            if row[4]:
                cursor.execute(SQL["key_used"], values)
            return row[1], tuple(row[2])

        return self._sessions.run(look)

    def entries(self) -> Sequence[KeyEntry]:
        rows = self._sessions.run(lambda cursor: cursor.execute(SQL["keys"]).fetchall())
        return [KeyEntry(key_id, name, tuple(scopes), *rest) for key_id, name, scopes, *rest in rows]

    def revoke(self, key_id: str, *, by: str = "") -> str:
        """End a key by its id; its name is returned. Raises `Stop` where no such key counts."""

        def end(cursor: Cursor) -> str:
            row = cursor.execute(SQL["revoke_key"], {"key_id": key_id}).fetchone()
            if row is None:
                raise Stop("no such key, or revoked before", hint="sync-assets keys list", code="unknown_key")
            note(cursor, Act(by, "keys.revoke", key_id, detail={"name": row[0]}))
            return str(row[0])

        return self._sessions.run(end)


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
