"""One of everything that tables can stand on, under names that are hard to carry, and subsets and renames of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest

from sync_assets.engine.errors import Stop
from sync_assets.engine.tables.shape import TableName
from sync_assets.engine.tables.writing import Design, Wanted
from sync_assets.testing.servers import Server
from sync_assets_tests.integration.structures import Pair, empty_pair, load

_BIG = '"Sch ""e"" 🦆"."Tab""le 🦆 with a name of exactly 63 bytes, counted by hand ok"'


@pytest.fixture
def pair(postgres: Server) -> Iterator[Pair]:
    yield from empty_pair(postgres)


def nothing_to_do(design: Design) -> bool:
    assert (design.before, design.after, design.drift, design.stops) == ((), (), (), ())
    return True


def test_one_of_everything_arrives(pair: Pair) -> None:
    load(pair.server, pair.here, "hostile-structure.sql")
    pair.source(
        f"insert into {_BIG} (n, code, mood) values (1000, 'A1', 'sad'), (2000, 'B2', '好')",
        "insert into plain.kinds values ('x'), ('y')",
        "insert into plain.events (id, at, region) values (1, '2025-05-05', 'eu'), (2, '2026-05-05', null)",
        "insert into plain.events (id, at, kind, note) values (3, '2031-01-01', 'y', '')",
        "insert into plain.dog (id, owner, born) values (1, 'me', now())",
    )
    wanted = pair.wanted()
    made = pair.replicate(wanted)
    here, there = pair.dumps()
    assert here == there
    assert made.drift == ()
    assert nothing_to_do(pair.design(wanted))
    last = "select schemaname, sequencename, last_value from pg_sequences order by 1, 2"
    assert pair.target(last) == pair.source(last)


def test_nothing_is_followed_that_is_not_needed(pair: Pair) -> None:
    load(pair.server, pair.here, "hostile-structure.sql")
    wanted = pair.wanted("plain.animal")
    made = pair.replicate(wanted)
    assert len(made.before) == 2  # the schema and the table
    assert pair.target("select count(*) from pg_type where typtype in ('d', 'e', 'r')") == pair.target(
        "select count(*) from pg_type where typtype in ('d', 'e', 'r') and oid < 16384"
    )
    assert nothing_to_do(pair.design(wanted))


def moved(name: TableName) -> TableName:
    return TableName({"plain": "other", 'Sch "e" 🦆': "mine"}.get(name.schema, name.schema), name.name)


def test_tables_move_to_other_schemas_with_what_is_theirs(pair: Pair) -> None:
    load(pair.server, pair.here, "hostile-structure.sql")
    wanted = pair.wanted(into=moved)
    pair.replicate(wanted)
    assert nothing_to_do(pair.design(wanted))
    here, there = pair.dumps(r"CREATE SCHEMA|COMMENT ON SCHEMA")
    stay = ("mood", "positive", "code", "address", "span", '"Outer"', "checked", "inner_step", "twice", "atomic",
            "is_code", "calls_later", "made_later", "shared", "span_multirange", "spanmultirange")  # fmt: skip
    renamed = []
    for statement in here:
        text = statement.replace('"Sch ""e"" 🦆".', "mine.").replace("plain.", "other.")
        for name in stay:
            text = text.replace(f"other.{name}", f"plain.{name}")
        renamed.append(text.replace('mine."Free seq"', '"Sch ""e"" 🦆"."Free seq"'))
    assert sorted(there) == sorted(renamed)


def _renamed(wish: Wanted, **names: str | None) -> Wanted:
    """The wish with columns renamed, or left out where the new name is None."""
    columns = tuple(
        c.renamed(names.get(c.name) or c.name) for c in wish.columns if names.get(c.name, "") is not None
    )  # fmt: skip
    return replace(wish, columns=columns)


def test_renamed_and_missing_columns_are_followed_through_keys_and_expressions(pair: Pair) -> None:
    pair.source(
        "create table customer (id integer primary key, email text, secret text)",
        "create table orders (id integer primary key, customer integer references customer (id), total numeric,"
        " text text, secret text, made numeric generated always as (total * 2) stored,"
        " hidden text generated always as (secret || 'x') stored,"
        " constraint positive check (total > 0 and text::text <> 'total'), constraint hush check (secret <> ''))",
        "create index on orders (lower(text), total) where total > 5",
        "create index with_secret on orders (customer) where secret is not null",
        "create statistics st on total, text from orders",
        "create unique index on customer (email)",
    )
    customer, orders = pair.wanted("public.customer", "public.orders")
    wanted = [
        replace(_renamed(customer, id="customer no", email="text", secret=None), table=TableName("crm", "Customer")),
        replace(_renamed(orders, customer="buyer", total="the sum", text="id text", secret=None),
                table=TableName("crm", "orders")),
    ]  # fmt: skip
    made = pair.replicate(wanted)
    assert nothing_to_do(pair.design(wanted))
    defs = dict(pair.target("select conname, pg_get_constraintdef(oid) from pg_constraint where conrelid <> 0"))
    assert '"the sum" > ' in defs["positive"] and "'total'::text" in defs["positive"]
    assert defs["orders_customer_fkey"] == 'FOREIGN KEY (buyer) REFERENCES crm."Customer"("customer no")'
    index = pair.target("select pg_get_indexdef('crm.orders_lower_total_idx'::regclass)")[0][0]
    assert index.endswith('USING btree (lower("id text"), "the sum") WHERE ("the sum" > (5)::numeric)')
    generated = pair.target("select attname from pg_attribute where attgenerated <> ''")
    assert generated == [("made",)]
    lost = "\n".join(made.losses)
    for name in ("constraint hush needs", "index with_secret needs", "generated column hidden needs"):
        assert name in lost


def test_what_only_a_left_out_column_needs_is_not_made(pair: Pair) -> None:
    pair.source("create type odd as enum ('a')", "create table t (id integer primary key, x odd default 'a')")
    wanted = [_renamed(w, x=None) for w in pair.wanted("public.t")]
    pair.replicate(wanted)
    assert pair.target("select count(*) from pg_type where typname = 'odd'") == [(0,)]
    assert nothing_to_do(pair.design(wanted))


def test_an_heir_keeps_a_column_that_its_parent_leaves_out(pair: Pair) -> None:
    pair.source("create table a (id int, x text default 'd')", "create table b (y int) inherits (a)")
    parent, heir = pair.wanted("public.a", "public.b")
    wanted = [_renamed(parent, x=None), heir]
    pair.replicate(wanted)
    assert nothing_to_do(pair.design(wanted))
    assert pair.target("insert into b default values returning x") == [("d",)]


def test_a_parent_that_is_not_copied_is_declared(pair: Pair) -> None:
    pair.source("create table a (id int check (id > 0))", "create table b (y int) inherits (a)")
    wanted = pair.wanted("public.b")
    made = pair.replicate(wanted)
    assert "public.b: its parent is not copied; it becomes a table of its own" in made.losses
    assert nothing_to_do(pair.design(wanted))
    assert pair.target("select count(*) from pg_constraint where conname = 'a_id_check'") == [(1,)]


def test_what_rows_are_divided_by_cannot_be_left_out(pair: Pair) -> None:
    pair.source("create table p (id int, at date) partition by range (at)")
    with pytest.raises(Stop, match="rows are divided by column at, which is left out"):
        pair.design([_renamed(w, at=None) for w in pair.wanted()])


def test_a_foreign_key_to_a_table_that_is_not_there_is_declared(pair: Pair) -> None:
    pair.source("create table a (id integer primary key)", "create table b (a integer references a)")
    wanted = pair.wanted("public.b")
    made = pair.replicate(wanted)
    assert "public.b: foreign key b_a_fkey points to public.a, which the target does not have" in made.losses
    pair.target("create table a (id integer primary key)")
    late = pair.design(wanted)
    assert [s for s in late.after if "b_a_fkey" in s]


def test_a_view_of_the_source_becomes_a_table_with_the_key_of_the_sync(pair: Pair) -> None:
    pair.source(
        "create type m as enum ('x')", "create view v as select 1::bigint as id, 'x'::m as m, 2.5::numeric(9,2) as n"
    )
    wanted = [replace(w, key=("id",)) for w in pair.wanted("public.v", kinds="v")]
    wanted = [replace(w, source=replace(w.source, kind=type(w.source.kind).VIEW)) for w in wanted]
    made = pair.design(wanted)
    pair.build([*made.before, *made.after])
    assert nothing_to_do(pair.design(wanted))
    shape = "select format_type(atttypid, atttypmod), attnotnull from pg_attribute"
    assert pair.target(f"{shape} where attrelid = 'v'::regclass and attnum > 0") == [
        ("bigint", True),
        ("m", False),
        ("numeric(9,2)", False),
    ]
    assert "public.v: a view of the source becomes a table" in made.losses


def test_positions_read_after_the_rows_are_never_behind_them(pair: Pair) -> None:
    pair.source("create table t (id serial primary key)", "insert into t select from generate_series(1, 5)")
    wanted = pair.wanted()
    made = pair.design(wanted)
    pair.build(made.before)
    pair.source("insert into t select from generate_series(1, 5)")
    pair.copy(wanted)
    pair.build(made.after)
    pair.build(pair.positions(wanted))
    assert pair.target("insert into t default values returning id") == [(11,)]
    assert pair.positions(wanted) == ()  # further on in the target: never set back
