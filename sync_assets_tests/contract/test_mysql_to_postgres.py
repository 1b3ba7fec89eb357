"""Rows of MariaDB as PostgreSQL's COPY BINARY: every type, every length, NULLs anywhere, and what is refused.

What arrives is read by psycopg and compared with what was written as text, never with our own reading.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
import pymysql
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg.types.string import TextLoader

from sync_assets.databases.base import open_tables
from sync_assets.databases.mysql import to_postgres
from sync_assets.databases.mysql.to_postgres.packets import BLOCK, Frames
from sync_assets.engine.errors import BadBatch
from sync_assets.engine.model import ColumnType as T
from sync_assets.engine.tables.reading import Form, Moved, Selection
from sync_assets.engine.tables.shape import ColumnShape
from sync_assets.testing.servers import Server
from sync_assets_tests.fix_servers import ScratchDatabase


class Pair:
    """A connection to each side; `copy` moves the rows of a statement into a table of PostgreSQL."""

    def __init__(self, mine: ScratchDatabase, theirs: ScratchDatabase) -> None:
        assert mine.server is not None and theirs.server is not None
        self.mine: Any = mine.server.connect(mine.args.database)
        self.mine.query("set time_zone = '+00:00'")
        self.theirs: psycopg.Connection[Any] = theirs.server.connect(theirs.args.database)
        self.theirs.execute("set timezone = 'UTC'")

    def close(self) -> None:
        self.mine.close()
        self.theirs.close()

    def make(self, mine: Sequence[str], theirs: Sequence[str]) -> None:
        for connection, types in ((self.mine, mine), (self.theirs, theirs)):
            columns = ", ".join(f"c{n} {type}" for n, type in enumerate(types))
            cursor = connection.cursor()
            cursor.execute("drop table if exists t")
            cursor.execute(f"create table t ({columns})")
            cursor.close()
        self.into = [shape(type, name=f"c{n}") for n, type in enumerate(theirs)]

    def insert(self, rows: Sequence[Sequence[Any]]) -> None:
        marks = ", ".join(["%s"] * len(rows[0]))
        with self.mine.cursor() as cursor:
            cursor.execute("set sql_mode = ''")
            cursor.executemany(f"insert into t values ({marks})", rows)

    def blocks(self, *statements: str) -> Iterator[bytes]:
        self.moved = Moved()
        return to_postgres.rows(self.mine, statements or ["select * from t"], self.into, "connection shop", self.moved)

    def copy(self, *statements: str) -> list[tuple[Any, ...]]:
        self.theirs.execute("truncate t")
        wire = self.theirs.pgconn
        wire.exec_(b"copy t from stdin (format binary)")
        for block in self.blocks(*statements):
            wire.put_copy_data(block)
        wire.put_copy_end()
        result = wire.get_result()
        assert result is not None and result.status == psycopg.pq.ExecStatus.COMMAND_OK, result
        wire.get_result()
        return self.theirs.execute("select * from t").fetchall()

    def first(self, type: str, into: str, literal: str) -> Any:
        """What one value, written as SQL, becomes on the other side."""
        self.make([type], [into])
        with self.mine.cursor() as cursor:
            cursor.execute("set sql_mode = 'ALLOW_INVALID_DATES'")
            cursor.execute(f"insert into t values ({literal})")
        return self.copy()[0][0]


@pytest.fixture
def pair(my_db: ScratchDatabase, pg_db: ScratchDatabase) -> Iterator[Pair]:
    found = Pair(my_db, pg_db)
    yield found
    found.close()


def shape(native: str, type: T = T.OTHER, name: str = "c", **more: Any) -> ColumnShape:
    return ColumnShape(name=name, type=type, native=native, **more)


VALUES: list[tuple[str, str, str, Any]] = [
    ("tinyint(1)", "boolean", "1", True), ("tinyint(1)", "boolean", "0", False), ("bit(1)", "boolean", "b'1'", True),
    ("bit(1)", "boolean", "b'0'", False), ("tinyint", "smallint", "-128", -128),
    ("tinyint unsigned", "smallint", "255", 255), ("smallint", "smallint", "-32768", -32768),
    ("smallint unsigned", "integer", "65535", 65535), ("mediumint", "integer", "-8388608", -8388608),
    ("mediumint unsigned", "integer", "16777215", 16777215), ("int", "integer", "-2147483648", -2147483648),
    ("int unsigned", "bigint", "4294967295", 4294967295), ("bigint", "bigint", "-9223372036854775808", -(2**63)),
    ("bigint unsigned", "numeric(20,0)", "18446744073709551615", Decimal(2**64 - 1)),
    ("bigint unsigned", "bigint", "9223372036854775807", 2**63 - 1), ("bigint", "numeric", "-10000", Decimal(-10000)),
    ("bigint", "numeric", "-9223372036854775808", Decimal(-(2**63))),
    ("bigint", "numeric", "0", Decimal(0)), ("int zerofill", "bigint", "7", 7), ("year", "smallint", "2155", 2155),
    ("float", "real", "1.17549435e-38", 1.1754944e-38), ("float", "double precision", "0.1", 0.10000000149011612),
    ("double", "double precision", "-1.7976931348623157e308", -1.7976931348623157e308),
    ("double", "double precision", "5e-324", 5e-324), ("double", "double precision", "0.1", 0.1),
    ("decimal(5,0)", "numeric(5,0)", "-99999", Decimal(-99999)),
    ("decimal(1,1)", "numeric(1,1)", "0.1", Decimal("0.1")),
    ("decimal(1,0)", "numeric(1,0)", "0", Decimal(0)),
    ("decimal(18,4)", "numeric(18,4)", "-0.0001", Decimal("-0.0001")),
    ("decimal(18,4)", "numeric", "10000", Decimal("10000.0000")),
    ("decimal(65,30)", "numeric(65,30)", "-" + "9" * 35 + "." + "9" * 30, Decimal("-" + "9" * 35 + "." + "9" * 30)),
    ("decimal(65,0)", "numeric(65,0)", "1" + "0" * 64, Decimal("1" + "0" * 64)),
    ("decimal(38,38)", "numeric(38,38)", "0." + "0" * 37 + "1", Decimal("0." + "0" * 37 + "1")),
    ("decimal(10,2) unsigned", "numeric(10,2)", "99999999.99", Decimal("99999999.99")),
    ("decimal(10,2) zerofill", "numeric(10,2)", "1.5", Decimal("1.50")),
    ("varchar(20)", "character varying(20)", "''", ""), ("varchar(20)", "text", "'it''s 中😀'", "it's 中😀"),
    ("char(5)", "character(5)", "'ab'", "ab   "), ("longtext", "text", "'a\\tb\\n\\\\.\\r'", "a\tb\n\\.\r"),
    ("varchar(9) character set latin1", "text", "'é'", "é"), ("enum('a,b','中')", "text", "'中'", "中"),
    ("json", "json", "'{\"b\": 1.10}'", {"b": 1.10}), ("json", "jsonb", "'[null]'", [None]),
    ("uuid", "uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
    ("char(36)", "uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", UUID("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
    ("varbinary(9)", "bytea", "x'00ff5c0a'", b"\x00\xff\\\n"), ("binary(3)", "bytea", "x'61'", b"a\x00\x00"),
    ("longblob", "bytea", "''", b""), ("date", "date", "'1000-01-01'", date(1000, 1, 1)),
    ("date", "date", "'9999-12-31'", date(9999, 12, 31)), ("date", "date", "'2024-02-29'", date(2024, 2, 29)),
    ("date", "date", "'0001-01-01'", date(1, 1, 1)), ("date", "date", "'1900-03-01'", date(1900, 3, 1)),
    ("datetime", "timestamp", "'1999-12-31 23:59:59'", datetime(1999, 12, 31, 23, 59, 59)),
    ("datetime(6)", "timestamp(6) without time zone", "'9999-12-31 23:59:59.999999'",
     datetime(9999, 12, 31, 23, 59, 59, 999999)),
    ("datetime(6)", "timestamp", "'1000-01-01 00:00:00.000001'", datetime(1000, 1, 1, microsecond=1)),
    ("datetime(3)", "timestamp(3)", "'2026-01-01'", datetime(2026, 1, 1)),
    ("timestamp(6) null", "timestamp(6) with time zone", "'2026-06-01 08:00:00.5'",
     datetime(2026, 6, 1, 8, 0, 0, 500000, UTC)),
    ("timestamp null", "timestamptz", "'1970-01-01 00:00:01'", datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
    ("time", "time", "'00:00:00'", time(0)), ("time(6)", "time(6) without time zone", "'23:59:59.999999'",
                                              time(23, 59, 59, 999999)),
    ("time(6)", "interval", "'-838:59:58.999999'", -timedelta(hours=838, minutes=59, seconds=58, microseconds=999999)),
    ("time", "interval", "'838:59:59'", timedelta(hours=838, minutes=59, seconds=59)),
]  # fmt: skip


@pytest.mark.parametrize(("mine", "theirs", "literal", "value"), VALUES)
def test_a_value_arrives_as_it_is(pair: Pair, mine: str, theirs: str, literal: str, value: Any) -> None:
    assert pair.first(mine, theirs, literal) == value
    assert pair.first(mine, theirs, "null") is None


def test_the_end_of_a_day(pair: Pair) -> None:
    pair.theirs.adapters.register_loader("time", TextLoader)
    assert pair.first("time", "time", "'24:00:00'") == "24:00:00"


REFUSED = [
    ("date", "date", "'0000-00-00'"), ("date", "date", "'2026-00-10'"), ("date", "date", "'2026-02-00'"),
    ("date", "date", "'2026-02-30'"), ("date", "date", "'0000-01-01'"), ("datetime", "timestamp", "'0000-00-00'"),
    ("timestamp null", "timestamptz", "0"), ("time", "time", "'24:00:01'"), ("time", "time", "'-00:00:01'"),
    ("tinyint(1)", "boolean", "2"), ("tinyint(1)", "boolean", "-1"), ("bigint", "integer", "2147483648"),
    ("bigint", "smallint", "-32769"), ("int unsigned", "integer", "4294967295"),
    ("bigint unsigned", "bigint", "9223372036854775808"), ("char(36)", "uuid", "'a0eebc99'"),
    ("char(36)", "uuid", "'g0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'"),
    ("char(36)", "uuid", "'a0eebc999-c0b-4ef8-bb6d-6bb9bd380a11'"),
]  # fmt: skip


@pytest.mark.parametrize(("mine", "theirs", "literal"), REFUSED)
def test_what_the_target_cannot_hold_is_refused(pair: Pair, mine: str, theirs: str, literal: str) -> None:
    with pytest.raises(BadBatch) as caught:
        pair.first(mine, theirs, literal)
    assert "column c0" in str(caught.value) and caught.value.field == "c0"
    assert literal.strip("'") not in str(caught.value).replace("00:00:00", "") or literal == "0"


MIXED = ["bigint", "decimal(20,5)", "varchar(300)", "datetime(6)", "char(36)", "longblob", "tinyint(1)", "date"]
MIXED_THERE = ["int8", "numeric(20,5)", "varchar(300)", "timestamp", "uuid", "bytea", "boolean", "date"]


def _mixed_rows(count: int, seed: int) -> list[tuple[Any, ...]]:
    chance = random.Random(seed)
    lengths = [*range(70), 127, 128, 129, 249, 250, 251, 252, 255, 256, 257, 299]
    blobs = [*lengths, 4095, 4096, 4097, 65535, 65536]
    rows = []
    for _ in range(count):
        row = (
            chance.randint(-(2**63), 2**63 - 1),
            Decimal(chance.randint(-(10**20) + 1, 10**20 - 1)).scaleb(-5),
            "".join(chance.choice("aé中😀\\\t\n'") for _ in range(chance.choice(lengths))),
            datetime(1, 1, 1) + timedelta(microseconds=chance.randint(0, 300 * 10**15)),
            str(UUID(int=chance.getrandbits(128))),
            chance.randbytes(chance.choice(blobs if chance.random() < 0.05 else lengths)),
            chance.random() < 0.5,
            date(1, 1, 1) + timedelta(days=chance.randint(0, 3_600_000)),
        )
        rows.append(tuple(None if chance.random() < 0.3 else value for value in row))
    return rows


@pytest.mark.parametrize("seed", range(6))
def test_columns_in_any_order_with_nulls_and_all_lengths(pair: Pair, seed: int) -> None:
    """What is written too far right must be covered again, also in the last columns of a row."""
    order = random.Random(seed).sample(range(len(MIXED)), len(MIXED))
    pair.make([MIXED[n] for n in order], [MIXED_THERE[n] for n in order])
    rows = [tuple(row[n] for n in order) for row in _mixed_rows(1500, seed)]
    pair.insert(rows)
    expected = [tuple(UUID(v) if MIXED[n] == "char(36)" and v else v for n, v in zip(order, row, strict=True))
                for row in rows]  # fmt: skip
    assert sorted(map(repr, pair.copy())) == sorted(map(repr, expected))
    assert pair.moved.rows == len(rows)


def test_a_single_narrow_row_of_nulls(pair: Pair) -> None:
    pair.make(["decimal(65,30)", "char(36)"], ["numeric(65,30)", "uuid"])
    pair.insert([(None, None)])
    assert pair.copy() == [(None, None)]


def test_no_rows_and_several_statements(pair: Pair) -> None:
    pair.make(["int", "varchar(9)"], ["int", "varchar(9)"])
    assert pair.copy() == []
    pair.insert([(n, "x" * (n % 9)) for n in range(100)])
    found = pair.copy("select * from t where c0 < 50", "select * from t where false", "select * from t where c0 >= 50")
    assert sorted(n for n, _ in found) == list(range(100)) and pair.moved.statements == 3


def test_a_row_of_several_packets_and_blocks(pair: Pair, mariadb: Server) -> None:
    """Above 16 MB a row comes in several packets; the rows around it are whole."""
    (before,) = mariadb.execute("select @@global.max_allowed_packet")
    mariadb.execute("set global max_allowed_packet = 200000000")
    try:
        pair.mine.close()
        pair.mine.connect()
        pair.make(["int", "longblob", "varchar(20)"], ["int", "bytea", "varchar(20)"])
        for n, size in enumerate([1, 0xFFFFFF - 30, 40_000_000, 3, BLOCK, 0xFFFFFF * 2 - 12, 7]):
            with pair.mine.cursor() as cursor:
                cursor.execute(f"insert into t select {n}, repeat('ab\\0', {size} div 3), 'after {n}'")
        with pair.mine.cursor() as cursor:
            cursor.execute("select c0, length(c1), md5(c1), c2 from t order by 1")
            expected = list(cursor.fetchall())
        pair.copy()
        assert pair.theirs.execute("select c0, length(c1), md5(c1), c2 from t order by 1").fetchall() == expected
    finally:
        mariadb.execute(f"set global max_allowed_packet = {before[0]}")


def test_the_rows_are_those_of_the_snapshot(pair: Pair, my_db: ScratchDatabase) -> None:
    pair.make(["int"], ["int"])
    pair.insert([(1,)])
    pair.mine.query("start transaction with consistent snapshot, read only")
    my_db.execute("insert into t values (2)")
    assert pair.copy() == [(1,)]


@pytest.mark.parametrize("rows", [3, 200_000])
def test_the_snapshot_outlives_a_refused_value_and_a_reader_who_stops(
    pair: Pair, my_db: ScratchDatabase, rows: int
) -> None:
    pair.make(["date"], ["date"])
    my_db.execute("insert into t values ('0000-00-00')", f"insert into t select '2026-01-01' from seq_1_to_{rows}")
    pair.mine.query("start transaction with consistent snapshot, read only")
    my_db.execute("insert into t values ('2026-01-02')")
    with pytest.raises(BadBatch):
        pair.copy()
    blocks = pair.blocks("select * from t where c0 > '0001-01-01'")
    assert next(blocks).startswith(b"PGCOPY") and next(blocks)
    blocks.close()  # type: ignore[attr-defined]
    pair.theirs.cancel()
    with pair.mine.cursor() as cursor:
        cursor.execute("select count(*) from t")
        assert cursor.fetchone() == (rows + 1,)


def test_an_error_in_the_middle_is_raised(pair: Pair, my_db: ScratchDatabase) -> None:
    pair.make(["int"], ["int"])
    my_db.execute(
        "insert into t select seq from seq_1_to_100000", "create table u (a int)", "insert into u values (1),(2)"
    )
    with pytest.raises(pymysql.OperationalError, match="more than 1 row"):
        list(pair.blocks("select if(c0 = 90000, (select a from u), c0) from t"))


def test_a_server_that_is_gone_is_an_error(pair: Pair, my_db: ScratchDatabase) -> None:
    pair.make(["varchar(1000)"], ["varchar(1000)"])
    my_db.execute("insert into t select repeat('x', 1000) from seq_1_to_100000")
    thread = pair.mine.thread_id()
    blocks = pair.blocks()
    next(blocks), next(blocks)
    my_db.execute(f"kill {thread}")
    with pytest.raises((pymysql.Error, OSError)):
        list(blocks)
    assert not pair.mine.open


@pytest.mark.parametrize("first", [Form.PG_BINARY, Form.LINES])
def test_a_reader_is_asked_again_before_it_has_told_all(
    my_db: ScratchDatabase, pg_db: ScratchDatabase, first: Form
) -> None:
    """As when the target refuses a row: the slice is then read once more, as it was, by the same reader."""
    my_db.execute("create table t (id int primary key, v varchar(100))",
                  "insert into t select seq, repeat('v', 90) from seq_1_to_300000")  # fmt: skip
    pg_db.execute("create table t (id int, v varchar(100))")
    source, target = open_tables("mysql", my_db.args), open_tables("postgres", pg_db.args)
    name, there = source.name_of("t"), target.name_of("t")
    into = target.shapes([there])[there].columns
    selection = Selection(name, source.shapes([name])[name].columns)
    with source.snapshot([name], 1) as snapshot:
        reader = snapshot.reader()
        blocks = reader.rows(selection, first, into, "postgres")
        assert next(blocks) and next(blocks)
        my_db.execute("delete from t where id > 200000")
        assert b"".join(reader.rows(selection, Form.LINES, into, "postgres")).count(b"\n") == 300_000
        assert reader.count(selection) == 300_000
        reader.close()
    source.close()
    target.close()


@given(st.lists(st.integers(1, 90), max_size=400), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_frames_are_the_same_however_the_bytes_come_in(lengths: list[int], chance: random.Random) -> None:
    if chance.random() < 0.5:  # runs of equal lengths
        lengths = [length for length in lengths for _ in range(chance.randint(1, 40))]
    packets = [bytes([0]) + bytes([n % 250] * (length - 1)) for n, length in enumerate(lengths)]
    packets.append(b"\xfe\0\0\0\0")
    stream = b"".join(len(p).to_bytes(3, "little") + bytes([n % 256]) + p for n, p in enumerate(packets))
    frames, found, at = Frames(block=256), [], 0
    while at < len(stream):
        room = frames.room()
        size = min(len(room), len(stream) - at, chance.randint(1, 200))
        room[:size] = stream[at : at + size]
        del room
        frames.add(size)
        at += size
        last = frames.last()
        if last or frames.full():
            for rows in frames.take(without_last=last):
                ends = [*rows.starts[1:].tolist(), None]
                found += [
                    bytes(rows.data[s : None if e is None else e - 4]) for s, e in zip(rows.starts, ends, strict=True)
                ]
    assert frames.ending == packets[-1]
    assert [f[: len(p)] for f, p in zip(found, packets[:-1], strict=True)] == packets[:-1]


def test_which_columns_can_go_this_way() -> None:
    def can(mine: ColumnShape, theirs: str) -> bool:
        return to_postgres.available([(mine, shape(theirs, precision=9, scale=0))])

    assert can(shape("int", T.INTEGER), "integer") and can(shape("datetime(6)", T.DATETIME), "timestamp(6)")
    assert can(shape("float", T.FLOAT, bits=32), "real") and not can(shape("double", T.FLOAT, bits=64), "real")
    assert not can(shape("datetime", T.DATETIME), "timestamptz") and not can(shape("int", T.INTEGER), "text")
    assert not can(shape("geometry", T.OTHER), "text") and not can(shape("set('a')", T.SET), "text[]")
    assert not can(shape("decimal(9,2)", T.DECIMAL, scale=2), "numeric(9,0)")
