"""An exchange in Dagster: its assets and partitions, exact failures of single repositories; exchanging is scripted."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from sync_assets.components import exchange_partitions as cuts
from sync_assets.components.deployment import load_definitions, whole_definitions
from sync_assets.components.exchange_schedules import EXCHANGE_TAG
from sync_assets.components.partitions import RANGE_END, RANGE_START
from sync_assets.engine.errors import Retry, Stop
from sync_assets.exchange.model import Cleared, Repository
from sync_assets.exchange.work import UnitStatus
from sync_assets.project.exchange.items import Item
from sync_assets_tests.fix_exchange_dagster import EXCHANGE, ScriptedExchange, item, state, unit
from sync_assets_tests.fix_project import CONNECTIONS, ProjectOf, Script, write_defs

KEYS = ("1 handbook", "2 订单 服务", "30 old")
NAMES = ("repositories", "tasks", "documents", "links")
OK, FAILED, SKIPPED = UnitStatus.SUCCEEDED, UnitStatus.FAILED, UnitStatus.SKIPPED


@pytest.fixture
def scripted() -> ScriptedExchange:
    return ScriptedExchange()


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        made.add_dynamic_partitions("books__repositories", list(KEYS))
        made.add_dynamic_partitions("books__branch__repositories", ["7 theirs"])
        yield made


@pytest.fixture
def stored() -> Iterator[dg.DagsterInstance]:
    """On disk: a schedule's context wants to open the instance itself."""
    with dg.instance_for_test() as made:
        made.add_dynamic_partitions("books__repositories", list(KEYS))
        yield made


@pytest.fixture
def defs(project_of: ProjectOf, script: Script, scripted: ScriptedExchange) -> dg.Definitions:
    return whole_definitions(project_of(books=EXCHANGE), script.execution, exchanges=scripted.execution)


def key(name: str, way: str = "push", peer: str = "branch") -> dg.AssetKey:
    return dg.AssetKey(["books", peer, way, name])


