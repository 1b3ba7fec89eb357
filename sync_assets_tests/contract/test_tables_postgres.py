"""What only PostgreSQL has, as source and target of tables: slices, digests, images, swaps, zombies, silence."""

from __future__ import annotations

import itertools
import random
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest

from sync_assets.databases.base import ConnectionArgs
from sync_assets.databases.postgres.tables import PostgresTables, open_tables
from sync_assets.databases.postgres.tables.canonical import canonical
from sync_assets.databases.postgres.tables.writer import PostgresWriter
from sync_assets.engine.errors import BadBatch, Fenced, Retry, Stop
from sync_assets.engine.model import ColumnType, Counts
from sync_assets.engine.tables.buckets import hashings
from sync_assets.engine.tables.canonical import canonical_text
from sync_assets.engine.tables.reading import Condition, Form, Selection
from sync_assets.engine.tables.shape import ColumnShape, TableKind, TableName
from sync_assets.engine.tables.writing import Merge
from sync_assets.testing.proxy import Proxy
from sync_assets_tests.fix_servers import ScratchDatabase

T = TableName("public", "t")


@pytest.fixture
def tables(pg_db: ScratchDatabase) -> Iterator[PostgresTables]:
    with closing(open_tables(pg_db.args)) as made:
        yield made


@contextmanager
def writing(tables: PostgresTables, sync: str = "s", token: int = 1) -> Iterator[PostgresWriter]:
    tables.open_ledger()
    tables.take_over(sync, token)
    with closing(tables.writer(sync, token)) as writer:
        yield writer


def whole(tables: PostgresTables, name: TableName = T) -> Selection:
    shape = tables.shapes([name])[name]
    return Selection(name, shape.columns, key=shape.key)


def ids(tables: PostgresTables, pieces: Sequence[Selection]) -> list[str]:
    """The first column of all rows of the pieces, sorted."""
    names = sorted({p.table for p in pieces if p.table})
    with tables.snapshot(names, 1) as snapshot, closing(snapshot.reader()) as reader:
        blocks = (reader.rows(p, Form.LINES, p.columns, "postgres") for p in pieces)
        lines = b"".join(itertools.chain.from_iterable(blocks)).decode().splitlines()
    return sorted(line.split("\t")[0] for line in lines)


# -- slices


@pytest.mark.parametrize("order, by_key", [("i", True), ("random()", False)])
def test_slices_go_by_key_only_where_it_is_the_order_on_disk(
    pg_db: ScratchDatabase, tables: PostgresTables, order: str, by_key: bool
) -> None:
    pg_db.execute(
        "create table t (id bigint primary key, s text)",
        f"insert into t select i * 97 - 400000, repeat('x', 200) from generate_series(1, 9000) i order by {order}",
        "analyze t",
    )
    pg_db.execute("insert into t select i, 'late' from generate_series(-9000000, -8999990) i")
    with tables.snapshot([T], 2) as snapshot:
        pieces = snapshot.slices(whole(tables), 200_000)
    assert len(pieces) > 5
    assert all(bool(p.conditions) is by_key and (p.pages is None) is by_key for p in pieces)
    assert ids(tables, pieces) == sorted(str(r[0]) for r in pg_db.execute("select id from t"))


def test_slices_of_partitions_and_of_children_hold_every_row_once(
    pg_db: ScratchDatabase, tables: PostgresTables
) -> None:
    pg_db.execute(
        "create table t (id bigint, s text) partition by range (id)",
        *(f"create table t{n} partition of t for values from ({n * 1000}) to ({n * 1000 + 1000})" for n in range(4)),
        "create table rest partition of t default",
        "insert into t select i, repeat('x', 300) from generate_series(-500, 5000) i",
        "create table parent (id bigint, s text)", "create table child () inherits (parent)",
        "insert into parent values (1, 'p')", "insert into child select i, 'c' from generate_series(2, 3000) i",
        "analyze",
    )  # fmt: skip
    with tables.snapshot([T], 2) as snapshot:
        pieces = snapshot.slices(whole(tables), 100_000)
        parent = snapshot.slices(whole(tables, TableName("public", "parent")), 10_000)
    assert len(pieces) > 8
    assert len(ids(tables, pieces)) == len(set(ids(tables, pieces))) == 5501
    assert len(parent) == 1 and len(set(ids(tables, parent))) == 3000
    names = {e.name.name: e.kind for e in tables.tables()}
    assert names["t"] is TableKind.PARTITIONED
    assert "rest" not in names


