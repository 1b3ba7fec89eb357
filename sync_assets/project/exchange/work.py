"""Exchanges repositories with a peer, one after another: for runs, for commands, for whoever asks from Python.

The same engine and the same tables as behind the HTTP endpoints. Who finds a sync of the same repository going on waits
for it; one whose process has died is taken over and goes on where it stopped. Must not know HTTP or Dagster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from sync_assets.engine.errors import Retry, SyncError
from sync_assets.engine.holder import holder_name
from sync_assets.exchange.model import Id, Library, Repository
from sync_assets.exchange.work import AlreadyRunning, Direction, Order, Peer, SyncState, SyncStatus, SyncStore, Unit
from sync_assets.project.exchange.items import Item
from sync_assets.project.exchange.placed import PlacedPeer
from sync_assets.project.exchange_spec import RepositoryExchangeSpec, Way
from sync_assets.store.control import PostgresStore

if TYPE_CHECKING:
    from sync_assets.store.exchange.syncs import PostgresSyncs

LOOK = 1.0  # seconds between two looks at a sync of somebody else
PATIENCE = 6 * 3600.0  # seconds that one is waited for
TRIES = 3  # rounds over what failed for a passing reason
PAUSE = 30.0  # seconds between two rounds, times the number of the round
_MANY = 1000  # syncs that are looked through for the newest of each repository

Tell = Callable[[str], None]
OpenPeer = Callable[[PlacedPeer, str], Peer]  # with the name of this installation


@dataclass(frozen=True, slots=True)
class Desk:
    """What the work on one peer needs."""

    library: Library
    syncs: SyncStore
    peer: Peer
    holder: str
    tell: Tell
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic


def orders(
    peer: PlacedPeer,
    way: Way,
    repositories: Iterable[Id],
    *,
    documents: Sequence[Id] = (),
    replace: bool | None = None,
    confirm: bool = False,
    asked_by: str = "",
) -> list[Order]:
    """What to ask for, as the YAML says where `replace` is None. Raises `Stop` for a peer that is not for that way."""
    peer.check(way)
    rest = peer.exchange.spec.travel(way).replace if replace is None else replace
    make = partial(Order, Direction(way), peer.name)
    return [make(one, tuple(documents), rest, confirm, asked_by) for one in dict.fromkeys(repositories)]


def exchange(
    peer: PlacedPeer,
    wanted: Sequence[Order],
    *,
    store: PostgresStore,
    run_id: str = "",
    tell: Tell = lambda text: None,
    tries: int = TRIES,
    open_peer: OpenPeer | None = None,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Item]:
    """An item for each order, as it is done; what fails for a passing reason is tried again after the others.

    Raises `Stop` where the peer cannot be dialled at all (its key, its address), `Retry` without a control database.
    """
    from sync_assets.store.exchange.library import PostgresLibrary

    syncs = _syncs(store)
    link = (open_peer or _open_peer)(peer, syncs.deployment_id())
    try:
        desk = Desk(PostgresLibrary(store.sessions), syncs, link, holder_name(run_id), tell, sleep, clock)
        yield from rounds(desk, wanted, tries)
    finally:
        link.close()


def rounds(desk: Desk, wanted: Sequence[Order], tries: int = TRIES) -> Iterator[Item]:
    """All orders, and again those that failed because nobody answered; of each the last outcome."""
    left: list[tuple[Order, str]] = [(order, "") for order in wanted]
    for number in range(1, tries + 1):
        again: list[tuple[Order, str]] = []
        for (order, before), item in zip(left, _round(desk, left), strict=True):
            if item.passing and number < tries:
                again.append((order, item.state.sync_id if item.state else before))
                desk.tell(f"repository {order.repository_id}: {item.trouble}; it is tried again after the others")
            else:
                yield item
        if not again:
            return
        desk.sleep(PAUSE * number)
        left = again


def _round(desk: Desk, wanted: Sequence[tuple[Order, str]]) -> Iterator[Item]:
    """Each order once. When one failed because nobody answers, and still nobody does, the rest need not try."""
    silent: SyncError | None = None
    for order, before in wanted:
        if silent is not None:
            yield Item(order.repository_id, error=silent)
            continue
        item = one(desk, order, before)
        if item.passing:
            silent = _silent(desk.peer)
        yield item


def _silent(peer: Peer) -> SyncError | None:
    """The trouble of a peer that does not answer now."""
    try:
        peer.ping()
    except SyncError as error:
        return error
    return None


def one(desk: Desk, order: Order, before: str = "") -> Item:
    """One repository, whatever it takes: its own sync, or the one that is going on. `before`: a sync of it that was
    broken off, to go on with."""
    began = desk.clock()
    item = _tried(desk, order, before, began)
    return replace(item, seconds=desk.clock() - began)


def _tried(desk: Desk, order: Order, before: str, began: float) -> Item:
    try:
        return _ended(desk, order, _run(desk, order, before or _left(desk, order)))
    except AlreadyRunning as other:
        return _other(desk, order, other.sync_id, began)
    except SyncError as error:
        state = _broken_off(desk, order, error)
        return Item(order.repository_id, state, _units(desk, state), error)


def _broken_off(desk: Desk, order: Order, error: SyncError) -> SyncState | None:
    """The sync that an error ended, which is kept with it; None where the error came before any was begun."""
    last = desk.syncs.recent(repository_id=order.repository_id, direction=order.direction, peer=order.peer, limit=1)
    return last[0] if last and last[0].status is SyncStatus.FAILED and last[0].error == str(error) else None


def _other(desk: Desk, order: Order, sync_id: str, began: float) -> Item:
    """Wait for a sync of the same repository. If it was for the same, it is the answer; else ours comes after it."""
    desk.tell(f"repository {order.repository_id}: sync {sync_id} is going on; waiting for it")
    while desk.clock() - began < PATIENCE:
        desk.sleep(LOOK)
        state = desk.syncs.state(sync_id)
        if state is None or sync_id in desk.syncs.abandoned():
            return _tried(desk, order, "", began)
        if state.status is not SyncStatus.IN_PROGRESS:
            done = _alike(state.order, order) and state.status is SyncStatus.COMPLETED
            return replace(_ended(desk, order, state), waited=True) if done else _tried(desk, order, "", began)
    trouble = Retry(f"sync {sync_id} of the same repository does not end", hint="look at it", code="already_running")
    return Item(order.repository_id, desk.syncs.state(sync_id), error=trouble)


def _left(desk: Desk, order: Order) -> str:
    """A sync of the same order whose process has died; one for something else is ended by whoever begins."""
    for sync_id in desk.syncs.abandoned():
        left = desk.syncs.state(sync_id)
        if left is not None and _kind(left.order) == _kind(order) and _alike(left.order, order):
            desk.tell(f"repository {order.repository_id}: goes on with sync {sync_id}, whose process has ended")
            return sync_id
    return ""


def _run(desk: Desk, order: Order, before: str) -> SyncState:
    """A new sync, or the one before, from where it stopped."""
    from sync_assets.exchange import engine

    library, peer, syncs, told = desk.library, desk.peer, desk.syncs, partial(_say, desk)
    if before:
        return engine.resume(before, library, peer, syncs, holder=desk.holder, progress=told, sleep=desk.sleep)
    return engine.run(order, library, peer, syncs, holder=desk.holder, progress=told, sleep=desk.sleep)


def _say(desk: Desk, state: SyncState) -> None:
    done = state.total - state.pending
    desk.tell(f"repository {state.order.repository_id}: {done} of {state.total} tasks, {state.failed} failed")


def _kind(order: Order) -> tuple[Direction, str, Id]:
    return order.direction, order.peer, order.repository_id


def _alike(one: Order, other: Order) -> bool:
    """Whether both ask for the same, whoever asked."""
    return (one.document_ids, one.replace) == (other.document_ids, other.replace)


def _ended(desk: Desk, order: Order, state: SyncState) -> Item:
    return Item(order.repository_id, state, _units(desk, state))


def _units(desk: Desk, state: SyncState | None) -> tuple[Unit, ...]:
    return () if state is None else tuple(desk.syncs.units(state.sync_id))


# -- what there is ------------------------------------------------------------------------------------------------


def local_repositories(spec: RepositoryExchangeSpec, store: PostgresStore) -> list[Repository]:
    """Ours that are pushed, in the order of their ids."""
    from sync_assets.store.exchange.library import PostgresLibrary

    return _wanted(spec, PostgresLibrary(store.sessions).repositories())


def remote_repositories(peer: PlacedPeer, open_peer: OpenPeer | None = None) -> list[Repository]:
    """Those of the peer that are pulled, in the order of their ids. Raises what dialling it raises."""
    link = (open_peer or _open_peer)(peer, "")
    try:
        return _wanted(peer.exchange.spec, link.repositories())
    finally:
        link.close()


def _wanted(spec: RepositoryExchangeSpec, found: Iterable[Repository]) -> list[Repository]:
    return sorted((one for one in found if spec.wants(one)), key=lambda one: one.repository_id)


def newest_syncs(store: PostgresStore, peers: Sequence[str]) -> list[SyncState]:
    """The last sync that has ended of each repository, for each of these peers and ways."""
    syncs, found = _syncs(store), dict[tuple[Direction, str, Id], SyncState]()
    for peer in peers:
        for state in syncs.recent(peer=peer, limit=_MANY):
            if state.status is not SyncStatus.IN_PROGRESS:
                found.setdefault(_kind(state.order), state)
    return list(found.values())


def _syncs(store: PostgresStore) -> PostgresSyncs:
    from sync_assets.store.exchange.syncs import PostgresSyncs

    return PostgresSyncs(store)


def _open_peer(peer: PlacedPeer, origin: str) -> Peer:
    from sync_assets.project.exchange.opening import open_peer

    return open_peer(peer, origin)
