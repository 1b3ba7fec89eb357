"""Every MySQL and MariaDB type with its limits and its oddities."""

from __future__ import annotations

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

_BYTES = (b"", b"\0", b"\x00\xff\\\n\t\r\v'\"\\N", b"\0" * 200, "中".encode(), b"\xe4")
_LAX = "ALLOW_INVALID_DATES"


def _int(name: str, low: int, high: int, **more: Any) -> Kind:
    return Kind(name, name, "number", (str(low), "0", str(high)), (), whole(low, high), core=True, **more)


NUMBERS = (
    _int("tinyint", -128, 127),
    _int("tinyint unsigned", 0, 255),
    _int("smallint", -32768, 32767),
    _int("smallint unsigned", 0, 65535),
    _int("mediumint", -(2**23), 2**23 - 1),
    _int("mediumint unsigned", 0, 2**24 - 1),
    _int("int", -(2**31), 2**31 - 1),
    _int("int unsigned", 0, 2**32 - 1),
    _int("bigint", -(2**63), 2**63 - 1),
    _int("bigint unsigned", 0, 2**64 - 1),
    _int("int(5) zerofill", 0, 2**32 - 1),
    Kind("tinyint(1)", "tinyint(1)", "bool", ("0", "1"), ("2", "-5", "127"), None, core=True),
    Kind("bit(1)", "bit(1)", "bits", (b"\0", b"\1"), (), None, core=True),
    Kind("bit(8)", "bit(8)", "bits", (b"\0", b"\xff", b"0", b"\x05"), (), st.binary(min_size=1, max_size=1)),
    Kind("bit(64)", "bit(64)", "bits", (b"\0", b"\xff" * 8), (), st.binary(min_size=8, max_size=8)),
    Kind(
        "decimal(20,4)",
        "decimal(20,4)",
        "number",
        ("1.1", "-9999999999999999.9999", "0"),
        (),
        decimals(20, 4),
        core=True,
    ),
    Kind(
        "decimal(65,30)",
        "decimal(65,30)",
        "number",
        ("9" * 35 + "." + "9" * 30, "1e-30"),
        (),
        decimals(65, 30),
        core=True,
    ),
    Kind("decimal(5,0)", "decimal(5,0)", "number", ("99999", "-1", "0"), (), decimals(5, 0), core=True),
    Kind("decimal unsigned", "decimal(8,3) unsigned", "number", ("99999.999", "0"), (), None, core=True),
    Kind(
        "double",
        "double",
        "float",
        (
            "0.1",
            "1e308",
            "5e-324",
            "1.7976931348623157e308",
            "-2.5",
            "1e22",
            "1e23",
            "1e15",
            "1e16",
            "9007199254740993",
            "0.0001",
            "0.00001",
            "1e-5",
            "123456789.123",
        ),
        (),
        doubles(False),
        core=True,
    ),
    Kind(
        "float",
        "float",
        "single",
        ("1.1", "3.40282e38", "1e-38", "16777216", "0.3", "1e10", "123456.7"),
        (),
        doubles(False, 32),
        core=True,
    ),
    Kind("year", "year", "number", ("1901", "2155", "2024"), ("0000",), whole(1901, 2155), core=True),
)
TEXTS = (
    Kind(
        "varchar(20)",
        "varchar(20)",
        "text",
        tuple(t for t in NASTY if len(t) <= 20),
        ("x" * 20, "😀" * 20),
        texts(20),
        core=True,
    ),
    Kind(
        "char(5)",
        "char(5)",
        "padded",
        ("", "a", "abcde", "中文", "é'\\\t"),
        ("😀" * 5,),
        texts(5).map(lambda t: t.rstrip(" ")),
        core=True,
    ),
    *(
        Kind(name, name, "text", NASTY, (), texts(), core=True)
        for name in ("tinytext", "text", "mediumtext", "longtext")
    ),
    Kind("latin1", "varchar(20) character set latin1", "text", ("", "é", "ÄÖü", "a\\b", "ÿ€"), (), None, core=True),
    Kind("binary collation", "varchar(20) collate utf8mb4_bin", "text", ("", "a", "A", "a "), (), texts(20), core=True),
    Kind(
        "binary(4)",
        "binary(4)",
        "bytes",
        (b"\0\0\0\0", b"\xff\\\n\t", b"abcd"),
        (),
        st.binary(min_size=4, max_size=4),
        core=True,
    ),
    Kind(
        "varbinary(20)",
        "varbinary(20)",
        "bytes",
        tuple(b for b in _BYTES if len(b) <= 20),
        (),
        st.binary(max_size=20),
        core=True,
    ),
    *(
        Kind(name, name, "bytes", _BYTES, (), st.binary(max_size=60), core=True)
        for name in ("tinyblob", "blob", "mediumblob", "longblob")
    ),
    Kind(
        "enum",
        "enum('a,b','it''s','','中 文','\"q\"','back\\\\slash','UPPER')",
        "text",
        ("a,b", "it's", "", "中 文", '"q"', "back\\slash", "UPPER"),
        (),
        None,
        core=True,
    ),
    Kind(
        "set",
        "set('a','b c','it''s','中','\"q\"','back\\\\slash')",
        "set",
        ("", "a", "a,b c", "it's,中", '"q",back\\slash'),
        (),
        None,
    ),
    Kind("json", "json", "json", JSONS, (), documents(), core=True),
    Kind(
        "uuid",
        "uuid",
        "uuid",
        ("00000000-0000-0000-0000-000000000000", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        (),
        st.uuids().map(str),
    ),
    Kind("inet6", "inet6", "text", ("::1", "fe80::1", "::ffff:1.2.3.4")),
)
TIMES = (
    Kind("date", "date", "date", ("2024-02-29", "1000-01-01", "9999-12-31"), (), dates(1000), core=True),
    Kind(
        "date, zero",
        "date",
        "date",
        ("2024-02-29",),
        ("0000-00-00", "2024-00-00", "2024-01-00"),
        None,
        core=True,
        mode="",
    ),
    Kind("date, invalid", "date", "date", ("2024-02-29",), ("2024-02-31",), None, core=True, mode=_LAX),
    Kind(
        "datetime",
        "datetime",
        "moment",
        ("2024-02-29 23:59:59", "1000-01-01 00:00:00", "9999-12-31 23:59:59"),
        (),
        moments(0, 1000),
        core=True,
    ),
    Kind(
        "datetime(6)",
        "datetime(6)",
        "moment",
        ("2024-02-29 23:59:59.999999", "1000-01-01 00:00:00.000001"),
        (),
        moments(6, 1000),
        core=True,
    ),
    Kind("datetime(3)", "datetime(3)", "moment", ("2024-02-29 23:59:59.120",), (), moments(3, 1000), core=True),
    Kind(
        "datetime, zero",
        "datetime(6)",
        "moment",
        ("2024-02-29 00:00:00",),
        ("0000-00-00 00:00:00", "2024-00-00 10:00:00"),
        None,
        core=True,
        mode="",
    ),
    Kind(
        "timestamp",
        "timestamp null",
        "moment",
        ("1970-01-01 00:00:01", "2038-01-19 03:14:07", "2024-06-01 12:00:00"),
        (),
        moments(0, 1971, 2037),
        core=True,
    ),
    Kind(
        "timestamp(6)",
        "timestamp(6) null",
        "moment",
        ("2024-06-01 12:00:00.000001",),
        (),
        moments(6, 1971, 2037),
        core=True,
    ),
    Kind(
        "time",
        "time",
        "span",
        ("00:00:00", "23:59:59"),
        ("838:59:59", "-838:59:59", "24:00:00", "-00:00:01"),
        clocks(0),
    ),
    Kind(
        "time(6)", "time(6)", "span", ("00:00:00.000001", "23:59:59.999999"), ("-00:00:00.5", "100:00:00.25"), clocks()
    ),
)
SHAPES = (
    Kind("point", "point", "shape", ("POINT(1 2)",), (), None, put="st_geomfromtext({})"),
    Kind("geometry", "geometry", "shape", ("POINT(1 2)", "LINESTRING(0 0,1 1)"), (), None, put="st_geomfromtext({})"),
)
MYSQL = named((*NUMBERS, *TEXTS, *TIMES, *SHAPES))
