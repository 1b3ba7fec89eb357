"""Bad rows are found by halving, at a bounded price, and set aside with their key and reason."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, log2

from hypothesis import given
from hypothesis import strategies as st

from sync_assets.engine.errors import BadBatch
from sync_assets.engine.tables.careful import CHUNK, key_in, lines_of, sift


def lines(count: int) -> list[bytes]:
    return [b"%d\tname %d\n" % (n, n) for n in range(count)]


class Fussy:
    """Takes all rows of a batch, or none when a bad one is in it."""

    def __init__(self, bad: set[int]) -> None:
        self.bad, self.written, self.tries = {b"%d\t" % b for b in bad}, list[bytes](), 0

    def __call__(self, batch: Sequence[bytes]) -> None:
        self.tries += 1
        if any(line.startswith(tuple(self.bad)) for line in batch if self.bad):
            raise BadBatch("value out of range", field="n", code="22003")
        self.written += batch


@given(st.sets(st.integers(0, 999), max_size=12))
def test_good_rows_are_written_once_and_bad_ones_named(bad: set[int]):
    fussy = Fussy(bad)
    found = list(sift(lines(1000), fussy, [0], "2026-01-01"))
    assert {int(r.key) for r in found} == bad
    assert sorted(fussy.written) == sorted(line for n, line in enumerate(lines(1000)) if n not in bad)
    assert all((r.field, r.code, r.partition) == ("n", "22003", "2026-01-01") for r in found)
    assert fussy.tries <= 1 + len(bad) * (2 * ceil(log2(1000)) + 1)


def test_one_bad_row_of_n_costs_two_log_n_tries():
    fussy = Fussy({617})
    list(sift(lines(1024), fussy, [0], ""))
    assert fussy.tries <= 2 * log2(1024) + 1


def test_rows_without_a_key_are_told_apart_by_their_content():
    found = list(sift(lines(4), Fussy({1, 3}), [], ""))
    assert len({r.key for r in found}) == 2


def test_reasons_hold_no_values():
    found = list(sift([b"7\tsecret\n"], Fussy({7}), [0], ""))
    assert "secret" not in repr(found)


@given(st.lists(st.lists(st.text(alphabet="ab\\ntr\v\f\r\u2028\x1c", max_size=6), min_size=2, max_size=2), max_size=30))
def test_lines_survive_whatever_is_in_them(rows: list[list[str]]):
    def escaped(text: str) -> bytes:
        plain = text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r")
        return plain.encode()

    block = b"".join(escaped(a) + b"\t" + escaped(b) + b"\n" for a, b in rows)
    found = [line for some in lines_of([block]) for line in some]
    assert [key_in(line, [0, 1]) for line in found] == [tuple(row) for row in rows]


def test_blocks_of_any_size_become_chunks_of_one_size():
    block = b"".join(lines(2500))
    sizes = [len(some) for some in lines_of([block[:0], block, b"".join(lines(10))])]
    assert sizes == [CHUNK, CHUNK, 510]
