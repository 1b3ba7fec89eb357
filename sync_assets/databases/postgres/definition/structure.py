"""Reads the whole structure that is wanted from the source, and what the target has of it, as values in new names.

Says what is left out and why. Must not know statements of tables, nor compare.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sync_assets.databases.postgres.definition import catalogue, closure, parts, things
from sync_assets.databases.postgres.definition.catalogue import Ask, Scope
from sync_assets.databases.postgres.definition.names import Name, plain, tokens
from sync_assets.databases.postgres.definition.parts import (
    Column,
    Constraint,
    Index,
    Statistic,
    Structure,
    Table,
    Thing,
)
from sync_assets.databases.postgres.definition.scope import is_virtual, schema_moves, scope_of, without_table
from sync_assets.databases.quoting import quoted
from sync_assets.engine.errors import Stop
from sync_assets.engine.tables.writing import Wanted


@dataclass(slots=True)
class _Found:
    tables: dict[Name, Table]
    constraints: dict[tuple[Name, str], Constraint] = field(default_factory=dict)
    indexes: dict[tuple[Name, str], Index] = field(default_factory=dict)
    statistics: dict[Name, Statistic] = field(default_factory=dict)
    losses: list[str] = field(default_factory=list)


def of_source(ask: Ask, wanted: Sequence[Wanted], objects: bool) -> Structure:
    """What the target should have. Raises `Stop` for what a table stands on and cannot be had."""
    scope, wishes = scope_of(ask, wanted)
    found = _Found(catalogue.tables(ask, scope))
    virtual = {scope.renaming.relation(old): w for old, w in wishes.items() if is_virtual(w)}
    extras = _extras(ask, scope, objects)
    walk = closure.walk(ask, scope, extras.functions, list(extras.views))
    had = closure.collect(ask, scope, walk, list(extras.views))
    _refuse_broken(ask, scope, had)
    _tables(ask, scope, found, virtual)
    for wish in without_table(wanted, wishes):
        _from_query(found, wish)
    _belongings(ask, scope, found, set(virtual))
    sequences = catalogue.sequences(ask, scope, had.sequences)
    _left(ask, scope, found, objects)
    _positions_lost(sequences.values(), found)
    labels, made = _order(walk, had, scope, extras, found)
    return Structure(
        found.tables, {s.name: s for s in sequences.values() if s.table is None or s.table in found.tables},
        found.constraints, found.indexes, found.statistics, made, labels,
        _schema_comments(ask, scope, made.values()), tuple(found.losses), _former(scope, virtual),
    )  # fmt: skip


def _former(scope: Scope, virtual: Collection[Name]) -> dict[Name, Name]:
    """What tables are called in the source; what was no table there has parts of its own."""
    pairs = ((scope.renaming.relation(old), old) for old in scope.tables.values())
    return {new: old for new, old in pairs if new not in virtual}


# -- tables


def _tables(ask: Ask, scope: Scope, found: _Found, virtual: Mapping[Name, Wanted]) -> None:
    uses = catalogue.generated_uses(ask, scope)
    old_names = {scope.renaming.relation(n): n for n in scope.tables.values()}
    for name, table in list(found.tables.items()):
        table = _without_foreign_parents(table, found)
        old = old_names[name]
        _refuse_lost_key(table, old, scope)
        lost = [c for c in table.columns if c.generated and scope.left_out(old, uses.get((old, c.number), []))]
        for column in lost:
            found.losses.append(f"{name}: generated column {column.name} needs a column that is left out")
        columns = tuple(c for c in table.columns if c not in lost)
        if name in virtual:
            found.losses.append(f"{name}: a {virtual[name].source.kind} of the source becomes a table")
            table = replace(table, kind="r", options=(), method="", replica="d")
        found.tables[name] = replace(table, columns=columns)
        _declare(table, found)
    for name, wish in virtual.items():
        _key(found, name, wish)


def _without_foreign_parents(table: Table, found: _Found) -> Table:
    """A partition or heir whose parent is not copied becomes a table of its own."""
    parents = tuple(p for p in table.parents if p in found.tables)
    if parents != table.parents:
        found.losses.append(f"{table.name}: its parent is not copied; it becomes a table of its own")
        table = replace(table, parents=parents, partition=False, bound="")
    above = {c.name for p in parents for c in found.tables[p].columns}
    return replace(table, columns=tuple(replace(c, local=c.local or c.name not in above) for c in table.columns))


def _refuse_lost_key(table: Table, old: Name, scope: Scope) -> None:
    """A partitioned table cannot leave out what its rows are divided by."""
    words = {plain(t.text) for t in tokens(table.partition_key) if t.kind == "ident"}
    if lost := sorted(words & scope.gone.get(old, frozenset())):
        raise Stop(
            f"{table.name}: rows are divided by column {lost[0]}, which is left out",
            hint="keep it, or create the table in the target yourself and set create: false",
        )


def _declare(table: Table, found: _Found) -> None:
    if table.tablespace:
        found.losses.append(f"{table.name}: tablespace {table.tablespace} is not copied")
    if table.row_security:
        found.losses.append(f"{table.name}: row security is not copied")
    if table.typed:
        found.losses.append(f"{table.name}: is of a composite type in the source; becomes a plain table")


def _from_query(found: _Found, wish: Wanted) -> None:
    """A table for the result of a query: columns and the key, nothing else."""
    name = Name(wish.table.schema, wish.table.name)
    columns = tuple(
        Column(at, c.name, c.native, c.name in wish.key, "", "", "", "", "", "", None, (), True, "")
        for at, c in enumerate(wish.columns, 1)
    )
    found.tables[name] = Table(
        name, "r", False, False, "", "", (), "", "d", False, False, False, "", (), "", True, columns
    )  # fmt: skip
    _key(found, name, wish)


def _key(found: _Found, name: Name, wish: Wanted) -> None:
    """What is no table in the source has no key there: the sync's becomes the target's, for upserts need one."""
    if not wish.key:
        return
    columns = ", ".join(quoted(k) for k in wish.key)
    short = name.name.encode()[:58].decode(errors="ignore") + "_pkey"  # a name has 63 bytes
    definition = f"PRIMARY KEY ({columns})"
    key = Constraint(name, short, "p", definition, wish.key, None, True, True, short, None, False, False, "")
    found.constraints[name, key.name] = key
    table = found.tables[name]
    columns_now = tuple(replace(c, not_null=c.not_null or c.name in wish.key) for c in table.columns)
    found.tables[name] = replace(table, columns=columns_now)


# -- what belongs to tables


def _belongings(ask: Ask, scope: Scope, found: _Found, virtual: set[Name]) -> None:
    for constraint, missing in catalogue.constraints(ask, scope):
        if constraint.table in virtual or _follows(constraint, found):
            continue
        if missing:
            found.losses.append(_needs("constraint", constraint.table, constraint.name, missing))
        else:
            found.constraints[constraint.table, constraint.name] = _own(constraint, found)
    for index, missing in catalogue.indexes(ask, scope):
        if missing:
            found.losses.append(_needs("index", index.table, index.name, missing))
        elif index.valid or index.partitioned:
            found.indexes[index.table, index.name] = _own_index(index, found)
        else:
            found.losses.append(f"{index.table}: index {index.name} is invalid in the source")
    for statistic, missing in catalogue.statistics(ask, scope):
        if missing:
            found.losses.append(_needs("statistics", statistic.table, str(statistic.name), missing))
        else:
            found.statistics[statistic.name] = statistic


def _follows(constraint: Constraint, found: _Found) -> bool:
    """A check that a child has only because its parent has it."""
    return constraint.type == "c" and not constraint.local and bool(found.tables[constraint.table].parents)


def _own(constraint: Constraint, found: _Found) -> Constraint:
    return constraint if found.tables[constraint.table].parents else replace(constraint, parent_index=None)


def _own_index(index: Index, found: _Found) -> Index:
    return index if found.tables[index.table].parents else replace(index, parent=None)


def _needs(what: str, table: Name, name: str, missing: Iterable[str]) -> str:
    return f"{table}: {what} {name} needs columns that are left out: {', '.join(sorted(set(missing)))}"


def _left(ask: Ask, scope: Scope, found: _Found, objects: bool) -> None:
    """What hangs on the tables and is not copied, by name and count; owners and rights, once."""
    groups: dict[str, list[str]] = {}
    for kind, schema, relation, name in ask("left", oids=scope.oids):
        if not objects or kind == "policy":
            groups.setdefault(kind, []).append(f"{schema}.{relation}" + (f".{name}" if name else ""))
    for kind, names in groups.items():
        many = {"policy": "policies"}.get(kind, kind + "s")
        found.losses.append(f"{len(names)} {many if len(names) > 1 else kind} not copied: {', '.join(names)}")
    if found.tables:
        found.losses.append("owners and rights are not copied: all belongs to the target's user")


def _positions_lost(sequences: Iterable[parts.Sequence], found: _Found) -> None:
    for sequence in sequences:
        if not sequence.readable:
            found.losses.append(f"{sequence.name}: position not copied: no right to read the sequence in the source")


# -- things


def _schema_comments(ask: Ask, scope: Scope, made: Iterable[Thing]) -> dict[str, str]:
    """What schemas are for, by their names in the target: told of those that are made."""
    moves = schema_moves(scope)
    names = {*moves, *(n.schema for n in scope.tables.values()), *(t.name.schema for t in made)}
    comments: list[tuple[str, str]] = [(row[0], row[1]) for row in ask("schemas", names=sorted(names)) if row[1]]
    return {moves.get(schema, schema): text for schema, text in comments}


@dataclass(frozen=True, slots=True)
class _Extras:
    """Views by number, functions, and what is made at the very end (triggers, rules)."""

    views: Mapping[int, Thing] = field(default_factory=dict)
    functions: Sequence[int] = ()
    last: Sequence[Thing] = ()
    losses: Sequence[str] = ()


def _extras(ask: Ask, scope: Scope, objects: bool) -> _Extras:
    if not objects:
        return _Extras()
    schemas = schema_moves(scope)
    plain = not scope.kept and not scope.renaming.columns and all(
        a.name == b.name for a, b in scope.renaming.relations.items())  # fmt: skip
    views: dict[int, Thing] = {}
    functions: list[int] = []
    last: list[Thing] = []
    losses: list[str] = []
    rows = [row for row in ask("extras", schemas=list(schemas), oids=scope.oids) if row[1] not in scope.tables]
    moved = {Name(r[3], r[4]): Name(schemas[r[3]], r[4]) for r in rows if r[0] == "pg_class"}
    renaming = replace(scope.renaming, relations={**scope.renaming.relations, **moved})
    for row in rows:
        if row[0] == "pg_proc":
            functions.append(row[1])
        elif not plain:
            losses.append(f"{row[3]}.{row[4]} {row[8]}".strip() + ": not copied, for names of tables or columns change")
        elif row[0] == "pg_class":
            views[row[1]] = _view(row, moved[Name(row[3], row[4])], renaming.text(row[5]))
        else:
            last.append(_hook(row, scope.renaming.relation(Name(row[3], row[4])), renaming.text(row[5])))
            functions += [row[9]] if row[9] else []
    losses += _unsupported(ask, scope, views)
    return _Extras(views, functions, last, losses)


def _unsupported(ask: Ask, scope: Scope, views: dict[int, Thing]) -> list[str]:
    """Take out the views that stand on what is not made with them, and the views on those; say why of each."""
    uses: dict[int, list[tuple[int, Name]]] = {}
    for view, oid, schema, name in ask("view_uses", oids=list(views)):
        uses.setdefault(view, []).append((oid, Name(schema, name)))
    losses: list[str] = []
    while lost := {
        view: next(name for oid, name in uses[view] if oid not in views and oid not in scope.tables)
        for view in views if any(oid not in views and oid not in scope.tables for oid, _ in uses.get(view, ()))
    }:  # fmt: skip
        for view, name in lost.items():
            losses.append(f"{views.pop(view).label} is not made: it stands on {name}, which is not copied with it")
    return losses


def _view(row: catalogue.Row, name: Name, definition: str) -> Thing:
    word = "materialized view" if row[2] == "m" else "view"
    options = f" with ({', '.join(row[6])})" if row[6] else ""
    body = definition.rstrip().rstrip(";")
    head = f"create {word} if not exists" if word == "materialized view" else "create or replace view"
    return Thing(word, name, f"{word} {name.sql}", (f"{head} {name.sql}{options} as\n{body}",), row[7])


def _hook(row: catalogue.Row, table: Name, definition: str) -> Thing:
    """A trigger or rule. It is made, and switched off: it would change rows that a sync writes."""
    word = "trigger" if row[0] == "pg_trigger" else "rule"
    off = f"alter table {table.sql} disable {word} {quoted(row[8])}"
    return Thing(
        word, Name(str(table), row[8]), f"{word} {quoted(row[8])} on {table.sql}", (definition.rstrip(";"), off), row[7]
    )


def _refuse_broken(ask: Ask, scope: Scope, had: closure.Found) -> None:
    for (kind, oid), reason in had.broken.items():
        if kind == "pg_class" and oid in scope.tables:
            raise Stop(
                f"{ask.place}: table {scope.tables[oid]} stands on {reason}, which is not copied",
                hint="leave that column out, or copy what it stands on too",
            )


def _order(
    walk: closure.Walk, had: closure.Found, scope: Scope, extras: _Extras, found: _Found
) -> tuple[tuple[str, ...], dict[str, Thing]]:
    """Labels of all that is made, in order, and the things by label."""
    made: dict[str, Thing] = {}
    labels: list[str] = []
    found.losses += extras.losses
    for node in walk.order:
        thing = had.things.get(node) or (extras.views.get(node[1]) if node[0] == "pg_class" else None)
        if thing is not None and node in had.broken:
            found.losses.append(f"{thing.label} is not copied: it stands on {had.broken[node]}")
        elif thing is not None:
            made[thing.label] = thing
            labels.append(thing.label)
        elif node[0] == "pg_class" and node[1] in scope.tables:
            labels.append(label(scope.new(node[1])))
    labels += [label(n) for n in found.tables if label(n) not in labels]
    for thing in extras.last:
        made[thing.label] = thing
        labels.append(thing.label)
    return tuple(labels), made


def label(table: Name) -> str:
    return f"table {table.sql}"


# -- the target


def of_target(ask: Ask, expected: Structure) -> Structure:
    """What the target has of what is expected. Raises `Stop` for something else in a table's place."""
    found = catalogue.find(ask, list(expected.tables))
    for name, (_, kind) in found.items():
        if kind not in "rp":
            what = {"v": "view", "m": "materialized view", "f": "foreign table", "S": "sequence", "i": "index"}
            raise Stop(
                f"{ask.place}: {name} is a {what.get(kind, 'relation')}, not a table",
                hint="drop or rename it, or write to another name",
            )
    family = {row[0] for row in ask("family", oids=[oid for oid, _ in found.values()])}
    names = {row[0]: Name(row[1], row[2]) for row in ask("relations", oids=sorted(family))}
    scope = Scope(names)
    tables = catalogue.tables(ask, scope)
    oids = [oid for oid, kind in catalogue.find(ask, list(expected.sequences)).values() if kind == "S"]
    sequences = catalogue.sequences(ask, scope, oids)
    return Structure(
        tables, {s.name: s for s in sequences.values()},
        {(c.table, c.name): c for c, _ in catalogue.constraints(ask, scope)
         if not (c.type == "c" and not c.local and tables[c.table].parents)},
        {(i.table, i.name): i for i, _ in catalogue.indexes(ask, scope)},
        {s.name: s for s, _ in catalogue.statistics(ask, scope)},
        _things(ask, scope, expected, names),
    )  # fmt: skip


