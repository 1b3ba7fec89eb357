"""In which order tables are written: a table after those that its foreign keys point to. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import TypeVar

T = TypeVar("T")


def generations(references: Mapping[T, Collection[T]]) -> list[list[T]]:
    """Groups that may be written side by side, referenced ones first. Tables in a circle come last, together.

    What is referenced but not listed, and a table's reference to itself, do not matter.
    """
    graph = {table: [t for t in to if t != table and t in references] for table, to in references.items()}
    circle: list[T] = []
    while True:
        sorter = TopologicalSorter({t: to for t, to in graph.items() if t not in circle})
        try:
            sorter.prepare()
        except CycleError as error:
            circle += [t for t in error.args[1][:-1] if t not in circle]
            continue
        return [*_rounds(sorter, circle), *([circle] if circle else [])]


def _rounds(sorter: TopologicalSorter[T], without: Sequence[T]) -> list[list[T]]:
    found = []
    while sorter.is_active():
        ready = list(sorter.get_ready())
        sorter.done(*ready)
        if kept := [t for t in ready if t not in without]:
            found.append(kept)
    return found
