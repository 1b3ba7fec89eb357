"""The control database on PostgreSQL: leases, journal, states, rejects, incidents, runs.

Implements `engine.control.ControlStore`. Every method is one transaction; every time is the database's own clock;
rules are constraints of the tables (`migrations/`), statements are in `queries.sql`. Must not know boards, sources or
Dagster.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sync_assets.engine.control import Incident, JournalEntry, Lease, LeaseHeld, RunEntry, SyncState
from sync_assets.engine.errors import Fenced
from sync_assets.engine.model import Rejected
from sync_assets.store import migrations
from sync_assets.store.address import Address, control_address
from sync_assets.store.session import Cursor, Sessions
from sync_assets.store.sql import read_named

_SQL = read_named(Path(__file__).with_name("queries.sql"))


def open_store(address: Callable[[], Address] = control_address) -> PostgresStore:
    """The control database, ready for work: server started, tables in this version's shape. Raises `Stop`, `Retry`.

    `address` is called for each new connection, so that a server that died is started again.
    """
    store = PostgresStore(address)
    try:
        store.prepare()
    except BaseException:
        store.close()
        raise
    return store


def storable(text: str) -> str:
    """The text as PostgreSQL can hold it: NUL becomes its picture, half a surrogate pair a question mark."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{SYMBOL FOR NULL}")


