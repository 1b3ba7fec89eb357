"""Tables and queries as sources, on real servers: windows, zones, positions, names, snapshots, faults."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sync_assets.engine.errors import Retry, Stop
from sync_assets.engine.model import Observation, Partition
from sync_assets.sources.sql import SqlSource
from sync_assets.testing.proxy import Proxy
from sync_assets_tests.fix_servers import ScratchDatabase

SHANGHAI, BERLIN, NEW_YORK = ZoneInfo("Asia/Shanghai"), ZoneInfo("Europe/Berlin"), ZoneInfo("America/New_York")
INSTANT = {"postgres": "timestamptz", "mysql": "timestamp null", "sqlite": "datetime"}
CLOCK = {"postgres": "timestamp", "mysql": "datetime", "sqlite": "datetime"}


def _day(zone: ZoneInfo, *ymd: int) -> Partition:
    start = datetime(*ymd, tzinfo=zone)  # type: ignore[arg-type,misc]
    end = (start.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=zone)
    return Partition(start.date().isoformat(), start, end)


def _ids(source: SqlSource, partition: Partition | None = None, since: object = None) -> list[Any]:
    return sorted(row[0] for batch in source.read(partition, since) for row in batch.rows)


@pytest.fixture
def opened() -> Iterator[Any]:
    sources: list[SqlSource] = []

    def make(db: ScratchDatabase, zone: ZoneInfo = SHANGHAI, **how: Any) -> SqlSource:
        sources.append(SqlSource("orders", db.open(), time_zone=zone, **how))
        return sources[-1]

    yield make
    for source in sources:
        source.close()


@pytest.mark.parametrize("zone", [SHANGHAI, NEW_YORK, BERLIN], ids=str)
@pytest.mark.parametrize("column", ["clock_", "on_"])
def test_a_day_is_the_wall_clocks_day(any_db: ScratchDatabase, zone: ZoneInfo, column: str, opened: Any) -> None:
    any_db.execute(
        f"create table t (id int, clock_ {CLOCK[any_db.kind]}, on_ date)",
        "insert into t values (1, '2026-09-30 23:59:59', '2026-09-30'), (2, '2026-10-01 00:00:00', '2026-10-01'),"
        " (3, '2026-10-01 23:59:59', '2026-10-01'), (4, '2026-10-02 00:00:00', '2026-10-02'), (5, null, null)",
    )
    day = _day(zone, 2026, 10, 1)
    query = f"select id, {column} from t where {column} >= :start and {column} < :end"
    assert _ids(opened(any_db, zone, table="t", partitions=column), day) == [2, 3]
    assert _ids(opened(any_db, zone, query=query), day) == [2, 3]


@pytest.mark.parametrize("zone", [SHANGHAI, NEW_YORK, BERLIN], ids=str)
def test_a_day_of_instants_is_the_zones_day(server_db: ScratchDatabase, zone: ZoneInfo, opened: Any) -> None:
    start, end = datetime(2026, 10, 1, tzinfo=zone), datetime(2026, 10, 2, tzinfo=zone)
    moments = [start - timedelta(seconds=1), start, end - timedelta(seconds=1), end]
    if server_db.kind == "postgres":
        rows = [f"({n}, '{m.astimezone(UTC):%F %T}+00')" for n, m in enumerate(moments)]
    else:  # the superuser's session is in +05:30
        rows = [f"({n}, '{m.astimezone(UTC) + timedelta(hours=5.5):%F %T}')" for n, m in enumerate(moments)]
    server_db.execute(
        f"create table t (id int, at {INSTANT[server_db.kind]})", f"insert into t values {', '.join(rows)}"
    )
    day = _day(zone, 2026, 10, 1)
    table = opened(server_db, zone, table="t", partitions="at", watermark="at")
    assert _ids(table, day) == [1, 2]
    query = "select id, at from t where at >= :start and at < :end"
    assert _ids(opened(server_db, zone, query=query), day) == [1, 2]
    read = [row[1] for batch in table.read() for row in batch.rows]
    assert read == moments and all(m.tzinfo for m in read)
    assert table.observe().watermark == str(end.astimezone(UTC))
    assert _ids(table, None, table.observe().watermark) == [3]


def test_the_day_when_the_clock_changes_has_all_its_instants(server_db: ScratchDatabase, opened: Any) -> None:
    """25 October 2026 has 25 hours in Berlin. A table needs no zone tables at the server for it."""
    start = datetime(2026, 10, 24, 22, tzinfo=UTC)
    hours = [start + timedelta(hours=n) for n in range(-1, 26)]
    shift = timedelta(0) if server_db.kind == "postgres" else timedelta(hours=5.5)
    zone = "+00" if server_db.kind == "postgres" else ""
    rows = ", ".join(f"({n}, '{h + shift:%F %T}{zone}')" for n, h in enumerate(hours))
    server_db.execute(f"create table t (id int, at {INSTANT[server_db.kind]})", f"insert into t values {rows}")
    days = [_day(BERLIN, 2026, 10, 24), _day(BERLIN, 2026, 10, 25), _day(BERLIN, 2026, 10, 26)]
    table = opened(server_db, BERLIN, table="t", partitions="at", watermark="at")
    assert [len(_ids(table, day)) for day in days] == [1, 25, 1]
    found = table.observe_windows(days)
    assert [found[day.key].rows for day in days] == [1, 25, 1]
    query = opened(server_db, BERLIN, query="select id from t where at >= :start and at < :end")
    if server_db.kind == "postgres":
        assert [len(_ids(query, day)) for day in days] == [1, 25, 1]
    else:  # this server has no zone tables, and says what to do rather than to be an hour off
        with pytest.raises(Stop, match="time zone") as caught:
            _ids(query, days[1])
        assert "mysql_tzinfo_to_sql" in caught.value.hint


def test_a_query_means_the_syncs_wall_clock(server_db: ScratchDatabase, opened: Any) -> None:
    """CURRENT_DATE and casts of instants follow the session's zone: it is the sync's, not the server's."""
    text = "select cast(at as date) as d from t"
    server_db.execute(f"create table t (id int, at {INSTANT[server_db.kind]})")
    moment = "'2026-10-01 20:00:00+00'" if server_db.kind == "postgres" else "'2026-10-02 01:30:00'"
    server_db.execute(f"insert into t values (1, {moment})")
    for zone, day in ((SHANGHAI, "2026-10-02"), (NEW_YORK, "2026-10-01")):
        (batch,) = opened(server_db, zone, query=text).read()
        assert str(batch.rows[0][0]) == day


