"""A deployment as loaded: its connections and syncs, each with the place where it is written. Values only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from sync_assets.engine.errors import Stop
from sync_assets.engine.tables.shape import TableName
from sync_assets.project import documents
from sync_assets.project.faults import listed
from sync_assets.project.replica_spec import DatabaseReplicaSpec
from sync_assets.project.spec import Connection, Database, Feishu, FeishuBot, MySQL, Postgres, SQLite, SyncSpec

if TYPE_CHECKING:
    from sync_assets.project.exchange_spec import RepositoryExchangeSpec
    from sync_assets.project.fleet_spec import DatabaseFleetSpec


@dataclass(frozen=True, slots=True)
class PlacedSync:
    """A sync with what its file says for all syncs of the file.

    `schedule` is the sync's own or the file's. `file` is the short name of the file: that of the folder for a
    `defs.yaml`. `document` and `position` say where in the file it stands. `homes` are the schemas that tables without
    a written one are in, at the source and the target; empty where that is not known without asking. `replica` is the
    name of the replica that a table belongs to, empty for a sync that stands by itself; `beside` says where that takes
    other tables of the source, `objects` whether it takes their views and triggers, too.
    """

    spec: SyncSpec
    source: str
    target: str
    schedule: str | None
    alerts: str | None
    time_zone: ZoneInfo
    path: Path
    file: str
    document: int = 0
    position: int = 0
    homes: tuple[str, str] = ("", "")
    replica: str = ""
    beside: Callable[[TableName], TableName | None] | None = field(default=None, compare=False, repr=False)
    objects: bool = False

    @property
    def into_table(self) -> bool:
        """Whether the target is a table of a database, and no board."""
        return self.spec.bitable is None

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def line(self) -> int:
        """The line it begins on; looked up when asked for."""
        way = ("attributes", "syncs", self.position)
        return documents.lines(self.path).line(self.document, way)


@dataclass(frozen=True, slots=True)
class PlacedReplica:
    """A replica with the place where it is written. Its tables are in the source (`project.replicas`)."""

    spec: DatabaseReplicaSpec
    time_zone: ZoneInfo
    path: Path
    file: str
    document: int = 0
    homes: tuple[str, str] = ("", "")

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def line(self) -> int:
        return documents.lines(self.path).line(self.document, ("attributes", "name"))


@dataclass(frozen=True, slots=True)
class PlacedFleet:
    """A fleet with the place where it is written. Its instances are in `project.fleet.members`."""

    spec: DatabaseFleetSpec
    time_zone: ZoneInfo
    path: Path
    file: str
    document: int = 0

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def line(self) -> int:
        return documents.lines(self.path).line(self.document, ("attributes", "name"))


@dataclass(frozen=True, slots=True)
class PlacedExchange:
    """An exchange with the place where it is written. Its peers are reached in `project.exchange.placed`."""

    spec: RepositoryExchangeSpec
    time_zone: ZoneInfo
    path: Path
    file: str
    document: int = 0

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def line(self) -> int:
        return documents.lines(self.path).line(self.document, ("attributes", "name"))


@dataclass(frozen=True, slots=True)
class Project:
    """Everything that the YAML files of a deployment say, checked as a whole."""

    connections: Mapping[str, Connection]
    syncs: Mapping[str, PlacedSync]
    time_zone: ZoneInfo
    replicas: Mapping[str, PlacedReplica] = field(default_factory=lambda: MappingProxyType({}))
    fleets: Mapping[str, PlacedFleet] = field(default_factory=lambda: MappingProxyType({}))
    exchanges: Mapping[str, PlacedExchange] = field(default_factory=lambda: MappingProxyType({}))

    def sync(self, name: str) -> PlacedSync:
        """Raises `Stop` that names the nearest for a sync that does not exist."""
        if name not in self.syncs:
            raise Stop(f"there is no sync {name!r}", hint=_choice(name, self.syncs), code="sync")
        return self.syncs[name]

    def replica(self, name: str) -> PlacedReplica:
        """Raises `Stop` that names the nearest for a replica that does not exist."""
        if name not in self.replicas:
            raise Stop(f"there is no replica {name!r}", hint=_choice(name, self.replicas), code="replica")
        return self.replicas[name]

    def fleet(self, name: str) -> PlacedFleet:
        """Raises `Stop` that names the nearest for a fleet that does not exist."""
        if name not in self.fleets:
            raise Stop(f"there is no fleet {name!r}", hint=_choice(name, self.fleets), code="fleet")
        return self.fleets[name]

    def exchange(self, name: str) -> PlacedExchange:
        """Raises `Stop` that names the nearest for an exchange that does not exist."""
        if name not in self.exchanges:
            raise Stop(f"there is no exchange {name!r}", hint=_choice(name, self.exchanges), code="exchange")
        return self.exchanges[name]

    def connection(self, name: str) -> Connection:
        """Raises `Stop` that names the nearest for a connection that does not exist."""
        if name not in self.connections:
            raise Stop(f"there is no connection {name!r}", hint=_choice(name, self.connections), code="connection")
        return self.connections[name]


def _choice(name: str, known: Mapping[str, object]) -> str:
    return f"known are {listed(known, name)}" if known else "the project has none yet: write one into sync_assets/defs"


def home_schema(connection: Connection) -> str:
    """The schema of tables that are written without one, as far as it can be told without asking the server."""
    from sync_assets.store.secrets import expand

    if isinstance(connection, Postgres):
        return "public"
    if isinstance(connection, SQLite):
        return "main"
    if not isinstance(connection, MySQL) or connection.database is None:
        return ""
    try:
        return expand(connection.database)
    except Stop:  # a variable that is not set: told when the connection is used
        return ""


def connections_of(project: Project, sync: PlacedSync) -> tuple[Database, Feishu, FeishuBot | None]:
    """The source, the target and the bot of a sync; their kinds were checked when the project was loaded."""
    source, target = project.connection(sync.source), project.connection(sync.target)
    bot = project.connection(sync.alerts) if sync.alerts else None
    if isinstance(source, Feishu | FeishuBot) or not isinstance(target, Feishu):
        raise Stop(f"{sync.name}: its connections are of the wrong kinds", hint="load the project from its files")
    if bot is not None and not isinstance(bot, FeishuBot):
        raise Stop(f"{sync.name}: alerts names no feishu_bot", hint="load the project from its files")
    return source, target, bot
