"""Tables from one database into another: ours beside the pipes and the tools that people use, on the same servers.

    python -m benchmarks.copy [--quick] [--pairs pg-pg,my-pg,pg-my] [--shapes wide,w13,narrow,small]
                              [--only WORDS] [--peers DIR] [--repeat 3] [--json FILE] [--small-buffers]

Starts two PostgreSQL servers of one version and a MariaDB, with fsync on, fills the sources, and runs every contender
as a whole process, start-up included, into an empty target. `ratio` is its time over the mean of the floor's runs just
before and just after it: machines drift. `peak` is the most memory of its process tree. `check` compares count and an
order-independent checksum of all rows on both sides. A contender that is not installed is listed with the command that
installs it. `--peers DIR` is a virtual environment with the Python ones.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks import copy_contenders as contenders
from benchmarks.copy_case import PAIRS, Case
from benchmarks.copy_contenders import Contender, environment
from benchmarks.copy_measure import Measured, measure
from sync_assets.testing.servers import Server, mariadb_server, postgres_server

ROWS = {"wide": 2_000_000, "w13": 500_000, "narrow": 5_000_000, "small": 200}
QUICK = {"wide": 50_000, "w13": 50_000, "narrow": 200_000, "small": 25}
SHAPES = {"pg-pg": ("wide", "w13", "narrow", "small"), "my-pg": ("wide", "w13", "small"), "pg-my": ("w13",)}
QUICK_SHAPES = {"pg-pg": ("wide", "w13", "small"), "my-pg": ("w13", "small"), "pg-my": ("w13",)}
POSTGRES = (
    "fsync=on", "full_page_writes=on", "synchronous_commit=on", "shared_buffers={buffers}", "max_wal_size=8GB",
    "wal_level=replica", "autovacuum=off", "checkpoint_timeout=30min", "max_connections=100",
)  # fmt: skip
MARIADB = (
    "--innodb-flush-log-at-trx-commit=1", "--innodb-buffer-pool-size={pool}", "--innodb-log-file-size={log}",
    "--innodb-doublewrite=1", "--local-infile=1",
)  # fmt: skip
LIMIT = 1800.0  # seconds for one run
_warm: set[str] = set()  # who has its bytecode by now
HEAD = f"{'contender':<44}{'seconds':>9}{'ratio':>7}{'krows/s':>9}{'cpu s':>8}{'peak MB':>9}  check"


@dataclass(frozen=True)
class Result:
    """A contender in one case: medians, and what was wrong."""

    pair: str
    shape: str
    rows: int
    contender: str
    runs: int
    seconds: float | None = None
    ratio: float | None = None
    cpu: float | None = None
    peak: float | None = None
    check: str = ""


def main() -> None:
    asked = _arguments()
    results: list[Result] = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="copy-", dir=asked.folder)))
        servers = servers_of(stack, small=asked.quick or asked.small_buffers)
        prepare_ours(servers, folder)
        for case in _cases(asked, servers, folder):
            case.fill_source()
            print(f"\n{case.pair}, {case.shape}: {case.rows:,} {'tables' if case.shape == 'small' else 'rows'}\n{HEAD}")
            for result in compare(case, asked.only, asked.repeat):
                results.append(result)
                print(line(result), flush=True)
    if asked.json:
        Path(asked.json).write_text(json.dumps([asdict(r) for r in results], indent=1))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Copy tables between databases, ours beside others.")
    parser.add_argument("--quick", action="store_true", help="small tables, one run each, under two minutes")
    parser.add_argument("--pairs", type=_words, default=PAIRS)
    parser.add_argument("--shapes", type=_words, default=tuple(ROWS))
    parser.add_argument("--only", type=_words, default=(), help="contenders whose names begin so")
    parser.add_argument("--rows", type=int, help="in each large table, in place of the usual number")
    parser.add_argument("--peers", type=Path, help="a virtual environment with dlt, sling, ingestr, duckdb")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where servers and files go, for a large run")
    parser.add_argument("--small-buffers", action="store_true", help="for machines with less than 16 GB")
    parser.add_argument("--json", help="write the results there, too")
    asked = parser.parse_args()
    if asked.quick:
        asked.repeat = 1
    return asked


def _words(text: str) -> tuple[str, ...]:
    return tuple(w.strip() for w in text.split(",") if w.strip())


def servers_of(stack: ExitStack, *, small: bool) -> dict[str, Server]:
    postgres = [o.format(buffers="256MB" if small else "2GB") for o in POSTGRES]
    mariadb = [o.format(pool="512M" if small else "3G", log="128M" if small else "2G") for o in MARIADB]
    return {
        "pg": stack.enter_context(postgres_server(options=postgres)),
        "pg2": stack.enter_context(postgres_server(options=postgres)),
        "my": stack.enter_context(mariadb_server(options=mariadb)),
    }


def prepare_ours(servers: dict[str, Server], folder: Path) -> None:
    """The control database of ours, with its tables: it is there long before anything is copied."""
    for name in ("pg", "pg2"):
        servers[name].create_database("sync_assets")
        done = measure(
            [sys.executable, "-m", "sync_assets.cli", "runs"], contenders.control(servers[name], folder), LIMIT
        )
        if done.failed:
            print(f"the control database could not be made: {_reason(done.said)}")


def _cases(asked: argparse.Namespace, servers: dict[str, Server], folder: Path) -> Iterator[Case]:
    for pair in (p for p in PAIRS if p in asked.pairs):
        source, target = pair.split("-")
        for shape in (s for s in (QUICK_SHAPES if asked.quick else SHAPES)[pair] if s in asked.shapes):
            rows = (QUICK if asked.quick else ROWS)[shape]
            if asked.rows and shape != "small":
                rows = asked.rows
            home = folder / f"{pair}-{shape}"
            home.mkdir()
            yield Case(
                pair, shape, rows, servers[source], servers["pg2" if target == "pg" else target], home, asked.peers
            )


@dataclass
class Floor:
    """The floor of a case, run again and again; none where the shape has none."""

    case: Case
    contender: Contender | None
    runs: list[Measured] = field(default_factory=list)
    check: str = ""

    def run(self) -> None:
        if self.contender is not None:
            measured, wrong = _run(self.case, self.contender)
            self.runs.append(measured)
            self.check = self.check or wrong

    def ratio(self, seconds: float) -> list[float]:
        """To the mean of the run before and the one after; nothing without a floor."""
        return [seconds / statistics.mean(r.seconds for r in self.runs[-2:])] if self.runs else []


def compare(case: Case, only: Sequence[str], repeat: int) -> Iterator[Result]:
    """Every contender of the case, each run between two runs of the floor."""
    usual = contenders.FLOORS[case.pair]
    floor = Floor(case, usual if case.shape in usual.shapes else None)
    if case.shape != "small":
        _prepare_file(case)
    floor.run()
    for contender in contenders.ALL:
        if case.pair not in contender.pairs or case.shape not in contender.shapes or contender is floor.contender:
            continue
        if not only or contender.name.startswith(tuple(only)):
            yield _compete(case, contender, floor, repeat)
    if floor.contender is not None:
        yield _result(case, floor.contender, floor.runs, [1.0], floor.check)


def _compete(case: Case, contender: Contender, floor: Floor, repeat: int) -> Result:
    if missing := contender.needs(case):
        return Result(case.pair, case.shape, case.rows, contender.name, 0, check=f"not installed: {missing}")
    if contender.warm_up and contender.name not in _warm:
        _run(case, contender)
        _warm.add(contender.name)
    runs: list[Measured] = []
    ratios: list[float] = []
    wrong = ""
    for _ in range(repeat):
        measured, this = _run(case, contender)
        wrong = wrong or this
        runs.append(measured)
        if measured.failed:
            break
        floor.run()
        ratios += floor.ratio(measured.seconds)
    return _result(case, contender, runs, ratios, wrong)


def _run(case: Case, contender: Contender) -> tuple[Measured, str]:
    case.clear_target(tables=contender.tables)
    measured = measure(contender.command(case), environment(case), LIMIT)
    if measured.failed:
        return measured, f"failed: {_reason(measured.said)}"
    wrong = case.wrong()
    return measured, f"WRONG: {wrong}" if wrong else ""


def _reason(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower() or "->" in line]
    return (telling or lines or ["it said nothing"])[-1][:150]


def _prepare_file(case: Case) -> None:
    """The file of the bare ingest: from MySQL, the rows of the source as PostgreSQL holds them."""
    if case.source.kind == "mysql":
        filler = next(c for c in contenders.OURS if c.tables)
        measured, wrong = _run(case, filler)
        if measured.failed or wrong:
            print(f"the ready file could not be made: {wrong}")
    done = measure(contenders.prepare_file(case), environment(case), LIMIT)
    if done.failed:
        print(f"the ready file could not be made: {_reason(done.said)}")


def _result(case: Case, contender: Contender, runs: Sequence[Measured], ratios: Sequence[float], wrong: str) -> Result:
    good = [r for r in runs if not r.failed]
    first = (case.pair, case.shape, case.rows, contender.name, len(good))
    if not good:
        return Result(*first, check=wrong)
    return Result(
        *first, statistics.median(r.seconds for r in good), statistics.median(ratios) if ratios else None,
        statistics.median(r.cpu for r in good), max(r.peak for r in good), wrong or "equal",
    )  # fmt: skip


def line(result: Result) -> str:
    if result.seconds is None:
        return f"{result.contender:<44}{'':>9}{'':>7}{'':>9}{'':>8}{'':>9}  {result.check}"
    rows = result.rows * (1000 if result.shape == "small" else 1)
    ratio = f"{result.ratio:.2f}" if result.ratio is not None else ""
    return (f"{result.contender:<44}{result.seconds:>9.2f}{ratio:>7}{rows / result.seconds / 1000:>9.0f}"
            f"{result.cpu:>8.1f}{result.peak:>9.0f}  {result.check}")  # fmt: skip


if __name__ == "__main__":
    main()
