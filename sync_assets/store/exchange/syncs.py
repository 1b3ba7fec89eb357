"""Syncs with other installations in the control database: what was asked, each unit's outcome, who works at it.

Implements `exchange.work.SyncStore`. One sync of a repository, direction and peer at a time is a unique index; whoever
takes a sync over raises its token, and writes under an older token are refused. Must not know HTTP or the library.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from sync_assets.engine.errors import Fenced, Stop
from sync_assets.engine.holder import is_gone
from sync_assets.exchange.model import Cleared, Id, Repository
from sync_assets.exchange.work import (
    AlreadyRunning,
    Direction,
    DocumentOutcome,
    Event,
    Order,
    Sight,
    SyncState,
    SyncStatus,
    Unit,
    UnitStatus,
)
from sync_assets.store.control import PostgresStore, storable
from sync_assets.store.exchange.library_values import row
from sync_assets.store.session import Cursor
from sync_assets.store.sql import read_named

_SQL = read_named(Path(__file__).with_name("syncs.sql"))
SILENCE = 300.0  # seconds after which a process of another machine that said nothing is taken for dead
_NOT_REACHED = "not reached: the sync ended before"
_LEFT = "its process ended; it was left for a new sync"


class PostgresSyncs:
    """Safe to share between threads. Raises `Retry`, `Unclear` and `Stop` of `store.session` besides."""

    def __init__(
        self, store: PostgresStore, *, gone: Callable[[str], bool] = is_gone, silence: float = SILENCE
    ) -> None:
        self._sessions, self._gone, self._silence = store.sessions, gone, silence
        self._tokens: dict[str, int] = {}  # of the syncs that this process works at

    # -- who works at it

    def start(self, order: Order, holder: str) -> SyncState:
        """A new sync. One of the same kind whose process is gone is ended as failed. Raises `AlreadyRunning`."""
        sync_id = uuid.uuid4().hex
        asked = _kind(order) | {
            "sync_id": sync_id, "asked_by": storable(order.asked_by), "holder": storable(holder),
            "asked": json.dumps({"document_ids": order.document_ids, "replace": order.replace,
                                 "confirm": order.confirm}),
        }  # fmt: skip
        self._tokens[sync_id] = self._sessions.run(lambda cursor: self._insert(cursor, asked))
        return self._known(sync_id)

    def _insert(self, cursor: Cursor, asked: Mapping[str, Any]) -> int:
        made = cursor.execute(_SQL["insert"], asked).fetchone()
        if made is None:
            self._make_way(cursor, asked)
            made = cursor.execute(_SQL["insert"], asked).fetchone()
        if made is None:  # another one was quicker
            going = cursor.execute(_SQL["going_on"], asked).fetchone()
            raise AlreadyRunning(going[0] if going else "", _where(asked))
        return int(made[0])

    def _make_way(self, cursor: Cursor, asked: Mapping[str, Any]) -> None:
        going = cursor.execute(_SQL["going_on"], asked).fetchone()
        if going is None:
            return
        if not self._is_left(going[1], going[2]):
            raise AlreadyRunning(going[0], _where(asked))
        taken = {"sync_id": going[0], "holder": asked["holder"]}
        cursor.execute(_SQL["take"], taken)
        _end(cursor, going[0], SyncStatus.FAILED, _LEFT, None)

    def resume(self, sync_id: str, holder: str) -> SyncState:
        asked = {"sync_id": sync_id, "holder": storable(holder)}
        self._tokens[sync_id] = self._sessions.run(lambda cursor: self._take(cursor, asked))
        return self._known(sync_id)

    def _take(self, cursor: Cursor, asked: Mapping[str, Any]) -> int:
        row = cursor.execute(_SQL["lock"], asked).fetchone()
        if row is None:
            raise _unknown(asked["sync_id"])
        kind = dict(zip(("direction", "peer", "repository_id"), row[:3], strict=True))
        if row[3] == SyncStatus.COMPLETED:
            raise Stop(f"{_where(kind)}: this sync is completed", hint="start a new one", code="completed")
        going = cursor.execute(_SQL["going_on"], kind).fetchone()
        if going is not None and (going[0] != asked["sync_id"] or not self._is_left(going[1], going[2])):
            raise AlreadyRunning(going[0], _where(kind))
        cursor.execute(_SQL["again"], asked)
        token = cursor.execute(_SQL["take"], asked).fetchone()
        return int(token[0]) if token else 0

    def abandoned(self) -> Sequence[str]:
        rows = self._rows("in_progress")
        return [sync_id for sync_id, holder, silent in rows if self._is_left(holder, silent)]

    def _is_left(self, holder: str, silent: float) -> bool:
        return self._gone(holder) or silent > self._silence

    # -- what becomes of it

    def plan(self, sync_id: str, repository: Repository, units: Sequence[Unit], total: int = 0) -> None:
        asked = {"sync_id": sync_id, "name": storable(repository.name), "total": total, "units": _json(units)}

        def keep(cursor: Cursor) -> None:
            cursor.execute(_SQL["plan"], asked)
            cursor.execute(_SQL["name"], asked)

        self._under_token(sync_id, keep)

    def at(self, sync_id: str, title: str) -> None:
        self._under_token(sync_id, lambda cursor: None, storable(title))

    def done(self, sync_id: str, units: Sequence[Unit]) -> None:
        asked = {"sync_id": sync_id, "units": _json(units)}

        def keep(cursor: Cursor) -> None:
            cursor.execute(_SQL["done"], asked)

        self._under_token(sync_id, keep)

    def finish(self, sync_id: str, status: SyncStatus, error: str = "", cleared: Cleared | None = None) -> SyncState:
        self._under_token(sync_id, lambda cursor: _end(cursor, sync_id, status, error, cleared))
        self._tokens.pop(sync_id, None)
        return self._known(sync_id)

    def _under_token(self, sync_id: str, work: Callable[[Cursor], None], current: str | None = None) -> None:
        """In one transaction with the check that no other process works at it now."""
        mine = {"sync_id": sync_id, "token": self._tokens.get(sync_id, 0), "current": current}

        def guarded(cursor: Cursor) -> None:
            if cursor.execute(_SQL["renew"], mine).fetchone() is None:
                raise Fenced(
                    f"the sync {sync_id} is in other hands now",
                    hint="nothing to do: whoever took it over goes on; this one has stopped",
                    code="fenced",
                )
            work(cursor)

        self._sessions.run(guarded)

    # -- what is known

    def state(self, sync_id: str) -> SyncState | None:
        found = self._states(sync_id=sync_id)
        return found[0] if found else None

    def units(self, sync_id: str) -> Sequence[Unit]:
        return [_unit(row) for row in self._rows("units", sync_id=sync_id)]

    def recent(
        self,
        *,
        repository_id: Id | None = None,
        direction: Direction | None = None,
        peer: str | None = None,
        sight: Sight | None = None,
        limit: int = 50,
    ) -> Sequence[SyncState]:
        return self._states(repository_id=repository_id, direction=direction, peer=peer, limit=limit, **_seen(sight))

    def events(
        self,
        *,
        repository_id: Id | None = None,
        direction: Direction | None = None,
        sight: Sight | None = None,
        limit: int = 50,
    ) -> Sequence[Event]:
        rows = self._rows("events", repository_id=repository_id, direction=direction, limit=limit, **_seen(sight))
        return [Event(r[0], Direction(r[1]), r[2], r[3], r[4], r[5], UnitStatus(r[6]), r[7], r[8]) for r in rows]

    def targets(self, limit: int = 20) -> Sequence[tuple[str, datetime]]:
        """Peers that there was a sync with, and when the latest began; the newest first."""
        return [(row[0], row[1]) for row in self._rows("targets", limit=limit)]

    def deployment_id(self) -> str:
        """How this installation calls itself to others (`X-Sync-Origin`)."""
        return str(self._rows("deployment")[0][0])

    def _known(self, sync_id: str) -> SyncState:
        state = self.state(sync_id)
        if state is None:
            raise _unknown(sync_id)
        return state

    def _states(self, **asked: Any) -> list[SyncState]:
        every: dict[str, Any] = {"sync_id": None, "repository_id": None, "direction": None, "peer": None, "limit": 1}
        every |= _seen(None)
        return [_state(row) for row in self._rows("states", **(every | asked))]

    def _rows(self, name: str, **asked: Any) -> list[tuple[Any, ...]]:
        return self._sessions.run(lambda cursor: cursor.execute(_SQL[name], asked).fetchall())


def _kind(order: Order) -> dict[str, Any]:
    return {"direction": str(order.direction), "peer": order.peer, "repository_id": order.repository_id}


def _seen(sight: Sight | None) -> dict[str, Any]:
    if sight is None:
        return {"everything": True, "asker": "", "repositories": []}
    return {"everything": False, "asker": storable(sight.asker), "repositories": sorted(sight.repositories)}


def _where(kind: Mapping[str, Any]) -> str:
    return f"{kind['direction']} of repository {kind['repository_id']} with {kind['peer']}"


def _unknown(sync_id: str) -> Stop:
    return Stop(f"there is no sync {sync_id[:64]}", hint="see the history of syncs", code="unknown_sync")


def _end(cursor: Cursor, sync_id: str, status: SyncStatus, error: str, cleared: Cleared | None) -> None:
    kept = None if cleared is None else json.dumps(asdict(cleared))
    cursor.execute(_SQL["not_reached"], {"sync_id": sync_id, "error": _NOT_REACHED})
    cursor.execute(
        _SQL["finish"], {"sync_id": sync_id, "status": str(status), "error": storable(error), "cleared": kept}
    )


def _json(units: Sequence[Unit]) -> str:
    rows = [row(unit) | {"documents": [row(document) for document in unit.documents]} for unit in units]
    return json.dumps(rows).replace("\\u0000", "\\u2400")  # jsonb refuses NUL


def _unit(row: tuple[Any, ...]) -> Unit:
    documents = tuple(
        DocumentOutcome(d["document_id"], d["title"], UnitStatus(d["status"]), d["error"]) for d in row[6]
    )
    return Unit(row[0], row[1], row[2], UnitStatus(row[3]), row[4], row[5], documents)


def _state(row: tuple[Any, ...]) -> SyncState:
    sync_id, direction, peer, repository_id, asked, asked_by, status, name, total, *rest = row
    order = Order(
        Direction(direction), peer, repository_id, tuple(asked.get("document_ids", ())),
        bool(asked.get("replace")), bool(asked.get("confirm")), asked_by,
    )  # fmt: skip
    succeeded, failed, skipped, current, error, cleared, *times = rest
    gone = None if cleared is None else Cleared(**cleared)
    return SyncState(sync_id, order, SyncStatus(status), name, total, succeeded, failed, skipped, current, error, gone,
                     *times)  # fmt: skip
