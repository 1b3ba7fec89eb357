"""Loading: from a folder through Dagster's component tree, refused whole when wrong, and without what it needs not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from sync_assets.components import Connections, DatabaseReplica, TableSync, listings
from sync_assets.components.deployment import beta_accepted, load_definitions
from sync_assets.project.load import ProjectInvalid
from sync_assets.project.replica_spec import DatabaseReplicaSpec
from sync_assets.project.spec import ConnectionsSpec, TableSyncSpec
from sync_assets_tests.fix_project import CONNECTIONS, write_defs
from sync_assets_tests.unit.test_component_assets import DAILY, WHOLE
from sync_assets_tests.unit.test_component_replica import LISTING, REPLICA

HEAVY = (
    "psycopg",
    "psycopg2",
    "pymysql",
    "pandas",
    "pyarrow",
    "httpx",
    "starlette",
    "alembic",
    "sqlglot",
    "sqlalchemy",
)

# Dagster 1.13 parses YAML with a function that pydantic has deprecated
pytestmark = pytest.mark.filterwarnings("ignore:`parse_obj_as` is deprecated")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SYNC_ASSETS_DEFS", str(tmp_path / "defs"))
    (tmp_path / "defs").mkdir()
    return tmp_path / "defs"


def test_yaml_becomes_definitions(folder: Path) -> None:
    write_defs(folder, connections=CONNECTIONS, orders=DAILY, people=WHOLE)
    defs = load_definitions(Path("unused"))
    with beta_accepted():
        dg.Definitions.validate_loadable(defs)
    keys = {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()}
    assert keys == {
        "shop/orders", "shop/customers", "feishu/orders_board", "feishu/customers_board", "feishu/totals",
    }  # fmt: skip


def test_an_empty_folder_is_an_empty_deployment(folder: Path) -> None:
    assert load_definitions(Path("unused")).resolve_asset_graph().get_all_asset_keys() == set()


def test_a_wrong_deployment_is_refused_whole_with_every_fault(folder: Path) -> None:
    wrong = DAILY.replace("key: [order_id]", "key: [order_id]\n      mode: incrementl")
    write_defs(folder, connections=CONNECTIONS, orders=wrong, people=WHOLE.replace("key: [id]", "kee: [id]"))
    with pytest.raises(ProjectInvalid) as refused:
        load_definitions(Path("unused"))
    text = str(refused.value)
    assert "orders/defs.yaml:12" in text
    assert "did you mean incremental?" in text
    assert text.count("kee") == 2


def test_dagster_validates_with_the_strict_models() -> None:
    """Its own widening of every field to text would let a wrong mode through."""
    assert TableSync.get_model_cls() is TableSyncSpec
    assert Connections.get_model_cls() is ConnectionsSpec
    assert DatabaseReplica.get_model_cls() is DatabaseReplicaSpec


def test_a_run_process_loads_no_driver(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNC_ASSETS_HOME", str(folder.parent / "home"))
    listings.keep("shop_copy", LISTING)
    write_defs(folder, connections=CONNECTIONS, orders=DAILY, copy=REPLICA)
    code = (
        f"import sys, sync_assets.definitions as d; d.defs();print(' '.join(m for m in {HEAVY!r} if m in sys.modules))"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []
