"""Values survive: every type that a board can hold, from two real databases, under every strategy, in three zones.

What each column must look like is written down here by hand, once as text (strategy raw) and once as the field that
its type deserves; nothing of it is computed by the code under test.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from sync_assets.engine.errors import Stop
from sync_assets.engine.job import Job
from sync_assets.engine.model import Mode, Report
from sync_assets.engine.run import Run
from sync_assets.feishu.client import FeishuClient
from sync_assets.sources.sql import SqlSource
from sync_assets.targets.bitable.strategy import FieldWords
from sync_assets.targets.bitable.target import BitableTarget, BoardSpec
from sync_assets.testing.bitable import Emulator
from sync_assets.testing.memory import MemoryStore
from sync_assets_tests.fix_emulator import Bare
from sync_assets_tests.fix_servers import ScratchDatabase

ZONES = ("Asia/Shanghai", "UTC", "America/New_York")
STRATEGIES = ("raw", "base", "auto", "intelligence")
TEXT, NUMBER, SINGLE, MULTI, DATE, CHECKBOX = 1, 2, 3, 4, 5, 7
GONE: list[Any] = []  # a column that is left out


@dataclass
class Sync:
    """A source table and a board that it is brought to, again and again."""

    database: ScratchDatabase
    emulator: Emulator
    zone: str = "Asia/Shanghai"
    strategy: str = "base"
    words: Mapping[str, FieldWords] = field(default_factory=dict)
    key: tuple[str, ...] = ("id",)
    app_token: str = ""
    table_name: str | None = "values"
    table_id: str = ""
    query: str | None = None
    store: MemoryStore = field(default_factory=MemoryStore)

    def __post_init__(self) -> None:
        self.app_token = self.app_token or self.emulator.make_base("values")

    def run(self, mode: Mode = Mode.FULL) -> Report:
        zone, e = ZoneInfo(self.zone), self.emulator
        table = None if self.query else "v"
        source = SqlSource("values", self.database.open(), time_zone=zone, table=table, query=self.query)
        client = FeishuClient(e.app_id, lambda: e.app_secret, e.url, rate_factor=0)
        name = None if self.table_id else self.table_name
        spec = BoardSpec(
            "values", e.link(self.app_token, self.table_id), name, self.key, self.strategy, self.words, zone
        )
        e.reset_calls()
        try:
            return Run(
                Job("values", mode, self.key), source, BitableTarget(spec, client), self.store, owner="t"
            ).execute()
        finally:
            source.close()
            client.close()

    @property
    def table(self) -> str:
        return self.table_id or str(self.emulator.describe(self.app_token)["tables"][-1]["table_id"])

    def fields(self) -> dict[str, dict[str, Any]]:
        return {f["field_name"]: f for f in self.emulator.fields(self.app_token, self.table)}

    def cells(self, name: str, by: str = "id") -> list[Any]:
        """The cells of one field as they are held, in the order of the key; None for an empty one."""
        rows = self.emulator.rows(self.app_token, self.table).values()
        return [r.get(name) for r in sorted(rows, key=lambda r: float(r[by]))]

    def writes(self) -> int:
        return self.emulator.count("batch_create", "batch_update", "batch_delete", "fields_create", "tables_create")


@dataclass(frozen=True)
class Case:
    """One column: its type, three literals, and what a board must show of them (NULL comes fourth)."""

    type: str
    literals: tuple[str, str, str]
    raw: Sequence[Any]
    kind: int
    typed: Sequence[Any]
    auto: tuple[int, Sequence[Any]] | None = None  # where auto differs from base
    intelligence: tuple[int, Sequence[Any]] | None = None
    tail: Any = "null"  # the literal of the fourth row

    def expected(self, strategy: str) -> tuple[int, Sequence[Any]]:
        if strategy == "raw":
            return TEXT, self.raw
        special = {"auto": self.auto, "intelligence": self.intelligence}.get(strategy)
        return special or (self.kind, self.typed)


def same(
    kind: int, literal: Sequence[str], values: Sequence[Any], typ: str, typed: Sequence[Any] | None = None
) -> Case:
    a, b, c = literal
    return Case(typ, (a, b, c), values, kind, values if typed is None else typed)


UUID = "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"
CHINESE = "中文 “引号” 😀👨‍👩‍👧"
COMMON = {
    "small": same(NUMBER, ["-32768", "0", "7"], ["-32768", "0", "7"], "smallint", [-32768, 0, 7]),
    "whole": same(NUMBER, ["-2147483648", "1", "2147483647"], ["-2147483648", "1", "2147483647"], "int",
                  [-2147483648, 1, 2147483647]),
    "big": same(NUMBER, ["1", "9007199254740992", "-5"], ["1", "9007199254740992", "-5"], "bigint",
                [1, 9007199254740992, -5]),
    "snowflake": same(TEXT, ["730000000000000001", "730000000000000003", "-1"],
                      ["730000000000000001", "730000000000000003", "-1"], "bigint"),
    "price": same(NUMBER, ["0.10", "12.50", "-9999999999.99"], ["0.10", "12.50", "-9999999999.99"], "decimal(12,2)",
                  [0.1, 12.5, -9999999999.99]),
    "precise": same(TEXT, ["0.1", "123456789012345678.0123456789", "-1"],
                    ["0.1000000000", "123456789012345678.0123456789", "-1.0000000000"], "decimal(28,10)"),
    "double_": same(NUMBER, ["0.1", "1.5e300", "-7"], ["0.1", "15" + "0" * 299, "-7"], "double precision",
                    [0.1, 1.5e300, -7]),
    "name": same(TEXT, [f"'{CHINESE}'", "''", "' x '"], [CHINESE, None, " x "], "varchar(60)"),
    "code": same(TEXT, ["'00123'", "'0'", "'123456789012345678'"], ["00123", "0", "123456789012345678"], "varchar(20)"),
    "monthday": same(TEXT, ["'01-15'", "'02-30'", "'12-31'"], ["01-15", "02-30", "12-31"], "varchar(20)"),
    "version": same(TEXT, ["'1.0'", "'1.10'", "'1.1'"], ["1.0", "1.10", "1.1"], "varchar(20)"),
    "share": Case("varchar(9)", ("'85%'", "'5%'", "'100%'"), ["85%", "5%", "100%"], TEXT, ["85%", "5%", "100%"],
                  intelligence=(NUMBER, [0.85, 0.05, 1])),
    "amount": same(NUMBER, ["'12.50'", "'3.10'", "'-0.05'"], ["12.50", "3.10", "-0.05"], "varchar(9)",
                   [12.5, 3.1, -0.05]),
    "link": Case("varchar(50)", ("'https://a.cn/1'", "'https://b.com'", "'http://c.cn/?q=中'"),
                 ["https://a.cn/1", "https://b.com", "http://c.cn/?q=中"], TEXT,
                 ["https://a.cn/1", "https://b.com", "http://c.cn/?q=中"],
                 intelligence=(15, [{"text": u, "link": u} for u in ("https://a.cn/1", "https://b.com", "http://c.cn/?q=中")])),
    "doc": same(TEXT, ["""'{"a": 1, "中": [true, null]}'""", "'[]'", """'"x"'"""],
                ['{"a":1,"中":[true,null]}', "[]", '"x"'], "json"),
    "clock": same(TEXT, ["'00:00:00'", "'23:59:59'", "'08:05:00'"], ["00:00:00", "23:59:59", "08:05:00"], "time"),
    "status": Case("varchar(9)", ("'新建'", "'新建'", "'新建'"), ["新建"] * 3, TEXT, ["新建"] * 3,
                   auto=(SINGLE, ["新建"] * 3), intelligence=(SINGLE, ["新建"] * 3)),
}  # fmt: skip

POSTGRES = {
    "flag": same(CHECKBOX, ["true", "false", "true"], ["true", "false", "true"], "boolean not null",
                 [True, None, True]),
    "maybe": same(SINGLE, ["true", "false", "true"], ["true", "false", "true"], "boolean"),
    "real_": same(NUMBER, ["0.1", "1e10", "-7"], ["0.1", "10000000000", "-7"], "real", [0.1, 10000000000, -7]),
    "free": same(TEXT, ["0.1000", "'NaN'", "1e20"], ["0.1000", "NaN", "1" + "0" * 20], "numeric"),
    "money_": same(TEXT, ["12.5", "-3", "92233720368547758.07"], ["12.50", "-3.00", "92233720368547758.07"], "money"),
    "uuid_": same(TEXT, [f"'{UUID.upper()}'"] * 3, [UUID] * 3, "uuid"),
    "docb": same(TEXT, ["""'{"b": 1, "a": "x y"}'""", "'1.10'", "'{}'"], ['{"a":"x y","b":1}', "1.10", "{}"], "jsonb"),
    "span": same(TEXT, ["'1 day 02:00'", "'-3 mons'", "'00:00'"], ["1 day 02:00:00", "-3 mons", "00:00:00"],
                 "interval"),
    "mood": same(SINGLE, ["'sad'", "'开心'", "'sad'"], ["sad", "开心", "sad"], "mood"),
    "tags": same(MULTI, ["array['红','b,c']", "array['红']", "'{}'"], ["红,b,c", "红", None], "text[]",
                 [["b,c", "红"], ["红"], None]),
    "bag": same(TEXT, ["array['a','a']", "array['b']", "'{}'"], ["a,a", "b", None], "text[]"),
    "ints": same(TEXT, ["array[1,2]", "array[3,null]", "'{}'"], ["{1,2}", "{3,NULL}", "{}"], "int[]"),
    "host": same(TEXT, ["'10.0.0.1'", "'::1'", "'10.0.0.0/8'"], ["10.0.0.1", "::1", "10.0.0.0/8"], "inet"),
    "span4": same(TEXT, ["'[1,5)'", "'empty'", "'(,3)'"], ["[1,5)", "empty", "(,3)"], "int4range"),
    "bits": same(TEXT, ["b'1010'", "b'1111'", "b'0000'"], ["1010", "1111", "0000"], "bit(4)"),
    "bytes_": same(TEXT, ["'\\x00ff'", "'\\x01'", "''"], GONE, "bytea", GONE),
}  # fmt: skip

MYSQL = {
    "flag": same(CHECKBOX, ["1", "0", "1"], ["true", "false", "true"], "tinyint(1) not null", [True, None, True]),
    "maybe": same(SINGLE, ["1", "0", "1"], ["true", "false", "true"], "tinyint(1)"),
    "unsigned_": same(NUMBER, ["4294967295", "0", "1"], ["4294967295", "0", "1"], "int unsigned", [4294967295, 0, 1]),
    "huge": same(TEXT, ["18446744073709551615", "0", "1"], ["18446744073709551615", "0", "1"], "bigint unsigned"),
    "float_": same(NUMBER, ["0.1", "1e10", "-7"], ["0.1", "10000000000", "-7"], "float", [0.1, 10000000000, -7]),
    "year_": same(NUMBER, ["2026", "1999", "2155"], ["2026", "1999", "2155"], "year", [2026, 1999, 2155]),
    "mood": same(SINGLE, ["'sad'", "'it''s'", "'sad'"], ["sad", "it's", "sad"], "enum('sad','it''s')"),
    "tags": same(MULTI, ["'b,a'", "'a'", "''"], ["a,b", "a", None], "set('a','b')", [["a", "b"], ["a"], None]),
    "long_": same(TEXT, ["'00:59:59'", "'-830:00:01'", "'100:00:00'"], ["00:59:59", "-830:00:01", "100:00:00"], "time"),
    "bit_": same(CHECKBOX, ["b'1'", "b'0'", "b'1'"], ["true", "false", "true"], "bit(1) not null", [True, None, True]),
    "bits": same(TEXT, ["b'1010'", "b'1111'", "b'0000'"], ["1010", "1111", "0000"], "bit(4)"),
    "uuid_": same(TEXT, [f"'{UUID}'"] * 3, [UUID] * 3, "uuid"),
    "host": same(TEXT, ["'::1'", "'fe80::1'", "'::ffff:10.0.0.1'"], ["::1", "fe80::1", "::ffff:10.0.0.1"], "inet6"),
    "bytes_": same(TEXT, ["x'00ff'", "x'01'", "''"], GONE, "blob", GONE),
    "fixed": same(TEXT, ["x'00ff'", "x'01'", "x'02'"], GONE, "binary(2)", GONE),
}  # fmt: skip
NOT_NULL = {"flag": "false", "bit_": "b'0'"}


def ms(text: str, zone: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def instant(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


INSTANTS = ("2026-03-08 05:00:00", "2026-11-01 06:30:00", "2025-12-31 15:59:59.5")
SHOWN_INSTANTS = {  # the same three on the wall clock of each zone; New York shows 01:30 twice on 1 November
    "Asia/Shanghai": ["2026-03-08 13:00:00", "2026-11-01 14:30:00", "2025-12-31 23:59:59.500000"],
    "UTC": ["2026-03-08 05:00:00", "2026-11-01 06:30:00", "2025-12-31 15:59:59.500000"],
    "America/New_York": ["2026-03-08 00:00:00", "2026-11-01 01:30:00-05:00", "2025-12-31 10:59:59.500000"],
}
CLOCKS = ("2026-03-08 00:00:00", "2026-11-01 23:59:59.999", "2026-07-01 12:30:00")
SHOWN_CLOCKS = ["2026-03-08 00:00:00", "2026-11-01 23:59:59.999000", "2026-07-01 12:30:00"]
DAYS = ("2026-03-08", "2026-11-01", "1999-12-31")


def times(kind: str, zone: str) -> dict[str, Case]:
    """Columns with a clock: what they mean depends on the zone of the sync."""
    at, plain = ("timestamptz(3)", "timestamp(3)") if kind == "postgres" else ("timestamp(3) null", "datetime(3)")
    mark = "+00" if kind == "postgres" else ""  # the session of the test inserts in UTC
    a, b, c = INSTANTS
    return {
        "day": same(DATE, [f"'{d}'" for d in DAYS], DAYS, "date", [ms(d, zone) for d in DAYS]),
        "at": same(DATE, [f"'{c}'" for c in CLOCKS], SHOWN_CLOCKS, plain, [ms(c, zone) for c in CLOCKS]),
        "instant": same(
            DATE, [f"'{i}{mark}'" for i in (a, b, c)], SHOWN_INSTANTS[zone], at, [instant(i) for i in (a, b, c)]
        ),
        "daytext": same(DATE, [f"'{d}'" for d in DAYS], DAYS, "varchar(20)", [ms(d, zone) for d in DAYS]),
        "attext": same(
            DATE, ["'2026-03-08 00:00'", "'2026-11-01 23:59'", "'2026-07-01 12:30'"],
            ["2026-03-08 00:00", "2026-11-01 23:59", "2026-07-01 12:30"], "varchar(20)",
            [ms(t, zone) for t in ("2026-03-08 00:00", "2026-11-01 23:59", "2026-07-01 12:30")],
        ),
    }  # fmt: skip


def make(database: ScratchDatabase, cases: Mapping[str, Case]) -> None:
    """The table `v` with three rows of values and a fourth of NULLs."""
    types = [f"{n} {c.type}".replace("decimal", "numeric") for n, c in cases.items()]
    rows = [[str(i + 1), *(c.literals[i] for c in cases.values())] for i in range(3)]
    rows.append(["4", *(NOT_NULL.get(n, "null") for n in cases)])
    values = ", ".join(f"({', '.join(row)})" for row in rows)
    charset = " character set utf8mb4" if database.kind == "mysql" else ""
    database.execute(
        *(
            ["create type mood as enum ('sad', '开心')"]
            if database.kind == "postgres"
            else ["set time_zone = '+00:00'"]
        ),
        f"create table v (id int primary key, {', '.join(types)}){charset}",
        f"insert into v values {values}",
    )


@pytest.mark.parametrize("strategy", STRATEGIES)
@pytest.mark.parametrize("zone", ZONES)
def test_every_type_survives_and_a_second_run_changes_nothing(
    server_db: ScratchDatabase, bitable: Emulator, bare: Bare, zone: str, strategy: str
) -> None:
    own = POSTGRES if server_db.kind == "postgres" else MYSQL
    cases = {**COMMON, **own, **times(server_db.kind, zone)}
    make(server_db, cases)
    sync = Sync(server_db, bitable, zone, strategy)

    report = sync.run()

    assert (report.counts.created, report.counts.rejected, report.equal) == (4, 0, True), report.rejected
    fields, wrong = sync.fields(), []
    for name, case in cases.items():
        kind, values = case.expected(strategy)
        if values is GONE:
            assert name not in fields
            continue
        empty = "false" if strategy == "raw" and name in NOT_NULL else None
        found, wanted = (fields[name]["type"], sync.cells(name)), (kind, [*values, empty])
        if name in NOT_NULL and strategy != "raw":
            found = (found[0], [v or None for v in found[1]])
        if found != wanted:
            wrong.append((name, found, wanted))
    assert not wrong
    assert_search_agrees(sync, bare)

    second = sync.run()
    assert (second.counts.unchanged, sync.writes()) == (4, 0)
    assert not [n for n in second.notes if "is a" in n], "nothing to report of fields that we made ourselves"


def assert_search_agrees(sync: Sync, bare: Bare) -> None:
    """What a user's own script would see is what the control of the emulator says."""
    path = f"/{sync.app_token}/tables/{sync.table}/records/search"
    items = bare.data("POST", path, {}, page_size=500)["items"]
    held = sync.emulator.rows(sync.app_token, sync.table)
    assert {i["record_id"]: {n: _plain(v) for n, v in i["fields"].items()} for i in items} == held