def run(
    defs: dg.Definitions,
    instance: dg.DagsterInstance,
    keys: Sequence[str],
    names: Sequence[str] = NAMES,
    way: str = "push",
    config: Mapping[str, object] | None = None,
    tags: Mapping[str, str] | None = None,
) -> dg.ExecuteInProcessResult:
    """One run over the range of the keys."""
    job = defs.resolve_implicit_global_asset_job_def()
    return job.execute_in_process(
        instance=instance, asset_selection=[key(name, way) for name in names], raise_on_error=False,
        tags={**(tags or {}), RANGE_START: keys[0], RANGE_END: keys[-1]},
        run_config={"ops": {f"books__branch__{way}": {"config": config}}} if config else None,
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


def metadata(done: dg.ExecuteInProcessResult, name: str, partition: str) -> Mapping[str, dg.MetadataValue]:
    for event in done.all_events:
        if event.is_step_materialization and event.asset_key == key(name) and event.partition == partition:
            return event.step_materialization_data.materialization.metadata
        if event.event_type_value == "ASSET_OBSERVATION" and event.asset_key == key(name):
            observed = event.asset_observation_data.asset_observation
            if observed.partition == partition:
                return observed.metadata
    raise AssertionError(f"nothing was told of {name} {partition}")


def rows(shown: Mapping[str, dg.MetadataValue], name: str) -> list[dict[str, object]]:
    table = shown[name]
    assert isinstance(table, dg.TableMetadataValue)
    return [dict(record.data) for record in table.records]


def test_lineage_goes_from_repositories_to_links_for_each_peer_and_way(defs: dg.Definitions) -> None:
    dg.Definitions.validate_loadable(defs)
    graph = defs.resolve_asset_graph()
    mine = {k for k in graph.get_all_asset_keys() if k.path[0] == "books"}
    assert {tuple(k.path[1:3]) for k in mine} == {("branch", "push"), ("branch", "pull"), ("mirror", "push")}
    for peer, way in (("branch", "push"), ("branch", "pull"), ("mirror", "push")):
        parents = {name: {p.path[-1] for p in graph.get(key(name, way, peer)).parent_keys} for name in NAMES}
        assert parents == {
            "repositories": set(), "tasks": {"repositories"}, "documents": {"tasks"}, "links": {"documents"},
        }  # fmt: skip
    assert graph.get(key("tasks")).group_name == "books"
    said = graph.get(key("tasks")).description or ""
    assert "知识库" in said
    assert "Sent to 分部" in said


def test_what_is_pushed_has_the_same_partitions_for_all_peers_and_what_is_pulled_its_own(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()

    def name(way: str, peer: str) -> str:
        found = graph.get(key("documents", way, peer)).partitions_def
        assert isinstance(found, dg.DynamicPartitionsDefinition)
        return found.name or ""

    assert name("push", "branch") == name("push", "mirror") == "books__repositories"
    assert name("pull", "branch") == "books__branch__repositories"


def test_one_failed_repository_is_one_red_partition_and_the_others_go_on(
    defs: dg.Definitions, scripted: ScriptedExchange, instance: dg.DagsterInstance
) -> None:
    scripted.bad[2] = item(2, OK, FAILED)
    done = run(defs, instance, KEYS)
    assert not done.success
    assert told(done) == (
        "1 of 3 repositories failed: 2 订单 服务: 1 of 2 tasks failed; task 2: document: too long"
    )  # fmt: skip
    for name in ("tasks", "documents", "links"):
        assert green(instance, name) == {"1 handbook", "30 old"}, name
        assert red(instance, name) == {"2 订单 服务"}, name
    assert green(instance, "repositories") == set(KEYS)  # it is there: its tasks are not, all of them
    assert scripted.asked == [("branch", "push", (1, 2, 30))]


def test_a_red_partition_that_is_run_again_alone_becomes_green(
    defs: dg.Definitions, scripted: ScriptedExchange, instance: dg.DagsterInstance
) -> None:
    scripted.bad[2] = item(2, OK, FAILED)
    assert not run(defs, instance, KEYS).success
    del scripted.bad[2]
    assert run(defs, instance, ["2 订单 服务"]).success
    assert red(instance, "documents") == set()
    assert scripted.asked[-1] == ("branch", "push", (2,))


def test_repositories_are_told_before_a_later_one_ends_the_process(
    defs: dg.Definitions, scripted: ScriptedExchange, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[set[str]] = []
    plain = scripted.bad.get

    class Watched(dict[int, Item]):
        def get(self, one: int, default: object = None) -> Item | None:  # type: ignore[override]
            seen.append(green(instance, "documents"))
            return plain(one)

    monkeypatch.setattr(scripted, "bad", Watched())
    assert run(defs, instance, KEYS).success
    assert seen == [set(), {"1 handbook"}, {"1 handbook", "2 订单 服务"}]


def test_every_document_is_shown_with_its_status_what_failed_first(
    defs: dg.Definitions, scripted: ScriptedExchange, instance: dg.DagsterInstance
) -> None:
    scripted.bad[2] = item(2, OK, SKIPPED, FAILED)
    done = run(defs, instance, KEYS)
    shown = metadata(done, "documents", "2 订单 服务")
    assert [(row["document_id"], row["status"], row["error"]) for row in rows(shown, "documents")] == [
        (30, "failed", "too long"), (20, "skipped", ""), (10, "succeeded", ""),
    ]  # fmt: skip
    counts = {name: shown[name].value for name in ("total", "succeeded", "failed", "skipped", "pending")}
    assert counts == {"total": 3, "succeeded": 1, "failed": 1, "skipped": 1, "pending": 0}
    assert shown["sync_id"].value == "sync2"
    tasks = metadata(done, "tasks", "1 handbook")
    assert [(row["task_id"], row["status"], row["attempts"]) for row in rows(tasks, "tasks")] == [(1, "succeeded", 1)]
    assert metadata(done, "repositories", "1 handbook")["asked_by"].value == "somebody"


def test_a_thousand_documents_are_counted_whole_and_shown_as_far_as_there_is_room(
    defs: dg.Definitions, scripted: ScriptedExchange, instance: dg.DagsterInstance
) -> None:
    scripted.bad[1] = item(1, *[OK] * 1000)
    shown = metadata(run(defs, instance, KEYS[:1]), "documents", "1 handbook")
    assert shown["total"].value == 1000
    assert len(rows(shown, "documents")) == 500
    assert "500 more" in str(shown["not_shown"].value)


def test_what_was_cleared_is_shown(
    defs: dg.Definitions, scripted: ScriptedExchange, instance: dg.DagsterInstance
) -> None:
    plain = item(1)
    assert plain.state
    scripted.bad[1] = replace(plain, state=replace(plain.state, cleared=Cleared(2, 3, 4)))
    shown = metadata(run(defs, instance, KEYS[:1]), "repositories", "1 handbook")
    assert shown["cleared"].value == {"tasks": 2, "documents": 3, "usages": 4}


def test_a_document_that_was_not_taken_is_a_warning_on_its_partition(
    defs: dg.Definitions, scripted: ScriptedExchange, instance: dg.DagsterInstance
) -> None:
    scripted.bad[1] = item(1, OK, SKIPPED)
    done = run(defs, instance, KEYS)
    found = {c.partition: (c.passed, c.description) for c in done.get_asset_check_evaluations()}
    assert done.success
    assert found["1 handbook"] == (False, "1 documents were not taken: 20 document 2.0: ")
    assert found["30 old"] == (True, None)


def test_a_peer_that_never_answered_makes_all_four_red(
    defs: dg.Definitions, scripted: ScriptedExchange, instance: dg.DagsterInstance
) -> None:
    scripted.bad[1] = Item(1, error=Retry("branch does not answer", hint="see whether it runs"))
    done = run(defs, instance, KEYS[:1])
    assert told(done) == (
        "1 of 1 repositories failed: 1 handbook: branch does not answer -> see whether it runs"
    )  # fmt: skip
    for name in NAMES:
        assert red(instance, name) == {"1 handbook"}, name


def test_what_stops_all_of_it_is_told_without_a_trace(
    defs: dg.Definitions, scripted: ScriptedExchange, instance: dg.DagsterInstance
) -> None:
    scripted.error = Stop("BRANCH_KEY is not set", hint="export it")
    assert told(run(defs, instance, KEYS)) == "BRANCH_KEY is not set -> export it"


def test_a_bug_is_told_without_its_text(
    defs: dg.Definitions, scripted: ScriptedExchange, instance: dg.DagsterInstance
) -> None:
    scripted.error = KeyError("the content of a document")
    said = told(run(defs, instance, KEYS))
    assert "KeyError" in said
    assert "content" not in said


def test_a_run_says_who_asked_for_it_and_replaces_only_when_told(
    defs: dg.Definitions, scripted: ScriptedExchange, instance: dg.DagsterInstance
) -> None:
    run(defs, instance, KEYS, tags={"dagster/schedule_name": "nightly"})
    run(defs, instance, KEYS, config={"replace": True})
    assert [(one.asked_by, one.replace) for one in scripted.runs] == [("schedule nightly", None), ("dagster", True)]
    assert scripted.runs[0].run_id != scripted.runs[1].run_id


def test_only_the_assets_that_a_run_is_for_are_told(
    defs: dg.Definitions, scripted: ScriptedExchange, instance: dg.DagsterInstance
) -> None:
    assert run(defs, instance, KEYS[:1], ["documents"]).success
    assert green(instance, "documents") == {"1 handbook"}
    assert green(instance, "tasks") == set()


def test_a_partition_that_somebody_added_by_hand_and_that_is_no_repository_is_refused_alone(
    defs: dg.Definitions, scripted: ScriptedExchange, instance: dg.DagsterInstance
) -> None:
    instance.add_dynamic_partitions("books__repositories", ["handbook"])
    done = run(defs, instance, [KEYS[2], "handbook"])
    assert "handbook: is no repository" in told(done)
    assert green(instance, "documents") == {"30 old"}


# -- partitions, schedules, sensors -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("plain", "5 plain"),
        ("a,b|c[d]e", "5 a b c d e"),
        ("a...b..", "5 a b.."),
        ("new\nline\x00\x1b", "5 new line"),
        ("x" * 200, "5 " + "x" * 80),
        ("‮evil", "5 evil"),
        ("...", "5"),
        ("数据库 手册", "5 数据库 手册"),
    ],
)
def test_a_key_is_the_id_and_as_much_of_the_name_as_dagster_holds(name: str, expected: str) -> None:
    made = cuts.key_of(Repository(5, name))
    assert made == expected
    assert cuts.id_of(made) == 5
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("any", [made])
        assert instance.get_dynamic_partitions("any") == [made]


@pytest.mark.parametrize("key", ["", "name", "-1 x", "٣ x", "1x y", "0 x"])
def test_what_begins_with_no_id_is_no_repository(key: str) -> None:
    assert not cuts.ids_of([key])


def sensor(defs: dg.Definitions, name: str, instance: dg.DagsterInstance) -> dg.SensorResult:
    result = defs.resolve_sensor_def(name)(dg.build_sensor_context(instance, definitions=defs))
    assert isinstance(result, dg.SensorResult)
    return result


def changes(result: dg.SensorResult) -> list[tuple[str, list[str]]]:
    return [(type(r).__name__, list(r.partition_keys)) for r in result.dynamic_partitions_requests or ()]


def test_the_sensor_makes_partitions_of_repositories_and_takes_those_away_that_are_gone(
    defs: dg.Definitions, scripted: ScriptedExchange, instance: dg.DagsterInstance
) -> None:
    scripted.here = (Repository(1, "handbook, renamed"), Repository(4, "new"), Repository(30, "old"))
    assert changes(sensor(defs, "books__repositories", instance)) == [
        ("AddDynamicPartitionsRequest", ["4 new"]),
        ("DeleteDynamicPartitionsRequest", ["2 订单 服务"]),
    ]
    assert changes(sensor(defs, "books__branch__repositories", instance)) == []
    names = {one.name for one in defs.sensors or ()}
    assert "books__mirror__repositories" not in names  # it is only pushed to


def test_a_peer_that_is_silent_takes_no_partition_away(
    defs: dg.Definitions, scripted: ScriptedExchange, instance: dg.DagsterInstance
) -> None:
    scripted.error = Retry("branch does not answer")
    result = sensor(defs, "books__branch__repositories", instance)
    assert changes(result) == []
    assert "branch does not answer" in str(result.skip_reason)


def test_a_schedule_asks_for_one_run_over_all_repositories_of_each_peer(
    defs: dg.Definitions, stored: dg.DagsterInstance
) -> None:
    assert {one.name for one in defs.schedules or ()} == {
        "books__branch__push_schedule",
        "books__mirror__push_schedule",
    }
    one = defs.resolve_schedule_def("books__branch__push_schedule")
    assert (one.cron_schedule, one.execution_timezone) == ("0 2 * * *", "Asia/Shanghai")
    context = dg.build_schedule_context(stored, scheduled_execution_time=datetime(2026, 11, 22, tzinfo=UTC))
    (request,) = one.evaluate_tick(context).run_requests or ()
    assert request.tags[RANGE_START] == KEYS[0]
    assert request.tags[RANGE_END] == KEYS[-1]
    assert request.tags[EXCHANGE_TAG] == "books__branch__push"
    assert set(request.asset_selection or ()) == {key(name) for name in NAMES}


def test_a_schedule_waits_for_the_run_before(defs: dg.Definitions, stored: dg.DagsterInstance) -> None:
    one = defs.resolve_schedule_def("books__branch__push_schedule")
    run_id = stored.create_run_for_job(
        defs.resolve_implicit_global_asset_job_def(), tags={EXCHANGE_TAG: "books__branch__push"},
        status=dg.DagsterRunStatus.STARTED,
    ).run_id  # fmt: skip
    context = dg.build_schedule_context(stored, scheduled_execution_time=datetime(2026, 11, 22, tzinfo=UTC))
    assert not one.evaluate_tick(context).run_requests
    stored.delete_run(run_id)
    assert one.evaluate_tick(context).run_requests


# -- alerts -------------------------------------------------------------------------------------------------------


def test_a_trouble_is_told_once_and_its_end_once(
    defs: dg.Definitions, scripted: ScriptedExchange, instance: dg.DagsterInstance
) -> None:
    bad, good = (unit(1, FAILED),), (unit(1, OK),)
    scripted.ended = [state(1, bad), state(2, good)]
    for _ in range(3):
        sensor(defs, "books__alerts", instance)
    (notice,) = scripted.notices
    assert (notice.title, notice.recovered) == ("知识库: 1 new", False)
    assert notice.lines == ("push of name 1 (branch) failed: 1 of 1 tasks failed (sync sync1)",)
    assert notice.link.endswith("/asset-groups/books")
    scripted.ended = [state(1, good), state(2, good)]
    for _ in range(3):
        sensor(defs, "books__alerts", instance)
    assert [(one.title, one.recovered) for one in scripted.notices[1:]] == [("知识库: 1 over", True)]


def test_a_group_that_cannot_be_reached_is_told_later(
    defs: dg.Definitions, scripted: ScriptedExchange, instance: dg.DagsterInstance
) -> None:
    scripted.ended, scripted.unreachable = [state(1, (unit(1, FAILED),))], Retry("no network")
    sensor(defs, "books__alerts", instance)
    scripted.unreachable = None
    sensor(defs, "books__alerts", instance)
    assert len(scripted.notices) == 1


# -- the component ------------------------------------------------------------------------------------------------


# Dagster 1.13 parses YAML with a function that pydantic has deprecated
@pytest.mark.filterwarnings("ignore:`parse_obj_as` is deprecated")
def test_the_component_builds_what_the_yaml_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNC_ASSETS_DEFS", str(write_defs(tmp_path / "defs", connections=CONNECTIONS, books=EXCHANGE)))
    monkeypatch.setenv("SYNC_ASSETS_HOME", str(tmp_path))
    defs = load_definitions(Path(__file__).parents[2] / "sync_assets")
    dg.Definitions.validate_loadable(defs)
    assert key("links") in defs.resolve_asset_graph().get_all_asset_keys()
    assert {s.name for s in defs.sensors or ()} >= {
        "books__repositories", "books__branch__repositories", "books__alerts",
    }  # fmt: skip


def test_a_deployment_without_an_exchange_loads_none_of_its_code(tmp_path: Path) -> None:
    """And one with an exchange loads neither HTTP nor a driver until it is at work."""
    write_defs(tmp_path / "defs", connections=CONNECTIONS)
    words = {"sync_assets.components.repository_exchange", "sync_assets.project.exchange_spec"}  # what `dg` lists
    assert loaded(tmp_path) == words
    write_defs(tmp_path / "defs", books=EXCHANGE)
    found = loaded(tmp_path)
    assert "sync_assets.components.exchange_assets" in found
    assert not {"httpx", "fastapi", "psycopg", "sync_assets.store.exchange", "sync_assets.exchange.engine"} & found


def loaded(home: Path) -> set[str]:
    code = (
        "import sys; from sync_assets.components.deployment import load_definitions as load; load(None); "
        "print([m for m in sys.modules if 'exchange' in m or m in ('httpx', 'fastapi', 'psycopg')])"
    )
    environment = os.environ | {"SYNC_ASSETS_DEFS": str(home / "defs"), "SYNC_ASSETS_HOME": str(home)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return set(ast.literal_eval(done.stdout.strip().splitlines()[-1]))
