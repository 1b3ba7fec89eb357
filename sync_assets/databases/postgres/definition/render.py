"""Statements that make tables, sequences, constraints and indexes. Pure: values in, SQL out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from sync_assets.databases.postgres.definition.names import Name, Token, literal, tokens
from sync_assets.databases.postgres.definition.parts import (
    Column,
    Constraint,
    Index,
    Sequence,
    Statistic,
    Structure,
    Table,
)
from sync_assets.databases.postgres.definition.things import comment
from sync_assets.databases.quoting import quoted

_STORAGE = {"p": "plain", "e": "external", "m": "main", "x": "extended"}
_COMPRESSION = {"p": "pglz", "l": "lz4"}
_IDENTITY = {"a": "always", "d": "by default"}


# -- sequences


def create_sequence(sequence: Sequence) -> str:
    unlogged = "unlogged " if sequence.unlogged else ""
    return (
        f"create {unlogged}sequence if not exists {sequence.name.sql} as {sequence.type} {sequence_options(sequence)}"
    )


def sequence_options(sequence: Sequence) -> str:
    start, increment, minimum, maximum, cache, cycle = sequence.options
    return (
        f"increment by {increment} minvalue {minimum} maxvalue {maximum} start with {start} cache {cache}"
        f"{'' if cycle else ' no'} cycle"
    )


def owned_by(sequence: Sequence) -> str:
    owner = f"{sequence.table.sql}.{quoted(sequence.column)}" if sequence.table else "none"
    return f"alter sequence {sequence.name.sql} owned by {owner}"


def set_position(sequence: Sequence) -> str:
    name = literal(sequence.name.sql)
    return f"select pg_catalog.setval({name}, {sequence.position}, {str(sequence.called).lower()})"


# -- tables


def create_table(table: Table, structure: Structure, identities: Mapping[tuple[Name, str], Sequence]) -> list[str]:
    """The statements for a table, its columns' settings included; comments are apart."""
    head = f"create {'unlogged ' if table.unlogged and table.kind == 'r' else ''}table if not exists {table.name.sql}"
    parent = structure.tables[table.parents[0]] if table.parents else None
    if table.partition and parent and _same_order(table, parent):
        made = [f"{head} partition of {parent.name.sql} {table.bound}{_tail(table)}", *_overrides(table, parent)]
    elif table.partition and parent:
        made = [f"{head} ({_columns(table.columns, table, {})}){_tail(table)}", attach(table, parent.name)]
    else:
        local = [c for c in table.columns if c.local]
        heirs = f" inherits ({', '.join(p.sql for p in table.parents)})" if table.parents else ""
        made = [f"{head} ({_columns(local, table, identities)}){heirs}{_tail(table)}"]
        for name in reversed(table.parents):
            made += _overrides(table, structure.tables[name])
    return made + [text for c in table.columns for text in column_settings(table.name, c)] + _replica(table)


def attach(table: Table, parent: Name) -> str:
    return f"alter table only {parent.sql} attach partition {table.name.sql} {table.bound}"


def _same_order(table: Table, parent: Table) -> bool:
    return [c.name for c in table.columns] == [c.name for c in parent.columns]


def _columns(columns: Iterable[Column], table: Table, identities: Mapping[tuple[Name, str], Sequence]) -> str:
    lines = [column_sql(c, identities.get((table.name, c.name))) for c in columns]
    return "\n  " + ",\n  ".join(lines) + "\n" if lines else ""


def _tail(table: Table) -> str:
    text = f" partition by {table.partition_key}" if table.partition_key else ""
    text += f" using {quoted(table.method)}" if table.method else ""
    return text + (f" with ({options_sql(table.options)})" if table.options else "")


def options_sql(options: Iterable[str]) -> str:
    pairs = (o.partition("=") for o in options)
    return ", ".join(f"{key} = {literal(value)}" for key, _, value in pairs)


def _overrides(table: Table, parent: Table) -> list[str]:
    """Where a child differs from its parent in columns that it has from it."""
    made = []
    for column in table.columns:
        above = parent.column(column.name)
        if above is None or column.generated or (column.local and not table.partition):
            continue
        if column.expression != above.expression:
            made.append(set_default(table.name, column))
        if column.not_null and not above.not_null:
            made.append(f"{_alter(table.name, column)} set not null")
    return made


def column_sql(column: Column, identity: Sequence | None) -> str:
    text = f"{quoted(column.name)} {column.type}"
    text += f" collate {column.collation}" if column.collation else ""
    text += _filled(column, identity)
    return text + (" not null" if column.not_null else "")


def _filled(column: Column, identity: Sequence | None) -> str:
    if column.generated:
        return f" generated always as ({column.expression}) {'stored' if column.generated == 's' else 'virtual'}"
    if column.identity and identity:
        return f" generated {_IDENTITY[column.identity]} as identity ({identity_options(identity)})"
    return f" default {column.expression}" if column.expression else ""


def identity_options(identity: Sequence) -> str:
    return f"sequence name {identity.name.sql} {sequence_options(identity)}"


def _alter(table: Name, column: Column) -> str:
    return f"alter table only {table.sql} alter column {quoted(column.name)}"


def set_default(table: Name, column: Column) -> str:
    return f"{_alter(table, column)} " + (f"set default {column.expression}" if column.expression else "drop default")


