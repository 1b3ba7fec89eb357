"""A fleet in Dagster: its assets and partitions, exact failures of single instances; collecting is scripted."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from sync_assets.components import fleet_partitions as cuts
from sync_assets.components.deployment import load_definitions, whole_definitions
from sync_assets.components.fleet_execution import Growth, Run
from sync_assets.components.fleet_kept import Kept
from sync_assets.components.partitions import RANGE_END, RANGE_START
from sync_assets.engine.errors import Retry, Stop
from sync_assets.fleet.periods import Period, PeriodRow, PeriodStatus, PeriodSummary, period_of
from sync_assets.project.fleet import Item, ItemState
from sync_assets_tests.fix_fleet_dagster import DENIED, FLEET, NAMES, OK, SHANGHAI, Scripted
from sync_assets_tests.fix_project import CONNECTIONS, ProjectOf, Script, write_defs


@pytest.fixture
def fleet() -> Scripted:
    return Scripted()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        made.add_dynamic_partitions("prod_instances", list(NAMES))
        yield made


@pytest.fixture
def defs(project_of: ProjectOf, script: Script, fleet: Scripted) -> dg.Definitions:
    return whole_definitions(project_of(prod=FLEET), script.execution, fleets=fleet.execution)


def key(name: str) -> dg.AssetKey:
    return dg.AssetKey(["prod", name])


def run(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    assets: Sequence[str],
    keys: Sequence[str],
    config: Mapping[str, object] | None = None,
    **tags: str,
) -> dg.ExecuteInProcessResult:
    """One run over the range of the keys."""
    job = defs.resolve_implicit_global_asset_job_def()
    tags |= {RANGE_START: keys[0], RANGE_END: keys[-1]}
    return job.execute_in_process(
        instance=instance, asset_selection=[key(a) for a in assets], tags=tags, raise_on_error=False,
        run_config={"ops": config} if config else None,
    )  # fmt: skip


def told(done: dg.ExecuteInProcessResult) -> str:
    (failure,) = [e for e in done.all_events if e.is_step_failure]
    return str(failure.step_failure_data.user_failure_data and failure.step_failure_data.user_failure_data.description)


def green(instance: dg.DagsterInstance, name: str) -> set[str]:
    return instance.get_materialized_partitions(key(name))


def red(instance: dg.DagsterInstance, name: str) -> set[str]:
    """What the UI shows in red: planned by a run that failed, and not written since."""
    storage = instance.event_log_storage
    attempts = storage.get_latest_asset_partition_materialization_attempts_without_materializations(key(name))
    runs = {run_id: instance.get_run_by_id(run_id) for run_id, _ in attempts.values()}
    return {part for part, (run_id, _) in attempts.items() if (r := runs[run_id]) and r.is_failure}


def checks(done: dg.ExecuteInProcessResult) -> dict[str | None, tuple[bool, str | None]]:
    return {c.partition: (c.passed, c.description) for c in done.get_asset_check_evaluations()}


ACCOUNTS = ("account_inventory", "account_permissions", "account_classification")


def test_lineage_and_partitions_are_those_of_the_design(defs: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(defs)
    graph = defs.resolve_asset_graph()
    mine = {k for k in graph.get_all_asset_keys() if k.path[0] == "prod"}
    assert {k.path[1]: {p.path[1] for p in graph.get(k).parent_keys} for k in mine} == {
        "account_inventory": set(),
        "account_permissions": {"account_inventory"},
        "account_classification": {"account_permissions"},
        "capacity_snapshot": set(),
        "capacity_daily": {"capacity_snapshot"},
        "capacity_weekly": {"capacity_daily"},
        "capacity_monthly": {"capacity_daily"},
        "capacity_quarterly": {"capacity_monthly"},
    }
    assert graph.get(key("capacity_weekly")).group_name == "prod"
    assert "生产库" in (graph.get(key("capacity_weekly")).description or "")


def test_one_sick_instance_is_one_red_partition_and_the_others_go_on(
    defs: dg.Definitions, fleet: Scripted, instance: dg.DagsterInstance
) -> None:
    fleet.bad["dead"] = Item("dead", ItemState.FAILED, Retry("nobody answers", after=5), "refused")
    done = run(defs, instance, ACCOUNTS, NAMES)
    assert not done.success
    assert told(done) == "1 of 3 failed: dead: nobody answers"
    for name in ACCOUNTS:
        assert green(instance, name) == {"shop", "订单库"}, name
        assert red(instance, name) == {"dead"}, name
    assert fleet.asked == [("accounts", *NAMES), ("classify", "shop", "订单库")]


def test_good_instances_are_told_before_a_later_one_ends_the_process(
    defs: dg.Definitions, fleet: Scripted, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D2: a process that dies in the middle has told what was done until then."""
    seen: list[set[str]] = []
    plain = fleet.items

    def watched(what: str, names: Sequence[str], run: Run, counts: Mapping[str, int]) -> Iterator[Item]:
        for item in plain(what, names, run, counts):
            seen.append(green(instance, "account_permissions"))
            yield item

    monkeypatch.setattr(fleet, "items", watched)
    assert run(defs, instance, ACCOUNTS, NAMES).success
    assert seen == [set(), {"shop"}, {"shop", "订单库"}]


