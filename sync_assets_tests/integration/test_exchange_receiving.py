"""What other installations send, over a real gateway: the protocol as the original speaks it, and ours beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from sync_assets.exchange.model import Document, Repository, Task, TaskPack
from sync_assets.gateway import wire as theirs
from sync_assets.project.exchange import wire
from sync_assets.store.exchange.library import PostgresLibrary
from sync_assets_tests.fix_exchange import a_document, a_pack, a_repository, a_task, fill
from sync_assets_tests.fix_gateway import Gateway

TABLES = [f"exchange_{name}" for name in ("repository", "task", "document", "usage", "map")]


def post(http: httpx.Client, path: str, body: dict[str, Any], status: int = 200, **headers: str) -> Any:
    answer = http.post(f"/api/sync/{path}", json=body, headers={k.replace("_", "-"): v for k, v in headers.items()})
    assert answer.status_code == status, answer.text
    return answer.json()["data"] if status == 200 else answer.json()["error"]


def send_as_original(http: httpx.Client, repository: Repository, packs: list[TaskPack]) -> list[tuple[int, list[int]]]:
    """Call by call, as the original does it. Our ids of each task and its documents."""
    post(http, "repository-upsert", wire.repository_out(repository))
    return [_one(http, pack) for pack in packs]


def _one(http: httpx.Client, pack: TaskPack) -> tuple[int, list[int]]:
    task = post(http, "task-create", wire.task_out(pack.task))["task_id"]
    documents = []
    for document in pack.documents:
        body = wire.document_out(document) | {"task_id": task}
        documents.append(post(http, "document-create", body)["document_id"])
    if documents:
        post(http, "task-update-docid", {"task_id": task, "document_id": documents[-1]})
    items = [wire.usage_out(one) | {"id": 9, "task_id": task} for one in pack.usages]
    post(http, "task-usage-create", {"task_id": task, "task_usages": items})
    return task, documents


def tables(gateway: Gateway) -> dict[str, list[str]]:
    return {name: rows for name, rows in gateway.dump().items() if name in TABLES}


def test_an_original_peer_works_unchanged_and_a_repeat_changes_no_byte(gateway: Gateway) -> None:
    packs = [a_pack(1, [1, 2]), a_pack(2, [3])]
    with gateway.client("write:*") as http:
        first = send_as_original(http, a_repository(1), packs)
        before = tables(gateway)
        assert send_as_original(http, a_repository(1), packs) == first
        assert tables(gateway) == before
    chosen = gateway.rows("select task_id, doc_id from sync_assets.exchange_task order by 1")
    assert chosen == [(task, documents[-1]) for task, documents in first]
    assert len(before["exchange_usage"]) == 2


def test_an_original_peer_gets_its_references_without_a_second_pass(gateway: Gateway) -> None:
    packs = [a_pack(1, [1], run_after=2), a_pack(2, [2], run_after=1)]
    with gateway.client("write:*") as http:
        (one, _), (two, _) = send_as_original(http, a_repository(1), packs)
    runs = gateway.rows("select task_id, run_after, came_run_after from sync_assets.exchange_task order by 1")
    assert runs == [(one, two, None), (two, one, None)]


def test_both_sides_own_id_1_and_both_survive(gateway: Gateway) -> None:
    with gateway.client("write:*") as one, gateway.client("write:*") as two:
        first = send_as_original(one, a_repository(1, name="ours"), [a_pack(1, [1], title="ours")])
        second = send_as_original(two, a_repository(1, name="theirs"), [a_pack(1, [1], title="theirs")])
    assert first != second
    assert gateway.rows("select title from sync_assets.exchange_task order by 1") == [("ours",), ("theirs",)]
    assert gateway.rows("select name from sync_assets.exchange_repository order by 1") == [("ours",), ("theirs",)]


def test_packs_tell_what_became_of_each(gateway: Gateway) -> None:
    with gateway.client("write:*", X_Sync_Origin="a") as http:
        post(http, "repository-upsert", wire.repository_out(a_repository(1)))
        bad = TaskPack(a_task(2), (a_document(5, 99), a_document(6, 2)))  # 5 says that it is of another task
        packs = [a_pack(1, [1]), bad, a_pack(3, [7], repository=8)]
        told = post(http, "packs", {"packs": [wire.pack_out(one) for one in packs]})["packs"]
        assert post(http, "link", {"repository_id": 1}) == {"linked": 0}
    read = [wire.received_in(one, pack) for one, pack in zip(told, packs, strict=True)]
    assert told[0]["task"]["did"] == "created"
    assert [(d["document_id"], d.get("code")) for d in told[1]["documents"]] == [(6, None), (5, "invalid")]
    assert told[2]["code"] == "unknown_repository"
    assert isinstance(read[2], Exception)
    assert read[2].code == "unknown_repository"
    assert gateway.rows("select count(*) from sync_assets.exchange_document") == [(2,)]


def test_a_repository_is_replaced_in_stages(gateway: Gateway) -> None:
    with gateway.client("write:*", "clear:*", X_Sync_Origin="a", X_Sync_Id="s-1") as http:
        body = wire.repository_out(a_repository(1))
        post(http, "repository-upsert", body)
        old = [wire.pack_out(a_pack(n, [n])) for n in (1, 2)]
        post(http, "packs", {"packs": old})
        post(http, "repository-upsert", body | {"replacing": True})
        post(http, "packs", {"packs": [wire.pack_out(a_pack(2, [2])), wire.pack_out(a_pack(3, [3]))]})
        refused = post(http, "repository-clear", {"repository_id": 1, "keep": "s-2"}, 409)
        assert "does not replace" in refused
        cleared = post(http, "repository-clear", {"repository_id": 1, "keep": "s-1"})
    assert (cleared["tasks"], cleared["documents"], cleared["usages"]) == (1, 1, 1)
    assert gateway.rows("select title from sync_assets.exchange_task order by 1") == [("task 2",), ("task 3",)]
    audit = "select who, detail ->> 'keep' from sync_assets.gateway_audit where action = 'clear'"
    assert [(who.partition(":")[0], keep) for who, keep in gateway.rows(audit)] == [("key", "s-1")]


def test_clearing_needs_its_own_right(gateway: Gateway) -> None:
    with gateway.client("write:*", "read:*", X_Sync_Origin="a") as http:
        post(http, "repository-upsert", wire.repository_out(a_repository(1)))
        post(http, "packs", {"packs": [wire.pack_out(a_pack(1, [1]))]})
        before = tables(gateway)
        post(http, "repository-clear", {"repository_id": 1}, 403)
    assert tables(gateway) == before


def test_a_stranger_s_id_and_a_missing_one_get_the_same_answer(gateway: Gateway) -> None:
    with gateway.client("write:*", X_Sync_Origin="a") as http:
        for id in (1, 2):
            post(http, "repository-upsert", wire.repository_out(a_repository(id)))
        post(http, "packs", {"packs": [wire.pack_out(a_pack(1, [1])), wire.pack_out(a_pack(2, [2], repository=2))]})
    before = tables(gateway)
    calls: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("task-create", wire.task_out(a_task(9, 2)), wire.task_out(a_task(9, 77))),
        ("task-update-docid", {"task_id": 2, "document_id": 2}, {"task_id": 77, "document_id": 77}),
        ("task-update-docid", {"task_id": 1, "document_id": 2}, {"task_id": 1, "document_id": 77}),
        ("task-usage-create", {"task_id": 2}, {"task_id": 77}),
        ("document-create", wire.document_out(a_document(9, 2)), wire.document_out(a_document(9, 77))),
        ("link", {"repository_id": 2}, {"repository_id": 77}),
        ("repository-upsert", wire.repository_out(a_repository(2)), wire.repository_out(a_repository(77))),
        ("repository-clear", {"repository_id": 2}, {"repository_id": 77}),
    ]
    with gateway.client("write:1", "clear:1", X_Sync_Origin="a") as http:
        for path, strange, unknown in calls:
            answers = [http.post(f"/api/sync/{path}", json=body) for body in (strange, unknown)]
            assert answers[0].status_code == answers[1].status_code in (403, 404), path
            assert answers[0].json() == answers[1].json(), path
    assert tables(gateway) == before


def test_an_installation_is_not_its_own_peer(gateway: Gateway) -> None:
    assert gateway.services is not None
    with gateway.client("write:*", X_Sync_Origin=gateway.services.instance) as http:
        post(http, "repository-upsert", wire.repository_out(a_repository(1)), 400)


@pytest.mark.parametrize(
    "change",
    [{"status": "sleeping"}, {"task_id": 0}, {"error_msg": "x" * 1001}, {"created_at": "2026-01-01"},
     {"sort_order": 2**31}, {"run_after": -1}, {"title": 3}],
)  # fmt: skip
def test_what_does_not_fit_is_refused_without_quoting_it(gateway: Gateway, change: dict[str, Any]) -> None:
    with gateway.client("write:*", X_Sync_Origin="a") as http:
        post(http, "repository-upsert", wire.repository_out(a_repository(1)))
        error = post(http, "task-create", wire.task_out(a_task(1)) | change, 400)
    assert next(iter(change)) in error
    assert "sleeping" not in error
    assert gateway.rows("select count(*) from sync_assets.exchange_task") == [(0,)]


def test_empty_null_and_go_s_zero_time_mean_the_default(gateway: Gateway) -> None:
    zero = "0001-01-01T00:00:00Z"
    body = {"task_id": 1, "repository_id": 1, "writer_name": "", "task_type": "", "status": "", "title": None,
            "run_after": None, "created_at": zero, "updated_at": zero, "started_at": None, "more": [1]}  # fmt: skip
    with gateway.client("write:*") as http:
        post(http, "repository-upsert", {"repository_id": 1, "name": "", "created_at": zero})
        post(http, "task-create", body)
    found = gateway.rows("select writer_name, task_type, status, title, run_after from sync_assets.exchange_task")
    assert found == [("DefaultWriter", "DocWrite", "pending", "", None)]
    assert gateway.rows("select name from sync_assets.exchange_repository") == [("repository 1",)]
    assert gateway.rows("select min(created_at) > '2026-01-01' from sync_assets.exchange_task") == [(True,)]


def test_moments_of_go_are_the_same_the_next_time(gateway: Gateway) -> None:
    moment = "2026-02-10T12:00:00.123456789+08:00"
    body = wire.task_out(a_task(1)) | dict.fromkeys(("started_at", "completed_at", "updated_at"), moment)
    with gateway.client("write:*") as http:
        post(http, "repository-upsert", wire.repository_out(a_repository(1)) | {"updated_at": moment})
        assert post(http, "task-create", body)["did"] == "created"
        assert post(http, "task-create", body)["did"] == "unchanged"
        older = body | {"title": "older", "updated_at": "2026-02-10T11:59:59.999999999+08:00"}
        assert post(http, "task-create", older)["did"] == "older"
    kept = gateway.rows("select extract(epoch from started_at) % 60 from sync_assets.exchange_task")
    assert [float(seconds) for (seconds,) in kept] == [0.123456]


@pytest.mark.parametrize(
    "value",
    [
        a_repository(1, size_mb=1.5, description="\U0001f433"),
        a_task(1, run_after=3, doc_id=4),
        a_document(1, 2, version=3),
    ],
)
def test_client_and_gateway_mean_the_same(value: Repository | Task | Document) -> None:
    if isinstance(value, Repository):
        assert theirs.repository(theirs.RepositoryBody.model_validate(wire.repository_out(value))) == value
    elif isinstance(value, Task):
        assert theirs.task(theirs.TaskBody.model_validate(wire.task_out(value))) == value
    else:
        assert theirs.document(theirs.DocumentBody.model_validate(wire.document_out(value))) == value


def test_client_and_gateway_mean_the_same_pack() -> None:
    pack = a_pack(1, [1, 2])
    assert theirs.pack(theirs.PackBody.model_validate(wire.pack_out(pack))) == pack


def test_a_narrow_key_gives_back_what_it_may_write_and_nothing_else(gateway: Gateway) -> None:
    library = PostgresLibrary(gateway.store.sessions)
    owned, foreign = (fill(library, n, tasks=1) for n in (1, 2))
    there = {one.repository_id: one for one in library.repositories()}
    before = tables(gateway)
    with gateway.client(f"write:{owned}", X_Sync_Origin="b") as http:
        back = post(http, "repository-upsert", wire.repository_out(replace(there[owned], repository_id=70)))
        assert back == {"repository_id": owned, "name": there[owned].name, "did": "unchanged"}
        refused = post(http, "repository-upsert", wire.repository_out(replace(there[foreign], repository_id=71)), 403)
        unknown = post(http, "repository-upsert", wire.repository_out(a_repository(72)), 403)
        assert refused == unknown
        (pack,) = library.export(owned).first.packs
        back = wire.pack_out(_moved(pack, 70, 500))
        (told,) = post(http, "packs", {"packs": [back]})["packs"]
        assert (told["task"], told["documents"][0]["did"]) == (
            {"id": pack.task.task_id, "did": "unchanged"},
            "unchanged",
        )
    now = tables(gateway)
    assert now.pop("exchange_map") != before.pop("exchange_map")
    assert now == before


def _moved(pack: TaskPack, repository: int, by: int) -> TaskPack:
    """As another installation has it, under ids of its own."""
    task = replace(pack.task, task_id=pack.task.task_id + by, repository_id=repository, doc_id=pack.task.doc_id + by)
    documents = tuple(
        replace(one, document_id=one.document_id + by, task_id=one.task_id + by, repository_id=repository)
        for one in pack.documents
    )
    return TaskPack(task, documents, pack.usages)
