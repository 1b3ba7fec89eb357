"""The client against the emulator: bases, boards, lost answers, expired tokens, storms, pages that shrink."""

from __future__ import annotations

import threading
import time
import uuid

import pytest

from sync_assets.engine.errors import BadBatch, Gone, Retry, Stop, TooLarge, Unclear
from sync_assets.feishu.bitable import Base, open_base
from sync_assets.feishu.client import FeishuClient
from sync_assets.feishu.link import parse_link
from sync_assets.feishu.shared import close_shared, shared_client
from sync_assets.feishu.wire import encode

FIELDS = [
    {"field_name": "编号", "type": 1},
    {"field_name": "amount", "type": 2, "property": {"formatter": "0.00"}},
    {"field_name": "when", "type": 5},
]


class FastClock:
    """Runs a hundred times as fast as time does, for waiting as for looking at it."""

    def __init__(self) -> None:
        self.asked = 0.0

    def __call__(self) -> float:
        return time.monotonic() * 100

    def sleep(self, seconds: float) -> None:
        self.asked += seconds
        time.sleep(seconds / 100)


def connect(bitable, clock=None, **options):
    clock = clock or FastClock()
    secret = bitable.app_secret
    return FeishuClient(
        bitable.app_id, lambda: secret, bitable.url, clock=clock, sleep=clock.sleep, rate_factor=0, timeout=5, **options
    )


@pytest.fixture
def client(bitable):
    with connect(bitable) as client:
        yield client


@pytest.fixture
def base(bitable, client):
    return Base(client, bitable.make_base("店铺", time_zone="Asia/Tokyo"))


@pytest.fixture
def board(base):
    return base.table(base.create_table("订单", FIELDS))


def body(rows):
    return encode({"records": [{"fields": row} for row in rows]})


def create(board, rows, token=None):
    return board.batch_create(body(rows), token or str(uuid.uuid4()))


def scan(board, names=None, **options):
    return [item for page in board.search(names, **options) for item in page.items]


def numbered(n, start=0):
    return [{"编号": f"A{i:05}", "amount": i} for i in range(start, start + n)]


# -- the plain way ----------------------------------------------------------------------------------------------


def test_a_base_its_tables_and_fields(bitable, base, board):
    assert base.info()["name"] == "店铺" and base.info()["time_zone"] == "Asia/Tokyo"
    assert [(t.id, t.name) for t in base.tables()] == [(board.table_id, "订单")]
    number = board.create_field({"field_name": "新", "type": 2})
    fields = board.fields()
    assert [f.name for f in fields] == ["编号", "amount", "when", "新"]
    assert fields[0].is_primary and fields[0].type == 1 and fields[0].ui_type == "Text"
    assert fields[1].property == {"formatter": "0.00"}
    assert fields[3] == number


def test_records_there_and_back(board):
    made = create(board, numbered(3))
    assert [r["fields"]["编号"] for r in made] == ["A00000", "A00001", "A00002"]
    updated = board.batch_update([{"record_id": made[1]["record_id"], "fields": {"amount": None, "编号": "🐟"}}])
    assert updated[0]["record_id"] == made[1]["record_id"]
    assert board.batch_delete([made[0]["record_id"]]) == [made[0]["record_id"]]
    items = scan(board, ["编号", "amount"])
    assert [i["record_id"] for i in items] == [made[1]["record_id"], made[2]["record_id"]]
    assert "amount" not in items[0]["fields"] and items[1]["fields"]["amount"] == 2


def test_a_scan_asks_for_pages_of_500_and_named_fields_only(bitable, board):
    for start in range(0, 1200, 600):
        create(board, numbered(600, start))
    bitable.reset_calls()
    pages = list(board.search(["编号"]))
    assert [len(p.items) for p in pages] == [500, 500, 200]
    assert {p.total for p in pages} == {1200}
    assert set(pages[0].items[0]["fields"]) == {"编号"}
    assert bitable.count() == bitable.count("search") == 3


def test_an_empty_board_is_one_call_and_one_empty_page(bitable, board):
    bitable.reset_calls()
    assert [(p.items, p.total) for p in board.search()] == [([], 0)]
    assert bitable.count() == 1