def test_what_the_guard_refused_was_staged_and_is_red(
    defs: dg.Definitions, fleet: Scripted, instance: dg.DagsterInstance
) -> None:
    """D16: inventory is there, permissions and classes are not."""
    why = Stop("9 of 10 accounts have vanished", hint="see sync-assets fleet accept")
    fleet.bad["shop"] = Item("shop", ItemState.BLOCKED, why, "blocked", sections=OK)
    assert not run(defs, instance, ACCOUNTS, NAMES).success
    assert green(instance, "account_inventory") == set(NAMES)
    assert red(instance, "account_permissions") == red(instance, "account_classification") == {"shop"}
    assert fleet.asked[-1] == ("classify", "订单库", "dead")


def test_a_denied_section_is_published_with_a_warning_that_names_it(
    defs: dg.Definitions, fleet: Scripted, instance: dg.DagsterInstance
) -> None:
    fleet.bad["shop"] = Item("shop", ItemState.DEGRADED, sections=DENIED)
    done = run(defs, instance, ACCOUNTS, NAMES)
    assert done.success
    assert checks(done) == {
        "shop": (False, "shop: grants denied: SELECT on mysql.* is missing: grant it"),
        "订单库": (True, None),
        "dead": (True, None),
    }
    assert green(instance, "account_permissions") == set(NAMES)


def test_what_was_published_shows_its_sections_and_changes(
    defs: dg.Definitions, fleet: Scripted, instance: dg.DagsterInstance
) -> None:
    fleet.bad["dead"] = Item("dead", ItemState.SKIPPED)  # it has left the fleet since the run was asked for
    assert run(defs, instance, ACCOUNTS, NAMES).success
    assert green(instance, "account_permissions") == {"shop", "订单库"}
    (record, _) = instance.fetch_materializations(key("account_permissions"), limit=2).records
    assert record.asset_materialization is not None
    shown = record.asset_materialization.metadata
    changes, sections = shown["changes"], shown["sections"]
    assert isinstance(changes, dg.TableMetadataValue)
    assert isinstance(sections, dg.TableMetadataValue)
    assert [(r.data["change"], r.data["account"], r.data["what"]) for r in changes.records] == [
        ("added", "alice@%", ""),
        ("granted", "alice@%", "SELECT on shop.orders"),
        ("joined", "alice@%", "role readers@"),
    ]
    assert [(r.data["section"], r.data["status"], r.data["rows"]) for r in sections.records] == [("grants", "ok", 3)]
    assert shown["principals"].value == 7


def test_classes_alone_collect_nothing(defs: dg.Definitions, fleet: Scripted, instance: dg.DagsterInstance) -> None:
    assert run(defs, instance, ["account_classification"], NAMES).success
    assert fleet.asked == [("classify", *NAMES)]
    assert green(instance, "account_classification") == set(NAMES)
    assert green(instance, "account_inventory") == set()


