"""Every YAML that a page shows is accepted by the loader: whole documents as they are, pieces inside of a sync."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from sync_assets.fleet.rules.documents import load as load_rules
from sync_assets.fleet.rules.documents import shipped
from sync_assets.project.load import CONNECTIONS, TABLE_SYNC, ProjectInvalid, load_file
from sync_assets.project.spec import SyncSpec, TableSyncSpec
from sync_assets_tests.fix_docs import Page, connections_of_readme, documents, pages, readme

ORDERS = {
    "name": "orders_board",
    "table": "orders",
    "bitable": "https://acme.feishu.cn/base/bascnExample?table=tblExample",
    "key": ["order_id"],
}
TABLE_ONLY = {"into", "where", "changes", "proof", "schema_changes", "create", "allow_writing_role"}
BOARD_ONLY = {"bitable", "table_name", "field_types", "unmapped", "create_fields", "duplicates", "verify", "batch_rows"}
BOT = {"type": "feishu_bot", "name": "ops_group", "webhook": "env:OPS_WEBHOOK"}
EXAMPLES = [(page, at) for page in pages() for at in range(len(page.blocks("yaml")))]


def _whole(block: str, own: str) -> list[Any]:
    """The documents of a block, completed to a project by the connections of its page and of the README."""
    found = documents(block)
    if all(isinstance(d, dict) and "type" in d for d in found):
        return _with_connections(found, own)
    [piece] = found
    assert isinstance(piece, dict), "a piece of YAML holds fields"
    head = {k: v for k, v in piece.items() if k in TableSyncSpec.model_fields and k != "schedule"}
    sync = {**ORDERS, **{k: v for k, v in piece.items() if k not in head}}
    unknown = set(piece) - set(TableSyncSpec.model_fields) - set(SyncSpec.model_fields)
    assert not unknown, f"neither of a file nor of a sync: {unknown}"
    if "query" in piece:
        del sync["table"]
    if TABLE_ONLY & set(piece):
        assert not BOARD_ONLY & set(piece), "of a board and of a table at once"
        sync = {"into": "mart.orders", **{k: v for k, v in sync.items() if k != "bitable"}}
        head = {"target": "warehouse", **head}
    attributes = {"source": "shop", "target": "feishu", **head, "syncs": [sync]}
    return _with_connections([{"type": TABLE_SYNC, "attributes": attributes}], own)


def _with_connections(found: list[Any], own: str) -> list[Any]:
    """What the examples leave out because another block of the page, or the README, has it."""
    given = [c for d in found if d["type"] == CONNECTIONS for c in d["attributes"]["connections"]]
    names = {c["name"] for c in given}
    more = []
    for connection in [*_connections(own), *_connections(connections_of_readme()), *_more_of_readme(), BOT]:
        if connection["name"] not in names:
            names.add(connection["name"])
            more.append(connection)
    if not any(d["type"] == TABLE_SYNC for d in found):
        host = next(
            (c["host"] for c in [*given, *more] if c.get("host", "").startswith("http:")), "https://acme.feishu.cn"
        )
        sync = ORDERS | {"bitable": f"{host}/base/bascnExample?table=tblExample"}
        attributes = {"source": "shop", "target": "feishu", "alerts": "ops_group", "syncs": [sync]}
        found = [*found, {"type": TABLE_SYNC, "attributes": attributes}]
    return [*found, {"type": CONNECTIONS, "attributes": {"connections": more}}] if more else found


def _connections(block: str) -> list[dict[str, Any]]:
    return [c for d in documents(block) if d["type"] == CONNECTIONS for c in d["attributes"]["connections"]]


def _more_of_readme() -> list[dict[str, Any]]:
    """Those of its later examples, the warehouse among them."""
    return [c for block in readme().blocks("yaml") if CONNECTIONS in block for c in _connections(block)]


def _own(page: Page) -> str:
    """All connections that a page shows, as one text."""
    found = [b for b in page.blocks("yaml") if CONNECTIONS in b]
    return "\n---\n".join(found) if found else connections_of_readme()


def _load(text_documents: list[Any], folder: Any) -> None:
    file = folder / "example.yaml"
    file.write_text(yaml.safe_dump_all(text_documents, allow_unicode=True, sort_keys=False), encoding="utf-8")
    load_file(file)


@pytest.mark.parametrize(("page", "at"), EXAMPLES, ids=lambda v: str(v))
def test_every_yaml_is_accepted(page, at, tmp_path):
    block = page.blocks("yaml")[at]
    if block.startswith("version: 4\n"):  # rules of a fleet
        assert load_rules([("shipped", shipped()), (str(page), block)]).rules
        return
    try:
        _load(_whole(block, _own(page)), tmp_path)
    except ProjectInvalid as error:
        pytest.fail(f"{page}:\n{block}\n{error}")


@pytest.mark.parametrize(
    "block",
    ["duplicates: {source: latest}", "schedul: '0 9 * * *'", "partitions: {every: day}", "sensor: {by: watermark}",
     "alerts: nobody", "query: delete from orders", "bitable: https://acme.feishu.cn/sheets/x",
     "changes: digest", "where: amount >= (select 1)", "into: a.b.c", "{into: mart.orders, field_types: base}",
     "{mode: clone, changes: watermark, watermark: at}", "partitions: {by: key, column: id, end: 0, size: 5}"],
)  # fmt: skip
def test_a_wrong_yaml_is_noticed(block, tmp_path):
    with pytest.raises((ProjectInvalid, AssertionError)):
        _load(_whole(block, connections_of_readme()), tmp_path)


def test_there_are_examples_to_look_at():
    assert len(EXAMPLES) > 15
