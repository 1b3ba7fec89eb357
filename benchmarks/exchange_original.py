"""The original's client, as its source has it: one call for each thing, one after another, and no status kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import httpx

from sync_assets.exchange.model import Id, TaskPack
from sync_assets.project.exchange import wire
from sync_assets.store.control import PostgresStore
from sync_assets.store.exchange.library import PostgresLibrary

_IN_ONE_ANSWER = 1000  # documents: whole exports are limited to what one answer holds


class _Line:
    """One connection to a gateway that stays open. Counts calls."""

    def __init__(self, url: str, key: str) -> None:
        self._url, self.calls = url, 0
        headers = {"Authorization": f"Bearer {key}"}
        self._http = httpx.Client(headers=headers, timeout=60, trust_env=False)

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        self.calls += 1
        answer = self._http.post(f"{self._url}/{path}", json=body)
        answer.raise_for_status()
        return dict(answer.json()["data"])

    def get(self, path: str, **query: Any) -> list[dict[str, Any]]:
        self.calls += 1
        answer = self._http.get(f"{self._url}/{path}", params=query)
        answer.raise_for_status()
        return list(answer.json()["data"])

    def close(self) -> None:
        self._http.close()


def push(url: str, key: str, store: PostgresStore, repository: Id, most: int) -> int:
    """Push the first tasks of a repository. Returns the number of calls."""
    library, line = PostgresLibrary(store.sessions), _Line(url, key)
    (ours,) = library.repositories([repository])
    line.post("repository-upsert", wire.repository_out(ours))
    for pack in islice(_packs(library, repository), most):
        task = line.post("task-create", wire.task_out(replace(pack.task, doc_id=0)))["task_id"]
        for document in pack.documents:
            theirs = line.post("document-create", wire.document_out(document) | {"task_id": task})["document_id"]
            line.post("task-update-docid", {"task_id": task, "document_id": theirs})
    line.close()
    return line.calls


def _packs(library: PostgresLibrary, repository: Id) -> Iterator[TaskPack]:
    export = library.export(repository)
    page = export.first
    yield from page.packs
    while page.next is not None:
        page = library.export_page(export.id, page.next)
        yield from page.packs


def pull(url: str, key: str, store: PostgresStore, repository: Id, most: int) -> int:
    """Pull the first documents of a repository, and write each row by itself. Returns the number of calls."""
    library, line = PostgresLibrary(store.sessions), _Line(url, key)
    ids = [one["document_id"] for one in line.get("document-list", repository_id=repository)][:most]
    for first in range(0, len(ids), _IN_ONE_ANSWER):
        some = ids[first : first + _IN_ONE_ANSWER]
        export = line.post("pull-export", {"repository_id": repository, "document_ids": some})
        _write(library, export)
    line.close()
    return line.calls


def _write(library: PostgresLibrary, export: dict[str, Any]) -> None:
    library.put_repository("original", wire.repository_in(export["repository"]))
    by_task = {document["task_id"]: document for document in export["documents"]}
    for task in export["tasks"]:
        ours = library.put_task("original", wire.task_in(task)).id
        document = wire.document_in(by_task[task["task_id"]])
        library.set_document(ours, library.put_document("original", document, task=ours).id)
