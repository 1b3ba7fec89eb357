"""From wanted tables to a design: what all databases share. Each database's `ddl.py` brings its own words.

Pure: shapes in, statements and sentences out. Knows no SQL but through a `Grammar`, and no connection.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from sync_assets.databases.defaults import Default, parse
from sync_assets.engine.errors import Stop
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.drift import Difference, Kind, Native, compare
from sync_assets.engine.tables.shape import ColumnShape, ForeignKey, Index, TableKind, TableName, TableShape
from sync_assets.engine.tables.writing import Design, Policy, Wanted

Rule = Callable[[ColumnShape, str], Native | None]  # a column of a source of this dialect, as it would be here


@dataclass(frozen=True, slots=True)
class Made:
    """A wanted column in the target's words. `default` is SQL of the target; `identity`: it counts by itself."""

    native: Native
    default: str = ""
    identity: bool = False
    comment: str = ""
    lost_default: bool = False

    @property
    def keeps_collation(self) -> bool:
        return bool(self.native.shape.collation) and _folds(self.native.shape.collation)

    @property
    def name(self) -> str:
        return self.native.shape.name


@dataclass(frozen=True, slots=True)
class Table:
    """A wanted table in the target's words. `unique`: the key is no primary key, since the source's is another."""

    name: TableName
    columns: tuple[Made, ...]
    key: tuple[str, ...]
    unique: bool = False
    references: tuple[ForeignKey, ...] = ()
    comment: str = ""


class Grammar(Protocol):
    """What a database's `ddl.py` brings. All statements can be run again; names are quoted in here."""

    @property
    def folded(self) -> bool:
        """Whether names of columns that differ by case only are one name."""
        ...

    def columns(self, wanted: Wanted, source_dialect: str, indexed: frozenset[str]) -> Sequence[Native]:
        """The wanted columns, in order. `indexed`: those that need a type which an index takes. Raises `Stop`."""
        ...

    def name_trouble(self, name: str) -> str:
        """Why this cannot be the name of a table or column here; empty if it can."""
        ...

    def default(self, default: Default, native: Native) -> str:
        """The default as SQL; empty where this database has no such thing."""
        ...

    def counts(self, made: Native, table: Wanted) -> bool:
        """Whether the column can count by itself here."""
        ...

    def create(self, table: Table) -> Sequence[str]: ...

    def add(self, table: TableName, made: Made) -> Sequence[str]: ...

    def alter(self, table: TableName, difference: Difference) -> Sequence[str]:
        """For WIDENED, NULLABILITY and RENAMED. Empty: this database cannot do that to a table that is there."""
        ...

    def index(self, table: TableName, name: str, columns: Sequence[str], unique: bool) -> Sequence[str]: ...

    def index_trouble(self, columns: Sequence[Native]) -> str:
        """Why these columns cannot be indexed here; empty if they can."""
        ...

    @property
    def exact_references(self) -> bool:
        """Whether both ends of a foreign key must be integers of one size."""
        ...

    def foreign_key(self, table: TableName, key: ForeignKey) -> Sequence[str]:
        """For a table that is there already. Empty: only new tables get theirs (`Table.references`)."""
        ...

    def position(self, table: TableName, column: str) -> Sequence[str]:
        """Set a counting column to go on after the largest value. Empty: it does so by itself."""
        ...

    def object_name(self, table: TableName, name: str) -> str:
        """A name for an index or foreign key `name` of `table`, as short and as unique as must be."""
        ...


@dataclass(slots=True)
class _Draft:
    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)  # foreign keys: after everything else
    losses: list[str] = field(default_factory=list)
    stops: list[str] = field(default_factory=list)
    drift: list[str] = field(default_factory=list)


def design(
    grammar: Grammar,
    wanted: Sequence[Wanted],
    existing: Mapping[TableName, TableShape],
    source_dialect: str,
    policy: Policy,
) -> Design:
    """What must be done so that the target holds `wanted`. Raises `Stop` naming what it cannot hold at all."""
    draft = _Draft()
    targets = {w.source.name: w for w in wanted}
    for one in wanted:
        _table(grammar, draft, one, existing, source_dialect, policy, targets)
    after = (*draft.after, *draft.late)
    return Design(tuple(draft.before), after, tuple(draft.losses), tuple(draft.stops), tuple(draft.drift))


