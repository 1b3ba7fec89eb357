"""Which caller speaks for which installation (`X-Sync-Origin`): the first that writes in its name, and then no other.

Ids of an installation mean what it says they mean, so whoever could speak in its name could change what came from it.
A holder is written as in audit rows, `key:NAME` or `user:NAME`. Must not know HTTP.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from sync_assets.engine.errors import Stop
from sync_assets.store.control import storable
from sync_assets.store.gateway.audit import Act, note
from sync_assets.store.session import Cursor, Sessions
from sync_assets.store.sql import read_named

_SQL = read_named(Path(__file__).with_name("origins.sql"))
_Row = tuple[str, str, bool]  # origin, holder, whether the holder counts


class Voice(StrEnum):
    """`BOUND`: the holder speaks for the installation. `FREE`: nobody who counts does. `TAKEN`: another holder does.
    `OTHER`: the holder speaks for another installation."""

    BOUND = "bound"
    FREE = "free"
    TAKEN = "taken"
    OTHER = "other"


class Origins:
    """Raises `Retry` when the control database cannot be reached."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def voice(self, origin: str, holder: str) -> Voice:
        """How the holder stands to the installation now. Changes nothing."""
        return self._sessions.run(lambda cursor: _voice(_held(cursor, origin, holder), origin, holder))

    def bind(self, cursor: Cursor, origin: str, holder: str) -> Voice | None:
        """The last act of the transaction that changes something in the name of the installation: binds it where it is
        free. Of several at once one is the first. None where the transaction has changed nothing."""
        if cursor.execute(_SQL["wrote"]).fetchone() is None:
            return None
        cursor.execute(_SQL["one_at_a_time"])
        held = _held(cursor, origin, holder)
        voice = _voice(held, origin, holder)
        if voice is not Voice.FREE:
            return voice
        cursor.execute(_SQL["bind"], {"origin": origin, "holder": storable(holder)})
        before = [former for _, former, _ in held]
        note(cursor, Act(holder, "origins.bind", origin, detail={"before": before[0]} if before else {}))
        return Voice.BOUND

    def release(self, holder: str, *, by: str = "") -> str:
        """Forget for which installation the holder speaks; that is returned. Raises `Stop` where it is none."""

        def work(cursor: Cursor) -> str:
            row = cursor.execute(_SQL["release"], {"holder": storable(holder)}).fetchone()
            if row is None:
                raise Stop(f"{holder} speaks for no installation", hint="sync-assets keys list", code="unknown_key")
            note(cursor, Act(by, "origins.release", holder, detail={"origin": row[0]}))
            return str(row[0])

        return self._sessions.run(work)


def _held(cursor: Cursor, origin: str, holder: str) -> list[_Row]:
    rows = cursor.execute(_SQL["held"], {"origin": origin, "holder": storable(holder)}).fetchall()
    return [(str(o), str(h), bool(counts)) for o, h, counts in rows]


def _voice(held: list[_Row], origin: str, holder: str) -> Voice:
    own = [bound for bound, by, _ in held if by == storable(holder)]
    if own:
        return Voice.BOUND if own == [origin] else Voice.OTHER
    return Voice.TAKEN if any(counts for _, _, counts in held) else Voice.FREE