def test_a_run_says_who_asked_and_what_it_accepts(
    defs: dg.Definitions, fleet: Scripted, instance: dg.DagsterInstance
) -> None:
    """D15: every write has a run, and a run has somebody who asked for it."""
    config = {"prod__accounts": {"config": {"accept": True}}}
    done = run(defs, instance, ACCOUNTS, NAMES, config, **{"dagster/schedule_name": "nightly"})
    assert fleet.runs == [Run(done.run_id, "schedule nightly", accept=True)]


def test_trouble_of_the_whole_run_and_bugs_say_no_values(
    defs: dg.Definitions, fleet: Scripted, instance: dg.DagsterInstance
) -> None:
    fleet.error = Stop("the control database is down", hint="start it")
    assert told(run(defs, instance, ACCOUNTS, NAMES)) == "the control database is down -> start it"
    fleet.error = ValueError("password=hunter2")
    assert "hunter2" not in told(run(defs, instance, ACCOUNTS, NAMES))
    assert red(instance, "account_inventory") == set(NAMES)


# -- capacity ---------------------------------------------------------------------------------------------------


def today() -> date:
    return datetime.now(SHANGHAI).date()


def test_capacity_of_a_day_is_labelled_by_its_key_and_only_what_is_missing_is_collected(
    defs: dg.Definitions, fleet: Scripted, instance: dg.DagsterInstance
) -> None:
    """D7, 14: the day is the key's; D3: what the ledger has is not collected twice."""
    day = today() - timedelta(days=3)
    fleet.there = {"shop"}
    fleet.bad["dead"] = Item("dead", ItemState.FAILED, Retry("nobody answers"), "timeout")
    done = run(defs, instance, ["capacity_snapshot"], [f"{day}|{n}" for n in NAMES])
    assert fleet.asked == [(f"capacity {day}", "订单库", "dead")]
    assert green(instance, "capacity_snapshot") == {f"{day}|shop", f"{day}|订单库"}
    assert red(instance, "capacity_snapshot") == {f"{day}|dead"}
    assert told(done) == f"1 of 3 failed: {day}|dead: nobody answers"


def test_again_collects_what_is_there(defs: dg.Definitions, fleet: Scripted, instance: dg.DagsterInstance) -> None:
    fleet.there = set(NAMES)
    keys = [f"{today()}|{n}" for n in NAMES]
    assert run(defs, instance, ["capacity_snapshot"], keys).success
    assert fleet.asked == []
    config = {"prod__capacity_snapshot": {"config": {"again": True}}}
    assert run(defs, instance, ["capacity_snapshot"], keys, config).success
    assert fleet.asked == [(f"capacity {today()}", *NAMES)]


def test_a_group_is_told_when_its_last_instance_is_done(
    project_of: ProjectOf, script: Script, fleet: Scripted, instance: dg.DagsterInstance
) -> None:
    grouped = FLEET + "\n  capacity: {partition_by: group, groups: 2}\n"
    defs = whole_definitions(project_of(prod=grouped), script.execution, fleets=fleet.execution)
    groups = {n: cuts.group_of(n, 2) for n in NAMES}
    fleet.bad["dead"] = Item("dead", ItemState.FAILED, Retry("nobody answers"), "timeout")
    done = run(defs, instance, ["capacity_snapshot"], [f"{today()}|group01", f"{today()}|group02"])
    good = {"group01", "group02"} - {groups["dead"]}
    assert green(instance, "capacity_snapshot") == {f"{today()}|{g}" for g in good}
    assert red(instance, "capacity_snapshot") == {f"{today()}|{groups['dead']}"}
    assert "dead: nobody answers" in told(done)


def test_a_group_is_not_told_before_its_last_instance(
    project_of: ProjectOf, script: Script, fleet: Scripted, instance: dg.DagsterInstance
) -> None:
    whole = FLEET + "\n  capacity: {partition_by: group, groups: 1}\n"
    defs = whole_definitions(project_of(prod=whole), script.execution, fleets=fleet.execution)
    last = max(NAMES)
    fleet.bad[last] = Item(last, ItemState.FAILED, Retry("nobody answers"), "timeout")
    assert not run(defs, instance, ["capacity_snapshot"], [f"{today()}|group01"]).success
    assert green(instance, "capacity_snapshot") == set()
    assert red(instance, "capacity_snapshot") == {f"{today()}|group01"}


