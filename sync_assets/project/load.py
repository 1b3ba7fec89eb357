"""Loads a deployment: every YAML file below a folder, validated whole, every fault of every file reported at once.

    load_project(folder) -> Project        raises ProjectInvalid (a Stop) with all faults, each with file and line
    load_file(path) -> Project             one file outside of the project, the same format

Documents of other component types are left alone. Knows neither Dagster nor any server.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel, TypeAdapter, ValidationError

from sync_assets.engine.errors import Stop
from sync_assets.project import documents, rules
from sync_assets.project.deployment import (
    PlacedExchange,
    PlacedFleet,
    PlacedReplica,
    PlacedSync,
    Project,
    connections_of,
    home_schema,
)
from sync_assets.project.documents import Document, Unreadable, place, shown
from sync_assets.project.faults import Fault, ProjectInvalid, Trouble, listed
from sync_assets.project.replica_spec import DatabaseReplicaSpec
from sync_assets.project.rules import EXCHANGE, FLEET, REPLICA, Exchange, Fleet, Found, Named, Pieces, Replica, Sync
from sync_assets.project.spec import Connection, ConnectionsSpec, SyncSpec, TableSyncSpec, cron_troubles, zone_troubles
from sync_assets.project.wording import troubles

__all__ = ["PlacedExchange", "PlacedFleet", "PlacedReplica", "PlacedSync", "Project", "ProjectInvalid",
           "connections_of", "load_file", "load_project", "time_zone_of_deployment", "validate_attributes"]  # fmt: skip

CONNECTIONS = "sync_assets.components.Connections"
TABLE_SYNC = "sync_assets.components.TableSync"
TYPES = (CONNECTIONS, TABLE_SYNC, REPLICA, FLEET, EXCHANGE)
TIME_ZONE = "SYNC_ASSETS_TIME_ZONE"
_FILES = ("defs.yaml", "defs.yml")  # what Dagster reads
_BESIDE = ("type", "attributes", "template_vars_module", "requirements", "post_processing")

_Model = TypeVar("_Model", bound=BaseModel)
_connection: TypeAdapter[Connection] = TypeAdapter(Connection)


def load_project(folder: Path) -> Project:
    """Load all YAML below `folder` (usually sync_assets/defs). An empty or missing folder is an empty project.

    Raises `ProjectInvalid` with every fault of every file, `Stop` when the deployment's time zone does not exist.
    """
    paths = sorted({*folder.rglob("*.yaml"), *folder.rglob("*.yml")})
    read, faults = _read(paths)
    faults += [f for d in read for f in _misplaced(d, folder, read)]
    return _assembled(read, faults, _empty())


def load_file(path: Path, project: Project | None = None) -> Project:
    """Load one file by itself; it may use the connections of `project`. Raises as `load_project`, and `Stop` when
    the file does not exist or holds no sync."""
    if not path.is_file():
        raise Stop(f"there is no file {path}", hint="give the path of a YAML file, or the name of a sync", code="file")
    read, faults = _read([path])
    found = _assembled(read, faults, project or _empty())
    own = {name: sync for name, sync in found.syncs.items() if sync.path == path}
    replicas = {name: replica for name, replica in found.replicas.items() if replica.path == path}
    if not own and not replicas:
        raise Stop(f"{shown(path)} holds no sync", hint=f"it needs a document of type {TABLE_SYNC}", code="file")
    return replace(found, syncs=MappingProxyType(own), replicas=MappingProxyType(replicas))


def validate_attributes(model: type[_Model], attributes: Mapping[str, Any], path: Path, *, document: int = 0) -> _Model:
    """The attributes of one document as `model`. Raises `ProjectInvalid` in the words of the loader."""
    try:
        return model.model_validate(attributes)
    except ValidationError as error:
        where = Document(path, document, {"attributes": attributes})
        raise ProjectInvalid(_placed((where, t) for t in troubles(error, model, attributes))) from None


def time_zone_of_deployment(environment: Mapping[str, str] = os.environ) -> ZoneInfo:
    """SYNC_ASSETS_TIME_ZONE, or Asia/Shanghai. Raises `Stop` when there is no such zone."""
    name = environment.get(TIME_ZONE) or "Asia/Shanghai"
    for trouble in zone_troubles(name):
        raise Stop(f"{TIME_ZONE}: {trouble.message}", hint=f"set it to a name {trouble.hint}", code="time_zone")
    return ZoneInfo(name)


def _empty() -> Project:
    return Project(MappingProxyType({}), MappingProxyType({}), time_zone_of_deployment())


# -- files ------------------------------------------------------------------------------------------------------


def _read(paths: Iterable[Path]) -> tuple[list[Document], list[Fault]]:
    """The documents that could be read, and a fault for each file that could not."""
    read: list[Document] = []
    faults: list[Fault] = []
    for path in paths:
        try:
            found = documents.read(path)
        except Unreadable as error:
            faults.append(Fault(shown(path), error.line, "", error.message, error.hint))
            continue
        read += found
        if not found and path.name in _FILES:
            faults.append(Fault(shown(path), 1, "", "is empty", "write a document into it, or delete it"))
    return read, faults


def _misplaced(document: Document, folder: Path, read: Sequence[Document]) -> Iterator[Fault]:
    """Dagster reads one defs.yaml a folder, and nothing below it: what it would pass over silently is a fault."""
    if document.type not in TYPES:
        return
    path = document.path
    if path.name not in _FILES:
        hint = f"Dagster reads files called defs.yaml only: move it to {shown(path.with_suffix('') / 'defs.yaml')}"
        yield Fault(shown(path), documents.lines(path).line(document.index, ()), "", "would not be loaded", hint)
        return
    inside = [p for p in path.parent.parents if p == folder or folder in p.parents]
    for above in read:
        if above.path.name in _FILES and above.path.parent in inside and above.type in TYPES:
            hint = f"Dagster reads nothing below a folder with a defs.yaml: move one of it and {shown(above.path)}"
            yield Fault(shown(path), 1, "", "would not be loaded", hint)
            return


# -- from documents to a project --------------------------------------------------------------------------------


def _assembled(read: Sequence[Document], faults: Sequence[Fault], base: Project) -> Project:
    pieces, found = Pieces(complete=not faults), list[Found]()
    for document in read:
        if _ours(document):
            found += [(document, t) for t in _pieces(document, pieces, base.time_zone)]
    pieces.declared |= set(base.connections)
    found += rules.check(_with_base(pieces, base))
    if found or faults:
        raise ProjectInvalid([*faults, *_placed(found)])
    known = {**base.connections, **{c.value.name: c.value for c in pieces.connections}}
    syncs = {s.value.name: _placed_sync(s, known) for s in pieces.syncs}
    replicas = {r.value.name: _placed_replica(r, known) for r in pieces.replicas}
    fleets = {f.value.name: _placed_fleet(f) for f in pieces.fleets}
    exchanges = {e.value.name: _placed_exchange(e) for e in pieces.exchanges}
    return Project(
        connections=MappingProxyType(known),
        syncs=MappingProxyType(syncs),
        time_zone=base.time_zone,
        replicas=MappingProxyType(replicas),
        fleets=MappingProxyType(fleets),
        exchanges=MappingProxyType(exchanges),
    )


def _with_base(pieces: Pieces, base: Project) -> Pieces:
    outside = Document(Path("the project"), 0, {})
    given = [Named(outside, (), c) for c in base.connections.values()]
    return replace(pieces, connections=[*given, *pieces.connections])


def _ours(document: Document) -> bool:
    return document.type in TYPES or document.type.startswith("sync_assets.") or not document.type


def _pieces(document: Document, pieces: Pieces, default: ZoneInfo) -> Iterator[Trouble]:
    """Sort what is valid into `pieces`, yield what is not."""
    if document.type not in TYPES:
        yield from _typeless(document)
        return
    for name in document.data:
        if name not in _BESIDE:
            yield Trouble((), f"{name} is no field here", f"known are {listed(_BESIDE, str(name))}")
    attributes = document.attributes
    if not isinstance(attributes, dict):
        yield Trouble((), "attributes is missing or holds no fields", "write attributes: and the fields below it")
    elif document.type == CONNECTIONS:
        yield from _connections(document, attributes, pieces)
    elif document.type == REPLICA:
        yield from _replica(document, attributes, pieces, default)
    elif document.type == FLEET:
        yield from _fleet(document, attributes, pieces, default)
    elif document.type == EXCHANGE:
        yield from _exchange(document, attributes, pieces, default)
    else:
        yield from _syncs(document, attributes, pieces, default)


def _typeless(document: Document) -> Iterator[Trouble]:
    if document.type:
        right = listed(TYPES, document.type)
        yield Trouble((), f"{document.type} is not a type of component", f"known are {right}")
    elif document.path.name in _FILES:
        yield Trouble((), "has no type", f"begin the document with type: {TABLE_SYNC} or type: {CONNECTIONS}")


def _replica(document: Document, attributes: dict[str, Any], pieces: Pieces, default: ZoneInfo) -> Iterator[Trouble]:
    def add(valid: DatabaseReplicaSpec) -> None:
        pieces.replicas.append(Replica(document, valid, _zone(attributes, default)))

    return _one(document, attributes, pieces, DatabaseReplicaSpec, add)


def _fleet(document: Document, attributes: dict[str, Any], pieces: Pieces, default: ZoneInfo) -> Iterator[Trouble]:
    from sync_assets.project.fleet_spec import DatabaseFleetSpec

    def add(valid: DatabaseFleetSpec) -> None:
        pieces.fleets.append(Fleet(document, valid, _zone(attributes, default)))

    return _one(document, attributes, pieces, DatabaseFleetSpec, add)


def _exchange(document: Document, attributes: dict[str, Any], pieces: Pieces, default: ZoneInfo) -> Iterator[Trouble]:
    from sync_assets.project.exchange_spec import RepositoryExchangeSpec

    def add(valid: RepositoryExchangeSpec) -> None:
        pieces.exchanges.append(Exchange(document, valid, _zone(attributes, default)))

    return _one(document, attributes, pieces, RepositoryExchangeSpec, add)


def _one(
    document: Document, attributes: dict[str, Any], pieces: Pieces, model: type[_Model], add: Callable[[_Model], None]
) -> Iterator[Trouble]:
    """A document that is one thing: it is added when it is valid as a whole."""
    pieces.heads.append(document)
    try:
        valid = model.model_validate(attributes)
    except ValidationError as error:
        yield from troubles(error, model, attributes)
    else:
        add(valid)


def _connections(document: Document, attributes: dict[str, Any], pieces: Pieces) -> Iterator[Trouble]:
    items = attributes.get("connections")
    entries = items if isinstance(items, list) else []
    pieces.declared |= {str(e["name"]) for e in entries if isinstance(e, dict) and "name" in e}
    try:
        valid = ConnectionsSpec.model_validate(attributes)
    except ValidationError as error:
        yield from troubles(error, ConnectionsSpec, attributes)
        each = [(at, _valid_connection(e)) for at, e in enumerate(entries)]
    else:
        each = list(enumerate(valid.connections))
    pieces.connections += [Named(document, ("connections", at), c) for at, c in each if c is not None]


def _valid_connection(entry: Any) -> Connection | None:
    try:
        return _connection.validate_python(entry)
    except ValidationError:
        return None


def _syncs(document: Document, attributes: dict[str, Any], pieces: Pieces, default: ZoneInfo) -> Iterator[Trouble]:
    pieces.heads.append(document)
    items = attributes.get("syncs")
    entries = items if isinstance(items, list) else []
    try:
        valid = TableSyncSpec.model_validate(attributes)
    except ValidationError as error:
        found = troubles(error, TableSyncSpec, attributes)
        yield from found
        yield from _head(attributes, found)
        each = [(at, _valid_sync(e)) for at, e in enumerate(entries)]
    else:
        each = list(enumerate(valid.syncs))
    zone = _zone(attributes, default)
    source, target = (v if isinstance(v, str) else None for v in (attributes.get("source"), attributes.get("target")))
    pieces.syncs += [Sync(document, ("syncs", at), s, source, target, zone) for at, s in each if s is not None]


def _valid_sync(entry: Any) -> SyncSpec | None:
    try:
        return SyncSpec.model_validate(entry)
    except ValidationError:
        return None


def _head(attributes: dict[str, Any], found: Sequence[Trouble]) -> Iterator[Trouble]:
    """Rules of the document's head, which pydantic does not come to while one of its syncs is wrong."""
    schedule, zone = attributes.get("schedule"), attributes.get("time_zone")
    told = {t.loc for t in found}
    head = [*cron_troubles(schedule if isinstance(schedule, str) else None),
            *zone_troubles(zone if isinstance(zone, str) else None)]  # fmt: skip
    yield from (t for t in head if t.loc not in told)


