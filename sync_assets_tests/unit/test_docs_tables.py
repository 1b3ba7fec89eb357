"""What pages say of tables is what the code has: words of YAML and reports, files, protocols, the contract suite."""

from __future__ import annotations

import importlib
import re
from typing import get_args

import pytest

from sync_assets.engine.model import Mode
from sync_assets.engine.tables import reading, shape, writing
from sync_assets.engine.tables.job import Changes, Proof, Verdict
from sync_assets.engine.tables.work import Way
from sync_assets.engine.tables.writing import Policy
from sync_assets.project.replica_spec import DatabaseReplicaSpec
from sync_assets.project.spec import SyncSpec
from sync_assets_tests.fix_docs import ROOT, Page, readme, readme_zh

HOW_TO = ROOT / "docs" / "how-to"
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")


def _page(name: str) -> Page:
    return Page(HOW_TO / name)


def _first_column(page: Page, head: str) -> set[str]:
    """The code words in the first column of the table whose head begins with `head`."""
    _, found, rest = page.text.partition(f"\n| {head}")
    assert found, f"{page} has no table that begins with {head}"
    rows = rest.partition("\n\n")[0].splitlines()[2:]
    return {word for row in rows for word in _SPAN.findall(row.split("|")[1])}


@pytest.mark.parametrize("page", [readme(), readme_zh()], ids=str)
def test_modes_changes_and_policies_of_tables_are_told_all(page):
    modes = {str(mode) for mode in Mode} - {"append"}
    section = page.text.partition("`DatabaseReplica`")[0]
    table = "\n".join(line for line in section.splitlines() if line.startswith("| `") and line.count("|") == 7)
    assert {word for line in table.splitlines() for word in _SPAN.findall(line.split("|")[1])} == modes
    assert _first_column(page, "`changes`") == {str(change) for change in Changes} - {"auto"}
    assert _first_column(page, "`schema_changes`") == set(get_args(Policy))
    assert all(f"`proof: {proof}`" in page.text for proof in get_args(Proof) if proof != "checksum")


def test_defaults_that_the_readme_names():
    assert DatabaseReplicaSpec.model_fields["mode"].default is Mode.CLONE
    assert SyncSpec.model_fields["mode"].default is Mode.FULL
    assert SyncSpec.model_fields["changes"].default is Changes.AUTO
    assert writing.Merge(("k",), ()).replace  # full updates


def test_every_way_of_a_run_is_explained():
    assert _first_column(_page("increments.md"), "the run says") == {str(way) for way in Way}


def test_policies_stand_in_the_head_of_the_table_of_drift():
    head = next(
        line for line in _page("structure-and-drift.md").text.splitlines() if line.startswith("| in the source")
    )
    assert set(_SPAN.findall(head)) == set(get_args(Policy))


def test_words_of_a_verdict_are_those_of_the_page():
    words = set(_SPAN.findall(_page("verify-repair-restore.md").prose))
    assert {"missing", "extra", "equal"} <= words & set(Verdict.__dataclass_fields__)


def test_files_that_pages_name_exist(page):
    for span in _SPAN.findall(page.prose):
        if (
            re.fullmatch(r"(sync_assets|sync_assets_tests|docs|deploy|benchmarks)/[\w./-]+", span)
            and "NAME" not in span
        ):
            shown_as_example = span.startswith("sync_assets/defs")
            assert shown_as_example or (ROOT / span).exists(), f"{page}: {span}"


def test_protocols_of_the_page_for_databases_exist():
    page = _page("add-a-database.md")
    named = [span for span in _SPAN.findall(page.prose) if re.fullmatch(r"[A-Z]\w+\.[a-z_]+", span)]
    assert len(named) > 8
    for span in named:
        name, member = span.split(".")
        owner = getattr(writing, name, None) or getattr(reading, name, None) or getattr(shape, name)
        assert hasattr(owner, member), span


def test_the_contract_suite_is_imported_whole():
    [block] = _page("add-a-database.md").blocks("python")
    modules = re.findall(r"^from (\S+) import", block, re.MULTILINE)
    shipped = {
        f"sync_assets.testing.tables.{f.stem}" for f in (ROOT / "sync_assets/testing/tables").glob("contract_*.py")
    }
    assert shipped <= set(modules)
    for module in modules:
        importlib.import_module(module)


def test_the_ledger_has_the_name_that_the_readme_gives():
    for database in ("postgres", "mysql", "sqlite"):
        sql = (ROOT / "sync_assets/databases" / database / "tables/ledger.sql").read_text("utf-8")
        assert all(f"`{name}`" in readme().text and name in sql for name in ("sync_assets_head", "sync_assets_ledger"))