def set_identity(table: Name, column: Column) -> str:
    return f"alter table {table.sql} alter column {quoted(column.name)} set generated {_IDENTITY[column.identity]}"


def add_identity(table: Name, column: Column, identity: Sequence) -> str:
    how = f"add generated {_IDENTITY[column.identity]} as identity ({identity_options(identity)})"
    return f"alter table {table.sql} alter column {quoted(column.name)} {how}"


def set_null(table: Name, column: Column) -> str:
    word = "set" if column.not_null else "drop"
    return f"alter table {table.sql} alter column {quoted(column.name)} {word} not null"


def set_type(table: Name, column: Column) -> str:
    collate = f" collate {column.collation}" if column.collation else ""
    return f"alter table {table.sql} alter column {quoted(column.name)} type {column.type}{collate}"


def add_column(table: Name, column: Column, identity: Sequence | None) -> str:
    return f"alter table {table.sql} add column if not exists {column_sql(column, identity)}"


def column_settings(table: Name, column: Column) -> list[str]:
    """How a column is stored and looked at, where that is not as its type has it."""
    made = []
    if column.storage:
        made.append(f"{_alter(table, column)} set storage {_STORAGE[column.storage]}")
    if column.compression:
        made.append(f"{_alter(table, column)} set compression {_COMPRESSION[column.compression]}")
    if column.statistics is not None:
        made.append(f"{_alter(table, column)} set statistics {column.statistics}")
    if column.options:
        made.append(f"{_alter(table, column)} set ({options_sql(column.options)})")
    return made


def _replica(table: Table) -> list[str]:
    word = {"n": "nothing", "f": "full"}.get(table.replica)
    return [f"alter table only {table.name.sql} replica identity {word}"] if word else []


def set_replica(table: Table) -> list[str]:
    return _replica(table) or [f"alter table only {table.name.sql} replica identity default"]


def comments(table: Table) -> list[str]:
    made = [comment(f"table {table.name.sql}", table.comment)] if table.comment else []
    return made + [comment(on_column(table.name, c), c.comment) for c in table.columns if c.comment]


def on_column(table: Name, column: Column) -> str:
    return f"column {table.sql}.{quoted(column.name)}"


# -- constraints, indexes, statistics


def add_constraint(constraint: Constraint, table: Table) -> list[str]:
    """Keys of partitioned tables are made on each alone and then attached: that keeps all their names."""
    alone = constraint.type in "pux" and table.kind == "p"
    only = "only " if alone or (constraint.type in "pux" and table.partition) else ""
    made = [
        f"alter table {only}{constraint.table.sql} add constraint {quoted(constraint.name)} {constraint.definition}"
    ]
    if constraint.parent_index:
        made.append(_attach_index(table.parents[0], constraint.parent_index, constraint.table, constraint.index))
    return made


def _attach_index(parent_table: Name, parent: Name, table: Name, name: str) -> str:
    above, below = Name(parent_table.schema, parent.name), Name(table.schema, name)
    return f"alter index {above.sql} attach partition {below.sql}"


def create_index(index: Index, table: Table) -> list[str]:
    text = re.sub(r"^CREATE (UNIQUE )?INDEX ", r"CREATE \1INDEX IF NOT EXISTS ", index.definition)
    made = [text]
    if index.parent:
        made.append(_attach_index(table.parents[0], index.parent, index.table, index.name))
    name = Name(index.table.schema, index.name)
    return made + [f"alter index {name.sql} alter column {n} set statistics {t}" for n, t in index.statistics]


def index_marks(table: Table, name: str, clustered: bool, replica: bool) -> list[str]:
    made = [f"alter table {table.name.sql} cluster on {quoted(name)}"] if clustered else []
    if replica:
        made.append(f"alter table only {table.name.sql} replica identity using index {quoted(name)}")
    return made


def create_statistics(statistic: Statistic) -> list[str]:
    made = [re.sub(r"^CREATE STATISTICS ", "CREATE STATISTICS IF NOT EXISTS ", statistic.definition)]
    if statistic.target is not None:
        made.append(f"alter statistics {statistic.name.sql} set statistics {statistic.target}")
    return made


def nameless(definition: str) -> str:
    """The definition of an index or of statistics without the name it has."""
    head, _, tail = _around_name(definition)
    return " ".join(t.text for t in (*head, *tail) if t.kind != "space")


def named(definition: str, name: Name) -> str:
    """The definition of an index (which has its table's schema: none is given) or of statistics under another name."""
    head, gap, tail = _around_name(definition)
    new = name.sql if name.schema else quoted(name.name)
    return "".join(t.text for t in (*head, *gap)) + new + "".join(t.text for t in tail)


def _around_name(definition: str) -> tuple[list[Token], list[Token], list[Token]]:
    """What is before the name (without blanks at its end), those blanks, and what is behind the name."""
    found = list(tokens(definition))
    at = next((i for i, t in enumerate(found) if t.text in ("INDEX", "STATISTICS")), -1)
    name = next((i for i in range(at + 1, len(found)) if found[i].kind != "space"), len(found))
    end = name + 3 if name + 2 < len(found) and found[name + 1].text == "." else name + 1
    return found[: at + 1], found[at + 1 : name], found[end:]
