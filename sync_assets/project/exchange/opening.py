"""From a configured peer to one that can be talked to. Its key is opened at each request, as late as possible."""

from __future__ import annotations

import time
from collections.abc import Callable

from sync_assets.project.exchange.network import PUBLIC, internal
from sync_assets.project.exchange.peer import HttpPeer
from sync_assets.project.exchange.placed import PlacedPeer


def open_peer(
    peer: PlacedPeer,
    origin: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> HttpPeer:
    """The peer; nothing is dialled yet. `origin`: what this installation calls itself (`PostgresSyncs.deployment_id`).

    Raises `Stop` for an address that may not be dialled, and for what its settings refer to and is not there.
    """
    return HttpPeer(
        peer.name,
        peer.url,
        peer.open_key,
        internal(peer.internal) if peer.internal else PUBLIC,
        clock,
        sleep,
        origin=origin,
        ca=str(peer.ca) if peer.ca else None,
    )
