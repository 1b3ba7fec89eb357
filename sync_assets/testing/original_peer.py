"""An installation of the original program, as a peer sees it: one call for each thing, no key, no batches, no pages.

Receives with the ids of the sender as they are, over whatever has that id, stamps tasks when their document is chosen,
and answers everything that is wrong with 400 and a sentence. Gives its export as one document. Nothing is kept on disk.

    with OriginalPeer() as peer: HttpPeer("old", peer.url, None, internal(["127.0.0.0/8"]))
"""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

PATH = "/api/sync"
Row = dict[str, Any]
Answer = tuple[int, Mapping[str, Any]]


@dataclass
class Shelf:
    """What it holds, by id."""

    repositories: dict[int, Row] = field(default_factory=dict)
    tasks: dict[int, Row] = field(default_factory=dict)
    documents: dict[int, Row] = field(default_factory=dict)
    usages: dict[int, list[Row]] = field(default_factory=dict)  # by task


class OriginalPeer:
    """A server on a free port of loopback. `calls` counts by endpoint; `refuse` may name documents by id."""

    def __init__(self) -> None:
        self.shelf = Shelf()
        self.calls: Counter[str] = Counter()
        self.refuse: set[int] = set()
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="original", daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PATH}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, method: str, target: str, body: Row) -> Answer:
        """One request, alone."""
        parts = urlsplit(target)
        name = parts.path.removeprefix(PATH).strip("/")
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        endpoint = _ENDPOINTS.get((method, name))
        if endpoint is None:
            return 404, {"error": "404 page not found"}
        with self._lock:
            self.calls[name] += 1
            return endpoint(self, query | body)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        peer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._reply(*peer.answer("GET", self.path, {}))

            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                self._reply(*peer.answer("POST", self.path, json.loads(raw or b"{}")))

            def _reply(self, status: int, said: Mapping[str, Any]) -> None:
                raw = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


def _ok(data: object) -> Answer:
    return 200, {"code": "OK", "data": data}


def _wrong(text: str) -> Answer:
    return 400, {"error": text}


def _ping(peer: OriginalPeer, body: Row) -> Answer:
    return 200, {"code": "OK"}


def _repository_upsert(peer: OriginalPeer, body: Row) -> Answer:
    peer.shelf.repositories[body["repository_id"]] = dict(body)
    return _ok({"repository_id": body["repository_id"], "name": body["name"]})


def _repository_clear(peer: OriginalPeer, body: Row) -> Answer:
    """Usages stay, as they do there."""
    shelf, wanted = peer.shelf, body["repository_id"]
    if wanted not in shelf.repositories:
        return _wrong("仓库不存在: record not found")
    shelf.tasks = {n: row for n, row in shelf.tasks.items() if row["repository_id"] != wanted}
    shelf.documents = {n: row for n, row in shelf.documents.items() if row["repository_id"] != wanted}
    return _ok({"repository_id": wanted})


def _task_create(peer: OriginalPeer, body: Row) -> Answer:
    if body["repository_id"] not in peer.shelf.repositories:
        return _wrong("仓库不存在: record not found")
    peer.shelf.tasks[body["task_id"]] = dict(body)
    return _ok({name: body[name] for name in ("task_id", "repository_id", "title")})


def _document_create(peer: OriginalPeer, body: Row) -> Answer:
    if body["task_id"] not in peer.shelf.tasks:
        return _wrong("任务不存在: record not found")
    if body["document_id"] in peer.refuse:
        return _wrong("文档写入失败")
    peer.shelf.documents[body["document_id"]] = dict(body)
    return _ok({name: body[name] for name in ("document_id", "repository_id", "task_id")})


def _task_update_docid(peer: OriginalPeer, body: Row) -> Answer:
    if not body.get("task_id") or not body.get("document_id"):
        return _wrong("Key: 'TaskUpdateDocIDRequest.DocumentID' Error: required")
    task = peer.shelf.tasks.get(body["task_id"])
    if task is None:
        return _wrong("任务不存在: record not found")
    task |= {"doc_id": body["document_id"], "updated_at": datetime.now(UTC).isoformat()}
    return _ok({"task_id": body["task_id"], "document_id": body["document_id"]})


def _task_usage_create(peer: OriginalPeer, body: Row) -> Answer:
    if any(item["task_id"] != body["task_id"] for item in body["task_usages"]):
        return _wrong("task_id 不一致")
    peer.shelf.usages[body["task_id"]] = list(body["task_usages"])
    return _ok({"task_id": body["task_id"]})


def _repository_list(peer: OriginalPeer, body: Row) -> Answer:
    names = ("repository_id", "name", "url", "clone_branch", "status", "updated_at")
    return _ok([{name: row[name] for name in names if name in row} for row in peer.shelf.repositories.values()])


def _document_list(peer: OriginalPeer, body: Row) -> Answer:
    rows = [row for row in peer.shelf.documents.values() if row["repository_id"] == int(body["repository_id"])]
    names = ("document_id", "repository_id", "task_id", "title", "created_at")
    status = {number: task.get("status", "") for number, task in peer.shelf.tasks.items()}
    return _ok([{n: row[n] for n in names if n in row} | {"status": status.get(row["task_id"], "")} for row in rows])


def _pull_export(peer: OriginalPeer, body: Row) -> Answer:
    shelf, wanted = peer.shelf, body["repository_id"]
    if wanted not in shelf.repositories:
        return _wrong("仓库不存在: record not found")
    documents = [row for row in shelf.documents.values() if row["repository_id"] == wanted]
    tasks = [row for row in shelf.tasks.values() if row["repository_id"] == wanted]
    chosen = body.get("document_ids") or []
    if chosen:
        if not set(chosen) <= {row["document_id"] for row in documents}:
            return _wrong("文档不属于该仓库")
        documents = [row for row in documents if row["document_id"] in chosen]
        tasks = [row for row in tasks if row["task_id"] in {d["task_id"] for d in documents}]
    usages = [item for task in tasks for item in shelf.usages.get(task["task_id"], [])]
    return _ok(
        {"repository": shelf.repositories[wanted], "tasks": tasks or None, "documents": documents or None,
         "task_usages": usages or None}
    )  # fmt: skip


_ENDPOINTS: dict[tuple[str, str], Callable[[OriginalPeer, Row], Answer]] = {
    ("GET", "ping"): _ping,
    ("POST", "repository-upsert"): _repository_upsert,
    ("POST", "repository-clear"): _repository_clear,
    ("POST", "task-create"): _task_create,
    ("POST", "document-create"): _document_create,
    ("POST", "task-update-docid"): _task_update_docid,
    ("POST", "task-usage-create"): _task_usage_create,
    ("GET", "repository-list"): _repository_list,
    ("GET", "document-list"): _document_list,
    ("POST", "pull-export"): _pull_export,
}
