"""What is wrong with a project, as values: found anywhere, shown with file and line, all at once.

A message says what is wrong, a hint what would be right. Neither ever quotes a value that could be a secret or data.
Knows nothing of YAML or pydantic.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sync_assets.engine.errors import Stop

Loc = tuple[str | int, ...]  # the way to a value inside a component's attributes: ("syncs", 0, "mode")


@dataclass(frozen=True, slots=True)
class Trouble:
    """One thing that is wrong, by its way inside the attributes."""

    loc: Loc
    message: str
    hint: str = ""


class RuleFaults(ValueError):
    """Raised by the validators of `project.spec`, so that one validation can report several troubles, each in place."""

    def __init__(self, troubles: Sequence[Trouble]) -> None:
        super().__init__("; ".join(_sentence(t.message, t.hint) for t in troubles))
        self.troubles = tuple(troubles)


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One trouble with its place: ``defs/shop/defs.yaml:7: syncs[orders_board].mode: ... -> ...``."""

    path: str
    line: int
    place: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f" {self.place}:" if self.place else ""
        return f"{self.path}:{self.line}:{place} {_sentence(self.message, self.hint)}"


class ProjectInvalid(Stop):
    """The YAML of a project is wrong. `faults` holds every fault of every file, in the order of the files."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(sorted(set(faults)))
        count = "1 fault" if len(self.faults) == 1 else f"{len(self.faults)} faults"
        lines = "".join(f"\n  {fault}" for fault in self.faults)
        super().__init__(f"{count} in the project's YAML, nothing was run:{lines}")


def nearest(word: str, known: Iterable[str]) -> str:
    """`` (did you mean incremental?)``, or nothing when no known word is near."""
    names = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    return f" (did you mean {names[found[0]]}?)" if found else ""


def listed(known: Iterable[str], word: str = "") -> str:
    """The words that would be right, and the nearest of them to `word`."""
    names = list(known)
    return ", ".join(names) + nearest(word, names)


def _sentence(message: str, hint: str) -> str:
    return f"{message} -> {hint}" if hint else message
