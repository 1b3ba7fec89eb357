"""Another installation without HTTP: its library, called directly. For tests of the engine alone.

`before` is called with the name and number of each call and may raise; `after` the same, when it was carried out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sync_assets.engine.errors import SyncError
from sync_assets.exchange.model import (
    Cleared,
    Entity,
    ExportPage,
    Id,
    Library,
    PackReceived,
    Repository,
    TaskPack,
)
from sync_assets.exchange.work import PeerFacts

Hook = Callable[[str, int], None]


def nothing(name: str, number: int) -> None:
    """No fault."""


@dataclass
class DirectPeer:
    """`caller` is the installation that calls, `instance` the one that is called."""

    name: str
    library: Library
    caller: str
    facts: PeerFacts = field(default_factory=lambda: PeerFacts("there", 100, True, True))
    before: Hook = nothing
    after: Hook = nothing
    calls: list[str] = field(default_factory=list)
    page_rows: int = 100

    def _called(self, name: str) -> None:
        self.calls.append(name)
        self.before(name, len(self.calls))

    def _done(self, name: str) -> None:
        self.after(name, len(self.calls))

    def close(self) -> None:
        self._called("close")

    def ping(self) -> PeerFacts:
        self._called("ping")
        self._done("ping")
        return self.facts

    def put_repository(self, repository: Repository, sync_id: str, *, replacing: bool = False) -> Id:
        self._called("put_repository")
        received = self.library.put_repository(self.caller, repository)
        if replacing:
            self.library.begin_replacing(self.caller, repository.repository_id, sync_id)
        self._done("put_repository")
        return received.id

    def clear(self, repository_id: Id, *, keep: str | None, sync_id: str) -> Cleared:
        self._called("clear")
        ours = self.library.local(self.caller, Entity.REPOSITORY, repository_id)
        cleared = self.library.clear(ours or 0, keep=keep, by=self.caller)
        self._done("clear")
        return cleared

    def put_packs(self, packs: Sequence[TaskPack], sync_id: str) -> Sequence[PackReceived | SyncError]:
        self._called("put_packs")
        outcomes = self.library.put_packs(self.caller, packs)
        self._done("put_packs")
        return outcomes

    def link(self, repository_id: Id, sync_id: str) -> None:
        self._called("link")
        self.library.link(self.caller, repository_id)
        self._done("link")

    def repositories(self) -> Sequence[Repository]:
        self._called("repositories")
        return self.library.repositories()

    def documents(self, repository_id: Id) -> Sequence[tuple[Id, str, str, datetime | None]]:
        self._called("documents")
        found = self.library.documents(repository_id)
        return [(document.document_id, document.title, status, document.created_at) for document, status in found]

    def export(self, repository_id: Id, document_ids: Sequence[Id]) -> tuple[Repository, int, Iterator[ExportPage]]:
        self._called("export")
        export = self.library.export(repository_id, document_ids, rows=self.page_rows)
        self._done("export")

        def pages() -> Iterator[ExportPage]:
            yield export.first
            cursor = export.first.next
            while cursor is not None:
                self._called("export_page")
                page = self.library.export_page(export.id, cursor)
                self._done("export_page")
                yield page
                cursor = page.next

        return replace(export.repository), export.total, pages()
