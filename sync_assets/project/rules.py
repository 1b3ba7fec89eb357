"""Rules that need more than one entry of the YAML: names, references, links, queries, boards that are shared.

Each rule is a function from the pieces that are valid by themselves to troubles with their documents. Asks no server;
reads the environment only to look through an `env:` reference, and is content when that is not set.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sync_assets.engine.errors import Stop
from sync_assets.engine.model import Mode
from sync_assets.project import windows
from sync_assets.project.documents import Document, shown
from sync_assets.project.faults import Loc, Trouble, listed
from sync_assets.project.spec import Connection, Feishu, FeishuBot, SyncSpec, TimeWindows, is_platform

if TYPE_CHECKING:
    from sync_assets.sources.query import Dialect

Found = tuple[Document, Trouble]

_DIALECTS: Mapping[str, Dialect] = {"mysql": "mysql", "postgres": "postgres", "sqlite": "sqlite"}
_PLATFORMS = {"https://open.feishu.cn": "feishu.cn", "https://open.larksuite.com": "larksuite.com"}


@dataclass(frozen=True, slots=True)
class Named:
    """A connection that is valid by itself."""

    document: Document
    loc: Loc
    value: Connection


@dataclass(frozen=True, slots=True)
class Sync:
    """A sync that is valid by itself, with what stands at the head of its document."""

    document: Document
    loc: Loc
    value: SyncSpec
    source: str | None
    target: str | None
    time_zone: ZoneInfo


@dataclass(slots=True)
class Pieces:
    """What could be read. `heads` are the documents of syncs; `declared` also holds names of connections that are
    written down but not valid, so that one mistake is not reported a second time at every use."""

    connections: list[Named] = field(default_factory=list)
    syncs: list[Sync] = field(default_factory=list)
    heads: list[Document] = field(default_factory=list)
    declared: set[str] = field(default_factory=set)
    complete: bool = True  # False when a file could not be read: what is missing may be in it


def check(pieces: Pieces) -> Iterator[Found]:
    """All rules over all pieces."""
    known: dict[str, Connection] = {}
    for named in pieces.connections:
        known.setdefault(named.value.name, named.value)
    yield from _distinct("connection", [(c.document, c.loc, c.value.name) for c in pieces.connections])
    yield from _distinct("sync", [(s.document, s.loc, s.value.name) for s in pieces.syncs])
    for document in pieces.heads:
        yield from ((document, t) for t in _references(document, known, pieces))
    for sync in pieces.syncs:
        source, target = known.get(sync.source or ""), known.get(sync.target or "")
        for trouble in _of_one(sync, source, target):
            yield sync.document, Trouble(sync.loc + trouble.loc, trouble.message, trouble.hint)
    yield from _shared_boards(pieces.syncs)


def _of_one(sync: Sync, source: Connection | None, target: Connection | None) -> Iterator[Trouble]:
    yield from _link(sync.value, target if isinstance(target, Feishu) else None)
    if source is not None and source.type in _DIALECTS:
        yield from _queries(sync.value, _DIALECTS[source.type])
    parts = sync.value.partitions
    if isinstance(parts, TimeWindows) and parts.end is not None and not windows.holds_any(parts, sync.time_zone):
        yield Trouble(("partitions", "end"), f"leaves no whole {parts.every} after start", "move it, or leave it out")
    if sync.value.table is not None and not all(part.strip() for part in sync.value.table.split(".")):
        yield Trouble(("table",), "is not the name of a table", "write table or schema.table")


def _distinct(kind: str, entries: Iterable[tuple[Document, Loc, str]]) -> Iterator[Found]:
    first: dict[str, Document] = {}
    for document, loc, name in entries:
        if name in first:
            where = "this file" if first[name].path == document.path else shown(first[name].path)
            hint = f"it is in {where} already; names are unique in the whole deployment"
            yield document, Trouble((*loc, "name"), f"there is a second {kind} {name}", hint)
        first.setdefault(name, document)


# -- references to connections ----------------------------------------------------------------------------------

_WANTED: dict[str, tuple[str, Callable[[Connection], bool]]] = {
    "source": ("a database (mysql, postgres, sqlite)", lambda c: not isinstance(c, Feishu | FeishuBot)),
    "target": ("a feishu connection", lambda c: isinstance(c, Feishu)),
    "alerts": ("a feishu_bot connection", lambda c: isinstance(c, FeishuBot)),
}


def _references(document: Document, known: dict[str, Connection], pieces: Pieces) -> Iterator[Trouble]:
    for place, (wanted, fits) in _WANTED.items():
        name = document.attributes.get(place)
        if not isinstance(name, str) or (name not in known and _may_exist(name, pieces)):
            continue
        able = [n for n, c in known.items() if fits(c)]
        choice = listed(able, name) if able else f"write {wanted} into a Connections document first"
        if name not in known:
            yield Trouble((place,), f"there is no connection {name}", f"known here: {choice}" if able else choice)
        elif not fits(known[name]):
            yield Trouble(
                (place,), f"{name} is of type {known[name].type}", f"name {wanted}: {choice}" if able else choice
            )


def _may_exist(name: str, pieces: Pieces) -> bool:
    return name in pieces.declared or not pieces.complete


# -- links ------------------------------------------------------------------------------------------------------


def _seen_through(text: str) -> str | None:
    """The text behind `env:NAME` if it is set, None if it cannot be told now."""
    if not text.startswith("env:"):
        return text
    from sync_assets.store.secrets import expand

    try:
        return expand(text)
    except Stop:
        return None


def _link(sync: SyncSpec, target: Feishu | None) -> Iterator[Trouble]:
    from sync_assets.feishu.link import parse_link

    text = _seen_through(sync.bitable)
    if text is None:
        return
    try:
        link = parse_link(text)
    except Stop as stop:
        yield Trouble(("bitable",), stop.message, stop.hint)
        return
    if link.table_id and sync.table_name:
        yield Trouble(("table_name",), "the link names a table already", "drop table_name, or ?table= from the link")
    if not link.table_id and not sync.table_name:
        yield Trouble(("bitable",), "the link names no table", "copy it with ?table=tbl..., or add table_name")
    host = _seen_through(target.host) if target else None
    if host is not None and is_platform(host) and not _fits(link.host, host):
        right = f"a link of {_PLATFORMS.get(host, host)}, or another connection; apps do not cross over"
        yield Trouble(("bitable",), f"the link is not of {host}, where the target's app lives", right)


def _fits(link: str, host: str) -> bool:
    """Whether an app on `host` can open a link whose platform is `link`. A gateway of one's own may serve any."""
    ours = host.rstrip("/").lower()
    local = ours.startswith("http://")
    return link == ours or (not local and ours not in _PLATFORMS and link in _PLATFORMS)


