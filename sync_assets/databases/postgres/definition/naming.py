"""Names for what belongs to tables, in the target: after the table's name there, and never one that is taken.

Indexes, keys and sequences of all tables of a schema share one set of names, statistics another. A part that the table
has there already, under whatever name, keeps that name. Must not ask a server.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from sync_assets.databases.postgres.definition import alike, render
from sync_assets.databases.postgres.definition.names import Name, Renaming
from sync_assets.databases.postgres.definition.parts import Constraint, Index, Sequence, Statistic, Structure

_LONGEST = 63  # bytes of a name: NAMEDATALEN - 1
_TAIL = 40  # bytes of a name that stay when its table's is too long for both


def follow(name: str, old: str, new: str) -> str:
    """A name that begins with its table's old name, with the new one in its place; any other as it is."""
    if old == new or not name.startswith(old + "_"):
        return name
    return fitted(new, name[len(old) :])


def fitted(stem: str, tail: str) -> str:
    """Both as one name that is not too long: first the stem gives way."""
    tail = _cut(tail, max(_TAIL, _LONGEST - len(stem.encode())))
    return _cut(stem, _LONGEST - len(tail.encode())) + tail


def _cut(text: str, size: int) -> str:
    return text.encode()[:size].decode(errors="ignore")


def free(name: str, is_taken: Callable[[str], bool]) -> str:
    """The name, or, as PostgreSQL does it, the name with the first number that is free."""
    found, number = name, 0
    while is_taken(found):
        number += 1
        found = _cut(name, _LONGEST - len(str(number))) + str(number)
    return found


def settle(
    expected: Structure, actual: Structure, relations: Collection[Name], statistics: Collection[Name]
) -> Structure:
    """The structure under names that it can have. `relations` and `statistics` are all names in its schemas."""
    names = _Names(expected, actual, {*relations, *expected.tables}, set(statistics))
    return names.settled()


