"""Single looks at a fleet's instances: how the parts of one came out, and which was the first.

Must not know what was seen; that is `history`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from sync_assets.fleet.model import SectionKey, SectionName, Sections, SectionState, Status
from sync_assets.store.session import Sessions
from sync_assets.store.sql import read_named

_SQL = read_named(Path(__file__).with_name("looks.sql"))


def sections(sessions: Sessions, snapshot: int) -> Sections:
    """The sections of a look, by its number; empty for one that is not there. Raises `Retry`."""
    rows = sessions.run(lambda cursor: cursor.execute(_SQL["sections"], {"snapshot": snapshot}).fetchall())
    return {
        SectionKey(SectionName(name), part): SectionState(Status(status), reason, count)
        for name, part, status, reason, count in rows
    }


def first_looks(sessions: Sessions, fleet: str) -> Mapping[str, datetime]:
    """When the accounts of each instance were published for the first time. Raises `Retry`."""
    return dict(sessions.run(lambda cursor: cursor.execute(_SQL["first_looks"], {"fleet": fleet}).fetchall()))
