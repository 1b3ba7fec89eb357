"""The seam between Dagster and the work of an exchange: what its definitions call when something is to be done.

Everything heavy (the control database, HTTP) is imported when it is needed, not when definitions load. Tests pass
their own `ExchangeExecution`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sync_assets.components.notices import Notice, send

if TYPE_CHECKING:
    from sync_assets.exchange.model import Id, Repository
    from sync_assets.exchange.work import SyncState
    from sync_assets.project.deployment import Project
    from sync_assets.project.exchange.items import Item
    from sync_assets.project.exchange.placed import PlacedPeer
    from sync_assets.project.exchange_spec import RepositoryExchangeSpec, Way
    from sync_assets.store.control import PostgresStore


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose work it is: the run in Dagster, who or what asked for it, and where it says how far it is."""

    run_id: str
    asked_by: str = ""
    replace: bool | None = None  # None: as the YAML says
    tell: Callable[[str], None] = print


def _store() -> PostgresStore:
    from sync_assets.store.control import open_store

    return open_store()


def _local(spec: RepositoryExchangeSpec) -> Sequence[Repository]:
    from sync_assets.project.exchange.work import local_repositories

    with _store() as store:
        return local_repositories(spec, store)


def _remote(peer: PlacedPeer) -> Sequence[Repository]:
    from sync_assets.project.exchange.work import remote_repositories

    return remote_repositories(peer)


def _run(project: Project, peer: PlacedPeer, way: Way, repositories: Sequence[Id], asked: Asked) -> Iterator[Item]:
    from sync_assets.project.exchange.work import exchange, orders

    wanted = orders(peer, way, repositories, replace=asked.replace, asked_by=asked.asked_by)
    with _store() as store:
        yield from exchange(peer, wanted, store=store, run_id=asked.run_id, tell=asked.tell)


def _newest(names: Sequence[str]) -> Sequence[SyncState]:
    from sync_assets.project.exchange.work import newest_syncs

    with _store() as store:
        return newest_syncs(store, names)


@dataclass(frozen=True, slots=True)
class ExchangeExecution:
    """The things that the definitions of an exchange do with the world."""

    local: Callable[[RepositoryExchangeSpec], Sequence[Repository]] = _local
    remote: Callable[[PlacedPeer], Sequence[Repository]] = _remote
    run: Callable[[Project, PlacedPeer, Way, Sequence[Id], Asked], Iterator[Item]] = _run
    newest: Callable[[Sequence[str]], Sequence[SyncState]] = _newest  # the last ended sync of each, by names of peers
    open_store: Callable[[], PostgresStore] = _store
    notify: Callable[[Project, str, Notice], None] = send  # project, name of the feishu_bot connection, what to say


REAL_EXCHANGE = ExchangeExecution()
