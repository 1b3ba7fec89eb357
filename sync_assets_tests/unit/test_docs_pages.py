"""Pages hold together: links lead somewhere, both READMEs say the same, generated pages are current."""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import get_args
from urllib.parse import unquote

import pytest
from pydantic import BaseModel

from sync_assets_tests.fix_docs import ROOT, Page, readme, readme_zh


def test_links_lead_somewhere(page):
    for target in page.links():
        file, _, anchor = target.partition("#")
        goal = (page.path.parent / unquote(file)).resolve() if file else page.path
        assert goal.exists(), f"{page}: {target}"
        if anchor:
            assert anchor in Page(goal).anchors(), f"{page}: {target}"


def _shape(target: str) -> str:
    """A link without the words of its anchor, which are in the page's language."""
    return target.partition("#")[0] or "#"


def test_both_readmes_have_the_same_shape():
    english, chinese = readme(), readme_zh()
    assert [level for level, _ in english.headings()] == [level for level, _ in chinese.headings()]
    assert english.languages() == chinese.languages()
    twin = {"README.zh-CN.md", "README.md"}
    ours, theirs = ([_shape(t) for t in p.links() if t not in twin] for p in (english, chinese))
    assert sorted(ours) == sorted(theirs)


def test_both_readmes_carry_the_same_code():
    assert readme().blocks("sh", "yaml", "ini") == readme_zh().blocks("sh", "yaml", "ini")


def _rows(page: Page) -> list[list[str]]:
    """The code words of every table row."""
    lines = [line for line in page.prose.splitlines() if line.startswith("|")]
    return [sorted(re.findall(r"`([^`]+)`|(?<![\w/])(\d[\d,]*)(?![\w/])", line)) for line in lines]


def test_both_readmes_have_the_same_tables():
    for ours, theirs in zip(_rows(readme()), _rows(readme_zh()), strict=True):
        assert [c for c, _ in ours if c] == [c for c, _ in theirs if c]


def _generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "reference" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_generated_reference_is_current():
    assert _generator().stale() == [], "python docs/reference/generate.py --write"


def test_a_page_that_is_behind_the_code_is_noticed(tmp_path, monkeypatch):
    generator = _generator()
    monkeypatch.setattr(generator, "HERE", tmp_path)
    assert generator.main(["--write"]) == 0
    page: Path = tmp_path / "yaml.md"
    page.write_text(page.read_text("utf-8").replace("`batch_rows`", "`batch_size`"), encoding="utf-8")
    assert (generator.stale(), generator.main([])) == (["yaml.md"], 1)


def _models(annotation: object) -> Iterator[type[BaseModel]]:
    """All models that an annotation leads to, each with those of its fields."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from _models(field.annotation)
    for part in get_args(annotation):
        yield from _models(part)


def _sections() -> dict[str, str]:
    """The sections of the page by their titles."""
    text = (ROOT / "docs" / "reference" / "yaml.md").read_text("utf-8")
    return {part.partition("\n")[0]: part for part in text.split("\n## ")[1:]}


def test_every_component_and_every_field_that_its_yaml_can_have_is_in_the_reference():
    """Held against what Dagster finds: a new component is asked for here without being named."""
    from sync_assets import components

    titles = {model: title for title, _, model in _generator()._SECTIONS}
    sections, found = _sections(), []
    for name in components.__all__:
        model = getattr(components, name).get_model_cls()
        assert f"`type: sync_assets.components.{name}`" in sections[titles[model]]
        found += list(_models(model))
    assert len(set(found)) > 20
    missing = [
        f"{model.__name__}.{field}"
        for model in dict.fromkeys(found)
        for field in model.model_fields
        if f"| `{field}` |" not in sections.get(titles.get(model, ""), "")
    ]
    assert missing == []


def test_every_component_is_registered():
    """All that are defined in the package, and nothing else, are what Dagster is told of."""
    from dagster import Component

    from sync_assets import components

    defined = {
        name
        for file in Path(components.__file__).parent.glob("*.py")
        for name, one in vars(importlib.import_module(f"sync_assets.components.{file.stem}")).items()
        if file.stem != "__init__" and isinstance(one, type) and issubclass(one, Component)
        and one.__module__.startswith("sync_assets.")
    }  # fmt: skip
    assert defined == set(components.__all__)


@pytest.mark.parametrize("word", ["TODO", "FIXME", "XXX"])
def test_no_page_is_left_unfinished(page, word):
    assert word not in page.text