def _shared_boards(syncs: Sequence[Sync]) -> Iterator[Found]:
    """A clone deletes what its source does not have: beside another writer it would delete that one's records."""
    boards: dict[tuple[str, str, str], list[Sync]] = {}
    for sync in syncs:
        key = _board(sync.value)
        if key is not None:
            boards.setdefault(key, []).append(sync)
    for group in boards.values():
        clones = [s for s in group if s.value.mode is Mode.CLONE]
        for clone in clones if len(group) > 1 else []:
            others = ", ".join(s.value.name for s in group if s is not clone)
            message = f"would delete what {others} writes to the same board"
            yield clone.document, Trouble((*clone.loc, "mode"), f"clone {message}", "use mode: full, or another table")


def _board(sync: SyncSpec) -> tuple[str, str, str] | None:
    from sync_assets.feishu.link import parse_link

    try:
        link = parse_link(_seen_through(sync.bitable) or "")
    except Stop:
        return None
    return link.host, link.token, link.table_id or f"name:{(sync.table_name or '').strip()}"


# -- queries ----------------------------------------------------------------------------------------------------


def _queries(sync: SyncSpec, dialect: Dialect) -> Iterator[Trouble]:
    if sync.query is not None:
        names = yield from _parsed(("query",), sync.query, dialect)
        yield from _bound(sync, names) if names is not None else ()
    if sync.sensor is not None and sync.sensor.query is not None:
        names = yield from _parsed(("sensor", "query"), sync.sensor.query, dialect)
        if names:
            yield Trouble(("sensor", "query"), f"binds :{min(names)}, which nothing gives", "write it without")


def _parsed(loc: Loc, text: str, dialect: Dialect) -> Generator[Trouble, None, frozenset[str] | None]:
    """Yields what is wrong; returns the names that the query binds, or None."""
    from sync_assets.sources.query import parsed

    try:
        return parsed(text, dialect).names
    except Stop as stop:
        yield Trouble(loc, stop.message, stop.hint)
        return None


def _bound(sync: SyncSpec, names: frozenset[str]) -> Iterator[Trouble]:
    parts = sync.partitions
    wanted = set() if parts is None else {"start", "end"} if isinstance(parts, TimeWindows) else {"value"}
    missing, extra = sorted(wanted - names), sorted(names & {"start", "end", "value"} - wanted)
    if missing:
        hint = " and ".join(f":{name}" for name in sorted(wanted, reverse=True))
        yield Trouble(("query",), f"does not bind :{missing[-1]}", f"a query with these partitions must bind {hint}")
    for name in extra:
        right = "add partitions, or leave it out" if parts is None else "it belongs to the other kind of partitions"
        yield Trouble(("query",), f"binds :{name}, but the sync has no partitions that give it", right)
