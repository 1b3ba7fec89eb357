"""The desk of this installation: the page's questions, answered by the services that the endpoints work with.

Must not know templates, forms or cookies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sync_assets.engine.errors import Stop
from sync_assets.exchange.model import Document, Id, Library
from sync_assets.exchange.work import Direction, Order, Peer, Sight, SyncState, SyncStore
from sync_assets.gateway.access import Caller
from sync_assets.gateway.door import Signed
from sync_assets.gateway.exchanging import may_see, must_start, sight
from sync_assets.gateway.initiating import begin
from sync_assets.gateway.pages.desk import PeerChoice
from sync_assets.gateway.refusal import Refused

if TYPE_CHECKING:
    from sync_assets.gateway.services import Services
    from sync_assets.project.exchange.placed import PlacedPeer

SECONDS = 8 * 3600  # of a login: a working day. What a token is worth is looked up each time, so that it can end early


class Installation:
    """Implements `desk.Desk`."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @property
    def library(self) -> Library:
        return self._services.library

    @property
    def syncs(self) -> SyncStore:
        return self._services.syncs

    def pace(self, name: str, address: str) -> None:
        for who in (f"address:{address}", f"name:{name[:100]}"):
            self._services.door.paces.take(who, "too many logins")

    def sign_in(self, name: str, password: str, request_id: str) -> Signed | None:
        login = self._services.users.login(name, password, SECONDS, request_id)
        if login is None:
            return None
        tokens = replace(self._services.tokens, seconds=SECONDS)
        return Signed(tokens.issue(login.name, login.family), login.refresh, SECONDS)

    def sign_out(self, refresh: str, request_id: str) -> None:
        self._services.users.logout(refresh, request_id)

    def may_see(self, caller: Caller, state: SyncState) -> bool:
        return may_see(caller, state.order)

    def sight(self, caller: Caller) -> Sight | None:
        return sight(caller)

    def may_start(self, caller: Caller, order: Order) -> bool:
        try:
            must_start(caller, order)
        except Refused:
            return False
        return True

    def peers(self) -> Sequence[PeerChoice]:
        return [_choice(peer) for peer in self._services.peers().values()]

    def open_peer(self, name: str) -> Peer:
        return self._services.exchanging.open_peer(name)

    def document(self, repository_id: Id, document_id: Id) -> tuple[Document, str] | None:
        from sync_assets.store.exchange.text import document_with_text

        return document_with_text(self._services.store.sessions, repository_id, document_id)

    def start(self, caller: Caller, order: Order) -> SyncState:
        return begin(self._services, caller, order)


def _choice(peer: PlacedPeer) -> PeerChoice:
    """A peer whose address cannot be read now is shown all the same: asking it says what is wrong."""
    try:
        url = peer.url
    except Stop:
        url = ""
    return PeerChoice(peer.name, peer.title, url, tuple(Direction(way) for way in peer.spec.ways))
