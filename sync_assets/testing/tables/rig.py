"""Runs over tables between two real databases, here or in a child process that may be killed or stopped.

For chaos tests. Everything that a run needs is a `Site`, which travels as JSON. ``python -m
sync_assets.testing.tables.rig`` is a nursery: it has imported everything once, and forks a child for each line that it
reads, so that a hundred killed children cost no hundred starts of Python. It has one thread, so forking is safe.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from sync_assets.databases.base import ConnectionArgs, open_tables
from sync_assets.engine import faults
from sync_assets.engine.control import ControlStore
from sync_assets.engine.errors import SyncError
from sync_assets.engine.guard import DeleteLimit
from sync_assets.engine.holder import holder_name
from sync_assets.engine.lease import SECONDS, steady
from sync_assets.engine.model import Mode, Report
from sync_assets.engine.tables.job import Changes, Pace, TableJob
from sync_assets.engine.tables.reading import TableSource
from sync_assets.engine.tables.run import TablesRun
from sync_assets.engine.tables.shape import TableName
from sync_assets.engine.tables.writing import TableTarget
from sync_assets.store.address import Address
from sync_assets.store.control import PostgresStore
from sync_assets.store.secrets import Secret

Plain = Mapping[str, Any]
WIDE = (1.0, 1_000_000)  # the guard has tests of its own


@dataclass(frozen=True)
class End:
    """One of the two databases; plain values of a connection."""

    kind: str
    args: Plain
    password: str = field(repr=False)

    def open(self, **changes: Any) -> TableTarget:
        made = ConnectionArgs(**{"open_password": lambda: self.password, **self.args, **changes})
        return open_tables(self.kind, made)


@dataclass(frozen=True)
class Site:
    """Where runs read, write and keep their leases."""

    here: End
    there: End
    control: Plain
    streams: int = 1
    slice_bytes: int = 16_384
    lease_seconds: float = SECONDS

    def open_store(self) -> PostgresStore:
        """The control database, whose tables must be there."""
        address = Address(**{**self.control, "password": Secret(self.control["password"])})
        return PostgresStore(lambda: address)


def job(site: Site, table: str, **settings: Any) -> TableJob:
    """A job from plain values, as they travel. The table has the same name on both sides.

    The lease does not change its name with the way to the target: through a proxy it is the same table.
    """
    named = [TableName(_schema(end), table) for end in (site.there, site.here)]
    made: dict[str, Any] = {"mode": "clone", "changes": "auto", "delete_limit": WIDE}
    made |= {"lease": f"rig {site.there.args['database']}.{table}", **settings}
    made |= {"mode": Mode(made["mode"]), "changes": Changes(made["changes"])}
    made |= {"delete_limit": DeleteLimit(*made["delete_limit"]), "key": tuple(made.get("key", ()))}
    return TableJob(f"copy_{table}", named[0], named[1], **made)


def _schema(end: End) -> str:
    return "public" if end.kind == "postgres" else str(end.args["database"])


@dataclass
class Hands:
    """What a test may put in place of the real thing. `before` is done to the run when it is made."""

    store: ControlStore | None = None
    here: Plain = field(default_factory=dict)  # other arguments of the connections
    there: Plain = field(default_factory=dict)
    source: Callable[[TableTarget], TableSource] = lambda opened: opened
    target: Callable[[TableTarget], TableTarget] = lambda opened: opened
    clock: Callable[[], float] = steady
    sleep: Callable[[float], None] = time.sleep
    owner: str = ""


def run(site: Site, jobs: Sequence[TableJob], hands: Hands | None = None) -> list[Report]:
    """Run once, in this process. Raises what stopped any of the jobs."""
    hands = hands or Hands()
    store = hands.store or site.open_store()
    source, target = site.here.open(**hands.here), site.there.open(**hands.there)
    try:
        made = TablesRun(
            jobs, hands.source(source), hands.target(target), store, hands.owner or holder_name("rig"),
            pace=Pace(site.streams, site.slice_bytes), clock=hands.clock, lease_seconds=site.lease_seconds,
            sleep=hands.sleep,
        )  # fmt: skip
        outcomes = list(made.execute().values())
    finally:
        source.close()
        target.close()
        if isinstance(store, PostgresStore) and hands.store is None:
            store.close()
    for outcome in outcomes:
        if outcome.error is not None:
            raise outcome.error
    return [outcome.report for outcome in outcomes if outcome.report is not None]


# -- in processes of their own --------------------------------------------------------------------------------------


@dataclass
class Child:
    """A run in a process of its own. `wait` is called once."""

    pid: int
    _nursery: Nursery

    def wait(self) -> tuple[int, dict[str, Any]]:
        """Its exit code (-9 when it was killed), and {outcome, message, counts, notes, passed} as far as it got."""
        said = json.loads(self._nursery.line())
        return int(said["code"]), json.loads(said["told"] or "{}")


class Nursery:
    """Starts children, one at a time. ``with Nursery() as nursery: nursery.start(site, [("items", {})]).wait()``."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "sync_assets.testing.tables.rig"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def start(self, site: Site, jobs: Sequence[tuple[str, Plain]], fault: str = "", times: int = 1) -> Child:
        """`jobs` are tables with their settings; the child runs over them `times` times."""
        asked = {"site": asdict(site), "jobs": [[t, dict(s)] for t, s in jobs], "fault": fault, "times": times}
        if self._process.stdin is None:
            raise AssertionError("a pipe was asked for")
        self._process.stdin.write(json.dumps(asked) + "\n")
        self._process.stdin.flush()
        return Child(int(self.line()), self)

    def line(self) -> str:
        if self._process.stdout is None:
            raise AssertionError("a pipe was asked for")
        return self._process.stdout.readline()

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._process.wait(30)


def main() -> None:
    """For each line: fork a child, print its pid; when it has ended, print its exit code and what it told."""
    for line in sys.stdin:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            _child(json.loads(line), writing)
        os.close(writing)
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()
        with os.fdopen(reading) as told:
            text = told.read()
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        sys.stdout.write(json.dumps({"code": code, "told": text}) + "\n")
        sys.stdout.flush()


def _child(asked: dict[str, Any], writing: int) -> None:
    """Run, tell, and end without a word to the parent's buffers."""
    told: dict[str, Any] = {"outcome": "done", "message": ""}
    try:
        faults.arm(asked["fault"])
        plain = asked["site"]
        site = Site(**{**plain, "here": End(**plain["here"]), "there": End(**plain["there"])})
        for _ in range(asked["times"]):
            reports = run(site, [job(site, table, **settings) for table, settings in asked["jobs"]])
            told["counts"] = [asdict(report.counts) for report in reports]
            told["notes"] = [list(report.notes) for report in reports]
            told["equal"] = [report.equal for report in reports]
    except SyncError as error:
        told |= {"outcome": type(error).__name__, "message": str(error)}
    finally:
        os.write(writing, json.dumps(told | {"passed": faults.passed()}).encode())
        os._exit(0 if told["outcome"] == "done" and "counts" in told else 1)


def moved(site: Site, **changes: Any) -> Site:
    """The same site with other numbers."""
    return replace(site, **changes)


if __name__ == "__main__":
    main()