def _table(
    grammar: Grammar,
    draft: _Draft,
    one: Wanted,
    existing: Mapping[TableName, TableShape],
    dialect: str,
    policy: Policy,
    targets: Mapping[TableName, Wanted],
) -> None:
    here = existing.get(one.table)
    if here is not None and here.kind not in (TableKind.TABLE, TableKind.PARTITIONED):
        raise Stop(f"{one.table} is a {here.kind}: rows cannot be written to it",
                   hint="drop it, or give the sync another table with into:")  # fmt: skip
    _names(grammar, one)
    keys = list(_foreign_keys(one, targets, existing))
    if grammar.exact_references:
        uneven = [key for key in keys if not _even(one, key, targets, existing)]
        draft.losses += [
            f"{one.table}: foreign key {k.name}: both ends must be integers of one size here" for k in uneven
        ]
        keys = [key for key in keys if key not in uneven]
    columns = tuple(_made(grammar, n, one, dialect) for n in grammar.columns(one, dialect, _indexed(one, keys)))
    draft.losses += _losses(one, columns, dialect, targets)
    if here is None:
        _new(grammar, draft, one, columns, keys)
    else:
        _mend(grammar, draft, one, columns, here, policy)
    if here is None or policy == "apply":
        _afterwards(grammar, draft, one, columns, here, keys)


# -- words ----------------------------------------------------------------------------------------------------------


def _names(grammar: Grammar, one: Wanted) -> None:
    """Raises `Stop` for a name that the target does not take, or takes for another one."""
    for what, name in [("table", one.table.name), *(("column", c.name) for c in one.columns)]:
        trouble = grammar.name_trouble(name)
        if trouble:
            raise Stop(f"{one.table}: the name of {what} {name!r} {trouble}", hint=_other_name(what))
    if grammar.folded:
        seen: dict[str, str] = {}
        for column in one.columns:
            other = seen.setdefault(column.name.casefold(), column.name)
            if other != column.name:
                raise Stop(f"{one.table}: columns {other} and {column.name} are one name here", hint=_other_name(""))


def _other_name(what: str) -> str:
    return "give another table with into:" if what == "table" else "rename one with columns: {NAME: {field: OTHER}}"


def refused(one: Wanted, column: str, native: str) -> Stop:
    """For a type that no rule says how to keep."""
    return Stop(
        f"{one.source.name}: column {column} is of type {native}, which has no counterpart here",
        hint=f"leave it out: columns: {{{column}: {{skip: true}}}}; or read it by a query that casts it",
        code="no_mapping",
    )


def _losses(one: Wanted, columns: Sequence[Made], dialect: str, targets: Mapping[TableName, Wanted]) -> Iterator[str]:
    for made, column in zip(columns, one.columns, strict=True):
        for loss in _lost_of(made, column, dialect, made.name in one.key):
            yield f"{one.table}.{made.name}: {loss}"
    yield from _lost_parts(one, targets)


def _lost_of(made: Made, column: ColumnShape, dialect: str, in_key: bool) -> Iterator[str]:
    if made.native.loss:
        yield made.native.loss
    if column.generated is not None:
        yield "is computed in the source, and a plain column here"
    elif made.lost_default:
        yield "does not count by itself here" if column.identity else "its default is not carried over"
    texts = column.type is ColumnType.TEXT and made.native.shape.type is ColumnType.TEXT
    if dialect == "mysql" and in_key and texts and _folds(column.collation) and not made.keeps_collation:
        yield "keys that differ by case or accent only are different here"


def _folds(collation: str) -> bool:
    return not collation.endswith(("_bin", "_cs", "_as_cs", "binary"))


def _lost_parts(one: Wanted, targets: Mapping[TableName, Wanted]) -> Iterator[str]:
    for check in one.source.checks:
        yield f"{one.table}: a check is not carried over: {check[:200]}"
    for index in one.source.indexes:
        if not index.plain:
            yield f"{one.table}: index {index.name} is of a special kind and not carried over"
    for key in one.source.foreign_keys:
        if key.to not in targets and key.to not in one.beside:
            yield f"{one.table}: foreign key {key.name} points to {key.to}, which is not copied"
        elif not key.rules_seen:
            yield (f"{one.table}: what foreign key {key.name} does on delete and update cannot be seen by this user of"
                   " the source: it does nothing here")  # fmt: skip


