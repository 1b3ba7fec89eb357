"""What the engine asks of a database that tables are read from, or compared in.

All values that cross this line are canonical texts (`canonical.py`), so that no driver's types leak. SQL is made
beyond it: the engine says which rows, the database says how.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal, NamedTuple, Protocol

from sync_assets.engine.tables.shape import ColumnShape, TableEntry, TableName, TableShape

Key = tuple[str, ...]  # the key of a row as canonical texts


class Form(StrEnum):
    """How rows travel. Blocks hold whole rows; a stream of blocks is one COPY or LOAD.

    Values in LINES are as the target reads them. For ``postgres``: its own input (bytea as ``\\x..``, instants with
    ``+00``). For ``mysql`` and ``sqlite``: the canonical texts, but a FLOAT as usual (``0.1``, ``1e-07``: the canonical
    text is for hashes only), a single as its double; BLOB as hex.
    """

    PG_BINARY = "pg_binary"  # COPY BINARY, header and trailer included
    LINES = "lines"  # COPY text: \t between fields, \n after rows, \\N for NULL, only \\\\ \\t \\n \\r escaped


@dataclass(frozen=True, slots=True)
class Condition:
    """`column` compared with a canonical text. A row whose column is NULL meets none."""

    column: str
    operator: Literal["=", ">=", ">", "<", "<="]
    value: str


@dataclass(frozen=True, slots=True)
class Pages:
    """Physical pages [low, high) of a PostgreSQL table: means something within one snapshot only."""

    low: int
    high: int | None


@dataclass(frozen=True, slots=True)
class BucketRule:
    """Which bucket a row is in.

    With `width`: the one key column is an integer, and its bucket is key / width, cut towards zero. Otherwise the
    key is hashed as the digests are (`Hashing.kind`), and its bucket is abs(hash % count). Without `columns` (a table
    without a key) all rows are in bucket 0.
    """

    columns: tuple[str, ...]
    width: int = 0
    count: int = 0


@dataclass(frozen=True, slots=True)
class Selection:
    """Which rows of which table (or query), and which columns of them, in order. All given restrictions hold at once.

    `where` is a boolean expression in the database's own SQL, checked before (`project.rules`). `keys` are of the
    columns `key`.
    """

    table: TableName | None
    columns: tuple[ColumnShape, ...]
    query: str = ""
    where: str = ""
    conditions: tuple[Condition, ...] = ()
    pages: Pages | None = None
    key: tuple[str, ...] = ()
    keys: tuple[Key, ...] | None = None

    def having(self, *conditions: Condition) -> Selection:
        return replace(self, conditions=(*self.conditions, *conditions))


class Bucket(NamedTuple):
    """The rows of one bucket: how many, and the sum of their hashes."""

    number: int
    rows: int
    sum: int


@dataclass(frozen=True, slots=True)
class Hashing:
    """How two sides take the hash of a row, so that equal rows have equal hashes.

    kind ``record``: PostgreSQL on both sides, its own hash functions over the columns' values (those whose equality
    hides a difference, such as numeric without a scale, by their text). kind ``portable``: 60 bits of the MD5 of the
    row's canonical text. `columns` are in order, `buckets.columns` is the key. Both sides get one with their own
    names of the columns, and `other` with those of the other side, for both must choose the same way.
    """

    kind: Literal["record", "portable"]
    columns: tuple[ColumnShape, ...]
    other: tuple[ColumnShape, ...]
    buckets: BucketRule


@dataclass(slots=True)
class Moved:
    """What went over the wire from one reader or to one writer."""

    bytes: int = 0
    rows: int = 0
    statements: int = 0


class Reader(Protocol):
    """One connection, for one thread, inside one snapshot. Errors come sorted."""

    moved: Moved

    def rows(self, selection: Selection, form: Form, into: Sequence[ColumnShape], dialect: str) -> Iterator[bytes]:
        """Blocks of about 64 KB to 1 MB with whole rows, for the columns `into` of a database of `dialect`."""
        ...

    def buckets(self, selection: Selection, hashing: Hashing) -> Iterator[Bucket]:
        """Count and sum of hashes for each bucket that has rows, in any order. Computed in the database."""
        ...

    def hashes(self, selection: Selection, hashing: Hashing, numbers: Sequence[int]) -> Iterator[tuple[Key, int]]:
        """Key and hash of each row in the buckets `numbers`, in any order."""
        ...

    def count(self, selection: Selection) -> int: ...

    def empty(self, selection: Selection) -> bool:
        """Whether there is no such row; looks at one at most."""
        ...

    def newest(self, selection: Selection, column: str, *, oldest: bool = False) -> str | None:
        """The largest (or smallest) value of `column` as canonical text."""
        ...

    def close(self) -> None: ...


class Snapshot(Protocol):
    """One moment of a database, seen by all readers made here. `streams` is how many may be open at once."""

    streams: int
    notes: Sequence[str]

    def reader(self) -> Reader: ...

    def slices(self, selection: Selection, size: int) -> Sequence[Selection]:
        """Pieces of about `size` bytes that together are `selection`: by key, so that they mean the same in
        another snapshot, where the key's order is near the order on disk; else by `Pages`. [selection] if small."""
        ...


class TableSource(Protocol):
    """A database that tables can be read from. One object for a run; it opens connections as needed."""

    dialect: str
    place: str  # for messages: "connection shop"
    address: str  # which database this is, for leases: "postgres://127.0.0.1:5432/shop"; holds no secret

    def tables(self) -> Sequence[TableEntry]:
        """All tables, views and foreign tables that are no system's, in the order of their names."""
        ...

    def shapes(self, names: Sequence[TableName]) -> Mapping[TableName, TableShape]:
        """Their shapes, in a constant number of questions. A table that is missing is missing in the answer."""
        ...

    def name_of(self, text: str) -> TableName:
        """`schema.table` or `table` as a name, with the connection's own schema where none is written."""
        ...

    def query_columns(self, query: str) -> tuple[ColumnShape, ...]: ...

    def forms(self, into: str, columns: Sequence[tuple[ColumnShape, ColumnShape]]) -> Sequence[Form]:
        """The forms in which these columns (here, there) can leave for a database of dialect `into`, fastest first."""
        ...

    def hashing(self, other: TableSource, mine: Sequence[ColumnShape], theirs: Sequence[ColumnShape],
                key: Sequence[str], rows: int) -> tuple[Hashing, Hashing] | None:  # fmt: skip
        """How this side and the other take hashes of these columns; None where they cannot be compared by hash.

        `key` are names of this side, perhaps none; there are about `rows` rows. The engine may choose other buckets
        of the same kind (`sides.fitted`).
        """
        ...

    def snapshot(self, tables: Sequence[TableName], streams: int) -> AbstractContextManager[Snapshot]:
        """One moment for all readers. The tables are kept from changing their shape meanwhile."""
        ...

    def oldest_writer(self) -> str | None:
        """When the oldest transaction that may still commit began, as a canonical INSTANT; None: none, or unknown."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Names:
    """Which column of the source fills which of the target."""

    pairs: tuple[tuple[ColumnShape, ColumnShape], ...] = field(default=())

    @property
    def here(self) -> tuple[ColumnShape, ...]:
        return tuple(a for a, _ in self.pairs)

    @property
    def there(self) -> tuple[ColumnShape, ...]:
        return tuple(b for _, b in self.pairs)

    def over(self, columns: Sequence[str]) -> tuple[str, ...]:
        """Names of the source as the target's."""
        known = {a.name: b.name for a, b in self.pairs}
        return tuple(known[c] for c in columns)
