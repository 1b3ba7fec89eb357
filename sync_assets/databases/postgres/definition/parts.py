"""The parts of a structure as values, named as in the target. Must not know how they are read or rendered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sync_assets.databases.postgres.definition.names import Name


@dataclass(frozen=True, slots=True)
class Sequence:
    """A sequence. `table` and `column` own it; with `identity` it is made with the column."""

    name: Name
    type: str
    start: int
    increment: int
    minimum: int
    maximum: int
    cache: int
    cycle: bool
    unlogged: bool
    comment: str
    table: Name | None = None
    column: str = ""
    identity: bool = False
    ours: bool = True
    readable: bool = True
    position: int | None = None  # None: unknown
    called: bool = False  # whether `position` has been handed out
    elsewhere: bool = False  # a column of a table that was not asked for owns it

    @property
    def options(self) -> tuple[int, int, int, int, int, bool]:
        return (self.start, self.increment, self.minimum, self.maximum, self.cache, self.cycle)


@dataclass(frozen=True, slots=True)
class Column:
    """A column. `expression` is the default, or what it is generated from. Empty texts: the type's own setting."""

    number: int
    name: str
    type: str
    not_null: bool
    identity: str  # "", "a" always, "d" by default
    generated: str  # "", "s" stored, "v" virtual
    expression: str
    collation: str
    storage: str
    compression: str
    statistics: int | None
    options: tuple[str, ...]
    local: bool  # false: there only because a parent has it
    comment: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table or partitioned table. `owned` says whether we may alter it."""

    name: Name
    kind: str  # "r" table, "p" partitioned; of a target also what is in the way: v, m, f, ...
    unlogged: bool
    partition: bool
    bound: str
    partition_key: str
    options: tuple[str, ...]
    method: str  # access method, where it is not heap
    replica: str  # d default, n nothing, f full, i index
    row_security: bool
    forced: bool
    typed: bool
    tablespace: str
    parents: tuple[Name, ...]
    comment: str
    owned: bool
    columns: tuple[Column, ...] = ()

    def column(self, name: str) -> Column | None:
        return next((c for c in self.columns if c.name == name), None)


@dataclass(frozen=True, slots=True)
class Constraint:
    """p primary key, u unique, x exclusion, c check, f foreign key. `index` stands behind p, u and x."""

    table: Name
    name: str
    type: str
    definition: str
    columns: tuple[str, ...]
    to: Name | None
    local: bool
    validated: bool
    index: str
    parent_index: Name | None
    clustered: bool
    replica: bool
    comment: str


@dataclass(frozen=True, slots=True)
class Index:
    table: Name
    name: str
    definition: str
    columns: tuple[str, ...]
    unique: bool
    valid: bool
    parent: Name | None
    clustered: bool
    replica: bool
    partitioned: bool
    comment: str
    statistics: tuple[tuple[str, str], ...]  # number of the index's column, target


@dataclass(frozen=True, slots=True)
class Statistic:
    table: Name
    name: Name
    definition: str
    columns: tuple[str, ...]
    target: int | None
    comment: str


@dataclass(frozen=True, slots=True)
class Thing:
    """A type, function, collation, extension, view or the like: what it is called, and how it is made.

    `label` is as in COMMENT ON and in messages: ``type "public"."mood"``. `create` compares two of them. `parts` are
    comments on parts of it. `labels` are those of an enum.
    """

    kind: str
    name: Name
    label: str
    create: tuple[str, ...]
    comment: str = ""
    parts: tuple[tuple[str, str], ...] = ()
    labels: tuple[str, ...] = ()
    owned: bool = True


@dataclass(frozen=True, slots=True)
class Structure:
    """Tables and all that belongs to them. `order` are the things in the order in which they can be made, tables and
    free sequences among them as their names. `former` says for tables of the target what they are in the source."""

    tables: Mapping[Name, Table] = field(default_factory=dict)
    sequences: Mapping[Name, Sequence] = field(default_factory=dict)
    constraints: Mapping[tuple[Name, str], Constraint] = field(default_factory=dict)
    indexes: Mapping[tuple[Name, str], Index] = field(default_factory=dict)
    statistics: Mapping[Name, Statistic] = field(default_factory=dict)
    things: Mapping[str, Thing] = field(default_factory=dict)  # by label
    order: tuple[str, ...] = ()  # labels of things, tables and sequences
    schemas: Mapping[str, str] = field(default_factory=dict)  # comments on them
    losses: tuple[str, ...] = ()
    former: Mapping[Name, Name] = field(default_factory=dict)
