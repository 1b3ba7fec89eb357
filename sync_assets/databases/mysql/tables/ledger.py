"""The ledger beside the rows: who may write (the fence), which batches have taken effect, how far a sync has come.

Each function is one step inside a transaction that the caller began. Knows no other table.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

from sync_assets.databases.mysql.tables.line import Line, text
from sync_assets.engine.errors import Fenced, Stop
from sync_assets.engine.tables.writing import Head
from sync_assets.store.sql import read_named

_SQL = read_named(Path(__file__).with_name("ledger.sql"))
_LONGEST = 255  # characters of a name in the ledger
_NO_TABLE = "1146"
_NO_RIGHT = ("1044", "1142", "1227")
_NOWHERE = Head(0, 0, None, None)


def make(line: Line) -> None:
    """Make the ledger's tables where they are missing. Raises `Stop` when we may not."""
    there = {row[0] for row in line.ask("show tables like 'sync\\_assets\\_%'")}
    for name in ("head", "ledger"):
        if f"sync_assets_{name}" not in there:
            try:
                line.run(_SQL[f"make_{name}"])
            except Stop as error:
                if error.code not in _NO_RIGHT:
                    raise
                text = f"{line.place}: the ledger of sync_assets could not be made in database {line.args.database}"
                raise Stop(text, code=error.code, hint=_hint(line)) from None


def _hint(line: Line) -> str:
    grants = "create, alter, drop, index, select, insert, update, delete"
    return f"grant {grants} on {line.args.database}.* to this user ({line.args.user}): the ledger lies beside the rows"


def named(name: str) -> str:
    """A name as a literal."""
    return text(_short(name))


def _short(name: str) -> str:
    """A name that is too long is cut and told apart by its hash."""
    return name if len(name) <= _LONGEST else f"{name[:200]}#{sha256(name.encode()).hexdigest()[:40]}"


def head(line: Line, sync: str) -> Head:
    """The head row; an empty one when there is none, or no ledger."""
    try:
        return _heads(line, [sync])[sync]
    except Stop as error:
        if error.code == _NO_TABLE:
            return _NOWHERE
        raise


def _heads(line: Line, syncs: Sequence[str]) -> dict[str, Head]:
    listed = ", ".join(map(named, syncs))
    rows = {row[0]: row[1:] for row in line.ask(_SQL["heads"].format(syncs=listed))}
    applied: dict[str, set[str]] = {}
    for sync, batch in line.ask(_SQL["applied"].format(syncs=listed)) if rows else ():
        applied.setdefault(sync, set()).add(batch)
    return {sync: _head(rows.get(_short(sync)), applied.get(_short(sync), set())) for sync in syncs}


def _head(row: Sequence[Any] | None, applied: Collection[str]) -> Head:
    if row is None:
        return _NOWHERE
    token, epoch, position, plan = row
    return Head(int(token), int(epoch), position, plan, frozenset(applied))


def take_over(line: Line, sync: str, token: int) -> Head:
    """Raises `Fenced` when the row holds a larger token. Waits for whoever is writing under the old one."""
    found = take_over_all(line, {sync: token})[sync]
    refuse_older(line.place, token, found.token)
    return found


def take_over_all(line: Line, tokens: Mapping[str, int]) -> Mapping[str, Head]:
    """The same for many syncs at once; a head that holds a larger token is left as it is."""
    if not tokens:
        return {}
    rows = ", ".join(f"({named(sync)}, {int(token)})" for sync, token in sorted(tokens.items()))
    line.run(_SQL["take_over"].format(rows=rows))
    return _heads(line, list(tokens))


def refuse_older(place: str, mine: int, there: int) -> None:
    if there > mine:
        raise Fenced(f"{place}: another run has taken this sync over", hint="let it go on", code="fenced")


def fence(line: Line, sync: str, token: int, *, alone: bool) -> int:
    """Hold the head row until the transaction ends; its epoch. Raises `Fenced`. `alone`: we are going to change it."""
    rows = line.ask(_SQL["fence_alone" if alone else "fence"].format(sync=named(sync)))
    if not rows:
        raise Fenced(f"{line.place}: the ledger has no row of this sync any more", hint="run it again", code="fenced")
    refuse_older(line.place, token, int(rows[0][0]))
    return int(rows[0][1])


def known(line: Line, sync: str, epoch: int, batch: str) -> bool:
    return bool(line.ask(_SQL["known"].format(sync=named(sync), epoch=epoch, batch=named(batch))))


def record(line: Line, sync: str, epoch: int, batch: str, position: str | None) -> None:
    line.run(_SQL["record"].format(sync=named(sync), epoch=epoch, batch=named(batch)))
    if position is not None:
        line.run(_SQL["move"].format(sync=named(sync), position=text(position)))


def end(line: Line, sync: str, epoch: int, position: str | None) -> None:
    """The run is over: epoch + 1, no plan, and the batches of the epoch are forgotten."""
    line.run(_SQL["end"].format(sync=named(sync), position="null" if position is None else text(position)))
    line.run(_SQL["forget"].format(sync=named(sync), epoch=epoch))


def keep_plan(line: Line, sync: str, plan: str) -> None:
    line.run(_SQL["keep_plan"].format(sync=named(sync), plan=text(plan)))
