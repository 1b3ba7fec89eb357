"""Who belongs to a fleet, and since when: from the YAML, and from a table of servers that may be wrong in any way."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pytest

from sync_assets.engine.errors import Stop
from sync_assets.project.deployment import PlacedFleet, Project
from sync_assets.project.fleet import Adopted, Member, look_up, members
from sync_assets.project.load import load_project
from sync_assets.store.control import PostgresStore
from sync_assets.store.fleet.instances import InstanceStore, Span
from sync_assets_tests.fix_project import write_defs

ONE, TWO, THREE, FOUR = (date(2026, 11, day) for day in (1, 2, 3, 4))
HEAD = """
type: sync_assets.components.DatabaseFleet
attributes:
  name: prod
  logins: {default: {user: watcher, password: "env:WATCHER"}, other: {user: o}}
"""
LISTED = """
type: sync_assets.components.Connections
attributes:
  connections:
    - {type: sqlite, name: cmdb, path: "PATH"}
"""
Row = tuple[object, ...]


@dataclass
class Site:
    """A fleet whose YAML is written anew before each look, and a table of servers in a file."""

    folder: Path
    store: PostgresStore

    def load(self, text: str) -> tuple[Project, PlacedFleet]:
        write_defs(self.folder, prod=HEAD + text, c=LISTED.replace("PATH", str(self.folder / "cmdb.db")))
        project = load_project(self.folder)
        return project, project.fleet("prod")

    def look(self, text: str, today: date) -> Adopted:
        return look_up(*self.load(text), self.store, today)

    def table(self, *rows: Row, columns: str = "name, type, host, port, login, volume") -> None:
        (self.folder / "cmdb.db").unlink(missing_ok=True)
        connection = sqlite3.connect(self.folder / "cmdb.db")
        connection.execute(f"create table servers ({columns})")
        marks = ", ".join("?" * len(columns.split(",")))
        connection.executemany(f"insert into servers values ({marks})", rows)
        connection.commit()
        connection.close()

    def spans(self) -> dict[str, tuple[Span, ...]]:
        return dict(InstanceStore(self.store.sessions).spans("prod"))

    def members(self, text: str) -> dict[str, Member]:
        return dict(members(*self.load(text), self.store))


@pytest.fixture
def site(tmp_path: Path, store: PostgresStore) -> Site:
    return Site(tmp_path, store)


def listing(*entries: str) -> str:
    return "  instances:\n" + "".join(f"    - {{{e}}}\n" for e in entries)


A, B = "name: 订单主库, type: mysql, host: a", "name: b, type: postgres, host: b"
TABLE = "  instances_from: {connection: cmdb, table: servers}\n"


# -- the YAML


def test_adopted_when_first_seen_retired_when_gone_and_back_again(site: Site) -> None:
    assert site.look(listing(A, B), ONE) == Adopted(("b", "订单主库"), ("b", "订单主库"))
    assert site.look(listing(A, B), TWO) == Adopted(("b", "订单主库"))
    assert site.look(listing(A), TWO) == Adopted(("订单主库",), retired=("b",))
    assert site.look(listing(A, B), FOUR) == Adopted(("b", "订单主库"), adopted=("b",))
    assert site.spans() == {"b": (Span(ONE, TWO), Span(FOUR)), "订单主库": (Span(ONE),)}


def test_back_on_the_day_it_left_is_as_if_it_had_stayed(site: Site) -> None:
    for text in (listing(A, B), listing(A), listing(A, B)):
        site.look(text, TWO)
    assert site.spans()["b"] == (Span(TWO),)


def test_written_days_count_and_may_be_corrected(site: Site) -> None:
    later = f"{B}, adopted_on: 2026-11-03, retired_on: 2026-11-04"
    assert site.look(listing(A, later), ONE).present == ("订单主库",)
    assert site.look(listing(A, later), THREE).adopted == ()
    assert site.look(listing(A, later), THREE).present == ("b", "订单主库")
    assert site.look(listing(A, later), FOUR).present == ("订单主库",)
    site.look(listing(A, f"{B}, adopted_on: 2026-10-01"), FOUR)
    assert site.spans()["b"] == (Span(date(2026, 10, 1)),)


def test_spans_of_one_instance_never_overlap(site: Site) -> None:
    site.look(listing(A, B), ONE)
    site.look(listing(A), TWO)
    site.look(listing(A, f"{B}, adopted_on: 2026-10-01"), FOUR)
    assert site.spans()["b"] == (Span(ONE, TWO), Span(FOUR))


def test_a_look_that_changes_nothing_writes_nothing(site: Site, store: PostgresStore) -> None:
    site.look(listing(A, B), ONE)
    where = "select xmin::text, ctid::text from sync_assets.fleet_instance union all select xmin::text, ctid::text from"
    query = f"{where} sync_assets.fleet_span order by 1, 2"
    before = store.sessions.run(lambda cursor: cursor.execute(query.encode()).fetchall())
    site.look(listing(A, B), TWO)
    assert store.sessions.run(lambda cursor: cursor.execute(query.encode()).fetchall()) == before


def test_what_cannot_be_told_of_one_instance_is_its_own_trouble(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHER", "hunter2")
    text = listing(A, "name: 坏, type: mysql, host: 'env:NOT_SET'")
    site.look(text, ONE)
    found = site.members(text)
    assert (found["订单主库"].address, found["订单主库"].args.port) == ("a:3306", 3306)
    assert found["坏"].address == "env:NOT_SET:3306"
    with pytest.raises(Stop, match="NOT_SET is not set"):
        _ = found["坏"].args
    assert "hunter2" not in repr(found)


# -- the table of servers


def test_servers_are_read_from_a_table_and_follow_it(site: Site) -> None:
    site.table(
        ("华东-订单库", "MariaDB", "10.0.0.1", 3307, None, "500GB"),
        ("b", "postgresql", "b.example", None, "other", None),
    )
    assert site.look(TABLE, ONE).present == ("b", "华东-订单库")
    found = site.members(TABLE)
    args = found["华东-订单库"].args
    assert (args.host, args.port, args.user, found["华东-订单库"].engine) == ("10.0.0.1", 3307, "watcher", "mysql")
    assert found["华东-订单库"].volume == 500 * 10**9
    assert (found["b"].args.port, found["b"].args.user, found["b"].args.database) == (5432, "o", "postgres")
    site.table(("b", "postgres", "moved.example", None, "other", None))
    assert site.look(TABLE, TWO).retired == ("华东-订单库",)
    assert site.members(TABLE)["b"].args.host == "moved.example"


def test_a_query_may_stand_in_place_of_the_table(site: Site) -> None:
    site.table(("a", "mysql", "h", None, None, None), ("b", "mysql", "h", None, None, None))
    text = "  instances_from: {connection: cmdb, query: \"select name, type, host from servers where name = 'b'\"}\n"
    assert site.look(text, ONE).present == ("b",)


def test_the_yaml_counts_before_the_table(site: Site) -> None:
    site.table(("b", "mysql", "from-table", None, None, None))
    site.look(listing(B) + TABLE, ONE)
    assert site.members(listing(B) + TABLE)["b"].args.host == "b"


def gone(site: Site) -> None:
    (site.folder / "cmdb.db").unlink()


def empty(site: Site) -> None:
    site.table()


def few(site: Site) -> None:
    site.table(("s1", "mysql", "h", None, None, None))


def no_column(site: Site) -> None:
    site.table(("s1",), columns="name")


@pytest.mark.parametrize("broken", [gone, empty, few, no_column])
def test_a_broken_table_changes_nothing_and_says_so(site: Site, broken: Callable[[Site], None]) -> None:
    """keep_above: a table that suddenly lists few servers is a broken table, not the end of a fleet."""
    rows = [(f"s{n}", "mysql", "h", None, None, None) for n in range(1, 5)]
    site.table(*rows)
    site.look(TABLE, ONE)
    broken(site)
    done = site.look(TABLE, TWO)
    assert done.present == ("s1", "s2", "s3", "s4")
    assert (done.adopted, done.retired) == ((), ())
    assert done.trouble is not None
    assert done.trouble.hint
    assert not any(span.retired_on for spans in site.spans().values() for span in spans)


def test_a_table_may_be_followed_down_when_that_is_said(site: Site) -> None:
    site.table(*[(f"s{n}", "mysql", "h", None, None, None) for n in range(4)])
    site.look(TABLE, ONE)
    site.table(("s1", "mysql", "h", None, None, None))
    assert len(site.look(TABLE.replace("servers}", "servers, keep_above: 0}"), TWO).retired) == 3


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("s2", "mongodb", "h", None, None, None), "2 (type)"),
        (("s2", "mysql", None, None, None, None), "2 (host)"),
        (("s2", "mysql", "h:1/x", None, None, None), "2 (host)"),
        (("s2", "mysql", "env:HOME", None, None, None), "2 (host)"),
        (("s2", "mysql", "h", "many", None, None), "2 (port)"),
        (("s2", "mysql", "h", None, "nobody", None), "2 (login)"),
        (("s2", "mysql", "h", None, None, "big"), "2 (volume)"),
        (("a|b", "mysql", "h", None, None, None), "2 (name)"),
        (("", "mysql", "h", None, None, None), "2 (name)"),
        (("s1", "mysql", "h", None, None, None), "2 (name)"),
    ],
)
def test_a_row_that_cannot_be_used_neither_adopts_nor_retires(site: Site, row: Row, said: str) -> None:
    good = ("s1", "mysql", "h", None, None, None)
    site.table(good, ("s2", "mysql", "h", None, None, None))
    site.look(TABLE, ONE)
    site.table(good, row, ("s3", "mysql", "h", None, None, None))
    done = site.look(TABLE, TWO)
    assert done.trouble is not None
    assert said in str(done.trouble)
    assert done.adopted == ("s3",)
    whose = row[0] in ("s2", "a|b", "")  # where the name is no name, it could be anybody's row
    assert done.retired == (() if whose else ("s2",))
