"""YAML (and so JSON) as plain values, with the line of every value and no key twice.

Must not know what the values mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from sync_assets.fleet.rules.language import Problem

DEEPEST = 100


@dataclass(frozen=True, slots=True)
class Document:
    """A text that was read. `lines` are by way: ``rules[0].expr``; `problems` is what is wrong with the text."""

    value: Any
    lines: Mapping[str, int]
    problems: tuple[Problem, ...] = ()

    def line(self, way: str) -> int:
        """The line of a value, or of the nearest thing around it."""
        while way and way not in self.lines:
            way = way[: max(way.rfind("."), way.rfind("["), 0)]
        return self.lines.get(way, 1)


def read(text: str) -> Document:
    """Never raises: a text that is no YAML is a document with a problem. No value of it is quoted."""
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = Problem("", "is no YAML", str(getattr(error, "problem", "") or "look at its quotes and indents"))
        return Document(None, {"": mark.line + 1 if mark else 1}, (problem,))
    except RecursionError:
        return Document(None, {}, (Problem("", f"is nested deeper than {DEEPEST} levels", "write it flat"),))
    reading = _Reading()
    value = None if node is None else reading.plain(node, "", 1)
    return Document(value, reading.lines, tuple(reading.problems))


@dataclass(slots=True)
class _Reading:
    lines: dict[str, int] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    constructor: yaml.constructor.SafeConstructor = field(default_factory=yaml.constructor.SafeConstructor)

    def plain(self, node: yaml.Node, way: str, depth: int) -> Any:
        self.lines[way] = node.start_mark.line + 1
        if depth > DEEPEST:  # also an anchor that holds itself
            self.problems.append(Problem(way, f"is nested deeper than {DEEPEST} levels", "write it flat"))
            return None
        if isinstance(node, yaml.SequenceNode):
            return [self.plain(one, f"{way}[{at}]", depth + 1) for at, one in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, way, depth)
        return self._scalar(node, way)

    def _mapping(self, node: yaml.MappingNode, way: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else "?"
            place = f"{way}.{key}" if way else key
            if key in found:
                self.problems.append(Problem(place, "stands twice", "keep one of them"))
            found[key] = self.plain(value_node, place, depth + 1)
            self.lines[place] = key_node.start_mark.line + 1
        return found

    def _scalar(self, node: yaml.Node, way: str) -> Any:
        try:
            return self.constructor.construct_object(node, deep=True)
        except (yaml.YAMLError, ValueError):
            self.problems.append(Problem(way, "is no plain value", "write a text, a number, true or false"))
            return None