def _plain(value: Any) -> Any:
    segments = isinstance(value, list) and value and isinstance(value[0], dict) and "text" in value[0]
    return "".join(s["text"] for s in value) if segments else value


# -- XTF's mistakes, one by one (bitable.md 3.4 and 3.6) ----------------------------------------------------------


def columns(database: ScratchDatabase, types: str, *rows: str) -> None:
    charset = " character set utf8mb4" if database.kind == "mysql" else ""
    database.execute(
        f"create table v (id int primary key, {types}){charset}", *(f"insert into v values ({r})" for r in rows)
    )


def test_12_a_cell_is_cleared(any_db: ScratchDatabase, bitable: Emulator) -> None:
    columns(any_db, "a varchar(9), n int, t varchar(9)", "1, 'x', 5, 'x'")
    sync = Sync(any_db, bitable)
    sync.run()
    any_db.execute("update v set a = null, n = null, t = ''")
    report = sync.run()
    assert (report.counts.updated, report.changes[0].fields) == (1, ("a", "n", "t"))
    assert [sync.cells(n) for n in ("a", "n", "t")] == [[None]] * 3


def test_12_a_tick_is_taken_back_by_false(any_db: ScratchDatabase, bitable: Emulator) -> None:
    """A person sees an empty box either way; `false` is what the API documents."""
    bool_ = "tinyint(1)" if any_db.kind == "mysql" else "boolean"
    columns(any_db, f"ok {bool_} not null", "1, true")
    sync = Sync(any_db, bitable)
    sync.run()
    any_db.execute("update v set ok = false")
    sync.run()
    assert sync.cells("ok") == [False]
    assert (sync.run().counts.unchanged, sync.writes()) == (1, 0)


