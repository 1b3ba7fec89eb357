"""SQLite as source and target: what is its own beside the contract. Lines, storage classes, locks, broken files."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_assets.databases.base import ConnectionArgs, open_tables
from sync_assets.databases.sqlite.tables.lines import encoder, escaped, rows_of
from sync_assets.databases.sqlite.tables.values import Unfit, affinity, bound, parser, text_of
from sync_assets.engine.errors import BadBatch, Retry, Stop
from sync_assets.engine.model import ColumnType
from sync_assets.engine.tables.canonical import canonical_text
from sync_assets.engine.tables.reading import Form, Selection
from sync_assets.engine.tables.shape import ColumnShape, TableName, TableShape
from sync_assets.engine.tables.writing import Merge, Wanted
from sync_assets.testing.tables.lines import lines, parsed

T = ColumnType
TABLE = TableName("main", "t")
_TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30) | st.text(
    "\\\t\n\r\0\v\bntrNISFX'a", max_size=12
)


def column(type: ColumnType, native: str, name: str = "c") -> ColumnShape:
    return ColumnShape(name, type, native)


TEXT, BIG = column(T.TEXT, "text"), column(T.BIGINT, "bigint")


# -- lines


@given(st.lists(st.tuples(st.none() | _TEXTS, st.none() | _TEXTS), max_size=8))
def test_texts_come_back_from_lines(rows):
    encode = encoder(TEXT, TEXT, "sqlite")
    made = b"".join(b"\t".join(b"\\N" if v is None else encode(v) for v in row) + b"\n" for row in rows)
    assert list(rows_of([made], [TEXT, TEXT], "t")) == rows
    assert list(rows_of([lines(rows)], [TEXT, TEXT], "t")) == rows
    assert parsed([made]) == rows


@given(_TEXTS | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.binary(max_size=20),
       st.sampled_from(list(T)), st.sampled_from(["", "text", "integer", "numeric", "double", "blob"]))  # fmt: skip
def test_any_value_in_any_column_comes_back_between_two_files(value, type, native):
    """With its storage class: SQLite lets it stand there."""
    at = column(type, native)
    field = encoder(at, at, "sqlite")(value)
    ((back,),) = rows_of([field + b"\n"], [at], "t")
    assert (back.__class__, back) == (value.__class__, value)


@given(st.binary(max_size=40), st.sampled_from(list(T)))
def test_no_bytes_make_the_reader_of_lines_fail_otherwise(data, type):
    line = data.replace(b"\n", b"").replace(b"\t", b"") + b"\n"
    try:
        rows = list(rows_of([line], [column(type, "text")], "t"))
    except BadBatch as error:
        assert error.field == "c"
    else:
        assert len(rows) == 1


@given(st.integers(-(2**63), 2**63 - 1) | st.decimals(-(10**14), 10**14, places=1).map(lambda d: float(d)))
def test_numbers_keep_their_value_as_decimals(value):
    text = text_of(value, T.DECIMAL)
    assert parser(column(T.DECIMAL, "decimal(20,4)"))(text) == value
    assert bound(text, column(T.DECIMAL, "decimal")) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_canonical_float_is_compared_as_the_float_it_names(value):
    assert bound(canonical_text(value, T.FLOAT) or "", column(T.FLOAT, "double")) == value


@pytest.mark.parametrize(("type", "native", "text"), [
    (T.BOOL, "boolean", "2"), (T.BIGINT, "bigint", "9223372036854775808"), (T.BIGINT, "bigint", "1.0"),
    (T.BIGINT, "bigint", " 1"), (T.BIGINT, "bigint", "١"), (T.DECIMAL, "decimal(20,4)", "0.1234567890123456789"),
    (T.DECIMAL, "decimal", "NaN"), (T.FLOAT, "double", "nan"), (T.FLOAT, "double", "1_0"),
    (T.DATE, "date", "2026-02-30"),
    (T.DATE, "date", "infinity"), (T.DATE, "date", "12026-01-01"), (T.DATETIME, "datetime", "2026-01-01 25:00:00"),
    (T.DATETIME, "datetime", "2026-01-01 00:00:00.1234567"), (T.TIME, "time", "12:60:00"), (T.UUID, "uuid", "x"),
    (T.JSON, "json text", "{"), (T.JSON, "json", "1.10"), (T.OTHER, "numeric thing", "1.10"), (T.BLOB, "blob", "0 1"),
    (T.BLOB, "blob", "abc"), (T.FLOAT, "float4", "1e39"),
])  # fmt: skip
def test_what_does_not_fit_is_refused(type, native, text):
    with pytest.raises(Unfit):
        parser(replace(column(type, native), bits=32 if native == "float4" else None))(text)


@pytest.mark.parametrize(("native", "is_"), [
    ("CHARINT", "integer"), ("varchar(20)", "text"), ("json text", "text"), ("", "blob"), ("float4", "real"),
    ("decimal(10,2)", "numeric"), ("uuid", "numeric"),
])  # fmt: skip
def test_affinities(native, is_):
    assert affinity(native) == is_


@pytest.mark.parametrize(("value", "type"), [
    ("twelve", T.BIGINT), (1.5, T.BIGINT), (b"\0", T.TEXT), ("text", T.BLOB), ("6162", T.BLOB), (2, T.BOOL),
    ("soon", T.DATE),
    (5, T.DATETIME), (5, T.TEXT), ("\ud800", T.TEXT), ("no json", T.JSON), (float("inf"), T.DECIMAL),
])  # fmt: skip
def test_what_does_not_fit_is_not_sent_to_others(value, type):
    for dialect in ("postgres", "mysql"):
        with pytest.raises(BadBatch, match="column c is none of its declared type, x") as error:
            encoder(column(type, "x"), column(type, "x"), dialect)(value)
        assert error.value.field == "c"


def test_bytes_and_floats_for_postgres():
    blob, real = column(T.BLOB, "blob"), column(T.FLOAT, "real")
    assert encoder(blob, blob, "postgres")(b"\x00\xff") == b"\\\\x00ff"
    assert encoder(blob, blob, "mysql")(b"\x00\xff") == b"00ff"
    assert encoder(real, real, "postgres")(float("-inf")) == b"-Infinity"
    assert escaped("a\tb\\\r\n") == b"a\\tb\\\\\\r\\n"


# -- files


def args(path: Path, **more: object) -> ConnectionArgs:
    return ConnectionArgs(name="file", path=str(path), **more)  # type: ignore[arg-type]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table t (id integer primary key, v text)")
    connection.close()
    return path


def ask(path: Path, sql: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute(sql).fetchall()
    connection.close()
    return rows


def test_a_mistyped_path_makes_no_file(tmp_path):
    target = open_tables("sqlite", args(tmp_path / "none.db"))
    with pytest.raises(Stop, match="there is no file"):
        target.open_ledger()
    assert not (tmp_path / "none.db").exists()


def test_a_file_that_is_no_database(tmp_path):
    path = tmp_path / "text.db"
    path.write_text("this is no database, but long enough to look like something" * 40)
    with pytest.raises(Stop, match="is no SQLite database"):
        open_tables("sqlite", args(path)).tables()


def test_a_lock_that_stays_is_told_as_passing(file):
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("begin exclusive")
    try:
        with pytest.raises(Retry, match="somebody else writes"):
            open_tables("sqlite", args(file, silent_seconds=0)).open_ledger()
    finally:
        other.close()


def test_a_build_that_fails_leaves_nothing(file):
    target = open_tables("sqlite", args(file))
    with pytest.raises(Stop):
        target.build(["create table main.a (x)", "create table main.b (x", "create table main.c (x)"])
    assert [e.name.name for e in target.tables()] == ["t"]


def test_a_full_disk_undoes_the_batch(file):
    """A limit on the file's pages is a full disk to SQLite."""
    target = open_tables("sqlite", args(file))
    target.open_ledger()
    target.take_over("s", 1)
    writer = target.writer("s", 1)
    (pages,) = ask(file, "pragma page_count")[0]
    writer.connection.execute(f"pragma max_page_count = {int(str(pages)) + 5}")
    columns = target.shapes([TABLE])[TABLE].columns
    with pytest.raises(Retry, match="disk is full"), writer.batch("b", position="p"):
        writer.load(TABLE, columns, Form.LINES, [lines((str(i), "x" * 1000) for i in range(1000))])
    assert ask(file, "select count(*) from t") == [(0,)]
    assert (target.peek("s").position, target.peek("s").applied) == (None, frozenset())
    writer.connection.execute("pragma max_page_count = 1000000")
    with writer.batch("b") as todo:
        assert todo
        writer.load(TABLE, columns, Form.LINES, [lines([("1", "x")])])
    writer.close()
    assert ask(file, "select count(*) from t") == [(1,)]


