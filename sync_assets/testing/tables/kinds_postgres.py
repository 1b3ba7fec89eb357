"""Every PostgreSQL type with its limits and its oddities."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

from sync_assets.testing.tables.kinds import (
    JSONS,
    NASTY,
    Kind,
    clocks,
    dates,
    decimals,
    documents,
    doubles,
    moments,
    named,
    texts,
    whole,
)

_UUIDS = (
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
)
_BYTES = ("\\x", "\\x00", "\\x00ff5c0a090d0b27225c4e", "\\x" + "00" * 300, "\\xe4b8ad", "\\x5c303030")


def _kind(name: str, native: str, family: str, plain: Any, odd: Any = (), drawn: Any = None, **more: Any) -> Kind:
    return Kind(name, native, family, tuple(plain), tuple(odd), drawn, put=f"{{}}::{native}", **more)


def _array(elements: st.SearchStrategy[Any]) -> st.SearchStrategy[str]:
    def text(values: list[str | None]) -> str:
        inside = ("NULL" if v is None else '"' + v.replace("\\", "\\\\").replace('"', '\\"') + '"' for v in values)
        return "{" + ",".join(inside) + "}"

    return st.lists(st.none() | elements, max_size=5).map(text)


_DOUBLES = (
    "0.1",
    "1e308",
    "5e-324",
    "1.7976931348623157e308",
    "-2.5",
    "123456789012345680",
    "1e22",
    "1e23",
    "-0",
    "0",
    "1e15",
    "1e16",
    "1e17",
    "0.0001",
    "0.00001",
    "9007199254740993",
    "2.2250738585072014e-308",
    "100",
    "1e21",
)
_BIG_DATES = ("infinity", "-infinity", "0044-03-15 BC", "12345-01-01", "5874897-12-31", "4713-01-01 BC")
_DATES = ("2024-02-29", "1000-01-01", "9999-12-31", "1969-12-31", "1970-01-01", "1582-10-10", "1900-02-28")
_MOMENTS = (
    "2024-02-29 23:59:59.999999",
    "1970-01-01 00:00:00",
    "9999-12-31 23:59:59.999999",
    "1000-01-01 00:00:00.000001",
    "2024-03-31 02:30:00",
    "2024-10-27 02:30:00.5",
    "1969-12-31 23:59:59.5",
    "2038-01-19 03:14:08",
)
_BIG_MOMENTS = (
    "infinity",
    "-infinity",
    "0044-03-15 12:00:00 BC",
    "12345-01-01 00:00:00",
    "294276-12-31 23:59:59.999999",
)
_OPTIONS = "('a,b', 'it''s', '', '中 文', '\"q\"', 'back\\slash', 'a b', 'UPPER', 'upper')"

NUMBERS = (
    _kind("int2", "smallint", "number", ["-32768", "0", "32767"], (), whole(-32768, 32767), core=True),
    _kind("int4", "integer", "number", ["-2147483648", "0", "2147483647"], (), whole(-(2**31), 2**31 - 1), core=True),
    _kind(
        "int8",
        "bigint",
        "number",
        [str(-(2**63)), "0", str(2**63 - 1), "9007199254740993"],
        (),
        whole(-(2**63), 2**63 - 1),
        core=True,
    ),
    _kind("oid", "oid", "number", ["0", "4294967295"], (), whole(0, 2**32 - 1)),
    _kind("float8", "double precision", "float", _DOUBLES, ["NaN", "Infinity", "-Infinity"], doubles(True), core=True),
    _kind(
        "float4",
        "real",
        "single",
        ["1.1", "-0", "3.4028235e38", "1e-45", "16777216", "0.3", "1e10"],
        ["NaN", "Infinity", "-Infinity"],
        doubles(True, 32),
        core=True,
    ),
    _kind(
        "numeric(20,4)",
        "numeric(20,4)",
        "number",
        ["1.1", "0.0001", "-9999999999999999.9999", "0", "100"],
        ["NaN"],
        decimals(20, 4),
        core=True,
    ),
    _kind(
        "numeric(38,10)",
        "numeric(38,10)",
        "number",
        ["1.10", "1e27", "1e-10", "-0.5"],
        ["NaN"],
        decimals(38, 10),
        core=True,
    ),
    _kind("numeric(5,0)", "numeric(5,0)", "number", ["99999", "-99999", "0"], ["NaN"], decimals(5, 0), core=True),
    _kind(
        "numeric",
        "numeric",
        "number",
        ["1.10", "1.1", "0.000", "-12345678901234567890.123"],
        ["NaN", "Infinity", "-Infinity", "1e-40", "1e60", "1e500", "0." + "1" * 50],
        decimals(60, 20),
    ),
    _kind("money", "money", "text", ["12.34", "-0.01", "92233720368547758.07"]),
    _kind("bool", "boolean", "bool", ["t", "f"], (), st.sampled_from(["t", "f"]), core=True),
)
TEXTS = (
    _kind("text", "text", "text", NASTY, (), texts(), core=True),
    _kind(
        "varchar(20)",
        "varchar(20)",
        "text",
        [t for t in NASTY if len(t) <= 20],
        ["x" * 20, "😀" * 20],
        texts(20),
        core=True,
    ),
    _kind(
        "char(5)",
        "char(5)",
        "padded",
        ["", "a", "abc  ", "abcde", "中文", "é'\\\t"],
        ["😀" * 5],
        texts(5).map(lambda t: t.rstrip(" ")),
        core=True,
    ),
    _kind("name", "name", "text", ["", "a", "it's", "表" * 21], (), texts(10)),
    _kind("char", '"char"', "text", ["a", "'", "\\"]),
    _kind("bytea", "bytea", "bytes", _BYTES, (), st.binary(max_size=40).map(lambda b: "\\x" + b.hex()), core=True),
    _kind("bit(5)", "bit(5)", "text", ["00000", "10101", "11111"], (), st.text("01", min_size=5, max_size=5)),
    _kind("varbit", "bit varying(70)", "text", ["", "0", "1" * 70], (), st.text("01", max_size=70)),
    _kind("uuid", "uuid", "uuid", _UUIDS, (), st.uuids().map(str), core=True),
    _kind("json", "json", "json", JSONS, ['"\\u0000"', "1e999"], documents(), core=True),
    _kind("jsonb", "jsonb", "json", JSONS, (), documents().filter(lambda t: "\\u0000" not in t)),
    _kind(
        "enum",
        "mood",
        "text",
        ["a,b", "it's", "", "中 文", '"q"', "back\\slash", "UPPER", "upper"],
        (),
        None,
        setup=(f"create type mood as enum {_OPTIONS}",),
        core=True,
    ),
    _kind(
        "domain",
        "small_text",
        "text",
        ["a", "", "it's"],
        (),
        texts(10),
        setup=("create domain small_text as varchar(10) check (value <> 'no')",),
    ),
    _kind(
        "domain of numbers",
        "percent",
        "number",
        ["0", "100.00", "33.33"],
        (),
        None,
        setup=("create domain percent as numeric(5,2) check (value between 0 and 100)",),
    ),
    _kind(
        "composite",
        "pair",
        "text",
        ["(1,a)", '(2,"it\'s, ""q""")', "(,)", '(3,"")'],
        (),
        None,
        setup=("create type pair as (n int, t text)",),
    ),
)
TIMES = (
    _kind("date", "date", "date", _DATES, _BIG_DATES, dates(), core=True),
    _kind("timestamp", "timestamp", "moment", _MOMENTS, _BIG_MOMENTS, moments(), core=True),
    _kind(
        "timestamp(0)",
        "timestamp(0)",
        "moment",
        ["2024-02-29 23:59:59", "1970-01-01"],
        _BIG_MOMENTS[:2],
        moments(0),
        core=True,
    ),
    _kind("timestamp(3)", "timestamp(3)", "moment", ["2024-02-29 23:59:59.123"], (), moments(3), core=True),
    _kind(
        "timestamptz",
        "timestamptz",
        "moment",
        [m + "+00" for m in _MOMENTS] + ["2024-06-01 12:00:00+05:30"],
        [*_BIG_MOMENTS[:2], "12345-01-01 00:00:00+00", "0044-03-15 12:00:00+00 BC"],
        moments().map(lambda m: m + "+00"),
        core=True,
    ),
    _kind("time", "time", "clock", ["00:00:00", "23:59:59.999999", "12:30:00.5"], ["24:00:00"], clocks(), core=True),
    _kind("time(0)", "time(0)", "clock", ["00:00:00", "23:59:59"], ["24:00:00"], clocks(0), core=True),
    _kind(
        "timetz",
        "timetz",
        "zoned clock",
        ["12:00:00+00", "12:00:00.5+05:30", "23:59:59.999999-11", "00:00:00+14"],
        (),
        st.builds(lambda c, z: f"{c}{z}", clocks(), st.sampled_from(["+00", "+05:30", "-09:30", "-12", "+15:59"])),
    ),
    _kind(
        "interval",
        "interval",
        "text",
        [
            "1 year 2 mons 3 days 04:05:06.789",
            "-1 mons",
            "1 mon -1 day",
            "00:00:00",
            "-00:00:01.5",
            "178000000 years",
            "25:00:00",
            "1 day",
            "-1 day +01:00",
        ],
        (),
        st.builds(
            lambda m, d, s: f"{m} mons {d} days {s} secs",
            st.integers(-2000, 2000),
            st.integers(-9999, 9999),
            st.decimals(-(10**6), 10**6, places=6),
        ),
    ),
)
NETS = (
    _kind(
        "inet",
        "inet",
        "text",
        ["127.0.0.1", "10.0.0.1/8", "::1", "fe80::1/64", "::ffff:1.2.3.4"],
        (),
        st.ip_addresses().map(str),
    ),
    _kind("cidr", "cidr", "text", ["10.0.0.0/8", "::/0", "2001:db8::/32"]),
    _kind("macaddr", "macaddr", "text", ["08:00:2b:01:02:03"]),
    _kind("macaddr8", "macaddr8", "text", ["08:00:2b:01:02:03:04:05"]),
    _kind("pg_lsn", "pg_lsn", "text", ["16/B374D848", "0/0"]),
    _kind("xid8", "xid8", "text", ["0", "18446744073709551615"]),
)
SHAPES = (
    _kind("point", "point", "text", ["(1.5,-2)", "(0.1,1e300)", "(NaN,0)"]),
    _kind("line", "line", "text", ["{1,2,3}"]),
    _kind("lseg", "lseg", "text", ["[(0,0),(1,1)]"]),
    _kind("box", "box", "text", ["(1,1),(0,0)"]),
    _kind("path", "path", "text", ["[(0,0),(1,1)]", "((0,0),(1,1),(2,0))"]),
    _kind("polygon", "polygon", "text", ["((0,0),(1,1),(2,0))"]),
    _kind("circle", "circle", "text", ["<(0.5,0),2.1>"]),
)
RANGES = (
    _kind("int4range", "int4range", "text", ["empty", "[1,5)", "(,)", "[3,)"]),
    _kind("numrange", "numrange", "text", ["empty", "[1.50,2.5]", "(,1.0)"]),
    _kind("tsrange", "tsrange", "text", ['["2024-01-01 00:00:00","2024-01-02 00:00:00")']),
    _kind("tstzrange", "tstzrange", "text", ['["2024-01-01 00:00:00+00",)', '[,"infinity")']),
    _kind("daterange", "daterange", "text", ["[2024-01-01,2024-02-01)", "(,)"]),
    _kind("int4multirange", "int4multirange", "text", ["{}", "{[1,3),[5,8)}"]),
)
ARRAYS = (
    _kind("int4[]", "integer[]", "array", ["{}", "{1,2,NULL}", "{{1,2},{3,4}}", "[0:1]={1,2}"]),
    _kind(
        "text[]",
        "text[]",
        "array",
        ["{}", '{a,"b,c",NULL,"NULL","it\'s","\\"q\\"","back\\\\slash","",中}', '{"{a}"," "}'],
        ['{{"a","b"},{"c","d"}}', "[5:6]={a,b}", '{"\t\n\r\v\f\b"}'],
        _array(texts(10)),
    ),
    _kind("numeric[]", "numeric[]", "array", ["{1.10,1.1,NaN,NULL}"]),
    _kind("timestamptz[]", "timestamptz[]", "array", ['{"2024-01-01 00:00:00+00",infinity}']),
    _kind("bytea[]", "bytea[]", "array", ['{"\\\\x00ff","\\\\x"}']),
    _kind("json[]", "json[]", "array", [json.dumps(["{}"]).replace("[", "{").replace("]", "}")]),
    _kind("enum[]", "mood2[]", "array", ["{a}", "{}"], setup=("create type mood2 as enum ('a', 'b')",)),
    _kind("bool[]", "boolean[]", "array", ["{t,f,NULL}"]),
)
SEARCH = (
    _kind("tsvector", "tsvector", "text", ["'a':1A 'b''c':2,3", "", "'\\\\':1"]),
    _kind("tsquery", "tsquery", "text", ["'a' & !'b'", "'a' <2> 'b':*"]),
    _kind("jsonpath", "jsonpath", "text", ['$."a"[*]?(@ > 1)']),
)
POSTGRES = named((*NUMBERS, *TEXTS, *TIMES, *NETS, *SHAPES, *RANGES, *ARRAYS, *SEARCH))
