"""Audit rows: who changed what through the gateway. They are added, never changed (a trigger of the table).

`note` writes in the transaction of the change itself, so that neither is without the other. `Begun` does that for a
whole call, whatever it changes: a row `begun` with the first change, and one of the outcome later.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from sync_assets.engine.errors import Retry
from sync_assets.store.control import storable
from sync_assets.store.session import Cursor
from sync_assets.store.sql import read_named

SQL = read_named(Path(__file__).with_name("gateway.sql"))
_AFTER = 60.0  # seconds: a person has to look


@dataclass(frozen=True, slots=True)
class Act:
    """One row. `action` is a word (`keys.create`), `thing` what was acted on; no secret and no text of a document.
    `ends`: the number of the row `begun` whose outcome this is."""

    who: str
    action: str
    thing: str = ""
    outcome: str = "done"
    request_id: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)
    ends: int | None = None


@dataclass(slots=True)
class Begun:
    """A `session.Witness` of one call: the first transaction that writes anything takes the call's row along.

    A transaction whose row cannot be written is undone (`Retry`, code ``audit``).
    """

    act: Callable[[], Act]  # asked when it is needed: what is called is known late
    number: int | None = None  # of its row, once that is there for good
    ended: bool = False  # its outcome has been told
    _next: int | None = None

    def sign(self, cursor: Cursor) -> None:
        if self.number is not None:
            return
        with _told():
            row = cursor.execute(SQL["audit_begun"], _values(self.act())).fetchone()
        self._next = None if row is None else int(row[0])

    def signed(self) -> None:
        self.number = self.number or self._next


def note(cursor: Cursor, act: Act) -> None:
    """Write the row in the caller's transaction. Raises `Retry` (code ``audit``) where the table does not take it."""
    with _told():
        cursor.execute(SQL["audit"], _values(act))


@contextmanager
def _told() -> Iterator[None]:
    """Of errors those that the session does not know: what a trigger of somebody says."""
    try:
        yield
    except (psycopg.OperationalError, psycopg.InterfaceError, psycopg.errors.InsufficientPrivilege):
        raise
    except psycopg.Error as error:
        raise Retry(
            f"nothing was changed, because no audit row can be written ({type(error).__name__})",
            after=_AFTER,
            hint="see what keeps rows out of sync_assets.gateway_audit",
            code="audit",
        ) from None


def _values(act: Act) -> dict[str, object]:
    return {
        "who": storable(act.who),
        "action": storable(act.action),
        "object": storable(act.thing),
        "outcome": storable(act.outcome),
        "request_id": storable(act.request_id),
        "detail": json.dumps(dict(act.detail), default=str).replace("\\u0000", "\\u2400"),
        "ends": act.ends,
    }