def test_more_than_200_names_are_not_named(board):
    create(board, numbered(1))
    assert scan(board, ["编号", *(f"f{i}" for i in range(200))])[0]["fields"]["编号"]


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(bitable, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with connect(bitable, attempts=1) as client:
        client.login()


def test_links_lead_to_the_base_directly_and_through_the_wiki(bitable, client, base):
    assert open_base(client, parse_link(bitable.link(base.app_token))).app_token == base.app_token
    node = bitable.make_node(base.app_token)
    assert open_base(client, parse_link(f"{bitable.url}/wiki/{node}")).app_token == base.app_token
    sheet = bitable.make_node("shtcn1", "sheet")
    with pytest.raises(Stop, match="no base but a sheet"):
        open_base(client, parse_link(f"{bitable.url}/wiki/{sheet}"))


def test_a_link_of_the_other_country_is_refused():
    with FeishuClient("cli_x", lambda: "s", "https://open.feishu.cn") as client, pytest.raises(Stop, match="larksuite"):
        open_base(client, parse_link("https://acme.larksuite.com/base/bascnA1"))


# -- refusals ---------------------------------------------------------------------------------------------------


def test_a_bad_cell_names_its_field_and_never_its_value(board):
    with pytest.raises(BadBatch) as caught:
        create(board, [{"编号": "x", "amount": 1}, {"编号": "y", "amount": "十三 VALUE"}])
    assert caught.value.field == "amount"
    assert "VALUE" not in str(caught.value) and board.table_id in str(caught.value)
    assert scan(board) == []


def test_deleted_records_are_told(bitable, board):
    made = create(board, numbered(2))
    gone = made[0]["record_id"]
    bitable.delete_rows(board.app_token, board.table_id, [gone])
    for write in (
        lambda: board.batch_update([{"record_id": m["record_id"], "fields": {"amount": 9}} for m in made]),
        lambda: board.batch_delete([m["record_id"] for m in made]),
    ):
        with pytest.raises(Gone) as caught:
            write()
        assert caught.value.ids == (gone,)
    assert len(scan(board)) == 1


def test_too_many_rows_too_many_bytes_and_a_full_table(bitable, board):
    bitable.configure(batch_rows=500, row_limit=600)
    with pytest.raises(TooLarge):
        create(board, numbered(501))
    create(board, numbered(500))
    with pytest.raises(Stop) as caught:
        create(board, numbered(101))
    assert caught.value.code == "1254103" and "20,000" in str(caught.value)
    bitable.configure(body_bytes=1000)
    with pytest.raises(TooLarge):
        create(board, numbered(50))


# -- trouble ----------------------------------------------------------------------------------------------------


def test_a_hundred_answers_lost_after_the_write_double_nothing(bitable, board):
    bitable.fault("cut", "batch_create", applied=True, times=100, probability=0.7)
    for start in range(0, 1000, 10):
        assert len(create(board, numbered(10, start))) == 10
    assert bitable.struck() == [100]
    texts = [row["编号"] for row in bitable.rows(board.app_token, board.table_id).values()]
    assert sorted(texts) == [f"A{i:05}" for i in range(1000)]
    assert board.client.stats.retries == 100


def test_cut_and_reset_at_every_kind_of_write(bitable, board):
    for kind in ("cut", "reset"):
        for applied in (True, False):
            for endpoint in ("batch_create", "batch_update", "fields_create"):
                bitable.fault(kind, endpoint, applied=applied)
            made = create(board, numbered(2))
            board.batch_update([{"record_id": m["record_id"], "fields": {"amount": 77}} for m in made])
            board.create_field({"field_name": f"{kind} {applied}", "type": 1})
            assert set(bitable.struck()) == {1}
            bitable.clear_faults()
    rows = bitable.rows(board.app_token, board.table_id)
    assert [r["amount"] for r in rows.values()] == [77] * 8
    assert len(board.fields()) == 3 + 4


def test_a_delete_whose_answer_was_lost_finds_its_records_gone(bitable, board):
    made = create(board, numbered(2))
    bitable.fault("cut", "batch_delete", applied=True)
    with pytest.raises(Gone):
        board.batch_delete([m["record_id"] for m in made])
    assert scan(board) == []


@pytest.mark.parametrize("applied", [True, False])
def test_a_table_whose_answer_was_lost_is_looked_for(bitable, base, applied):
    bitable.fault("cut", "tables_create", applied=applied)
    if applied:
        table_id = base.create_table("订单", FIELDS)
        assert [t.id for t in base.tables()] == [table_id]
    else:
        with pytest.raises(Retry) as caught:
            base.create_table("订单", FIELDS)
        assert not isinstance(caught.value, Unclear)
        assert base.tables() == []
    assert bitable.count("tables_create") == 1


def test_tokens_that_expire_in_mid_run_are_renewed(bitable, board):
    for start in range(0, 50, 10):
        bitable.expire_tokens()
        create(board, numbered(10, start))
    bitable.reset_calls()
    bitable.expire_tokens()
    assert len(scan(board)) == 50
    assert bitable.count("token") == 1


def test_a_storm_loses_and_doubles_nothing(bitable, board):
    bitable.fault("code", code=99991400, times=None, probability=0.30)
    bitable.fault("http", status=502, times=None, probability=0.29)  # 20 % of all, after the first third
    bitable.fault("reset", applied=True, times=None, probability=0.10)
    for start in range(0, 2000, 100):
        create(board, numbered(100, start))
    assert len({i["fields"]["编号"][0]["text"] for i in scan(board, ["编号"])}) == 2000
    bitable.clear_faults()
    assert len(bitable.rows(board.app_token, board.table_id)) == 2000


def test_a_server_that_stays_away_ends_the_run_within_its_budget(bitable):
    clock = FastClock()
    bitable.fault("http", status=503, times=None)
    with connect(bitable, clock, budget=20.0, jitter=lambda: 1.0) as client:
        for _ in range(3):
            with pytest.raises(Retry):
                Base(client, "bascn1").info()
    assert clock.asked <= 20.0


def test_competing_writers_are_waited_for(bitable, board):
    bitable.configure(write_seconds=0.05)
    other = connect(bitable)
    theirs = Base(other, board.app_token).table(board.table_id)
    threads = [
        threading.Thread(target=lambda b=b, s=s: [create(b, numbered(5, s + i * 5)) for i in range(6)])
        for b, s in ((board, 0), (theirs, 500))
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    other.close()
    codes = bitable.calls()["batch_create"]["codes"]
    assert int(codes.get("1254291", 0)) > 0
    assert len(bitable.rows(board.app_token, board.table_id)) == 60


@pytest.mark.parametrize("code", [1254607, 1254002, 1255040])
def test_passing_trouble_shrinks_one_page_only(bitable, board, code):
    for start in range(0, 2000, 1000):
        create(board, numbered(1000, start))
    bitable.fault("code", "search", code=code, times=5, skip=1)
    pages = list(board.search(["编号"]))
    assert sum(len(p.items) for p in pages) == 2000
    assert [len(p.items) for p in pages] == [500, 250, 500, 500, 250]


def test_pages_that_are_too_large_shrink_all_that_follow(bitable, board):
    create(board, [{"编号": "字" * 300} for _ in range(1000)])
    bitable.configure(page_bytes=50_000)
    pages = list(board.search(["编号"]))
    assert sum(len(p.items) for p in pages) == 1000
    assert max(len(p.items) for p in pages) <= 125
    bitable.reset_calls()
    assert len(scan(board, ["编号"])) == 1000
    assert bitable.count("search") == len(pages)


def test_limits_are_kept_without_a_single_429(bitable):
    bitable.reset(rate_factor=1)
    base_token = bitable.make_base("b", [{"name": "t", "fields": FIELDS}])
    with FeishuClient(bitable.app_id, lambda: bitable.app_secret, bitable.url) as client:
        base = Base(client, base_token)
        for _ in range(30):
            base.tables()
    assert "99991400" not in bitable.calls()["tables_list"]["codes"]


# -- one line per process ---------------------------------------------------------------------------------------


def test_shared_clients_share_token_and_pacing_but_not_budgets(bitable):
    base_token = bitable.make_base("b")
    bitable.reset_calls()
    clients = [shared_client(bitable.app_id, lambda: bitable.app_secret, bitable.url) for _ in range(3)]
    try:
        for client in clients:
            with client:
                Base(client, base_token).info()
        assert bitable.count("token") == 1
        assert len({id(c.pacer) for c in clients}) == 1
        assert [c.stats.requests for c in clients] == [2, 1, 1]
    finally:
        close_shared()