# -- periods ----------------------------------------------------------------------------------------------------


def summary(period: Period, missing: tuple[str, ...] = ()) -> PeriodSummary:
    status: PeriodStatus = "partial" if missing else "complete"
    days = period.days[1:2] if missing else ()
    return PeriodSummary(
        period, status, len(period.days), len(period.days) - len(days), days, missing, 0.9, "abc", 3, 3, 0,
        datetime(2026, 11, 22, tzinfo=UTC),
    )  # fmt: skip


def test_a_partial_week_is_written_and_warns_by_name(
    defs: dg.Definitions, fleet: Scripted, instance: dg.DagsterInstance
) -> None:
    """D8: a period with a missing instance is never complete."""
    last = period_of("week", today()).previous
    fleet.summary = {last.key: summary(last, ("dead",))}
    done = run(defs, instance, ["capacity_weekly"], [last.key])
    assert done.success
    assert fleet.asked == [("aggregate", f"week {last.key}")]
    ((passed, why),) = checks(done).values()
    assert not passed
    assert why == f"partial: dead lack days; days without all instances: {last.days[1]}"


def test_a_week_shows_what_grew_most_and_a_plot_with_its_gaps(
    defs: dg.Definitions, fleet: Scripted, instance: dg.DagsterInstance
) -> None:
    last = period_of("week", today()).previous
    moment = datetime(2026, 11, 22, tzinfo=UTC)

    def row(name: str, change: int | None) -> PeriodRow:
        return PeriodRow("instance", name, "", "", "complete", 7, 7, (), (), 1.0, 1, 5 * 10**9, 1, 2, 1.5, 2.0,
                         change, 1.0, 0.25, "x", moment)  # fmt: skip

    fleet.summary = {last.key: summary(last)}
    sizes = {"2026-11-02": 10, "2026-11-09": None, "2026-11-16": 30}
    fleet.growth = Growth([row("shop", 10**6), row("订单库", 2 * 10**9), row("dead", None)], sizes)
    assert run(defs, instance, ["capacity_weekly"], [last.key]).success
    (record,) = instance.fetch_materializations(key("capacity_weekly"), limit=1).records
    assert record.asset_materialization is not None
    metadata = record.asset_materialization.metadata
    grown = metadata["growth"]
    assert isinstance(grown, dg.TableMetadataValue)
    assert [tuple(r.data[c] for c in ("instance", "database", "change", "size", "growth")) for r in grown.records] == [
        ("订单库", "(all)", "2 GB", "5 GB", "+25.0%"),
        ("shop", "(all)", "1 MB", "5 GB", "+25.0%"),
    ]
    picture = b64decode(str(metadata["plot"].value).rpartition(",")[2].rstrip(")")).decode()
    assert picture.count("<circle") == 2  # the week in between is missing: no line across it
    assert "<polyline" not in picture


def test_periods_that_are_not_over_have_no_partition(project_of: ProjectOf) -> None:
    """D6: "aggregate today" cannot be said, at any hour of the night."""
    cut = cuts.cut_of(project_of(prod=FLEET).fleet("prod"), Kept((), date(2026, 5, 4)), date(2026, 11, 22))
    newest = {}
    for clock in ("00:30", "03:00", "07:59", "23:59"):
        now = datetime.fromisoformat(f"2026-11-23T{clock}").replace(tzinfo=SHANGHAI)  # a Monday
        with dg.partition_loading_context(effective_dt=now):
            newest[clock] = [cuts.closed(cut, name).get_last_partition_key() for name in cuts.PERIODS]
            assert cuts.snapshot(cut).partitions_defs[0].partitions_def.get_last_partition_key() == "2026-11-23"
    assert set(map(tuple, newest.values())) == {("2026-11-22", "2026-11-16", "2026-10-01", "2026-07-01")}


