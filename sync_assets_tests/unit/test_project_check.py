"""What a check says about a connection, in the eyes of the syncs that use it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sync_assets.project.check import check_connection
from sync_assets.project.load import load_project
from sync_assets_tests.fix_project import write_defs

LITE = """
type: sync_assets.components.Connections
attributes:
  connections:
    - {{type: sqlite, name: shop, path: "{0}/shop.db"}}
    - {{type: sqlite, name: copy, path: "{0}/copy.db"}}
"""
REPLICA = """
type: sync_assets.components.DatabaseReplica
attributes: {name: shop_copy, source: shop, target: copy, tables: ["*"]}
"""


def test_a_file_that_is_missing_may_be_made_where_it_is_a_target(tmp_path: Path) -> None:
    project = load_project(write_defs(tmp_path / "defs", lite=LITE.format(tmp_path), replica=REPLICA))
    (source,), (target,) = (check_connection(project, name) for name in ("shop", "copy"))
    assert (source.ok, source.hint) == (False, "check path in the connection")
    assert (target.ok, target.hint) == (False, "check path in the connection; touch FILE makes a new one")
    (tmp_path / "copy.db").touch()
    assert all(finding.ok for finding in check_connection(project, "copy"))
    with closing(sqlite3.connect(tmp_path / "shop.db")) as shop:
        shop.execute("create table t (id integer primary key)")
    assert all(finding.ok for finding in check_connection(project, "shop"))
