"""What the batches bring back: one table of texts for all relations, told apart by `kind` and `part`.

`part` is the database a row is about, or "" for the server. Columns a, b, c ... are those of `statements.sql`, in its
order. Knows no meaning of theirs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

_LETTERS = "abcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Found:
    """One row. A column is asked for by its letter: ``row["a"]``; `text` where NULL stands for nothing."""

    kind: str
    part: str
    cells: Sequence[str | None]

    def __getitem__(self, letter: str) -> str | None:
        at = _LETTERS.index(letter)
        return self.cells[at] if at < len(self.cells) else None

    def text(self, letter: str) -> str:
        return self[letter] or ""

    def number(self, letter: str) -> int | None:
        cell = self[letter]
        return int(cell) if cell else None

    def flag(self, letter: str) -> bool | None:
        """1 and 0; NULL is unknown."""
        cell = self[letter]
        return None if cell is None else cell == "1"


class Rows:
    """All rows of a batch. Those of a piece that failed are none."""

    def __init__(self, rows: Iterable[Sequence[str | None]]) -> None:
        self._by_kind: dict[str, list[Found]] = {}
        for kind, part, *cells in rows:
            self._by_kind.setdefault(kind or "", []).append(Found(kind or "", part or "", cells))
        self._failures = {(f.part, f.text("a")): f.number("b") or 0 for f in self._by_kind.get("failure", [])}

    def of(self, kind: str) -> Iterator[Found]:
        yield from self._by_kind.get(kind, [])

    def failure(self, part: str, section: str) -> int | None:
        """The number of the error that ended a piece, if one did."""
        return self._failures.get((part, section))