@pytest.mark.parametrize(
    ("declared", "literals", "expected"),
    [
        ("int", ["1", "2", "10"], "10"), ("decimal(10,2)", ["1.5", "2.5", "10.25"], "10.25"),
        ("varchar(9)", ["'a'", "'b'", "'c'"], "c"),
        ("date", ["'2026-01-01'", "'2026-01-02'", "'2026-02-01'"], "2026-02-01"),
        ("CLOCK", ["'2026-01-01 00:00:00'", "'2026-01-01 00:00:01'", "'2026-02-01 12:00:00.5'"], "2026-02-01 12:00:00"),
    ],
)  # fmt: skip
def test_reading_on_from_a_position(
    any_db: ScratchDatabase, declared: str, literals: list[str], expected: str, opened: Any
) -> None:
    declared = {"CLOCK": CLOCK[any_db.kind]}.get(declared, declared)
    values = ", ".join(f"({n}, {text})" for n, text in enumerate(literals))
    any_db.execute(f"create table t (id int, w {declared})", f"insert into t values {values}")
    for how in ({"table": "t"}, {"query": "select id, w from t order by id"}):
        source = opened(any_db, watermark="w", **how)
        seen = source.observe()
        assert seen.rows == 3 and seen.watermark is not None and seen.watermark.startswith(expected)
        assert _ids(source, None, seen.watermark) == [2]
        assert source.observe(count=False) == Observation(None, seen.watermark)