# -- how it is cut ----------------------------------------------------------------------------------------------


def cut(project_of: ProjectOf, known: int, more: str = "") -> cuts.FleetCut:
    fleet = project_of(prod=FLEET + more).fleet("prod")
    return cuts.cut_of(fleet, Kept(tuple(f"i{n}" for n in range(known)), date(2026, 1, 5)), date(2026, 11, 22))


def test_a_thousand_instances_are_partitions_and_more_are_groups(project_of: ProjectOf) -> None:
    made = cut(project_of, 1000)
    assert made.by == "instance"
    assert (date(2026, 11, 22) - made.starts).days + 1 <= 96
    assert cut(project_of, 1041).by == "instance"
    assert cut(project_of, 1042).by == "group"
    assert "1042 instances" in cut(project_of, 1042).note


def test_what_dagster_cannot_hold_is_refused_with_the_numbers(project_of: ProjectOf) -> None:
    with pytest.raises(Stop, match=r"64 groups x 3656 days are 233,984 partitions.*lower capacity.window"):
        cut(project_of, 3, "\n  capacity: {window: 3650, groups: 64}\n")
    many = "".join(f"    - {{name: m{n}, type: mysql, host: h{n}}}\n" for n in range(30))
    with pytest.raises(Stop, match=r"33 instances x 3656 days are 120,648 partitions.*partition_by: group"):
        cut(project_of, 3, f"{many}  capacity: {{window: 3650, partition_by: instance, groups: 2}}\n")


def test_the_window_moves_once_a_week() -> None:
    starts = [cuts.window_start(date(2026, 11, d), 30) for d in range(1, 31)]
    assert len(set(starts)) == 5
    assert all(s.weekday() == 0 and (date(2026, 11, d) - s).days in range(29, 36) for d, s in enumerate(starts, 1))


def test_the_group_of_an_instance_is_by_its_name_alone() -> None:
    assert {cuts.group_of(f"i{n}", 16) for n in range(500)} == {f"group{n:02}" for n in range(1, 17)}


# Dagster 1.13 parses YAML with a function that pydantic has deprecated
@pytest.mark.filterwarnings("ignore:`parse_obj_as` is deprecated")
def test_the_component_loads_from_yaml_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNC_ASSETS_DEFS", str(write_defs(tmp_path / "defs", connections=CONNECTIONS, prod=FLEET)))
    monkeypatch.setenv("SYNC_ASSETS_HOME", str(tmp_path))
    defs = load_definitions(Path(__file__).parents[2] / "sync_assets")
    dg.Definitions.validate_loadable(defs)
    assert {s.name for s in defs.sensors or ()} >= {"prod__instances", "prod__periods", "prod__retries"}
    names = {s.name for s in defs.schedules or ()}
    assert names == {"prod__accounts_schedule", "prod__capacity_snapshot_schedule"}


def test_a_deployment_without_a_fleet_loads_none_of_its_code(tmp_path: Path) -> None:
    """And one with a fleet asks no database while it loads."""
    write_defs(tmp_path / "defs", connections=CONNECTIONS)
    say = "import sys; print([m for m in sys.modules if 'fleet' in m or m.split('.')[0] in ('psycopg', 'pymysql')])"
    code = f"from sync_assets.components.deployment import load_definitions as load; load(None); {say}"
    words = {"sync_assets.components.database_fleet", "sync_assets.project.fleet_spec"}  # what `dg` lists of a type
    assert set(loaded(tmp_path, code)) == words
    write_defs(tmp_path / "defs", prod=FLEET)
    found = loaded(tmp_path, code)
    assert "sync_assets.components.fleet_assets" in found
    assert not {"psycopg", "pymysql", "sync_assets.project.fleet", "sync_assets.store.fleet"} & set(found)


def loaded(home: Path, code: str) -> list[str]:
    environment = os.environ | {"SYNC_ASSETS_DEFS": str(home / "defs"), "SYNC_ASSETS_HOME": str(home)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return list(ast.literal_eval(done.stdout.strip().splitlines()[-1]))
