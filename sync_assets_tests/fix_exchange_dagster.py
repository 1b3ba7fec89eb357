"""An exchange whose peers and control database do what a test says; everything of Dagster is real."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

from sync_assets.components.exchange_execution import Asked, ExchangeExecution
from sync_assets.components.notices import Notice
from sync_assets.exchange.model import Repository
from sync_assets.exchange.work import Direction, DocumentOutcome, Order, SyncState, SyncStatus, Unit, UnitStatus
from sync_assets.project.exchange.items import Item
from sync_assets.project.exchange.placed import PlacedPeer
from sync_assets.project.exchange_spec import RepositoryExchangeSpec, Way
from sync_assets.project.load import Project
from sync_assets.testing.memory import MemoryStore

EXCHANGE = """
type: sync_assets.components.RepositoryExchange
attributes:
  name: books
  title: 知识库
  alerts: ops
  push: {schedule: "0 2 * * *"}
  peers:
    - {name: branch, title: 分部, url: "https://branch.example/api/sync", api_key: "env:BRANCH_KEY"}
    - {name: mirror, url: "https://mirror.example/api/sync", api_key: "env:MIRROR_KEY", ways: [push]}
"""
REPOSITORIES = (Repository(1, "handbook"), Repository(2, "订单 服务"), Repository(30, "old"))


def unit(number: int, *documents: UnitStatus) -> Unit:
    """A task with documents of these outcomes; it failed if any has."""
    each = tuple(
        DocumentOutcome(number * 10 + at, f"document {number}.{at}", status, "too long" if status == "failed" else "")
        for at, status in enumerate(documents)
    )
    bad = UnitStatus.FAILED in documents
    status = UnitStatus.FAILED if bad else UnitStatus.SUCCEEDED
    return Unit(number, number, f"task {number}", status, 1, "document: too long" if bad else "", each)


def state(repository: int, units: Sequence[Unit], way: Way = "push", error: str = "") -> SyncState:
    """A sync that has ended, by its units."""
    failed = sum(one.status is UnitStatus.FAILED for one in units)
    good = len(units) - failed
    status = SyncStatus.COMPLETED if not failed and not error else SyncStatus.PARTIAL if good else SyncStatus.FAILED
    order = Order(Direction(way), "branch", repository, asked_by="somebody")
    return SyncState(f"sync{repository}", order, status, f"name {repository}", len(units), good, failed, error=error)


def item(repository: int, *documents: UnitStatus, **more: Any) -> Item:
    """A repository of one task for each document."""
    units = tuple(unit(number, status) for number, status in enumerate(documents or (UnitStatus.SUCCEEDED,), 1))
    return Item(repository, state(repository, units, **more), units)


@dataclass
class ScriptedExchange:
    """An exchange that does what a test says, and remembers what it was asked."""

    bad: dict[int, Item] = field(default_factory=dict)
    error: Exception | None = None
    here: tuple[Repository, ...] = REPOSITORIES
    there: tuple[Repository, ...] = (Repository(7, "theirs"),)
    ended: list[SyncState] = field(default_factory=list)
    asked: list[tuple[str, str, tuple[int, ...]]] = field(default_factory=list)
    runs: list[Asked] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    unreachable: Exception | None = None  # of the group's bot
    store: MemoryStore = field(default_factory=MemoryStore)

    def local(self, spec: RepositoryExchangeSpec) -> Sequence[Repository]:
        if self.error:
            raise self.error
        return [one for one in self.here if spec.wants(one)]

    def remote(self, peer: PlacedPeer) -> Sequence[Repository]:
        if self.error:
            raise self.error
        return self.there

    def run(
        self, project: Project, peer: PlacedPeer, way: Way, repositories: Sequence[int], asked: Asked
    ) -> Iterator[Item]:
        self.asked.append((peer.name, way, tuple(repositories)))
        self.runs.append(asked)
        if self.error:
            raise self.error
        for one in repositories:
            yield self.bad.get(one) or item(one)

    def notify(self, project: Project, bot: str, notice: Notice) -> None:
        if self.unreachable:
            raise self.unreachable
        self.notices.append(notice)

    @property
    def execution(self) -> ExchangeExecution:
        return ExchangeExecution(
            local=self.local, remote=self.remote, run=self.run, newest=lambda names: self.ended,
            open_store=lambda: nullcontext(self.store), notify=self.notify,  # type: ignore[arg-type,return-value]
        )  # fmt: skip