# -- one table ------------------------------------------------------------------------------------------------------


def _made(grammar: Grammar, native: Native, one: Wanted, dialect: str) -> Made:
    column = next(c for c in one.columns if c.name == native.shape.name)
    default = parse(column.default, dialect) if column.default is not None else Default("null")
    counts = bool(column.identity) or default.kind == "sequence"
    identity = counts and grammar.counts(native, one)
    sql = "" if counts or column.generated is not None else grammar.default(default, native)
    lost = default.kind != "null" and not sql if not counts else not identity
    nullable = column.nullable and column.name not in one.key
    native = replace(native, shape=replace(native.shape, nullable=nullable, default=sql or None))
    return Made(native, sql, identity, column.comment, lost)


def _indexed(one: Wanted, keys: Sequence[ForeignKey]) -> frozenset[str]:
    """Columns whose type must be one that an index takes: of the key, and on both ends of foreign keys."""
    names = {*one.key}
    for key in keys:
        names.update(key.columns)
    for unique in one.source.unique:
        names.update(_there(one, unique) or ())
    for index in one.source.indexes:
        if index.plain and index.unique:
            names.update(_there(one, index.columns) or ())
    return frozenset(names)


def _there(one: Wanted, columns: Sequence[str]) -> tuple[str, ...] | None:
    """Names of the source as the target's; None when one of them is not copied."""
    copied = {c.name for c in one.columns}
    found = tuple(one.names.get(c, c) for c in columns)
    return found if set(found) <= copied else None


def _foreign_keys(
    one: Wanted, targets: Mapping[TableName, Wanted], existing: Mapping[TableName, TableShape]
) -> Iterator[ForeignKey]:
    """Those to tables of this run, and to tables beside it that are there with such a key."""
    for key in one.source.foreign_keys:
        columns = _there(one, key.columns)
        to = targets.get(key.to)
        if to is None:
            beside = existing.get(one.beside.get(key.to, key.to)) if key.to in one.beside else None
            if beside is not None and columns and key.to_columns in (beside.key, *beside.unique):
                yield replace(key, columns=columns, to=beside.name)
        elif columns and (to_columns := _there(to, key.to_columns)):
            yield replace(key, columns=columns, to=to.table, to_columns=to_columns)


def _even(
    one: Wanted, key: ForeignKey, targets: Mapping[TableName, Wanted], existing: Mapping[TableName, TableShape]
) -> bool:
    to = next((w.columns for w in targets.values() if w.table == key.to), None)
    theirs = {c.name: c.bits for c in (existing[key.to].columns if to is None else to)}
    mine = {c.name: c.bits for c in one.columns}
    return all(mine[a] == theirs.get(b) for a, b in zip(key.columns, key.to_columns, strict=True))


def concerned(wanted: Sequence[Wanted]) -> list[TableName]:
    """The tables of the target that a design looks at: those wanted, and those that foreign keys point to beside."""
    return sorted({w.table for w in wanted} | {to for w in wanted for to in w.beside.values()})


def _new(grammar: Grammar, draft: _Draft, one: Wanted, columns: Sequence[Made], keys: Sequence[ForeignKey]) -> None:
    natives = [c.native for c in columns if c.name in one.key]
    trouble = grammar.index_trouble(natives) if natives else ""
    if trouble:
        raise Stop(f"{one.table}: the key ({', '.join(one.key)}) {trouble}", hint="name another key with key:")
    nullable = any(c.nullable for c in one.columns if c.name in one.key)
    unique = nullable and _there(one, one.source.key) != one.key
    draft.before += grammar.create(Table(one.table, tuple(columns), one.key, unique, tuple(keys), one.source.comment))


