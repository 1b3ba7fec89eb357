"""Which relations of the source are meant by what is wanted, and what they are called in the target.

Partitions come with their tables and, like the sequences that columns own, move to their table's schema and follow its
name: two copies of one table can lie in one schema.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sync_assets.databases.postgres.definition.catalogue import Ask, Row, Scope, find
from sync_assets.databases.postgres.definition.names import Name, Renaming
from sync_assets.databases.postgres.definition.naming import fitted, follow
from sync_assets.engine.tables.shape import TableKind
from sync_assets.engine.tables.writing import Wanted


@dataclass(slots=True)
class _Draft:
    tables: dict[int, Name] = field(default_factory=dict)
    relations: dict[Name, Name] = field(default_factory=dict)
    names: set[Name] = field(default_factory=set)  # new ones
    columns: dict[Name, Mapping[str, str]] = field(default_factory=dict)
    kept: dict[Name, frozenset[str]] = field(default_factory=dict)
    gone: dict[Name, frozenset[str]] = field(default_factory=dict)


def scope_of(ask: Ask, wanted: Sequence[Wanted]) -> tuple[Scope, dict[Name, Wanted]]:
    """The scope, and for each relation (old name) the wish that it is part of."""
    roots = {Name(w.source.name.schema, w.source.name.name): w for w in wanted if w.source.name.schema}
    found = find(ask, list(roots))
    family = [r[0] for r in ask("family", oids=[oid for oid, _ in found.values()])]
    rows = {r[0]: r for r in ask("relations", oids=family)}
    draft = _Draft()
    wishes: dict[Name, Wanted] = {}
    for oid in family:
        old = Name(rows[oid][1], rows[oid][2])
        wish = roots.get(old) or wishes[_parent(rows[oid])]
        wishes[old] = wish
        _add(draft, oid, old, wish, is_root=old in roots)
    _sequences(ask, draft)
    for there, to in ((n, t) for w in wanted for n, t in w.beside.items()):
        draft.relations.setdefault(Name(there.schema, there.name), Name(to.schema, to.name))
    changed = {a: b for a, b in draft.relations.items() if a != b}
    return Scope(draft.tables, Renaming(changed, draft.columns), draft.kept, draft.gone), wishes


def schema_moves(scope: Scope) -> dict[str, str]:
    """Schemas whose tables all go to one other schema: views of them go along."""
    moves: dict[str, set[str]] = {}
    for old in scope.tables.values():
        moves.setdefault(old.schema, set()).add(scope.renaming.relation(old).schema)
    return {a: next(iter(b)) for a, b in moves.items() if len(b) == 1}


def _parent(row: Row) -> Name:
    return Name(row[15][0], row[16][0])


def _add(draft: _Draft, oid: int, old: Name, wish: Wanted, is_root: bool) -> None:
    draft.tables[oid] = old
    schema = wish.table.schema if is_root or old.schema == wish.source.name.schema else old.schema
    draft.relations[old] = Name(schema, wish.table.name) if is_root else _part(draft, schema, old.name, wish)
    draft.names.add(draft.relations[old])
    names = names_of(wish)
    if changed := {a: b for a, b in names.items() if a != b}:
        draft.columns[old] = changed
    written = {c.name for c in wish.source.columns if c.generated is None}
    if written - set(names):
        draft.gone[old] = frozenset(written - set(names))
        draft.kept[old] = frozenset(names) | {c.name for c in wish.source.columns if c.generated is not None}


def _part(draft: _Draft, schema: str, name: str, wish: Wanted) -> Name:
    """A partition's new name: as before while its table's is; else it says which table it is of."""
    old, new = wish.source.name.name, wish.table.name
    return _unused(draft, Name(schema, follow(name, old, new)), new, moves=old != new)


def _unused(draft: _Draft, name: Name, table: str, moves: bool) -> Name:
    """The name, unless the table's part of it is not in it and should be, or another relation has it already."""
    lost = moves and not name.name.startswith(table)
    return Name(name.schema, fitted(table, "_" + name.name)) if lost or name in draft.names else name


def names_of(wish: Wanted) -> dict[str, str]:
    """What the columns of the source are called in the target: as said, by their number, or by name."""
    there = {c.name for c in wish.columns}
    by_number = {c.number: c.name for c in wish.columns if c.number}
    found: dict[str, str] = {}
    for column in wish.source.columns:
        new = wish.names.get(column.name) or by_number.get(column.number) or column.name
        if new in there:
            found[column.name] = new
    return found


def _sequences(ask: Ask, draft: _Draft) -> None:
    for row in ask("sequences", oids=[], tables=list(draft.tables)):
        owner, name = draft.tables[row[12]], Name(row[1], row[2])
        if name.schema == owner.schema:
            new = draft.relations[owner]
            wished = Name(new.schema, follow(name.name, owner.name, new.name))
            draft.relations[name] = _unused(draft, wished, new.name, moves=False)
            draft.names.add(draft.relations[name])


def without_table(wanted: Sequence[Wanted], wishes: Mapping[Name, Wanted]) -> list[Wanted]:
    """Wishes that no relation of the source stands behind: results of queries."""
    met = {id(w) for w in wishes.values()}
    return [w for w in wanted if id(w) not in met]


def is_virtual(wish: Wanted) -> bool:
    return wish.source.kind in (TableKind.VIEW, TableKind.FOREIGN)
