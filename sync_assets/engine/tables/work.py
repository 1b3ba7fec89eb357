"""One table (or one window of it) on its way through a run: what is known of it, what was decided, what came of it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sync_assets.engine.errors import Stop, SyncError
from sync_assets.engine.model import Change, Counts, Mode, Rejected
from sync_assets.engine.tables.compare import Difference
from sync_assets.engine.tables.job import TableJob, Window
from sync_assets.engine.tables.reading import Condition, Names, Pages, Selection
from sync_assets.engine.tables.shape import ColumnShape, TableName, TableShape
from sync_assets.engine.tables.writing import Head, Wanted


class Way(StrEnum):
    """How rows get into the table."""

    NOTHING = "nothing to do"
    DIRECT = "loaded directly"  # into an empty table, slice by slice
    SWAP = "staged and swapped"
    WHOLE = "staged and merged"
    KEYS = "differences by digest"
    SINCE = "since the last watermark"


@dataclass(slots=True)
class Work:
    """`selection` is in names of the source, `scope` the same rows in names of the target."""

    job: TableJob
    window: Window | None
    shape: TableShape
    names: Names
    key: tuple[str, ...]
    token: int = 0
    head: Head = Head(0, 0, None, None)  # noqa: RUF009 (frozen)
    epoch: int = 0  # as a writer saw it last
    way: Way = Way.NOTHING
    found: Difference | None = None
    since: str | None = None
    position: str | None = None
    resumed: bool = False
    counts: Counts = field(default_factory=Counts)
    notes: list[str] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    known: Sequence[Rejected] = ()
    differences: tuple[str, ...] = ()
    equal: bool | None = None
    error: SyncError | None = None
    applied: dict[str, Counts] = field(default_factory=dict)  # by batch: what a lost answer would have told
    received: int = 0  # bytes, of both databases
    sent: int = 0
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False)
    later: Callable[[], None] | None = None  # deletes that wait for the tables that point here

    def moved(self, received: int, sent: int = 0) -> None:
        """Count bytes that went over the wire for this work. From any thread."""
        with self._guard:
            self.received += received
            self.sent += sent

    @property
    def ledger(self) -> str:
        """The name of this work in the ledger."""
        return f"{self.job.sync}/{self.window.key}" if self.window else self.job.sync

    @property
    def part(self) -> str:
        return self.window.key if self.window else ""

    @property
    def table(self) -> TableName:
        return self.job.target

    @property
    def selection(self) -> Selection:
        conditions = self.window.conditions if self.window else ()
        job = self.job
        return Selection(job.source, self.names.here, job.query, job.where, conditions, key=self.key)

    @property
    def target_key(self) -> tuple[str, ...]:
        return self.names.over(self.key)

    @property
    def scope(self) -> tuple[Condition, ...]:
        """The window's conditions in names of the target."""
        if self.window is None:
            return ()
        columns = self.names.over([c.column for c in self.window.conditions])
        pairs = zip(columns, self.window.conditions, strict=True)
        return tuple(Condition(column, c.operator, c.value) for column, c in pairs)

    @property
    def there(self) -> Selection:
        """The same rows in the target."""
        return Selection(self.table, self.names.there, conditions=self.scope, key=self.target_key)

    @property
    def stood(self) -> str | None:
        """The position of the last run, if it was one of the same sync as it is written now: another table, query or
        filter is read from its beginning."""
        if self.head.position is None:
            return None
        said: Mapping[str, str] = json.loads(self.head.position)
        return said["at"] if said["spec"] == self.job.spec_digest else None

    def stamped(self, position: str | None) -> str | None:
        """A position as the head row keeps it."""
        return None if position is None else json.dumps({"spec": self.job.spec_digest, "at": position})

    @property
    def settled(self) -> str | None:
        """The position that may be written down now: none while slices of an older moment may lack what came since."""
        return None if self.resumed else self.position

    @property
    def deletes(self) -> bool:
        return self.job.mode is Mode.CLONE

    @property
    def replaces(self) -> bool:
        """Whether rows that are there may be updated: in mode incremental only newer ones, told by a watermark."""
        return self.job.mode is not Mode.INCREMENTAL or self.job.watermark is not None

    @property
    def limited(self) -> bool:
        """Whether the run is about less than the whole table: a swap would drop the rest."""
        return self.window is not None


