"""Reads YAML files into documents, and says on which line a value stands.

The good path parses once, with libyaml, and keeps no positions. Lines are found by a second, composing pass over a
file, which is only made when something in it has to be shown. Knows YAML, not what the documents mean.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from sync_assets.project.faults import Loc

if TYPE_CHECKING:
    from yaml import SafeLoader as _Base
else:  # libyaml is ten times as fast, but not in every build
    _Base = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Unreadable(Exception):
    """The file is no YAML at all. `line` is 1-based."""

    def __init__(self, line: int, message: str, hint: str) -> None:
        super().__init__(message)
        self.line, self.message, self.hint = line, message, hint


@dataclass(frozen=True, slots=True)
class Document:
    """One document of a file, as read: `data` is whatever it holds."""

    path: Path
    index: int
    data: Any

    @property
    def type(self) -> str:
        """The component's type, or "" where it says none."""
        named = self.data.get("type") if isinstance(self.data, dict) else None
        return named if isinstance(named, str) else ""

    @property
    def attributes(self) -> Any:
        return self.data.get("attributes") if isinstance(self.data, dict) else None


class _Loader(_Base):
    """Refuses a key that stands twice in one mapping: YAML would silently take the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [k.value for k, _ in node.value if isinstance(k, yaml.ScalarNode) and k.value != "<<"]
        if len(set(keys)) != len(keys):
            self._refuse_repeated(node)
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping

    def _refuse_repeated(self, node: yaml.MappingNode) -> None:
        seen: set[str] = set()
        for key in (k for k, _ in node.value if isinstance(k, yaml.ScalarNode)):
            if key.value in seen:
                raise Unreadable(key.start_mark.line + 1, f"the field {key.value} stands twice", "keep one of them")
            seen.add(key.value)


def _date_or_text(loader: Any, node: yaml.ScalarNode) -> Any:
    """A date; what only looks like one (2026-02-30) stays text, to be reported where it stands."""
    try:
        return loader.construct_yaml_timestamp(node)
    except ValueError:
        return node.value


_Loader.add_constructor("tag:yaml.org,2002:timestamp", _date_or_text)


def read(path: Path) -> list[Document]:
    """The documents of a file; empty ones are left out. Raises `Unreadable`."""
    return [Document(path, at, data) for at, data in enumerate(_load(_text(path))) if data is not None]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise Unreadable(1, "is not UTF-8 text", "save the file in UTF-8") from None
    except OSError as error:
        raise Unreadable(1, f"cannot be read ({type(error).__name__})", "check its name and permissions") from None


def _load(text: str) -> Iterator[Any]:
    try:
        yield from yaml.load_all(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Unreadable(mark.line + 1 if mark else 1, *_not_yaml(error.problem or "")) from None
    except yaml.YAMLError:  # a control character, for one
        raise Unreadable(1, "is not YAML: it holds a character that YAML forbids", "retype the file") from None
    except ValueError:  # from a tag such as !!int
        raise Unreadable(1, "has a value that does not fit its tag", "leave tags such as !!int out") from None


def _not_yaml(problem: str) -> tuple[str, str]:
    """The parser's problem and what to do, without any text of the file."""
    if "\\t" in problem or "tab" in problem:
        return "is not YAML: a tab where blanks belong", "indent with blanks"
    if "unhashable" in problem:
        return (
            "is not YAML: a { where text belongs",
            "there are no templates here: write env:NAME, or put braces in quotes",
        )
    if "mapping values are not allowed" in problem:
        return "is not YAML: a colon where none belongs", "check the indentation; put text that has a colon in quotes"
    problem = re.sub(r"'[^']{4,}'", "...", problem.split(" but ")[0])  # a tag or alias could be part of a secret
    return f"is not YAML: {problem}", "check the indentation, brackets and quotes around this line"


class Lines:
    """Where the values of one file stand. Line numbers are 1-based, as editors show them."""

    def __init__(self, roots: list[yaml.Node | None]) -> None:
        self._roots = roots

    def line(self, document: int, way: Loc) -> int:
        """The line of the value at `way` in that document, or of the nearest one around it."""
        node = self._roots[document] if document < len(self._roots) else None
        if node is None:
            return 1
        line = node.start_mark.line + 1
        for step in way:
            found = _child(node, step)
            if found is None:
                break
            line, node = found
        return line


def _child(node: yaml.Node, step: str | int) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value == str(step):
                return key.start_mark.line + 1, value
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        item = node.value[step]
        return item.start_mark.line + 1, item
    return None


def lines(path: Path) -> Lines:
    """The lines of a file as it is now; none are known where it cannot be composed."""
    try:
        return _lines(path, path.stat().st_mtime_ns)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return Lines([])


@lru_cache(maxsize=64)
def _lines(path: Path, changed: int) -> Lines:
    # `changed` belongs to the key of the cache only
    return Lines(list(yaml.compose_all(path.read_text(encoding="utf-8-sig"), Loader=_Base)))


def shown(path: Path) -> str:
    """The path as people want to read it: from where they stand, if it is below."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def place(attributes: Any, way: Loc) -> str:
    """``syncs[orders_board].mode``: list items by their name where they have one."""
    text, value = "", attributes
    for step in way:
        value = _step(value, step)
        if isinstance(step, int):
            name = value.get("name") if isinstance(value, Mapping) else None
            text += f"[{name if isinstance(name, str) and len(name) <= 100 else step}]"
        else:
            text += f".{step}"
    return text.lstrip(".")


def _step(value: Any, step: str | int) -> Any:
    if isinstance(value, Mapping):
        return value.get(step)
    if isinstance(value, list) and isinstance(step, int) and step < len(value):
        return value[step]
    return None
