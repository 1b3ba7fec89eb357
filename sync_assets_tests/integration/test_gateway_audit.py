"""Audit rows of calls: with each change there is one, whatever happens to the gateway; without one nothing changes."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpx
import psycopg
import pytest

from sync_assets.engine.faults import GATEWAY_POINTS

if TYPE_CHECKING:
    from sync_assets_tests.fix_gateway import Gateway, GatewayProcess

UPSERT = ("/api/sync/repository-upsert", {"repository_id": 5, "name": "five"})
TASK = ("/api/sync/task-create", {"task_id": 9, "repository_id": 5, "title": "nine"})
PACKS = ("/api/sync/packs", {"packs": [{"task": {"task_id": 9, "repository_id": 5}, "documents": [], "usages": []}]})
CLEAR = ("/api/sync/repository-clear", {"repository_id": 5})
CHANGES = (UPSERT, TASK, PACKS, CLEAR)
NO_ROWS = """
create function sync_assets.no_rows() returns trigger language plpgsql as $$ begin raise exception 'full'; end $$;
create trigger no_rows before insert on sync_assets.gateway_audit for each row when (new.action like 'POST%')
    execute function sync_assets.no_rows();
"""


def rows(gateway: Gateway) -> list[tuple[Any, ...]]:
    """Those of calls, oldest first: action, outcome, and how many rows ago that began which it ends."""
    return gateway.rows(
        "select action, outcome, number - ends from sync_assets.gateway_audit where action like 'POST%' order by number"
    )


def send(http: httpx.Client, call: tuple[str, Any], **headers: str) -> httpx.Response:
    return http.post(call[0], json=call[1], headers={"X-Sync-Origin": "other", **headers})


def test_a_change_has_a_row_from_the_change_on_and_people_see_its_outcome(gateway: Gateway) -> None:
    with gateway.client("write") as http:
        assert send(http, UPSERT, **{"X-Request-Id": "r" * 12}).status_code == 200
    said = f"POST {UPSERT[0]}"
    assert rows(gateway) == [(said, "begun", None), (said, "200", 1)]
    shown = gateway.rows("select action, outcome, request_id from sync_assets.audit where action like 'POST%'")
    assert shown == [(said, "200", "r" * 12)]


def test_what_changes_nothing_has_one_row_and_what_is_refused_before_it_could_has_none(gateway: Gateway) -> None:
    with gateway.client("write") as http:
        send(http, UPSERT)
        before = len(rows(gateway))
        assert send(http, ("/api/sync/packs", {"packs": []})).status_code == 200
        assert rows(gateway)[before:] == [("POST /api/sync/packs", "200", None)]
        for call, status in ((("/api/sync/task-create", {}), 400), (("/api/sync/link", {"repository_id": 6}), 404),
                             (("/api/sync/nothing", {}), 404)):  # fmt: skip
            assert send(http, call).status_code == status
        assert len(rows(gateway)) == before + 1
        assert send(http, CLEAR).status_code == 403
        assert rows(gateway)[before + 1 :] == [(f"POST {CLEAR[0]}", "403", None)]


@pytest.mark.parametrize("call", CHANGES, ids=lambda call: call[0].rpartition("/")[2])
def test_without_a_row_there_is_no_change(gateway: Gateway, call: tuple[str, Any]) -> None:
    with gateway.client("write", "clear") as http:
        for made in () if call is UPSERT else (UPSERT,) if call is not CLEAR else (UPSERT, TASK):
            assert send(http, made).status_code == 200
        with psycopg.connect(**gateway.address.arguments(), autocommit=True) as connection:
            connection.execute(NO_ROWS.encode())
        before = gateway.dump()
        answer = send(http, call)
    assert (answer.status_code, answer.headers.get("retry-after")) == (503, "60")
    assert "full" not in answer.text
    assert gateway.dump() == before


# -- kill -9


@pytest.mark.parametrize("point", GATEWAY_POINTS)
@pytest.mark.parametrize("call", CHANGES, ids=lambda call: call[0].rpartition("/")[2])
def test_a_gateway_that_is_killed_before_it_answers_has_told_of_the_change(
    gateway_process: GatewayProcess, call: tuple[str, Any], point: str
) -> None:
    gateway = gateway_process.gateway
    with gateway.client("write", "clear") as http:
        for made in () if call is UPSERT else (UPSERT,) if call is not CLEAR else (UPSERT, TASK):
            assert send(http, made).status_code == 200
        gateway_process.stop()
        before, told = gateway.dump(), len(rows(gateway))
        gateway_process.start(SYNC_ASSETS_FAULT=f"{point}=kill")
        with pytest.raises(httpx.TransportError):
            send(http, call)
    assert gateway_process.process is not None and gateway_process.process.wait(30) == -9
    assert gateway.dump() != before, "the change was made"
    said = f"POST {call[0]}"
    assert rows(gateway)[told:] == [(said, "begun", None), *([(said, "200", 1)] if point == "gateway_noted" else [])]
    [newest] = gateway.rows("select outcome from sync_assets.audit where action like 'POST%' limit 1")
    assert newest == ("200" if point == "gateway_noted" else "begun",)


def test_killed_in_the_midst_of_many_calls_it_leaves_a_row_for_each_change_and_no_other(
    gateway_process: GatewayProcess,
) -> None:
    gateway = gateway_process.gateway
    key = gateway.key("write")

    def call(numbers: range) -> None:
        with gateway.client(key=key) as http, suppress(httpx.TransportError):
            for number in numbers:
                send(http, (UPSERT[0], {"repository_id": number, "name": "x"}), **{"X-Request-Id": f"call-{number:08}"})

    callers = [threading.Thread(target=call, args=(range(n * 10_000 + 1, (n + 1) * 10_000),)) for n in range(4)]
    for caller in callers:
        caller.start()
    while len(rows(gateway)) < 60:
        time.sleep(0.01)
    gateway_process.kill()
    for caller in callers:
        caller.join(30)
    made = gateway.rows("select origin_id from sync_assets.exchange_map where entity = 'repository' order by 1")
    begun = "select right(request_id, 8)::bigint from sync_assets.gateway_audit where outcome = 'begun' order by 1"
    assert len(made) >= 20
    assert gateway.rows(begun) == made
    shown = gateway.rows("select request_id from sync_assets.audit where action like 'POST%'")
    assert len(shown) == len(set(shown)) == len(made), "people see one line for each"