def test_14_two_rows_of_one_day_stay_two(any_db: ScratchDatabase, bitable: Emulator) -> None:
    """XTF's key of a date is its day: rows merge, and evening ones are created again on every run."""
    stamp = "timestamp" if any_db.kind != "mysql" else "datetime"
    columns(any_db, f"at {stamp}", "1, '2026-01-05 08:00:00'", "2, '2026-01-05 23:30:00'", "3, '2026-01-06 00:00:00'")
    sync = Sync(any_db, bitable, key=("at",))
    sync.run()
    assert (sync.run().counts.unchanged, sync.writes()) == (3, 0)
    assert len(set(sync.cells("at"))) == 3


def test_15_a_time_and_its_text_are_the_same_moment(any_db: ScratchDatabase, bitable: Emulator) -> None:
    stamp = "timestamp" if any_db.kind != "mysql" else "datetime"
    columns(any_db, f"at {stamp}, said varchar(30)", "1, '2024-01-15 00:00:00', '2024-01-15 00:00:00'")
    sync = Sync(any_db, bitable)
    sync.run()
    assert sync.cells("at") == sync.cells("said") == [1705248000000], "midnight in Shanghai, not in Greenwich"


@pytest.mark.parametrize("strategy", ["base", "auto"])
def test_16_a_bool_is_a_checkbox_not_a_number(any_db: ScratchDatabase, bitable: Emulator, strategy: str) -> None:
    bool_ = "tinyint(1)" if any_db.kind == "mysql" else "boolean"
    columns(any_db, f"ok {bool_} not null", "1, true", "2, false")
    sync = Sync(any_db, bitable, strategy=strategy)
    sync.run()
    assert sync.fields()["ok"]["type"] == CHECKBOX
    assert [bool(v) for v in sync.cells("ok")] == [True, False]