# -- canonical texts and digests


def _doubles(count: int) -> Iterator[float]:
    dice = random.Random(20)
    yield from (float(dice.randrange(2**53, 2**53 * 10 ** dice.randrange(1, 20))) for _ in range(count))
    yield from (0.0, -0.0, 1.0, -1.5, 0.1, 1e22, 1e23, 5e-324, 1.7976931348623157e308, 2.2250738585072014e-308, 1e-7)
    while count := count - 1:
        value = struct.unpack("d", dice.randbytes(8))[0]
        if value == value and abs(value) != float("inf"):
            yield value


def test_floats_have_the_canonical_text_of_python(pg_db: ScratchDatabase, tables: PostgresTables) -> None:
    column = ColumnShape("f", ColumnType.FLOAT, "double precision", bits=64)
    values = list(_doubles(3000))
    rows = tables.ask(f"select {canonical(column)} from unnest(%s::float8[]) with ordinality t(f, n) order by n",
                      (values,))  # fmt: skip
    assert [r[0] for r in rows] == [canonical_text(v, ColumnType.FLOAT) for v in values]
    odd = tables.ask(f"select {canonical(column)} from unnest('{{NaN,inf,-inf}}'::float8[]) t(f)")
    assert [r[0] for r in odd] == ["NaN", "Infinity", "-Infinity"]
    single = replace(column, native="real", bits=32)
    rows = tables.ask(f"select {canonical(single)} from (values (0.1::real)) t(f)")
    assert rows == [(canonical_text(struct.unpack("f", struct.pack("f", 0.1))[0], ColumnType.FLOAT),)]


@pytest.mark.parametrize(
    "native, value, text",
    [
        ("numeric", "1.500", "1.5"), ("numeric", "100", "100"), ("numeric(9,2)", "0", "0"), ("numeric", "NaN", "NaN"),
        ("numeric(9,2)", "10", "10"), ("date", "0044-03-15 BC", "0044-03-15 BC"), ("boolean", "t", "1"),
        ("timestamp", "2024-01-02 03:04:05.1", "2024-01-02 03:04:05.100000"), ("timestamp", "infinity", "infinity"),
        ("timestamptz", "2024-01-02 03:04:05+08", "2024-01-01 19:04:05.000000"), ("time", "24:00", "24:00:00.000000"),
        ("timestamp", "0001-01-01 BC", "0001-01-01 00:00:00.000000 BC"), ("timetz", "10:00-03:30",
        "10:00:00.000000-03:30"), ("bytea", "\\xDEAD", "dead"), ("char(5)", "ab", "ab"), ("inet", "10.0.0.1",
        "10.0.0.1"), ("inet", "10.0.0.1/8", "10.0.0.1/8"), ("interval", "1 day 25:00", "P1DT25H"),
        ("text[]", '{a,"b \\"c\\""}', '["a","b \\"c\\""]'), ("uuid", "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"), ("oid", "4294967295", "4294967295"),
    ],
)  # fmt: skip
def test_values_have_one_text(
    pg_db: ScratchDatabase, tables: PostgresTables, native: str, value: str, text: str
) -> None:
    pg_db.execute(f"create table t (id int primary key, v {native})", f"insert into t values (1, '{value}')")
    column = tables.shapes([T])[T].columns[1]
    assert tables.ask(f"select {canonical(column)} from t") == [(text,)]


@pytest.mark.parametrize(
    "native, one, other",
    [
        ("numeric", "1.0", "1.00"), ("float8", "0.0", "-0.0"), ("interval", "1 day", "24:00"),
        ("jsonb", '{"a": 1.0}', '{"a": 1.00}'), ("json", '{"a":1}', '{"a": 1}'), ("text", "a", "a "),
        ("point", "(1,2)", "(1,3)"), ("numeric[]", "{1.0}", "{1.00}"), ("box", "((1,1),(0,0))", "((1,1),(0,0.5))"),
    ],
)  # fmt: skip
def test_what_is_equal_but_not_the_same_is_seen(
    pg_db: ScratchDatabase, tables: PostgresTables, native: str, one: str, other: str
) -> None:
    """By the digest of records, and by a merge, which makes them the same."""
    pg_db.execute(
        f"create table t (id int primary key, v {native})", f"create table u (id int primary key, v {native})",
        f"insert into t values (1, '{one}')", f"insert into u values (1, '{other}')",
    )  # fmt: skip
    u = TableName("public", "u")
    columns = tables.shapes([T, u])[T].columns
    both = tables.hashing(tables, columns, columns, ("id",), 1)
    assert both is not None and both[0].kind == "record"
    with tables.snapshot([T, u], 1) as snapshot, closing(snapshot.reader()) as reader:
        sums = [next(iter(reader.buckets(Selection(n, columns), both[0]))).sum for n in (T, u)]
        assert sums[0] != sums[1]
    with writing(tables) as writer, writer.batch("b"):
        how = Merge(("id",), columns)
        assert writer.merge(u, T, how) == Counts(read=1, updated=1)
        assert writer.merge(u, T, how) == Counts(read=1, unchanged=1)
    assert pg_db.execute("select v::text from t") == pg_db.execute("select v::text from u")


