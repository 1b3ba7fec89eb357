"""What one look at a database server brings back, as values: principals, memberships, grants, sizes, and how each
section of the look came out.

Every section has its own status. A section that is not ``ok`` says nothing about the server: it is never compared,
and what was known before stays. Nothing here holds a password hash. Knows no database's catalog.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

Scalar = str | int | float | bool | None


class SectionName(StrEnum):
    """The relations that a collector reads."""

    PRINCIPALS = "principals"
    MEMBERSHIPS = "memberships"
    GRANTS = "grants"
    DATABASES = "databases"
    SIZES = "sizes"
    LOGS = "logs"
    TABLES = "tables"


class Status(StrEnum):
    """How a section came out: `DENIED` for a missing right, `UNSUPPORTED` where the server has no such thing."""

    OK = "ok"
    DENIED = "denied"
    UNSUPPORTED = "unsupported"
    ERROR = "error"


class SectionKey(NamedTuple):
    """A section, or the part of it that is read by itself: a database of PostgreSQL, a grant table of MySQL."""

    name: SectionName
    part: str = ""

    def __str__(self) -> str:
        return f"{self.name}({self.part})" if self.part else str(self.name)


@dataclass(frozen=True, slots=True)
class SectionState:
    """How one part came out. `reason` names the missing right and what to grant, never a value."""

    status: Status
    reason: str = ""
    rows: int = 0

    @property
    def ok(self) -> bool:
        return self.status is Status.OK


Sections = Mapping[SectionKey, SectionState]


class PrincipalKind(StrEnum):
    """`ROLE` cannot log in by its nature; `PUBLIC` is everybody; `EXTERNAL` is a group or user of a directory."""

    USER = "user"
    ROLE = "role"
    PUBLIC = "public"
    EXTERNAL = "external"


@dataclass(frozen=True, slots=True)
class Principal:
    """An account or role. `None` in a flag means unknown, never "no".

    `name` is the server's own spelling and the key inside an instance: ``user@host`` for MySQL and MariaDB (split at
    the last ``@``; a role of MariaDB is ``name@``), ``DOMAIN\\\\name`` for a login and ``[database].[name]`` for a
    user or role of a database of SQL Server, ``name`` or ``container.name`` for Oracle.
    `incarnation` tells a recreated account from the old one (oid, sid and creation date, user id and creation date);
    "" where the server has nothing of the kind. `attributes` are the engine's own: plugin, host,
    valid_until and password_changed_at (ISO texts), password_lifetime_days, connection_limit, create_role, ...
    """

    name: str
    kind: PrincipalKind
    incarnation: str = ""
    can_login: bool | None = None
    superuser: bool | None = None
    locked: bool | None = None
    has_password: bool | None = None
    system: bool = False
    attributes: tuple[tuple[str, Scalar], ...] = ()  # sorted by name
    part: str = ""  # of its section: a database of SQL Server, a container of Oracle, where those have accounts

    def attribute(self, name: str) -> Scalar:
        return dict(self.attributes).get(name)


class ScopeKind(StrEnum):
    """What a grant is about. The path holds the names from the outside in: (database, schema, table, column)."""

    GLOBAL = "global"
    DATABASE = "database"
    DATABASE_PATTERN = "database_pattern"  # of MySQL: the path is the pattern as it is stored, `_` and `%` live
    SCHEMA = "schema"
    TABLE = "table"
    COLUMN = "column"
    ROUTINE = "routine"
    SEQUENCE = "sequence"
    TYPE = "type"
    LANGUAGE = "language"
    FOREIGN_SERVER = "foreign_server"
    FOREIGN_DATA_WRAPPER = "foreign_data_wrapper"
    LARGE_OBJECT = "large_object"
    TABLESPACE = "tablespace"
    PARAMETER = "parameter"
    PROXY = "proxy"  # the path is the account that may be played
    DEFAULT = "default"  # default privileges: (database, schema or "", owner, kind of object)
    OTHER = "other"  # of SQL Server and Oracle: (class, names ...)


class Effect(StrEnum):
    GRANT = "grant"
    DENY = "deny"
    PARTIAL_REVOKE = "partial_revoke"


@dataclass(frozen=True, slots=True, order=True)
class MembershipKey:
    member: str
    role: str
    grantor: str = ""


@dataclass(frozen=True, slots=True)
class Membership:
    """`member` may use `role`. `inherits`: has its rights now; `can_set`: may become it; `default`: on at login."""

    member: str
    role: str
    grantor: str = ""
    admin: bool = False
    inherits: bool | None = None
    can_set: bool | None = None
    default: bool | None = None
    part: str = ""

    @property
    def key(self) -> MembershipKey:
        return MembershipKey(self.member, self.role, self.grantor)


@dataclass(frozen=True, slots=True, order=True)
class GrantKey:
    principal: str
    scope: ScopeKind
    path: tuple[str, ...]
    privilege: str
    effect: Effect = Effect.GRANT
    grantor: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """One explicit right, exactly as the server keeps it. `privilege` is upper case; `part` is its section's."""

    principal: str
    scope: ScopeKind
    path: tuple[str, ...]
    privilege: str
    effect: Effect = Effect.GRANT
    grantor: str = ""
    grantable: bool = False
    part: str = ""

    @property
    def key(self) -> GrantKey:
        return GrantKey(self.principal, self.scope, self.path, self.privilege, self.effect, self.grantor)


