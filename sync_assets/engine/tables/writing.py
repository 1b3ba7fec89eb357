"""What the engine asks of a database that tables are written to: structure, batches in the ledger, merge, swap.

The ledger lies beside the rows, in the target database: two tables, `sync_assets_head` (one row for each sync: fencing
token, epoch, position, plan) and `sync_assets_ledger` (one row for each applied batch). In PostgreSQL they are in the
schema ``sync_assets``, in MySQL in the connection's database. Every batch is one transaction: fence, rows, ledger row
and position together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, Protocol

from sync_assets.engine.model import Counts
from sync_assets.engine.tables.reading import Condition, Form, Moved, TableSource
from sync_assets.engine.tables.shape import ColumnShape, TableName, TableShape

Policy = Literal["apply", "stop", "ignore"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A table that the target should have.

    `columns` are the source's, under the names they have in the target. `key` are names in the target. `names` says
    for columns that changed their name what they are called in the target: indexes and foreign keys follow it.
    `beside` says where tables go that the foreign keys point to and that this run may not be about.
    """

    source: TableShape
    table: TableName
    columns: tuple[ColumnShape, ...]
    key: tuple[str, ...]
    names: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    beside: Mapping[TableName, TableName] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Design:
    """What must be done to the target's structure, and what was found.

    `before` runs before rows are written, `after` when they are there (indexes, constraints, foreign keys, positions of
    sequences). `losses` says what the target cannot hold as the source does; `stops` what must not be done without a
    person; `drift` every difference in words, whether it is mended or not. All statements can be run again.
    """

    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    stops: tuple[str, ...] = ()
    drift: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Head:
    """The row of a sync (and partition) in `sync_assets_head`.

    `epoch` counts finished runs; `plan` is what an unfinished run had decided to do (JSON, the engine's), so that it
    can go on; `applied` are the batches of this epoch that have taken effect.
    """

    token: int
    epoch: int
    position: str | None
    plan: str | None
    applied: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Merge:
    """How staged rows go into their table. Unchanged rows are not touched.

    `newer`: update only where the staged value of this column is larger. `replace` False: only missing rows are
    added. `scope` with `delete_missing`: rows of the table in the scope that are not staged are deleted. `add` False:
    nothing is created or updated, only deleted. Without a `key` all staged rows are added as they are.
    """

    key: tuple[str, ...]
    columns: tuple[ColumnShape, ...]
    replace: bool = True
    newer: str | None = None
    delete_missing: bool = False
    add: bool = True
    scope: tuple[Condition, ...] = ()


class Writer(Protocol):
    """One connection, for one thread, of one sync under one fencing token. Errors come sorted.

    `Fenced` when the head row holds a larger token; `BadBatch` when rows of a load do not fit (the batch can be
    halved to find them); everything else as `classify` says.
    """

    moved: Moved

    def serve(self, sync: str, token: int) -> Head:
        """From now on write for this sync: as `TableTarget.take_over`, on this connection."""
        ...

    def batch(self, id: str, *, position: str | None = None, ends: bool = False) -> AbstractContextManager[bool]:
        """One transaction: checks the fence, then yields whether the batch is still to be done (False: the ledger has
        it); at the end writes the ledger row, and commits.

        `position`: new position of the sync. `ends`: the run is over with this batch: epoch + 1, plan and ledger rows
        of the epoch go.
        """
        ...

    def load(self, table: TableName, columns: Sequence[ColumnShape], form: Form, blocks: Iterable[bytes]) -> int:
        """Add rows, inside a batch. Returns how many."""
        ...

    def try_load(self, table: TableName, columns: Sequence[ColumnShape], lines: Sequence[bytes]) -> None:
        """Add rows given as LINES inside a batch, or none of them: a savepoint is kept. Raises `BadBatch`."""
        ...

    def savepoint(self) -> AbstractContextManager[None]:
        """Inside a batch: what the block does is undone when it raises, and the batch stays usable."""
        ...

    def stage(self, table: TableName, columns: Sequence[ColumnShape]) -> TableName:
        """An empty table for rows on their way to `table`, outside of any batch; the same name for the same sync and
        table each time. Gone after a crash of the server is well: its rows can be read again."""
        ...

    def merge(self, stage: TableName, table: TableName, how: Merge) -> Counts:
        """Inside a batch: bring the staged rows into the table. Counts what was created, updated, deleted; `read` is
        the number of staged rows."""
        ...

    def delete(self, table: TableName, key: Sequence[ColumnShape], keys: Sequence[tuple[str, ...]]) -> int:
        """Inside a batch: delete rows by key (canonical texts)."""
        ...

    def clear(self, table: TableName, scope: Sequence[Condition] = ()) -> int:
        """Inside a batch: delete all rows of the scope; readers see them until the commit."""
        ...

    def twin(self, table: TableName, *, keep: bool = False) -> TableName:
        """A table built like `table`, without its indexes, to be filled and swapped; outside of any batch.

        Empty, unless one is there and `keep` asks for it with what it holds. The same name each time.
        """
        ...

    def swap(self, twin: TableName, table: TableName, id: str, *, position: str | None = None) -> bool:
        """Give `twin` the indexes, constraints, rights and the name of `table`, and drop the old one: readers see the
        old or the new. Ends the run as `batch(ends=True)`, in the same transaction where the database can. False when
        other things hang on the table (views, foreign keys of others): then nothing was done."""
        ...

    def drop(self, table: TableName) -> None:
        """Drop a stage or twin of ours; nothing else."""
        ...

    def keep_plan(self, plan: str) -> None:
        """Write the plan of the run into the head row, under the fence."""
        ...

    def close(self) -> None: ...


class TableTarget(TableSource, Protocol):
    """A database that tables can be written to."""

    def takes(self) -> Sequence[Form]:
        """The forms that `Writer.load` accepts here and now (extras installed, rights given)."""
        ...

    def design(self, wanted: Sequence[Wanted], source: TableSource, policy: Policy, objects: bool = False) -> Design:
        """Compare what there is with what is wanted. Writes nothing. Raises `Stop` for what cannot be held at all: a
        type without a mapping, a table of an engine without transactions, a view in the way.

        `objects`: also the views and triggers of these tables, made when the rows are there. They are asked for only
        where source and target are of one kind; what cannot be had is a loss, never a stop."""
        ...

    def positions(self, wanted: Sequence[Wanted], source: TableSource) -> Sequence[str]:
        """Statements that set the sequences of these tables to where the source's are, once the rows are there."""
        ...

    def build(self, statements: Sequence[str]) -> None:
        """Carry out statements of a design. Raises `Stop` naming the object when a right is missing."""
        ...

    def open_ledger(self) -> None:
        """Make the ledger's tables where they are missing. Raises `Stop` when we may not."""
        ...

    def take_over(self, sync: str, token: int) -> Head:
        """Put the fencing token into the head row (made if missing). Raises `Fenced` when it holds a larger one."""
        ...

    def take_over_all(self, tokens: Mapping[str, int]) -> Mapping[str, Head]:
        """`take_over` for many syncs at once. A head that holds a larger token is left and given back as it is."""
        ...

    def peek(self, sync: str) -> Head:
        """The head row without touching it; ``Head(0, 0, None, None)`` when there is none, or no ledger yet."""
        ...

    def writer(self, sync: str = "", token: int = 0) -> Writer:
        """A connection to write through; without a sync it waits for `Writer.serve`."""
        ...