def _mend(
    grammar: Grammar, draft: _Draft, one: Wanted, columns: Sequence[Made], here: TableShape, policy: Policy
) -> None:
    made = {c.name: c for c in columns}
    for difference in compare([c.native for c in columns], one.key, here, folded=grammar.folded):
        draft.drift.append(f"{one.table}: {difference.words}")
        statements = _mending(grammar, one.table, made, difference) if difference.safe else []
        kept = difference.kind is Kind.DROPPED and difference.safe
        if policy == "apply" and (statements or kept):
            draft.before += statements
        elif policy != "ignore" or not _works_without(difference):
            draft.stops.append(f"{one.table}: {difference.words}; {_advice(difference, policy)}")


def _mending(grammar: Grammar, table: TableName, made: Mapping[str, Made], difference: Difference) -> Sequence[str]:
    if difference.kind is Kind.DROPPED:
        return ()
    if difference.kind is Kind.ADDED:
        return grammar.add(table, made[difference.column])
    return grammar.alter(table, difference)


def _works_without(difference: Difference) -> bool:
    """Under policy ignore: whether rows can be written as long as their values happen to fit."""
    if difference.kind is Kind.DROPPED:
        return difference.safe
    return difference.kind not in (Kind.ADDED, Kind.RENAMED, Kind.RETYPED)


_ADVICE = {
    Kind.ADDED: "add the column, or leave it out with columns: {NAME: {skip: true}}",
    Kind.DROPPED: "give it a default, or drop it",
    Kind.RENAMED: "rename it here, or say columns: {NAME: {field: OTHER}}",
    Kind.WIDENED: "widen it here",
    Kind.NARROWED: "give it a type here that takes both",
    Kind.RETYPED: "change its type here after a look at the values, or leave it out",
    Kind.NULLABILITY: "drop NOT NULL here, or keep NULL out with where:",
    Kind.KEY: "change the primary key here, or name its columns with key:",
}


def _advice(difference: Difference, policy: Policy) -> str:
    safe = policy == "stop" and difference.safe
    return "schema_changes: apply does that" if safe else _ADVICE[difference.kind]


# -- after the rows -------------------------------------------------------------------------------------------------


def _afterwards(
    grammar: Grammar,
    draft: _Draft,
    one: Wanted,
    columns: Sequence[Made],
    here: TableShape | None,
    keys: Sequence[ForeignKey],
) -> None:
    natives = {c.name: c.native for c in columns}
    for index, names in _indexes(one, here):
        trouble = grammar.index_trouble([natives[n] for n in names])
        if trouble:
            draft.losses.append(f"{one.table}: index {index.name} ({', '.join(names)}) {trouble}: left out")
        else:
            name = grammar.object_name(one.table, index.name)
            draft.after += grammar.index(one.table, name, names, index.unique)
    for made in columns:
        if made.identity:
            draft.after += grammar.position(one.table, made.name)
    have = {(k.columns, k.to) for k in here.foreign_keys} if here else set()
    for key in keys:
        if (key.columns, key.to) not in have:
            name = grammar.object_name(one.table, key.name)
            draft.late += grammar.foreign_key(one.table, replace(key, name=name))


def _indexes(one: Wanted, here: TableShape | None) -> Iterator[tuple[Index, tuple[str, ...]]]:
    """Plain indexes that are missing, with the columns as the target calls them."""
    have = {(i.columns, i.unique) for i in here.indexes} if here else set()
    have |= {(c, True) for c in (here.unique if here else ())}
    seen = {(one.key, True)} | have | ({(here.key, True)} if here else set())
    for index in (*one.source.indexes, *_constraints(one.source)):
        names = _there(one, index.columns)
        if index.plain and names and (names, index.unique) not in seen:
            seen.add((names, index.unique))
            yield index, names


def _constraints(source: TableShape) -> Iterator[Index]:
    """Other keys of the source that its list of indexes does not tell."""
    for columns in source.unique:
        yield Index("_".join(columns) + "_key", columns, unique=True)


# -- names ----------------------------------------------------------------------------------------------------------


def shortened(name: str, limit: int) -> str:
    """`name`, or as much of it as fits `limit` bytes with a digest of the whole."""
    if len(name.encode()) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name.encode()[: limit - 9].decode(errors='ignore')}_{digest}"


def prefixed(table: TableName, name: str, limit: int) -> str:
    """A name that is unique beside those of other tables."""
    return shortened(name if name.startswith(table.name) else f"{table.name}_{name}", limit)