@dataclass(frozen=True, slots=True)
class ServerFact:
    """Which server answered: `engine` is a connection's type, `flavour` tells MariaDB from MySQL."""

    engine: str
    flavour: str
    version: tuple[int, ...]
    text: str = ""

    def __str__(self) -> str:
        return f"{self.flavour} {'.'.join(map(str, self.version))}"


@dataclass(frozen=True, slots=True)
class AccountReading:
    """All accounts of one server at one moment. `trips` counts the statements that were sent after the login."""

    server: ServerFact
    observed_at: datetime  # aware
    sections: Sections
    principals: tuple[Principal, ...] = ()
    memberships: tuple[Membership, ...] = ()
    grants: tuple[Grant, ...] = ()
    trips: int = 0


@dataclass(frozen=True, slots=True)
class AccountState:
    """What is known of an instance's accounts: the published state, or a reading completed by what was known before."""

    principals: Mapping[str, Principal] = field(default_factory=lambda: MappingProxyType({}))
    memberships: Mapping[MembershipKey, Membership] = field(default_factory=lambda: MappingProxyType({}))
    grants: Mapping[GrantKey, Grant] = field(default_factory=lambda: MappingProxyType({}))


# -- capacity


@dataclass(frozen=True, slots=True)
class DatabaseSize:
    """A database and its bytes on disk; `None` where they are not known. `incarnation`: an oid or creation date."""

    name: str
    incarnation: str = ""
    bytes: int | None = None
    data_bytes: int | None = None
    index_bytes: int | None = None
    log_bytes: int | None = None
    system: bool = False


@dataclass(frozen=True, slots=True)
class LogSize:
    """Logs of the server: ``wal``, ``binlog``, ``redo``, ``relay``, ``archive``."""

    kind: str
    bytes: int


@dataclass(frozen=True, slots=True)
class TableSize:
    """A table among the largest of its database. `rows` is the server's estimate."""

    database: str
    schema: str
    name: str
    bytes: int
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class CapacityReading:
    """All sizes of one server at one moment. An ok section DATABASES lists every database, sized or not."""

    server: ServerFact
    observed_at: datetime
    sections: Sections
    databases: tuple[DatabaseSize, ...] = ()
    logs: tuple[LogSize, ...] = ()
    tables: tuple[TableSize, ...] = ()
    trips: int = 0

    @property
    def total_bytes(self) -> int:
        """The instance's total: always the sum of its databases whose size is known."""
        return sum(d.bytes for d in self.databases if d.bytes is not None)

    @property
    def unknown(self) -> tuple[str, ...]:
        """Databases whose size is not known: with any, the total is no total."""
        return tuple(d.name for d in self.databases if d.bytes is None)
