"""Every wrong project is refused before anything runs: the exact words, with file and line, for each mistake.

A case is one mistake in an otherwise right project, given as a replacement in one of two files. The table is what
users read when something is wrong, so the whole message is compared.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sync_assets.engine.errors import Stop
from sync_assets.project import documents
from sync_assets.project.load import ProjectInvalid, load_file, load_project, validate_attributes
from sync_assets.project.spec import ConnectionsSpec, TableSyncSpec

CONNECTIONS = """\
type: sync_assets.components.Connections
attributes:
  connections:
    - name: shop
      type: mysql
      host: db.example
      database: shop
      user: reader
      password: env:SHOP_PASSWORD
    - name: feishu
      type: feishu
      app_id: cli_a1
      app_secret: env:FEISHU_SECRET
    - name: bot
      type: feishu_bot
      webhook: env:BOT_WEBHOOK
"""
SYNCS = """\
type: sync_assets.components.TableSync
attributes:
  source: shop
  target: feishu
  alerts: bot
  schedule: "0 9 * * *"
  syncs:
    - name: orders_board
      query: >-
        select order_id, status, updated_at from orders
        where updated_at >= :start and updated_at < :end
      bitable: https://acme.feishu.cn/base/bascnExample?table=tblOrders
      mode: full
      key: [order_id]
      partitions: {every: day, start: 2026-10-01}
    - name: customers
      table: customers
      bitable: https://acme.feishu.cn/base/bascnExample?table=tblCustomers
      key: [id]