def wanted(job: TableJob, shape: TableShape) -> Wanted:
    """The table that the target should have for `job`. Raises `Stop` when the job names a column that is not there."""
    names = {c.name for c in shape.columns}
    mentioned = [*job.columns, *job.key, *([job.watermark] if job.watermark else [])]
    for name in mentioned:
        if name not in names:
            hint = f"it has {', '.join(sorted(names))[:500]}"
            raise Stop(f"{job.sync}: the source has no column {name}", hint=hint, code="unknown_column")
    columns = tuple(c.renamed(job.columns.get(c.name) or c.name) for c in kept(job, shape))
    over = {c.name: job.columns.get(c.name) or c.name for c in kept(job, shape)}
    key = key_of(job, shape)
    return Wanted(shape, job.target, columns, tuple(over[k] for k in key), over, _beside(job, shape))


def _beside(job: TableJob, shape: TableShape) -> Mapping[TableName, TableName]:
    if job.beside is None:
        return {}
    found = {key.to: job.beside(key.to) for key in shape.foreign_keys}
    return {here: there for here, there in found.items() if there is not None}


def kept(job: TableJob, shape: TableShape) -> Sequence[ColumnShape]:
    """The columns of the source that are shipped."""
    return [c for c in shape.writable if job.columns.get(c.name, "") is not None]


def key_of(job: TableJob, shape: TableShape) -> tuple[str, ...]:
    """The key columns, in names of the source: those of the job, else the table's own. Raises `Stop`."""
    key = job.key or shape.key or (shape.unique[0] if shape.unique else ())
    shipped = {c.name for c in kept(job, shape)}
    lost = [k for k in key if k not in shipped]
    if lost and job.key:
        raise Stop(f"{job.sync}: the key column {lost[0]} is not shipped", hint="do not skip it, or name another key")
    if (lost or not key) and job.mode is not Mode.CLONE:
        raise Stop(
            f"{job.sync}: {shape.name.name} has no key, and mode {job.mode} needs one",
            hint="name the columns that identify a row with key:, or use mode: clone, which replaces the whole table",
            code="no_key",
        )
    return () if lost else tuple(key)


def names_between(job: TableJob, shape: TableShape, there: TableShape) -> Names:
    """Which column fills which, once the target's table exists. Raises `Stop` for one that it lacks."""
    pairs = []
    for column in kept(job, shape):
        name = job.columns.get(column.name) or column.name
        other = there.column(name)
        if other is None:
            hint = "add it, skip it (columns), or let schema_changes: apply add it"
            raise Stop(f"{job.sync}: table {there.name} has no column {name}", hint=hint, code="missing_column")
        if other.generated is not None:
            hint = f"skip it: columns: {{{column.name}: {{skip: true}}}}"
            raise Stop(f"{job.sync}: column {name} of {there.name} is computed by the target", hint=hint)
        pairs.append((column, other))
    return Names(tuple(pairs))


@dataclass(frozen=True, slots=True)
class Plan:
    """What an unfinished load had decided, kept in the head row so that it can go on where it was."""

    way: Way
    nonce: str
    digest: str
    slices: tuple[Selection, ...]

    @property
    def lasting(self) -> bool:
        """Whether its slices mean the same rows in another snapshot."""
        return all(s.pages is None for s in self.slices)

    def as_text(self) -> str:
        cuts = [[[*_condition(c)] for c in s.conditions] for s in self.slices] if self.lasting else None
        return json.dumps({"way": self.way, "nonce": self.nonce, "digest": self.digest, "slices": cuts})


def read_plan(text: str | None, whole: Selection, digest: str) -> Plan | None:
    """The plan in a head row, if it is of the same sync as it is written now."""
    if text is None:
        return None
    said: Mapping[str, Any] = json.loads(text)
    if said["digest"] != digest:
        return None
    base = Selection(whole.table, whole.columns, whole.query, whole.where, key=whole.key)
    if said["slices"] is None:
        pages = Selection(base.table, base.columns, pages=Pages(0, None))
        return Plan(Way(said["way"]), said["nonce"], digest, (pages,))
    slices = tuple(base.having(*(Condition(*c) for c in cut)) for cut in said["slices"])
    return Plan(Way(said["way"]), said["nonce"], digest, slices)


def _condition(condition: Condition) -> tuple[str, str, str]:
    return condition.column, condition.operator, condition.value
