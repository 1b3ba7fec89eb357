"""The control database itself: migrations, constraints, broken connections, the fence under real concurrency."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from sync_assets.engine.control import JournalEntry, SyncState
from sync_assets.engine.errors import Fenced, Retry, Stop
from sync_assets.engine.model import Rejected
from sync_assets.store import migrations
from sync_assets.store.address import Address
from sync_assets.store.control import PostgresStore, open_store

TABLES = {
    "lease",
    "journal",
    "sync_state",
    "reject",
    "incident",
    "run",
    "alembic_version",
    "deployment",
    "vault_key",
    "secret",
    *(f"fleet_{name}" for name in (
        "instance", "span", "snapshot", "section", "principal", "membership", "grant", "change", "capacity",
        "database_size", "table_size", "gap", "period", "forecast", "rules", "assignment", "undecided",
        "classified",
    )),
    *(f"exchange_{name}" for name in (
        "repository", "task", "document", "usage", "map", "replacing", "sync", "unit", "export", "export_pack",
    )),
    *(f"gateway_{name}" for name in ("key", "user", "refresh", "audit", "origin", "nonce")),
}  # fmt: skip
VIEWS = {
    "exchange_syncs", "gateway_keys", "audit",
    "runs", "open_incidents", "rejected_rows", "held_leases", "unanswered_creates", "stored_secrets", "sessions",
    *(f"fleet_{name}" for name in ("instances", "accounts", "grants", "changes", "gaps", "capacity_daily", "classes",
                                  "hints")),
}  # fmt: skip


def query(address: Address, text: str, *values: object) -> list[tuple[object, ...]]:
    with psycopg.connect(**address.arguments()) as connection:
        cursor = connection.execute(text, values or None)
        return cursor.fetchall() if cursor.description else []


def test_all_revisions_make_the_expected_tables(store: PostgresStore, control_database: Address) -> None:
    found = query(
        control_database, "select relname, relkind from pg_class where relnamespace = 'sync_assets'::regnamespace"
    )
    assert {name for name, kind in found if kind in ("r", b"r")} == TABLES
    assert {name for name, kind in found if kind in ("v", b"v")} == VIEWS
    assert store.revision() == migrations.known()[-1]


def test_a_second_start_does_not_load_alembic(store: PostgresStore, control_database: Address) -> None:
    code = (
        "import sys; from sync_assets.store.address import control_address;"
        "from sync_assets.store.control import open_store; open_store().close();"
        "print([m for m in ('alembic', 'sqlalchemy', 'dagster', 'psutil') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(control_database), capture_output=True)
    assert (done.returncode, done.stdout.decode().strip()) == (0, "[]"), done.stderr.decode()


def environment(address: Address) -> dict[str, str]:
    assert address.password is not None
    return {
        **os.environ,
        "SYNC_ASSETS_PG_HOST": address.host,
        "SYNC_ASSETS_PG_USER": address.user,
        "SYNC_ASSETS_PG_PASSWORD": "env:THE_PASSWORD",
        "THE_PASSWORD": address.password.reveal(),
        "SYNC_ASSETS_PG_DB": address.database,
    }


def test_eight_processes_may_start_at_once(control_database: Address) -> None:
    """All are loaded and waiting before the first may begin: otherwise they would start one after the other."""
    code = (
        "import sys, alembic.command, sqlalchemy; from sync_assets.store.control import open_store;"
        "print('ready', flush=True); sys.stdin.readline(); s = open_store(); print(s.revision()); s.close()"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment(control_database),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(8)
    ]
    for process in processes:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    said = [process.communicate(timeout=60) for process in _told_to_go(processes)]
    assert [process.returncode for process in processes] == [0] * 8, said
    assert {out.strip() for out, _ in said} == {migrations.known()[-1]}


def _told_to_go(processes: list[subprocess.Popen[str]]) -> list[subprocess.Popen[str]]:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    return processes


def test_a_database_of_a_newer_version_is_left_alone(store: PostgresStore, control_database: Address) -> None:
    query(control_database, "update sync_assets.alembic_version set version_num = '9999'")
    with pytest.raises(Stop, match=r"revision 9999; this sync_assets knows .*upgrade this installation"):
        open_store(lambda: control_database)
    assert query(control_database, "select version_num from sync_assets.alembic_version") == [("9999",)]


def test_a_database_without_tables_says_so_unless_it_is_opened(control_database: Address) -> None:
    with PostgresStore(lambda: control_database) as bare:
        assert bare.revision() is None
        with pytest.raises(Stop, match="has no tables"):
            bare.state("orders")
        bare.prepare()
        assert bare.state("orders") == SyncState()


@pytest.mark.parametrize(
    "statement",
    [
        "insert into sync_assets.lease (name, token, seconds, until) values ('x', 0, 30, now())",
        "insert into sync_assets.lease (name, token, seconds, until) values ('x', 1, 0, now())",
        "insert into sync_assets.lease (name, owner, token, seconds, until) values ('x', '', 1, 30, now())",
        "update sync_assets.lease set token = token - 1",
        "insert into sync_assets.sync_state (sync, rows, finished_at) values ('x', -1, now())",
        "insert into sync_assets.journal (client_token, target, sync, keys, payload) values ('a','b','c','{}','')",
        "insert into sync_assets.incident (name, message) values ('orders', 'a second open one')",
        "insert into sync_assets.incident (name, message, closed_at) values ('x', 'y', now() - interval '1 day')",
        "insert into sync_assets.run (run_id, sync, outcome, report) values ('r', 's', 'ok', '[]')",
    ],
)
def test_the_tables_refuse_what_must_not_be(store: PostgresStore, control_database: Address, statement: str) -> None:
    store.acquire_lease("board", "a", 30)
    store.release_lease(store.acquire_lease("other", "a", 30))
    store.acquire_lease("other", "b", 30)
    store.open_incident("orders", "x")
    with pytest.raises(psycopg.errors.IntegrityError):
        query(control_database, statement)


def test_a_takeover_waits_for_the_write_that_was_fenced(store: PostgresStore, control_database: Address) -> None:
    """The old holder's transaction has passed its fence: the lease cannot change hands before it commits."""
    old = store.acquire_lease("board", "first", 30)
    query(control_database, "update sync_assets.lease set until = clock_timestamp() - interval '1 s'")
    taken = threading.Event()

    def take_over() -> None:
        store.acquire_lease("board", "second", 30)
        taken.set()

    thread = threading.Thread(target=take_over)
    with psycopg.connect(**control_database.arguments()) as writer:
        writer.execute(store_query("fence"), {"name": old.name, "token": old.token})
        thread.start()
        assert not taken.wait(0.5)
        writer.execute("insert into sync_assets.sync_state (sync, position, finished_at) values ('o', '1', now())")
    thread.join(10)
    assert taken.is_set()
    with pytest.raises(Fenced):
        store.save_state(old, "o", "", SyncState("0"))
    assert store.state("o").position == "1"


