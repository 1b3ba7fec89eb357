"""Another installation over HTTP: implements `exchange.work.Peer`.

A peer of our kind takes many tasks in one call and gives its export in pages. An original one is spoken to as it always
was: a call for each task, document, chosen document and set of usages. Every write carries an idempotency key made from
what is sent, so that a repeat, even after a crash, is the same request. Must not know stores or what is done next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from hashlib import blake2b
from typing import Any

from sync_assets.engine.errors import RejectRow, Retry, Stop, SyncError
from sync_assets.exchange.model import Cleared, Did, Document, ExportPage, Id, PackReceived, Received, Repository
from sync_assets.exchange.model import TaskPack as Pack
from sync_assets.exchange.work import PeerFacts
from sync_assets.project.exchange import wire
from sync_assets.project.exchange.calls import Call, Line, encoded
from sync_assets.project.exchange.network import Network, Resolver

WHOLE_EXPORT = 512_000_000  # bytes; of a peer that cannot give it in pages
_LONGEST_EXPORT = 1_000_000  # pages


class HttpPeer:
    """One configured peer. `api_key` is opened anew for each request. Close it after use."""

    def __init__(
        self,
        name: str,
        url: str,
        api_key: Callable[[], str] | None,
        network: Network,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        *,
        origin: str = "",
        ca: str | None = None,
        resolver: Resolver | None = None,
        seconds: float = 15.0,
    ) -> None:
        self.name = name
        self._line = Line(name, url, network, api_key, clock, sleep, origin, ca, resolver, seconds)
        self._facts: PeerFacts | None = None

    def close(self) -> None:
        self._line.close()

    def ping(self) -> PeerFacts:
        data = self._line.data(Call("GET", "ping"))
        said = data if isinstance(data, dict) else {}
        batch = said.get("batch")
        self._facts = PeerFacts(
            instance=str(said.get("instance") or "")[:200],
            batch=batch if isinstance(batch, int) and 0 < batch <= 1000 else 0,
            staged_clear=said.get("staged_clear") is True,
            paged_export=said.get("paged_export") is True,
            uids=said.get("uids") is True,
        )
        return self._facts

    @property
    def facts(self) -> PeerFacts:
        return self._facts or self.ping()

    # -- push

    def put_repository(self, repository: Repository, sync_id: str, *, replacing: bool = False) -> Id:
        body = wire.repository_out(repository) | ({"replacing": True} if replacing else {})
        data = self._write("repository-upsert", body, sync_id)
        return _id_of(data, "repository_id")

    def clear(self, repository_id: Id, *, keep: str | None, sync_id: str) -> Cleared:
        body = {"repository_id": repository_id} | ({"keep": keep} if keep is not None else {})
        data = self._write("repository-clear", body, sync_id)
        return Cleared(*(_count(data, name) for name in ("tasks", "documents", "usages")))

    def put_packs(self, packs: Sequence[Pack], sync_id: str) -> Sequence[PackReceived | SyncError]:
        if not self.facts.batch:
            return [self._by_calls(pack, sync_id) for pack in packs]
        body = {"packs": [wire.pack_out(pack) for pack in packs]}
        data = self._write("packs", body, sync_id, packed=True)
        items = data.get("packs") if isinstance(data, dict) else data
        if not isinstance(items, list) or len(items) != len(packs):
            raise Stop(f"peer {self.name}: it did not answer for each task", hint="is it of our kind?", code="answer")
        return [_received(item, pack) for item, pack in zip(items, packs, strict=True)]

    def link(self, repository_id: Id, sync_id: str) -> None:
        if self.facts.batch:  # an original peer keeps our ids, so that nothing is to be translated
            self._write("link", {"repository_id": repository_id}, sync_id)

    # -- push to an original peer

    def _by_calls(self, pack: Pack, sync_id: str) -> PackReceived | SyncError:
        """Task, documents, chosen document, usages. Raises `Retry`, `Stop`: then it is the peer, not the task."""
        try:
            task = replace(pack.task, doc_id=0)  # its document is not there yet
            theirs = _id_of(self._write("task-create", wire.task_out(task), sync_id), "task_id")
            taken, refused = self._documents(pack, theirs, sync_id)
            chosen = taken.get(pack.task.doc_id)
            if chosen:
                body = {"task_id": theirs, "document_id": chosen.id}
                self._write("task-update-docid", body, sync_id)
            self._usages(pack, theirs, sync_id)
        except RejectRow as error:
            return error
        except Retry as error:
            if error.code.startswith("http_5"):
                return error
            raise
        return PackReceived(Received(theirs, Did.UPDATED), taken, refused)

    def _documents(self, pack: Pack, task: Id, sync_id: str) -> tuple[dict[Id, Received], dict[Id, str]]:
        taken: dict[Id, Received] = {}
        refused: dict[Id, str] = {}
        for document in pack.documents:
            try:
                taken[document.document_id] = self._document(document, task, sync_id)
            except RejectRow as error:
                refused[document.document_id] = str(error)
        return taken, refused

    def _document(self, document: Document, task: Id, sync_id: str) -> Received:
        body = wire.document_out(replace(document, task_id=task))
        return Received(_id_of(self._write("document-create", body, sync_id), "document_id"), Did.UPDATED)

    def _usages(self, pack: Pack, task: Id, sync_id: str) -> None:
        if not pack.usages or not self.facts.usages:
            return
        items = [wire.usage_out(usage) | {"id": 0, "task_id": task} for usage in pack.usages]
        try:
            self._write("task-usage-create", {"task_id": task, "task_usages": items}, sync_id)
        except RejectRow as error:
            if error.code != "http_404":
                raise
            self._facts = replace(self.facts, usages=False)  # older than its usages

    # -- pull

    def repositories(self) -> Sequence[Repository]:
        return [wire.repository_in(item) for item in wire.items_in(self._line.data(Call("GET", "repository-list")))]

    def documents(self, repository_id: Id) -> Sequence[tuple[Id, str, str, datetime | None]]:
        call = Call("GET", f"document-list?repository_id={int(repository_id)}")
        return list(wire.listed_in(self._line.data(call)))

    def export(self, repository_id: Id, document_ids: Sequence[Id]) -> tuple[Repository, int, Iterator[ExportPage]]:
        paged = self.facts.paged_export
        body: dict[str, Any] = {"repository_id": repository_id, "document_ids": list(document_ids)}
        call = Call("POST", "pull-export", encoded(body | ({"paged": True} if paged else {})))
        data = self._object(call if paged else replace(call, limit=WHOLE_EXPORT))
        packs = wire.packs_in(data)
        total = data.get("total")
        count = total if isinstance(total, int) and total >= len(packs) else len(packs)
        return wire.repository_in(data.get("repository")), count, self._pages(data, packs)

    def _pages(self, data: wire.Fields, packs: tuple[Pack, ...]) -> Iterator[ExportPage]:
        export, cursor = data.get("export"), data.get("next")
        yield ExportPage(packs)
        for _ in range(_LONGEST_EXPORT):
            if cursor is None:
                return
            page = self._object(Call("POST", "pull-export", encoded({"export": export, "cursor": cursor})))
            if page.get("next") == cursor:
                break
            yield ExportPage(wire.packs_in(page))
            cursor = page.get("next")
        raise Stop(f"peer {self.name}: its export has no end", hint="look at the peer", code="answer")

    # -- calls

    def _object(self, call: Call) -> wire.Fields:
        return wire.fields_in(self._line.data(call), "data")

    def _write(self, path: str, body: dict[str, Any], sync_id: str, *, packed: bool = False) -> Any:
        raw = encoded(body)
        digest = blake2b(encoded({"path": path, "sync": sync_id}) + raw, digest_size=16).hexdigest()
        return self._line.data(Call("POST", path, raw, digest, sync_id, packed))


def _received(item: object, pack: Pack) -> PackReceived | RejectRow:
    try:
        return wire.received_in(item, pack)
    except RejectRow as error:
        return error


def _id_of(data: object, name: str) -> Id:
    found = data.get(name) if isinstance(data, dict) else None
    if not isinstance(found, int) or isinstance(found, bool) or found <= 0:
        raise wire.wrong(name, "is no id")
    return found


def _count(data: object, name: str) -> int:
    found = data.get(name) if isinstance(data, dict) else None
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else 0
