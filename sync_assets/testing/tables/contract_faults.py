# ruff: noqa: S101, S608 (tests)
"""Broken worlds: missing rights, killed and cut connections, lost answers. Tests over `lab` and `server_lab`."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from sync_assets.engine.errors import Fenced, Retry, Stop, SyncError
from sync_assets.engine.tables.reading import Form
from sync_assets.engine.tables.writing import Head
from sync_assets.testing.proxy import Proxy
from sync_assets.testing.tables.desk import Desk, desk, found
from sync_assets.testing.tables.lab import TableLab
from sync_assets.testing.tables.lines import lines


def test_missing_rights_are_named(server_lab: TableLab) -> None:
    lab = server_lab
    lab.make("t", {"id": "big not null", "t": "text", "n": "int"}, key=["id"])
    user, grants = f"poor_{lab.dialect}", [f"grant select on {lab.at('t')} to poor_{lab.dialect}"]
    lab.server.create_user(user, "pw", *grants, database=None if lab.dialect == "mysql" else _database(lab))
    try:
        target = lab.open(user=user, open_password=lambda: "pw")
        try:
            with pytest.raises(Stop, match=r"(?i)creat|grant|right") as caught:
                target.open_ledger()
            assert not isinstance(caught.value, Fenced)
            assert caught.value.hint
            with pytest.raises(Stop, match=r"(?i)creat|grant|right"):
                target.build([f"create table {lab.at('new')} (id int)"])
        finally:
            target.close()
        assert lab.execute(f"select count(*) from {lab.at('t')}") == [(0,)]
    finally:
        if lab.dialect == "postgres":
            lab.execute(f"drop owned by {user}")
        lab.server.drop_user(user)


def _database(lab: TableLab) -> str:
    return str(lab.execute("select current_database()")[0][0])


def test_a_missing_right_to_write_is_named(server_lab: TableLab) -> None:
    lab = server_lab
    lab.make("t", {"id": "big not null", "t": "text", "n": "int"}, key=["id"])
    with desk(lab):
        pass
    user = f"half_{lab.dialect}"
    if lab.dialect == "postgres":
        grants = [f"grant usage on schema sync_assets to {user}",
                  f"grant all on all tables in schema sync_assets to {user}",
                  f"grant select on {lab.at('t')} to {user}"]  # fmt: skip
    else:
        grants = [f"grant select on {lab.at('t')} to {user}",
                  *(f"grant select, insert, update, delete on {lab.at(n)} to {user}"
                    for n in ("sync_assets_head", "sync_assets_ledger"))]  # fmt: skip
    lab.server.create_user(user, "pw", *grants, database=None if lab.dialect == "mysql" else _database(lab))
    try:
        with desk(lab, user=user, open_password=lambda: "pw") as at:
            with pytest.raises(Stop, match=r"(?i)insert|write|grant|right"), at.writer.batch("b", position="p"):
                at.load("t", [("1", "a", None)])
            assert at.head() == Head(1, 0, None, None, frozenset())
    finally:
        if lab.dialect == "postgres":
            lab.execute(f"drop owned by {user}")
        lab.server.drop_user(user)


def test_a_connection_killed_in_mid_load_leaves_nothing(server_lab: TableLab) -> None:
    lab = server_lab
    lab.make("t", {"id": "big not null", "t": "text", "n": "int"}, key=["id"])
    with desk(lab) as at:

        def blocks() -> Iterator[bytes]:
            for at in range(0, 20000, 100):
                if at == 5000:
                    for session in lab.sessions():
                        lab.kill(session)
                    time.sleep(0.1)
                yield lines((str(i), "x" * 200, None) for i in range(at, at + 100))

        with pytest.raises(Retry), at.writer.batch("b1", position="p1"):
            at.writer.load(lab.name("t"), columns := at.columns("t"), Form.LINES, blocks())
        assert lab.count("t") == 0
    with desk(lab) as at:
        assert at.head() == Head(1, 0, None, None, frozenset())
        with at.writer.batch("b1", position="p1") as open:
            assert open
            assert at.writer.load(lab.name("t"), columns, Form.LINES, [lines([("1", "a", None)])]) == 1
    assert lab.count("t") == 1


@pytest.mark.parametrize("left", [2000, 70_000, 300_000])
def test_a_connection_cut_in_mid_load_leaves_nothing(server_lab: TableLab, left: int) -> None:
    lab = server_lab
    lab.make("t", {"id": "big not null", "t": "text", "n": "int"}, key=["id"])
    with Proxy(lab.server.host, lab.server.port) as proxy, desk(lab, host=proxy.host, port=proxy.port) as at:
        columns = at.columns("t")
        with pytest.raises(Retry), at.writer.batch("b1", position="p1"):
            proxy.cut_after(left, "up")
            many = (lines((str(i), "x" * 200, None) for i in range(n, n + 100)) for n in range(0, 20000, 100))
            at.writer.load(lab.name("t"), columns, Form.LINES, many)
        assert proxy.counters.cuts == 1
    assert lab.count("t") == 0
    with desk(lab) as at:
        assert at.head() == Head(1, 0, None, None, frozenset())


def test_a_commit_without_an_answer_is_found_in_the_ledger(server_lab: TableLab) -> None:
    lab = server_lab
    lab.make("t", {"id": "big not null", "t": "text", "n": "int"}, key=["id"])
    with Proxy(lab.server.host, lab.server.port) as proxy:
        for turn, word in enumerate((b"commit", b"COMMIT")):
            with (
                pytest.raises(Retry) if turn < 2 else pytest.raises(SyncError),
                desk(lab, host=proxy.host, port=proxy.port) as at,
                at.writer.batch(f"b{turn}"),
            ):
                at.load("t", [(str(turn), "a", None)])
                proxy.hole_on(word)
            if proxy.counters.holes:
                break
    assert proxy.counters.holes == 1
    with desk(lab) as at:
        assert at.head().applied >= {f"b{turn}"}
        with at.writer.batch(f"b{turn}") as open:
            assert not open
    assert lab.count("t") == turn + 1


def test_a_target_without_transactions_is_refused(server_lab: TableLab) -> None:
    lab = server_lab
    if lab.dialect != "mysql":
        pytest.skip("only MySQL has engines without transactions")
    lab.execute(f"create table {lab.at('t')} (id bigint primary key, t text, n int) engine=MyISAM")
    with desk(lab) as at:
        with pytest.raises(Stop, match=r"(?i)myisam"), at.writer.batch("b"):
            at.load("t", [("1", "a", None)])
        assert lab.count("t") == 0


def test_an_error_while_reading_the_blocks_comes_through(at: Desk) -> None:
    def blocks() -> Iterator[bytes]:
        yield lines([("1", "a", None)])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), at.writer.batch("b"):
        at.writer.load(at.lab.name("t"), at.columns("t"), Form.LINES, blocks())
    assert found(at) == []
    with at.writer.batch("b") as open:
        assert open
        at.load("t", [("1", "a", None)])
    assert len(found(at)) == 1
