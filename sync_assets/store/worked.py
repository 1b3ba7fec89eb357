"""Sessions: what was asked for in one go, by whom, and how each of its parts came out. Read from the history of runs.

Nothing is kept a second time: a session is the lines of one run, so it cannot say something else than they do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sync_assets.store.session import Sessions
from sync_assets.store.sql import read_named

_SQL = read_named(Path(__file__).with_name("worked.sql"))


@dataclass(frozen=True, slots=True)
class WorkSession:
    """One run over one sync, replica or part of a fleet. `state` is ``running``, ``finished``, ``partial``, ``failed``
    or ``lost`` (its process died); `items` is the sum of those that are running and of the three numbers."""

    started_at: datetime | None
    finished_at: datetime | None
    work: str
    run_id: str
    asked_by: str
    state: str
    items: int
    finished: int
    failed: int
    lost: int


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One instance, period or partition of a session."""

    work: str
    item: str
    run_id: str
    outcome: str
    asked_by: str
    started_at: datetime | None
    finished_at: datetime | None
    report: Mapping[str, object]


def work_sessions(sessions: Sessions, limit: int = 20) -> list[WorkSession]:
    """The newest sessions. Raises `Retry` when the control database cannot be reached."""
    rows = sessions.run(lambda cursor: cursor.execute(_SQL["sessions"], {"limit": limit}).fetchall())
    return [WorkSession(*row) for row in rows]


def work_items(sessions: Sessions, run: str, limit: int = 1000) -> list[WorkItem]:
    """The items of the sessions whose run id begins with `run`, what needs a look first."""
    asked = {"run_id": run, "limit": limit}
    rows = sessions.run(lambda cursor: cursor.execute(_SQL["items"], asked).fetchall())
    return [WorkItem(*row) for row in rows]