@dataclass(slots=True)
class _Names:
    expected: Structure
    actual: Structure
    relations: set[Name]
    other: set[Name]  # of statistics
    indexes: dict[tuple[Name, str], str] = field(default_factory=dict)  # new names of indexes, by table and old name

    def settled(self) -> Structure:
        expected = self.expected
        sequences = self._sequences()
        constraints = self._constraints()
        indexes = self._indexes()
        parts = [replace(c, parent_index=self._parent(c.table, c.parent_index)) for c in constraints]
        plain = [replace(i, parent=self._parent(i.table, i.parent)) for i in indexes]
        return replace(
            _renamed_sequences(expected, sequences),
            constraints={(c.table, c.name): c for c in parts},
            indexes={(i.table, i.name): i for i in plain},
            statistics={s.name: s for s in self._statistics()},
        )

    def _parent(self, table: Name, index: Name | None) -> Name | None:
        """The index of the parent, which may have got a new name."""
        if index is None:
            return None
        parent = self.expected.tables[table].parents[0]
        return Name(index.schema, self.indexes.get((parent, index.name), index.name))

    def _followed(self, table: Name, name: str) -> str:
        former = self.expected.former.get(table, table)
        return follow(name, former.name, table.name)

    # -- constraints and indexes

    def _constraints(self) -> list[Constraint]:
        every = sorted(self.expected.constraints.values(), key=lambda c: c.type not in "pux")
        wanted = [self._followed(self._home(c), c.name) for c in every]
        places = _Places({(c.table, n) for c, n in zip(every, wanted, strict=True)} & set(self.actual.constraints))
        found = []
        for constraint, name in zip(every, wanted, strict=True):
            there = (c.name for c in alike.constraints(constraint, self.actual))
            taken = self.relations if constraint.index else {Name(t.schema, n) for t, n in self.actual.constraints
                                                             if t == constraint.table}  # fmt: skip
            new = places.choose(constraint.table, name, there, taken)
            if constraint.index:
                self._index_is(constraint.table, constraint.index, new)
            found.append(replace(constraint, name=new, index=new if constraint.index else ""))
        return found

    def _index_is(self, table: Name, old: str, new: str) -> None:
        self.indexes[table, old] = new
        self.relations.add(Name(table.schema, new))

    def _home(self, constraint: Constraint) -> Name:
        """The table whose name a constraint's follows: a check that comes from a parent is called as it is there."""
        table = constraint.table
        while constraint.type == "c":
            above = (
                p for p in self.expected.tables[table].parents if (p, constraint.name) in self.expected.constraints
            )
            parent = next(above, None)
            if parent is None:
                break
            table = parent
        return table

    def _indexes(self) -> list[Index]:
        every = list(self.expected.indexes.values())
        wanted = [self._followed(i.table, i.name) for i in every]
        known = {*self.actual.indexes, *self.actual.constraints}
        places = _Places({(i.table, n) for i, n in zip(every, wanted, strict=True)} & known)
        found = []
        for index, name in zip(every, wanted, strict=True):
            there = (i.name for i in alike.indexes(index, self.actual))
            new = places.choose(index.table, name, there, self.relations)
            self._index_is(index.table, index.name, new)
            text = index.definition if new == index.name else render.named(index.definition, Name("", new))
            found.append(replace(index, name=new, definition=text))
        return found

    # -- statistics and sequences

    def _statistics(self) -> list[Statistic]:
        found = []
        for statistic in self.expected.statistics.values():
            new = self._statistic_name(statistic)
            text = statistic.definition if new == statistic.name else render.named(statistic.definition, new)
            found.append(replace(statistic, name=new, definition=text))
            self.other.add(new)
        return found

    def _statistic_name(self, statistic: Statistic) -> Name:
        schema, table = statistic.name.schema, statistic.table
        name = Name(schema, self._followed(table, statistic.name.name))
        there = self.actual.statistics.get(name)
        if there is not None and there.table == table:
            return name
        own = next((s.name for s in alike.statistics(statistic, self.actual)), None)
        return own or Name(schema, free(name.name, lambda n: Name(schema, n) in self.other))

    def _sequences(self) -> dict[Name, Name]:
        """New names of those sequences whose own is taken; they follow their table as the scope has it."""
        moved: dict[Name, Name] = {}
        for sequence in self.expected.sequences.values():
            there = alike.sequence(sequence, self.actual)
            name = there.name if there is not None else self._sequence_name(sequence)
            self.relations.add(name)
            if name != sequence.name:
                moved[sequence.name] = name
        return moved

    def _sequence_name(self, sequence: Sequence) -> Name:
        schema = sequence.name.schema
        return Name(schema, free(sequence.name.name, lambda n: Name(schema, n) in self.relations))


@dataclass(slots=True)
class _Places:
    """Names of the parts of tables as they are given out. `exact`: those that the table has there already."""

    exact: set[tuple[Name, str]]
    used: set[tuple[Name, str]] = field(default_factory=set)

    def choose(self, table: Name, name: str, there: Iterable[str], taken: Collection[Name]) -> str:
        """The name, if the table has it; else that of its like, if it is no other part's; else a free one."""
        if (table, name) not in self.exact or (table, name) in self.used:
            own = next((n for n in there if self._is_open(table, n)), None)
            name = own or free(name, lambda n: Name(table.schema, n) in taken or not self._is_open(table, n))
        self.used.add((table, name))
        return name

    def _is_open(self, table: Name, name: str) -> bool:
        return (table, name) not in self.exact and (table, name) not in self.used


def _renamed_sequences(expected: Structure, moved: Mapping[Name, Name]) -> Structure:
    """Sequences under new names, and the defaults that count by them."""
    if not moved:
        return expected
    names = Renaming(moved)
    sequences = [replace(s, name=moved.get(s.name, s.name)) for s in expected.sequences.values()]
    tables = {
        name: replace(t, columns=tuple(replace(c, expression=names.text(c.expression)) for c in t.columns))
        for name, t in expected.tables.items()
    }
    return replace(expected, sequences={s.name: s for s in sequences}, tables=tables)