def _zone(attributes: dict[str, Any], default: ZoneInfo) -> ZoneInfo:
    name = attributes.get("time_zone")
    return ZoneInfo(name) if isinstance(name, str) and not list(zone_troubles(name)) else default


def _placed_replica(replica: Replica, known: Mapping[str, Connection]) -> PlacedReplica:
    path, spec = replica.document.path, replica.value
    return PlacedReplica(
        spec=spec,
        time_zone=replica.time_zone,
        path=path,
        file=_short_name(path),
        document=replica.document.index,
        homes=(home_schema(known[spec.source]), home_schema(known[spec.target])),
    )


def _placed_fleet(fleet: Fleet) -> PlacedFleet:
    path = fleet.document.path
    return PlacedFleet(fleet.value, fleet.time_zone, path, _short_name(path), fleet.document.index)


def _placed_exchange(exchange: Exchange) -> PlacedExchange:
    path = exchange.document.path
    return PlacedExchange(exchange.value, exchange.time_zone, path, _short_name(path), exchange.document.index)


def _short_name(path: Path) -> str:
    return path.parent.name if path.name in _FILES else path.stem


def _placed_sync(sync: Sync, known: Mapping[str, Connection]) -> PlacedSync:
    attributes, path = sync.document.attributes, sync.document.path
    return PlacedSync(
        spec=sync.value,
        source=attributes["source"],
        target=attributes["target"],
        schedule=sync.value.schedule or attributes.get("schedule"),
        alerts=attributes.get("alerts"),
        time_zone=sync.time_zone,
        path=path,
        file=_short_name(path),
        document=sync.document.index,
        position=int(sync.loc[-1]),
        homes=(home_schema(known[attributes["source"]]), home_schema(known[attributes["target"]])),
    )


def _placed(found: Iterable[Found]) -> list[Fault]:
    """Troubles with their files, lines and readable places."""
    faults = []
    for document, trouble in found:
        way = ("attributes", *trouble.loc) if trouble.loc else ()
        line = documents.lines(document.path).line(document.index, way)
        where = place(document.attributes, trouble.loc)
        faults.append(Fault(shown(document.path), line, where, trouble.message, trouble.hint))
    return faults
