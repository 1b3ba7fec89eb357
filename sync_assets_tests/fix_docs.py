"""The documentation as values: code blocks, headings, links, commands. Knows Markdown as far as our pages use it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_HEREDOC = re.compile(r"<<'(\w+)'\n.*?^\1$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Page:
    """One Markdown file."""

    path: Path

    def __str__(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """Without code blocks."""
        return _FENCE.sub("", self.text)

    def blocks(self, *languages: str) -> list[str]:
        """Fenced blocks of these languages, in order."""
        return [body for language, body in _FENCE.findall(self.text) if language in languages]

    def languages(self) -> list[str]:
        """The language of every fenced block."""
        return [language for language, _ in _FENCE.findall(self.text)]

    def headings(self) -> list[tuple[int, str]]:
        """Level and text."""
        return [(len(marks), text) for marks, text in _HEADING.findall(self.prose)]

    def anchors(self) -> set[str]:
        """What can follow # in a link to this page, by GitHub's rule."""
        return {re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-") for _, text in self.headings()}

    def links(self) -> list[str]:
        """Targets of links, without those to the web."""
        return [target for target in _LINK.findall(self.prose) if not target.startswith(("http:", "https:"))]

    def commands(self) -> Iterator[list[str]]:
        """Command lines of shell blocks, and those in the text that begin with one of our commands."""
        for block in self.blocks("sh"):
            for line in _HEREDOC.sub("<<HERE", block).splitlines():
                words = shlex.split(line, comments=True)
                cuts = [-1, *(at for at, word in enumerate(words) if word == "||"), len(words)]
                yield from (words[a + 1 : b] for a, b in pairwise(cuts) if words)
        for span in _SPAN.findall(self.prose):
            if span.startswith(OURS) and " " in span:
                yield shlex.split(span)


OURS = ("sync-assets ", "make ", "dagster", "dg ", "python -m ", "python benchmarks", "python docs")


def pages() -> list[Page]:
    """Every page that users read. Decisions are notes of the past and stay as they were."""
    found = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    return [Page(path) for path in sorted(found) if "decisions" not in path.parts]


@pytest.fixture(params=pages(), ids=str)
def page(request: pytest.FixtureRequest) -> Page:
    """Each page in turn."""
    found: Page = request.param
    return found


def readme() -> Page:
    return Page(ROOT / "README.md")


def readme_zh() -> Page:
    return Page(ROOT / "README.zh-CN.md")


def documents(block: str) -> list[Any]:
    """The documents of a YAML block."""
    return list(yaml.safe_load_all(block))


def connections_of_readme() -> str:
    """The README's connections: those of examples that bring none."""
    return next(block for block in readme().blocks("yaml") if "components.Connections" in block)
