"""What other installations take, over a real gateway: lists and exports, each caller his own."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from sync_assets.exchange.model import TaskPack
from sync_assets.project.exchange import wire
from sync_assets.store.exchange.library import PostgresLibrary
from sync_assets_tests.fix_exchange import a_document, a_repository, a_task, fill
from sync_assets_tests.fix_gateway import Gateway

_EXPORT = "/api/sync/pull-export"


def library_of(gateway: Gateway) -> PostgresLibrary:
    return PostgresLibrary(gateway.store.sessions)


def export(http: httpx.Client, status: int = 200, **body: Any) -> Any:
    answer = http.post(_EXPORT, json=body)
    assert answer.status_code == status, answer.text
    return answer.json()["data"] if status == 200 else answer.json()["error"]


def test_ping_says_who_is_here_to_whoever_has_a_key(gateway: Gateway) -> None:
    assert gateway.services is not None
    with gateway.client("metrics") as http:
        answer = http.get("/api/sync/ping").json()
    assert answer["code"] == "OK"
    facts = {
        "instance": gateway.services.instance,
        "batch": 100,
        "staged_clear": True,
        "paged_export": True,
        "uids": True,
    }
    assert answer["data"].items() >= facts.items()
    with gateway.client() as nobody:
        assert nobody.get("/api/sync/ping").status_code == 401


def test_a_caller_sees_the_repositories_that_he_may_read(gateway: Gateway) -> None:
    ours = [fill(library_of(gateway), n, tasks=1) for n in (1, 2, 3)]
    with gateway.client("read:*") as all_of_them, gateway.client(f"read:{ours[1]}", "write:*") as one:
        seen = [
            repository["repository_id"] for repository in all_of_them.get("/api/sync/repository-list").json()["data"]
        ]
        (mine,) = one.get("/api/sync/repository-list").json()["data"]
        documents = [
            one.get("/api/sync/document-list", params={"repository_id": id}) for id in (ours[1], ours[0], 10**6)
        ]
        refused = [one.post(_EXPORT, json={"repository_id": id}) for id in (ours[0], 10**6)]
    assert seen == ours
    assert set(mine) == {"repository_id", "name", "url", "clone_branch", "status", "updated_at"}
    assert (mine["repository_id"], mine["updated_at"]) == (ours[1], "2026-02-10T04:00:00Z")
    assert [answer.status_code for answer in documents] == [200, 404, 404]
    assert documents[1].json() == documents[2].json()
    (listed,) = documents[0].json()["data"]
    assert (listed["status"], listed["title"]) == ("succeeded", "document 200011")
    assert set(listed) == {"document_id", "repository_id", "task_id", "title", "status", "created_at"}
    assert [answer.status_code for answer in refused] == [404, 404]
    assert refused[0].json() == refused[1].json()


def test_an_export_that_is_not_paged_is_whole_and_as_the_original_gives_it(gateway: Gateway) -> None:
    ours = fill(library_of(gateway), 1, tasks=230)
    expected = library_of(gateway).export(ours, rows=1000).first.packs
    with gateway.client("read:*") as http:
        data = export(http, repository_id=ours)
    assert set(data) == {"repository", "tasks", "documents", "task_usages", "total"}
    assert wire.packs_in(data) == expected
    assert (len(expected), data["total"]) == (230, 230)
    assert wire.repository_in(data["repository"]).name == "repository 1"


def test_a_paged_export_is_one_moment(gateway: Gateway) -> None:
    library = library_of(gateway)
    ours = fill(library, 1, tasks=230)
    expected = library.export(ours, rows=1000).first.packs
    with gateway.client(f"read:{ours}") as http:
        page = export(http, repository_id=ours, paged=True)
        library.clear(ours, by="test")
        packs, pages = list(wire.packs_in(page)), [page]
        while page.get("next") is not None:
            page = export(http, export=pages[0]["export"], cursor=page["next"])
            pages.append(page)
            packs += wire.packs_in(page)
    assert tuple(packs) == expected
    assert [len(page["tasks"]) for page in pages] == [100, 100, 30]
    assert "next" not in pages[-1]


def test_pages_are_for_those_who_may_read_the_repository(gateway: Gateway) -> None:
    library = library_of(gateway)
    ours = [fill(library, n, tasks=101) for n in (1, 2)]
    with gateway.client(f"read:{ours[0]}") as mine, gateway.client(f"read:{ours[1]}") as other:
        page = export(mine, repository_id=ours[0], paged=True)
        strange = other.post(_EXPORT, json={"export": page["export"], "cursor": page["next"]})
        unknown = other.post(_EXPORT, json={"export": "A" * 24, "cursor": page["next"]})
        assert len(export(mine, export=page["export"], cursor=page["next"])["tasks"]) == 1
    assert strange.status_code == unknown.status_code == 404
    assert strange.json() == unknown.json()


def test_some_documents_travel(gateway: Gateway) -> None:
    library = library_of(gateway)
    ours = fill(library, 1, tasks=3, documents=2)
    ids = [document.document_id for document, _ in library.documents(ours)]
    with gateway.client("read:*") as http:
        data = export(http, repository_id=ours, document_ids=[ids[3], 0, ids[3]])
        export(http, 404, repository_id=ours, document_ids=[ids[3], 10**6])
        export(http, 400, repository_id=ours, document_ids=[0])
        export(http, 400)
    assert [document["document_id"] for document in data["documents"]] == [ids[3]]
    assert len(data["tasks"]) == 1


def test_what_is_too_large_for_one_answer_says_how_to_get_it(gateway: Gateway) -> None:
    library = library_of(gateway)
    ours = library.put_repository("seed", a_repository(1)).id
    for n in (1, 2, 3):
        document = a_document(n, n, content="\u6587" * 6_000_000)
        library.put_pack("seed", TaskPack(a_task(n), (document,)))
    with gateway.client("read:*") as http:
        assert "paged" in export(http, 413, repository_id=ours)
        page, got = export(http, repository_id=ours, paged=True), 0
        while True:
            got += sum(len(document["content"]) for document in page["documents"])
            if page.get("next") is None:
                break
            page = export(http, export=page["export"], cursor=page["next"])
    assert got == 18_000_000


@pytest.mark.parametrize("accepted", ["gzip", "identity"])
def test_an_export_is_packed_for_those_who_take_it(gateway: Gateway, accepted: str) -> None:
    ours = fill(library_of(gateway), 1, tasks=20)
    with gateway.client("read:*", Accept_Encoding=accepted) as http:
        answer = http.post(_EXPORT, json={"repository_id": ours})
    assert answer.headers.get("Content-Encoding") == ("gzip" if accepted == "gzip" else None)
    assert len(answer.json()["data"]["tasks"]) == 20