def test_rows_of_many_buckets_are_found_by_the_index_where_there_are_no_statistics(
    pg_db: ScratchDatabase, tables: PostgresTables
) -> None:
    pg_db.execute(
        f"create table t (id bigint primary key, {', '.join(f'c{n} timestamp default now()' for n in range(12))})"
        " with (autovacuum_enabled = off, parallel_workers = 4)",
        "insert into t select i from generate_series(1, 20000) i",
    )
    columns = whole(tables).columns
    hashing, _ = hashings("portable", columns, columns, ["id"], 20_000)
    with tables.snapshot([T], 1) as snapshot, closing(snapshot.reader()) as reader:
        found = dict(reader.hashes(whole(tables), hashing, range(0, 600, 2)))
        scans = reader._ask("select seq_scan, idx_scan from pg_stat_xact_user_tables where relname = 't'")
        reader.count(whole(tables))
        usual = reader._ask("select current_setting('enable_seqscan')")
    assert len(found) == 300 * 32 - 1
    assert scans == [(0, 300)]
    assert usual == [("on",)]


def test_enums_hash_alike_in_two_databases(pg_db: ScratchDatabase, tables: PostgresTables) -> None:
    """Their numbers differ; their labels count."""
    pg_db.execute("create type one as enum ('a', 'b')", "create type two as enum ('b', 'a')",
                  "create table t (id int primary key, v one)", "create table u (id int primary key, v two)",
                  "insert into t values (1, 'a')", "insert into u values (1, 'a')")  # fmt: skip
    u = TableName("public", "u")
    shapes = tables.shapes([T, u])
    here, there = hashings("record", shapes[T].columns, shapes[u].columns, ("id",), 1)
    with tables.snapshot([T, u], 1) as snapshot, closing(snapshot.reader()) as reader:
        pairs = ((T, here), (u, there))
        assert len({next(iter(reader.buckets(Selection(n, h.columns), h))).sum for n, h in pairs}) == 1


def test_binary_is_for_types_that_mean_the_same_everywhere(pg_db: ScratchDatabase, tables: PostgresTables) -> None:
    pg_db.execute(
        "create type mood as enum ('a')", "create type pair as (a int, b text)", "create domain posint as int",
        "create table t (i int, e mood, d posint, v varchar(9), p pair, ea mood[], r regclass, n numeric(9,2))",
    )  # fmt: skip
    columns = {c.name: c for c in tables.shapes([T])[T].columns}
    seen = {n: tables.forms("postgres", [(c, c)])[0] for n, c in columns.items()}
    assert {n for n, form in seen.items() if form is Form.PG_BINARY} == {"i", "e", "d", "v", "n"}
    assert tables.forms("postgres", [(columns["i"], columns["n"])]) == [Form.LINES]
    assert tables.forms("mysql", [(columns["i"], columns["i"])]) == [Form.LINES]


# -- conditions


@pytest.mark.parametrize(
    "native, value, text",
    [("varchar(3)", "abc", "abcd"), ("float8", "1e-5", "0.1e-4"), ("bytea", "\\x00ff", "00ff"), ("numeric(4,1)", "1.2",
     "1.24"), ("text[]", "{a,b}", '["a","b"]'), ("boolean", "t", "1")],
)  # fmt: skip
def test_conditions_compare_with_the_value_and_not_with_a_cut_one(
    pg_db: ScratchDatabase, tables: PostgresTables, native: str, value: str, text: str
) -> None:
    pg_db.execute(f"create table t (v {native})", f"insert into t values ('{value}')")
    with tables.snapshot([T], 1) as snapshot, closing(snapshot.reader()) as reader:
        same = text not in ("abcd", "1.24")
        assert reader.count(whole(tables).having(Condition("v", "=", text))) == same
        assert reader.count(whole(tables).having(Condition("v", "<=", text))) == 1