def test_16_a_bool_for_an_existing_number_field_is_a_number(any_db: ScratchDatabase, bitable: Emulator) -> None:
    bool_ = "tinyint(1)" if any_db.kind == "mysql" else "boolean"
    columns(any_db, f"ok {bool_} not null", "1, true", "2, false")
    sync = Sync(any_db, bitable)
    wanted = [{"field_name": "id", "type": NUMBER}, {"field_name": "ok", "type": NUMBER}]
    sync.table_id = bitable.make_table(sync.app_token, "t", wanted)
    report = sync.run()
    assert sync.cells("ok") == [1, 0]
    assert any("field ok is a number on the board" in note for note in report.notes)


def test_17_whole_numbers_get_no_point_beside_nulls(any_db: ScratchDatabase, bitable: Emulator) -> None:
    columns(any_db, "n int", "1, 7", "2, null", "3, 10")
    sync = Sync(any_db, bitable, strategy="raw")
    sync.run()
    assert sync.cells("n") == ["7", None, "10"]


def test_18_leading_zeros_and_long_ids_keep_every_digit(any_db: ScratchDatabase, bitable: Emulator) -> None:
    columns(
        any_db, "code varchar(9), long_id bigint", "1, '00123', 730000000000000001", "2, '00124', 730000000000000003"
    )
    for strategy in STRATEGIES:
        sync = Sync(any_db, bitable, strategy=strategy)
        sync.run()
        assert sync.cells("code") == ["00123", "00124"]
        assert sync.cells("long_id") == ["730000000000000001", "730000000000000003"]