class PostgresStore:
    """One connection a thread, opened at first use. Safe to share between threads."""

    def __init__(self, address: Callable[[], Address]) -> None:
        self._sessions = Sessions(address, _SQL["set_up"])

    def close(self) -> None:
        self._sessions.close()

    def __enter__(self) -> PostgresStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def sessions(self) -> Sessions:
        """The connections, for another part of the control database (`store.vault`)."""
        return self._sessions

    # -- shape

    def revision(self) -> str | None:
        """The revision of the tables, None where there are none."""

        def look(cursor: Cursor) -> str | None:
            there = cursor.execute(_SQL["version"]).fetchone()
            row = cursor.execute(_SQL["version_number"]).fetchone() if there and there[0] else None
            return str(row[0]) if row else None

        return self._sessions.run(look)

    def prepare(self) -> None:
        """Migrate where it is needed. Raises `Stop` when the database is newer than this version."""
        if migrations.check(self.revision(), self._sessions.where):
            with self._sessions.errors():
                migrations.migrate(self._sessions.connect)

    # -- leases

    def acquire_lease(self, name: str, owner: str, seconds: float, over: int | None = None) -> Lease:
        asked = {"name": name, "owner": storable(owner), "seconds": seconds, "over": over}

        def take(cursor: Cursor) -> Lease:
            row = cursor.execute(_SQL["acquire_lease"], asked).fetchone()
            if row is not None:
                return Lease(name, owner, row[0], seconds)
            left = cursor.execute(_SQL["lease_left"], asked).fetchone() or (0.0, "somebody", 0)
            raise LeaseHeld(name, after=left[0], holder=left[1], token=left[2])

        return self._sessions.run(take)

    def renew_lease(self, lease: Lease) -> None:
        row = self._row("renew_lease", name=lease.name, token=lease.token, seconds=lease.seconds)
        if row is None:
            raise _fenced(lease)

    def release_lease(self, lease: Lease) -> None:
        self._do("release_lease", name=lease.name, token=lease.token)

    # -- journal

    def journal(self, lease: Lease, entry: JournalEntry) -> None:
        """`entry.written_at` is not used: the database's clock says when."""
        values = {
            "client_token": entry.client_token,
            "target": entry.target,
            "sync": entry.sync,
            "keys": json.dumps(entry.keys),
            "payload": entry.payload,
        }
        self._under(lease, "journal", values)

    def journal_done(self, client_tokens: Iterable[str]) -> None:
        self._do("journal_done", client_tokens=list(client_tokens))

    def journal_open(self, target: str) -> Sequence[JournalEntry]:
        rows = self._rows("journal_open", target=target)
        return [JournalEntry(token, to, sync, tuple(keys), body, at) for token, to, sync, keys, body, at in rows]

    # -- states

    def state(self, sync: str, partition: str = "") -> SyncState:
        row = self._row("state", sync=sync, partition=partition)
        return SyncState(*row) if row else SyncState()

    def save_state(self, lease: Lease, sync: str, partition: str, state: SyncState) -> None:
        """Without `state.finished_at` the database's clock says when."""
        values = {
            "sync": sync,
            "partition": partition,
            "position": state.position,
            "rows": state.rows,
            "digest": state.digest,
            "finished_at": state.finished_at,
        }
        self._under(lease, "save_state", values)

    # -- rejects

    def rejects(self, sync: str) -> Sequence[Rejected]:
        return [Rejected(*row) for row in self._rows("rejects", sync=sync)]

    def save_rejects(self, sync: str, rejected: Sequence[Rejected], resolved: Iterable[str]) -> None:
        """A key in both is kept: it was rejected again."""
        gone = [storable(key) for key in resolved]
        values = [
            {
                "sync": sync,
                "key": storable(one.key),
                "digest": one.digest,
                "field": storable(one.field),
                "code": one.code,
                "reason": storable(one.reason),
                "partition": storable(one.partition),
            }
            for one in rejected
        ]

        def save(cursor: Cursor) -> None:
            if gone:
                cursor.execute(_SQL["forget_rejects"], {"sync": sync, "keys": gone})
            if values:
                cursor.executemany(_SQL["save_reject"], values)

        self._sessions.run(save)

    def forget_rejects(self, sync: str, keys: Iterable[str] | None = None) -> int:
        values = {"sync": sync, "keys": None if keys is None else [storable(key) for key in keys]}

        def forget(cursor: Cursor) -> int:
            gone = cursor.execute(_SQL["forget_all_rejects" if keys is None else "forget_rejects"], values).rowcount
            if gone:
                cursor.execute(_SQL["forget_position"], values)
            return gone

        return self._sessions.run(forget)

    # -- incidents and runs

    def open_incident(self, name: str, message: str) -> tuple[Incident, bool]:
        row = self._row("open_incident", name=name, message=storable(message))
        incident = Incident(*row or ())
        return incident, incident.occurrences == 1

    def close_incident(self, name: str) -> Incident | None:
        row = self._row("close_incident", name=name)
        return Incident(*row) if row else None

    def start_run(self, run_id: str, sync: str, partition: str, holder: str) -> None:
        self.start_runs(run_id, [(sync, partition)], holder)

    def start_runs(self, run_id: str, syncs: Sequence[tuple[str, str]], holder: str, asked_by: str = "") -> None:
        shared = {"run_id": run_id, "holder": storable(holder), "asked_by": storable(asked_by)}
        self._many("start_run", [{**shared, "sync": storable(s), "partition": storable(p)} for s, p in syncs])

    def runs(self, sync: str | None = None, *, running: bool = False, limit: int = 100) -> Sequence[RunEntry]:
        rows = self._rows("runs", sync=None if sync is None else storable(sync), running=running, limit=limit)
        return [RunEntry(*row) for row in rows]

    def lose_run(self, run_id: str, sync: str, partition: str) -> None:
        self._do("lose_run", run_id=run_id, sync=storable(sync), partition=storable(partition))

    def record_run(self, run_id: str, sync: str, partition: str, outcome: str, report: dict[str, object]) -> None:
        self.record_runs(run_id, [(sync, partition, outcome, report)])

    def record_runs(self, run_id: str, ends: Sequence[tuple[str, str, str, dict[str, object]]]) -> None:
        self._many("record_run", [_end(run_id, *end) for end in ends])

    # -- one statement, one transaction

    def _do(self, query: str, /, **values: object) -> int:
        return self._sessions.run(lambda cursor: cursor.execute(_SQL[query], values).rowcount)

    def _many(self, query: str, values: Sequence[Mapping[str, object]]) -> None:
        """The same statement many times, in one transaction and few round trips."""
        if values:
            self._sessions.run(lambda cursor: cursor.executemany(_SQL[query], values))

    def _row(self, query: str, /, **values: object) -> tuple[Any, ...] | None:
        return self._sessions.run(lambda cursor: cursor.execute(_SQL[query], values).fetchone())

    def _rows(self, query: str, /, **values: object) -> list[tuple[Any, ...]]:
        return self._sessions.run(lambda cursor: cursor.execute(_SQL[query], values).fetchall())

    def _under(self, lease: Lease, query: str, values: Mapping[str, object]) -> None:
        """The statement, in one transaction with the check that the lease is still ours."""

        def guarded(cursor: Cursor) -> None:
            held = cursor.execute(_SQL["fence"], {"name": lease.name, "token": lease.token}).fetchone()
            if held is None:
                raise _fenced(lease)
            cursor.execute(_SQL[query], values)

        self._sessions.run(guarded)


def _end(run_id: str, sync: str, partition: str, outcome: str, report: dict[str, object]) -> dict[str, object]:
    # jsonb refuses the escape of NUL that json.dumps writes
    text = json.dumps(report, default=str, allow_nan=False).replace("\\u0000", "\\u2400")
    names = {"run_id": run_id, "sync": storable(sync), "partition": storable(partition)}
    return {**names, "outcome": outcome, "report": text}


def _fenced(lease: Lease) -> Fenced:
    return Fenced(
        f"{lease.name}: another worker has taken over since token {lease.token}",
        hint="nothing to do: the other run goes on; this one has stopped",
        code="fenced",
    )