# -- swaps


def _furnished(pg_db: ScratchDatabase) -> None:
    pg_db.execute(
        "create table parent (id int primary key)", "insert into parent values (1)", "create role auditor",
        "create table t (id bigint generated always as identity (increment 5) primary key, no serial, s text default "
        "'x' not null, p int references parent, twice int generated always as (p * 2) stored, "
        "constraint \"Odd name\" unique (s, no), check (p > 0), exclude using btree (no with =)) with (fillfactor=70)",
        "create index \"by S\" on t (lower(s)) include (p) where p > 0", "comment on table t is 'it''s'",
        "comment on column t.s is 'text'", "comment on index \"by S\" is 'idx'", "grant select on t to auditor",
        "grant update (s) on t to public", "alter table t replica identity using index t_pkey",
        "insert into t (s, p) select 'r' || i, 1 from generate_series(1, 10) i",
    )  # fmt: skip


_LOOKS = (
    "select column_name, column_default, is_identity, identity_increment, is_nullable, generation_expression,"
    " col_description('t'::regclass, ordinal_position) from information_schema.columns where table_name = 't'"
    " order by 1",
    "select pg_get_indexdef(indexrelid), indisreplident, obj_description(indexrelid) from pg_index"
    " where indrelid = 't'::regclass order by 1",
    "select conname, pg_get_constraintdef(oid) from pg_constraint where conrelid = 't'::regclass order by 1",
    "select relacl::text, reloptions, relreplident, obj_description(oid), pg_get_userbyid(relowner) from pg_class"
    " where oid = 't'::regclass",
    "select pg_get_serial_sequence('t', 'id'), pg_get_serial_sequence('t', 'no')",
    "select attacl::text from pg_attribute where attrelid = 't'::regclass and attname = 's'",
)


def test_a_swapped_table_is_furnished_like_the_old_one(pg_db: ScratchDatabase, tables: PostgresTables) -> None:
    _furnished(pg_db)
    try:
        before = [pg_db.execute(look) for look in _LOOKS]
        columns = tables.shapes([T])[T].writable
        with writing(tables) as writer:
            twin = writer.twin(T)
            rows = [b"%d\t%d\tnew\t1\n" % (i, i) for i in range(100, 103)]
            with writer.batch("load"):
                assert writer.load(twin, columns, Form.LINES, rows) == 3
            assert writer.swap(twin, T, "swap", position="p")
        assert tables.peek("s").position == "p" and tables.peek("s").epoch == 1
        assert [pg_db.execute(look) for look in _LOOKS] == before
        pg_db.execute("insert into t (s) values ('next')")
        assert pg_db.execute("select id, no from t where s = 'next'") == [(51, 11)]
        assert pg_db.execute("select count(*) from t") == [(4,)]
        assert pg_db.execute("select count(*) from pg_class where relnamespace = 'sync_assets'::regnamespace"
                             " and relname like 'twin%'") == [(0,)]  # fmt: skip
    finally:
        pg_db.execute("drop owned by auditor", "drop role auditor")


@pytest.mark.parametrize(
    "hanging",
    ["create view v as select * from t", "create table c (id int references t)", "create policy p on t",
     "create table c () inherits (t)", "create publication pub for table t", "create table c (r t)",
     "create rule r as on delete to t do also nothing", "create materialized view m as select id from t",
     "create function f() returns trigger language plpgsql as 'begin return new; end';"
     " create trigger g before insert on t for each row execute function f()"],
)  # fmt: skip
def test_a_table_on_which_things_hang_is_not_swapped(
    pg_db: ScratchDatabase, tables: PostgresTables, hanging: str
) -> None:
    pg_db.execute("create table t (id int primary key)", "insert into t values (1)", hanging)
    before = pg_db.execute("select 't'::regclass::oid")
    with writing(tables) as writer:
        twin = writer.twin(T)
        assert not writer.swap(twin, T, "swap")
        writer.drop(twin)
    assert pg_db.execute("select 't'::regclass::oid") == before
    assert tables.peek("s").epoch == 0


# -- the fence


