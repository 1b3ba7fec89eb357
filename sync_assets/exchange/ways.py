"""Push and pull, as one shape: where packs come from, where they go, how it ends.

The order of steps is that of the protocol: ask who is there, take hold of everything to send (one moment), then the
repository, then the rest. Nothing is ever cleared before its replacement is in hand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sync_assets.engine.errors import Stop
from sync_assets.engine.faults import point
from sync_assets.exchange.model import (
    Cleared,
    Entity,
    Export,
    ExportPage,
    Id,
    Library,
    PackReceived,
    Repository,
    TaskPack,
)
from sync_assets.exchange.sending import Outcome, ToLibrary, ToPeer, patient
from sync_assets.exchange.work import Direction, Order, Peer, PeerFacts

CLEARED_FIRST = "the peer cannot replace in stages: its data was cleared before the new was sent"
_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Way:
    """What a sync goes along. `clear` takes away what the sync did not bring; None where there is nothing to clear."""

    repository: Repository
    total: int
    pages: Iterator[ExportPage]
    at_once: int
    deliver: Callable[[Sequence[TaskPack]], Sequence[Outcome]]
    link: Callable[[], object]
    clear: Callable[[], Cleared] | None = None
    cleared: Cleared | None = None  # at the beginning already
    note: str = ""


@dataclass(frozen=True, slots=True)
class Ends:
    """Both sides of a sync. `fresh`: nothing has been sent under this id yet."""

    order: Order
    sync_id: str
    library: Library
    peer: Peer
    sleep: Callable[[float], None]
    fresh: bool

    def open(self) -> Way:
        """Begin. Raises `RejectRow` where a repository or a chosen document is not there, `Retry`, `Stop`."""
        facts = self.peer.ping()
        point("exchange_ping")
        return _push(self, facts) if self.order.direction is Direction.PUSH else _pull(self, facts)


def _origin(ends: Ends, facts: PeerFacts) -> str:
    """By what name a peer's ids are known. What it calls itself counts only below the name that we gave it, or it could
    speak for another; an installation that is made anew at the same address has other ids, and calls itself otherwise.
    With a colon, as no `X-Sync-Origin` has one."""
    return f"peer:{ends.peer.name}:{facts.instance}"


def _push(ends: Ends, facts: PeerFacts) -> Way:
    order, peer = ends.order, ends.peer
    export = patient(lambda: ends.library.export(order.repository_id, order.document_ids), ends.sleep)
    point("exchange_export")
    staged = order.replace and facts.staged_clear
    to = ToPeer(peer, export.repository, ends.sync_id, replacing=staged)
    learning = _Learning(ends, _origin(ends, facts), to)
    theirs = to.put_repository()
    if not facts.uids:
        learning.know(Entity.REPOSITORY, {theirs: order.repository_id})
    first = order.replace and not facts.staged_clear and ends.fresh
    cleared = peer.clear(order.repository_id, keep=None, sync_id=ends.sync_id) if first else None
    point("exchange_repository")
    return Way(
        repository=export.repository,
        total=export.total,
        pages=_local_pages(ends, export),
        at_once=min(facts.batch, _AT_ONCE) or 1,
        deliver=to.deliver if facts.uids else learning.deliver,
        link=lambda: peer.link(order.repository_id, ends.sync_id),
        clear=(lambda: peer.clear(order.repository_id, keep=ends.sync_id, sync_id=ends.sync_id)) if staged else None,
        cleared=cleared,
        note=CLEARED_FIRST if order.replace and not staged else "",
    )


@dataclass(frozen=True, slots=True)
class _Learning:
    """Sends, and keeps what a peer that tells no uid calls our things: what it sends back is then the same thing."""

    ends: Ends
    origin: str
    to: ToPeer

    def deliver(self, packs: Sequence[TaskPack]) -> Sequence[Outcome]:
        outcomes = self.to.deliver(packs)
        good = [(p, o) for p, o in zip(packs, outcomes, strict=True) if isinstance(o, PackReceived)]
        self.know(Entity.TASK, {o.task.id: p.task.task_id for p, o in good})
        self.know(Entity.DOCUMENT, {theirs.id: ours for _, o in good for ours, theirs in o.documents.items()})
        return outcomes

    def know(self, entity: Entity, ids: Mapping[Id, Id]) -> None:
        known = {theirs: ours for theirs, ours in ids.items() if theirs}
        patient(lambda: self.ends.library.know(self.origin, entity, known), self.ends.sleep)


def _local_pages(ends: Ends, export: Export) -> Iterator[ExportPage]:
    page = export.first
    yield page
    while (cursor := page.next) is not None:
        page = patient(lambda at=cursor: ends.library.export_page(export.id, at), ends.sleep)  # type: ignore[misc]
        yield page


def _pull(ends: Ends, facts: PeerFacts) -> Way:
    order, library = ends.order, ends.library
    repository, total, pages = ends.peer.export(order.repository_id, order.document_ids)
    if repository.repository_id != order.repository_id:
        raise Stop(f"{ends.peer.name} answered with another repository", hint="check the peer's address", code="peer")
    point("exchange_export")
    origin = _origin(ends, facts)
    to = ToLibrary(library, origin, repository, ends.sleep)
    ours = to.repository_id()
    if order.replace:
        patient(lambda: library.begin_replacing(origin, order.repository_id, ends.sync_id), ends.sleep)
    point("exchange_repository")
    return Way(
        repository=repository,
        total=total,
        pages=pages,
        at_once=_AT_ONCE,
        deliver=to.deliver,
        link=lambda: patient(lambda: library.link(origin, order.repository_id), ends.sleep),
        clear=(lambda: _clear_here(ends, ours)) if order.replace else None,
    )


def _clear_here(ends: Ends, ours: Id) -> Cleared:
    by = ends.order.asked_by or ends.peer.name
    return patient(lambda: ends.library.clear(ours, keep=ends.sync_id, by=by), ends.sleep)
