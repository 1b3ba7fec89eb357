"""Who speaks for an installation: the first key that writes in its name, and no other as long as that one counts."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from sync_assets.engine.errors import Stop
from sync_assets.exchange.model import Document, Repository, Task
from sync_assets.project.exchange import wire
from sync_assets.store.gateway.origins import Origins
from sync_assets_tests.fix_exchange import a_document, a_pack, a_repository, a_task
from sync_assets_tests.fix_gateway import running

if TYPE_CHECKING:
    from sync_assets_tests.fix_gateway import Gateway

TAKEN, OTHER = "another key speaks for this installation", "this key speaks for another installation than it says"
DOCUMENTS = {"documents": [wire.document_out(a_document(2, 1))]}
CALLS: dict[str, dict[str, Any]] = {
    "repository-upsert": wire.repository_out(a_repository(1)),
    "task-create": wire.task_out(a_task(1)),
    "document-create": wire.document_out(a_document(2, 1)),
    "packs": {"packs": [wire.pack_out(a_pack(1, [1]))]},
    "link": {"repository_id": 1},
    "repository-clear": {"repository_id": 1},
}


def _put(gateway: Gateway, key: str, origin: str | None, repository: int = 1, name: str = "r") -> httpx.Response:
    with gateway.client(key=key, **({"X_Sync_Origin": origin} if origin else {})) as http:
        return http.post("/api/sync/repository-upsert", json={"repository_id": repository, "name": name})


def _refusal(answer: httpx.Response) -> str:
    """The beginning of a 403; '' for an answer that is good."""
    return (
        ""
        if answer.status_code == 200
        else f"{answer.json()['error'].partition(' (')[0]}" * (answer.status_code == 403)
    )


def _bound(gateway: Gateway) -> dict[str, str]:
    return dict(gateway.rows("select origin, holder from sync_assets.gateway_origin"))  # type: ignore[arg-type]


def _revoke(gateway: Gateway, key: str) -> None:
    gateway.keys.revoke(key.split("_")[1])


# -- bound by the first write


def test_the_first_that_writes_is_bound_and_another_refused_at_every_endpoint(gateway: Gateway) -> None:
    first, second = (gateway.key("write", "clear", "admin", name=name) for name in ("first", "second"))
    for path, body in CALLS.items():
        with gateway.client(key=first, X_Sync_Origin="berlin") as http:
            assert http.post(f"/api/sync/{path}", json=body).status_code == 200, path
    assert _put(gateway, first, "berlin").status_code == 200
    assert _bound(gateway) == {"berlin": "key:first"}
    before = gateway.dump()
    with gateway.client(key=second, X_Sync_Origin="berlin") as http:
        answers = {path: http.post(f"/api/sync/{path}", json=body) for path, body in CALLS.items()}
    assert {path: _refusal(answer) for path, answer in answers.items()} == dict.fromkeys(CALLS, TAKEN)
    assert not [path for path, answer in answers.items() if "first" in answer.text], "by whom is not told"
    assert gateway.dump() == before


def test_a_key_speaks_for_one_installation(gateway: Gateway) -> None:
    key = gateway.key("write", name="one")
    assert _put(gateway, key, "berlin").status_code == 200
    before = gateway.dump()
    assert _refusal(_put(gateway, key, "hamburg")) == OTHER
    assert gateway.dump() == before
    assert _put(gateway, gateway.key("write"), "hamburg").status_code == 200


def test_without_an_origin_a_caller_is_known_by_its_key_as_ever(gateway: Gateway) -> None:
    for key in (gateway.key("write", name="one"), gateway.key("write", name="two")):
        assert _put(gateway, key, None).status_code == 200
    assert _bound(gateway) == {}
    assert _put(gateway, key, "berlin").status_code == 200
    assert _put(gateway, key, None, 7).status_code == 200
    origins = gateway.rows("select origin, origin_id from sync_assets.exchange_map order by 1, 2")
    assert origins == [("berlin", 1), ("key:one", 1), ("key:two", 1), ("key:two", 7)]


def test_what_is_refused_or_changes_nothing_binds_nothing(gateway: Gateway) -> None:
    assert gateway.services is not None
    library = gateway.services.library
    library.put_repository("berlin", Repository(1, "r"))
    library.put_task("berlin", Task(1, 1))
    library.put_document("berlin", Document(1, 1, 1))
    narrow = gateway.key("read:9", "write:9", "clear:9", name="narrow")
    with gateway.client(key=narrow, X_Sync_Origin="berlin") as http:
        assert {http.post(f"/api/sync/{path}", json=body).status_code for path, body in CALLS.items()} <= {
            200,
            403,
            404,
        }
    with gateway.client("read", X_Sync_Origin="berlin") as http:
        assert http.get("/api/sync/repository-list").status_code == 200
        assert http.post("/api/sync/pull-export", json={"repository_id": 1}).status_code == 200
    with gateway.client("write", X_Sync_Origin="berlin") as http:
        assert http.post("/api/sync/repository-upsert", json={"repository_id": -1}).status_code == 400
    assert _bound(gateway) == {}
    assert gateway.rows("select count(*) from sync_assets.gateway_audit where action like 'origins%'") == [(0,)]


def test_a_narrow_key_is_bound_by_what_it_may_write(gateway: Gateway) -> None:
    assert gateway.services is not None
    ours = gateway.services.library.put_repository("berlin", Repository(1, "r")).id
    assert _put(gateway, gateway.key(f"write:{ours}", name="narrow"), "berlin", 1, "new").status_code == 200
    assert _bound(gateway) == {"berlin": "key:narrow"}


def test_people_are_bound_like_keys_and_no_longer_when_disabled(gateway: Gateway) -> None:
    gateway.users.add("mei", "correct horse battery", ["write"])
    with gateway.client() as http:
        login = http.post("/api/v1/auth/login", json={"name": "mei", "password": "correct horse battery"})
    assert _put(gateway, login.json()["data"]["access_token"], "berlin").status_code == 200
    assert _bound(gateway) == {"berlin": "user:mei"}
    key = gateway.key("write", name="mei")  # a key of the same name is somebody else
    assert _refusal(_put(gateway, key, "berlin")) == TAKEN
    gateway.users.disable("mei")
    assert _put(gateway, key, "berlin", name="new").status_code == 200
    assert _bound(gateway) == {"berlin": "key:mei"}


# -- at once


def test_of_many_keys_at_once_one_is_the_first(gateway: Gateway) -> None:
    keys = [gateway.key("write") for _ in range(8)]
    with running(gateway.address) as other, ThreadPoolExecutor(8) as pool:
        for round in range(4):

            def put(number: int, origin: str = f"o-{round}", name: str = f"n-{round}") -> httpx.Response:
                return _put((gateway, other)[number % 2], keys[number], origin, number + 1, name)

            before = len(_bound(gateway))
            answers = list(pool.map(put, range(8)))
            good = [answer for answer in answers if answer.status_code == 200]
            assert len(good) == 1, [answer.text for answer in answers]
            assert {_refusal(a) for a in answers if a not in good} <= {TAKEN, OTHER}
            assert len(_bound(gateway)) == before + 1
            count = "select count(*) from sync_assets.exchange_repository where name = 'n-{}'"
            assert gateway.rows(count.format(round)) == [(1,)], "what was refused was undone"


def test_of_many_installations_at_once_a_key_speaks_for_one(gateway: Gateway) -> None:
    key = gateway.key("write")
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: _put(gateway, key, f"o-{n}"), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [403] * 7
    assert len(_bound(gateway)) == 1 and _repositories(gateway) == 1


def test_who_is_overtaken_between_look_and_write_is_undone(gateway: Gateway) -> None:
    """The other binds before we have written, and is not finished when we look."""
    gateway.key("write", name="first")
    late, answers = gateway.key("write", name="late"), []
    with psycopg.connect(**gateway.address.arguments()) as first:
        first.execute("insert into sync_assets.gateway_origin (origin, holder) values ('berlin', 'key:first')")
        thread = threading.Thread(target=lambda: answers.append(_put(gateway, late, "berlin")))
        thread.start()
        _wait_for_a_lock(gateway)
        assert _repositories(gateway) == 0
        first.commit()
        thread.join(30)
    assert [_refusal(answer) for answer in answers] == [TAKEN]
    assert _repositories(gateway) == 0 and _bound(gateway) == {"berlin": "key:first"}


def _wait_for_a_lock(gateway: Gateway) -> None:
    for _ in range(500):
        waiting = "select count(*) from pg_locks l join pg_database d on d.oid = l.database where not granted"
        if gateway.rows(f"{waiting} and d.datname = current_database()") != [(0,)]:
            return
        threading.Event().wait(0.02)
    raise AssertionError("nobody waits")


def _repositories(gateway: Gateway) -> int:
    return int(gateway.rows("select count(*) from sync_assets.exchange_repository")[0][0])


# -- keys are changed


def test_a_new_key_of_the_same_name_goes_on(gateway: Gateway) -> None:
    old = gateway.key("write", name="berlin")
    assert _put(gateway, old, "b").status_code == 200
    _revoke(gateway, old)
    new = gateway.key("write", name="berlin")
    assert _put(gateway, new, "b", 1, "renamed").status_code == 200
    assert _bound(gateway) == {"b": "key:berlin"}
    assert gateway.rows("select name from sync_assets.exchange_repository") == [("renamed",)]


@pytest.mark.parametrize("end", ["revoked", "expired"])
def test_a_key_of_another_name_goes_on_when_the_old_one_counts_no_more(gateway: Gateway, end: str) -> None:
    old, new = gateway.key("write", name="berlin-1"), gateway.key("write", name="berlin-2")
    assert _put(gateway, old, "b").status_code == 200
    assert _refusal(_put(gateway, new, "b")) == TAKEN
    if end == "revoked":
        _revoke(gateway, old)
    else:
        gateway.rows("update sync_assets.gateway_key set expires_at = now() where name = 'berlin-1' returning 1")
    assert _put(gateway, new, "b", 2).status_code == 200
    assert _bound(gateway) == {"b": "key:berlin-2"}
    audit = "select who, object, detail ->> 'before' from sync_assets.gateway_audit where action = 'origins.bind'"
    assert sorted(gateway.rows(audit)) == [("key:berlin-1", "b", None), ("key:berlin-2", "b", "key:berlin-1")]


def test_a_binding_that_is_released_is_made_anew(gateway: Gateway) -> None:
    key, other = gateway.key("write", name="berlin"), gateway.key("write", name="hamburg")
    assert _put(gateway, key, "old-id").status_code == 200
    assert _refusal(_put(gateway, key, "new-id")) == OTHER
    origins = Origins(gateway.store.sessions)
    assert origins.release("key:berlin", by="cli:mei") == "old-id"
    assert _put(gateway, key, "new-id").status_code == 200
    assert _put(gateway, other, "old-id", 2).status_code == 200
    assert _bound(gateway) == {"new-id": "key:berlin", "old-id": "key:hamburg"}
    audit = "select who, object, detail from sync_assets.gateway_audit where action = 'origins.release'"
    assert gateway.rows(audit) == [("cli:mei", "key:berlin", {"origin": "old-id"})]
    with pytest.raises(Stop, match="no installation"):
        origins.release("key:nobody")


def test_the_list_of_keys_says_for_whom_each_speaks(gateway: Gateway) -> None:
    old = gateway.key("write", name="berlin")
    assert _put(gateway, old, "b").status_code == 200
    gateway.key("read", name="reader")
    assert {e.name: e.origin for e in gateway.keys.entries()} == {"berlin": "b", "reader": None}
    _revoke(gateway, old)
    gateway.key("write", name="berlin")
    told = [(e.name, e.revoked_at is None, e.origin) for e in gateway.keys.entries()]
    assert sorted(told, key=str) == [("berlin", False, None), ("berlin", True, "b"), ("reader", True, None)]
