"""Deciding how a table is brought into step: from what is there, what was left unfinished, and what differs.

Looks at both sides, writes nothing but the fence.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal

from sync_assets.engine.errors import Stop
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.compare import compare
from sync_assets.engine.tables.job import Changes
from sync_assets.engine.tables.reading import Reader, TableSource
from sync_assets.engine.tables.shape import TableName, TableShape
from sync_assets.engine.tables.sides import Both, sides_of
from sync_assets.engine.tables.work import Way, Work, read_plan

_TIMES = (ColumnType.DATETIME, ColumnType.INSTANT)
SKEW = 3600.0  # seconds by which the source's clock may differ from ours
_FORMAT = "%Y-%m-%d %H:%M:%S.%f"


@dataclass(frozen=True, slots=True)
class Chooser:
    """`fresh` are tables that this run has made. `oldest` is when the oldest open transaction of the source began."""

    source: TableSource
    target: TableSource
    existing: dict[TableName, TableShape]
    fresh: frozenset[TableName]
    oldest: str | None
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def choose(self, work: Work, both: Both) -> None:
        """Set the way, the difference, the position. Raises `Stop` where the sync asks for what cannot be done."""
        if work.job.watermark is not None:
            with both.here() as here:
                self._mark(work, work.job.watermark, here)
        unfinished = read_plan(work.head.plan, work.selection, work.job.spec_digest)
        if unfinished is not None:
            work.way = unfinished.way
        elif work.table in self.fresh or self._empty(work, both):
            work.way = self._first(work)
        else:
            self._again(work, both)

    @staticmethod
    def _empty(work: Work, both: Both) -> bool:
        with both.there() as there:
            return there.empty(work.there)

    def _first(self, work: Work) -> Way:
        """An empty table. Readers of one that stood there already must not see it half full where it is a clone."""
        if work.table in self.fresh or not work.deletes:
            return Way.DIRECT
        return Way.WHOLE if work.limited else Way.SWAP

    def _again(self, work: Work, both: Both) -> None:
        changes = self._changes(work)
        if changes is Changes.WATERMARK and work.since is not None:
            work.way = Way.SINCE
            return
        sides = sides_of(self.source, self.target, work, both) if changes is not Changes.WHOLE else None
        if sides is None:
            work.way = self._everything(work)
            if changes is Changes.HASH:
                work.notes.append("digests cannot be compared for these columns: everything is shipped")
            return
        work.found = compare(sides)
        nothing = work.found.none or (not work.replaces and not work.found.missing)
        whole = work.found.whole
        work.way = self._everything(work) if whole else Way.NOTHING if nothing else Way.KEYS

    def _everything(self, work: Work) -> Way:
        return Way.SWAP if work.deletes and not work.limited else Way.WHOLE

    def _changes(self, work: Work) -> Changes:
        chosen, job = work.job.changes, work.job
        if work.resumed:  # slices of two moments: a watermark tells nothing of the older ones
            return Changes.HASH
        if chosen is Changes.AUTO:
            watermark = job.watermark is not None and not work.deletes and work.window is None
            return Changes.WATERMARK if watermark else Changes.HASH
        if chosen is Changes.WATERMARK and work.deletes:
            hint = "a watermark does not show deletes: use changes: hash, or mode: full"
            raise Stop(f"{job.sync}: clone by watermark would keep what the source deleted", hint=hint)
        return chosen if job.watermark or chosen is not Changes.WATERMARK else Changes.HASH

    # -- positions

    def _mark(self, work: Work, name: str, here: Reader) -> None:
        """Where this run begins to read, and where the next one will: never behind a transaction that is still open."""
        column = next(a for a in work.names.here if a.name == name)
        newest = here.newest(work.selection, name)
        if column.type in _TIMES and self.oldest is not None and newest is not None:
            bound = self._bound(column.type, newest)
            if bound < newest:
                self._warn(work)
                newest = bound
        old = work.stood
        work.position = newest if old is None or newest is None else _later(old, newest, column.type)
        work.position = work.position if work.position is not None else old
        work.since = None if old is None else _back(old, column.type, work.job.lookback)

    def _bound(self, type: ColumnType, newest: str) -> str:
        """What the oldest open transaction may still write is not older than this.

        A wall clock without a zone may be anywhere: as far behind the newest as that transaction is behind now.
        """
        assert self.oldest is not None  # noqa: S101 (the caller asked)
        if type is ColumnType.INSTANT:
            return self.oldest
        behind = timedelta(seconds=max(0.0, self._age()) + SKEW)
        return (datetime.strptime(newest, _FORMAT) - behind).strftime(_FORMAT)

    def _age(self) -> float:
        """Seconds since the oldest open transaction of the source began, as far as our clock and its agree."""
        assert self.oldest is not None  # noqa: S101 (the caller asked)
        return (self.now() - datetime.strptime(self.oldest, _FORMAT).replace(tzinfo=UTC)).total_seconds()

    def _warn(self, work: Work) -> None:
        if self._age() > work.job.lookback:
            work.notes.append(
                f"warning: a transaction of the source is open since {self.oldest} UTC, longer than lookback: what it"
                " has written will be read by the first run after its end"
            )


def _later(one: str, other: str, type: ColumnType) -> str:
    """A position never goes back."""
    if type in _TIMES or type is ColumnType.DATE:
        return max(one, other)
    return max(one, other, key=Decimal)


def _back(position: str, type: ColumnType, lookback: float) -> str:
    """The position less the look-back: seconds of a time, whole days of a date, units of a number."""
    if type in _TIMES:
        return (datetime.strptime(position, _FORMAT) - timedelta(seconds=lookback)).strftime(_FORMAT)
    if type is ColumnType.DATE:
        days = -int(-lookback // 86_400)
        return (datetime.strptime(position, "%Y-%m-%d") - timedelta(days=days)).strftime("%Y-%m-%d")
    back = Decimal(position) - Decimal(str(lookback))
    return f"{back.to_integral_value(ROUND_FLOOR) if '.' not in position else back:f}"
