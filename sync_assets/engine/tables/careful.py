"""Rows that do not fit: found by halving, set aside with their reason, while the rest is written.

Only walked after a batch was refused. n rows with one bad among them cost at most 2 log2(n) + 1 tries for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import blake2b

from sync_assets.engine.errors import BadBatch
from sync_assets.engine.model import Rejected
from sync_assets.engine.plan import key_text
from sync_assets.engine.tables.reading import Key

CHUNK = 1_000  # rows tried together
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_PLAIN = {b"t": b"\t", b"n": b"\n", b"r": b"\r", b"b": b"\b", b"f": b"\f", b"v": b"\v"}


def lines_of(blocks: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Blocks of whole rows as lists of lines, each with its end of line."""
    kept: list[bytes] = []
    for block in blocks:
        kept += block.splitlines(keepends=True) if b"\r" not in block else _lines(block)
        while len(kept) >= CHUNK:
            yield kept[:CHUNK]
            kept = kept[CHUNK:]
    if kept:
        yield kept


def _lines(block: bytes) -> list[bytes]:
    return [line + b"\n" for line in block.split(b"\n")[:-1]]


def key_in(line: bytes, positions: Sequence[int]) -> Key:
    """The key of a row in the form LINES, from the fields at `positions`."""
    fields = line.rstrip(b"\n").split(b"\t")
    return tuple(_ESCAPED.sub(lambda m: _PLAIN.get(m[1], m[1]), fields[p]).decode(errors="replace") for p in positions)


def sift(
    lines: Sequence[bytes], write: Callable[[Sequence[bytes]], None], positions: Sequence[int], partition: str
) -> Iterator[Rejected]:
    """Write what can be written of `lines`; yield what cannot. `write` does all of its rows or none."""
    try:
        write(lines)
    except BadBatch as error:
        if len(lines) == 1:
            yield _rejected(lines[0], positions, partition, error)
            return
        middle = len(lines) // 2
        yield from sift(lines[:middle], write, positions, partition)
        yield from sift(lines[middle:], write, positions, partition)


def digest_of(line: bytes) -> str:
    """By which a rejected row is known again, as it is."""
    return blake2b(line, digest_size=16).hexdigest()


def _rejected(line: bytes, positions: Sequence[int], partition: str, error: BadBatch) -> Rejected:
    digest = digest_of(line)
    key = key_text(key_in(line, positions)) if positions else digest
    return Rejected(key, digest, error.field, error.code, error.message, partition)