def test_18_into_an_existing_number_field_they_are_refused_not_bent(any_db: ScratchDatabase, bitable: Emulator) -> None:
    columns(any_db, "code varchar(9), long_id bigint", "1, '00123', 5", "2, '124', 730000000000000001", "3, '7', 7")
    sync = Sync(any_db, bitable)
    wanted = [{"field_name": n, "type": NUMBER} for n in ("id", "code", "long_id")]
    sync.table_id = bitable.make_table(sync.app_token, "t", wanted)
    report = sync.run()
    assert (report.counts.created, report.counts.rejected) == (1, 2)
    assert [(r.key, r.field) for r in report.rejected] == [("1", "code"), ("2", "long_id")]
    assert sync.cells("code") == [7]


def test_20_a_name_with_blanks_is_created_once(pg_db: ScratchDatabase, bitable: Emulator) -> None:
    pg_db.execute('create table v (id int primary key, " name " text)', "insert into v values (1, 'x')")
    sync = Sync(pg_db, bitable)
    sync.run()
    assert list(sync.fields()) == ["id", "name"]
    assert (sync.run().counts.unchanged, sync.writes()) == (1, 0)


def test_month_and_day_alone_are_a_text(any_db: ScratchDatabase, bitable: Emulator) -> None:
    """XTF put them into the year 1900."""
    columns(any_db, "d varchar(9)", "1, '01-15'", "2, '02-28'")
    sync = Sync(any_db, bitable, strategy="intelligence")
    sync.run()
    assert sync.cells("d") == ["01-15", "02-28"]


