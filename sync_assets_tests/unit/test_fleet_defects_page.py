"""The page of the predecessor's defects: a row for each, and tests that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "reference" / "fleet-defects.md"
ROWS = [line.split(" | ") for line in PAGE.read_text("utf-8").splitlines() if re.match(r"\| (D?\d+) \|", line)]


def test_every_defect_has_its_row() -> None:
    numbers = [row[0].strip("| ") for row in ROWS]
    assert numbers == [*(f"D{n}" for n in range(1, 21)), *(str(n) for n in range(1, 25))]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip("| "))
def test_its_tests_exist(row: list[str]) -> None:
    named = re.findall(r"`([\w/]+\.py)::(test_\w+)`", row[3])
    assert named or row[2].startswith("Does not apply")
    for file, name in named:
        assert re.search(rf"def {name}\(", (TESTS / file).read_text("utf-8")), f"{file}::{name}"
