"""Fleets in the YAML: loaded beside everything else, and refused in exact words with file and line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from sync_assets.engine.errors import Stop
from sync_assets.project.fleet_spec import size_in_bytes
from sync_assets.project.load import ProjectInvalid, load_project
from sync_assets_tests.fix_project import write_defs

CONNECTIONS = """\
type: sync_assets.components.Connections
attributes:
  connections:
    - {name: shop, type: mysql, host: db.example, database: shop, user: reader, password: "env:SHOP_PASSWORD"}
    - {name: cmdb, type: sqlite, path: cmdb.db}
    - {name: feishu, type: feishu, app_id: cli_a1, app_secret: "env:FEISHU_SECRET"}
    - {name: bot, type: feishu_bot, webhook: "env:BOT_WEBHOOK"}
"""
SYNCS = """\
type: sync_assets.components.TableSync
attributes:
  source: shop
  target: feishu
  syncs:
    - {name: orders, table: orders, bitable: "https://acme.feishu.cn/base/bascnExample?table=tblOrders", key: [id]}
"""
FLEET = """\
type: sync_assets.components.DatabaseFleet
attributes:
  name: prod
  alerts: bot
  parallel: 8
  logins: {default: {user: w, password: "env:WATCHER"}, reports: {user: r}}
  instances:
    - {name: 订单主库, title: 订单, connection: shop}
    - {name: b, type: postgres, host: b.example, login: reports, volume: 500GB, adopted_on: 2026-01-01}
  aggregation: {periods: [week]}
  accounts: {schedule: "0 2 * * *"}
  instances_from: {connection: cmdb, query: "select name, type, host from servers"}
  classification: {rules: [shipped]}
"""


class Case(NamedTuple):
    what: str
    old: str
    new: str
    says: list[str]


CASES = [
    Case(**case) for case in yaml.safe_load(Path(__file__).with_name("fleet_faults.yaml").read_text(encoding="utf-8"))
]


def folder_with(root: Path, fleet: str = FLEET) -> Path:
    return write_defs(root / "defs", connections=CONNECTIONS, shop=SYNCS, prod=fleet)


def faults_of(folder: Path) -> list[str]:
    with pytest.raises(ProjectInvalid) as caught:
        load_project(folder)
    return [str(fault).replace(f"{folder}/", "") for fault in caught.value.faults]


def test_a_fleet_is_loaded_with_its_place(tmp_path: Path) -> None:
    project = load_project(folder_with(tmp_path))
    fleet = project.fleet("prod")
    assert (fleet.file, fleet.line, fleet.time_zone.key) == ("prod", 3, "Asia/Shanghai")
    assert [one.name for one in fleet.spec.instances] == ["订单主库", "b"]
    assert fleet.spec.instances[1].volume == 500 * 10**9
    with pytest.raises(Stop, match="did you mean prod"):
        project.fleet("pord")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_a_mistake_is_refused_with_file_line_and_what_would_be_right(case: Case, tmp_path: Path) -> None:
    assert FLEET.count(case.old) == 1, "the replacement must be unambiguous"
    assert faults_of(folder_with(tmp_path, FLEET.replace(case.old, case.new))) == case.says


def test_two_fleets_of_one_name(tmp_path: Path) -> None:
    folder = folder_with(tmp_path)
    write_defs(folder, zoo=FLEET)
    (found,) = faults_of(folder)
    assert found.startswith("zoo/defs.yaml:3: name: there is a second fleet prod -> it is in prod/defs.yaml already")


def test_all_faults_of_a_fleet_are_told_at_once(tmp_path: Path) -> None:
    text = FLEET.replace("connection: shop}", "connection: nope}").replace("parallel: 8", "parallel: 800")
    found = faults_of(folder_with(tmp_path, text.replace("[shipped]", "[gone.yaml]")))
    assert [f.split(": ")[1] for f in found] == ["parallel", "instances[订单主库].connection", "classification.rules"]


def test_faults_of_rules_are_told_in_their_own_places(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, FLEET.replace("[shipped]", "[shipped, own.yaml]"))
    (folder / "prod" / "own.yaml").write_text(
        "version: 4\nrules: [{id: x, class: super, engines: [mysql], expr: {fn: no_such}}]\n", encoding="utf-8"
    )
    found = faults_of(folder)
    assert found
    assert all("own.yaml" in fault and fault.startswith("prod/defs.yaml:13: classification.rules:") for fault in found)


def test_a_project_without_a_fleet_does_not_pay_for_one(tmp_path: Path) -> None:
    folder = write_defs(tmp_path / "defs", connections=CONNECTIONS, shop=SYNCS)
    code = (
        "import sys; from pathlib import Path; from sync_assets.project.load import load_project;"
        f"load_project(Path({str(folder)!r})); print([m for m in sys.modules if 'fleet' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("text", "size"),
    [("500GB", 500 * 10**9), ("1.5 TiB", 3 * 2**39), ("12", 12), (7, 7), ("1kb", 1000), (None, None)],
)
def test_sizes(text: object, size: object) -> None:
    assert size_in_bytes(text) == size