def store_query(name: str) -> str:
    from sync_assets.store import control

    return control._SQL[name]


def backends(address: Address) -> list[int]:
    text = "select pid from pg_stat_activity where datname = %s and application_name = 'sync_assets'"
    return [int(str(pid)) for (pid,) in query(address, text, address.database)]


def kill_backends(address: Address) -> None:
    for pid in backends(address):
        query(address, "select pg_terminate_backend(%s, 5000)", pid)


def test_a_broken_connection_is_opened_again(store: PostgresStore, control_database: Address) -> None:
    lease = store.acquire_lease("board", "me", 30)
    kill_backends(control_database)
    store.journal(lease, JournalEntry("a", "board", "orders", (), b"", datetime.now(UTC)))
    assert len(store.journal_open("board")) == 1


def test_each_thread_has_a_connection_and_dead_threads_have_none(
    store: PostgresStore, control_database: Address
) -> None:
    for _ in range(5):
        thread = threading.Thread(target=store.state, args=["orders"])
        thread.start()
        thread.join()
    thread = threading.Thread(target=store.state, args=["orders"])
    thread.start()
    thread.join()
    assert len(backends(control_database)) <= 2


def test_a_server_that_is_not_there_is_a_retry_without_secrets() -> None:
    from sync_assets.store.secrets import Secret

    nowhere = Address("127.0.0.1", 1, "me", "control", Secret("tell-nobody"))
    with PostgresStore(lambda: nowhere) as lost, pytest.raises(Retry) as trouble:
        lost.state("orders")
    assert "127.0.0.1:1/control" in str(trouble.value)
    assert "tell-nobody" not in str(trouble.value) + repr(nowhere)


def test_a_wrong_password_or_database_is_for_a_person(control_database: Address) -> None:
    from sync_assets.store.secrets import Secret

    stranger = replace(control_database, password=Secret("wrong-password"))
    with PostgresStore(lambda: stranger) as store, pytest.raises(Stop, match="refuses the login"):
        store.state("orders")
    elsewhere = replace(control_database, database="not_made_yet")
    with PostgresStore(lambda: elsewhere) as store, pytest.raises(Stop, match="createdb not_made_yet"):
        store.state("orders")


def test_named_sql_says_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    from sync_assets.store.sql import read_named

    file = tmp_path / "q.sql"
    file.write_text("-- one: what for\nselect 1\n  -- a remark\n\n-- two: what for\nselect 2\n")
    assert read_named(file) == {"one": "select 1\n  -- a remark", "two": "select 2"}
    file.write_text("select 1\n-- one: what for\nselect 1")
    with pytest.raises(ValueError, match="before the first name"):
        read_named(file)
    file.write_text("-- one: what for\nselect 1\n-- one: again\nselect 1")
    with pytest.raises(ValueError, match="used twice"):
        read_named(file)


def test_every_statement_is_used_and_every_used_statement_is_there() -> None:
    from sync_assets.store import control

    text = Path(control.__file__).read_text()
    assert not [name for name in control._SQL if f'"{name}"' not in text]


def test_people_see_what_goes_on(store: PostgresStore, control_database: Address) -> None:
    lease = store.acquire_lease("board", "me", 30)
    store.journal(lease, JournalEntry("t", "board", "orders", ("1", "2"), b"", datetime.now(UTC)))
    store.save_rejects("orders", [Rejected("1", "d", "amount", "c", "too long")], [])
    store.open_incident("orders", "board gone")
    store.record_run("r1", "orders", "", "failed", {"read": 3})
    views = "runs", "open_incidents", "rejected_rows", "held_leases", "unanswered_creates"
    assert [len(query(control_database, f"select * from sync_assets.{view}")) for view in views] == [1] * 5
    assert query(control_database, "select report ->> 'read' from sync_assets.runs") == [("3",)]
    store.close_incident("orders")
    store.release_lease(lease)
    assert query(control_database, "select * from sync_assets.open_incidents") == []
    assert query(control_database, "select * from sync_assets.held_leases") == []
