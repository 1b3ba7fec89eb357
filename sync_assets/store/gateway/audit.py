"""Audit rows: who changed what through the gateway. They are added, never changed (a trigger of the table).

`note` writes in the transaction of the change itself, so that neither is without the other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sync_assets.store.control import storable
from sync_assets.store.session import Cursor
from sync_assets.store.sql import read_named

SQL = read_named(Path(__file__).with_name("gateway.sql"))


@dataclass(frozen=True, slots=True)
class Act:
    """One row. `action` is a word (`keys.create`), `thing` what was acted on; no secret and no text of a document."""

    who: str
    action: str
    thing: str = ""
    outcome: str = "done"
    request_id: str = ""
    detail: Mapping[str, object] = field(default_factory=dict)


def note(cursor: Cursor, act: Act) -> None:
    """Write the row in the caller's transaction."""
    values = {
        "who": storable(act.who),
        "action": storable(act.action),
        "object": storable(act.thing),
        "outcome": storable(act.outcome),
        "request_id": storable(act.request_id),
        "detail": json.dumps(dict(act.detail), default=str).replace("\\u0000", "\\u2400"),
    }
    cursor.execute(SQL["audit"], values)
