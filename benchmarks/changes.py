"""Changes found by hash: how long and how many bytes a run takes when 0.1 % of a table changed, beside a full copy.

    python -m benchmarks.changes [--quick] [--rows 2000000] [--pairs pg-pg,my-pg,pg-my] [--repeat 3] [--json FILE]

One table of the shape `w13`, without a column that tells what is new. First a full copy (`changes: whole`), then one
row in a thousand is updated, one deleted, one added, and a run with `changes: hash` follows; then another, with
nothing to do. Aims: between PostgreSQL servers at most a third of the time of a full copy, across databases two thirds;
under 2 % of its bytes; and nothing at all is shipped in the last run. Bytes are those of rows, keys and digests that
were read from the source and written to the target.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import copy_contenders, copy_data
from benchmarks.copy import prepare_ours, servers_of
from benchmarks.copy_case import PAIRS, Case
from benchmarks.copy_measure import measure

SHAPE = "w13"
HEAD = f"{'run':<28}{'seconds':>9}{'of full':>9}{'MB':>10}{'of full':>9}{'shipped':>9}{'peak MB':>9}  check"
_CHANGES = (
    "update {table} set a_name = concat(a_name, '!') where id % 1000 = 7",
    "delete from {table} where id % 1000 = 13",
)


@dataclass
class Runs:
    """What the runs of one kind took."""

    seconds: list[float] = field(default_factory=list)
    bytes: int = 0
    shipped: int = 0
    peak: float = 0.0
    check: str = ""


def main() -> None:
    asked = _arguments()
    found: dict[str, dict[str, Any]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="changes-", dir=asked.folder)))
        servers = servers_of(stack, small=asked.quick)
        prepare_ours(servers, folder)
        for pair in (p for p in PAIRS if p in asked.pairs):
            source, target = pair.split("-")
            home = folder / pair
            home.mkdir()
            case = Case(pair, SHAPE, asked.rows, servers[source], servers["pg2" if target == "pg" else target], home)
            found[pair] = _show(case, _measure(case, asked.repeat))
    if asked.json:
        Path(asked.json).write_text(json.dumps(found, indent=1))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Find changes by hash, beside a full copy.")
    parser.add_argument("--quick", action="store_true", help="100,000 rows, once")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--pairs", type=lambda text: tuple(text.split(",")), default=PAIRS)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--json")
    asked = parser.parse_args()
    if asked.quick:
        asked.rows, asked.repeat = 100_000, 1
    return asked


def _measure(case: Case, repeat: int) -> dict[str, Runs]:
    runs = {"full copy": Runs(), "0.1 % changed, by hash": Runs(), "nothing changed, by hash": Runs()}
    full, changed, idle = runs.values()
    for round in range(repeat):
        case.source.drop_database(case.database)
        case.fill_source()
        case.clear_target(tables=False)
        if round == 0:
            _run(case, Runs(), "whole")  # writes the bytecode
            case.clear_target(tables=False)
        _run(case, full, "whole")
        _change(case)
        _run(case, changed, "hash")
        _run(case, idle, "hash")
    return runs


def _change(case: Case) -> None:
    more = copy_data.fill(case.source.kind, SHAPE, copy_data.W13, case.rows + 1, case.rows + case.rows // 1000)
    zone = "set time_zone = '+00:00'" if case.source.kind == "mysql" else "set timezone = 'UTC'"
    case.source.execute(zone, *(c.format(table=SHAPE) for c in _CHANGES), more, database=case.database)
    case.take_sums()


def _run(case: Case, runs: Runs, changes: str) -> None:
    command = copy_contenders.ours(4, proof=False, rows_only=False, changes=changes)
    done = measure([*command(case), "--json"], copy_contenders.environment(case), 3600)
    runs.seconds.append(done.seconds)
    runs.peak = max(runs.peak, done.peak)
    if done.failed:
        runs.check = f"failed: {done.said[-300:]}"
        return
    report = _report(done.said)
    runs.bytes = report["bytes_received"] + report["bytes_sent"]
    runs.shipped = sum(report["counts"][n] for n in ("created", "updated", "deleted"))
    wrong = case.wrong()
    runs.check = f"WRONG: {wrong}" if wrong else "equal"


def _report(said: str) -> dict[str, Any]:
    """The report of the one table, in whatever the command line wraps it."""
    found, _ = json.JSONDecoder().raw_decode(said[said.index("{") :])
    while "counts" not in found:
        found = next(v for v in found.values() if isinstance(v, dict))
    return dict(found)


def _show(case: Case, runs: dict[str, Runs]) -> dict[str, Any]:
    print(f"\n{case.pair}, {case.rows:,} rows\n{HEAD}")
    full = next(iter(runs.values()))
    whole = statistics.median(full.seconds)
    for name, run in runs.items():
        seconds = statistics.median(run.seconds)
        share = run.bytes / full.bytes if full.bytes else 0.0
        print(f"{name:<28}{seconds:>9.2f}{seconds / whole:>9.2f}{run.bytes / 1e6:>10.2f}{share:>9.2%}{run.shipped:>9,}"
              f"{run.peak:>9.0f}  {run.check}", flush=True)  # fmt: skip
    return {name: vars(run) for name, run in runs.items()}


if __name__ == "__main__":
    main()