def test_a_stopped_holder_does_not_hold_up_its_successor(pg_db: ScratchDatabase, tables: PostgresTables) -> None:
    """It keeps its transaction open in mid-batch for as long as it sleeps: its connection is ended."""
    pg_db.execute("create table t (id int primary key)")
    columns = tables.shapes([T])[T].columns
    with closing(open_tables(pg_db.args)) as other, writing(tables) as writer:
        with pytest.raises((Fenced, Retry)), writer.batch("b1"):
            writer.load(T, columns, Form.LINES, [b"1\n"])
            began = time.monotonic()
            assert other.take_over("s", 2).token == 2
            assert time.monotonic() - began < 20
        with pytest.raises((Fenced, Retry)), tables.writer("s", 1).batch("b2"):
            raise AssertionError("an old token got in")
    assert pg_db.execute("select count(*) from t") == [(0,)]


def test_the_batch_that_ended_a_run_takes_effect_once(pg_db: ScratchDatabase, tables: PostgresTables) -> None:
    """Its answer may be lost like any other's, and the ledger has forgotten the epoch by then."""
    pg_db.execute("create table t (id int)")
    with writing(tables) as writer:
        for turn in range(2):
            with writer.batch("last", position="p", ends=True) as todo:
                assert todo is (turn == 0)
        twin = writer.twin(T)
        assert writer.swap(twin, T, "swap") and writer.swap(twin, T, "swap")
        assert tables.peek("s").epoch == 2
        with pytest.raises(Stop, match="is gone"):
            writer.swap(twin, T, "another")


def test_a_lane_is_served_while_another_is_in_a_batch(pg_db: ScratchDatabase, tables: PostgresTables) -> None:
    pg_db.execute("create table t (id int)")
    columns = tables.shapes([T])[T].columns
    with writing(tables) as one, closing(tables.writer()) as other, one.batch("b1"):
        one.load(T, columns, Form.LINES, [b"1\n"])
        assert other.serve("s", 1).token == 1
        with other.batch("b2", position="p") as todo:
            assert todo and other.load(T, columns, Form.LINES, [b"2\n"]) == 1
    assert tables.peek("s").applied == {"b1", "b2"}


# -- trouble


@pytest.mark.parametrize(
    "line, said",
    [(b"x\ta\t1\n", "column id"), (b"1\tabcdef\t1\n", "the column|its column|column s"), (b"1\t\\N\t1\n", "column s"),
     (b"0\ta\t1\n", "t_pkey"), (b"1\ta\t-1\n", "positive"), (b"1\ta\t7\n", "to_parent"),
     (b"1\ta\x00\t1\n", "character")],
)  # fmt: skip
def test_a_row_that_does_not_fit_is_named_by_its_place(
    pg_db: ScratchDatabase, tables: PostgresTables, line: bytes, said: str
) -> None:
    pg_db.execute(
        "create table parent (id int primary key)", "insert into parent values (1), (-1)",
        "create table t (id int primary key, s varchar(3) not null, p int constraint positive check (p > 0) "
        "constraint to_parent references parent)", "insert into t values (0, 'a', 1)",
    )  # fmt: skip
    columns = tables.shapes([T])[T].columns
    with writing(tables) as writer, writer.batch("b"):
        with pytest.raises(BadBatch, match=said) as caught:
            writer.try_load(T, columns, [line])
        assert "abcdef" not in str(caught.value)
        writer.try_load(T, columns, [b"2\tok\t1\n"])
    assert pg_db.execute("select count(*) from t") == [(2,)]


def test_a_refused_load_is_not_sent_to_its_end(pg_db: ScratchDatabase, tables: PostgresTables) -> None:
    pg_db.execute("create table t (id int primary key)")
    columns, sent = tables.shapes([T])[T].columns, 0

    def blocks() -> Iterator[bytes]:
        nonlocal sent
        yield b"no number\n"
        for sent in range(5000):
            yield b"".join(b"%d\n" % i for i in range(sent * 2000, sent * 2000 + 2000))

    with (
        closing(open_tables(replace(pg_db.args, tls="off"))) as plain, writing(plain) as writer,
        pytest.raises(BadBatch), writer.batch("b"),
    ):  # fmt: skip
        writer.load(T, columns, Form.LINES, blocks())
    assert sent < 4000


