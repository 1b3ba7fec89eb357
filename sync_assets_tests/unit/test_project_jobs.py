"""From YAML to jobs: windows as conditions by the type of their column, names, replicas and their way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest

from sync_assets.engine.errors import Stop
from sync_assets.engine.model import ColumnType, Mode
from sync_assets.engine.tables.job import Changes
from sync_assets.engine.tables.reading import Condition, TableSource
from sync_assets.engine.tables.shape import ColumnShape, TableEntry, TableKind, TableName, TableShape
from sync_assets.engine.tables.writing import TableTarget
from sync_assets.project.jobs import jobs_of
from sync_assets.project.load import Project, load_project
from sync_assets.project.replicas import Listing, chosen, destination, meant, spelled, syncs_of
from sync_assets.project.spec import KeyRanges, TimeWindows
from sync_assets.project.tables import _back, shown_keys
from sync_assets_tests.unit.test_component_replica import LISTING
from sync_assets_tests.unit.test_project_tables import folder_with

T = ColumnType


@dataclass
class Catalogue:
    """As much of a database as jobs are made from."""

    dialect: str = "mysql"
    address = "postgres://nowhere:1/x"
    home: str = "shop"
    columns: tuple[ColumnShape, ...] = (ColumnShape("id", T.BIGINT, "bigint"),)

    def name_of(self, text: str) -> TableName:
        from sync_assets.databases.base import name_parts

        parts = name_parts(text)
        return TableName(parts[0] if len(parts) == 2 else self.home, parts[-1])

    def shapes(self, names: Sequence[TableName]) -> dict[TableName, TableShape]:
        return {name: TableShape(name, self.columns) for name in names}

    def query_columns(self, query: str) -> tuple[ColumnShape, ...]:
        return self.columns


HERE, THERE = cast(TableSource, Catalogue()), cast(TableSource, Catalogue("postgres", "public"))


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return load_project(folder_with(tmp_path))


def test_a_job_says_what_the_yaml_says(project: Project) -> None:
    orders = project.sync("orders")
    (job,) = jobs_of([orders], HERE, THERE, {"orders": ["0000001000"]})
    assert (job.source, job.target) == (TableName("shop", "orders"), TableName("sales", "orders"))
    assert job.where == "`status` <> 'draft'"
    assert job.partitioned
    assert job.windows[0].conditions == (Condition("id", ">=", "1000"), Condition("id", "<", "2000"))
    assert job.reject_limit == 0
    (last,) = jobs_of([orders], HERE, THERE, {"orders": ["0000002000"]})
    assert last.windows[0].conditions[1] == Condition("id", "<", "2500")


def test_mode_and_changes_may_be_others_for_one_run(project: Project) -> None:
    (job,) = jobs_of([project.sync("totals")], HERE, THERE, {}, Mode.CLONE, Changes.HASH)
    assert (job.mode, job.changes, job.source, job.key) == (Mode.CLONE, Changes.HASH, None, ("day",))
    assert job.query.startswith("select day")


def test_a_changed_sync_has_another_digest(project: Project) -> None:
    totals = project.sync("totals")
    other = replace(totals, spec=totals.spec.model_copy(update={"query": "select 1 as day"}))
    one, two = (jobs_of([s], HERE, THERE, {})[0].spec_digest for s in (totals, other))
    assert one != two


def windows_on(project: Project, kind: ColumnType, every: Any, start: str, key: str, zone: str) -> tuple[str, ...]:
    from zoneinfo import ZoneInfo

    spec = project.sync("orders").spec.model_copy(
        update={"partitions": TimeWindows(every=every, start=datetime.fromisoformat(start), column="at"), "where": None}
    )
    sync = replace(project.sync("orders"), spec=spec, time_zone=ZoneInfo(zone))
    source = cast(TableSource, Catalogue(columns=(ColumnShape("at", kind, str(kind)),)))
    (job,) = jobs_of([sync], source, THERE, {"orders": [key]})
    return tuple(c.value for c in job.windows[0].conditions)


def test_windows_are_wall_clocks_or_instants_by_the_type_of_their_column(project: Project) -> None:
    day = ("day", "2026-10-01", "2026-10-05", "Asia/Shanghai")
    assert windows_on(project, T.INSTANT, *day) == ("2026-10-04 16:00:00.000000", "2026-10-05 16:00:00.000000")
    assert windows_on(project, T.DATETIME, *day) == ("2026-10-05 00:00:00.000000", "2026-10-06 00:00:00.000000")
    assert windows_on(project, T.DATE, *day) == ("2026-10-05", "2026-10-06")


def test_the_hours_of_a_clock_change_meet(project: Project) -> None:
    """In Berlin 02:00 to 03:00 comes twice: the first of both is empty for a column that knows no zone."""
    keys = ("2026-10-25-01:00", "2026-10-25-02:00", "2026-10-25-02:00+0100", "2026-10-25-03:00")
    naive = [windows_on(project, T.DATETIME, "hour", "2026-10-24", key, "Europe/Berlin") for key in keys]
    aware = [windows_on(project, T.INSTANT, "hour", "2026-10-24", key, "Europe/Berlin") for key in keys]
    for found in (naive, aware):
        assert all(before[1] == after[0] for before, after in pairwise(found))
    assert aware[1] == ("2026-10-25 00:00:00.000000", "2026-10-25 01:00:00.000000")


def test_a_date_belongs_to_the_hour_of_its_midnight(project: Project) -> None:
    midnight = windows_on(project, T.DATE, "hour", "2026-10-01", "2026-10-05-00:00", "Asia/Shanghai")
    five = windows_on(project, T.DATE, "hour", "2026-10-01", "2026-10-05-05:00", "Asia/Shanghai")
    assert (midnight, five) == (("2026-10-05", "2026-10-06"), ("2026-10-06", "2026-10-06"))


@pytest.mark.parametrize("kind", [T.TEXT, T.JSON, T.BOOL])
def test_a_column_that_cannot_be_cut_is_named(project: Project, kind: ColumnType) -> None:
    source = cast(TableSource, Catalogue(columns=(ColumnShape("id", kind, "strange"),)))
    with pytest.raises(Stop, match="column id is of type strange; ranges of a key need"):
        jobs_of([project.sync("orders")], source, THERE, {"orders": ["0000000000"]})
    with pytest.raises(Stop, match="has no column id"):
        jobs_of([project.sync("orders")], cast(TableSource, Catalogue(columns=())), THERE, {"orders": ["0000000000"]})


@pytest.mark.parametrize(
    ("kind", "written", "text"),
    [(T.TEXT, "north", "north"), (T.INTEGER, "007", "7"), (T.DECIMAL, "1.50", "1.5"), (T.BOOL, "true", "1"),
     (T.DATE, "2026-10-05", "2026-10-05"), (T.ENUM, "新", "新")],
)  # fmt: skip
def test_a_value_is_compared_in_its_canonical_form(project: Project, kind: ColumnType, written: str, text: str) -> None:
    from sync_assets.project.spec import FixedValues

    spec = project.sync("orders").spec.model_copy(update={"partitions": FixedValues(column="x", values=[written])})
    source = cast(TableSource, Catalogue(columns=(ColumnShape("x", kind, str(kind)),)))
    (job,) = jobs_of([replace(project.sync("orders"), spec=spec)], source, THERE, {"orders": [written]})
    assert job.windows[0].conditions == (Condition("x", "=", text),)


def test_a_value_of_another_type_is_refused_without_being_shown(project: Project) -> None:
    from sync_assets.project.spec import FixedValues

    spec = project.sync("orders").spec.model_copy(update={"partitions": FixedValues(column="x", values=["hunter2"])})
    source = cast(TableSource, Catalogue(columns=(ColumnShape("x", T.INTEGER, "int"),)))
    with pytest.raises(Stop, match="none of this type") as refused:
        jobs_of([replace(project.sync("orders"), spec=spec)], source, THERE, {"orders": ["hunter2"]})
    assert "hunter2" not in str(refused.value)


# -- replicas ---------------------------------------------------------------------------------------------------


def listing(*names: tuple[str, str], home: str = "shop") -> Listing:
    return Listing(tuple(TableEntry(TableName(*n), TableKind.TABLE) for n in names), (home, "public"), "now")


def test_a_list_survives_being_kept() -> None:
    assert Listing.from_data(LISTING.as_data()) == LISTING


def test_odd_names_are_spelled_so_that_they_are_read_back(project: Project) -> None:
    odd = [("shop", "a.b"), ("my schema", 'c"d'), ("shop", "`e`"), ("", "x"), ("shop", "订单"), ("Shop", "Orders")]
    for name in odd[:3] + odd[4:]:
        assert HERE.name_of(spelled(TableName(*name))) == TableName(*name)
    syncs = syncs_of(project.replica("shop_copy"), listing(*odd))
    assert len(syncs) == len(odd)
    assert '"a.b"' in next(iter(syncs))


def test_where_tables_go(project: Project) -> None:
    spec = project.replica("shop_copy").spec
    homes = ("shop", "public")
    assert destination(spec, TableName("shop", "orders"), homes) == TableName("copy", "orders")
    assert destination(spec, TableName("other", "t"), homes) == TableName("other", "t")
    plain = spec.model_copy(update={"into": {}})
    assert destination(plain, TableName("shop", "orders"), homes) == TableName("public", "orders")


def test_patterns_without_a_schema_mean_the_connections_own(project: Project) -> None:
    spec = project.replica("shop_copy").spec.model_copy(
        update={"tables": ["order*", "other.*"], "exclude": ["orders_old"]}
    )
    found = meant(spec, listing(("shop", "orders"), ("shop", "orders_old"), ("other", "t"), ("third", "orders")))
    assert [str(e.name) for e in found] == ["other.t", "shop.orders"]


def test_names_that_are_none_are_refused_with_the_nearest(project: Project) -> None:
    placed = project.replica("shop_copy")
    whole = listing(("shop", "lines"), ("shop", "orders"))
    assert [str(e.name) for e in chosen(placed, whole, ["ord*"])] == ["shop.orders"]
    with pytest.raises(Stop, match=r"did you mean shop\.orders"):
        list(chosen(placed, whole, ["shop.ordrs"]))
    with pytest.raises(Stop, match=r"overrides names shop\.lines, which is no table"):
        list(chosen(placed, listing(("shop", "orders")), []))
    with pytest.raises(Stop, match="no table of shop is meant"):
        list(chosen(replace(placed, spec=placed.spec.model_copy(update={"overrides": {}})), listing(), []))


def test_the_way_back_deletes_nothing_where_the_copy_is_partial(project: Project) -> None:
    """`shop.lines` is copied with a filter: what the copy lacks may well be in the source."""
    syncs = syncs_of(project.replica("shop_copy"), listing(("shop", "lines"), ("shop", "orders")))
    here, there = cast(TableTarget, Catalogue("postgres", "public")), cast(TableTarget, Catalogue())
    jobs = {table: _back(sync, here, there, accept_deletes=False) for table, sync in syncs.items()}
    assert (jobs["shop.lines"].mode, jobs["shop.orders"].mode) == (Mode.FULL, Mode.CLONE)
    orders = jobs["shop.orders"]
    assert (orders.source, orders.target) == (TableName("copy", "orders"), TableName("shop", "orders"))
    assert (orders.policy, orders.changes, orders.sync) == ("ignore", Changes.HASH, "restore shop_copy:shop.orders")
    assert orders.delete_limit.share == 0.3
    assert _back(syncs["shop.orders"], here, there, accept_deletes=True).delete_limit.share == 1.0


def test_many_partitions_are_one_short_text() -> None:
    assert shown_keys(["a", "b"]) == "a,b"
    assert shown_keys([f"{n:04}" for n in range(5000)]) == "0000..4999 (5000)"
    assert KeyRanges(by="key", column="id", start=-5, end=5, size=5).count == 2
