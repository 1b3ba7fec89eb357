"""Rules that need more than one entry of the YAML: names, references, links, queries, boards that are shared.

Each rule is a function from the pieces that are valid by themselves to troubles with their documents. Asks no server;
reads the environment only to look through an `env:` reference, and is content when that is not set.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sync_assets.engine.errors import Stop
from sync_assets.engine.model import Mode
from sync_assets.project import table_rules, windows
from sync_assets.project.documents import Document, shown
from sync_assets.project.faults import Loc, Trouble, listed
from sync_assets.project.replica_spec import DatabaseReplicaSpec
from sync_assets.project.spec import Connection, Feishu, FeishuBot, SyncSpec, TimeWindows, is_platform

if TYPE_CHECKING:
    from sync_assets.project.exchange_spec import RepositoryExchangeSpec
    from sync_assets.project.fleet_spec import DatabaseFleetSpec
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


@dataclass(frozen=True, slots=True)
class Replica:
    """A replica that is valid by itself."""

    document: Document
    value: DatabaseReplicaSpec
    time_zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Fleet:
    """A fleet that is valid by itself."""

    document: Document
    value: DatabaseFleetSpec
    time_zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class Exchange:
    """An exchange that is valid by itself."""

    document: Document
    value: RepositoryExchangeSpec
    time_zone: ZoneInfo


@dataclass(slots=True)
class Pieces:
    """What could be read. `heads` are the documents of all but connections; `declared` also holds names of
    connections that are written down but not valid, so that one mistake is not reported a second time at every use."""

    connections: list[Named] = field(default_factory=list)
    syncs: list[Sync] = field(default_factory=list)
    replicas: list[Replica] = field(default_factory=list)
    fleets: list[Fleet] = field(default_factory=list)
    exchanges: list[Exchange] = field(default_factory=list)
    heads: list[Document] = field(default_factory=list)
    declared: set[str] = field(default_factory=set)
    complete: bool = True  # False when a file could not be read: what is missing may be in it


def check(pieces: Pieces) -> Iterator[Found]:
    """All rules over all pieces."""
    known: dict[str, Connection] = {}
    for named in pieces.connections:
        known.setdefault(named.value.name, named.value)
    yield from _distinct([("connection", c.document, c.loc, c.value.name) for c in pieces.connections])
    names = [("sync", s.document, s.loc, s.value.name) for s in pieces.syncs]
    names += [("sync", r.document, (), r.value.name) for r in pieces.replicas]
    names += [("fleet", f.document, (), f.value.name) for f in pieces.fleets]
    yield from _distinct([*names, *(("exchange", e.document, (), e.value.name) for e in pieces.exchanges)])
    yield from _distinct(_peers(pieces.exchanges))
    for document in pieces.heads:
        yield from ((document, t) for t in _references(document, known, pieces))
        if document.type == FLEET:
            yield from ((document, t) for t in _of_fleet(document, known, pieces))
    for sync in pieces.syncs:
        source, target = known.get(sync.source or ""), known.get(sync.target or "")
        for trouble in _of_one(sync, source, target):
            yield sync.document, Trouble(sync.loc + trouble.loc, trouble.message, trouble.hint)
    for replica in pieces.replicas:
        ends = [_dialect(known.get(name)) for name in (replica.value.source, replica.value.target)]
        yield from ((replica.document, t) for t in table_rules.of_replica(replica.value, *ends))
        yield from ((replica.document, t) for t in _windows(replica))
    yield from _shared_boards(pieces.syncs)
    yield from _shared_tables([s for s in pieces.syncs if _dialect(known.get(s.target or "")) is not None])


def _dialect(connection: Connection | None) -> Dialect | None:
    return None if connection is None else _DIALECTS.get(connection.type)


def _of_one(sync: Sync, source: Connection | None, target: Connection | None) -> Iterator[Trouble]:
    if _into_table(sync.value, target):
        yield from table_rules.of_table(sync.value, sync.source, sync.target)
    else:
        yield from table_rules.of_board(sync.value)
        yield from _link(sync.value, target if isinstance(target, Feishu) else None)
    if (dialect := _dialect(source)) is not None:
        yield from _queries(sync.value, dialect, bound=not _into_table(sync.value, target))
        yield from table_rules.filtered(sync.value, dialect)
    parts = sync.value.partitions
    if isinstance(parts, TimeWindows) and parts.end is not None and not windows.holds_any(parts, sync.time_zone):
        yield Trouble(("partitions", "end"), f"leaves no whole {parts.every} after start", "move it, or leave it out")
    if sync.value.table is not None and not all(part.strip() for part in sync.value.table.split(".")):
        yield Trouble(("table",), "is not the name of a table", "write table or schema.table")


def _into_table(sync: SyncSpec, target: Connection | None) -> bool:
    """Which kind of target is meant. Where the connection is not known, the sync's own fields tell."""
    if target is None:
        return sync.bitable is None and sync.into is not None
    return target.type in _DIALECTS


