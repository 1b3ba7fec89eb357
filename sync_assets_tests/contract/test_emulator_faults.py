"""Trouble on demand, limits, conflicts and idempotency: what hardens a client must be really there."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from sync_assets.testing.bitable import Config, Emulator
from sync_assets.testing.bitable.app import create_app
from sync_assets_tests.fix_emulator import Bare, Board

ROW = {"records": [{"fields": {"number": 1}}]}
CREATE = "/records/batch_create"
SEARCH = "/records/search"


# -- faults -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (91403, 200), (1254002, 200), (1254030, 200), (1254036, 400), (1254290, 200), (1254291, 200), (1254607, 400),
        (1255001, 200), (1255040, 504), (99991400, 429), (99991403, 200), (99991663, 400),
    ],
)  # fmt: skip
def test_any_code_with_its_status(board: Board, code: int, status: int) -> None:
    board.emulator.fault(endpoint="batch_create", code=code)
    assert board.bare.refused("POST", CREATE, ROW) == (code, status)
    assert board.rows() == {}
    board.bare.data("POST", CREATE, ROW)


def test_a_code_with_another_status_and_the_time_to_wait(board: Board) -> None:
    board.emulator.fault(endpoint="search", code=99991400, status=400, seconds=7)
    answer = board.bare.send("POST", SEARCH, {})
    assert answer.status_code == 400
    assert answer.headers["x-ogw-ratelimit-reset"] == "7"
    assert int(answer.headers["x-ogw-ratelimit-limit"]) > 0


def test_an_error_that_comes_after_the_write_was_applied(board: Board) -> None:
    board.emulator.fault(endpoint="batch_create", code=1255040, applied=True)
    assert board.bare.refused("POST", CREATE, ROW) == (1255040, 504)
    assert len(board.rows()) == 1


@pytest.mark.parametrize("status", [500, 502])
def test_a_gateway_that_answers_no_json(board: Board, status: int) -> None:
    board.emulator.fault("http", "search", status=status)
    answer = board.bare.send("POST", SEARCH, {})
    assert answer.status_code == status
    with pytest.raises(ValueError):
        answer.json()


@pytest.mark.parametrize("applied", [False, True])
@pytest.mark.parametrize(("kind", "error"), [("cut", httpx.RemoteProtocolError), ("reset", httpx.ReadError)])
def test_a_connection_cut_before_and_after_the_write(
    board: Board, kind: Any, error: type[Exception], applied: bool
) -> None:
    board.emulator.fault(kind, "batch_create", applied=applied)
    with pytest.raises(error):
        board.bare.send("POST", CREATE, ROW)
    assert len(board.rows()) == int(applied)
    assert board.emulator.calls()["batch_create"]["codes"] == {"cut": 1}
    board.bare.data("POST", CREATE, ROW)


def test_latency_outlasts_an_impatient_client(board: Board) -> None:
    board.emulator.fault("latency", "search", seconds=0.5)
    board.bare.http.timeout, patient = 0.1, board.bare.http.timeout
    with pytest.raises(httpx.ReadTimeout):
        board.bare.send("POST", SEARCH, {})
    board.bare.http.timeout = patient


def test_faults_keep_to_their_endpoint_and_number(board: Board) -> None:
    board.emulator.fault(endpoint="fields", times=2, skip=1)
    assert board.bare.data("POST", SEARCH, {})["total"] == 0
    codes = [board.bare.send("GET", "/fields").json()["code"] for _ in range(5)]
    assert codes == [0, 1254290, 1254290, 0, 0]
    assert board.emulator.struck() == [2]


def test_the_token_endpoint_and_webhooks_can_be_struck(bitable: Emulator, bare: Bare) -> None:
    bitable.fault(endpoint="token", code=1255001)
    assert bare.refused("POST", "/open-apis/auth/v3/tenant_access_token/internal", {})[0] == 1255001
    bitable.fault(endpoint="webhook", code=11232)
    hook = bitable.make_bot()
    assert httpx.post(hook, json={"msg_type": "text", "content": {"text": "a"}}).json()["code"] == 11232


def test_a_storm_has_the_shares_asked_for_and_the_seed_repeats_it(emulator: Emulator, board: Board) -> None:
    def storm() -> list[int]:
        for code, share in ((99991400, 0.3), (1255001, 0.2), (1254607, 0.05)):
            emulator.fault(endpoint="search", code=code, times=None, probability=share)
        codes = [board.bare.send("POST", SEARCH, {}).json()["code"] for _ in range(400)]
        emulator.clear_faults()
        return codes

    emulator.reset(seed=7)
    bare = board.bare
    bare.log_in(emulator.app_id, emulator.app_secret)
    first = storm()
    assert 0.22 < first.count(99991400) / 400 < 0.38
    assert 0.13 < first.count(1255001) / 400 < 0.27
    assert 0.01 < first.count(1254607) / 400 < 0.11
    emulator.reset(seed=7)
    bare.log_in(emulator.app_id, emulator.app_secret)
    assert storm() == first


# -- limits, conflicts ------------------------------------------------------------------------------------------


def test_the_documented_rate_is_held_and_headers_say_when_to_come_back(board: Board) -> None:
    board.emulator.configure(rate_factor=0.05)  # one search a second
    assert board.bare.data("POST", SEARCH, {})["total"] == 0
    answer = board.bare.send("POST", SEARCH, {})
    assert (answer.status_code, answer.json()["code"]) == (429, 99991400)
    assert answer.headers["x-ogw-ratelimit-limit"] == "1"
    assert answer.headers["x-ogw-ratelimit-reset"] == "1"
    assert board.bare.data("GET", "/fields")["total"] == 17, "each endpoint has a bucket of its own"


def test_overlapping_writes_of_one_table_conflict(board: Board) -> None:
    board.emulator.configure(write_seconds=0.3)
    elsewhere = Bare(board.bare.http, board.bare.prefix.replace(board.table_id, "{}"), board.bare.token)
    elsewhere.prefix = elsewhere.prefix.format(
        board.emulator.make_table(board.app_token, "other", [{"field_name": "number", "type": 2}])
    )
    with ThreadPoolExecutor(4) as pool:
        same = [pool.submit(board.bare.send, "POST", CREATE, ROW) for _ in range(3)]
        other = pool.submit(elsewhere.send, "POST", CREATE, ROW)
        codes = sorted(f.result().json()["code"] for f in same)
    assert codes == [0, 1254291, 1254291]
    assert other.result().json()["code"] == 0
    board.emulator.configure(write_seconds=0)
    assert len(board.rows()) == 1
    board.bare.data("POST", CREATE, ROW)


# -- client_token -----------------------------------------------------------------------------------------------


def test_a_lost_answer_is_not_doubled_by_a_repeat_with_the_same_token(board: Board) -> None:
    token = str(uuid.uuid4())
    board.emulator.fault("cut", "batch_create", applied=True)
    with pytest.raises(httpx.TransportError):
        board.bare.send("POST", CREATE, ROW, client_token=token)
    again = board.bare.data("POST", CREATE, ROW, client_token=token)
    assert list(board.rows()) == [r["record_id"] for r in again["records"]]
    board.emulator.forget_client_tokens()
    board.bare.data("POST", CREATE, ROW, client_token=token)
    assert len(board.rows()) == 2


@pytest.mark.parametrize("token", ["1", str(uuid.uuid1()), uuid.uuid4().hex], ids=["word", "version 1", "no hyphens"])
def test_a_client_token_is_a_uuid4(board: Board, token: str) -> None:
    assert board.bare.refused("POST", CREATE, ROW, client_token=token) == (1254037, 400)


def test_the_same_token_for_something_else_conflicts(board: Board) -> None:
    token = str(uuid.uuid4())
    board.bare.data("POST", CREATE, ROW, client_token=token)
    other = {"records": [{"fields": {"number": 2}}]}
    assert board.bare.refused("POST", CREATE, other, client_token=token) == (1255006, 400)
    assert len(board.rows()) == 1


def test_a_refused_write_leaves_its_token_free(board: Board) -> None:
    token = str(uuid.uuid4())
    bad = {"records": [{"fields": {"number": "x"}}]}
    assert board.bare.refused("POST", CREATE, bad, client_token=token)[0] == 1254061
    board.bare.data("POST", CREATE, ROW, client_token=token)


def test_the_same_token_while_the_first_is_under_way(board: Board) -> None:
    board.emulator.configure(write_seconds=0.3)
    token = str(uuid.uuid4())
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(board.bare.send, "POST", CREATE, ROW, client_token=token) for _ in range(2)]
        codes = sorted(f.result().json()["code"] for f in both)
    assert codes == [0, 1254608]


def test_a_token_is_forgotten_after_its_lifetime(board: Board) -> None:
    board.emulator.configure(client_token_seconds=0)
    token = str(uuid.uuid4())
    for _ in range(2):
        board.bare.data("POST", CREATE, ROW, client_token=token)
    assert len(board.rows()) == 2


def test_a_field_is_made_once_under_one_token(board: Board) -> None:
    token, spec = str(uuid.uuid4()), {"field_name": "new", "type": 1}
    first, again = (board.bare.data("POST", "/fields", spec, client_token=token)["field"] for _ in range(2))
    assert first == again


# -- counting ---------------------------------------------------------------------------------------------------


def test_calls_and_bytes_are_counted(board: Board) -> None:
    board.emulator.reset_calls()
    token = str(uuid.uuid4())
    rows = {"records": [{"fields": {"number": 1, "文本": "a"}}, {"fields": {"number": 2}}]}
    answer = board.bare.send("POST", CREATE, rows, client_token=token)
    board.bare.send("POST", CREATE, {"records": [{"fields": {"none": 1}}]})
    assert board.emulator.calls() == {
        "batch_create": {
            "calls": 2,
            "bytes_in": len(json.dumps(rows)) + len(json.dumps({"records": [{"fields": {"none": 1}}]})),
            "bytes_out": board.emulator.calls()["batch_create"]["bytes_out"],
            "codes": {"0": 1, "1254045": 1},
        }
    }
    assert board.emulator.calls()["batch_create"]["bytes_out"] > len(answer.content)
    assert board.emulator.count() == board.emulator.count("batch_create") == 2
    noted = board.emulator.log()[0]
    assert (noted["rows"], noted["cells"], noted["fields"]) == (2, 3, ["number", "文本"])
    assert noted["client_token"] == token


# -- the process ------------------------------------------------------------------------------------------------


FIELDS = [{"field_name": "id", "type": 1}, {"field_name": "a", "type": 3}]


def test_boards_survive_a_restart(tmp_path: Any) -> None:
    state = tmp_path / "boards.json"
    with Emulator.start(Config(rate_factor=0), state=state) as first:
        base = first.make_base("店铺", [{"name": "t", "fields": FIELDS}])
        table = first.describe(base)["tables"][0]["table_id"]
        node = first.make_node(base)
        ids = first.put_rows(base, table, [{"a": "选"}, {"a": None}])
        app = first.app_id, first.app_secret
    assert state.stat().st_mode & 0o777 == 0o600
    with Emulator.start(Config(rate_factor=0), state=state) as second:
        assert (second.app_id, second.app_secret) == app
        assert second.rows(base, table) == {ids[0]: {"a": "选"}, ids[1]: {}}
        assert httpx.get(f"{second.url}/wiki/{node}").status_code == 200
        assert second.put_rows(base, table, [{"a": "选"}])
        assert len(second.fields(base, table)[1]["property"]["options"]) == 1


def test_control_is_closed_unless_asked_for() -> None:
    async def status(control_open: bool) -> int:
        transport = httpx.ASGITransport(create_app(control_open=control_open))
        async with httpx.AsyncClient(transport=transport, base_url="http://emulator") as http:
            return (await http.post("/_emulator/about", json={})).status_code

    assert asyncio.run(status(True)) == 200
    assert asyncio.run(status(False)) == 404


def test_it_ends_with_the_process_that_started_it() -> None:
    start = "import os; from sync_assets.testing.bitable import Emulator"
    script = f"{start}; print(Emulator.start().url, flush=True); os._exit(9)"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    url = told.stdout.strip()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            httpx.get(url)
        except httpx.ConnectError:
            return
        except httpx.TransportError:
            pass  # it is just going, and the answer with it
        time.sleep(0.05)
    pytest.fail("the emulator outlived its parent")
