"""Every type of each database: what metadata says of it, and what its values come out as."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sync_assets.engine.model import Column, ColumnType, Schema
from sync_assets.sources.sql import SqlSource
from sync_assets_tests.fix_servers import ScratchDatabase

SHANGHAI = ZoneInfo("Asia/Shanghai")
T = ColumnType

# declaration, literal, type, value, more about the column
POSTGRES: list[tuple[str, str, ColumnType, Any, dict[str, Any]]] = [
    ("bool", "true", T.BOOL, True, {}),
    ("int2", "-32768", T.INTEGER, -32768, {}),
    ("int4", "2147483647", T.INTEGER, 2147483647, {}),
    ("int8", "9223372036854775807", T.BIGINT, 9223372036854775807, {}),
    ("oid", "4294967295", T.BIGINT, 4294967295, {}),
    ("float4", "1.5", T.FLOAT, 1.5, {}),
    ("float8", "'Infinity'", T.FLOAT, float("inf"), {}),
    ("numeric", "123456789012345678901234.5678", T.DECIMAL, Decimal("123456789012345678901234.5678"), {}),
    ("numeric(12,2)", "1.50", T.DECIMAL, Decimal("1.50"), {"precision": 12, "scale": 2, "native": "numeric(12,2)"}),
    ("numeric(5,-2)", "12345", T.DECIMAL, Decimal("12300"), {"precision": 5, "scale": -2}),
    ("money", "-1234.5", T.DECIMAL, Decimal("-1234.50"), {"scale": 2}),
    ("text", "'中😀 ''q'' \\ '", T.TEXT, "中😀 'q' \\ ", {}),
    ("varchar(20)", "'00123'", T.TEXT, "00123", {"precision": 20}),
    ("char(4)", "'ab'", T.TEXT, "ab  ", {"precision": 4}),
    ('"char"', "'a'", T.TEXT, "a", {}),
    ("name", "'n'", T.TEXT, "n", {}),
    ("mood", "'好'", T.ENUM, "好", {"options": ("sad", "好", "it's")}),
    ("mood[]", "array['sad','好']::mood[]", T.SET, ["sad", "好"], {"options": ("sad", "好", "it's")}),
    ("text[]", "array['a,b','\"c',null,'']", T.SET, ["a,b", '"c', ""], {}),
    ("varchar(5)[]", "'{}'", T.SET, [], {}),
    ("int4[]", "'{1,2}'", T.OTHER, "{1,2}", {}),
    ("numeric[]", "'{1.5,2}'", T.OTHER, "{1.5,2}", {}),
    ("positive", "5", T.INTEGER, 5, {}),
    ("pair", "row(1,'x')::pair", T.OTHER, "(1,x)", {}),
    ("int4range", "'[1,5)'", T.OTHER, "[1,5)", {}),
    ("date", "'2026-02-28'", T.DATE, date(2026, 2, 28), {}),
    ("date", "'infinity'", T.DATE, "infinity", {}),
    ("date", "'0044-03-15 BC'", T.DATE, "0044-03-15 BC", {}),
    ("time", "'23:59:59.5'", T.TIME, time(23, 59, 59, 500000), {}),
    ("time", "'24:00'", T.TIME, "24:00:00", {}),
    ("timetz", "'10:00+08'", T.OTHER, "10:00:00+08", {}),
    ("timestamp", "'2026-02-28 23:59:59.123456'", T.DATETIME, datetime(2026, 2, 28, 23, 59, 59, 123456), {}),
    ("timestamp(3)", "'2026-01-01'", T.DATETIME, datetime(2026, 1, 1), {"precision": 3}),
    ("timestamptz", "'2026-01-01 00:00+00'", T.INSTANT, datetime(2026, 1, 1, tzinfo=UTC), {}),
    ("interval", "'1 month 2 days 03:00'", T.INTERVAL, "1 mon 2 days 03:00:00", {}),
    ("json", "'{\"b\": 1.10, \"a\": [\"\\u4e2d\", \"x y\"]}'", T.JSON, '{"b":1.10,"a":["中","x y"]}', {}),
    ("jsonb", "'{\"b\": 1.10, \"a\": null}'", T.JSON, '{"a":null,"b":1.10}', {}),
    ("jsonb", "'null'", T.JSON, "null", {}),
    ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", T.UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", {}),
    ("bytea", "'\\x00ff'", T.BLOB, b"\x00\xff", {}),
    ("inet", "'10.0.0.1/8'", T.OTHER, "10.0.0.1/8", {}),
    ("cidr", "'10.0.0.0/8'", T.OTHER, "10.0.0.0/8", {}),
    ("macaddr", "'08:00:2b:01:02:03'", T.OTHER, "08:00:2b:01:02:03", {}),
    ("bit(3)", "B'101'", T.OTHER, "101", {}),
    ("tsvector", "'a b'", T.OTHER, "'a' 'b'", {}),
    ("point", "'(1,2)'", T.OTHER, "(1,2)", {}),
    ("hstore_like", "'(1,2)'", T.OTHER, "(1,2)", {}),
]  # fmt: skip

MYSQL: list[tuple[str, str, ColumnType, Any, dict[str, Any]]] = [
    ("tinyint(1)", "1", T.BOOL, True, {}),
    ("boolean", "0", T.BOOL, False, {}),
    ("bit(1)", "b'1'", T.BOOL, True, {}),
    ("bit(10)", "b'101'", T.OTHER, "0000000101", {}),
    ("tinyint", "-128", T.INTEGER, -128, {}),
    ("smallint unsigned", "65535", T.INTEGER, 65535, {}),
    ("mediumint", "8388607", T.INTEGER, 8388607, {}),
    ("int unsigned", "4294967295", T.INTEGER, 4294967295, {}),
    ("int(5) zerofill", "42", T.INTEGER, 42, {}),
    ("bigint unsigned", "18446744073709551615", T.BIGINT, 18446744073709551615, {}),
    ("year", "2026", T.INTEGER, 2026, {}),
    ("float", "1.5", T.FLOAT, 1.5, {}),
    ("double", "1e300", T.FLOAT, 1e300, {}),
    ("decimal(12,2)", "1.50", T.DECIMAL, Decimal("1.50"), {"precision": 12, "scale": 2, "native": "decimal(12,2)"}),
    ("decimal(65,30)", "1", T.DECIMAL, Decimal("1.000000000000000000000000000000"), {"precision": 65, "scale": 30}),
    ("varchar(20)", "'00123'", T.TEXT, "00123", {"precision": 20}),
    ("char(4)", "'ab'", T.TEXT, "ab", {}),
    ("text", "'中😀 ''q'' \\\\ '", T.TEXT, "中😀 'q' \\ ", {}),
    ("longtext", "repeat('长', 100000)", T.TEXT, "长" * 100000, {}),
    ("varchar(10) character set latin1", "'é'", T.TEXT, "é", {}),
    ("enum('sad','好','it''s','a,b')", "'好'", T.ENUM, "好", {"options": ("sad", "好", "it's", "a,b")}),
    ("set('x','y z','好')", "'好,x'", T.SET, ["x", "好"], {"options": ("x", "y z", "好")}),
    ("set('x','y')", "''", T.SET, [], {}),
    ("date", "'2026-02-28'", T.DATE, date(2026, 2, 28), {}),
    ("date", "'0000-00-00'", T.DATE, None, {}),
    ("date", "'2026-02-00'", T.DATE, "2026-02-00", {}),
    ("datetime", "'0000-00-00 00:00:00'", T.DATETIME, None, {}),
    ("datetime(6)", "'2026-02-28 23:59:59.123456'", T.DATETIME, datetime(2026, 2, 28, 23, 59, 59, 123456),
     {"precision": 6}),
    ("datetime(2)", "'2026-02-28 23:59:59.12'", T.DATETIME, datetime(2026, 2, 28, 23, 59, 59, 120000), {}),
    ("timestamp null", "'2026-01-01 05:30:00'", T.INSTANT, datetime(2026, 1, 1, tzinfo=UTC), {}),
    ("time", "'23:59:59'", T.TIME, time(23, 59, 59), {}),
    ("time(3)", "'10:00:00.5'", T.TIME, time(10, 0, 0, 500000), {}),
    ("time", "'838:59:59'", T.TIME, timedelta(hours=838, minutes=59, seconds=59), {}),
    ("time", "'-01:30:00'", T.TIME, -timedelta(hours=1, minutes=30), {}),
    ("json", "'{\"b\": 1.10, \"a\": [\"中\", \"x y\"]}'", T.JSON, '{"b":1.10,"a":["中","x y"]}', {}),
    ("binary(2)", "x'00ff'", T.BLOB, b"\x00\xff", {}),
    ("varbinary(9)", "x'00ff'", T.BLOB, b"\x00\xff", {}),
    ("longblob", "x'00ff'", T.BLOB, b"\x00\xff", {}),
    ("uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", T.UUID, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", {}),
    ("inet6", "'::1'", T.OTHER, "::1", {}),
    ("point", "st_geomfromtext('point(1 2)')", T.OTHER, "000000000101000000000000000000f03f0000000000000040", {}),
]  # fmt: skip


def _column(schema: Schema, name: str) -> Column:
    return next(c for c in schema if c.name == name)


def _make(db: ScratchDatabase, rows: list[tuple[str, str, ColumnType, Any, dict[str, Any]]]) -> None:
    declared = ", ".join(f"c{n} {row[0]}" for n, row in enumerate(rows))
    values = ", ".join(row[1] for row in rows)
    nulls = ", ".join("null" for _ in rows)
    lenient = ["set session sql_mode = 'ALLOW_INVALID_DATES'"] if db.kind == "mysql" else []
    db.execute(
        *lenient, f"create table every (k int primary key, {declared})", f"insert into every values (1, {values})",
        f"insert into every values (2, {nulls})",
    )  # fmt: skip


def _hold(db: ScratchDatabase, rows: list[tuple[str, str, ColumnType, Any, dict[str, Any]]], **how: Any) -> None:
    source = SqlSource("every", db.open(), time_zone=SHANGHAI, **how)
    schema = source.describe()
    batches = list(source.read())
    source.close()
    found = dict(zip(batches[0].columns, batches[0].rows[0], strict=True))
    wrong = []
    for n, (declared, _, type_, value, more) in enumerate(rows):
        column, got = _column(schema, f"c{n}"), found[f"c{n}"]
        said = {name: getattr(column, name) for name in more}
        if (column.type, said) != (type_, more) or got != value or type(got) is not type(value):
            wrong.append(f"{declared}: {column.type} {said} {got!r:.80}")
    assert not wrong
    assert all(v is None for v in batches[0].rows[1][1:])


@pytest.mark.parametrize("how", [{"table": "every"}, {"query": "select * from every"}], ids=["table", "query"])
def test_every_postgres_type(pg_db: ScratchDatabase, how: dict[str, str]) -> None:
    pg_db.execute(
        "create type mood as enum ('sad', '好', 'it''s')",
        "create domain positive as int check (value > 0)",
        "create type pair as (a int, b text)",
        "create type hstore_like as (a int, b int)",
    )
    _make(pg_db, POSTGRES)
    _hold(pg_db, POSTGRES, **how)


@pytest.mark.parametrize("how", [{"table": "every"}, {"query": "select * from every"}], ids=["table", "query"])
def test_every_mysql_type(my_db: ScratchDatabase, how: dict[str, str]) -> None:
    _make(my_db, MYSQL)
    _hold(my_db, MYSQL, **how)


def test_an_array_of_a_domain_over_an_enum_is_a_set(pg_db: ScratchDatabase) -> None:
    pg_db.execute("create type mood as enum ('a', 'b')", "create domain calm as mood", "create table t (m calm[])",
                  "insert into t values ('{a,b}')")  # fmt: skip
    source = SqlSource("t", pg_db.open(), time_zone=SHANGHAI, table="t")
    assert (source.describe()[0].type, source.describe()[0].options) == (T.SET, ("a", "b"))
    assert next(source.read()).rows[0] == (["a", "b"],)
    source.close()


def test_comments_and_nullability_come_from_the_table(server_db: ScratchDatabase) -> None:
    if server_db.kind == "postgres":
        server_db.execute("create table t (a int not null, b int)", "comment on column t.a is '编号'")
    else:
        server_db.execute("create table t (a int not null comment '编号', b int)")
    database = server_db.open()
    a, b = database.describe_table("t")
    assert (a.comment, a.nullable, b.comment, b.nullable) == ("编号", False, "", True)
    (a, b, c) = database.describe_query("select x.a, y.b, 1 as c from t x left join t y on y.a = x.a", {})
    assert (a.comment, a.nullable, c.comment) == ("编号", True, "")
    database.close()


def test_options_are_known_through_a_view_and_lost_through_an_expression(server_db: ScratchDatabase) -> None:
    kind = "enum('a','b')" if server_db.kind == "mysql" else "ab"
    if server_db.kind == "postgres":
        server_db.execute("create type ab as enum ('a', 'b')")
    server_db.execute(f"create table t (e {kind})", "create view v as select e from t")
    database = server_db.open()
    assert database.describe_query("select e from v", {})[0].options == ("a", "b")
    assert database.describe_query("select e as renamed from t as x", {})[0].options == ("a", "b")
    plain = database.describe_query("select concat(e, '!') as e from t", {})[0]
    assert (plain.type, plain.options) == (T.TEXT, ())
    database.close()


def test_declared_types_of_sqlite(sqlite_db: ScratchDatabase) -> None:
    sqlite_db.execute(
        "create table t (i integer primary key, b boolean, d decimal(10,2), at datetime, on_ date, j json, x, n text)",
        "insert into t values (1, 1, 1.5, '2026-10-01 10:00:00', '2026-10-01', '{\"a\": 1}', 7, '007')",
        "insert into t values (2, null, 'no number', 'no date', null, null, null, null)",
    )
    expected = [T.BIGINT, T.BOOL, T.DECIMAL, T.DATETIME, T.DATE, T.JSON, T.BIGINT, T.TEXT]
    for how in ({"table": "t"}, {"query": "select * from t where i < 9 or on_ >= :start or on_ < :end"}):
        source = SqlSource("t", sqlite_db.open(), time_zone=SHANGHAI, **how)
        assert [c.type for c in source.describe()] == expected
        assert (source.describe()[2].precision, source.describe()[2].scale) == (10, 2)
        source.close()
    source = SqlSource("t", sqlite_db.open(), time_zone=SHANGHAI, table="t")
    one, two = next(source.read()).rows
    assert one == (1, True, Decimal("1.5"), datetime(2026, 10, 1, 10), date(2026, 10, 1), '{"a":1}', 7, "007")
    assert two == (2, None, "no number", "no date", None, None, None, None)
    source.close()