def _things(ask: Ask, scope: Scope, expected: Structure, tables: Mapping[int, Name]) -> dict[str, Thing]:
    by_kind: dict[str, list[Name]] = {}
    for thing in expected.things.values():
        by_kind.setdefault(thing.kind, []).append(thing.name)
    names = {n: by_kind.get(n, []) for n in by_kind}
    type_names = [*names.get("type", []), *names.get("domain", [])]
    functions = [n for k in ("function", "procedure", "aggregate") for n in names.get(k, [])]
    found: list[Thing] = []
    if type_names:
        found += things.types(ask, scope.renaming, [], type_names).values()
    if functions:
        found += things.functions(ask, scope.renaming, [], functions).values()
    if collations := names.get("collation"):
        found += things.collations(ask, [], collations).values()
    if extensions := names.get("extension"):
        found += things.extensions(ask, [], [n.name for n in extensions]).values()
    if {"view", "materialized view", "trigger", "rule"} & set(names):
        schemas = sorted({n.schema for k in ("view", "materialized view") for n in names.get(k, [])})
        found += _target_extras(ask, schemas, sorted(tables))
    return {thing.label: thing for thing in found}


def _target_extras(ask: Ask, schemas: list[str], oids: list[int]) -> list[Thing]:
    found = []
    for row in ask("extras", schemas=schemas, oids=oids):
        name = Name(row[3], row[4])
        if row[0] == "pg_class":
            found.append(_view(row, name, row[5]))
        elif row[0] != "pg_proc":
            found.append(_hook(row, name, row[5]))
    return found