def test_the_end_of_a_run_asked_for_twice_is_done_once(file):
    """The answer to the commit was lost; the ledger's rows of the run are gone by then."""
    target = open_tables("sqlite", args(file))
    target.open_ledger()
    target.take_over("s", 1)
    writer = target.writer("s", 1)
    columns = target.shapes([TABLE])[TABLE].columns
    for turn in range(2):
        with writer.batch("last", ends=True) as todo:
            assert todo is (turn == 0)
            if todo:
                writer.load(TABLE, columns, Form.LINES, [lines([("1", "x")])])
    writer.close()
    assert target.peek("s").epoch == 1


def test_a_trigger_keeps_its_table_from_being_swapped(file):
    ask(file, "create trigger tr after insert on t begin select 1; end")
    target = open_tables("sqlite", args(file))
    target.open_ledger()
    target.take_over("s", 1)
    writer = target.writer("s", 1)
    assert writer.swap(writer.twin(TABLE), TABLE, "swap") is False
    with pytest.raises(Stop, match="no table of ours"):
        writer.drop(TABLE)
    writer.close()


def test_a_column_that_folds_case_is_brought_into_step(tmp_path):
    path = tmp_path / "fold.db"
    ask(path, "create table t (id integer primary key, v text collate nocase)")
    target = open_tables("sqlite", args(path))
    target.open_ledger()
    target.take_over("s", 1)
    writer = target.writer("s", 1)
    columns = target.shapes([TABLE])[TABLE].columns
    for turn, value in enumerate(("abc", "ABC")):
        stage = writer.stage(TABLE, columns)
        with writer.batch(f"b{turn}"):
            writer.load(stage, columns, Form.LINES, [lines([("1", value)])])
            counts = writer.merge(stage, TABLE, Merge(("id",), columns))
        assert (counts.created, counts.updated) == ((1, 0), (0, 1))[turn]
    writer.close()
    assert ask(path, "select v from t") == [("ABC",)]


