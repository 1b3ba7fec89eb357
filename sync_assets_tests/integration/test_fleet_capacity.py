"""Sizes of a day in the control database: whole or not at all, newer over older, and gaps where there are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import psycopg
import pytest

from sync_assets.engine.errors import Stop
from sync_assets.fleet.capacity import GapReason
from sync_assets.fleet.model import (
    CapacityReading,
    DatabaseSize,
    LogSize,
    SectionKey,
    SectionName,
    SectionState,
    ServerFact,
    Status,
    TableSize,
)
from sync_assets.store.address import Address
from sync_assets.store.control import PostgresStore
from sync_assets.store.fleet.capacity import CapacityStore
from sync_assets.store.session import Cursor, Sessions

DAY = date(2026, 11, 16)
AT = datetime(2026, 11, 15, 19, tzinfo=UTC)  # 03:00 in Shanghai
SERVER = ServerFact("postgres", "postgresql", (16, 4))
TABLES = ("fleet_capacity", "fleet_database_size", "fleet_table_size", "fleet_gap")
OK = SectionState(Status.OK)


def reading(
    *sizes: int | None, at: datetime = AT, sections: dict[SectionName, SectionState] | None = None
) -> CapacityReading:
    """Databases db0, db1, ... of the sizes; one log; one table in each."""
    states = {SectionName.DATABASES: OK, SectionName.SIZES: OK, **(sections or {})}
    databases = tuple(DatabaseSize(f"db{n}", str(16384 + n), size) for n, size in enumerate(sizes))
    tables = tuple(TableSize(d.name, "public", "orders", d.bytes, 10) for d in databases if d.bytes is not None)
    found = {SectionKey(name): state for name, state in states.items()}
    return CapacityReading(SERVER, at, found, databases, (LogSize("wal", 7),), tables)


DENIED = {SectionName.SIZES: SectionState(Status.DENIED, "grant pg_read_all_stats")}


@pytest.fixture
def admin(store: PostgresStore, control_database: Address) -> Iterator[psycopg.Connection[Any]]:
    """Somebody who looks with psql; two instances are known."""
    store.prepare()
    with psycopg.connect(**control_database.arguments(), autocommit=True) as connection:
        for name in ("one", "华东-订单库"):
            connection.execute(
                "insert into sync_assets.fleet_instance (fleet, instance, engine) values ('f', %s, 'postgres')", [name]
            )
        yield connection


@pytest.fixture
def capacity(store: PostgresStore, admin: psycopg.Connection[Any]) -> CapacityStore:
    return CapacityStore(store.sessions)


def everything(admin: psycopg.Connection[Any]) -> list[Any]:
    """All rows of all tables that `record` writes, with the places where they lie."""
    return [admin.execute(f"select ctid, t.* from sync_assets.{name} t order by 1").fetchall() for name in TABLES]


class BreaksAt(Sessions):
    """The sessions of a store whose connection is cut before its nth statement."""

    def __init__(self, sessions: Sessions, nth: int) -> None:
        self._real, self._nth = sessions, nth

    def run(self, work: Callable[[Cursor], Any]) -> Any:
        return self._real.run(lambda cursor: work(_Cutting(cursor, self._nth)))  # type: ignore[arg-type]


class _Cutting:
    def __init__(self, cursor: Cursor, nth: int) -> None:
        self._cursor, self._left = cursor, nth

    def execute(self, *args: Any) -> Any:
        self._left -= 1
        if self._left < 0:
            raise RuntimeError("cut")
        return self._cursor.execute(*args)


def test_a_reading_is_kept_whole(capacity: CapacityStore, admin: psycopg.Connection[Any]) -> None:
    assert capacity.record("f", "华东-订单库", DAY, "run1", reading(10, 20, 0), late=True) == "written"
    (day,) = capacity.series("f", DAY, DAY + timedelta(days=1))
    assert (day.instance, day.day, day.observed_at, day.late) == ("华东-订单库", DAY, AT, True)
    assert (day.bytes, day.databases, day.unknown, day.log_bytes) == (30, 3, 0, 7)
    assert [(d.database, d.bytes) for d in capacity.databases("f", DAY, DAY + timedelta(days=1))] == [
        ("db0", 10),
        ("db1", 20),
        ("db2", 0),
    ]
    assert [t.bytes for t in capacity.tables("f", "华东-订单库", DAY)] == [20, 10, 0]
    assert capacity.present("f", DAY) == {"华东-订单库"}
    assert capacity.newest("f") == {"华东-订单库": day}


def test_hostile_names_are_stored(capacity: CapacityStore) -> None:
    names = ["订单库", "a'b\"c`d", "x|y,z", "nul\0here", "half\ud83d", "😀", " ", "%s %(x)s"]
    databases = tuple(DatabaseSize(name, "", 1) for name in names)
    tables = tuple(TableSize(name, name, name, 1) for name in names)
    sections = {
        SectionKey(SectionName.DATABASES): OK,
        SectionKey(SectionName.SIZES, "nul\0"): SectionState(Status.DENIED, "half\ud83d"),
    }
    capacity.record("f", "one", DAY, "run1", CapacityReading(SERVER, AT, sections, databases, (), tables))
    assert len(capacity.databases("f", DAY, DAY + timedelta(days=1))) == len(names)
    assert len(capacity.databases("f", DAY, DAY + timedelta(days=1), database="nul\0here")) == 1
    assert len(capacity.tables("f", "one", DAY)) == len(names)


def test_d4_a_failure_at_any_statement_leaves_everything_as_it_was(
    store: PostgresStore, capacity: CapacityStore, admin: psycopg.Connection[Any]
) -> None:
    """Of the original: rows of databases were committed without the total of the instance."""
    capacity.gap("f", "one", "capacity", DAY, "timeout", "no answer", "run0")
    capacity.record("f", "one", DAY, "run1", reading(10, None, sections=DENIED))
    newer = reading(11, 21, 31, at=AT + timedelta(hours=1))
    before = everything(admin)
    for nth in count():
        try:
            CapacityStore(BreaksAt(store.sessions, nth)).record("f", "one", DAY, "run2", newer)
        except RuntimeError:
            assert everything(admin) == before
            continue
        break
    assert nth == 8  # so many statements were there to fail at
    assert capacity.series("f", DAY, DAY + timedelta(days=1))[0].bytes == 63


def test_d4_the_total_is_the_sum_or_there_is_no_commit(capacity: CapacityStore, admin: psycopg.Connection[Any]) -> None:
    """A constraint of the database says so, whoever writes."""
    capacity.record("f", "one", DAY, "run1", reading(10, 20))
    before = everything(admin)
    wrong = (
        "update sync_assets.fleet_capacity set total_bytes = 31",
        "update sync_assets.fleet_capacity set databases = 3",
        "update sync_assets.fleet_capacity set unknown_databases = 1",
        "insert into sync_assets.fleet_capacity (fleet, instance, day, observed_at, run_id, total_bytes, databases)"
        " values ('f', 'one', '2026-11-17', now(), 'x', 5, 1)",
    )
    for statement in wrong:
        with pytest.raises(psycopg.errors.CheckViolation, match="is not the sum"):
            admin.execute(statement)
        assert everything(admin) == before


def test_an_older_observation_never_replaces_a_newer_one(
    capacity: CapacityStore, admin: psycopg.Connection[Any]
) -> None:
    capacity.record("f", "one", DAY, "run2", reading(10, 20))
    before = everything(admin)
    assert capacity.record("f", "one", DAY, "run1", reading(1, 2, at=AT - timedelta(seconds=1))) == "older"
    assert capacity.record("f", "one", DAY, "run3", reading(10, 20)) == "older"  # the same once more
    assert everything(admin) == before
    assert capacity.record("f", "one", DAY, "run4", reading(5, at=AT + timedelta(seconds=1))) == "written"
    assert [d.bytes for d in capacity.databases("f", DAY, DAY + timedelta(days=1))] == [5]
    assert [t.bytes for t in capacity.tables("f", "one", DAY)] == [5]


def test_a_reading_that_lacks_a_size_never_replaces_a_total(
    capacity: CapacityStore, admin: psycopg.Connection[Any]
) -> None:
    capacity.record("f", "one", DAY, "run1", reading(10, 20))
    before = everything(admin)
    poor = reading(10, None, at=AT + timedelta(hours=1), sections=DENIED)
    assert capacity.record("f", "one", DAY, "run2", poor) == "poorer"
    assert everything(admin) == before


def test_defect_9_an_unknown_size_is_null_and_the_day_a_gap(
    capacity: CapacityStore, admin: psycopg.Connection[Any]
) -> None:
    """Of the original: sizes that could not be read were written as 0 MB."""
    capacity.record("f", "one", DAY, "run1", reading(10, None, None, sections=DENIED))
    (day,) = capacity.series("f", DAY, DAY + timedelta(days=1))
    assert (day.bytes, day.known_bytes, day.databases, day.unknown) == (None, 10, 3, 2)
    assert [d.bytes for d in capacity.databases("f", DAY, DAY + timedelta(days=1))] == [10, None, None]
    assert capacity.present("f", DAY) == set()
    (gap,) = capacity.gaps("f")
    assert (gap.reason, gap.message) == (
        "privilege",
        "2 of 3 databases have no known size: grant pg_read_all_stats",
    )
    shown = "select instance, database, bytes from sync_assets.fleet_capacity_daily where database in ('', 'db1')"
    assert admin.execute(shown).fetchall() == [("one", "", None), ("one", "db1", None)]
    capacity.record("f", "one", DAY, "run2", reading(10, 20, 30, at=AT + timedelta(hours=1)))
    assert capacity.gaps("f") == []


@pytest.mark.parametrize(
    ("sections", "code"),
    [
        ({SectionName.DATABASES: SectionState(Status.DENIED, "grant SHOW DATABASES")}, "privilege"),
        ({SectionName.DATABASES: SectionState(Status.UNSUPPORTED, "too old")}, "version"),
        ({SectionName.DATABASES: SectionState(Status.ERROR, "broke off")}, "other"),
    ],
)
def test_a_list_that_is_not_whole_is_not_recorded(
    capacity: CapacityStore, admin: psycopg.Connection[Any], sections: dict[SectionName, SectionState], code: str
) -> None:
    before = everything(admin)
    with pytest.raises(Stop, match="list of databases") as stop:
        capacity.record("f", "one", DAY, "run1", reading(10, sections=sections))
    assert stop.value.code == code
    assert everything(admin) == before


def test_a_reading_without_the_section_or_with_a_database_twice_is_refused(capacity: CapacityStore) -> None:
    with pytest.raises(Stop, match="was not read"):
        capacity.record("f", "one", DAY, "run1", CapacityReading(SERVER, AT, {}, ()))
    twice = CapacityReading(SERVER, AT, {SectionKey(SectionName.DATABASES): OK}, (DatabaseSize("a", "", 1),) * 2)
    with pytest.raises(Stop, match="twice"):
        capacity.record("f", "one", DAY, "run1", twice)


def test_an_instance_without_databases_is_a_size_of_zero(capacity: CapacityStore) -> None:
    assert capacity.record("f", "one", DAY, "run1", reading()) == "written"
    assert capacity.present("f", DAY) == {"one"}
    assert capacity.newest("f")["one"].bytes == 0


@pytest.mark.parametrize("reason", ["dns", "refused", "timeout", "auth", "privilege", "version", "protocol", "lost"])
def test_d3_a_failed_day_is_a_gap_with_its_reason_until_it_is_collected(
    capacity: CapacityStore, reason: GapReason
) -> None:
    """Of the original: a failed day was lost without a word."""
    for n in range(3):
        capacity.gap("f", "one", "capacity", DAY, reason, f"attempt {n}", f"run{n}")
    (gap,) = capacity.gaps("f", kind="capacity")
    assert (gap.instance, gap.day, gap.reason) == ("one", DAY, reason)
    assert (gap.message, gap.attempts, gap.run_id, gap.closed_at) == ("attempt 2", 3, "run2", None)
    capacity.record("f", "one", DAY, "run3", reading(1))
    assert capacity.gaps("f") == []
    (closed,) = capacity.gaps("f", open_only=False)
    assert closed.closed_at is not None


def test_a_gap_takes_no_size_away_and_does_not_open_where_there_is_one(
    capacity: CapacityStore, admin: psycopg.Connection[Any]
) -> None:
    capacity.record("f", "one", DAY, "run1", reading(10, 20))
    before = everything(admin)
    capacity.gap("f", "one", "capacity", DAY, "too_late", "the day is over", "run2")
    assert everything(admin) == before


def test_gaps_of_accounts_are_their_own(capacity: CapacityStore) -> None:
    capacity.record("f", "one", DAY, "run1", reading(10))
    capacity.gap("f", "one", "accounts", DAY, "auth", "refused", "run1")
    capacity.gap("f", "华东-订单库", "capacity", DAY - timedelta(days=1), "dns", "no such name", "run1")
    assert [(g.kind, g.instance) for g in capacity.gaps("f")] == [("accounts", "one"), ("capacity", "华东-订单库")]
    assert [g.kind for g in capacity.gaps("f", first=DAY)] == ["accounts"]
    assert [g.kind for g in capacity.gaps("f", until=DAY)] == ["capacity"]
    capacity.close_gap("f", "one", "accounts", DAY)
    capacity.close_gap("f", "one", "accounts", DAY)
    assert capacity.gaps("f", kind="accounts") == []


def test_d20_many_at_once_leave_what_the_newest_saw(
    store: PostgresStore, capacity: CapacityStore, admin: psycopg.Connection[Any]
) -> None:
    """Of the original: a run by hand and the scheduled one interleaved."""

    def write(n: int) -> str:
        if n % 5 == 4:
            capacity.gap("f", "one", "capacity", DAY, "timeout", "no answer", f"run{n}")
            return "gap"
        return capacity.record("f", "one", DAY, f"run{n}", reading(*[n] * (n + 1), at=AT + timedelta(seconds=n)))

    with ThreadPoolExecutor(8) as pool:
        said = list(pool.map(write, [7, 3, 4, 23, 11, 9, 2, 22, 14, 18, 0, 16, 5, 6, 8, 19] * 3))
    assert "written" in said
    assert capacity.newest("f")["one"].bytes == 23 * 24
    assert [d.bytes for d in capacity.databases("f", DAY, DAY + timedelta(days=1))] == [23] * 24
    assert capacity.gaps("f") == []


def test_defects_14_15_bytes_beyond_32_bits_and_the_day_that_was_asked_for(capacity: CapacityStore) -> None:
    """Of the original: MB in an int, and the date of the moment of writing."""
    midnight = datetime(2026, 11, 16, 16, 0, 1, tzinfo=UTC)  # the 17th in Shanghai, a second old
    capacity.record("f", "one", DAY, "run1", reading(2**53 + 1, 1, at=midnight))
    (day,) = capacity.series("f", DAY, DAY + timedelta(days=1), instance="one")
    assert (day.day, day.observed_at, day.bytes) == (DAY, midnight, 2**53 + 2)
