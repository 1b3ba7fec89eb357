"""One sync between two installations over HTTP, in a child process that may be killed.

``python -m sync_assets.testing.exchange_rig`` reads a `Place` as JSON from standard input, runs once, and prints how
it ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sync_assets.engine import faults
from sync_assets.engine.errors import SyncError
from sync_assets.engine.holder import holder_name
from sync_assets.exchange import engine
from sync_assets.exchange.work import Direction, Order
from sync_assets.project.exchange.network import internal
from sync_assets.project.exchange.peer import HttpPeer
from sync_assets.store.address import Address
from sync_assets.store.control import PostgresStore
from sync_assets.store.exchange.library import PostgresLibrary
from sync_assets.store.exchange.syncs import PostgresSyncs
from sync_assets.store.secrets import Secret


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sync runs; plain values only. `control` is an `Address` with its password as text."""

    control: Mapping[str, Any]
    url: str
    key: str
    direction: str
    repository: int
    replace: bool = False


def place_of(address: Address, url: str, key: str, direction: Direction, repository: int, *, replace: bool) -> Place:
    plain = {name: getattr(address, name) for name in address.__dataclass_fields__}
    plain["password"] = address.password.reveal() if address.password else ""
    return Place(plain, url, key, str(direction), repository, replace)


def child(place: Place, fault: str) -> tuple[int, dict[str, Any]]:
    """Run once in a child with this fault; its exit code, and what it said (nothing when it was killed)."""
    done = subprocess.run(
        [sys.executable, "-m", "sync_assets.testing.exchange_rig"],
        input=json.dumps(asdict(place)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "SYNC_ASSETS_FAULT": fault},
    )
    return done.returncode, json.loads(done.stdout) if done.stdout else {"stderr": done.stderr}


def main() -> int:
    """Run once. Prints {outcome, passed}: `passed` says how often each fault point was passed."""
    place = Place(**json.load(sys.stdin))
    address = Address(**{**place.control, "password": Secret(place.control["password"])})
    said = "done"
    with PostgresStore(lambda: address) as store:
        syncs = PostgresSyncs(store)
        peer = HttpPeer(
            "other", place.url, lambda: place.key, internal(["127.0.0.0/8"]), origin=syncs.deployment_id()
        )  # fmt: skip
        order = Order(Direction(place.direction), "other", place.repository, replace=place.replace)
        try:
            said = str(
                engine.run(order, PostgresLibrary(store.sessions), peer, syncs, holder=holder_name("rig")).status
            )
        except SyncError as error:
            said = f"{type(error).__name__}: {error}"
        finally:
            peer.close()
    sys.stdout.write(json.dumps({"outcome": said, "passed": faults.passed()}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
