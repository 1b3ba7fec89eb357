"""The desk of this installation: the page's questions, answered by the services that the endpoints work with.

Must not know templates, forms or cookies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sync_assets.exchange.model import Document, Id, Library
from sync_assets.exchange.work import Direction, Order, Peer, SyncState, SyncStore
from sync_assets.gateway.access import Caller
from sync_assets.gateway.door import Signed
from sync_assets.gateway.pages.desk import PeerChoice

if TYPE_CHECKING:
    from sync_assets.gateway.services import Services

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
        raise NotImplementedError

    def may_clear(self, caller: Caller, order: Order) -> bool:
        raise NotImplementedError

    def peers(self) -> Sequence[PeerChoice]:
        raise NotImplementedError

    def open_peer(self, name: str) -> Peer:
        raise NotImplementedError

    def document(self, repository_id: Id, document_id: Id) -> tuple[Document, str] | None:
        from sync_assets.store.exchange.text import document_with_text

        return document_with_text(self._services.store.sessions, repository_id, document_id)

    def start(self, caller: Caller, order: Order) -> SyncState:
        raise NotImplementedError


def ways(names: Sequence[str]) -> tuple[Direction, ...]:
    return tuple(Direction(name) for name in names)
