"""Runs over tables on real databases, each pair: first and second run, changed and deleted rows, guards, plans."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from sync_assets.databases.base import open_tables
from sync_assets.engine.errors import Stop
from sync_assets.engine.guard import DeleteLimit
from sync_assets.engine.model import Counts, Mode, Report
from sync_assets.engine.tables.job import Changes, Pace, TableJob, Verdict, Window
from sync_assets.engine.tables.reading import Condition
from sync_assets.engine.tables.run import TablesRun
from sync_assets.testing.memory import MemoryStore
from sync_assets_tests.fix_servers import ScratchDatabase

PAIRS = (
    "postgres-postgres", "mysql-postgres", "postgres-mysql", "mysql-mysql", "sqlite-postgres", "postgres-sqlite",
    "mysql-sqlite", "sqlite-mysql", "sqlite-sqlite",
)  # fmt: skip
_runs = itertools.count(1)
TABLE = "create table items (id bigint primary key, name varchar(40), price decimal(12,2), n integer)"
ROWS = [(n, f"第{n}件 'quoted' \t\\", f"{n}.50", n % 7) for n in range(1, 301)]


@dataclass
class Between:
    """Two databases and what is done between them."""

    here: ScratchDatabase
    there: ScratchDatabase
    store: MemoryStore = field(default_factory=MemoryStore)

    def job(self, name: str = "items", **changes: Any) -> TableJob:
        source, target = open_tables(self.here.kind, self.here.args), open_tables(self.there.kind, self.there.args)
        job = TableJob(f"copy_{name}", target.name_of(name), source.name_of(name), mode=Mode.CLONE)
        source.close()
        target.close()
        return replace(job, delete_limit=DeleteLimit(0.5, 50), **changes)

    def run(self, *jobs: TableJob, **settings: Any) -> dict[str, Any]:
        with self._run(*jobs, **settings) as run:
            return run.execute()

    def one(self, job: TableJob, **settings: Any) -> Report:
        """The report of a run of one job. Raises what stopped it."""
        outcome = self.run(job, **settings)[job.sync]
        if outcome.error is not None:
            raise outcome.error
        assert outcome.report is not None
        return outcome.report

    def verify(self, job: TableJob) -> Verdict:
        with self._run(job) as run:
            found = run.verify()[job.sync]
        assert isinstance(found, Verdict), found
        return found

    def _run(self, *jobs: TableJob, **settings: Any) -> Any:
        from contextlib import contextmanager

        @contextmanager
        def opened() -> Iterator[TablesRun]:
            source, target = open_tables(self.here.kind, self.here.args), open_tables(self.there.kind, self.there.args)
            try:
                yield TablesRun(jobs, source, target, self.store, owner=f"test {next(_runs)}", **settings)
            finally:
                source.close()
                target.close()

        return opened()

    def rows(
        self, table: str = "items", columns: str = "id, name, price, n", order: str = "1"
    ) -> list[tuple[Any, ...]]:
        return _plain(self.there.execute(f"select {columns} from {table} order by {order}"))

    def source_rows(self, table: str = "items", columns: str = "id, name, price, n") -> list[tuple[Any, ...]]:
        return _plain(self.here.execute(f"select {columns} from {table} order by 1"))


def _plain(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [tuple(float(v) if hasattr(v, "as_tuple") else v for v in row) for row in rows]


def _database(request: pytest.FixtureRequest, kind: str, tmp_path_factory: pytest.TempPathFactory) -> Any:
    from sync_assets_tests import fix_servers

    if kind == "sqlite":
        return iter([fix_servers.sqlite_db.__wrapped__(tmp_path_factory.mktemp("lite"))])  # type: ignore[attr-defined]
    server = request.getfixturevalue("postgres" if kind == "postgres" else "mariadb")
    return fix_servers._scratch(server, kind)


@pytest.fixture(params=PAIRS)
def between(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Between]:
    kinds = request.param.split("-")
    made = [_database(request, kind, tmp_path_factory) for kind in kinds]
    yield Between(*(next(m) for m in made))
    for m in made:
        next(m, None)


def fill(db: ScratchDatabase, rows: list[tuple[Any, ...]] = ROWS, table: str = "items") -> None:
    values = [", ".join("null" if v is None else "'" + _escaped(db, v) + "'" for v in row) for row in rows]
    db.execute(f"insert into {table} values " + ", ".join(f"({v})" for v in values))


def _escaped(db: ScratchDatabase, value: object) -> str:
    text = str(value).replace("'", "''")
    return text.replace("\\", "\\\\") if db.kind == "mysql" else text


@pytest.fixture
def items(between: Between) -> Between:
    between.here.execute(TABLE)
    fill(between.here)
    return between


def test_the_first_run_creates_and_fills_the_table_and_the_second_ships_nothing(items: Between):
    first = items.one(items.job())
    assert first.counts == Counts(read=300, created=300)
    assert first.equal is True
    assert items.rows() == items.source_rows()
    second = items.one(items.job())
    assert second.counts == Counts(read=300, unchanged=300)
    assert second.equal is True
    assert second.bytes_sent == 0
    assert not second.drift


@pytest.mark.parametrize("changes", [Changes.HASH, Changes.WHOLE])
def test_a_clone_takes_changes_additions_deletes_and_cleared_cells(items: Between, changes: Changes):
    job = items.job(changes=changes)
    items.one(job)
    items.here.execute(
        "update items set name = null where id = 5",
        "update items set name = 'ÄNDERUNG' where id = 6",
        "delete from items where id in (7, 8, 9)",
        "insert into items values (1000, '', null, -1)",
    )
    report = items.one(job)
    assert items.rows() == items.source_rows()
    assert report.equal is True
    assert report.counts.balanced
    if changes is Changes.HASH:
        assert report.counts == Counts(read=298, created=1, updated=2, unchanged=295, deleted=3)
        assert {c.key for c in report.changes} == {"5", "6", "7", "8", "9", "1000"}


def test_case_accents_and_trailing_blanks_are_differences(items: Between):
    job = items.job()
    fill(items.here, [(901, "name", None, 0), (902, "resume", None, 0), (903, "pad", None, 0)])
    items.one(job)
    items.here.execute(
        "update items set name = 'NAME' where id = 901",
        "update items set name = 'résumé' where id = 902",
        "update items set name = 'pad ' where id = 903",
    )
    assert items.one(job).counts.updated == 3
    assert items.rows() == items.source_rows()


def test_full_leaves_what_only_the_target_has(items: Between):
    job = items.job(mode=Mode.FULL)
    items.one(job)
    fill(items.there, [(5000, "ours", "1.00", 1)])
    items.here.execute("update items set n = 99 where id = 1")
    report = items.one(job)
    assert report.counts == Counts(read=300, updated=1, unchanged=299)
    assert report.equal is True
    assert (5000, "ours", 1.0, 1) in items.rows()


def test_incremental_adds_what_is_missing_and_touches_nothing_else(items: Between):
    job = items.job(mode=Mode.INCREMENTAL)
    items.one(job)
    items.here.execute("update items set n = 99 where id = 1", "insert into items values (2000, 'new', null, 0)")
    report = items.one(job)
    assert report.counts == Counts(read=301, created=1, unchanged=300)
    assert report.equal is True
    assert items.rows()[0][3] == 1


def test_an_empty_source_and_an_empty_target_are_in_step(items: Between):
    items.here.execute("delete from items")
    assert items.one(items.job()).counts == Counts()
    assert items.one(items.job()).equal is True
    assert items.rows() == []


def test_a_source_that_became_empty_does_not_empty_the_target(items: Between):
    items.one(items.job())
    items.here.execute("delete from items")
    with pytest.raises(Stop, match="no rows"):
        items.one(items.job())
    assert len(items.rows()) == 300
    assert items.one(items.job(allow_empty_source=True)).counts.deleted == 300
    assert items.rows() == []


def test_more_deletes_than_the_guard_allows_stop_the_run(items: Between):
    items.one(items.job())
    items.here.execute("delete from items where id > 100")
    with pytest.raises(Stop, match="would be deleted"):
        items.one(items.job())
    assert len(items.rows()) == 300


def test_a_plan_says_what_would_happen_and_writes_nothing(items: Between):
    planned = items.one(items.job(), dry=True)
    assert planned.counts == Counts(read=300, created=300)
    items.one(items.job())
    items.here.execute("update items set n = 50 where id = 3", "delete from items where id = 4")
    planned = items.one(items.job(), dry=True)
    assert planned.counts == Counts(read=299, updated=1, unchanged=298, deleted=1)
    assert len(items.rows()) == 300


def test_verify_names_what_differs(items: Between):
    job = items.job()
    items.one(job)
    assert items.verify(job).equal is True
    items.there.execute(
        "update items set name = 'x' where id = 10", "delete from items where id = 20",
        "insert into items values (9999, 'y', null, 0)",
    )  # fmt: skip
    found = items.verify(job)
    assert (found.equal, found.missing, found.changed, found.extra) == (False, 1, 1, 1)
    assert found.ranges


def test_columns_are_renamed_and_left_out(items: Between):
    job = items.job(columns={"name": "title", "n": None})
    items.one(job)
    assert items.rows(columns="id, title, price") == items.source_rows(columns="id, name, price")
    items.here.execute("update items set name = 'again' where id = 2")
    assert items.one(job).counts.updated == 1


def test_a_table_without_a_key_is_replaced_whole(items: Between):
    items.here.execute("create table log (line varchar(30))")
    fill(items.here, [("a",), ("a",), ("b",)], "log")
    job = items.job("log")
    assert items.one(job).counts == Counts(read=3, created=3)
    fill(items.here, [("c",)], "log")
    report = items.one(job)
    assert report.equal is True
    assert items.rows("log", "line") == [("a",), ("a",), ("b",), ("c",)]


@pytest.mark.parametrize("between", ["postgres-postgres"], indirect=True)
def test_a_table_that_cannot_be_swapped_is_not_said_to_be(items: Between):
    job = items.job(changes=Changes.WHOLE)
    assert "staged and swapped" in _twice(items, job).notes
    items.there.execute("create view hangs as select * from items")
    report = _twice(items, job)
    assert any("not swapped" in note for note in report.notes)
    assert not any("staged and swapped" in note for note in report.notes)


def _twice(items: Between, job: TableJob) -> Report:
    items.one(job)
    return items.one(job)


def test_rows_of_one_window_are_all_that_a_window_is_about(items: Between):
    def window(n: int) -> Window:
        low, high = str(n * 100), str((n + 1) * 100)
        return Window(f"{n}", (Condition("id", ">=", low), Condition("id", "<", high)))

    job = items.job(partitioned=True, windows=(window(0), window(1)))
    report = items.one(job)
    assert {k: c.created for k, c in report.partitions.items()} == {"0": 99, "1": 100}
    assert len(items.rows()) == 199
    items.here.execute("delete from items where id = 150", "update items set n = 77 where id = 20")
    report = items.one(job)
    assert report.partitions["0"] == Counts(read=99, updated=1, unchanged=98)
    assert report.partitions["1"] == Counts(read=99, unchanged=99, deleted=1)
    assert report.equal is True


def test_rows_since_the_watermark_are_read_and_late_ones_found(items: Between):
    job = items.job(mode=Mode.FULL, watermark="n", lookback=2)
    items.here.execute("update items set n = id")
    items.one(job)
    items.here.execute(
        "insert into items values (400, 'new', null, 400)", "update items set name = 'late' where n = 299"
    )
    items.here.execute("update items set name = 'not seen' where n = 3")
    report = items.one(job)
    assert report.counts == Counts(read=4, created=1, updated=1, unchanged=2)
    assert "position 400" in report.notes
    assert report.equal is True


def test_a_position_belongs_to_the_sync_as_it_was_written_then(items: Between):
    """Another filter or target under the same name: rows before the old position were never asked for."""
    items.here.execute("update items set n = id")
    job = items.job(mode=Mode.FULL, watermark="n", lookback=2, where="id > 100", spec_digest="narrow")
    assert items.one(job).counts.created == 200
    report = items.one(replace(job, where="", spec_digest="wide"))
    assert report.counts == Counts(read=300, created=100, unchanged=200)
    assert items.rows() == items.source_rows()


def test_versions_that_no_double_can_hold_are_positions(items: Between):
    items.here.execute("create table facts (id bigint primary key, version bigint not null)")
    far = 2**62
    fill(items.here, [(1, far + 1), (2, far + 2)], "facts")
    job = items.job("facts", mode=Mode.FULL, watermark="version", lookback=0)
    items.one(job)
    fill(items.here, [(3, far + 3)], "facts")
    report = items.one(job)
    assert report.counts == Counts(read=2, created=1, unchanged=1)
    assert f"position {far + 3}" in report.notes


def test_children_go_before_their_parents_and_come_after_them(items: Between):
    items.here.execute("create table boxes (id bigint primary key, item bigint not null references items (id))"
                       if items.here.kind != "mysql" else
                       "create table boxes (id bigint primary key, item bigint not null, "
                       "foreign key (item) references items (id))")  # fmt: skip
    fill(items.here, [(1, 5), (2, 6)], "boxes")
    jobs = items.job("boxes"), items.job("items")
    outcomes = items.run(*jobs)
    assert [o.error for o in outcomes.values()] == [None, None]
    items.here.execute("delete from boxes where id = 1", "delete from items where id = 5",
                       "insert into items values (700, 'p', null, 0)", "insert into boxes values (3, 700)")  # fmt: skip
    outcomes = items.run(*jobs)
    assert [o.error for o in outcomes.values()] == [None, None]
    assert items.rows("boxes", "id, item") == [(2, 6), (3, 700)]
    assert items.rows() == items.source_rows()


def test_a_table_that_is_run_alone_keeps_its_foreign_keys(items: Between):
    """Every run of some tables of a replica: what the key points to was copied by another run."""
    kind = items.here.kind
    reference = "foreign key (item) references items (id)" if kind == "mysql" else "references items (id)"
    comma = ", " if kind == "mysql" else " "
    items.here.execute(f"create table boxes (id bigint primary key, item bigint not null{comma}{reference})")
    fill(items.here, [(1, 5)], "boxes")
    parent, child = items.job("items"), items.job("boxes")
    items.one(parent)
    items.one(replace(child, beside=lambda name: parent.target if name == parent.source else None))
    target = open_tables(items.there.kind, items.there.args)
    try:
        (key,) = target.shapes([child.target])[child.target].foreign_keys
    finally:
        target.close()
    assert (key.columns, key.to, key.to_columns) == (("item",), parent.target, ("id",))


def test_one_bad_table_does_not_hold_up_the_others(items: Between):
    good, bad = items.job(), replace(items.job(), sync="lost", source=items.job("nowhere").source)
    outcomes = items.run(good, bad)
    assert outcomes[good.sync].report.counts.created == 300
    assert "nowhere" in str(outcomes["lost"].error)


def test_a_large_table_is_loaded_in_slices(items: Between):
    more = [(n, "x" * 30, "1.00", 0) for n in range(1000, 6000)]
    for at in range(0, len(more), 1000):
        fill(items.here, more[at : at + 1000])
    if items.here.kind != "sqlite":
        items.here.execute("analyze items" if items.here.kind == "postgres" else "analyze table items")
    report = items.one(items.job(), pace=Pace(streams=3, slice_bytes=40_000))
    assert report.counts == Counts(read=5300, created=5300)
    assert report.equal is True
    assert items.rows() == items.source_rows()


def test_rows_that_do_not_fit_are_set_aside(items: Between):
    items.there.execute(
        "create table items (id bigint primary key, name varchar(40), price decimal(12,2), n integer, check (n < 6))"
    )
    job = items.job(mode=Mode.FULL, reject_limit=100)
    report = items.one(job)
    bad = sum(1 for row in ROWS if row[3] == 6)
    assert report.counts == Counts(read=300, created=300 - bad, rejected=bad)
    assert len(items.rows()) == 300 - bad
    assert len(items.store.rejects(job.sync)) == bad
    items.here.execute("update items set n = 1 where n = 6")
    again = items.one(job)
    assert again.counts.created == bad
    assert items.store.rejects(job.sync) == []


def test_without_a_limit_for_rejects_nothing_is_written(items: Between):
    items.there.execute("create table items (id bigint primary key, name varchar(40), price decimal(12,2), n integer, "
                        "check (n < 6))")  # fmt: skip
    with pytest.raises(Stop):
        items.one(items.job(mode=Mode.FULL))
    assert items.rows() == []


def test_two_runs_at_once_end_as_one_would(items: Between, run_both: Callable[..., list[Any]] | None = None):
    from concurrent.futures import ThreadPoolExecutor

    from sync_assets.engine.control import LeaseHeld

    def attempt(_: int) -> object:
        try:
            return items.one(items.job())
        except LeaseHeld as held:
            return held

    with ThreadPoolExecutor(2) as pool:
        ends = list(pool.map(attempt, range(2)))
    assert any(isinstance(end, Report) for end in ends)
    assert items.rows() == items.source_rows()
    assert items.one(items.job()).counts.unchanged == 300
