"""How many requests a run costs: counted by the emulator, held to the least possible (bitable.md 4.1)."""

from __future__ import annotations

import math
from typing import Any

import pytest

from sync_assets.engine.model import Mode
from sync_assets.testing.bitable import Emulator
from sync_assets_tests.fix_servers import ScratchDatabase
from sync_assets_tests.integration.test_values import Sync

ROWS = 10_000
FIELDS: list[dict[str, Any]] = [
    {"field_name": "id", "type": 2},
    {"field_name": "name", "type": 1},
    {"field_name": "amount", "type": 2, "property": {"formatter": "0.00"}},
    {"field_name": "note", "type": 1},
]


def fill(database: ScratchDatabase, rows: int = ROWS) -> None:
    decimal = "decimal(12,2)" if database.kind == "mysql" else "numeric(12,2)"
    charset = " character set utf8mb4" if database.kind == "mysql" else ""
    series = f"generate_series(1, {rows}) as s(i)"
    if database.kind == "mysql":
        series = f"(select seq as i from seq_1_to_{rows}) as s"
    database.execute(
        f"create table v (id int primary key, name varchar(40), amount {decimal}, note text){charset}",
        f"insert into v select i, concat('订单 ', i), i * 1.25, case when i % 3 = 0 then 'x' end from {series}",
    )


def loaded(database: ScratchDatabase, emulator: Emulator, rows: int = ROWS) -> Sync:
    """A board that is in step with its source, in a table that had its fields before."""
    fill(database, rows)
    sync = Sync(database, emulator)
    sync.table_id = emulator.make_table(sync.app_token, "orders", FIELDS)
    assert sync.run().counts.created == rows
    return sync


def calls(emulator: Emulator) -> dict[str, int]:
    return {name: c["calls"] for name, c in emulator.calls().items()}


def test_first_load_into_an_empty_table(server_db: ScratchDatabase, bitable: Emulator) -> None:
    loaded(server_db, bitable)
    assert calls(bitable) == {"token": 1, "fields_list": 1, "search": 1, "batch_create": ROWS // 500}
    assert bitable.count() <= 24


def test_first_load_with_the_table_made_by_its_name(server_db: ScratchDatabase, bitable: Emulator) -> None:
    fill(server_db)
    sync = Sync(server_db, bitable)
    assert sync.run().counts.created == ROWS
    assert bitable.count("tables_create") == 1
    assert bitable.count() <= 24, calls(bitable)


@pytest.mark.parametrize("mode", [Mode.FULL, Mode.INCREMENTAL, Mode.OVERWRITE, Mode.CLONE])
def test_a_second_run_writes_nothing_and_reads_each_page_once(
    pg_db: ScratchDatabase, bitable: Emulator, mode: Mode
) -> None:
    sync = loaded(pg_db, bitable)
    report = sync.run(mode)
    assert report.counts.unchanged == ROWS
    assert calls(bitable) == {"token": 1, "fields_list": 1, "search": math.ceil(ROWS / 500)}
    assert report.requests == bitable.count()


@pytest.mark.parametrize("every", [100, 7])
def test_only_what_changed_is_sent(server_db: ScratchDatabase, bitable: Emulator, every: int) -> None:
    sync = loaded(server_db, bitable)
    server_db.execute(f"update v set amount = amount + 1, note = null where id % {every} = 0")
    changed = {i for i in range(1, ROWS + 1) if i % every == 0}
    noted = {i for i in changed if i % 3 == 0}

    report = sync.run()

    assert report.counts.updated == len(changed)
    assert calls(bitable)["batch_update"] == math.ceil(len(changed) / 500)
    assert sync.writes() == calls(bitable)["batch_update"]
    sent = [c for c in bitable.log() if c["endpoint"] == "batch_update"]
    assert sum(c["rows"] for c in sent) == len(changed), "exactly those records"
    assert sum(c["cells"] for c in sent) == len(changed) + len(noted), "only their fields that changed"
    assert {name for c in sent for name in c["fields"]} == {"amount", "note"}
    held = {int(r["id"]): r for r in bitable.rows(sync.app_token, sync.table).values()}
    assert {i for i, r in held.items() if r["amount"] == i * 1.25 + 1} == changed
    assert {i for i, r in held.items() if "note" in r} == {i for i in held if i % 3 == 0} - noted


def test_deleted_rows_go_in_batches_and_records_keep_their_ids(pg_db: ScratchDatabase, bitable: Emulator) -> None:
    sync = loaded(pg_db, bitable)
    before = {int(r["id"]): key for key, r in bitable.rows(sync.app_token, sync.table).items()}
    pg_db.execute("delete from v where id % 10 = 0", "update v set name = 'new' where id = 1")
    report = sync.run(Mode.CLONE)
    assert (report.counts.deleted, report.counts.updated) == (1000, 1)
    assert (calls(bitable)["batch_delete"], calls(bitable)["batch_update"]) == (2, 1)
    after = {int(r["id"]): key for key, r in bitable.rows(sync.app_token, sync.table).items()}
    assert after == {i: key for i, key in before.items() if i % 10}


def test_columns_that_nobody_mapped_are_not_asked_for(pg_db: ScratchDatabase, bitable: Emulator) -> None:
    sync = loaded(pg_db, bitable, 1000)
    sync.run()
    lean = bitable.calls()["search"]["bytes_out"]
    other = bitable.make_table(sync.app_token, "wide", [*FIELDS, {"field_name": "theirs", "type": 1}])
    bitable.put_rows(
        sync.app_token,
        other,
        [{**r, "theirs": "x" * 1000} for r in bitable.rows(sync.app_token, sync.table).values()],
    )
    sync.table_id, sync.store = other, type(sync.store)()
    assert sync.run().counts.unchanged == 1000
    assert bitable.calls()["search"]["bytes_out"] == lean
