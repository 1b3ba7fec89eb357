"""The ledger beside the rows: heads of syncs, applied batches, the fence. Knows nothing of the rows themselves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg

from sync_assets.databases.postgres.tables.session import Session
from sync_assets.databases.quoting import quoted
from sync_assets.engine.errors import Fenced, Retry, Stop, Unclear
from sync_assets.engine.tables.writing import Head
from sync_assets.store.sql import read_named

SQL = read_named(Path(__file__).with_name("ledger.sql"))
_NOWHERE = Head(0, 0, None, None)
_HELD = "55P03"
_NO_RIGHT = "42501"


def mark(sync: str) -> str:
    """The application name of connections that write for `sync`, by which a successor finds them."""
    return "sync_assets " + hashlib.sha256(sync.encode()).hexdigest()[:24]


def is_there(session: Session) -> bool:
    return bool(session.ask(SQL["there"])[0][0])


def make(session: Session) -> None:
    """The ledger's tables where they are missing. Raises `Stop` when we may not."""
    try:
        if not is_there(session):
            session.ask(f"begin; {SQL['make']}; commit")
    except Stop as error:
        if error.code != _NO_RIGHT:
            raise
        raise _refused(session, "sync_assets" in error.message) from None
    finally:
        session.rollback()


def _refused(session: Session, has_schema: bool) -> Stop:
    """`has_schema`: somebody else made it."""
    user, database = quoted(session.args.user), session.args.database
    made, what = f"create schema sync_assets authorization {user}", f"create on database {quoted(database)}"
    hint = f"grant {what} to {user}, or let an administrator run: {made}"
    if has_schema:
        hint = (
            f"its schema is another user's: grant usage, create on schema sync_assets, and all on its tables, to {user}"
        )
    text = f"{session.place}: the ledger of sync_assets could not be made in database {database}"
    return Stop(text, hint=hint, code=_NO_RIGHT)


def peek(session: Session, sync: str) -> Head:
    """The head row without touching it."""
    return _heads(session, [sync]).get(sync, _NOWHERE) if is_there(session) else _NOWHERE


def take_over(session: Session, sync: str, token: int) -> Head:
    """Put the token into the head row once no batch of an older one is open. Raises `Fenced` for an older token."""
    found = take_over_all(session, {sync: token})[sync]
    if found.token > token:
        raise _fenced(session, sync)
    return found


def take_over_all(session: Session, tokens: Mapping[str, int]) -> Mapping[str, Head]:
    """The same for many syncs in one transaction; a head that holds a larger token is left as it is.

    A holder that was stopped in mid-batch keeps its transaction open for as long as it likes; its connection is
    ended, since the lease is ours.
    """
    known = _heads(session, list(tokens)) if tokens else {}
    if all(sync in known and known[sync].token == token for sync, token in tokens.items()):
        return known  # ours already: other connections of this run may be in a batch
    wanted: list[list[Any]] = [list(tokens), list(tokens.values())]
    session.ask(SQL["appear"], wanted)
    try:
        return _taken(session, wanted, "1s")
    except Retry as error:
        if error.code != _HELD:
            raise
    session.ask(SQL["end_others"], ([mark(sync) for (sync,) in session.ask(SQL["older"], wanted)],))
    return _taken(session, wanted, f"{max(1, session.args.silent_seconds)}s")


def _taken(session: Session, wanted: list[list[Any]], patience: str) -> Mapping[str, Head]:
    try:
        session.ask(f"begin isolation level read committed; set local lock_timeout = '{patience}'")
        session.ask(SQL["lock"], wanted[:1])
        session.ask(SQL["take"], wanted)
        heads = _heads(session, wanted[0])
        session.ask("commit")
        return heads
    finally:
        session.rollback()


def _heads(session: Session, syncs: list[str]) -> dict[str, Head]:
    return {str(sync): _head(row) for sync, *row in session.ask(SQL["heads"], (syncs,))}


def _head(row: Sequence[object]) -> Head:
    token, epoch, position, plan, applied = row
    assert isinstance(token, int) and isinstance(epoch, int) and isinstance(applied, list)  # noqa: S101 (the query's types)
    return Head(token, epoch, _text(position), _text(plan), frozenset(applied))


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _fenced(session: Session, sync: str) -> Fenced:
    return Fenced(f"{session.place}: another worker writes for {sync} now", hint="let it finish", code="fenced")


@contextmanager
def batch(
    session: Session, sync: str, token: int, id: str, *, position: str | None = None, ends: bool = False
) -> Iterator[bool]:
    """One transaction under the fence; see `engine.tables.writing.Writer.batch`."""
    try:
        rows = session.together(SQL["begin"], (id, id, sync))
        if not rows or rows[0][0] > token:
            raise _fenced(session, sync)
        done = bool(rows[0][2])
        with session.sorted():
            yield not done
        if not done:
            _commit(session, sync, rows[0][1], id, position, ends)
    finally:
        session.rollback()


def _commit(session: Session, sync: str, epoch: int, id: str, position: str | None, ends: bool) -> None:
    """Ledger row, position and commit in one message. A lost answer leaves open whether it was applied."""
    parts, params = [SQL["record"]], [sync, epoch, id]
    if ends:
        parts.append(SQL["finish"])
        params += [id, position, sync, sync]
    elif position is not None:
        parts.append(SQL["position"])
        params += [position, sync]
    try:
        session.together("; ".join([*parts, "commit"]), params)
    except Retry as error:
        if session.connection.closed or session.connection.pgconn.status != psycopg.pq.ConnStatus.OK:
            raise Unclear(f"{session.place}: no answer to a commit", after=error.after, code="commit") from None
        raise


def keep_plan(session: Session, sync: str, token: int, plan: str) -> None:
    """Write the plan of a run into the head row. Raises `Fenced`."""
    if session.count(SQL["plan"], (plan, sync, token)) == 0:
        raise _fenced(session, sync)
