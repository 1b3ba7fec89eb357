"""What a target that has tables already is told and given, by policy; and what happens without the rights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from sync_assets.engine.errors import Stop
from sync_assets.engine.tables.writing import Design, Policy
from sync_assets.testing.servers import Server
from sync_assets_tests.integration.structures import Pair, Side, design, empty_pair


@pytest.fixture
def pair(postgres: Server) -> Iterator[Pair]:
    yield from empty_pair(postgres)


TABLE = "create table t (id integer primary key, name varchar(10) default 'x', n integer, note text)"


def both(pair: Pair, *statements: str) -> None:
    pair.source(*statements)
    pair.target(*statements)


def settled(pair: Pair) -> bool:
    """Nothing is left to be done."""
    again = pair.design(pair.wanted())
    assert (again.before, again.after, again.drift, again.stops) == ((), (), (), ())
    here, there = pair.dumps()
    return here == there


@dataclass(frozen=True)
class Safe:
    change: str  # of the source
    words: str  # of the drift


SAFE = [
    Safe("alter table t add column c numeric(5,2)", "public.t: column c (numeric(5,2)) was added in the source"),
    Safe("alter table t add column c text not null default 'd'", "column c (text) was added"),
    Safe("alter table t add column c int generated always as (n + 1) stored", "column c (integer) was added"),
    Safe("alter table t alter column name type varchar(20)", "widened from character varying(10) to"),
    Safe("alter table t alter column name type text", "widened from character varying(10) to text"),
    Safe("alter table t alter column n type bigint", "column n was widened from integer to bigint"),
    Safe("alter table t alter column n set default 5", "column n has another default"),
    Safe("alter table t alter column name drop default", "column name has another default"),
    Safe("alter table t alter column n set not null", "column n is NOT NULL in the source"),
    Safe("comment on column t.n is 'it''s'", "column n has another comment"),
    Safe("comment on table t is 'a \\ b'", 'table "public"."t": another comment'),
    Safe("alter table t alter column note set storage external", "column note is stored otherwise"),
    Safe("alter table t set (fillfactor = 55)", "other storage options"),
    Safe("create index later on t (n)", "index later is missing"),
    Safe("alter table t add constraint c check (n > 0)", "constraint c is missing"),
    Safe("alter table t add constraint u unique (name, n)", "constraint u is missing"),
    Safe("alter table t add constraint f foreign key (n) references t (id)", "constraint f is missing"),
    Safe("create statistics s on name, n from t", "statistics public.s are missing"),
    Safe("alter table t replica identity full", "another replica identity"),
]


@pytest.mark.parametrize("case", SAFE, ids=lambda c: c.change)
def test_safe_changes_are_carried_over(pair: Pair, case: Safe) -> None:
    both(pair, TABLE)
    pair.target("insert into t values (1, 'a', 1, 'n')")
    pair.source(case.change)
    made = pair.design(pair.wanted())
    assert len(made.drift) == 1 and case.words in made.drift[0]
    assert made.stops == ()
    pair.build([*made.before, *made.after])
    assert settled(pair)


NOT_SAFE = [
    ("alter table t alter column n type text", "column n is text in the source and integer in the target"),
    ("alter table t alter column n type numeric(3)", "column n is numeric(3,0) in the source and integer"),
    ("alter table t add column c serial not null", "column c (integer) was added in the source; it is NOT NULL"),
    ("alter table t add column c int not null", "it is NOT NULL, and rows that are there have no value"),
    ("alter table t rename column n to m", "column m (integer) is missing, and n of the same type is in its place"),
    ("alter table t drop constraint t_pkey, add primary key (name)", "constraint t_pkey is another in the target"),
    ("create collation mine (locale = 'C'); "
     "alter table t alter column name type varchar(10) collate mine", "column name has another collation"),
    ("drop table t; create table t (id integer primary key, name varchar(10) default 'x', n integer, note text) "
     "partition by range (id)", "is partitioned otherwise"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "words"), NOT_SAFE, ids=[c for c, _ in NOT_SAFE])
def test_other_changes_stop_and_name_what_differs(pair: Pair, change: str, words: str) -> None:
    both(pair, TABLE)
    pair.source(*change.split("; "))
    made = pair.design(pair.wanted())
    assert any(words in s for s in made.stops), made
    assert set(made.stops) <= set(made.drift)


def test_what_only_the_target_has_is_kept_and_told(pair: Pair) -> None:
    both(pair, TABLE)
    pair.target("alter table t add column mine text", "create index mine on t (mine)")
    pair.source("alter table t drop column note")
    made = pair.design(pair.wanted())
    assert (made.before, made.after, made.stops) == ((), (), ())
    assert sorted(made.drift) == [
        "public.t: column mine is only in the target; it is kept",
        "public.t: column note is only in the target; it is kept",
        "public.t: index mine is only in the target",
    ]


def test_a_column_that_only_the_target_has_and_that_must_be_filled_stops(pair: Pair) -> None:
    both(pair, TABLE)
    pair.target("alter table t add column mine text not null")
    assert "it is NOT NULL without a default" in pair.design(pair.wanted()).stops[0]


def test_a_wider_target_takes_all_values(pair: Pair) -> None:
    both(pair, TABLE)
    pair.source("alter table t alter column name type varchar(5)")
    made = pair.design(pair.wanted())
    assert (made.before, made.after, made.stops) == ((), (), ())
    assert "the target's character varying(10) holds all its values" in made.drift[0]


@pytest.mark.parametrize(("policy", "stops", "does"), [("apply", 0, 1), ("stop", 1, 0), ("ignore", 0, 0)])
def test_policies(pair: Pair, policy: Policy, stops: int, does: int) -> None:
    both(pair, TABLE)
    pair.source("alter table t add column c int generated always as (n + 1) stored")
    made = pair.design(pair.wanted(), policy)
    assert (len(made.stops), len(made.before), len(made.drift)) == (stops, does, 1)


HANDS = (
    "create table s (id serial primary key, nr int not null generated always as identity, other int not null"
    " generated by default as identity, name text default 'x', c text collate \"C\")",
    "comment on table s is 'made by the application'",
    "comment on column s.name is 'what it is called'",
    "alter table s alter column c set storage external",
    "insert into s (name) values ('a'), ('b')",
)
BY_HAND = "create table s (id int primary key, nr int not null, other int, name text, c text)"


@pytest.mark.parametrize("policy", ["apply", "stop", "ignore"])
def test_a_table_made_by_hand_takes_the_rows(pair: Pair, policy: Policy) -> None:
    pair.source(*HANDS)
    pair.target(BY_HAND, "insert into s values (1, 1, 1, 'a', null)")
    made = pair.design(pair.wanted(), policy)
    assert made.stops == ()
    said = "\n".join(made.drift)
    for words in ("nr is an identity", "other is an identity", "name has another default", "id has another default",
                  "another comment", "c is stored otherwise", "c has another collation"):  # fmt: skip
        assert words in said
    assert bool(made.before) is (policy == "apply")
    pair.build([*made.before, *made.after])
    left = pair.design(pair.wanted(), "apply")
    if policy == "apply":
        pair.target("delete from s")
        assert pair.target("insert into s (other) values (7) returning id, nr, name") == [(3, 3, "x")]
        assert {d.partition("column ")[2].partition(" ")[0] for d in left.drift} == {"other", "c"}


def test_who_may_only_write_rows_into_a_table_made_by_hand_writes_them(pair: Pair, limited: Any) -> None:
    pair.source(*HANDS)
    pair.target(BY_HAND, "grant all on s to limited")
    made = designed(pair, limited)
    assert (made.before, made.stops) == ((), ())
    assert any("belongs to another user" in line for line in made.drift)
    pair.target("alter table s owner to limited")
    made = designed(pair, limited)
    assert made.stops == () and not any("identity" in line or "nextval" in line for line in made.before)
    for statement in made.before:
        limited.execute(statement)


def test_without_leave_to_change_a_missing_column_stops(pair: Pair) -> None:
    both(pair, TABLE)
    pair.source("alter table t add column c int")
    made = pair.design(pair.wanted(), "ignore")
    assert len(made.stops) == 1 and made.before == ()


def test_labels_are_added_where_they_belong(pair: Pair) -> None:
    both(pair, "create type m as enum ('b', 'd')", "create table t (m m)")
    for statement in ("add value 'a' before 'b'", "add value 'c' after 'b'", "add value 'e''s'"):
        pair.source(f"alter type m {statement}")
    made = pair.design(pair.wanted())
    assert made.drift == ('type "public"."m": 3 labels were added in the source',)
    pair.build(made.before)
    assert settled(pair)


def test_renamed_labels_stop(pair: Pair) -> None:
    both(pair, "create type m as enum ('b', 'd')", "create table t (m m)")
    pair.source("alter type m rename value 'b' to 'c'")
    assert "renamed?" in pair.design(pair.wanted()).stops[0]


def test_labels_in_another_order_stop(pair: Pair) -> None:
    pair.source("create type m as enum ('a', 'b')", "create table t (m m)")
    pair.target("create type m as enum ('b', 'a')", "create table t (m m)")
    assert "in another order" in pair.design(pair.wanted()).stops[0]


def test_new_partitions_come_with_the_indexes_of_their_parent(pair: Pair) -> None:
    both(
        pair,
        "create table p (id int, at date, constraint ck check (id > 0)) partition by range (at)",
        "create table p1 partition of p for values from ('2026-01-01') to ('2026-02-01')",
        "create unique index on p (id, at)",
        "alter table p add constraint p_key primary key (at, id)",
    )
    pair.source("create table p2 partition of p for values from ('2026-02-01') to ('2026-03-01')")
    made = pair.design(pair.wanted())
    assert "public.p2: a new partition of public.p" in made.drift
    pair.build([*made.before, *made.after])
    assert settled(pair)


def test_columns_are_added_once_to_a_partitioned_table(pair: Pair) -> None:
    both(
        pair,
        "create table p (id int, at date) partition by range (at)",
        "create table p1 partition of p for values from ('2026-01-01') to ('2026-02-01')",
    )
    pair.source("alter table p add column c text default 'x'", "alter table p alter column id type bigint")
    made = pair.design(pair.wanted())
    assert len(made.before) == 2
    pair.build(made.before)
    assert settled(pair)


def test_an_unfinished_run_is_finished_also_where_changes_stop(pair: Pair) -> None:
    pair.source(TABLE, "create index on t (n)")
    pair.build(pair.design(pair.wanted(), "stop").before)
    again = pair.design(pair.wanted(), "stop")
    assert again.stops == () and len(again.after) == 2
    pair.build(again.after)
    assert settled(pair)


@pytest.mark.parametrize(
    ("blocker", "what"),
    [("create view t as select 1 as id", "view"), ("create sequence t", "sequence"),
     ("create materialized view t as select 1 as id", "materialized view")],
)  # fmt: skip
def test_what_is_in_the_way_is_named(pair: Pair, blocker: str, what: str) -> None:
    pair.source(TABLE)
    pair.target(blocker)
    with pytest.raises(Stop, match=rf"^connection there: public.t is a {what}, not a table"):
        pair.design(pair.wanted())


def test_a_column_of_the_rows_of_another_table_needs_that_table(pair: Pair) -> None:
    pair.source("create table a (x int)", "create table b (id int, a a)")
    with pytest.raises(Stop, match=r"table public\.b stands on type public\.a"):
        pair.design(pair.wanted("public.b"))
    pair.replicate(pair.wanted())
    assert settled(pair)


def test_a_definition_that_servers_spell_anew_is_no_difference(pair: Pair) -> None:
    pair.source(
        "create table t (s varchar(9) check (s in ('a', 'b')), n varchar(5) generated always as (s || 'x') stored)",
        "create index on t (s) where s in ('a', 'b')",
    )
    made = pair.replicate(pair.wanted())
    here, there = pair.dumps()
    assert here != there and made.drift == ()  # PostgreSQL moves the casts; if that ends, `loose` can go
    again = pair.design(pair.wanted())
    assert (again.before, again.after, again.drift) == ((), (), ())


def test_a_cast_that_changes_values_is_a_difference(pair: Pair) -> None:
    pair.source("create table t (a int, b int, q numeric generated always as (a / b) stored)")
    pair.target("create table t (a int, b int, q numeric generated always as (a::numeric / b) stored)")
    assert "column q is generated otherwise" in pair.design(pair.wanted()).stops[0]


def test_ignoring_changes_makes_nothing_for_tables_that_are_there(pair: Pair) -> None:
    pair.source("create table t (id serial primary key, g int generated always as identity)")
    pair.source("insert into t default values", "create index on t (g)")
    pair.target("create table t (id int primary key, g int not null)")
    made = pair.design(pair.wanted(), "ignore")
    assert (made.before, made.after, made.stops) == ((), (), ())
    assert len(made.drift) == 3


# -- rights


@pytest.fixture
def limited(pair: Pair) -> Iterator[Any]:
    """A user who may log in to the target and nothing else."""
    pair.server.create_user("limited", "secret", "revoke create on schema public from public", database=pair.there)
    with psycopg.connect(
        host=pair.server.host, port=pair.server.port, user="limited", password="secret", dbname=pair.there,
        autocommit=True,
    ) as connection:  # fmt: skip
        yield connection
    pair.target("drop owned by limited")
    pair.server.drop_user("limited")


def designed(pair: Pair, limited: Any) -> Design:
    with pair.sides() as (here, _):
        return design(here, Side(limited, "connection there"), pair.wanted(), "apply")


def test_who_may_not_create_is_told_the_grant(pair: Pair, limited: Any) -> None:
    pair.source("create type m as enum ('a')", "create table t (m m)")
    before = pair.dump(pair.there)
    with pytest.raises(Stop) as caught:
        designed(pair, limited)
    assert str(caught.value) == (
        "connection there: user limited may not create tables in schema public [no_right]"
        ' -> grant create on schema "public" to "limited"'
    )
    assert pair.dump(pair.there) == before
    pair.target('grant create on schema "public" to "limited"')
    for statement in designed(pair, limited).before:
        limited.execute(statement)


def test_who_may_not_create_a_schema_is_told_the_grant(pair: Pair, limited: Any) -> None:
    pair.source("create schema s", "create table s.t (x int)")
    with pytest.raises(Stop, match=r"user limited may not create schema s .*grant create on database"):
        designed(pair, limited)


def test_who_may_not_alter_is_told_before_anything_is_done(pair: Pair, limited: Any) -> None:
    both(pair, TABLE)
    pair.target("grant all on t to limited")
    pair.source("alter table t add column c int")
    with pytest.raises(Stop, match=r"user limited may not alter table .*belongs to another user"):
        designed(pair, limited)


def test_what_cannot_be_made_on_a_table_of_others_does_not_hold_up_the_rows(pair: Pair, limited: Any) -> None:
    both(pair, TABLE)
    pair.source("create index later on t (n)")
    made = designed(pair, limited)
    assert (made.before, made.after, made.stops) == ((), (), ())
    assert made.drift == ("public.t: index later is missing, and cannot be made: the table belongs to another user",)


def test_an_extension_that_may_not_be_made_is_named(pair: Pair, limited: Any) -> None:
    pair.source(
        "create extension vector", "create table t (v vector(3))", "create index on t using hnsw (v vector_l2_ops)"
    )
    pair.target("grant create on schema public to limited")
    with pytest.raises(Stop, match=r'may not create the extension vector.*create extension "vector" schema "public"'):
        designed(pair, limited)
    pair.replicate(pair.wanted())
    assert settled(pair)


def test_a_position_that_may_not_be_read_is_declared(pair: Pair, limited: Any) -> None:
    pair.source("create table t (id serial)")
    with (
        psycopg.connect(host=pair.server.host, port=pair.server.port, user="limited", password="secret",
                        dbname=pair.here) as reading,
        pair.sides() as (_, there),
    ):  # fmt: skip
        made = design(Side(reading, "connection here"), there, pair.wanted(), "apply")
    assert any("position not copied: no right to read" in loss for loss in made.losses)
