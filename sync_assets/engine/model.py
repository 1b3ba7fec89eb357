"""The values that flow: columns, batches, partitions, records, counts, reports. All frozen, none does I/O."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, NamedTuple, Protocol

Row = tuple[Any, ...]


class ColumnType(StrEnum):
    """What a source column holds, whatever the database calls it. Each has a stated policy per target."""

    BOOL = "bool"
    INTEGER = "integer"  # every value fits a double exactly (up to 32 bits)
    BIGINT = "bigint"  # may pass 2**53
    FLOAT = "float"
    DECIMAL = "decimal"
    TEXT = "text"
    ENUM = "enum"
    SET = "set"  # MySQL SET, PostgreSQL text[]: several texts in one cell
    DATE = "date"
    TIME = "time"
    DATETIME = "datetime"  # no zone: wall clock of the sync's time zone
    INSTANT = "instant"  # a point in time (timestamptz, MySQL TIMESTAMP)
    INTERVAL = "interval"
    JSON = "json"
    UUID = "uuid"
    BLOB = "blob"
    OTHER = "other"  # shown as its text


@dataclass(frozen=True, slots=True)
class Column:
    """One column as the source's metadata tells it."""

    name: str
    type: ColumnType
    native: str = ""  # the database's own name, for people: "decimal(12,2)"
    precision: int | None = None
    scale: int | None = None
    options: tuple[str, ...] = ()  # of an enum or set
    nullable: bool = True
    comment: str = ""


Schema = tuple[Column, ...]


@dataclass(frozen=True, slots=True)
class Partition:
    """One piece of a sync: a half-open window of time, or one value of a column."""

    key: str
    start: datetime | None = None  # aware
    end: datetime | None = None  # aware, exclusive
    value: str | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows as they were read, in source order. `position` is the newest watermark in it, if there is one.

    Rows for boards travel as Python tuples rather than Arrow: both ends are JSON (docs/decisions/002).
    """

    columns: tuple[str, ...]
    rows: Sequence[Row]
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Observation:
    """The cheap look at a source: enough to tell that it changed, without reading it."""

    rows: int | None = None
    watermark: str | None = None

    @property
    def data_version(self) -> str:
        return f"{self.rows}:{self.watermark}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of `sync-assets check`: what was looked at, whether it is as it should be, what to do otherwise.

    A finding that is `ok` may still carry a hint: that is a warning (a role that could write, TLS that is off).
    """

    ok: bool
    what: str
    hint: str = ""
    about: Literal["", "reading", "writing", "file"] = ""  # "writing": the user could change something in the database


class Source(Protocol):
    """Where rows come from. Reads only; every read is one consistent snapshot."""

    name: str

    def describe(self) -> Schema: ...

    def read(
        self, partition: Partition | None = None, since: object | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[Batch]:
        """Yield the rows of `partition` (all without one), or those with watermark >= `since`.

        With `columns`, only those, in the order of `describe`: what nobody uses costs neither time nor memory.
        """
        ...

    def observe(self, partition: Partition | None = None) -> Observation: ...

    def close(self) -> None: ...


class Mode(StrEnum):
    """What the target looks like after a run (DESIGN 2)."""

    FULL = "full"
    INCREMENTAL = "incremental"
    OVERWRITE = "overwrite"
    CLONE = "clone"
    APPEND = "append"


class Delivery(StrEnum):
    """What a target promises about repeats (DESIGN 3)."""

    LEDGER = "ledger"
    TOKEN = "token"  # noqa: S105
    KEY = "key"
    APPEND = "append"


# A canonical value: what two sides are compared by. None is the one empty value; a text is stripped of nothing.
Canonical = None | str | int | float | bool | tuple[Any, ...]
Canonise = Callable[[Any], Canonical]
CanoniseColumn = Callable[[Sequence[Any]], Sequence[Canonical]]  # the same for many values of one column


class Record(NamedTuple):
    """One record of the target: its id and the canonical values of the mapped fields, in mapping order.

    `extra` names unmapped writable fields that hold something (only filled where the mode clears them).
    """

    id: str
    values: tuple[Canonical, ...]
    extra: tuple[str, ...] = ()


class Outcome(StrEnum):
    CREATED = "created"
    UPDATED = "updated"
    UNCHANGED = "unchanged"
    REJECTED = "rejected"
    DELETED = "deleted"


@dataclass(slots=True)
class Counts:
    """Rows per outcome. ``read = created + updated + unchanged + rejected`` holds for every finished run."""

    read: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    rejected: int = 0
    deleted: int = 0

    @property
    def balanced(self) -> bool:
        return self.read == self.created + self.updated + self.unchanged + self.rejected

    def __add__(self, other: Counts) -> Counts:
        return Counts(*(getattr(self, n) + getattr(other, n) for n in Counts.__slots__))


@dataclass(frozen=True, slots=True)
class Rejected:
    """A row that was set aside: which one, where, why. Never its values besides the key."""

    key: str
    digest: str  # of the canonical row: the row is tried again when this changes
    field: str
    code: str
    reason: str
    partition: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """One line of the sample of changes that reports and plans show. Shown only to people who may see the data."""

    outcome: Outcome
    key: str
    fields: tuple[str, ...] = ()


@dataclass(slots=True)
class Report:
    """What a run did, for metadata, the command line and the checks."""

    sync: str
    mode: Mode
    delivery: Delivery
    partitions: Mapping[str, Counts] = field(default_factory=dict)  # key "" without partitions
    failed: Mapping[str, SyncErrorInfo] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    requests: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    seconds: float = 0.0
    equal: bool | None = None  # target equals source for what the run claims; None: could not be told
    differences: tuple[str, ...] = ()
    duplicates: int = 0  # source rows dropped by the duplicate policy
    changes: tuple[Change, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    notes: tuple[str, ...] = ()  # things a person should know: fields created, types that differ, guards
    drift: tuple[str, ...] = ()  # differences in structure between a source table and its target, mended or not
    schema: Schema = ()
    link: str = ""

    @property
    def rows_per_second(self) -> float:
        return self.counts.read / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True)
class SyncErrorInfo:
    """An error as text that may be kept: which class decides what happens next."""

    kind: str  # stop | retry | reject
    message: str


class Progress(Protocol):
    """Told while long work runs; prints a bar or logs a line. `total` is None while it is unknown."""

    def __call__(self, stage: str, done: int, total: int | None) -> None: ...


def silent(stage: str, done: int, total: int | None) -> None:
    """A progress that says nothing."""