"""


class Case(NamedTuple):
    what: str
    old: str
    new: str
    says: list[str]


CASES = [
    Case(**case) for case in yaml.safe_load(Path(__file__).with_name("project_faults.yaml").read_text(encoding="utf-8"))
]
SECRETS = ("hunter2", "123456", "0a1b2c")  # that the cases write where a reference belongs


def folder_with(root: Path, connections: str = CONNECTIONS, syncs: str = SYNCS) -> Path:
    for name, text in (("connections", connections), ("shop", syncs)):
        (root / "defs" / name).mkdir(parents=True, exist_ok=True)
        (root / "defs" / name / "defs.yaml").write_text(text, encoding="utf-8")
    return root / "defs"


def faults_of(folder: Path) -> list[str]:
    with pytest.raises(ProjectInvalid) as caught:
        load_project(folder)
    assert str(caught.value).count("\n") == len(caught.value.faults)
    return [str(f).replace(f"{folder}/", "") for f in caught.value.faults]


def refusal(root: Path, case: Case) -> list[str]:
    assert (CONNECTIONS + SYNCS).count(case.old) == 1, "the replacement must be unambiguous"
    return faults_of(folder_with(root, CONNECTIONS.replace(case.old, case.new), SYNCS.replace(case.old, case.new)))


def test_the_project_that_the_cases_spoil_is_right(tmp_path):
    project = load_project(folder_with(tmp_path))
    assert set(project.syncs) == {"orders_board", "customers"}
    assert set(project.connections) == {"shop", "feishu", "bot"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_a_mistake_is_refused_with_file_line_and_what_would_be_right(case, tmp_path):
    assert refusal(tmp_path, case) == case.says


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_no_message_shows_a_secret(case, tmp_path):
    shown = "\n".join(refusal(tmp_path, case))
    assert not [secret for secret in SECRETS if secret in shown]


def test_every_fault_of_every_file_is_reported_at_once(tmp_path):
    connections = CONNECTIONS.replace("type: mysql", "type: mysql\n      prot: 1").replace("env:BOT_WEBHOOK", "hunter2")
    syncs = SYNCS.replace("mode: full", "mode: fool").replace("key: [id]", "").replace("0 9", "0 99")
    found = faults_of(folder_with(tmp_path, connections, syncs))
    assert [f.partition(": ")[2].partition(":")[0] for f in found] == [
        "connections[shop].prot",
        "connections[bot].webhook",
        "schedule",
        "syncs[orders_board].mode",
        "syncs[customers].key",
    ]


def test_500_faults_in_20_files_all_have_the_line_of_their_field(tmp_path):
    folder = folder_with(tmp_path)
    head = SYNCS[: SYNCS.index("    - name: orders_board")]
    for at in range(20):
        entries = "".join(
            f"    - name: t{at}_{i}\n      table: t\n      mode: wrong\n      key: [id]\n"
            f"      bitable: https://acme.feishu.cn/base/b{at}?table=tbl{i}\n"
            for i in range(25)
        )
        (folder / f"app{at}").mkdir()
        (folder / f"app{at}" / "defs.yaml").write_text(head + entries, encoding="utf-8")
    with pytest.raises(ProjectInvalid) as caught:
        load_project(folder)
    assert len(caught.value.faults) == 500
    for fault in caught.value.faults:
        assert Path(fault.path).read_text(encoding="utf-8").splitlines()[fault.line - 1] == "      mode: wrong"


def test_names_are_unique_over_files_and_the_other_file_is_named(tmp_path):
    folder = folder_with(tmp_path)
    (folder / "zoo").mkdir()
    (folder / "zoo" / "defs.yaml").write_text(SYNCS.replace("tblOrders", "tblOther"), encoding="utf-8")
    found = faults_of(folder)
    assert [f.partition(" -> ")[0] for f in found] == [
        "zoo/defs.yaml:8: syncs[orders_board].name: there is a second sync orders_board",
        "zoo/defs.yaml:16: syncs[customers].name: there is a second sync customers",
    ]
    assert all(f"{folder}/shop/defs.yaml" in f or "shop/defs.yaml already" in f for f in found)


@pytest.mark.parametrize("place", ["shop/orders.yaml", "shop/deep/defs.yaml"])
def test_a_file_that_dagster_would_pass_over_is_a_fault(place, tmp_path):
    folder = folder_with(tmp_path)
    (folder / place).parent.mkdir(exist_ok=True)
    text = SYNCS.replace("orders_board", "orders2").replace("name: customers", "name: customers2")
    (folder / place).write_text(text, encoding="utf-8")
    (found,) = faults_of(folder)
    assert found.startswith(f"{place}:1: would not be loaded -> Dagster reads")


def test_documents_of_other_components_are_left_alone(tmp_path):
    folder = folder_with(tmp_path)
    (folder / "other").mkdir()
    text = "type: dagster.DefinitionsComponent\nattributes: {path: x.py, anything: [1]}\n"
    (folder / "other" / "defs.yaml").write_text(text, encoding="utf-8")
    (folder / "other" / "data.yaml").write_text("just: data\n", encoding="utf-8")
    assert len(load_project(folder).syncs) == 2


def test_an_empty_folder_is_an_empty_project(tmp_path):
    assert not load_project(tmp_path).syncs
    assert not load_project(tmp_path / "missing").connections


def test_a_file_that_is_not_text_is_a_fault_and_the_others_are_still_checked(tmp_path):
    folder = folder_with(tmp_path, syncs=SYNCS.replace("mode: full", "mode: fool"))
    (folder / "bad").mkdir()
    (folder / "bad" / "defs.yaml").write_bytes("名称".encode("gbk"))
    found = faults_of(folder)
    assert found[0] == "bad/defs.yaml:1: is not UTF-8 text -> save the file in UTF-8"
    assert "shop/defs.yaml:13" in found[1]


@pytest.mark.parametrize("text", ["password: !hunter2x y", "password: *hunter2x", "hunter2x: [", "\x01hunter2x"])
def test_text_that_is_no_yaml_is_not_quoted(text, tmp_path):
    folder = folder_with(tmp_path, CONNECTIONS.replace("password: env:SHOP_PASSWORD", text))
    assert "hunter2x" not in "\n".join(faults_of(folder))


ODD = ["[]", "{}", "null", "3", "-1.5", "true", "2026-01-01", "{a: {b: c}}", "[[1]]", "[{name: [1]}]", "'\\0'", '"\\0"']


@given(data=st.data())
@settings(max_examples=500, deadline=None)
def test_whatever_is_done_to_the_files_the_answer_is_a_project_or_its_faults(data):
    """Lines are dropped, moved, indented and filled with odd values: no other exception ever comes out."""
    lines = (CONNECTIONS if data.draw(st.booleans(), label="connections") else SYNCS).splitlines()
    first = lines[0]
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        field = lines[at].partition(":")[0]
        odd = [f"{field}: {value}" for value in ODD]
        lines[at] = data.draw(st.sampled_from(["", "  " + lines[at], lines[at][2:], field + ":", *odd]))
    text = "\n".join(lines)
    whole = (text, SYNCS) if first == CONNECTIONS.splitlines()[0] and "Connections" in first else (CONNECTIONS, text)
    with TemporaryDirectory() as root:
        try:
            load_project(folder_with(Path(root), *whole))
        except ProjectInvalid as invalid:
            assert invalid.faults
            assert all(f.message and f.line >= 1 for f in invalid.faults)


# -- one file, attributes alone, environment --------------------------------------------------------------------


def test_a_file_outside_of_the_project_holds_all_it_needs(tmp_path):
    path = tmp_path / "once.yaml"
    path.write_text(CONNECTIONS + "---\n" + SYNCS, encoding="utf-8")
    project = load_file(path)
    assert project.sync("orders_board").file == "once"
    assert project.sync("customers").line == 17 + 16
    assert project.connection("shop").type == "mysql"


def test_a_file_may_use_the_connections_of_the_project(tmp_path):
    project = load_project(folder_with(tmp_path))
    path = tmp_path / "once.yaml"
    path.write_text(SYNCS.replace("orders_board", "other"), encoding="utf-8")
    assert set(load_file(path, project).syncs) == {"other", "customers"}
    with pytest.raises(ProjectInvalid, match="there is no connection shop"):
        load_file(path)


def test_a_file_without_a_sync_and_one_that_is_missing_are_said(tmp_path):
    path = tmp_path / "once.yaml"
    path.write_text(CONNECTIONS, encoding="utf-8")
    with pytest.raises(Stop, match="holds no sync"):
        load_file(path)
    with pytest.raises(Stop, match="there is no file"):
        load_file(tmp_path / "nowhere.yaml")


def test_attributes_alone_are_refused_in_the_same_words(tmp_path):
    path = folder_with(tmp_path, syncs=SYNCS.replace("mode: full", "mode: incrementl")) / "shop" / "defs.yaml"
    (document,) = documents.read(path)
    with pytest.raises(ProjectInvalid) as caught:
        validate_attributes(TableSyncSpec, document.attributes, path)
    assert [str(f) for f in caught.value.faults] == [f"{path}:13: {CASES[0].says[0].partition(': ')[2]}"]


def test_pydantic_itself_hides_what_was_written():
    with pytest.raises(ValueError) as caught:
        ConnectionsSpec.model_validate(
            {"connections": [{"type": "feishu", "name": "f", "app_id": "a", "app_secret": "hunter2"}]}
        )
    assert "hunter2" not in str(caught.value)


def test_the_time_zone_of_the_deployment_comes_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SYNC_ASSETS_TIME_ZONE", "Europe/Berlin")
    assert load_project(folder_with(tmp_path)).sync("customers").time_zone.key == "Europe/Berlin"
    monkeypatch.setenv("SYNC_ASSETS_TIME_ZONE", "Mars/Olympus")
    with pytest.raises(Stop, match="SYNC_ASSETS_TIME_ZONE: 'Mars/Olympus' is not a time zone"):
        load_project(tmp_path / "defs")


def test_a_link_behind_an_unset_variable_is_left_for_later_and_checked_when_set(tmp_path, monkeypatch):
    link = "https://acme.feishu.cn/base/bascnExample?table=tblOrders"
    folder = folder_with(tmp_path, syncs=SYNCS.replace(link, "env:ORDERS_LINK"))
    assert load_project(folder).sync("orders_board")
    monkeypatch.setenv("ORDERS_LINK", "nonsense")
    assert "syncs[orders_board].bitable: the link to the board is wrong" in faults_of(folder)[0]


def test_a_board_of_this_machine_needs_an_app_of_this_machine(tmp_path):
    local = "http://127.0.0.1:9000"
    syncs = SYNCS.replace("https://acme.feishu.cn", local)
    assert len(faults_of(folder_with(tmp_path, syncs=syncs))) == 2
    host = CONNECTIONS.replace("app_id: cli_a1", f"app_id: cli_a1\n      host: {local}")
    assert load_project(folder_with(tmp_path, host, syncs)).syncs


def test_two_writers_may_share_a_board_when_none_deletes_the_others_records(tmp_path):
    assert load_project(folder_with(tmp_path, syncs=SYNCS.replace("tblCustomers", "tblOrders"))).syncs


def test_a_name_that_does_not_exist_is_answered_with_the_nearest(tmp_path):
    project = load_project(folder_with(tmp_path))
    with pytest.raises(Stop, match="did you mean orders_board"):
        project.sync("order_board")
    with pytest.raises(Stop, match="did you mean feishu"):
        project.connection("feishuu")
