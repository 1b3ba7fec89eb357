"""The tables that `benchmarks.copy` moves, as set-based SQL for each database, and the checksum of their rows.

`wide` has sixteen columns of sixteen kinds, with NULLs, empty texts, quotes, tabs, line ends, backslashes and emoji;
`w13` leaves out jsonb, uuid and bytea, which most movers cannot carry; `narrow` is four numbers and a time; `small`
stands for many tables of 1,000 rows. Knows nothing of how they are moved.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sync_assets.testing.servers import Server

Kind = Literal["postgres", "mysql"]


@dataclass(frozen=True)
class BenchColumn:
    """A column: its name, its type in both databases, and the expressions that make its value of the row number i."""

    name: str
    postgres: str
    mysql: str
    in_postgres: str
    in_mysql: str


def _c(name: str, postgres: str, mysql: str, in_postgres: str, in_mysql: str = "") -> BenchColumn:
    return BenchColumn(name, postgres, mysql, in_postgres, in_mysql or in_postgres)


_NOTE = r"a\tb\n\\.\r\"q\" 😀 "
WIDE = (
    _c("id", "bigint", "bigint", "i"),
    _c("a_int", "integer", "int", "case when i % 11 <> 0 then (i * 7919) % 2000000000 - 1000000000 end"),
    _c("a_small", "smallint", "smallint", "(i * 31) % 65000 - 32500"),
    _c("a_big", "bigint", "bigint", "case when i % 13 <> 0 then i * 1000003 - 900000000000 end"),
    _c("a_dec", "numeric(18,4)", "decimal(18,4)", "(i * 123457 % 99999999999 - 50000000000) * 0.0001"),
    _c("a_dbl", "double precision", "double",
       "case when i % 17 <> 0 then i::double precision / 7 end", "case when i % 17 <> 0 then i / 7e0 end"),
    _c("a_name", "varchar(80)", "varchar(80)",
       "case when i % 10 = 0 then '' else 'name ''x'' é 中文 ' || md5(i::text) end",
       "case when i % 10 = 0 then '' else concat('name ''x'' é 中文 ', md5(i)) end"),
    _c("a_code", "varchar(40)", "varchar(40)",
       "case when i % 19 <> 0 then 'c-' || i % 1000 end", "case when i % 19 <> 0 then concat('c-', i % 1000) end"),
    _c("a_text", "text", "longtext",
       f"case when i % 7 <> 0 then E'{_NOTE}' || repeat(md5(i::text), 1 + i::int % 5) end",
       f"case when i % 7 <> 0 then concat('{_NOTE}', repeat(md5(i), 1 + i % 5)) end"),
    _c("a_date", "date", "date",
       "case when i % 23 <> 0 then date '1990-01-01' + (i % 15000)::int end",
       "case when i % 23 <> 0 then date '1990-01-01' + interval i % 15000 day end"),
    _c("a_ts", "timestamp(6)", "datetime(6)",
       "timestamp '2001-01-01' + i * interval '61.000123 seconds'",
       "timestamp'2001-01-01 00:00:00.000000' + interval i * 61000123 microsecond"),
    _c("a_tstz", "timestamptz(6)", "timestamp(6) null",
       "case when i % 29 <> 0 then timestamptz '2005-01-01 00:00+00' + i * interval '13.000007 seconds' end",
       "case when i % 29 <> 0 then timestamp'2005-01-01 00:00:00.000000' + interval i * 13000007 microsecond end"),
    _c("a_bool", "boolean", "tinyint(1)", "case when i % 31 <> 0 then i % 3 = 0 end"),
    _c("a_json", "jsonb", "json",
       "case when i % 5 <> 0 then jsonb_build_object('k', i, 't', 'v' || i % 100) end",
       "case when i % 5 <> 0 then concat('{\"k\": ', i, ', \"t\": \"v', i % 100, '\"}') end"),
    _c("a_uuid", "uuid", "char(36)",
       "case when i % 37 <> 0 then md5(i::text)::uuid end",
       "case when i % 37 <> 0 then"
       " insert(insert(insert(insert(md5(i), 21, 0, '-'), 17, 0, '-'), 13, 0, '-'), 9, 0, '-') end"),
    _c("a_blob", "bytea", "longblob",
       "case when i % 3 <> 0 then decode(md5(i::text) || '00ff5c', 'hex') end",
       "case when i % 3 <> 0 then unhex(concat(md5(i), '00ff5c')) end"),
)  # fmt: skip
W13 = tuple(c for c in WIDE if c.name not in ("a_json", "a_uuid", "a_blob"))
NARROW = (
    _c("id", "bigint", "bigint", "i"),
    _c("a", "integer", "int", "i % 1000000"),
    _c("b", "double precision", "double", "i::double precision / 3", "i / 3e0"),
    _c("c", "timestamp(6)", "datetime(6)", "timestamp '2001-01-01' + i * interval '1 second'",
       "timestamp'2001-01-01 00:00:00.000000' + interval i second"),
)  # fmt: skip
SMALL = tuple(c for c in W13 if c.name in ("id", "a_int", "a_dec", "a_name", "a_ts"))
SHAPES = {"wide": WIDE, "w13": W13, "narrow": NARROW, "small": SMALL}
SMALL_ROWS = 1000


# Types that differ from those of the same data's own table there, since the other database has none such.
_COPIED = {
    ("mysql", "postgres"): {"a_json": "json", "a_uuid": "char(36)"},
    ("postgres", "mysql"): {"a_tstz": "datetime(6)"},
}


def create(kind: Kind, table: str, columns: tuple[BenchColumn, ...], *, key: bool, origin: Kind | None = None) -> str:
    """CREATE TABLE, for rows of a database of kind `origin`; with `key`, the primary key on `id` is made at once."""
    types = {c.name: getattr(c, kind) for c in columns} | _COPIED.get((origin or kind, kind), {})
    lines = [f"{c.name} {types[c.name]}{' not null' if c.name == 'id' else ''}" for c in columns]
    tail = ", primary key (id)" if key else ""
    engine = " engine=InnoDB" if kind == "mysql" else ""
    return f"create table {table} ({', '.join(lines)}{tail}){engine}"


def fill(kind: Kind, table: str, columns: tuple[BenchColumn, ...], first: int, last: int) -> str:
    """INSERT of the rows `first` to `last`, both included."""
    if kind == "postgres":
        values = ", ".join(c.in_postgres for c in columns)
        return f"insert into {table} select {values} from generate_series({first}::bigint, {last}) i"
    values = ", ".join(c.in_mysql for c in columns)
    return f"insert into {table} select {values} from (select cast(seq as signed) as i from seq_{first}_to_{last}) s"


def make(server: Server, database: str, shape: str, rows: int, table: str = "") -> None:
    """Make and fill one table, in pieces, so that no transaction grows too large."""
    table, kind, columns = table or shape, server.kind, SHAPES[shape]
    statements = [create(kind, table, columns, key=kind == "mysql")]
    step = 250_000
    statements += [fill(kind, table, columns, n, min(n + step - 1, rows)) for n in range(1, rows + 1, step)]
    if kind == "postgres":
        statements += [f"alter table {table} add primary key (id)", f"vacuum (freeze, analyze) {table}"]
    else:
        statements += [f"analyze table {table}"]
    server.execute("set time_zone = '+00:00'" if kind == "mysql" else "set timezone = 'UTC'", *statements,
                   database=database)  # fmt: skip


def make_small(server: Server, database: str, tables: int) -> None:
    """Many tables `small_000` ... of 1,000 rows each, over one connection."""
    statements: list[str] = []
    for n in range(tables):
        statements.append(create(server.kind, f"small_{n:03}", SMALL, key=True))
        statements.append(fill(server.kind, f"small_{n:03}", SMALL, 1, SMALL_ROWS))
    server.execute(*statements, database=database)


def checksum(kind: Kind, shape: str, table: str) -> str:
    """SELECT of the count and an order-independent sum over all rows, equal in both databases for equal rows.

    The values go through the types of the original first: a mover that made text of a number is asked for the number.
    Doubles are compared by their first fourteen digits, since the two databases print them in different ways; that
    the last bits are right is what the contract tests are for.
    """
    return _sum(kind, SHAPES[shape], table)


def column_sum(kind: Kind, column: BenchColumn, table: str) -> str:
    """The same for one column, to name the one in which two tables differ."""
    return _sum(kind, (column,), table)


def _sum(kind: Kind, columns: tuple[BenchColumn, ...], table: str) -> str:
    texts = [_text(kind, c) for c in columns]
    if kind == "postgres":
        line = " || '|' || ".join(f"coalesce({t}, '~')" for t in texts)
        return f"select count(*), coalesce(sum(('x' || left(md5({line}), 15))::bit(60)::bigint), 0) from {table}"
    line = f"concat_ws('|', {', '.join(f'coalesce({t}, {_NULL})' for t in texts)})"
    return f"select count(*), coalesce(sum(cast(conv(left(md5({line}), 15), 16, 10) as unsigned)), 0) from {table}"


_NULL = "'~'"


def _text(kind: Kind, column: BenchColumn) -> str:
    name, type_ = column.name, column.postgres
    postgres = {
        "timestamp(6)": f"to_char({name}::timestamp, 'YYYY-MM-DD HH24:MI:SS.US')",
        "timestamptz(6)": f"to_char({name}::timestamptz at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')",
        "date": f"to_char({name}::date, 'YYYY-MM-DD')",
        "boolean": f"case when {name}::text in ('t', 'true', '1') then '1' when {name} is not null then '0' end",
        "double precision": f"to_char({name}::double precision, '9.9999999999999EEEE')",
        "jsonb": f"({name}::jsonb ->> 'k') || ({name}::jsonb ->> 't')",
        "bytea": f"encode({name}::bytea, 'hex')",
    }
    mysql = {
        "timestamp(6)": f"date_format({name}, '%Y-%m-%d %H:%i:%s.%f')",
        "timestamptz(6)": f"date_format({name}, '%Y-%m-%d %H:%i:%s.%f')",
        "date": f"date_format({name}, '%Y-%m-%d')",
        "boolean": f"cast({name} as char)",
        "double precision": _scientific(name),
        "jsonb": f"concat(json_value({name}, '$.k'), json_value({name}, '$.t'))",
        "bytea": f"lower(hex({name}))",
    }
    if kind == "postgres":
        return postgres.get(type_, f"{name}::{type_}::text")
    return mysql.get(type_, f"cast({name} as char)")


def _scientific(name: str) -> str:
    """A positive double, 0.01 to 1e14, as PostgreSQL's to_char(.., '9.9999999999999EEEE') prints it."""
    power = f"floor(log10({name}))"
    digits = f"cast(cast({name} as decimal(40,20)) / pow(10, {power}) as decimal(20,13))"
    return f"concat(' ', {digits}, 'e', if({power} < 0, '-', '+'), lpad(abs({power}), 2, '0'))"
