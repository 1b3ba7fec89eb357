"""What only MySQL and MariaDB do: their catalogue, the one moment, LOAD DATA LOCAL and its dangers, swaps."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from sync_assets.databases.base import ConnectionArgs, open_tables
from sync_assets.databases.mysql.tables import MySQLTables, ledger, swap
from sync_assets.databases.mysql.tables.line import Line
from sync_assets.databases.mysql.tables.writer import TableWriter
from sync_assets.engine.errors import BadBatch, Retry, Stop
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.reading import Condition, Form, Selection
from sync_assets.engine.tables.shape import ColumnShape, ForeignKey, TableKind, TableName
from sync_assets.engine.tables.writing import Head, Merge
from sync_assets_tests.fix_servers import ScratchDatabase


@contextmanager
def _desk(db: ScratchDatabase, **changes: Any) -> Iterator[tuple[MySQLTables, TableWriter]]:
    tables = open_tables("mysql", replace(db.args, **changes))
    assert isinstance(tables, MySQLTables)
    tables.open_ledger()
    tables.take_over("s", 1)
    writer = tables.writer("s", 1)
    yield tables, writer
    writer.close()
    tables.close()


def _load(tables: MySQLTables, writer: TableWriter, table: TableName, lines: bytes, batch: str = "b") -> int:
    with writer.batch(batch):
        return writer.load(table, tables.shapes([table])[table].writable, Form.LINES, [lines])


# -- the catalogue


def test_a_table_is_told_as_it_is(my_db: ScratchDatabase) -> None:
    my_db.execute(
        "create table parent (a int, b varchar(9), primary key (a, b)) comment 'it''s 中'",
        "create table t (id bigint unsigned auto_increment primary key, f tinyint(1) not null default 1,"
        " e enum('a,b','it''s','') default 'it''s' comment 'c', j json, x text collate utf8mb4_bin,"
        " n decimal(9,2) default 1.5,"
        " g int as (f + 1) stored, k timestamp(3) null default current_timestamp(3), b varbinary(7), c char(4),"
        " pa int, pb varchar(9), u int not null, constraint small check (u < 10), unique by_u (u), index by_x (x(9)),"
        " constraint `fk` foreign key (pa, pb) references parent (a, b) on delete cascade) engine = InnoDB",
        "create view v as select id, e from t",
    )
    with _desk(my_db) as (tables, _):
        names = {e.name.name: e for e in tables.tables()}
        assert {n: e.kind for n, e in names.items()} == {
            "parent": TableKind.TABLE, "t": TableKind.TABLE, "v": TableKind.VIEW}  # fmt: skip
        parent, name = tables.name_of("parent"), tables.name_of("t")
        assert names["t"].references == (parent,)
        found = tables.shapes([name, parent, tables.name_of("gone")])
        assert set(found) == {name, parent}
        shape = found[name]
        by_name = {c.name: c for c in shape.columns}
        assert (by_name["id"].type, by_name["id"].unsigned, by_name["id"].identity) == (
            ColumnType.BIGINT,
            True,
            "default",
        )
        assert (by_name["f"].type, by_name["f"].nullable, by_name["f"].default) == (ColumnType.BOOL, False, "1")
        assert (by_name["e"].options, by_name["e"].default, by_name["e"].comment) == (
            ("a,b", "it's", ""),
            "'it''s'",
            "c",
        )
        assert (by_name["j"].type, by_name["j"].native) == (ColumnType.JSON, "json")
        assert (by_name["x"].collation, by_name["c"].collation) == ("utf8mb4_bin", "")
        assert (by_name["n"].precision, by_name["n"].scale, by_name["n"].default) == (9, 2, "1.50")
        assert by_name["g"].generated and "g" not in {c.name for c in shape.writable}
        assert (by_name["k"].type, by_name["k"].precision) == (ColumnType.INSTANT, 3)
        assert (by_name["b"].length, by_name["c"].length, by_name["c"].fixed) == (7, 4, True)
        assert (shape.key, shape.unique, len(shape.checks), shape.engine) == (("id",), (("u",),), 1, "InnoDB")
        assert {i.name: (i.unique, i.plain) for i in shape.indexes} == {
            "by_u": (True, True), "by_x": (False, False), "fk": (False, True)}  # fmt: skip
        assert shape.foreign_keys == (ForeignKey("fk", ("pa", "pb"), parent, ("a", "b"), "CASCADE", ""),)
        assert (found[parent].key, found[parent].comment) == (("a", "b"), "it's 中")


def test_columns_of_a_query(my_db: ScratchDatabase) -> None:
    my_db.execute("create table t (id bigint unsigned primary key, c char(4), b bit(5), n decimal(9,2))")
    with _desk(my_db) as (tables, _):
        query = "select id, c, b, n, id % 2 as odd, 'é' as t, count(*) as many from t where c like 'a%' group by 1"
        found = {c.name: c for c in tables.query_columns(query)}
        assert [*found] == ["id", "c", "b", "n", "odd", "t", "many"]
        assert (found["id"].bits, found["id"].unsigned, found["c"].length, found["c"].fixed) == (64, True, 4, True)
        assert (found["b"].length, found["n"].scale, found["many"].type) == (5, 2, ColumnType.BIGINT)


# -- one moment


def test_without_the_right_to_lock_there_is_one_connection(my_db: ScratchDatabase) -> None:
    my_db.execute("create table t (id int primary key)")
    assert my_db.server is not None
    my_db.server.create_user("looker", "pw", f"grant select on {my_db.args.database}.* to looker")
    try:
        tables = open_tables("mysql", replace(my_db.args, user="looker", open_password=lambda: "pw"))
        with tables.snapshot([tables.name_of("t")], 4) as snapshot:
            assert snapshot.streams == 1
            assert "LOCK TABLES" in snapshot.notes[0]
            snapshot.reader().close()
        tables.close()
    finally:
        my_db.server.drop_user("looker")


def test_who_may_not_make_the_ledger_is_told_what_to_ask_for(my_db: ScratchDatabase) -> None:
    database = my_db.args.database
    assert my_db.server is not None
    my_db.server.create_user("looker", "pw", f"grant select on {database}.* to looker")
    tables = open_tables("mysql", replace(my_db.args, user="looker", open_password=lambda: "pw"))
    try:
        with pytest.raises(Stop) as caught:
            tables.open_ledger()
        assert caught.value.message.endswith(f": the ledger of sync_assets could not be made in database {database}")
        assert caught.value.hint.startswith("grant create, alter, drop, ")
        assert f"on {database}.* to this user (looker)" in caught.value.hint
    finally:
        tables.close()
        my_db.server.drop_user("looker")


def test_an_open_writer_is_not_waited_for_long(my_db: ScratchDatabase) -> None:
    my_db.execute("create table t (id int primary key)")
    assert my_db.server is not None
    busy = my_db.server.connect(my_db.args.database)
    busy.begin()
    busy.query("insert into t values (1)")
    tables = open_tables("mysql", my_db.args)
    with tables.snapshot([tables.name_of("t")], 3) as snapshot:
        assert snapshot.streams == 1
        assert "transaction" in snapshot.notes[0]
        busy.query("insert into t values (2)")  # nobody's lock is in the way
    assert tables.oldest_writer() is not None
    busy.rollback()
    tables.close()
    busy.close()


def test_all_connections_begin_at_one_moment(my_db: ScratchDatabase) -> None:
    """Writers add to two tables all the time; every reader must see the same sums."""
    my_db.execute("create table a (id int primary key auto_increment)", "create table b like a")
    stop = threading.Event()

    def write() -> None:
        assert my_db.server is not None
        connection = my_db.server.connect(my_db.args.database)
        while not stop.is_set():
            connection.query("insert into a values ()")
            connection.query("insert into b values ()")
        connection.close()

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    tables = open_tables("mysql", my_db.args)
    names = [tables.name_of("a"), tables.name_of("b")]
    try:
        for _ in range(15):
            with tables.snapshot(names, 8) as snapshot:
                assert snapshot.streams == 8
                readers = [snapshot.reader() for _ in range(8)]
                assert len({tuple(r.count(Selection(n, ())) for n in names) for r in readers}) == 1
                for reader in readers:
                    reader.close()
    finally:
        stop.set()
        for writer in writers:
            writer.join()
        tables.close()


def _kill(db: ScratchDatabase, line: Line) -> None:
    db.execute(f"kill {line.connection.thread_id()}")


def test_a_lost_reader_never_goes_on_in_another_moment(my_db: ScratchDatabase) -> None:
    my_db.execute("create table t (id int primary key)")
    with _desk(my_db) as (tables, _), tables.snapshot([tables.name_of("t")], 1) as snapshot:
        reader = snapshot.reader()
        _kill(my_db, reader.line)
        for _ in range(2):
            with pytest.raises(Retry):
                reader.count(Selection(tables.name_of("t"), ()))
        reader.close()
        with pytest.raises(Retry):
            snapshot.reader()


def test_a_lost_writer_never_goes_on_outside_its_batch(my_db: ScratchDatabase) -> None:
    my_db.execute("create table t (id int primary key)")
    with _desk(my_db) as (tables, writer):
        name = tables.name_of("t")
        columns = tables.shapes([name])[name].columns
        with pytest.raises(Retry), writer.batch("b"):
            _kill(my_db, writer.line)
            for line in (b"1\n", b"2\n"):
                with suppress(Retry):
                    writer.load(name, columns, Form.LINES, [line])
        assert my_db.execute("select count(*) from t")[0][0] == 0
        assert _load(tables, writer, name, b"3\n", "c") == 1


@pytest.mark.parametrize("exact", ["A", "a", "a "])
def test_conditions_and_keys_mean_exactly_that_text(my_db: ScratchDatabase, exact: str) -> None:
    my_db.execute("create table t (id int primary key, c varchar(9)) collate utf8mb4_unicode_ci",
                  "insert into t values (1, 'A'), (2, 'a'), (3, 'a '), (4, 'á'), (5, null)")  # fmt: skip
    tables = open_tables("mysql", my_db.args)
    shape = tables.shapes([tables.name_of("t")])[tables.name_of("t")]
    with tables.snapshot([shape.name], 1) as snapshot:
        reader = snapshot.reader()
        whole = Selection(shape.name, shape.columns, key=("c",))
        assert reader.count(whole.having(Condition("c", "=", exact))) == 1
        assert reader.count(replace(whole, keys=((exact,),))) == 1
        assert reader.count(replace(whole, key=("id", "c"), keys=(("2", "a"), ("1", "a"), ("9", exact)))) == 1
        reader.close()
    tables.close()


def test_a_table_without_snapshots_is_noted(my_db: ScratchDatabase) -> None:
    my_db.execute("create table t (id int primary key) engine = MyISAM")
    tables = open_tables("mysql", my_db.args)
    with tables.snapshot([tables.name_of("t")], 1) as snapshot:
        assert "MyISAM" in snapshot.notes[0]
    tables.close()


@pytest.mark.parametrize("form", Form)
def test_who_stops_reading_keeps_the_snapshot(my_db: ScratchDatabase, form: Form) -> None:
    my_db.execute("create table t (id int primary key, p varchar(200))",
                  "insert into t select seq, repeat('x', 200) from seq_1_to_20000")  # fmt: skip
    tables = open_tables("mysql", my_db.args)
    shape = tables.shapes([tables.name_of("t")])[tables.name_of("t")]
    whole = Selection(shape.name, shape.columns)
    with tables.snapshot([shape.name], 1) as snapshot:
        reader = snapshot.reader()
        there = (ColumnShape("id", ColumnType.INTEGER, "integer", bits=32), ColumnShape("p", ColumnType.TEXT, "text"))
        blocks = reader.rows(whole, form, there, "postgres")
        next(blocks)
        blocks.close()  # type: ignore[attr-defined]
        my_db.execute("delete from t")
        assert reader.count(whole) == 20000
        reader.close()
    tables.close()


# -- loading


WARNED = {
    "too long": (b"1\tabcdef\t1\n", "c"), "number": (b"1\ta\tSECRET for column `x`\n", "n"),
    "fields": (b"1\ta\n", ""), "range": (b"1\ta\t99999999999\n", "n"), "twice": (b"1\ta\t1\n1\tb\t1\n", "PRIMARY"),
    "blanks": (b"1\tab    \t1\n", "c"),
}  # fmt: skip


@pytest.mark.parametrize("local", [True, False])
@pytest.mark.parametrize("kind", WARNED)
def test_what_the_server_would_let_pass_is_refused(my_db: ScratchDatabase, kind: str, local: bool) -> None:
    my_db.execute("create table t (id int primary key, c varchar(3), n int)")
    lines, column = WARNED[kind]
    with _desk(my_db) as (tables, writer):
        writer.local = local
        with pytest.raises(BadBatch) as caught:
            _load(tables, writer, tables.name_of("t"), lines)
        assert "SECRET" not in str(caught.value)
        assert caught.value.field == column
    assert my_db.execute("select count(*) from t") == ((0,),) or my_db.execute("select count(*) from t") == [(0,)]


def test_a_server_that_takes_no_files_gets_statements(my_db: ScratchDatabase) -> None:
    my_db.execute("create table t (id int primary key, c longtext, b longblob, f bit(1), s set('a','b\"c'), n double)")
    my_db.execute("set global local_infile = 0")
    rows = [("1", "a\\\\b\\tc\\nd'e\\\\N", "5c00ff", "1", '["a","b\\\\"c"]', "1e-07"), ("2", "", "", "0", "[]", "0.1"),
            ("3", *["\\N"] * 5), ("4", "x" * 5_000_000, "00" * 100_000, "1", '["a"]', "-1.5")]  # fmt: skip
    lines = "".join("\t".join(r) + "\n" for r in rows).encode()
    try:
        with _desk(my_db) as (tables, writer):
            assert _load(tables, writer, tables.name_of("t"), lines) == 4
            assert writer.local is False
    finally:
        my_db.execute("set global local_infile = 1")
    my_db.execute("create table u like t")
    with _desk(my_db) as (tables, writer):
        assert _load(tables, writer, tables.name_of("u"), lines, "u") == 4
        assert writer.local is True
    found = my_db.execute("select id, c, b, f + 0, s, n from t where id < 4")
    assert found[0] == (1, "a\\b\tc\nd'e\\N", b"\x5c\x00\xff", 1, 'a,b"c', 1e-07)
    assert found[2] == (3, None, None, None, None, None)
    same = "select count(*) from t join u using (id) where t.c <=> u.c and t.b <=> u.b and t.f <=> u.f and t.s <=> u.s"
    assert my_db.execute(same)[0][0] == 4


# -- a server that is not honest


class Robber(threading.Thread):
    """A server that lets anybody in, and answers the query that holds `when` by asking for a file."""

    def __init__(self, when: bytes, file: bytes) -> None:
        super().__init__(daemon=True)
        self.when, self.file = when, file
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        self.loot: list[bytes] = []

    def run(self) -> None:
        peer, _ = self.listener.accept()
        stream = peer.makefile("rwb")
        self._send(stream, 0, b"\x0a8.0.36\0" + b"\1\0\0\0" + b"12345678\0" + b"\xff\xf7\x2d\2\0\xff\xc1\x15"
                   + b"\0" * 10 + b"123456789012\0" + b"mysql_native_password\0")  # fmt: skip
        self._packet(stream)
        ok = b"\0\0\0\2\0\0\0"
        self._send(stream, 2, ok)
        while (packet := self._packet(stream)) is not None:
            if self.when in packet:
                self._send(stream, 1, b"\xfb" + self.file)
                while stolen := self._packet(stream):
                    self.loot.append(stolen)
                break
            if packet[1:7].lower() == b"select":
                self._send(stream, 1, b"\1")
                self._send(stream, 2, b"\3def\0\0\0\1x\1x\x0c\x2d\0\xff\0\0\0\xfd\0\0\0\0\0")
                self._send(stream, 3, b"\xfe\0\0\2\0")
                self._send(stream, 4, b"\x0816777216")
                self._send(stream, 5, b"\xfe\0\0\2\0")
            else:
                self._send(stream, 1, ok)
        for end in (stream, peer, self.listener):
            end.close()

    @staticmethod
    def _send(stream: Any, number: int, payload: bytes) -> None:
        stream.write(len(payload).to_bytes(3, "little") + bytes([number]) + payload)
        stream.flush()

    @staticmethod
    def _packet(stream: Any) -> bytes | None:
        head = stream.read(4)
        return stream.read(int.from_bytes(head[:3], "little")) if len(head) == 4 else None


@pytest.mark.parametrize("when", [b"set session", b"commit", b"select @@", b"load data"])
@pytest.mark.parametrize("asked", ["a file", "our stream"])
def test_a_server_that_asks_for_a_file_gets_nothing(when: bytes, asked: str, tmp_path: Any) -> None:
    secret = tmp_path / "secret"
    secret.write_text("SECRET")
    robber = Robber(when, str(secret).encode() if asked == "a file" else b"sync_assets:rows")
    robber.start()
    args = ConnectionArgs("rob", port=robber.port, database="d", user="u", open_password=lambda: "p", tls="off")
    line = Line(args, writes=True)
    honest = when == b"load data" and asked == "our stream"
    try:
        line.run("commit")
        line.connection.load("load data local infile 'sync_assets:rows' into table t", [b"1\n"])
    except (Stop, Retry) as error:
        assert isinstance(error, Stop) and error.code == "file_request"
        assert not honest
    except Exception:
        assert honest, "only the loot that we offered is taken"
    finally:
        line.close()
    robber.join(10)
    assert b"SECRET" not in b"".join(robber.loot)
    assert b"".join(robber.loot) == (b"1\n" if honest else b"")


# -- merging and swapping


def test_a_key_that_changes_its_case_is_the_same_row(my_db: ScratchDatabase) -> None:
    my_db.execute("create table t (id varchar(9) primary key, n int) collate utf8mb4_unicode_ci",
                  "insert into t values ('abc', 1), ('keep', 1)")  # fmt: skip
    with _desk(my_db) as (tables, writer):
        name = tables.name_of("t")
        columns = tables.shapes([name])[name].columns
        for batch, lines, wanted in (("1", b"ABC\t1\nkeep\t1\n", (0, 1, 1)), ("2", b"ABC\t1\nkeep\t1\n", (0, 0, 2))):
            stage = writer.stage(name, columns)
            with writer.batch(f"s{batch}"):
                writer.load(stage, columns, Form.LINES, [lines])
            with writer.batch(f"m{batch}"):
                counts = writer.merge(stage, name, Merge(("id",), columns, delete_missing=True))
            assert (counts.created, counts.updated, counts.unchanged, counts.deleted) == (*wanted, 0)
        stage = writer.stage(name, columns)
        with writer.batch("s3"):
            writer.load(stage, columns, Form.LINES, [b"x\t1\nX\t2\n"])
        with pytest.raises(Stop, match="1 keys"), writer.batch("m3"):
            writer.merge(stage, name, Merge(("id",), columns))
    assert [r[0] for r in my_db.execute("select id from t order by id")] == ["ABC", "keep"]


def test_a_unique_value_may_move_between_rows(my_db: ScratchDatabase) -> None:
    my_db.execute("create table t (id int primary key, u int unique)", "insert into t values (1, 10), (2, 20)")
    with _desk(my_db) as (tables, writer):
        name = tables.name_of("t")
        columns = tables.shapes([name])[name].columns
        stage = writer.stage(name, columns)
        with writer.batch("s"):
            writer.load(stage, columns, Form.LINES, [b"2\t\\N\n3\t10\n4\t20\n"])
        with writer.batch("m"):
            counts = writer.merge(stage, name, Merge(("id",), columns, delete_missing=True))
        assert (counts.created, counts.updated, counts.deleted) == (2, 1, 1)
    assert sorted(my_db.execute("select * from t"))[0] == (2, None)


def _swappable(db: ScratchDatabase) -> None:
    db.execute("create table t (id int primary key auto_increment, n int, x text, key `by ``n` (n),"
               " fulltext key ft (x))",
               "insert into t values (1, 1, 'old')")  # fmt: skip


@pytest.mark.parametrize("when", ["after the rename", "before the rename"])
def test_a_swap_that_broke_off_is_brought_to_its_end(
    my_db: ScratchDatabase, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _swappable(my_db)
    with _desk(my_db) as (tables, writer):
        name = tables.name_of("t")
        twin = writer.twin(name)
        _load(tables, writer, twin, b"2\t2\tnew\n")

        def broken(*_: Any) -> None:
            raise Retry("the power went")

        with monkeypatch.context() as patched:
            patched.setattr(*((ledger, "end") if when == "after the rename" else (swap, "finish")), broken)
            with pytest.raises(Retry):
                writer.swap(twin, name, "swap", position="p")
        assert tables.peek("s").epoch == 0
        assert my_db.execute("select x from t")[0][0] == ("new" if when == "after the rename" else "old")
        assert writer.swap(
            writer.twin(name, keep=True) if when == "before the rename" else twin, name, "swap", position="p"
        )
        assert tables.peek("s") == Head(1, 1, "p", None, frozenset())
        assert my_db.execute("select * from t")[0] == (2, 2, "new")
        assert {i.name for i in tables.shapes([name])[name].indexes} == {"by `n", "ft"}
        left = my_db.execute("show tables like 'sync\\_assets\\_%'")
        assert sorted(r[0] for r in left) == ["sync_assets_head", "sync_assets_ledger"]


def test_a_table_with_a_trigger_is_not_swapped(my_db: ScratchDatabase) -> None:
    _swappable(my_db)
    my_db.execute("create trigger tr before insert on t for each row set new.n = 1")
    with _desk(my_db) as (tables, writer):
        twin = writer.twin(tables.name_of("t"))
        assert writer.swap(twin, tables.name_of("t"), "swap") is False
        assert my_db.execute("select x from t")[0][0] == "old"
        writer.drop(twin)


def test_a_view_is_no_target(my_db: ScratchDatabase) -> None:
    my_db.execute("create table t (id int primary key)", "create view v as select * from t",
                  "create table m (id int primary key) engine = MyISAM")  # fmt: skip
    with _desk(my_db) as (tables, writer):
        with pytest.raises(Stop, match="view"), writer.batch("b"):
            writer.merge(tables.name_of("t"), tables.name_of("v"), Merge((), ()))
        with pytest.raises(Stop, match="MyISAM") as caught, writer.batch("b"):
            writer.load(tables.name_of("m"), tables.shapes([tables.name_of("m")])[tables.name_of("m")].columns,
                        Form.LINES, [b"1\n"])  # fmt: skip
        assert "InnoDB" in caught.value.hint


def test_foreign_keys_are_seen_by_a_user_who_may_only_select(my_db: ScratchDatabase):
    """information_schema.referential_constraints is empty for such a user."""
    assert my_db.server is not None
    my_db.execute(
        "create table parent (id int primary key)",
        "create table child (id int primary key, of int, constraint c foreign key (of) references parent (id)"
        " on delete cascade)",
    )
    user = f"r_{my_db.args.database}"
    my_db.server.create_user(user, "looks only", f"grant select on {my_db.args.database}.* to '{user}'@'%'")
    tables = open_tables("mysql", replace(my_db.args, user=user, open_password=lambda: "looks only"))
    try:
        name = tables.name_of("child")
        (key,) = tables.shapes([name])[name].foreign_keys
    finally:
        tables.close()
    assert (key.columns, key.to.name, key.to_columns, key.rules_seen) == (("of",), "parent", ("id",), False)
