"""What the endpoints work with: the control database and what stands on it, opened once for the process.

Parts are made at first use, so that a process that serves only some endpoints loads only what these need.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from sync_assets.gateway.door import Door
from sync_assets.gateway.exchanging import Exchanging, Peers, configured_peers
from sync_assets.gateway.limits import Buckets
from sync_assets.gateway.settings import Settings
from sync_assets.gateway.tokens import Tokens
from sync_assets.store.gateway.audit import SQL
from sync_assets.store.gateway.keys import Keys
from sync_assets.store.gateway.origins import Origins
from sync_assets.store.gateway.signed import SignedCalls
from sync_assets.store.gateway.users import Users
from sync_assets.store.keyring import KeyRing, grow, read_ring

if TYPE_CHECKING:
    from sync_assets.exchange.model import Library
    from sync_assets.exchange.work import SyncStore
    from sync_assets.store.control import PostgresStore


def _ring() -> KeyRing:
    """The key ring; one is made where there is none yet."""
    ring = read_ring()
    return ring if ring.keys else grow(ring)


@dataclass
class Services:
    """`store` is open; whoever opened it closes it. `ring` is read at start; `clock` counts seconds for the limits."""

    store: PostgresStore
    ring: KeyRing = field(default_factory=_ring, repr=False)
    clock: Callable[[], float] = time.monotonic
    settings: Settings = field(default_factory=Settings)  # `create_app` sets them
    peers: Callable[[], Peers] = configured_peers  # other installations, by name
    at_start: list[Callable[[], None]] = field(default_factory=list)  # what routers begin with the process,
    at_end: list[Callable[[], None]] = field(default_factory=list)  # and end with it, newest first

    @cached_property
    def keys(self) -> Keys:
        return Keys(self.store.sessions)

    @cached_property
    def signed(self) -> SignedCalls:
        return SignedCalls(self.store.sessions)

    @cached_property
    def origins(self) -> Origins:
        return Origins(self.store.sessions)

    @cached_property
    def users(self) -> Users:
        return Users(self.store.sessions)

    @cached_property
    def instance(self) -> str:
        """This installation's id, as other installations know it (`X-Sync-Origin`)."""
        row = self.store.sessions.run(lambda cursor: cursor.execute(SQL["instance"]).fetchone())
        return str(row[0]) if row else ""

    @cached_property
    def tokens(self) -> Tokens:
        return Tokens(self.ring, self.instance, self.settings.access_seconds)

    @cached_property
    def door(self) -> Door:
        """Where people log in."""
        limits = self.settings.limits
        paces = Buckets(limits.logins, limits.logins_burst, self.clock)
        return Door(self.users, self.tokens, paces, self.settings.refresh_seconds)

    @cached_property
    def library(self) -> Library:
        from sync_assets.store.exchange.library import PostgresLibrary

        return PostgresLibrary(self.store.sessions)

    @cached_property
    def syncs(self) -> SyncStore:
        from sync_assets.store.exchange.syncs import PostgresSyncs

        return PostgresSyncs(self.store)

    @cached_property
    def exchanging(self) -> Exchanging:
        """The syncs that this process carries out."""
        return Exchanging(self)
