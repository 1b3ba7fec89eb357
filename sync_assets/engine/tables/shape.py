"""What a table looks like, whichever database it is in. Values only; reads nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from sync_assets.engine.model import ColumnType


@dataclass(frozen=True, slots=True, order=True)
class TableName:
    """`schema` is a schema in PostgreSQL, a database in MySQL, ``main`` in SQLite."""

    schema: str
    name: str

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


class TableKind(StrEnum):
    """What stands behind a name. Only TABLE and PARTITIONED can be written; the others can only be read."""

    TABLE = "table"
    PARTITIONED = "partitioned table"
    VIEW = "view"
    FOREIGN = "foreign table"


@dataclass(frozen=True, slots=True)
class ColumnShape:
    """One column, in words that mean the same for all databases, and in its database's own (`native`)."""

    name: str
    type: ColumnType
    native: str  # as in a CREATE TABLE there: "numeric(12,2)", "int unsigned"
    nullable: bool = True
    bits: int | None = None  # of integers (8, 16, 24, 32, 64) and floats (32, 64)
    unsigned: bool = False
    length: int | None = None  # characters of a text, bytes of a blob, None without a limit
    precision: int | None = None  # digits of a decimal; digits after the second of a time
    scale: int | None = None
    fixed: bool = False  # char(n), binary(n): padded
    with_zone: bool = False  # of TIME: PostgreSQL's timetz
    options: tuple[str, ...] = ()  # of an enum or set
    default: str | None = None  # an expression of its own database
    generated: str | None = None  # an expression; such a column is never written
    identity: str = ""  # "", "always" or "default"; MySQL's AUTO_INCREMENT is "default"
    collation: str = ""  # only where it is not the database's default
    utf8: bool = False  # its texts are known to be kept in UTF-8 (each column of MySQL has its own character set)
    comment: str = ""
    number: int = 0  # the database's own number of the column, where it outlives a rename (PostgreSQL)

    def renamed(self, name: str) -> ColumnShape:
        return replace(self, name=name)


@dataclass(frozen=True, slots=True)
class Index:
    """A plain index on whole columns. Others (expressions, conditions, special methods) have only a `definition`."""

    name: str
    columns: tuple[str, ...]
    unique: bool = False
    plain: bool = True
    definition: str = ""


@dataclass(frozen=True, slots=True)
class ForeignKey:
    name: str
    columns: tuple[str, ...]
    to: TableName
    to_columns: tuple[str, ...]
    on_delete: str = ""  # "CASCADE", ...; empty: no action
    on_update: str = ""
    rules_seen: bool = True  # False: this user may not see what it does on delete and update


@dataclass(frozen=True, slots=True)
class TableShape:
    """A table as its database's catalogue tells it. `rows` and `bytes` are estimates."""

    name: TableName
    columns: tuple[ColumnShape, ...]
    kind: TableKind = TableKind.TABLE
    key: tuple[str, ...] = ()  # the primary key
    unique: tuple[tuple[str, ...], ...] = ()  # other keys without NULLs
    indexes: tuple[Index, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    checks: tuple[str, ...] = ()  # expressions of its own database
    engine: str = ""  # MySQL's storage engine
    comment: str = ""
    rows: int = 0
    bytes: int = 0

    def column(self, name: str) -> ColumnShape | None:
        return next((c for c in self.columns if c.name == name), None)

    @property
    def writable(self) -> tuple[ColumnShape, ...]:
        """The columns that rows are written to: all but the generated ones."""
        return tuple(c for c in self.columns if c.generated is None)


@dataclass(frozen=True, slots=True)
class TableEntry:
    """A line of a database's list of tables."""

    name: TableName
    kind: TableKind
    rows: int = 0
    bytes: int = 0
    references: tuple[TableName, ...] = ()  # tables that its foreign keys point to
