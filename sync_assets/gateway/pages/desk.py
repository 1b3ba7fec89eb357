"""What the page asks of the installation: to sign in, what is here, which peers there are, and to begin a sync.

Must not know how tokens are made, where peers are configured, or what a browser is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sync_assets.exchange.model import Document, Id, Library, Repository
from sync_assets.exchange.work import Direction, Order, Peer, Sight, SyncState, SyncStore
from sync_assets.gateway.access import Caller
from sync_assets.gateway.door import Signed


@dataclass(frozen=True, slots=True)
class PeerChoice:
    """A configured peer. `url` ends in /api/sync; empty where it cannot be read."""

    name: str
    title: str
    url: str
    ways: tuple[Direction, ...]

    @property
    def page(self) -> str | None:
        """Where its own page is."""
        return self.url.removesuffix("/api/sync") or None


class Desk(Protocol):
    """One installation as its page sees it."""

    @property
    def library(self) -> Library: ...

    @property
    def syncs(self) -> SyncStore: ...

    def pace(self, name: str, address: str) -> None:
        """Before each attempt to sign in. Raises `Refused` (429) after too many."""
        ...

    def sign_in(self, name: str, password: str, request_id: str) -> Signed | None:
        """None when refused, whatever the reason."""
        ...

    def sign_out(self, refresh: str, request_id: str) -> None: ...

    def may_see(self, caller: Caller, state: SyncState) -> bool: ...

    def sight(self, caller: Caller) -> Sight | None:
        """Which syncs he may see; None for all."""
        ...

    def may_start(self, caller: Caller, order: Order) -> bool: ...

    def peers(self) -> Sequence[PeerChoice]: ...

    def open_peer(self, name: str) -> Peer:
        """Raises `Stop` when its secret is missing."""
        ...

    def document(self, repository_id: Id, document_id: Id) -> tuple[Document, str] | None:
        """With its content, and the status of its task."""
        ...

    def start(self, caller: Caller, order: Order) -> SyncState:
        """Begin a sync, as ``POST /api/sync`` does. Raises `AlreadyRunning`, `Stop`, `RejectRow`, `Retry`,
        `Refused` (403, 404)."""
        ...


def readable(desk: Desk, caller: Caller) -> Sequence[Repository]:
    """The repositories here that somebody may read."""
    return [r for r in desk.library.repositories() if caller.may("read", r.repository_id)]