def test_a_value_says_which_rows(any_db: ScratchDatabase, opened: Any) -> None:
    any_db.execute(
        "create table t (id int, city varchar(20), ok boolean)",
        "insert into t values (1, '北京', true), (2, 'it''s', false), (3, '100%', null)",
    )
    for n, value in enumerate(["北京", "it's", "100%"], 1):
        part = Partition(value, value=value)
        assert _ids(opened(any_db, table="t", partitions="city"), part) == [n]
        assert _ids(opened(any_db, query="select id from t where city = :value and 'a%' like '%'"), part) == [n]
    assert _ids(opened(any_db, table="t", partitions="ok"), Partition("x", value="true")) == [1]
    assert _ids(opened(any_db, table="t", partitions="id"), Partition("x", value="2")) == [2]
    with pytest.raises(Stop, match="does not fit column 'id'"):
        _ids(opened(any_db, table="t", partitions="id"), Partition("x", value="two"))


ODD = ["订单", "with space", 'dou"ble', "back`tick", "single'quote", "😀", "select", "per%cent", "%(start)s", ":start",
       "semi;colon", "do.t", "a" * 60, "--", "/*", "[x]", "$1", "UPPER"]  # fmt: skip


def test_odd_names_of_tables_and_columns(any_db: ScratchDatabase, opened: Any) -> None:
    quote = any_db.quote
    for n, name in enumerate(ODD):
        if "😀" in name and any_db.kind == "mysql":
            continue  # its identifiers end at U+FFFF
        any_db.execute(
            f"create table {quote(name + 'T')} ({quote(name)} int, at {CLOCK[any_db.kind]})",
            f"insert into {quote(name + 'T')} values ({n}, '2026-10-01 10:00:00')",
        )
        source = opened(any_db, table=quote(name + "T"), partitions="at", watermark=name)
        assert [c.name for c in source.describe()] == [name, "at"]
        assert _ids(source, _day(SHANGHAI, 2026, 10, 1), str(n)) == [n]
        assert source.observe_windows([_day(SHANGHAI, 2026, 10, 1)]) == {"2026-10-01": Observation(1, str(n))}
        source.close()


def test_zero_rows_yield_no_batch(any_db: ScratchDatabase, opened: Any) -> None:
    any_db.execute(f"create table t (id int, at {CLOCK[any_db.kind]})")
    source = opened(any_db, table="t", partitions="at", watermark="at")
    assert list(source.read()) == [] and list(source.read(_day(SHANGHAI, 2026, 10, 1))) == []
    assert source.observe() == Observation(0, None)
    assert len(source.describe()) == 2


def test_batches_are_bounded_numbered_and_one_snapshot(server_db: ScratchDatabase, opened: Any) -> None:
    numbers = (
        "generate_series(1, 2500) as n" if server_db.kind == "postgres" else "(select seq as n from seq_1_to_2500) as x"
    )
    server_db.execute("create table t (id int)", f"insert into t select n from {numbers}")
    source = opened(server_db, table="t", batch_rows=1000)
    batches = []
    for batch in source.read():
        batches.append(batch)
        server_db.execute("insert into t values (9999)", "delete from t where id > 2000")
    assert [(b.sequence, len(b.rows)) for b in batches] == [(0, 1000), (1, 1000), (2, 500)]
    assert sorted(r[0] for b in batches for r in b.rows) == list(range(1, 2501))


def test_a_read_that_is_given_up_leaves_the_source_usable(any_db: ScratchDatabase, opened: Any) -> None:
    any_db.execute("create table t (id int)", f"insert into t values {', '.join(f'({n})' for n in range(500))}")
    source = opened(any_db, table="t", batch_rows=10)
    reading = source.read()
    next(reading)
    reading.close()  # type: ignore[attr-defined]
    assert _ids(source) == list(range(500))


def test_windows_are_observed_together(any_db: ScratchDatabase, opened: Any) -> None:
    rows = ", ".join(f"({n}, '2026-10-{1 + n // 3:02d} 10:00:00')" for n in range(90))
    any_db.execute(f"create table t (id int, at {CLOCK[any_db.kind]})", f"insert into t values {rows}")
    days = [_day(SHANGHAI, 2026, 9, 30)] + [_day(SHANGHAI, 2026, 10, d) for d in range(1, 31)] * 2
    for how in ({"table": "t", "partitions": "at"}, {"query": "select * from t where at >= :start and at < :end"}):
        found = opened(any_db, watermark="id", **how).observe_windows(days)
        assert found["2026-09-30"] == Observation(0, None)
        assert found["2026-10-05"] == Observation(3, "14")
        assert len(found) == 31


