"""Arrow instead of tuples between source and board, roughly: what the way there and back costs (decision 002).

    python -m benchmarks.arrow [--rows 100000]

Needs pyarrow, which the project itself does not. A board is JSON on both sides, so rows that travelled as Arrow have
to become Python values again before they are written; that is measured here on the rows of the board benchmark,
beside the whole work that is done with the tuples instead: canonical values by column.
"""

from __future__ import annotations

import argparse
import importlib
import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks import board_data
from benchmarks.mover import ZONE
from sync_assets.databases.base import ConnectionArgs, open_database
from sync_assets.engine.model import Batch
from sync_assets.sources.sql import SqlSource
from sync_assets.targets.bitable import columns
from sync_assets.targets.bitable.clock import WallClock
from sync_assets.targets.bitable.mapping import codec_for
from sync_assets.targets.bitable.strategy import wish
from sync_assets.testing.servers import postgres_server


def seconds(work: Callable[[], Any], times: int = 3) -> float:
    """Median of a few runs."""
    taken = []
    for _ in range(times):
        started = time.perf_counter()
        work()
        taken.append(time.perf_counter() - started)
    return statistics.median(taken)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=100_000)
    rows = parser.parse_args().rows
    with postgres_server() as server:
        server.create_database("bench")
        server.execute(*board_data.create("postgres", "orders", rows, extra=False), database="bench")
        args = ConnectionArgs("bench", host=server.host, port=server.port, database="bench", user=server.user,
                              open_password=lambda: server.password)  # fmt: skip
        source = SqlSource("bench", open_database("postgres", args), table="orders", time_zone=ZONE)
        batches = list(source.read())
        codecs = [codec_for(c.name, None, wish(c, "base", None), WallClock(ZONE)) for c in source.describe()]
        reading = seconds(lambda: sum(len(b.rows) for b in source.read()))
        source.close()
    arrows = [arrow(b) for b in batches]
    for what, taken in (
        ("read (driver to tuples)", reading),
        ("tuples to canonical values", seconds(lambda: [canonical(b, codecs) for b in batches])),
        ("tuples to Arrow", seconds(lambda: [arrow(b) for b in batches])),
        ("Arrow to Python values", seconds(lambda: [b.to_pydict() for b in arrows])),
    ):
        print(f"{what:<28}{taken:>7.2f} s {taken / rows * 1e6:>7.1f} us a row")


def canonical(batch: Batch, codecs: list[columns.FieldCodec]) -> list[Any]:
    """What the engine does with a batch."""
    return list(zip(*(c.canonise(v) for c, v in zip(codecs, zip(*batch.rows, strict=True), strict=True)), strict=True))


def arrow(batch: Batch) -> Any:
    """The batch as a record batch, types inferred."""
    pyarrow = importlib.import_module("pyarrow")
    arrays = [pyarrow.array(list(column)) for column in zip(*batch.rows, strict=True)]
    return pyarrow.RecordBatch.from_arrays(arrays, names=list(batch.columns))


if __name__ == "__main__":
    main()
