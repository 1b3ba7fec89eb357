"""Missing rights, wrong character sets, tables that cannot be: the message for each, and nothing half done.

The exact words are in the tests: they are what a person reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from sync_assets.engine.errors import Stop, SyncError
from sync_assets.testing.servers import Server
from sync_assets.testing.tables import rig
from sync_assets.testing.tables.rig import Hands
from sync_assets_tests.chaos.table_scenes import SERVERS, Pair

MakePair = Callable[..., Pair]
USER = "poor"
OTHER = {"postgres": "mysql", "mysql": "postgres"}


@contextmanager
def poor_user(server: Server, database: str, *grants: str) -> Iterator[dict[str, Any]]:
    """A login with these rights alone."""
    server.create_user(USER, "pw", *grants, database=database)
    try:
        yield {"user": USER, "open_password": lambda: "pw"}
    finally:
        if server.kind == "postgres":
            server.execute(f"drop owned by {USER}", database=database)
        server.drop_user(USER)


def stopped(pair: Pair, table: str = "items", hands: Hands | None = None, **settings: Any) -> SyncError:
    with pytest.raises(SyncError) as caught:
        pair.run(table, hands=hands, **settings)
    return caught.value


def said(error: SyncError) -> tuple[str, str]:
    return error.message, error.hint


def filled(make_pair: MakePair, here: str, there: str) -> Pair:
    pair = make_pair(here, there)
    pair.make("here")
    pair.insert(1, 100)
    return pair


LEDGER = {
    "postgres": (f"grant usage on schema sync_assets to {USER}",
                 f"grant all on all tables in schema sync_assets to {USER}"),
    "mysql": (f"grant select, insert, update, delete on sync_assets_head to {USER}",
              f"grant select, insert, update, delete on sync_assets_ledger to {USER}"),
}  # fmt: skip


def with_ledger(make_pair: MakePair, there: str) -> Pair:
    """A target that has a ledger already, as an administrator made it."""
    pair = filled(make_pair, OTHER[there], there)
    pair.make("here", "other")
    pair.run("other", mode="clone")
    return pair


# -- the target: who may not create


def test_a_user_who_may_create_nothing_in_postgres(make_pair: MakePair) -> None:
    pair = filled(make_pair, "mysql", "postgres")
    database = pair.site.there.args["database"]
    with poor_user(pair.target, database) as user:
        assert said(stopped(pair, hands=Hands(there=user))) == (
            f"connection postgres_there: the ledger of sync_assets could not be made in database {database}",
            f'grant create on database "{database}" to "{USER}", or let an administrator run: '
            f'create schema sync_assets authorization "{USER}"',
        )
    assert pair.there("select count(*) from pg_namespace where nspname = 'sync_assets'") == [(0,)]


def test_a_user_who_may_create_nothing_in_mysql(make_pair: MakePair) -> None:
    pair = filled(make_pair, "postgres", "mysql")
    with poor_user(pair.target, pair.site.there.args["database"]) as user:
        assert said(stopped(pair, hands=Hands(there=user))) == (
            "connection mysql_there: this user has no right to the database",
            "grant create, alter, drop, select, insert, update, delete on it to this user",
        )
    assert pair.there("show tables") == []


NO_TABLE = {
    "postgres": ("connection postgres_there: no right to use public",
                 "grant the right on it, and usage and create on its schema, to this user; some changes need its"
                 " owner"),
    "mysql": ("connection mysql_there: no right to create table items", "grant create on it to this user"),
}  # fmt: skip


@pytest.mark.parametrize("there", SERVERS)
def test_a_user_who_may_not_create_the_table(make_pair: MakePair, there: str) -> None:
    pair = with_ledger(make_pair, there)
    with poor_user(pair.target, pair.site.there.args["database"], *LEDGER[there]) as user:
        assert said(stopped(pair, hands=Hands(there=user))) == NO_TABLE[there]
    assert pair.leftovers() == []
    assert pair.run(mode="clone").equal is True, "once the right is there"


NO_INSERT = {
    "postgres": ("copy_items: connection postgres_there: no right to use items", NO_TABLE["postgres"][1]),
    "mysql": ("copy_items: connection mysql_there: no right to write to table items",
              "grant insert on it to this user"),
}  # fmt: skip


@pytest.mark.parametrize("there", SERVERS)
def test_a_user_who_may_not_write_to_the_table(make_pair: MakePair, there: str) -> None:
    pair = with_ledger(make_pair, there)
    pair.make("there")
    rights = [*LEDGER[there], f"grant select on items to {USER}"]
    with poor_user(pair.target, pair.site.there.args["database"], *rights) as user:
        assert said(stopped(pair, hands=Hands(there=user), mode="full")) == NO_INSERT[there]
    assert pair.there("select count(*) from items") == [(0,)]
    assert pair.head().epoch == 0


# -- the source


UNSEEN = {
    "postgres": ("connection postgres_here: no right to read items",
                 "grant select on it (and usage on its schema) to this user"),
    "mysql": ("has no table", "check its spelling and schema, and that this user may see it"),
}  # fmt: skip


@pytest.mark.parametrize("here", SERVERS)
def test_a_table_that_the_source_does_not_show_to_this_user(make_pair: MakePair, here: str) -> None:
    pair = filled(make_pair, here, OTHER[here])
    pair.make("here", "other")
    with poor_user(pair.source, pair.site.here.args["database"], f"grant select on other to {USER}") as user:
        message, hint = said(stopped(pair, hands=Hands(here=user)))
        assert UNSEEN[here][0] in message
        assert hint == UNSEEN[here][1]
        assert pair.run("other", hands=Hands(here=user), mode="clone").equal is True


@pytest.mark.parametrize("here", SERVERS)
def test_a_table_that_may_not_be_read_does_not_hold_up_the_others(make_pair: MakePair, here: str) -> None:
    pair = filled(make_pair, here, OTHER[here])
    pair.make("here", "other")
    pair.insert(1, 7, "other")
    with poor_user(pair.source, pair.site.here.args["database"], f"grant select on other to {USER}") as user:
        hands = Hands(store=pair.store, here=user)
        with pytest.raises(Stop, match="items"):
            rig.run(pair.site, [rig.job(pair.site, "items"), rig.job(pair.site, "other")], hands)
    pair.judge(table="other")


@pytest.mark.parametrize("side", ["here", "there"])
@pytest.mark.parametrize("kind", SERVERS)
def test_a_wrong_password_is_tried_once(make_pair: MakePair, kind: str, side: str) -> None:
    """Servers lock accounts, and machines out, that try again and again."""
    pair = filled(make_pair, *((kind, OTHER[kind]) if side == "here" else (OTHER[kind], kind)))
    asked: list[str] = []

    def wrong() -> str:
        asked.append("asked")
        return "wrong"

    hands = Hands(**{side: {"open_password": wrong, "tls": "off"}})  # type: ignore[arg-type]
    assert said(stopped(pair, hands=hands)) == (
        f"connection {kind}_{side}: the login was refused",
        "check user and password; it was tried once",
    )
    assert len(asked) == 1


# -- tables that are none, or have no key


@pytest.mark.parametrize("here", SERVERS)
def test_a_table_without_a_key_needs_one_or_clone(make_pair: MakePair, here: str) -> None:
    pair = make_pair(here, OTHER[here])
    pair.make("here", key="")
    pair.insert(1, 5)
    assert said(stopped(pair, mode="full")) == (
        "copy_items: items has no key, and mode full needs one",
        "name the columns that identify a row with key:, or use mode: clone, which replaces the whole table",
    )
    assert pair.run(mode="clone").equal is True
    pair.judge()


@pytest.mark.parametrize("here", SERVERS)
def test_a_view_is_read_and_not_written(make_pair: MakePair, here: str) -> None:
    pair = filled(make_pair, here, here)
    pair.here("create view v as select * from items where id < 50")
    assert pair.run("v", mode="full", key=("id",)).counts.created == 49
    assert pair.run("v", mode="clone", key=("id",)).counts.unchanged == 49
    pair.make("there", "base")
    pair.there("create view items as select * from base")
    message, hint = said(stopped(pair, mode="full"))
    assert "items is a view" in message
    assert hint
    assert pair.there("select count(*) from base") == [(0,)]


def test_a_foreign_table_is_not_written(make_pair: MakePair) -> None:
    pair = filled(make_pair, "mysql", "postgres")
    pair.there("create foreign data wrapper far", "create server far foreign data wrapper far",
               "create foreign table items (id bigint, name text, price numeric(12,2), at timestamp(6), n bigint)"
               " server far")  # fmt: skip
    assert said(stopped(pair, mode="full")) == (
        "public.items is a foreign table: rows cannot be written to it",
        "drop it, or give the sync another table with into:",
    )


def test_a_table_without_transactions_is_not_written(make_pair: MakePair) -> None:
    pair = filled(make_pair, "postgres", "mysql")
    pair.make("there", more=", key (n)")
    pair.there("alter table items engine = MyISAM")
    message, hint = said(stopped(pair, mode="full"))
    assert message.endswith("items is kept by MyISAM, which has no transactions")
    assert hint.endswith("`items` engine = InnoDB")
    assert pair.there("select count(*) from items") == [(0,)]


# -- characters


def test_a_character_set_that_lacks_the_source_s_characters(make_pair: MakePair) -> None:
    pair = filled(make_pair, "postgres", "mysql")
    pair.make("there")
    pair.there("alter table items convert to character set latin1")
    assert said(stopped(pair, mode="full", policy="ignore")) == (
        "copy_items: connection mysql_there: a text does not fit the character set of column name",
        "use utf8mb4 there",
    )
    assert pair.there("select count(*) from items") == [(0,)]


def test_any_byte_is_a_character_in_latin1(make_pair: MakePair) -> None:
    pair = make_pair("mysql", "postgres")
    pair.here("create table items (id bigint primary key, name varchar(60)) default charset latin1",
              "insert into items values (1, x'e9ff80')")  # fmt: skip
    assert pair.run(mode="full").equal is True
    assert pair.there("select name from items") == [("éÿ€",)]


def test_a_database_without_an_encoding(make_pair: MakePair) -> None:
    """SQL_ASCII holds any bytes; those that are UTF-8 come over, others are refused before anything is written."""
    pair = make_pair("postgres", "postgres")
    name = pair.site.here.args["database"]
    pair.source.drop_database(name)
    pair.source.execute(f"create database {name} encoding 'SQL_ASCII' template template0 locale 'C'")
    pair.here("create table items (id bigint primary key, name text)", "insert into items values (1, 'plain')")
    assert pair.run(mode="full").equal is True
    pair.here("insert into items values (2, E'\\xff\\xfe')")
    error = stopped(pair, mode="full")
    assert error.hint
    assert pair.there("select id from items") == [(1,)]


# -- large cells


@pytest.mark.parametrize(("here", "there"), [("postgres", "postgres"), ("mysql", "postgres")])
def test_a_cell_of_twenty_megabytes_comes_over(make_pair: MakePair, here: str, there: str) -> None:
    pair = large(make_pair, here, there)
    assert pair.run(mode="full").equal is True
    length = pair.there("select length(name), md5(name) from items")
    assert length == pair.here("select length(name), md5(name) from items")


def test_a_cell_that_is_longer_than_mysql_s_packet(make_pair: MakePair) -> None:
    """LOAD DATA LOCAL takes it in pieces and stores it whole; only the server cannot hash it, so it is not proved."""
    pair = large(make_pair, "postgres", "mysql")
    limit = pair.target.execute("select @@global.max_allowed_packet")[0][0]
    pair.target.execute("set global max_allowed_packet = 4194304")
    try:
        assert said(stopped(pair, mode="full")) == (
            "copy_items: connection mysql_there: some rows are too long for the server to hash",
            "raise max_allowed_packet there, or prove by count (proof: count)",
        )
    finally:
        pair.target.execute(f"set global max_allowed_packet = {limit}")
    assert pair.there("select length(name) from items") == [(20_000_000,)]


def large(make_pair: MakePair, here: str, there: str) -> Pair:
    pair = make_pair(here, there)
    words = {"postgres": "text", "mysql": "longtext"}
    pair.here(f"create table items (id bigint primary key, name {words[here]})")
    if here == "mysql":
        pair.source.execute("set global max_allowed_packet = 67108864")
    pair.here("insert into items values (1, repeat('x', 20000000))")
    return pair
