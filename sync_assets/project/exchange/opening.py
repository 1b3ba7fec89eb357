"""From a configured peer to one that can be talked to. Its key is opened at each request, as late as possible."""

from __future__ import annotations

import time
from collections.abc import Callable

from sync_assets.project.exchange.network import PUBLIC, internal
from sync_assets.project.exchange.peer import HttpPeer
from sync_assets.project.exchange_spec import Peer as PeerSpec
from sync_assets.store.secrets import expand, opener


def open_peer(
    spec: PeerSpec,
    origin: str,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> HttpPeer:
    """The peer; nothing is dialled yet. `origin`: what this installation calls itself (`PostgresSyncs.deployment_id`).

    Raises `Stop` for an address that may not be dialled.
    """
    return HttpPeer(
        spec.name,
        expand(spec.url),
        opener(spec.api_key) if spec.api_key else None,
        internal(spec.network.internal) if spec.network.internal else PUBLIC,
        clock,
        sleep,
        origin=origin,
        ca=expand(spec.ca) if spec.ca else None,
    )