def _windows(replica: Replica) -> Iterator[Trouble]:
    for name, table in replica.value.overrides.items():
        parts = table.partitions
        if isinstance(parts, TimeWindows) and parts.end and not windows.holds_any(parts, replica.time_zone):
            yield Trouble(("overrides", name, "partitions", "end"), f"leaves no whole {parts.every} after start",
                          "move it, or leave it out")  # fmt: skip


def _peers(exchanges: Iterable[Exchange]) -> list[tuple[str, Document, Loc, str]]:
    """Syncs are kept by the name of the peer: two of one name would stand in each other's way."""
    each = [(e, at, peer) for e in exchanges for at, peer in enumerate(e.value.peers)]
    return [("peer", e.document, ("peers", at), peer.name) for e, at, peer in each]


def _distinct(entries: Iterable[tuple[str, Document, Loc, str]]) -> Iterator[Found]:
    first: dict[str, tuple[str, Document]] = {}
    for kind, document, loc, name in entries:
        if name in first:
            other, holder = first[name]
            where = "this file" if holder.path == document.path else shown(holder.path)
            hint = f"it is in {where} already; names are unique in the whole deployment"
            message = f"there is a second {kind} {name}" if other == kind else f"{name} is the name of a {other}, too"
            yield document, Trouble((*loc, "name"), message, hint)
        first.setdefault(name, (kind, document))


# -- references to connections ----------------------------------------------------------------------------------

_WANTED: dict[str, tuple[str, Callable[[Connection], bool]]] = {
    "source": ("a database (mysql, postgres, sqlite)", lambda c: not isinstance(c, Feishu | FeishuBot)),
    "target": ("a feishu connection or a database", lambda c: not isinstance(c, FeishuBot)),
    "alerts": ("a feishu_bot connection", lambda c: isinstance(c, FeishuBot)),
}
_WANTED_BY_REPLICA = {**_WANTED, "target": _WANTED["source"]}
REPLICA = "sync_assets.components.DatabaseReplica"
FLEET = "sync_assets.components.DatabaseFleet"
EXCHANGE = "sync_assets.components.RepositoryExchange"


def _references(document: Document, known: dict[str, Connection], pieces: Pieces) -> Iterator[Trouble]:
    for place, (wanted, fits) in (_WANTED_BY_REPLICA if document.type == REPLICA else _WANTED).items():
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


def _of_fleet(document: Document, known: dict[str, Connection], pieces: Pieces) -> Iterator[Trouble]:
    from sync_assets.project import fleet_rules

    may_exist = partial(_may_exist, pieces=pieces)
    yield from fleet_rules.of_fleet(document.attributes, document.path, known, may_exist)


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

    text = _seen_through(sync.link)
    if not text:
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


def _shared_tables(syncs: Sequence[Sync]) -> Iterator[Found]:
    """A table is one asset, made by one sync; of two that write it neither could prove what it holds."""
    first: dict[tuple[str, str], Sync] = {}
    for sync in syncs:
        key = (sync.target or "", sync.value.into or (sync.value.table or "").split(".")[-1])
        if key[1] and key in first:
            other = first[key].value.name
            message = f"{other} writes to the table {key[1]} already"
            yield sync.document, Trouble((*sync.loc, "into"), message, "write into another table")
        first.setdefault(key, sync)


def _board(sync: SyncSpec) -> tuple[str, str, str] | None:
    from sync_assets.feishu.link import parse_link

    try:
        link = parse_link(_seen_through(sync.link) or "")
    except Stop:
        return None
    return link.host, link.token, link.table_id or f"name:{(sync.table_name or '').strip()}"


# -- queries ----------------------------------------------------------------------------------------------------


def _queries(sync: SyncSpec, dialect: Dialect, bound: bool) -> Iterator[Trouble]:
    if sync.query is not None:
        names = yield from _parsed(("query",), sync.query, dialect)
        if names is not None:
            yield from _bound(sync, names) if bound else table_rules.unbound(names)
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