def test_percent_signs_are_hundredths(any_db: ScratchDatabase, bitable: Emulator) -> None:
    """XTF made 85 of 85%."""
    columns(any_db, "p varchar(9)", "1, '85%'", "2, '0.5%'")
    sync = Sync(any_db, bitable, strategy="intelligence")
    sync.run()
    assert sync.cells("p") == [0.85, 0.005]
    assert sync.fields()["p"]["property"]["formatter"] == "0.00%"
    assert (sync.run().counts.unchanged, sync.writes()) == (2, 0)


# -- what the user says of a column -------------------------------------------------------------------------------

WORDS = {
    "owner": FieldWords(type="person"),
    "site": FieldWords(type="url"),
    "mail": FieldWords(type="email"),
    "tel": FieldWords(type="phone"),
    "done": FieldWords(type="progress"),
    "stars": FieldWords(type="rating"),
    "pay": FieldWords(type="currency", currency="USD"),
    "sku": FieldWords(type="barcode"),
    "kind": FieldWords(type="single_select", options=("甲", "乙")),
    "labels": FieldWords(type="multi_select"),
    "note": FieldWords(field="备注"),
    "hidden": FieldWords(skip=True),
}


def test_overrides(any_db: ScratchDatabase, bitable: Emulator) -> None:
    types = ", ".join(
        f"{n} varchar(60)" for n in ("owner", "site", "mail", "tel", "sku", "kind", "labels", "note", "hidden")
    )
    columns(
        any_db, f"{types}, done decimal(3,2), stars int, pay decimal(12,2)",
        "1, 'ou_a,ou_b', 'https://a.cn', 'a@b.cn', '+86 138 0000', '0042', '甲', 'x;y', 'n', 'h', 0.25, 4, 12.5",
        "2, null, null, null, null, null, null, null, null, null, null, null, null",
    )  # fmt: skip
    sync = Sync(any_db, bitable, words=WORDS)
    assert sync.run().counts.created == 2
    fields = sync.fields()
    assert {n: fields[n]["ui_type"] for n in fields} == {
        "id": "Number", "owner": "User", "site": "Url", "mail": "Email", "tel": "Phone", "sku": "Barcode",
        "kind": "SingleSelect", "labels": "MultiSelect", "备注": "Text", "done": "Progress", "stars": "Rating",
        "pay": "Currency",
    }  # fmt: skip
    held = {name: sync.cells(name)[0] for name in fields}
    assert held == {
        "id": 1, "owner": [{"id": "ou_a"}, {"id": "ou_b"}], "site": {"text": "https://a.cn", "link": "https://a.cn"},
        "mail": "a@b.cn", "tel": "+861380000", "sku": "0042", "kind": "甲", "labels": ["x", "y"], "备注": "n",
        "done": 0.25, "stars": 4, "pay": 12.5,
    }  # fmt: skip
    assert [o["name"] for o in fields["kind"]["property"]["options"]] == ["甲", "乙"]
    assert (sync.run().counts.unchanged, sync.writes()) == (2, 0)


