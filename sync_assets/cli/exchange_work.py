"""What the commands of an exchange do: list, push, pull, say how it went. As `cli.work`, one seam a command."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import click

from sync_assets.cli import exits, show_exchange
from sync_assets.cli.asker import asked_by
from sync_assets.cli.work import project
from sync_assets.engine.errors import Stop, SyncError
from sync_assets.exchange.model import Id, Repository
from sync_assets.exchange.work import Order, SyncState, SyncStatus
from sync_assets.project.exchange import work
from sync_assets.project.exchange.items import Item
from sync_assets.project.exchange.placed import PlacedPeer, peer_of, peers
from sync_assets.project.exchange_spec import Way
from sync_assets.store.control import PostgresStore, open_store
from sync_assets.store.exchange.syncs import PostgresSyncs

_LOOKED_THROUGH = 1000  # syncs, for the beginning of an id


def listed(name: str | None, as_json: bool) -> int:
    """All peers; or the repositories here and at one of them."""
    found = project()
    if name is None:
        rows = [_peer(peer) for peer in peers(found).values()]
        _print(rows) if as_json else show_exchange.peers(rows)
        return exits.OK
    with open_store() as store:
        each = list(_repositories(peer_of(found, name), store))
    _print(each) if as_json else show_exchange.repositories(each)
    return exits.OK


def _peer(peer: PlacedPeer) -> Mapping[str, Any]:
    spec = peer.exchange.spec
    return {
        "exchange": spec.name, "peer": peer.name, "title": peer.spec.title or "", "url": peer.spec.url,
        "ways": list(peer.spec.ways), "schedules": {way: spec.travel(way).schedule for way in peer.spec.ways},
    }  # fmt: skip


def _repositories(peer: PlacedPeer, store: PostgresStore) -> Iterator[Mapping[str, Any]]:
    newest = work.newest_syncs(store, [peer.name])
    last = {(str(state.order.direction), state.order.repository_id): state for state in newest}
    for way in peer.spec.ways:
        for one in _known(peer, way, store):
            state = last.get((way, one.repository_id))
            ended = {"last": str(state.status), "at": state.finished_at, "sync_id": state.sync_id} if state else {}
            yield {"way": way, "repository_id": one.repository_id, "name": one.name, **ended}


def _known(peer: PlacedPeer, way: Way, store: PostgresStore) -> Sequence[Repository]:
    return work.local_repositories(peer.exchange.spec, store) if way == "push" else work.remote_repositories(peer)


def travel(
    way: Way,
    name: str,
    repositories: Sequence[str],
    documents: Sequence[Id],
    replace: bool,
    confirm: bool,
    yes: bool,
    as_json: bool,
) -> int:
    """Push or pull, and print each repository as it is done."""
    peer = peer_of(project(), name)
    peer.check(way)
    if documents and len(repositories) != 1:
        raise Stop("documents belong to one repository", hint="add --repository ID, once", code="document")
    with open_store() as store:
        chosen = _chosen(repositories, _known(peer, way, store))
        rest = replace or None  # None: as the YAML says
        wanted = work.orders(
            peer, way, chosen, documents=documents, replace=rest, confirm=confirm, asked_by=asked_by()
        )  # fmt: skip
        if not yes and any(order.replace for order in wanted):
            _ask(way, peer, wanted)
        tell = show_exchange.quiet if as_json else show_exchange.progress
        items = work.exchange(peer, wanted, store=store, run_id=f"cli-{uuid.uuid4()}", tell=tell, tries=1)
        return _told(items, as_json)


def _chosen(texts: Sequence[str], known: Sequence[Repository]) -> list[Id]:
    """Ids of the repositories that are meant: by id, or by name. Raises `Stop`."""
    ids = {one.repository_id for one in known}
    chosen: list[Id] = []
    for text in texts:
        same = [one.repository_id for one in known if one.name == text]
        if text.isascii() and text.isdigit() and int(text) in ids:
            same = [int(text)]
        if len(same) != 1:
            what = "there are several repositories" if same else "there is no repository"
            raise Stop(f"{what} {text!r}", hint="sync-assets exchange list PEER shows their ids", code="repository")
        chosen += same
    return chosen if texts else sorted(ids)


def _ask(way: Way, peer: PlacedPeer, wanted: Sequence[Order]) -> None:
    """Clearing cannot be taken back: it is said plainly, and asked. Raises `Stop`."""
    where = f"at {peer.title}" if way == "push" else "here"
    sys.stderr.write(
        f"What {len(wanted)} repositories have {where} and do not get now is deleted for good: tasks, documents, "
        "usages.\n"
    )
    if not sys.stdin.isatty():
        raise Stop("nobody can be asked here", hint="repeat it with --yes, if that is meant", code="confirm")
    if not click.confirm("Go on?", err=True):
        raise Stop("nothing was done", hint="leave --replace out to delete nothing", code="confirm")


def _told(items: Iterator[Item], as_json: bool) -> int:
    done: list[Item] = []
    for item in items:
        if not as_json:
            show_exchange.item(item)
        done.append(item)
    if as_json:
        _print([_item_as_json(item) for item in done])
    else:
        show_exchange.counted(done)
    return exits.gravest(_code(item) for item in done)


def _code(item: Item) -> int:
    """A document that was refused is like a rejected row: the rest is there, and a person looks."""
    if item.good:
        return exits.OK
    if isinstance(item.error, SyncError):
        return exits.of_error(item.error)
    return exits.REJECTS if item.state and item.state.status is SyncStatus.PARTIAL else exits.STOP


def status(sync_id: str, as_json: bool) -> int:
    """One sync: exit code 3 while it goes on, and that of its end after it."""
    with open_store() as store:
        syncs = PostgresSyncs(store)
        state = syncs.state(sync_id) or _beginning(syncs, sync_id)
        item = Item(state.order.repository_id, state, tuple(syncs.units(state.sync_id)))
    _print(_item_as_json(item)) if as_json else show_exchange.whole(item)
    return exits.RETRY if state.status is SyncStatus.IN_PROGRESS else _code(item)


def _beginning(syncs: PostgresSyncs, text: str) -> SyncState:
    found = [state for state in syncs.recent(limit=_LOOKED_THROUGH) if text and state.sync_id.startswith(text)]
    if len(found) != 1:
        what = "begins several" if found else "begins no"
        raise Stop(f"{text[:64]!r} {what} sync", hint="sync-assets exchange history lists them", code="unknown_sync")
    return found[0]


def history(peer: str | None, limit: int, as_json: bool) -> int:
    """The newest syncs."""
    with open_store() as store:
        found = PostgresSyncs(store).recent(peer=peer, limit=limit)
    _print([_state_as_json(state) for state in found]) if as_json else show_exchange.history(found)
    return exits.OK


def _item_as_json(item: Item) -> Mapping[str, Any]:
    told: dict[str, Any] = {"repository_id": item.repository_id, "good": item.good, "trouble": item.trouble}
    if item.state is not None:
        told |= _state_as_json(item.state)
    return told | {"waited": item.waited, "tasks": [asdict(unit) for unit in item.units]}


def _state_as_json(state: SyncState) -> Mapping[str, Any]:
    told = asdict(state)
    return {**told.pop("order"), **told, "pending": state.pending}


def _print(what: object) -> None:
    print(json.dumps(what, ensure_ascii=False, default=str))