def test_a_server_that_falls_silent_is_given_up(pg_db: ScratchDatabase) -> None:
    pg_db.execute("create table t (id int primary key, s text)",
                  "insert into t select i, repeat('x', 1000) from generate_series(1, 20000) i")  # fmt: skip
    with Proxy(pg_db.args.host, pg_db.args.port) as proxy:
        args: ConnectionArgs = replace(pg_db.args, host=proxy.host, port=proxy.port, silent_seconds=2, query_seconds=1)
        with closing(open_tables(args)) as tables, tables.snapshot([T], 2) as snapshot:
            selection, reader = whole(tables), snapshot.reader()
            blocks = reader.rows(selection, Form.PG_BINARY, selection.columns, "postgres")
            next(blocks)
            proxy.silence()
            began = time.monotonic()
            with pytest.raises(Retry, match="said nothing"):
                list(blocks)
            with pytest.raises(Retry, match="said nothing"):
                tables.ask("select 1")
            assert time.monotonic() - began < 15


def test_who_may_not_make_the_ledger_is_told_what_to_ask_for(pg_db: ScratchDatabase) -> None:
    assert pg_db.server is not None
    database = pg_db.args.database
    pg_db.server.create_user("plain_user", "pw", database=database)
    try:
        args = replace(pg_db.args, user="plain_user", open_password=lambda: "pw")
        with closing(open_tables(args)) as tables, pytest.raises(Stop) as caught:
            tables.open_ledger()
        assert caught.value.message.endswith(f": the ledger of sync_assets could not be made in database {database}")
        assert f'grant create on database "{database}" to "plain_user"' in caught.value.hint
        assert 'create schema sync_assets authorization "plain_user"' in caught.value.hint
        pg_db.execute("create schema sync_assets")
        with closing(open_tables(args)) as tables, pytest.raises(Stop) as caught:
            tables.open_ledger()
        assert "the ledger of sync_assets could not be made" in caught.value.message
        assert "grant usage, create on schema sync_assets" in caught.value.hint
        pg_db.execute("drop schema sync_assets", f'grant create on database "{database}" to plain_user')
        with closing(open_tables(args)) as tables:
            tables.open_ledger()
        pg_db.execute("drop owned by plain_user cascade")
    finally:
        pg_db.server.drop_user("plain_user")


def test_the_oldest_writer_is_somebody_else(pg_db: ScratchDatabase, tables: PostgresTables) -> None:
    pg_db.execute("create table t (id int)")
    with tables.snapshot([T], 2) as snapshot, closing(snapshot.reader()):
        assert tables.oldest_writer() is None
        assert pg_db.server is not None
        with closing(pg_db.server.connect(pg_db.args.database)) as other:
            other.execute("begin")
            now = "to_char(now() at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')"
            began = other.execute(f"insert into t values (1) returning {now}").fetchone()[0]
            assert tables.oldest_writer() == began


def test_keys_must_be_unique_and_there_in_the_stage(pg_db: ScratchDatabase, tables: PostgresTables) -> None:
    pg_db.execute("create table t (id int, s text)")
    columns = tables.shapes([T])[T].columns
    for rows, said in ((b"1\ta\n1\tb\n2\tc\n", "not unique: 1 keys"), (b"\\N\ta\n", "NULL in 1 rows")):
        with writing(tables) as writer:
            stage = writer.stage(T, columns)
            with pytest.raises(Stop, match=said), writer.batch("b"):
                writer.load(stage, columns, Form.LINES, [rows])
                writer.merge(stage, T, Merge(("id",), columns))
            writer.drop(stage)
    with writing(tables) as writer, pytest.raises(Stop, match="no table of ours"):
        writer.drop(T)


def test_a_reader_gives_way_to_an_alter_table_that_waits_for_us(pg_db: ScratchDatabase) -> None:
    """The holder of the snapshot is idle, so the server sees no deadlock: without a limit both would wait for ever."""
    pg_db.execute("create table t (id bigint primary key)", "insert into t values (1)")
    with closing(open_tables(pg_db.args)) as tables:
        shape = tables.shapes([T])[T]
        with tables.snapshot([T], 2) as snapshot:
            assert pg_db.server is not None
            altering = pg_db.server.connect(pg_db.args.database)
            altering.pgconn.send_query(b"alter table t add column n int")  # waits for the holder
            time.sleep(0.3)
            with pytest.raises(Retry, match="locked"):
                snapshot.reader().count(Selection(T, shape.columns))
        altering.close()