@pytest.mark.parametrize("kind", ["union_id", "user_id"])
def test_persons_by_another_kind_of_id(pg_db: ScratchDatabase, bitable: Emulator, kind: str) -> None:
    person = {"union_id": "on_1", "user_id": "7be5fg9a"}[kind]
    columns(pg_db, "owner text", f"1, '{person}'")
    sync = Sync(pg_db, bitable, words={"owner": FieldWords(type="person", person_id=kind)})
    assert (sync.run().counts.created, sync.cells("owner")) == (1, [[{"id": person}]])
    pg_db.execute("update v set owner = owner || ',on_2'")
    sync.run()
    assert len(sync.cells("owner")[0]) == 2
    assert (sync.run().counts.unchanged, sync.writes()) == (1, 0)


def test_links_go_to_an_existing_field_as_record_ids(pg_db: ScratchDatabase, bitable: Emulator) -> None:
    base = bitable.make_base("b")
    other = bitable.make_table(base, "other", [{"field_name": "n", "type": TEXT}])
    first, second = bitable.put_rows(base, other, [{"n": "a"}, {"n": "b"}])
    columns(pg_db, "ref text", f"1, '{first},{second}'", "2, null")
    words = {"ref": FieldWords(type="link")}
    sync = Sync(pg_db, bitable, words=words, app_token=base)
    with_link = [
        {"field_name": "id", "type": NUMBER},
        {"field_name": "ref", "type": 18, "property": {"table_id": other}},
    ]
    sync.table_id = bitable.make_table(base, "t", with_link)
    sync.run()
    assert [sorted(c) if c else c for c in sync.cells("ref")] == [sorted([first, second]), None]
    assert (sync.run().counts.unchanged, sync.writes()) == (2, 0)


