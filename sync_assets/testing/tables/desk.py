"""A target with its ledger open and one writer: what the tests of the writing contract sit at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from sync_assets.engine.tables.reading import Form
from sync_assets.engine.tables.shape import ColumnShape, TableName
from sync_assets.engine.tables.writing import Head, TableTarget, Writer
from sync_assets.testing.tables.lab import TableLab
from sync_assets.testing.tables.lines import lines

Texts = Sequence[str | None]


@dataclass
class Desk:
    """A target with a writer of sync ``s`` under token 1."""

    lab: TableLab
    target: TableTarget
    writer: Writer

    def columns(self, table: str) -> tuple[ColumnShape, ...]:
        return self.lab.columns(self.target, table)

    def load(self, table: str, rows: Sequence[Texts], into: TableName | None = None) -> int:
        return self.writer.load(into or self.lab.name(table), self.columns(table), Form.LINES, [lines(rows)])

    def staged(self, table: str, rows: Sequence[Texts], batch: str = "stage") -> TableName:
        stage = self.writer.stage(self.lab.name(table), self.columns(table))
        with self.writer.batch(batch):
            self.load(table, rows, into=stage)
        return stage

    def head(self, sync: str = "s") -> Head:
        return self.target.peek(sync)


@contextmanager
def desk(lab: TableLab, **changes: Any) -> Iterator[Desk]:
    target = lab.open(**changes)
    try:
        target.open_ledger()
        target.take_over("s", 1)
        writer = target.writer("s", 1)
        try:
            yield Desk(lab, target, writer)
        finally:
            writer.close()
    finally:
        target.close()


@pytest.fixture
def at(lab: TableLab) -> Iterator[Desk]:
    lab.make("t", {"id": "big not null", "t": "text", "n": "int"}, key=["id"])
    with desk(lab) as made:
        yield made


def found(at: Desk, table: str = "t") -> list[tuple[Any, ...]]:
    return at.lab.rows(table)
