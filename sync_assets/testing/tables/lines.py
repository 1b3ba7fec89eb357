"""COPY text by hand: rows to lines and back, in the form that `Form.LINES` promises. Knows no database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

Cells = tuple[str | None, ...]
_ESCAPES = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"}
_PLAIN = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r"}


def line(cells: Sequence[str | None]) -> bytes:
    """One row as a line with its end."""
    return ("\t".join("\\N" if c is None else escaped(c) for c in cells) + "\n").encode()


def lines(rows: Iterable[Sequence[str | None]]) -> bytes:
    return b"".join(line(row) for row in rows)


def escaped(text: str) -> str:
    return "".join(_ESCAPES.get(c, c) for c in text)


def parsed(blocks: Iterable[bytes]) -> list[Cells]:
    """The rows in `blocks`. Raises `ValueError` where a block ends within a row or an escape is not allowed."""
    rows: list[Cells] = []
    for block in blocks:
        if block and not block.endswith(b"\n"):
            raise ValueError("a block ends within a row")
        rows += [tuple(_cell(c) for c in row.split("\t")) for row in block.decode().split("\n")[:-1]]
    return rows


def _cell(raw: str) -> str | None:
    if raw == "\\N":
        return None
    if "\\" not in raw:
        return raw
    text, at = "", 0
    while at < len(raw):
        if raw[at] != "\\":
            text, at = text + raw[at], at + 1
            continue
        if raw[at + 1] not in _PLAIN:
            raise ValueError("an escape that LINES does not know")
        text, at = text + _PLAIN[raw[at + 1]], at + 2
    return text
