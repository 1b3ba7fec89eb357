"""The source's tables change their shape between runs and while a run works."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from typing import Any

import pytest

from sync_assets.engine.errors import Retry, Stop
from sync_assets.testing.tables.rig import Hands
from sync_assets_tests.chaos.table_scenes import PAIRS, SERVERS, Pair

MakePair = Callable[..., Pair]
CLONE: Mapping[str, Any] = {"mode": "clone"}
FULL: Mapping[str, Any] = {"mode": "full"}
TABLE = "create table items (id bigint primary key, name varchar(20), price numeric(8,2), n int)"


def two_hundred(make_pair: MakePair, here: str, there: str, settings: Mapping[str, Any] = CLONE, **site: Any) -> Pair:
    pair = make_pair(here, there, **site)
    pair.here(TABLE)
    values = ", ".join(f"({i}, 'n{i}', {i}.5, {i})" for i in range(200))
    pair.here(f"insert into items values {values}")
    pair.analyze()
    pair.run(**settings)
    return pair


def alter(pair: Pair, postgres: str, mysql: str = "") -> None:
    pair.here(f"alter table items {mysql or postgres if pair.kinds[0] == 'mysql' else postgres}")


@pytest.mark.parametrize(("here", "there"), PAIRS)
def test_an_added_column_is_full_from_its_first_run(make_pair: MakePair, here: str, there: str) -> None:
    """Also in rows that did not change otherwise."""
    pair = two_hundred(make_pair, here, there)
    alter(pair, "add column extra varchar(10) default 'all'")
    pair.here("insert into items values (900, 'new', 1.5, 1, 'one')")
    assert pair.run(**CLONE).equal is True
    pair.judge(columns=("id", "name", "price", "n", "extra"))


@pytest.mark.parametrize(("here", "there"), PAIRS)
def test_a_widened_column_takes_what_is_longer(make_pair: MakePair, here: str, there: str) -> None:
    pair = two_hundred(make_pair, here, there)
    alter(pair, "alter column name type varchar(60)", "modify name varchar(60)")
    alter(pair, "alter column n type bigint", "modify n bigint")
    pair.here(f"update items set name = '{'é' * 60}', n = 5000000000 where id = 7")
    assert pair.run(**CLONE).equal is True
    pair.judge(columns=("id", "name", "price", "n"))


@pytest.mark.parametrize(("here", "there"), PAIRS)
def test_a_retyped_column_stops_by_name_with_nothing_written(make_pair: MakePair, here: str, there: str) -> None:
    pair = two_hundred(make_pair, here, there)
    before = pair.rows(columns=("id", "name", "price", "n"))
    alter(pair, "alter column n type text using n::text", "modify n text")
    pair.here("insert into items (id) values (900)")
    with pytest.raises(Stop, match=r"\bcolumn n\b") as stopped:
        pair.run(**CLONE)
    assert stopped.value.hint
    assert pair.rows(columns=("id", "name", "price", "n")) == before


@pytest.mark.parametrize(("here", "there"), PAIRS)
def test_numbers_where_texts_were_fit_or_stop(make_pair: MakePair, here: str, there: str) -> None:
    """A text can hold any number, so that between kinds of databases nothing is lost by it."""
    pair = two_hundred(make_pair, here, there)
    pair.here("update items set name = cast(id as char(9))")
    alter(pair, "alter column name type int using name::int", "modify name int")
    try:
        assert pair.run(**CLONE).equal is True
    except Stop as stopped:
        assert "name" in stopped.message
        assert pair.there("select count(*) from items where name = 'n5'") == [(1,)]
    else:
        assert pair.there("select count(*) from items where name = '5'") == [(1,)]


@pytest.mark.parametrize(("here", "there"), PAIRS)
def test_a_narrowed_column_loses_nothing(make_pair: MakePair, here: str, there: str) -> None:
    """What is in the source fits the target as it is; whether it is narrowed there or not, no value is cut."""
    pair = two_hundred(make_pair, here, there)
    alter(pair, "alter column name type varchar(8)", "modify name varchar(8)")
    pair.here("insert into items values (900, 'é234567!', 1.5, 1)")
    assert pair.run(**CLONE).equal is True
    pair.judge(columns=("id", "name", "price", "n"))


@pytest.mark.parametrize(("here", "there"), PAIRS)
def test_a_dropped_column_is_kept_in_the_target_or_stops(make_pair: MakePair, here: str, there: str) -> None:
    pair = two_hundred(make_pair, here, there)
    before = pair.rows(columns=("id", "n"))
    alter(pair, "drop column n")
    pair.here("update items set name = 'after' where id < 10")
    try:
        assert pair.run(**CLONE).equal is True
    except Stop as stopped:
        assert "n" in stopped.message
        assert pair.there("select count(*) from items where name = 'after'") == [(0,)]
    else:
        pair.judge(columns=("id", "name", "price"))
    assert sorted(map(str, pair.rows(columns=("id", "n")))) == sorted(map(str, before)), "no value is lost"


@pytest.mark.parametrize(("here", "there"), PAIRS)
def test_a_renamed_column_is_never_half_there(make_pair: MakePair, here: str, there: str) -> None:
    """A database that numbers its columns may see the rename; another sees one dropped and one added."""
    pair = two_hundred(make_pair, here, there)
    alter(pair, "rename column n to amount")
    pair.here("insert into items values (900, 'new', 1.5, 77)")
    try:
        assert pair.run(**CLONE).equal is True
    except Stop as stopped:
        assert "amount" in stopped.message or "n" in stopped.message
        assert pair.there("select count(*) from items where id = 900") == [(0,)]
    else:
        pair.judge(columns=("id", "name", "price", "amount"))


@pytest.mark.parametrize("policy", ["stop", "ignore"])
@pytest.mark.parametrize(("here", "there"), PAIRS)
def test_the_policy_is_obeyed(make_pair: MakePair, here: str, there: str, policy: str) -> None:
    pair = two_hundred(make_pair, here, there)
    alter(pair, "add column extra varchar(10) default 'all'")
    pair.here("update items set name = 'after' where id < 10")
    with pytest.raises(Stop, match="extra"):
        pair.run(policy=policy, **CLONE)
    assert pair.there("select count(*) from items where name = 'after'") == [(0,)]
    skipped = {"columns": {"extra": None}}
    assert pair.run(policy=policy, **CLONE, **skipped).equal is True
    pair.judge(columns=("id", "name", "price", "n"))


@pytest.mark.parametrize(("here", "there"), PAIRS)
@pytest.mark.parametrize("changes", ["hash", "whole"])
def test_the_structure_changes_under_running_runs(make_pair: MakePair, here: str, there: str, changes: str) -> None:
    """Columns come, are widened and go while runs work. Each run ends well or says why; the last is right."""
    pair = two_hundred(make_pair, here, there, slice_bytes=2_000)
    done = threading.Event()

    def change() -> None:
        try:
            with closing(pair.source.connect(pair.site.here.args["database"])) as connection:
                cursor = connection.cursor()
                for n in range(6):
                    cursor.execute(f"alter table items add column c{n} varchar({10 + n}) default 'd{n}'")
                    cursor.execute(f"update items set name = 'turn {n}', c{n} = 'x' where id % 5 = {n % 5}")
                    time.sleep(0.05)
        finally:
            done.set()

    thread = threading.Thread(target=change)
    thread.start()
    runs = 0
    while not done.is_set():
        try:
            assert pair.run(hands=Hands(), **CLONE, changes=changes).equal is True
            runs += 1
        except Retry as retry:
            assert "changed its columns" in retry.message or retry.code, str(retry)
    thread.join()
    assert pair.run(**CLONE, changes=changes).equal is True
    pair.judge(columns=("id", "name", "price", "n", *(f"c{n}" for n in range(6))))


@pytest.mark.parametrize("there", SERVERS)
def test_a_mysql_target_is_strict(make_pair: MakePair, there: str) -> None:
    """Whatever the server's own mode: a value that is too long is refused, not cut."""
    pair = make_pair("postgres", there)
    pair.here("create table items (id bigint primary key, name varchar(20), price numeric(8,2), n int)",
              "insert into items values (1, 'abcdef', 1.5, 300)")  # fmt: skip
    if there == "mysql":
        pair.target.execute("set global sql_mode = ''")
        pair.there("create table items (id bigint primary key, name varchar(3), price numeric(8,2), n tinyint)")
    else:
        pair.there("create table items (id bigint primary key, name varchar(3), price numeric(8,2), n int)")
    try:
        with pytest.raises(Stop):
            pair.run(policy="ignore", **FULL)
    finally:
        if there == "mysql":
            pair.target.execute("set global sql_mode = default")
    assert pair.there("select count(*) from items") == [(0,)]
