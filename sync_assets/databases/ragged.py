"""Values of unequal length in one buffer, gathered and scattered by numpy: one copy a value, whatever its length.

A view of a buffer as overlapping items (one begins at each byte) lets an index array pick, or place, an item per row;
that costs about 4 ns an item up to 64 bytes, where an index for each byte would cost 5 ns a byte. Knows neither rows
nor databases. Needs numpy, so it is imported only where that is installed.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]
_LARGE = 4096  # from here on a plain copy of each value is as cheap


def overlapping(buffer: Bytes, dtype: str) -> NDArray[Any]:
    """`buffer` as items of `dtype`, one beginning at each byte; none where it is shorter."""
    kind = np.dtype(dtype)
    return np.ndarray((max(0, buffer.size - kind.itemsize + 1),), kind, buffer, 0, (1,))


def scatter(out: Bytes, places: Ints, source: Bytes, starts: Ints, lengths: Ints) -> None:
    """Copy `lengths` bytes from `starts` of `source` to `places` of `out`; nothing else of `out` is touched.

    A length from k to 2k - 1 is two copies of k bytes, the second one ending where the value ends.
    """
    longest = int(lengths.max(initial=0))
    size = 1
    while size <= longest and size < _LARGE:
        _copy_twice(out, places, source, starts, lengths, size, (lengths >= size) & (lengths < 2 * size))
        size *= 2
    if longest >= _LARGE:
        for at in np.flatnonzero(lengths >= _LARGE):
            place, start, length = int(places[at]), int(starts[at]), int(lengths[at])
            out[place : place + length] = source[start : start + length]


def _copy_twice(
    out: Bytes, places: Ints, source: Bytes, starts: Ints, lengths: Ints, size: int, which: NDArray[np.bool_]
) -> None:
    rows = np.flatnonzero(which)
    if not rows.size:
        return
    there, here = overlapping(out, f"V{size}"), overlapping(source, f"V{size}")
    to, begin = places[rows], starts[rows]
    there[to] = here[begin]
    if size > 1:
        rest = lengths[rows] - size
        there[to + rest] = here[begin + rest]
