"""One sync from a real database to an emulated board, here or in a child process that may be killed.

For chaos tests and benchmarks: everything that a run needs is a `Place`, which travels to a child as JSON on its
standard input. ``python -m sync_assets.testing.rig`` is that child: it runs once and prints how it ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from sync_assets.databases.base import ConnectionArgs, open_database
from sync_assets.engine import faults
from sync_assets.engine.control import ControlStore
from sync_assets.engine.errors import SyncError
from sync_assets.engine.guard import DeleteLimit
from sync_assets.engine.holder import holder_name
from sync_assets.engine.job import Job
from sync_assets.engine.lease import SECONDS
from sync_assets.engine.model import Delivery, Mode, Partition, Progress, Report, silent
from sync_assets.engine.run import Run
from sync_assets.engine.target import Limits
from sync_assets.feishu.client import FeishuClient
from sync_assets.sources.sql import SqlSource
from sync_assets.store.address import Address
from sync_assets.store.control import PostgresStore
from sync_assets.store.secrets import Secret
from sync_assets.targets.bitable.target import BitableTarget, BoardSpec

if TYPE_CHECKING:
    import httpx


@dataclass(frozen=True)
class Place:
    """Where a sync reads, writes and keeps its notes; plain values only. `source` are those of a connection."""

    dialect: str
    source: Mapping[str, Any]
    password: str
    table: str
    feishu: str
    app_id: str
    app_secret: str
    app_token: str
    table_id: str
    control: Mapping[str, Any]
    zone: str = "Asia/Shanghai"
    batch_rows: int = 500
    lease_seconds: float = SECONDS
    partition_column: str | None = None

    def open_store(self) -> PostgresStore:
        """The control database, whose tables must be there."""
        known = dict(self.control)
        address = Address(**known | {"password": Secret(known["password"])})
        return PostgresStore(lambda: address)


def job(sync: str, **settings: Any) -> Job:
    """A job from plain values, as they travel."""
    made = {**settings, "mode": Mode(settings.get("mode", "full")), "key": tuple(settings.get("key", ("id",)))}
    if "delete_limit" in made:
        made["delete_limit"] = DeleteLimit(*made["delete_limit"])
    return Job(sync, **made)


@dataclass
class Hands:
    """What a test may put in place of the real thing."""

    store: ControlStore | None = None
    client: Mapping[str, Any] = field(default_factory=dict)  # arguments of FeishuClient
    progress: Progress = silent
    clock: Callable[[], float] | None = None
    transport: httpx.BaseTransport | None = None
    partitions: tuple[Partition, ...] = ()
    owner: str = ""


def run(place: Place, what: Job, hands: Hands | None = None) -> Report:
    """Run once, in this process. Raises what the engine raises."""
    hands = hands or Hands()
    store = hands.store or place.open_store()
    source, target = _source(place, what), _target(place, what, hands)
    try:
        made = Run(
            what, source, target, store, hands.partitions, hands.owner or holder_name("rig"),
            progress=hands.progress, lease_seconds=place.lease_seconds,
        )  # fmt: skip
        return (replace(made, clock=hands.clock) if hands.clock else made).execute()
    finally:
        source.close()
        target.close()
        if hands.store is None and isinstance(store, PostgresStore):
            store.close()


def _source(place: Place, what: Job) -> SqlSource:
    args = ConnectionArgs(open_password=lambda: place.password, **place.source)
    return SqlSource(
        what.sync,
        open_database(place.dialect, args),
        table=place.table,
        time_zone=ZoneInfo(place.zone),
        partitions=place.partition_column,
        watermark=what.watermark,
        batch_rows=100,
    )


def _target(place: Place, what: Job, hands: Hands) -> BitableTarget:
    client = FeishuClient(
        place.app_id, lambda: place.app_secret, place.feishu, transport=hands.transport, **hands.client
    )
    link = f"{place.feishu}/base/{place.app_token}?table={place.table_id}"
    board = BoardSpec(what.sync, link, None, what.key, "base", {}, ZoneInfo(place.zone))
    delivery = Delivery.APPEND if what.mode is Mode.APPEND else Delivery.TOKEN
    most = place.batch_rows
    return BitableTarget(board, client, delivery, Limits(most, most, most))


# -- in a process of its own ----------------------------------------------------------------------------------------


def start(place: Place, sync: str, settings: Mapping[str, Any], fault: str = "") -> subprocess.Popen[str]:
    """Start a child that runs once; its standard output is one line of JSON (see `main`)."""
    child = subprocess.Popen(
        [sys.executable, "-m", "sync_assets.testing.rig"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "SYNC_ASSETS_FAULT": fault},
    )
    if child.stdin is None:
        raise AssertionError("a pipe was asked for")
    child.stdin.write(json.dumps({"place": asdict(place), "sync": sync, "settings": dict(settings)}))
    child.stdin.close()
    child.stdin = None  # `communicate` would flush it
    return child


def main() -> int:
    """Run once. Prints {outcome, message, counts, passed}: `passed` says how often each fault point was passed."""
    asked = json.load(sys.stdin)
    told: dict[str, Any] = {"outcome": "done", "message": ""}
    try:
        report = run(Place(**asked["place"]), job(asked["sync"], **asked["settings"]))
        told["counts"] = asdict(report.counts)
    except SyncError as error:
        told |= {"outcome": type(error).__name__, "message": str(error)}
    sys.stdout.write(json.dumps(told | {"passed": faults.passed()}) + "\n")
    return 0 if told["outcome"] == "done" else 1


if __name__ == "__main__":
    sys.exit(main())
