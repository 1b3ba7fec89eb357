"""PostgreSQL to PostgreSQL: the structure of tables and all that they stand on, from one catalogue into another.

By the catalogue, not by pg_dump: a subset of tables, columns and names can be had, no client must match the server,
and what is there already is compared. Servers from PostgreSQL 12 on.

Types, functions and collations keep their schema; sequences that columns own, partitions, indexes and statistics move
with their tables. Enum labels are added outside of any transaction that uses them: run the statements one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import psycopg

from sync_assets.databases.postgres.definition import catalogue, compare, naming, rights, structure
from sync_assets.databases.postgres.definition.draft import Draft
from sync_assets.databases.postgres.definition.names import Name
from sync_assets.databases.postgres.definition.parts import Structure
from sync_assets.engine.tables.writing import Design, Policy, Wanted


class Side(Protocol):
    """One database: a connection that nobody else uses meanwhile, and how messages call it ("connection shop")."""

    @property
    def connection(self) -> psycopg.Connection[Any]: ...

    @property
    def place(self) -> str: ...


def design(source: Side, target: Side, wanted: Sequence[Wanted], policy: Policy, *, objects: bool = False) -> Design:
    """What must be done so that the target has these tables as the source does. Changes nothing.

    With `objects` also the views, functions, triggers and rules of their schemas; triggers and rules are switched off.
    Raises `Stop` for a missing right, an extension that cannot be had, and what is in a table's place.
    """
    with catalogue.asking(source.connection, source.place) as ask:
        expected = structure.of_source(ask, wanted, objects)
    draft = Draft(policy)
    with catalogue.asking(target.connection, target.place) as ask:
        expected, actual = _settled(ask, expected)
        rights.know(ask, expected, actual, draft)
        others = [name for name, (_, kind) in catalogue.find(ask, _pointed_to(expected)).items() if kind in "rp"]
        compare.compare(expected, actual, others, draft)
        draft.before[:0] = rights.hold(ask, expected, actual, draft)
    return draft.design


def positions(source: Side, target: Side, wanted: Sequence[Wanted]) -> tuple[str, ...]:
    """Statements that bring the target's sequences to where the source's are now.

    A sequence is part of no snapshot: positions read after the rows are never behind any of them, those of `design`
    may be.
    """
    with catalogue.asking(source.connection, source.place) as ask:
        expected = structure.of_source(ask, wanted, objects=False)
    draft = Draft("apply")
    with catalogue.asking(target.connection, target.place) as ask:
        compare.positions(*_settled(ask, expected), draft)
    return tuple(draft.positions)


def _settled(ask: catalogue.Ask, expected: Structure) -> tuple[Structure, Structure]:
    """What is expected, under names that it can have there, and what there is of it."""
    actual = structure.of_target(ask, expected)
    schemas = {t.schema for t in expected.tables} | {n.schema for n in (*expected.sequences, *expected.statistics)}
    taken: dict[str, list[Name]] = {"relation": [], "statistics": []}
    for kind, schema, name in ask("taken", schemas=sorted(schemas)):
        taken[kind].append(Name(schema, name))
    return naming.settle(expected, actual, taken["relation"], taken["statistics"]), actual


def _pointed_to(expected: Structure) -> list[Name]:
    return sorted({c.to for c in expected.constraints.values() if c.to and c.to not in expected.tables})


__all__ = ["Side", "design", "positions"]
