"""docs/reference/field-types.md says what the code does: every type, every strategy."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from sync_assets.databases.mysql import types as mysql
from sync_assets.databases.postgres import types as postgres
from sync_assets.databases.sqlite import types as sqlite
from sync_assets.engine.model import Column, ColumnType
from sync_assets.targets.bitable import strategy
from sync_assets.targets.bitable.census import Census
from sync_assets.targets.bitable.mapping import TYPE_NAMES

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "field-types.md"
STRATEGIES = ("raw", "base", "auto", "intelligence")

# For each type: columns of values that between them lead to every field there is.
SAMPLES: dict[ColumnType, list[list[Any]]] = {
    ColumnType.BOOL: [[True, False], [True, None]],
    ColumnType.BIGINT: [[1, 2], [2**60 + 1]],
    ColumnType.DECIMAL: [[Decimal("1.5")], [Decimal("123456789012345678.5")]],
    ColumnType.TEXT: [
        ["1", "2"], ["2026-01-05"], ["是", "否"], ["https://a.cn", "https://b.cn"], ["a,b", "a", "b", "a,b"],
        ["x", "x", "x"], ["one", "two"], [],
    ],
    ColumnType.ENUM: [["a"]],
    ColumnType.SET: [[["a", "b"]], [["a", "a"]]],
    ColumnType.DATE: [[date(2026, 1, 5)]],
}  # fmt: skip


def tables() -> list[dict[str, list[str]]]:
    """The tables of the page, each by its first column."""
    found: list[dict[str, list[str]]] = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [c.strip() for c in line.strip("|").split(" | ")] if line.startswith("|") else []
        cells = [c.strip("| ") for c in cells]
        if cells and cells[0] == "ours":
            found.append({})
        elif cells and not line.startswith("|---"):
            found[-1][cells[0]] = cells[1:]
    return found


NATIVE, FIELDS, POLICY = tables()


def test_every_type_has_a_row_in_every_table() -> None:
    names = {str(kind) for kind in ColumnType}
    assert names == NATIVE.keys() == FIELDS.keys() == POLICY.keys()
    assert all(len(row) == 1 and row[0] for row in POLICY.values())


@pytest.mark.parametrize("kind", list(ColumnType))
@pytest.mark.parametrize("chosen", STRATEGIES)
def test_a_type_becomes_the_fields_of_its_row(kind: ColumnType, chosen: str) -> None:
    found = set()
    for values in SAMPLES.get(kind, [[]]):
        census = Census()
        census.add(values)
        wish = strategy.wish(Column("c", kind), chosen, census)
        found.add("left out" if wish is None else TYPE_NAMES[wish.type])
    assert found == set(FIELDS[kind][STRATEGIES.index(chosen)].split(" / "))


def named(kind: ColumnType, database: int) -> set[str]:
    """The type names between back-quotes in a cell."""
    row = NATIVE[kind]
    return set(row[database].split("`")[1::2]) if len(row) > database else set()


def test_postgres() -> None:
    for name, kind in postgres._NAMES.items():
        assert name in named(kind, 0), f"{name} is {kind}"
    told = {name for kind in ColumnType for name in named(kind, 0)} - {"inet", "bit"}
    assert told == set(postgres._NAMES)


def test_mysql() -> None:
    for code, kind in mysql._CODES.items():
        name = mysql._SPELLED.get(code)
        wanted = ColumnType.OTHER if name == "bit" else kind
        if name is not None:
            assert name in {n.partition("(")[0] for n in named(wanted, 1)}, f"{name} is {wanted}"


def test_sqlite() -> None:
    for word, kind in sqlite._WORDS:
        assert word in named(kind, 2), f"{word} is {kind}"
