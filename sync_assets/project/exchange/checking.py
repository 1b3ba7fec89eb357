"""Looking at an exchange before anything travels: does each peer answer, does it know our key, what is there to pull.

Reads only, and writes nothing anywhere. Knows no terminal.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

from sync_assets.engine.errors import SyncError
from sync_assets.engine.model import Finding
from sync_assets.project.deployment import Project
from sync_assets.project.exchange.opening import open_peer
from sync_assets.project.exchange.placed import PlacedPeer


def check_exchange(project: Project, name: str) -> list[Finding]:
    """Ask every peer of an exchange who it is. Raises `Stop` only for an unknown exchange."""
    exchange = project.exchange(name)
    peers = [PlacedPeer(exchange, spec) for spec in exchange.spec.peers]
    return [finding for peer in peers for finding in _peer(peer)]


def _peer(placed: PlacedPeer) -> Iterator[Finding]:
    try:
        with closing(open_peer(placed, "")) as peer:
            facts = peer.ping()
            kind = "one of our kind" if facts.batch else "one of the original kind: a call for each task and document"
            yield Finding(True, f"{placed.name} answers: {kind}")
            if "pull" in placed.spec.ways:
                found = [one for one in peer.repositories() if placed.exchange.spec.wants(one)]
                yield Finding(True, f"{placed.name} has {len(found)} repositories for us")
    except SyncError as error:
        yield Finding(False, f"{placed.name}: {error.message}" + (f" [{error.code}]" if error.code else ""), error.hint)