def test_any_change_of_a_sensors_answer_is_a_change(any_db: ScratchDatabase, opened: Any) -> None:
    any_db.execute("create table t (id int, d decimal(5,2))", "insert into t values (1, 1.5)")
    source = opened(any_db, table="t")
    first = source.observe_query("select count(*), max(d) from t")
    assert first == source.observe_query("select count(*), max(d) from t")
    any_db.execute("update t set d = 2")
    assert first != source.observe_query("select count(*), max(d) from t")
    with pytest.raises(Stop, match="binds no parameters"):
        source.observe_query("select 1 where 1 > :start")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"table": "missing"}, "missing does not exist"), ({"table": "t", "watermark": "nope"}, "no column 'nope'"),
        ({"table": "t", "partitions": "nope"}, "no column 'nope'"), ({"table": "a..b"}, "is not a table name"),
        ({"query": "delete from t"}, "begins with DELETE"), ({"query": "select :nope"}, "binds :nope"),
        ({"query": "select id, id from t"}, "two columns are called 'id'"), ({}, "either table or query"),
        ({"table": "t", "query": "select 1"}, "either table or query"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_before_anything_is_read(
    any_db: ScratchDatabase, how: dict[str, str], words: str, opened: Any
) -> None:
    any_db.execute("create table t (id int)")
    with pytest.raises(Stop, match=words) as caught:
        opened(any_db, **how).describe()
    assert caught.value.hint


def test_a_query_without_its_partition_is_refused(any_db: ScratchDatabase, opened: Any) -> None:
    any_db.execute("create table t (id int)")
    with pytest.raises(Stop, match="binds :start"):
        list(opened(any_db, query="select id from t where :start < :end").read())
    with pytest.raises(Stop, match="no column says"):
        list(opened(any_db, table="t").read(_day(SHANGHAI, 2026, 10, 1)))
    with pytest.raises(Stop, match="holds no time"):
        list(opened(any_db, table="t", partitions="id").read(_day(SHANGHAI, 2026, 10, 1)))


def test_a_line_cut_in_the_middle_is_tried_again_and_then_whole(server_db: ScratchDatabase) -> None:
    rows = ", ".join(f"({n}, '{'x' * 200}')" for n in range(5000))
    server_db.execute("create table t (id int, x varchar(200))", f"insert into t values {rows}")
    with Proxy(server_db.args.host, server_db.args.port) as proxy:
        database = server_db.open(host=proxy.host, port=proxy.port)
        source = SqlSource("orders", database, table="t", time_zone=SHANGHAI, batch_rows=500)
        for count in (0, 1, 3, 70, 5_000, 100_000, 900_000):
            source.describe()
            database.connect()
            proxy.cut_after(count, "down")
            with pytest.raises(Retry, match="connection was lost"):
                for _ in source.read():
                    pass
            proxy.heal()
            assert _ids(source) == list(range(5000))
        assert proxy.counters.cuts == 7
        source.close()


def test_a_server_that_was_killed_is_found_again(server_db: ScratchDatabase) -> None:
    server_db.execute("create table t (id int)", "insert into t values (1)")
    source = SqlSource("orders", server_db.open(), table="t", time_zone=SHANGHAI)
    assert _ids(source) == [1]
    assert server_db.server is not None
    server_db.server.kill()
    with pytest.raises(Retry):
        _ids(source)
    with pytest.raises(Retry):
        _ids(source)
    server_db.server.start()
    assert _ids(source) == [1]
    source.close()


def test_numbers_are_exact(any_db: ScratchDatabase, opened: Any) -> None:
    any_db.execute("create table t (b bigint, d decimal(18,4))", "insert into t values (9007199254740993, 0.0001)")
    (batch,) = opened(any_db, table="t").read()
    assert batch.rows[0] == (9007199254740993, Decimal("0.0001"))