# -- refused before anything is written ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "words", "message"),
    [
        ({"field_name": "a", "type": 20, "property": {"formula_expression": "1"}}, {}, "a is a formula field"),
        ({"field_name": "a", "type": 17}, {}, "a is a attachment field"),
        ({"field_name": "a", "type": 1005}, {}, "auto number"),
        ({"field_name": "a", "type": 2}, {"a": FieldWords(type="text")}, "a is a number on the board, not a text"),
        ({"field_name": "z", "type": 1}, {"a": FieldWords(type="link")}, "link field a does not exist"),
        ({"field_name": "z", "type": 1}, {"nope": FieldWords(skip=True)}, "columns names nope"),
    ],
)
def test_what_cannot_fit_stops_before_anything_is_written(
    pg_db: ScratchDatabase, bitable: Emulator, spec: dict[str, Any], words: dict[str, FieldWords], message: str
) -> None:
    columns(pg_db, "a text", "1, 'x'")
    sync = Sync(pg_db, bitable, words=words)
    sync.table_id = bitable.make_table(sync.app_token, "t", [{"field_name": "id", "type": NUMBER}, spec])
    with pytest.raises(Stop, match=message):
        sync.run()
    assert sync.writes() == 0


def test_more_fields_than_a_table_holds_stop_before_anything_is_written(
    pg_db: ScratchDatabase, bitable: Emulator
) -> None:
    columns(pg_db, ", ".join(f"c{n} int" for n in range(300)), "1" + ", 1" * 300)
    sync = Sync(pg_db, bitable)
    with pytest.raises(Stop, match="would have 301 fields"):
        sync.run()
    assert sync.writes() == 0


def test_a_whole_table_is_created_in_one_call(pg_db: ScratchDatabase, bitable: Emulator) -> None:
    make(pg_db, {**COMMON, **POSTGRES})
    sync = Sync(pg_db, bitable, key=("whole",), words={"id": FieldWords(skip=True)})
    pg_db.execute("delete from v where id = 4")
    sync.run()
    assert (bitable.count("tables_create"), bitable.count("fields_create")) == (1, 0)
    fields = bitable.fields(sync.app_token, sync.table)
    assert [f["field_name"] for f in fields if f["is_primary"]] == ["whole"]


@pytest.mark.parametrize("query", [None, "select * from v where id < 100"])
def test_columns_that_nobody_uses_are_not_read(any_db: ScratchDatabase, bitable: Emulator, query: str | None) -> None:
    columns(any_db, "a varchar(9), b varchar(9), c varchar(9)", "1, 'x', 'y', 'z'", "2, null, 'y', 'z'")
    sync = Sync(any_db, bitable, words={"b": FieldWords(skip=True)}, query=query)
    assert sync.run().counts.created == 2
    assert [sync.cells(n) for n in ("a", "c")] == [["x", None], ["z", "z"]]
    assert "b" not in sync.fields()
    assert (sync.run().counts.unchanged, sync.writes()) == (2, 0)
