"""Which part of the target is the same as one that is expected, whatever it is called there. Values only."""

from __future__ import annotations

from collections.abc import Iterator

from sync_assets.databases.postgres.definition import render
from sync_assets.databases.postgres.definition.names import loose
from sync_assets.databases.postgres.definition.parts import Constraint, Index, Sequence, Statistic, Structure


def constraint_text(constraint: Constraint) -> str:
    return constraint.type + loose(constraint.definition.removesuffix(" NOT VALID"))


def index_text(index: Index) -> str:
    return loose(render.nameless(index.definition))


def statistic_text(statistic: Statistic) -> str:
    return loose(render.nameless(statistic.definition))


def constraints(one: Constraint, actual: Structure) -> Iterator[Constraint]:
    """The same constraint of the same table."""
    text = constraint_text(one)
    for other in actual.constraints.values():
        if (other.table, other.type) == (one.table, one.type) and constraint_text(other) == text:
            yield other


def indexes(one: Index, actual: Structure) -> Iterator[Index]:
    text = index_text(one)
    return (other for other in actual.indexes.values() if other.table == one.table and index_text(other) == text)


def statistics(one: Statistic, actual: Structure) -> Iterator[Statistic]:
    text = statistic_text(one)
    return (s for s in actual.statistics.values() if s.table == one.table and statistic_text(s) == text)


def sequence(one: Sequence, actual: Structure) -> Sequence | None:
    """By its name, unless it is another table's; else the one that the same column owns."""
    named = actual.sequences.get(one.name)
    if named is not None and (one.table is None or (named.table in (None, one.table) and not named.elsewhere)):
        return named
    owned = (s for s in actual.sequences.values() if s.table and s.column == one.column)
    return next((s for s in owned if s.table == one.table), None)
