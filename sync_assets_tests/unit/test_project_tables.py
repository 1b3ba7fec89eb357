"""Syncs into tables, and replicas, in YAML: what is refused and in which words; what becomes of what is right."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sync_assets.engine.model import Mode
from sync_assets.project import windows
from sync_assets.project.load import Project, load_project
from sync_assets.project.spec import KeyRanges
from sync_assets_tests.unit.test_project_faults import Case, faults_of

CONNECTIONS = """\
type: sync_assets.components.Connections
attributes:
  connections:
    - {name: shop, type: mysql, host: db.example, database: shop, user: reader, password: env:SHOP_PASSWORD}
    - {name: dw, type: postgres, host: dw.example, database: dw, user: writer, password: env:DW_PASSWORD}
    - {name: feishu, type: feishu, app_id: cli_a1, app_secret: env:FEISHU_SECRET}
"""
TABLES = """\
type: sync_assets.components.TableSync
attributes:
  source: shop
  target: dw
  syncs:
    - name: orders
      table: orders
      into: sales.orders
      mode: full
      where: status <> 'draft'
      partitions: {by: key, column: id, start: 0, end: 2500, size: 1000}
    - name: totals
      query: select day, sum(amount) as amount from orders group by day
      into: sales.totals
      mode: full
      key: [day]
"""
REPLICA = """\
type: sync_assets.components.DatabaseReplica
attributes:
  name: shop_copy
  source: shop
  target: dw
  tables: [shop.*]
  exclude: [shop.tmp_*]
  into: {shop: copy}
  overrides:
    shop.lines: {mode: full, where: qty > 0}
"""
CASES = [
    Case(**case) for case in yaml.safe_load(Path(__file__).with_name("table_faults.yaml").read_text(encoding="utf-8"))
]


def folder_with(root: Path, tables: str = TABLES, replica: str = REPLICA) -> Path:
    for name, text in (("connections", CONNECTIONS), ("shop", tables), ("copy", replica)):
        (root / "defs" / name).mkdir(parents=True, exist_ok=True)
        (root / "defs" / name / "defs.yaml").write_text(text, encoding="utf-8")
    return root / "defs"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return load_project(folder_with(tmp_path))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_a_mistake_is_refused_with_file_line_and_what_would_be_right(case, tmp_path):
    assert (TABLES + REPLICA).count(case.old) == 1, "the replacement must be unambiguous"
    changed = folder_with(tmp_path, TABLES.replace(case.old, case.new), REPLICA.replace(case.old, case.new))
    assert faults_of(changed) == case.says


def test_what_the_cases_spoil_is_right(project):
    assert set(project.syncs) == {"orders", "totals"}
    assert project.sync("orders").into_table
    assert project.sync("orders").homes == ("shop", "public")
    replica = project.replica("shop_copy")
    assert replica.spec.mode is Mode.CLONE
    assert replica.spec.overrides["shop.lines"].mode is Mode.FULL
    assert replica.line == 3


def test_a_replica_of_another_file_is_asked_for_by_name(project):
    with pytest.raises(Exception, match="did you mean shop_copy"):
        project.replica("shopcopy")


def test_ranges_of_a_key_have_names_that_sort(project):
    parts = project.sync("orders").spec.partitions
    assert isinstance(parts, KeyRanges)
    assert windows._fixed(parts) == ("0000000000", "0000001000", "0000002000")
    assert [windows.bounds(parts, key) for key in windows._fixed(parts)] == [(0, 1000), (1000, 2000), (2000, 2500)]


def test_a_key_column_is_not_needed_where_the_table_has_a_primary_key(tmp_path):
    assert load_project(folder_with(tmp_path, TABLES.replace("mode: full\n      where", "where"))).syncs
