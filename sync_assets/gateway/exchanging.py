"""Syncs that this gateway carries out: begun by a caller, or left by a process that died, a bounded number at a time.

The state of each is in the control database, so that the gateway may die at any moment: what it leaves is taken up by
the next one that starts, or by this one when another process died. Must not know HTTP.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from sync_assets.engine.errors import Fenced, Retry, Stop, SyncError
from sync_assets.engine.holder import holder_name
from sync_assets.exchange import engine
from sync_assets.exchange.model import Id
from sync_assets.exchange.work import AlreadyRunning, Direction, Order, Peer, Sight, SyncState, SyncStatus
from sync_assets.gateway.access import Caller
from sync_assets.store.gateway import scopes as rights
from sync_assets.store.gateway.scopes import Action

if TYPE_CHECKING:
    from sync_assets.gateway.services import Services
    from sync_assets.project.exchange.placed import PlacedPeer

AT_ONCE = 8  # syncs; each holds a connection to the control database and one to its peer
LOOK = 60.0  # seconds between two looks for syncs whose process has died
_LOOKING: tuple[Action, ...] = ("read", "write")
_FAREWELL = 10.0  # seconds for syncs at work to come to the end of a call
_log = logging.getLogger(__name__)
Peers = Mapping[str, "PlacedPeer"]


def configured_peers() -> Peers:
    """The peers of this deployment's YAML, as it is now. Raises `Stop` for YAML that is wrong."""
    import sync_assets
    from sync_assets.project.exchange.placed import peers
    from sync_assets.project.load import load_project

    named = os.environ.get("SYNC_ASSETS_DEFS")  # as for commands
    return peers(load_project(Path(named) if named else Path(sync_assets.__file__).parent / "defs"))


class Exchanging:
    """Starts threads that carry syncs out. `begin` and `end` stand around the life of the process."""

    def __init__(self, services: Services, *, at_once: int = AT_ONCE, look: float = LOOK) -> None:
        self._services = services
        self._free = threading.BoundedSemaphore(at_once)
        self._look = look
        self._ending = threading.Event()
        self._threads: set[threading.Thread] = set()

    # -- for callers

    def peer(self, name: str) -> PlacedPeer:
        """The configured peer of that name or exact address. Raises `Stop`: nobody else is dialled."""
        known = self._services.peers()
        if name in known:
            return known[name]
        for peer in known.values():
            if "://" in name and peer.url == name.strip().rstrip("/"):
                return peer
        raise Stop("there is no such peer", hint="see target-list for those that are configured", code="peer")

    def open_peer(self, name: str) -> Peer:
        """Raises `Stop` for an unknown peer or one whose address may not be dialled."""
        from sync_assets.project.exchange.opening import open_peer

        return open_peer(self.peer(name), self._services.instance)

    def start(self, order: Order) -> SyncState:
        """Begin a sync and return. Raises `AlreadyRunning`, `Stop`, `RejectRow` and `Retry` (too many at work)."""
        placed = self.peer(order.peer)
        placed.check(order.direction.value)
        if order.direction is Direction.PUSH:
            self._check_documents(order)
        if self._ending.is_set() or not self._free.acquire(blocking=False):
            raise Retry("too many syncs are at work here", after=10.0, hint="try again later", code="busy")
        try:
            state = engine.begin(order, self._services.syncs, holder=holder_name("gateway"))
        except BaseException:
            self._free.release()
            raise
        self._in_thread(state)
        return state

    def _check_documents(self, order: Order) -> None:
        """What can be refused at once is: the sync itself would find the same."""
        known = {document.document_id for document, _ in self._services.library.documents(order.repository_id)}
        if any(id not in known for id in order.document_ids if id):
            hint = "choose among those of document-list"
            raise Stop("a chosen document is not of this repository", hint=hint, code="unknown_document")

    # -- the life of the process

    def begin(self) -> None:
        """Take up what others left, now and from time to time."""
        self._ending.clear()
        thread = threading.Thread(target=self._take_up, name="syncs-left", daemon=True)
        self._threads.add(thread)
        thread.start()

    def end(self) -> None:
        """Let syncs at work come to the end of a call; they stay in progress, for the process that comes after."""
        self._ending.set()
        for thread in list(self._threads):
            thread.join(_FAREWELL)

    def _take_up(self) -> None:
        while not self._ending.is_set():
            try:
                for sync_id in self._services.syncs.abandoned():
                    self._resume(sync_id)
            except SyncError as error:
                _log.warning("syncs that were left cannot be taken up now: %s", error)
            self._ending.wait(self._look)

    def _resume(self, sync_id: str) -> None:
        while not self._free.acquire(timeout=0.2):
            if self._ending.is_set():
                return
        try:
            state = self._services.syncs.resume(sync_id, holder_name("gateway"))
        except (AlreadyRunning, Stop):  # somebody else was quicker
            self._free.release()
        except BaseException:
            self._free.release()
            raise
        else:
            self._in_thread(state)

    # -- one sync

    def _in_thread(self, state: SyncState) -> None:
        thread = threading.Thread(target=self._carry_out, args=(state,), name=f"sync-{state.sync_id}", daemon=True)
        self._threads.add(thread)
        thread.start()

    def _carry_out(self, state: SyncState) -> None:
        try:
            self._carry_on(state)
        except Fenced:
            pass  # it goes on elsewhere, or after the next start
        except SyncError as error:
            _log.warning("sync %s broke off: %s", state.sync_id, error)
        finally:
            self._free.release()
            self._threads.discard(threading.current_thread())

    def _carry_on(self, state: SyncState) -> None:
        services = self._services
        try:
            peer = self.open_peer(state.order.peer)
        except SyncError as error:
            services.syncs.finish(state.sync_id, SyncStatus.FAILED, str(error))
            raise
        try:
            engine.carry_on(state, services.library, peer, services.syncs, progress=self._look_up, sleep=self._pause)
        finally:
            peer.close()

    def _look_up(self, state: SyncState) -> None:
        """Between two calls: is it time to go?"""
        if self._ending.is_set() and state.status is SyncStatus.IN_PROGRESS:
            raise Fenced("this gateway ends", hint="the sync goes on when one is started", code="ending")

    def _pause(self, seconds: float) -> None:
        self._ending.wait(seconds)


# -- what a caller may do


def must_start(caller: Caller, order: Order) -> None:
    """Raises 403 or 404. A push needs the right to read and write the repository; a pull, which may bring a new one,
    that to write all; replacing that to clear."""
    where: Id | None = order.repository_id if order.direction is Direction.PUSH else None
    if where is not None:
        caller.must("read", where)
    caller.must("write", where)
    if order.replace:
        caller.must("clear", where)


def may_look(caller: Caller) -> bool:
    """Whether there can be any sync that this caller may see: one of a repository that he reads, or his own."""
    return caller.admin or any(rights.somewhere(caller.scopes, action) for action in _LOOKING)


def sight(caller: Caller) -> Sight | None:
    """Which syncs may be told to this caller; None for all. Of a push the repository is ours, of a pull the peer's:
    that is for those who may read everything."""
    if rights.everywhere(caller.scopes, "read"):
        return None
    return Sight(str(caller), rights.named(caller.scopes, "read"))


def may_see(caller: Caller, order: Order) -> bool:
    """Whether a sync may be told to this caller."""
    seen = sight(caller)
    if seen is None or order.asked_by == seen.asker:
        return True
    return order.direction is Direction.PUSH and order.repository_id in seen.repositories
