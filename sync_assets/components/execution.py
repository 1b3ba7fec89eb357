"""The seam between Dagster and the engine: what the definitions call when something is to be done.

Everything heavy (drivers, the HTTP client, the control database) is imported when a run, a look or an alert needs it,
not when definitions load. Tests pass their own `Execution`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from sync_assets.components.notices import Notice
from sync_assets.engine.control import ControlStore
from sync_assets.engine.model import Mode, Observation, Progress, Report
from sync_assets.engine.tables.report import Outcome
from sync_assets.project.load import PlacedReplica, PlacedSync, Project
from sync_assets.project.replicas import Listing


class RunSync(Protocol):
    def __call__(
        self,
        project: Project,
        name: str,
        *,
        partitions: Sequence[str] | None,
        mode: Mode | None = None,
        run_id: str,
        progress: Progress,
        accept_empty: bool = False,
    ) -> Report: ...


class ObserveSync(Protocol):
    def __call__(self, project: Project, name: str, partitions: Sequence[str] | None) -> Mapping[str, Observation]: ...


class RunReplica(Protocol):
    def __call__(
        self,
        project: Project,
        replica: PlacedReplica,
        syncs: Mapping[str, PlacedSync],
        partitions: Mapping[str, Sequence[str]],
        *,
        mode: Mode | None,
        run_id: str,
        progress: Progress,
        accept_empty: bool,
    ) -> Mapping[str, Outcome]: ...


def _replica(
    project: Project,
    replica: PlacedReplica,
    syncs: Mapping[str, PlacedSync],
    partitions: Mapping[str, Sequence[str]],
    *,
    mode: Mode | None,
    run_id: str,
    progress: Progress,
    accept_empty: bool,
) -> Mapping[str, Outcome]:
    from sync_assets.project.tables import Order, run_replica

    order = Order(mode, run_id=run_id, progress=progress, accept_empty=accept_empty)
    return run_replica(project, replica, syncs, partitions, order)


def _list_tables(project: Project, replica: PlacedReplica) -> Listing:
    from sync_assets.project.tables import list_tables

    return list_tables(project, replica)


@dataclass(frozen=True, slots=True)
class Execution:
    """The things that definitions do with the world."""

    run: RunSync
    observe: ObserveSync
    open_store: Callable[[], AbstractContextManager[ControlStore]]  # closed by whoever opens it
    notify: Callable[[Project, str, Notice], None]  # project, name of the feishu_bot connection, what to say
    replica: RunReplica = _replica
    list_tables: Callable[[Project, PlacedReplica], Listing] = _list_tables


def run_link(run_id: str) -> str:
    """Address of a run in the UI. SYNC_ASSETS_UI_URL says where the UI is seen from."""
    return f"{os.environ.get('SYNC_ASSETS_UI_URL', 'http://127.0.0.1:3000').rstrip('/')}/runs/{run_id}"


def _run(
    project: Project,
    name: str,
    *,
    partitions: Sequence[str] | None,
    mode: Mode | None = None,
    run_id: str,
    progress: Progress,
    accept_empty: bool = False,
) -> Report:
    from sync_assets.project.run import run_sync

    return run_sync(
        project,
        name,
        partitions=partitions,
        mode=mode,
        run_id=run_id,
        progress=progress,
        accept_empty=accept_empty,
    )


def _observe(project: Project, name: str, partitions: Sequence[str] | None) -> Mapping[str, Observation]:
    from sync_assets.project.run import observe_sync

    return observe_sync(project, name, partitions)


def _open_store() -> AbstractContextManager[ControlStore]:
    from sync_assets.store.control import open_store

    return open_store()


def _notify(project: Project, bot: str, notice: Notice) -> None:
    from sync_assets.components.notices import send

    send(project, bot, notice)


REAL = Execution(run=_run, observe=_observe, open_store=_open_store, notify=_notify)
