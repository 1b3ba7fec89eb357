"""Database to board: requests, time and memory of one sync, beside the least that any tool could need.

    python -m benchmarks.bitable [--quick] [--paced] [--rows N ...] [--source postgres|mysql|both] [--repeat 3]

Servers are private ones on this machine, the board is the emulator in a process of its own. For times the emulator's
row limit and rate limits are off and the client's own pacing too (`rate_factor=0`); with pacing on, 100,000 rows take
at least 12 s to read and 5 s to write, whoever asks. `--paced` measures it as users run it: Feishu's documented
limits hold on both sides (20 reads and 50 writes a second), and the floor keeps them too. `floor` is the same calls
alone: sent, received, decoded by the same HTTP client, run in between the measured runs; `least` the least possible
number of requests with 500 a page.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import board_data
from sync_assets.testing.bitable import Config, Emulator
from sync_assets.testing.servers import Server, mariadb_server, postgres_server

SLOWEST = 1.5  # aim: wall time over the floor's
HEAD = f"{'scenario':<26}{'requests':>9}{'least':>7}{'XTF v1':>8}{'seconds':>9}{'floor':>8}{'ratio':>7}{'peak MB':>9}"


@dataclass
class Bench:
    """One source, one size: the table, its board, and what to ask of the mover."""

    kind: str
    server: Server
    emulator: Emulator
    rows: int
    repeat: int
    extra: bool = False
    paced: bool = False
    app_token: str = ""
    boards: int = 0
    ratios: list[float] = field(default_factory=list)

    def prepare(self) -> None:
        self.emulator.reset()
        self.app_token = self.emulator.make_base("bench")
        self.execute("drop table if exists orders")
        self.execute(*board_data.create(self.kind, "orders", self.rows, extra=self.extra))
        self.settle()

    def settle(self) -> None:
        """Let the server clear up after changes, which it would else do while it is read."""
        self.execute("vacuum analyze orders" if self.kind == "postgres" else "analyze table orders")

    def change(self, *statements: str) -> None:
        self.execute(*statements)
        self.settle()

    def execute(self, *statements: str) -> None:
        for statement in statements:
            self.server.execute(statement, database="bench")

    def fresh(self) -> str:
        """The name of a table that is not there yet: the run creates it, fields and all, in one call."""
        self.boards += 1
        return f"board {self.boards}"

    def table_id(self, name: str) -> str:
        tables = self.emulator.describe(self.app_token)["tables"]
        return next(str(t["table_id"]) for t in tables if t["name"] == name)

    def sync(self, name: str, mode: str = "full") -> dict[str, Any]:
        skip = list(board_data.EXTRA_NAMES) if self.extra else []
        return _mover("sync", self._ask() | {"table_name": name, "mode": mode, "skip": skip})

    def floor(self, name: str, *, pages: bool = True, twin: str = "", update_every: int = 0) -> dict[str, Any]:
        more = {"pages": pages, "create": bool(twin), "twin": twin, "update_every": update_every}
        return _mover("floor", self._ask() | more | {"table_id": self.table_id(name), "fields": board_data.NAMES})

    def warm(self, name: str) -> None:
        """Let the emulator encode what was written since the last scan: the floor finds it encoded as well."""
        self.floor(name)

    def twin(self, name: str) -> str:
        """An empty table with the fields of this one."""
        wanted = ("field_name", "type", "ui_type", "property")
        fields = [
            {k: f[k] for k in wanted if f[k] is not None}
            for f in self.emulator.fields(self.app_token, self.table_id(name))
        ]
        return self.emulator.make_table(self.app_token, self.fresh(), fields)

    def _ask(self) -> dict[str, Any]:
        s = self.server
        database = {"kind": self.kind, "host": s.host, "port": s.port, "database": "bench", "user": s.user,
                    "password": s.password}  # fmt: skip
        e = self.emulator
        return {
            "database": database, "table": "orders", "url": e.url, "app_id": e.app_id, "app_secret": e.app_secret,
            "app_token": self.app_token, "link": e.link(self.app_token), "paced": self.paced,
        }  # fmt: skip


def _mover(verb: str, ask: Mapping[str, Any]) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.mover", verb, json.dumps(ask)]
    cached = {**os.environ, "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir()) / "sync-assets-benchmark")}
    cached.pop("PYTHONDONTWRITEBYTECODE", None)  # imports are not what is measured
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, env=cached)
    if done.returncode:
        raise SystemExit(f"{verb} failed:\n{done.stderr[-2000:]}")
    answer: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return answer


def pages(rows: int) -> int:
    return max(1, math.ceil(rows / 500))


def xtf(rows: int, updated: int = 0, created: int = 0) -> int:
    """Requests of XTF's v1 backend in mode full: every matched row is written again, pages hold 100 records."""
    return 1 + 3 + max(1, math.ceil(rows / 100)) + math.ceil(updated / 500) + math.ceil(created / 500)


