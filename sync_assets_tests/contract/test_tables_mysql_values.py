"""Values as MySQL's SQL writes them, held to the Python reference and to bytes written by hand."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Iterator

import pytest

from sync_assets.databases.base import open_tables
from sync_assets.databases.mysql.tables import MySQLTables, render
from sync_assets.engine.errors import Stop
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.canonical import canonical_text, portable_hash, row_text
from sync_assets.engine.tables.reading import Form, Selection
from sync_assets.engine.tables.shape import ColumnShape, TableShape
from sync_assets_tests.fix_servers import ScratchDatabase

EDGES = [0.0, -0.0, 1.0, -1.0, 0.1, 0.3, 1e14, 1e15, 1e16, 123456789012345.6, 99999999999999.98, 1e17, 1.5e300, 5e-324,
         2.2250738585072014e-308, 1.7976931348623157e308, 0.00001, 0.0001, 0.5, 1e-7, 9007199254740993.0, 1e21, 1e22,
         1e23, 0.1 + 0.2, 100.0, 1234.5, 9.999999999999999e22, -2.5e-10, 999999999999999.9, 1e13]  # fmt: skip


def _doubles() -> Iterator[float]:
    chance = random.Random(11)
    yield from EDGES
    for _ in range(3000):
        value = struct.unpack("<d", chance.randbytes(8))[0]
        if math.isfinite(value):
            yield value
        yield round(chance.uniform(-1e6, 1e6), chance.randrange(0, 6))
        yield chance.uniform(-1, 1) * 10 ** chance.randrange(-12, 20)


def _open(db: ScratchDatabase, **changes: object) -> MySQLTables:
    from dataclasses import replace

    found = open_tables("mysql", replace(db.args, **changes))  # type: ignore[arg-type]
    assert isinstance(found, MySQLTables)
    return found


def _shape(tables: MySQLTables, name: str) -> TableShape:
    return tables.shapes([tables.name_of(name)])[tables.name_of(name)]


def test_floats_have_pythons_shortest_digits(my_db: ScratchDatabase) -> None:
    values = [*_doubles()]
    singles = [struct.unpack("<f", struct.pack("<f", v))[0] for v in values if abs(v) < 3e38]
    my_db.execute("create table f (id int primary key auto_increment, d double, s float)")
    my_db.execute("insert into f (d, s) values " + ", ".join(f"({v!r}, 0)" for v in values))
    my_db.execute("insert into f (d, s) values " + ", ".join(f"(0, {v!r})" for v in singles))
    tables = _open(my_db)
    double, single = _shape(tables, "f").columns[1:]
    asked = f"{render.canonical(double, 'd')}, {render.canonical(single, 's')}"
    rows = my_db.execute(f"select {asked} from f order by id")
    wanted = [(canonical_text(v, ColumnType.FLOAT), "0") for v in values]
    wanted += [("0", canonical_text(v, ColumnType.FLOAT)) for v in singles]
    assert rows == tuple(wanted) or list(rows) == wanted
    tables.close()


TYPES = {
    "tinyint(1)": ("1", "1"), "bit(1)": ("b'1'", "1"), "tinyint unsigned": ("255", "255"), "year": ("2026", "2026"),
    "int(6) zerofill": ("42", "42"), "bigint unsigned": ("18446744073709551615", "18446744073709551615"),
    "decimal(20,4)": ("-120.5000", "-120.5"), "decimal(20,0)": ("1200", "1200"), "decimal(30,10)": ("-0.0", "0"),
    "char(9)": ("'a  '", "a"), "varchar(9)": ("'a  '", "a  "), "varchar(9) character set latin1": ("'é'", "é"),
    "enum('a,b','it''s','x\"y')": ("'it''s'", "it's"), "set('a','b\"c','d')": ("'a,b\"c'", '["a","b\\"c"]'),
    "date": ("'2026-02-03'", "2026-02-03"), "datetime": ("'2026-02-03 04:05:06'", "2026-02-03 04:05:06.000000"),
    "datetime(3)": ("'2026-02-03 04:05:06.789'", "2026-02-03 04:05:06.789000"),
    "timestamp(6)": ("'2026-02-03 04:05:06.000001'", "2026-02-03 04:05:06.000001"),
    "time(3)": ("'-838:59:58.5'", "-838:59:58.500000"), "time": ("'04:05:06'", "04:05:06.000000"),
    "json": ("'{\"a\":  [1]}'", '{"a":  [1]}'), "uuid": ("'123E4567-E89B-12D3-A456-426614174000'",
                                                         "123e4567-e89b-12d3-a456-426614174000"),
    "binary(3)": ("x'00ff'", "00ff00"), "blob": ("x'5c0a09'", "5c0a09"), "bit(10)": ("b'101'", "0000000101"),
    "inet6": ("'::1'", "::1"), "point": ("point(1,2)", "000000000101000000000000000000f03f0000000000000040"),
}  # fmt: skip


def _filled(db: ScratchDatabase) -> None:
    columns = ", ".join(f"c{n} {native} null" for n, native in enumerate(TYPES))
    db.execute(
        "set time_zone = '+00:00'",
        f"create table v (id int primary key, {columns})",
        f"insert into v values (1, {', '.join(value for value, _ in TYPES.values())})",
        "insert into v (id) values (2)",
    )


def test_canonical_texts_and_hashes_are_the_reference(my_db: ScratchDatabase) -> None:
    _filled(my_db)
    tables = _open(my_db)
    shape = _shape(tables, "v")
    with tables.snapshot([shape.name], 1) as snapshot:
        reader = snapshot.reader()
        asked = ", ".join(f"cast({render.canonical(c, render.quote(c.name))} as binary)" for c in shape.columns)
        texts = [None if v is None else v.decode() for v in reader.line.ask(f"select {asked} from v where id = 1")[0]]
        assert dict(zip(TYPES, texts[1:], strict=True)) == {n: wanted for n, (_, wanted) in TYPES.items()}
        both = tables.hashing(tables, shape.columns, shape.columns, ("id",), 2)
        assert both is not None
        found = dict(reader.hashes(Selection(shape.name, shape.columns), both[0], [0]))
        types = [c.type for c in shape.columns]
        assert found[("1",)] == portable_hash(row_text(texts, types))
        assert found[("2",)] == portable_hash(row_text(["2", *[None] * len(TYPES)], types))
        reader.close()
    tables.close()


@pytest.mark.parametrize("column", range(len(TYPES)))
def test_lines_come_back_as_they_were(my_db: ScratchDatabase, column: int) -> None:
    _filled(my_db)
    my_db.execute("create table w like v")
    tables = _open(my_db)
    tables.open_ledger()
    tables.take_over("s", 1)
    shape = _shape(tables, "v")
    columns = (shape.columns[0], shape.columns[column + 1])
    writer = tables.writer("s", 1)
    with tables.snapshot([shape.name], 1) as snapshot, writer.batch("b"):
        blocks = snapshot.reader().rows(Selection(shape.name, columns), Form.LINES, columns, "mysql")
        assert writer.load(tables.name_of("w"), columns, Form.LINES, blocks) == 2
    same = f"select count(*) from v join w using (id) where binary v.c{column} <=> binary w.c{column}"
    assert my_db.execute(same)[0][0] == 2
    assert my_db.execute(f"select c{column} is null from w order by id") == [(0,), (1,)]
    writer.close()
    tables.close()


def _lines(tables: MySQLTables, name: str, dialect: str, columns: tuple[ColumnShape, ...] = ()) -> bytes:
    shape = _shape(tables, name)
    with tables.snapshot([shape.name], 1) as snapshot:
        reader = snapshot.reader()
        columns = columns or shape.columns
        found = b"".join(reader.rows(Selection(shape.name, columns), Form.LINES, columns, dialect))
        reader.close()
    return found


def test_lines_for_postgres_are_its_own_input(my_db: ScratchDatabase) -> None:
    my_db.execute(
        "set time_zone = '+00:00'",
        "create table p (b blob, k timestamp null, f tinyint(1), t text, n decimal(9,2), s set('a','b'))",
        "insert into p values (x'00ff', '2026-01-02 03:04:05', 7, 'a\tb\\\\c\r\nN', 1.50, 'a,b'),"
        " (null, null, null, '\\\\N', null, '')",
    )
    tables = _open(my_db)
    assert _lines(tables, "p", "postgres") == (
        b'\\\\x00FF\t2026-01-02 03:04:05+00\t7\ta\\tb\\\\c\\r\\nN\t1.50\t["a","b"]\n\\N\t\\N\t\\N\t\\\\N\t\\N\t[]\n'
    )
    assert _lines(tables, "p", "mysql").startswith(b"00FF\t2026-01-02 03:04:05.000000\t7\t")
    tables.close()


@pytest.mark.parametrize("value", ["0000-00-00", "2026-00-15", "2026-02-00"])
def test_zero_dates_stop_by_name(my_db: ScratchDatabase, value: str) -> None:
    my_db.execute(
        "set sql_mode = ''",
        "create table z (id int primary key, t varchar(20), d date not null, m datetime)",
        f"insert into z values (1, '0000-00-00', '2026-01-01', null), (2, 'x-00-', '{value}', '{value} 00:00:00')",
        "create table y like z",
    )
    tables = _open(my_db)
    with pytest.raises(Stop, match=r"column d holds zero dates") as caught:
        _lines(tables, "z", "postgres")
    assert caught.value.hint
    columns = _shape(tables, "z").columns
    assert _lines(tables, "z", "sqlite", columns[:2]).count(b"\n") == 2, "only columns of dates are looked at"
    tables.open_ledger()
    tables.take_over("s", 1)
    writer = tables.writer("s", 1)
    with writer.batch("b"):
        writer.load(tables.name_of("y"), columns, Form.LINES, [_lines(tables, "z", "mysql")])
    assert my_db.execute("select count(*) from z join y using (id, t, d) where z.m <=> y.m") == [(2,)]
    writer.close()
    tables.close()


@pytest.fixture
def small_packets(my_db: ScratchDatabase) -> Iterator[ScratchDatabase]:
    """A server that writes out, or takes, no value of more than a megabyte."""
    before = my_db.execute("select @@global.max_allowed_packet")[0][0]
    my_db.execute("set global max_allowed_packet = 1048576")
    yield my_db
    my_db.execute(f"set global max_allowed_packet = {before}")


def test_values_that_the_server_cannot_write_out_are_not_lost(small_packets: ScratchDatabase) -> None:
    db = small_packets
    db.execute(
        "create table big (id int primary key, b longblob, t longtext, n int)",
        "insert into big values (1, 'x', 'y', 1), (2, repeat('\\\\', 700000), null, 2),"
        " (3, null, repeat('\\\\', 600000), 3), (4, repeat('b', 300000), repeat('中', 100000), null)",
    )
    tables = _open(db)
    found = sorted(_lines(tables, "big", "postgres").split(b"\n")[:-1])
    assert [f.split(b"\t")[0] for f in found] == [b"1", b"2", b"3", b"4"]
    assert found[1] == b"2\t\\\\x" + b"5c" * 700000 + b"\t\\N\t2"
    assert found[2] == b"3\t\\N\t" + b"\\\\" * 600000 + b"\t3"
    assert found[3].lower() == b"4\t\\\\x" + b"62" * 300000 + b"\t" + "中".encode() * 100000 + b"\t\\n"
    tables.close()


def test_rows_too_long_to_hash_are_not_taken_for_equal(small_packets: ScratchDatabase) -> None:
    small_packets.execute("create table big (id int primary key, b longblob)",
                          "insert into big values (1, repeat('x', 700000))")  # fmt: skip
    tables = _open(small_packets)
    shape = _shape(tables, "big")
    both = tables.hashing(tables, shape.columns, shape.columns, ("id",), 1)
    assert both is not None
    with tables.snapshot([shape.name], 1) as snapshot, pytest.raises(Stop, match="too long"):
        list(snapshot.reader().buckets(Selection(shape.name, shape.columns), both[0]))
    tables.close()