def test_a_table_made_by_design_reads_back_without_drift(tmp_path):
    """All that `native_of` makes is understood by `shapes`."""
    from sync_assets.databases.typemap_pages import SAMPLES

    path = tmp_path / "made.db"
    path.touch()
    target = open_tables("sqlite", args(path))
    columns = tuple(replace(c, name=f"c{i}") for i, c in enumerate(SAMPLES["postgres"]))
    source = TableShape(TableName("public", "made"), columns)
    wanted = [Wanted(source, TableName("main", "made"), columns, ())]
    other = open_tables("sqlite", args(path))
    other.dialect, other.address = "postgres", "elsewhere"
    design = target.design(wanted, other, "stop")
    assert len(design.before) == 1
    target.build(design.before)
    again = target.design(wanted, other, "stop")
    assert (again.before, again.after, again.stops, again.drift) == ((), (), (), ())


def test_slices_by_a_clock_hold_every_row_once(tmp_path):
    path = tmp_path / "clock.db"
    with sqlite3.connect(path) as connection:
        connection.execute("create table t (k datetime not null, p text)")
        spelled = ["2026-01-01", "2026-01-01 00:00:00.5", "2026-01-01T00:00:01", "soon", 5, b"\x01"]
        rows = [(s, "p" * 200) for s in spelled] + [
            (f"2026-01-02 00:{i // 60:02}:{i % 60:02}", "p") for i in range(900)
        ]
        connection.executemany("insert into t values (?, ?)", rows)
    connection.close()
    source = open_tables("sqlite", args(path))
    shape = source.shapes([TABLE])[TABLE]
    with source.snapshot([TABLE], 1) as snapshot:
        pieces = snapshot.slices(Selection(TABLE, shape.columns, key=("k",)), 2_000)
        reader = snapshot.reader()
        assert len(pieces) > 5
        assert sum(reader.count(p) for p in pieces) == len(rows)


def test_our_own_reading_does_not_keep_us_from_writing(file):
    """Without a write-ahead log an open snapshot would lock the file against our own writer."""
    target = open_tables("sqlite", args(file, silent_seconds=1))
    target.open_ledger()
    columns = target.shapes([TABLE])[TABLE].columns
    with target.snapshot([TABLE], 1) as snapshot:
        reader = snapshot.reader()
        assert reader.count(Selection(TABLE, columns)) == 0
        target.take_over("s", 1)
        writer = target.writer("s", 1)
        with writer.batch("b"):
            writer.load(TABLE, columns, Form.LINES, [lines([("1", "x")])])
        writer.close()
        assert reader.count(Selection(TABLE, columns)) == 1


def test_one_file_as_both_ends_needs_a_write_ahead_log(file):
    target = open_tables("sqlite", args(file))
    shape = target.shapes([TABLE])[TABLE]
    wanted = [Wanted(shape, TableName("main", "copy"), shape.columns, shape.key)]
    with pytest.raises(Stop, match="source and target are one file") as error:
        target.design(wanted, open_tables("sqlite", args(file)), "apply")
    assert "journal_mode = wal" in error.value.hint
    ask(file, "pragma journal_mode = wal")
    assert len(target.design(wanted, open_tables("sqlite", args(file)), "apply").before) == 1