def measure(bench: Bench) -> None:
    """All scenarios of one size, each a line."""
    n, extra = bench.rows, 2  # finding the table by its name: list of tables, and its creation or its fields
    bench.prepare()
    first = bench.fresh()

    def load() -> tuple[dict[str, Any], dict[str, Any]]:
        nonlocal first
        first = bench.fresh()
        done = bench.sync(first)
        return done, bench.floor(first, pages=False, twin=bench.twin(first))

    _line(bench, "first load", 1 + 1 + extra + pages(n), xtf(0, created=n), load, {"created": n})
    held = first

    def again(count: Mapping[str, int], every: int = 0) -> Callable[[], tuple[dict[str, Any], dict[str, Any]]]:
        def run() -> tuple[dict[str, Any], dict[str, Any]]:
            if every:
                bench.change(*board_data.change("orders", every))
            bench.warm(held)
            done = bench.sync(held)
            return done, bench.floor(held, update_every=every)

        return run

    scan = 1 + 1 + 1 + pages(n)  # token, list of tables, fields, pages
    _line(bench, "nothing changed", scan, xtf(n, n), again({}), {"unchanged": n})
    _line(bench, "1 % changed", scan + pages(n // 100), xtf(n, n), again({}, 100), {"updated": n // 100})
    _line(bench, "all changed", scan + pages(n), xtf(n, n), again({}, 1), {"updated": n})

    def clone() -> tuple[dict[str, Any], dict[str, Any]]:
        bench.change(*board_data.shrink("orders", 100))
        bench.warm(held)
        done = bench.sync(held, "clone")
        floor = bench.floor(held)
        bench.change("drop table orders", *board_data.create(bench.kind, "orders", n, extra=bench.extra))
        bench.sync(held)  # what was deleted comes back
        return done, floor

    _line(bench, "1 % deleted (clone)", scan + pages(n // 100), None, clone, {"deleted": n // 100})


def _line(
    bench: Bench,
    what: str,
    least: int,
    other: int | None,
    run: Callable[[], tuple[dict[str, Any], dict[str, Any]]],
    expected: Mapping[str, int],
) -> None:
    """Measure `repeat` times, floor and run in turn; print medians. Stops when a run did something else."""
    pairs = [run() for _ in range(bench.repeat)]
    for done, _ in pairs:
        wrong = {k: done["counts"][k] for k, v in expected.items() if done["counts"][k] != v}
        if wrong or not done["equal"]:
            raise SystemExit(f"{what}: expected {expected}, got {done['counts']}, equal {done['equal']}")
    seconds = statistics.median(done["seconds"] for done, _ in pairs)
    floor = statistics.median(alone["seconds"] for _, alone in pairs)
    peak = max(done["peak"] for done, _ in pairs)
    bench.ratios.append(seconds / floor)
    print(
        f"{what:<26}{pairs[0][0]['requests']:>9}{least:>7}{other if other is not None else '-':>8}"
        f"{seconds:>9.2f}{floor:>8.2f}{seconds / floor:>7.2f}{peak:>9.0f}", flush=True,
    )  # fmt: skip


def memory(bench: Bench) -> None:
    """The same first load and second run with twenty more columns on both sides, which the sync does not map."""
    peaks: dict[bool, tuple[float, float]] = {}
    for extra in (False, True):
        bench.extra = extra
        bench.prepare()
        name = bench.fresh()
        first = bench.sync(name)["peak"]
        if extra:
            _fill_unmapped(bench, name)
        peaks[extra] = first, bench.sync(name)["peak"]
    bench.extra = False
    for at, what in enumerate(("first load", "nothing changed")):
        print(
            f"peak MB, {what:<17} 20 columns {peaks[False][at]:.0f}, with 20 unmapped {peaks[True][at]:.0f}", flush=True
        )


def _fill_unmapped(bench: Bench, name: str) -> None:
    """Twenty fields on the board that no column fills, each with a text in every record."""
    import httpx

    table = bench.table_id(name)
    e = bench.emulator
    with httpx.Client(base_url=e.url, trust_env=False, timeout=60) as http:
        login = {"app_id": e.app_id, "app_secret": e.app_secret}
        token = http.post("/open-apis/auth/v3/tenant_access_token/internal", json=login).json()["tenant_access_token"]
        path = f"/open-apis/bitable/v1/apps/{bench.app_token}/tables/{table}/fields"
        for field_name in board_data.EXTRA_NAMES:
            body = {"field_name": f"board {field_name}", "type": 1}
            http.post(path, json=body, headers={"authorization": f"Bearer {token}"}).raise_for_status()
    ids = list(e.rows(bench.app_token, table))
    cells = {f"board {n}": "unmapped " * 12 for n in board_data.EXTRA_NAMES}
    for start in range(0, len(ids), 5000):
        e.put_rows(bench.app_token, table, dict.fromkeys(ids[start : start + 5000], cells))


@contextmanager
def servers(wanted: str) -> Iterator[dict[str, Server]]:
    """The private servers that are asked for, each with an empty database."""
    makers = {"postgres": postgres_server, "mysql": mariadb_server}
    with ExitStack() as stack:
        found = {kind: stack.enter_context(make()) for kind, make in makers.items() if wanted in (kind, "both")}
        for server in found.values():
            server.create_database("bench")
        yield found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="10,000 rows only")
    parser.add_argument("--paced", action="store_true", help="with the documented rate limits on both sides")
    parser.add_argument("--rows", type=int, nargs="+")
    parser.add_argument("--source", choices=["postgres", "mysql", "both"], default="both")
    parser.add_argument("--repeat", type=int, default=3)
    asked = parser.parse_args()
    sizes = asked.rows or ([10_000] if asked.quick else [10_000, 100_000])
    with (
        Emulator.start(Config(rate_factor=float(asked.paced), row_limit=None)) as emulator,
        servers(asked.source) as found,
    ):
        for kind, server in found.items():
            for rows in sizes:
                bench = Bench(kind, server, emulator, rows, asked.repeat, paced=asked.paced)
                print(f"\n{kind}, {rows:,} rows x {len(board_data.NAMES)} columns\n{HEAD}", flush=True)
                measure(bench)
                if not asked.paced:
                    memory(bench)
                print(f"worst ratio {max(bench.ratios):.2f} (aim {SLOWEST})", flush=True)


if __name__ == "__main__":
    main()
