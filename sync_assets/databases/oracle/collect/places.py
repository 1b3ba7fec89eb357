"""Where on an Oracle server rows belong: its containers, how accounts in them are called, and which of them we see.

What is a database here? The container: a pluggable database, the root, or the whole where there is only one. It is
what is made, moved and dropped, its files add up to the server's, and paths of grants begin with it. A tablespace is
not one (two of them can hold one table), and neither is a schema (it has no files): the largest tables name theirs.

The views of the root hide, without an error, containers that are not open or not in the account's CONTAINER_DATA
(docs.oracle.com, "CDB_* Views"). DBA_PDBS hides none of them, so a container without rows is known to be hidden.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sync_assets.fleet.model import SectionState, Status

ROOT = "CDB$ROOT"
_SEED = "2"
_OPEN = ("READ WRITE", "READ ONLY")
_HIDDEN = SectionState(
    Status.DENIED,
    "the container is not open, or hidden from us: alter user ... set container_data = all container = current",
)


@dataclass(frozen=True, slots=True)
class Container:
    """`part`: of the sections; "" where there is only one. `incarnation` tells a container made again."""

    name: str
    part: str
    incarnation: str = ""
    closed: bool = False

    def account(self, name: str) -> str:
        return f"{self.part}.{name}" if self.part else name

    @property
    def system(self) -> bool:
        return self.part == ROOT


@dataclass(frozen=True, slots=True)
class Places:
    """All containers by their number, as the views write it."""

    by_number: Mapping[str, Container]

    @property
    def several(self) -> bool:
        return any(c.part for c in self.by_number.values())

    def of(self, number: str | None) -> Container | None:
        """None for the seed, and for what is not in the list."""
        return self.by_number.get(number or "0")

    def states(self, seen: Iterable[str]) -> Mapping[str, SectionState]:
        """By part: ok for those of `seen`, which had rows; every container has some in every view that we ask."""
        known = set(seen)
        return {c.part: self._state(c, c.part in known) for c in self.by_number.values()}

    def _state(self, one: Container, seen: bool) -> SectionState:
        if seen:
            return SectionState(Status.OK)
        return SectionState(Status.UNSUPPORTED, "the container is not open") if one.closed else _HIDDEN


def single(name: str) -> Places:
    """The only container there is, or the only one that we are in."""
    return Places({"0": Container(name, "")})


def several(rows: Iterable[Sequence[str | None]]) -> Places:
    """Out of the rows of `containers`: number, name, unique number, status, open mode."""
    found = {"1": Container(ROOT, ROOT)}
    for number, name, unique, _status, mode in rows:
        if number and name and number != _SEED:
            found[number] = Container(name, name, unique or "", closed=mode is not None and mode not in _OPEN)
    return Places(found)
