"""What account statements do to the grants of a MariaDB server, as a model of its own: no SQL is read, no table.

A `Step` is a statement and its effect on a `Model`; the effect counts only if the server took the statement. After
the documentation of GRANT, REVOKE and roles; must not know how a collector reads them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sync_assets.fleet.model import Grant, Membership, PrincipalKind, ScopeKind

OPTION = "GRANT OPTION"
_TABLE = ["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "REFERENCES", "INDEX", "ALTER", "CREATE VIEW",
          "SHOW VIEW", "TRIGGER", "DELETE HISTORY"]  # fmt: skip
_DATABASE = [*_TABLE, "CREATE TEMPORARY TABLES", "LOCK TABLES", "CREATE ROUTINE", "ALTER ROUTINE", "EXECUTE", "EVENT"]
_GLOBAL = [*_DATABASE, "RELOAD", "SHUTDOWN", "PROCESS", "FILE", "SHOW DATABASES", "SUPER", "REPLICATION SLAVE",
           "BINLOG MONITOR", "CREATE USER", "CREATE TABLESPACE", "SET USER", "FEDERATED ADMIN", "CONNECTION ADMIN",
           "READ_ONLY ADMIN", "REPLICATION SLAVE ADMIN", "REPLICATION MASTER ADMIN", "BINLOG ADMIN", "BINLOG REPLAY",
           "SLAVE MONITOR"]  # fmt: skip
EVERY = {
    ScopeKind.GLOBAL: _GLOBAL, ScopeKind.DATABASE: _DATABASE, ScopeKind.DATABASE_PATTERN: _DATABASE,
    ScopeKind.TABLE: _TABLE, ScopeKind.COLUMN: ["SELECT", "INSERT", "UPDATE", "REFERENCES"],
    ScopeKind.ROUTINE: ["EXECUTE", "ALTER ROUTINE"],
}  # fmt: skip
PARTS = {
    ScopeKind.GLOBAL: "global", ScopeKind.DATABASE: "database", ScopeKind.DATABASE_PATTERN: "database",
    ScopeKind.TABLE: "table", ScopeKind.COLUMN: "column", ScopeKind.ROUTINE: "routine", ScopeKind.PROXY: "proxy",
}  # fmt: skip
Level = tuple[ScopeKind, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Who:
    """An account (`host` is text), or a role (`host` is None)."""

    user: str
    host: str | None

    @property
    def key(self) -> str:
        """As the server stores it: no characters beyond the basic plane, hosts in small letters."""
        return f"{stored(self.user)}@{(self.host or '').lower()}"

    @property
    def sql(self) -> str:
        if self == PUBLIC:
            return "public"
        return ticked(self.user) + ("" if self.host is None else "@" + ticked(self.host))


PUBLIC = Who("PUBLIC", None)


def stored(name: str) -> str:
    return "".join("?" if ord(letter) > 0xFFFF else letter for letter in name)


def ticked(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


@dataclass(slots=True)
class Account:
    kind: PrincipalKind
    locked: bool | None = None
    has_password: bool | None = None


@dataclass(slots=True)
class Model:
    """All accounts but those of the installation, with their rights."""

    accounts: dict[str, Account] = field(default_factory=dict)
    rights: dict[tuple[str, Level], set[str]] = field(default_factory=dict)
    members: dict[tuple[str, str], bool] = field(default_factory=dict)  # (member, role): admin
    defaults: dict[str, str] = field(default_factory=dict)

    def name(self, who: Who) -> str:
        """A name without a host is a role if there is one, else the account at every host."""
        role = who.host is None and who != PUBLIC and who.key not in self.accounts
        return f"{stored(who.user)}@%" if role else who.key

    def at(self, name: str, level: Level) -> set[str]:
        return self.rights.setdefault((name, level), set())

    def grants(self) -> set[Grant]:
        return {g for (name, level), held in self.rights.items() for g in self._of(name, level, held)}

    def _of(self, name: str, level: Level, held: set[str]) -> Iterable[Grant]:
        scope, path = level
        table = (ScopeKind.TABLE, path[:2]) if scope is ScopeKind.COLUMN else level
        option = OPTION in self.rights.get((name, table), ())
        names = held - {OPTION} or ({"USAGE"} if OPTION in held and scope is not ScopeKind.PROXY else set())
        return [Grant(name, scope, path, p, grantable=option, part=PARTS[scope]) for p in names]

    def memberships(self) -> set[Membership]:
        return {
            Membership(m, r, admin=admin, inherits=True, can_set=not m.endswith("@"),
                       default=None if m.endswith("@") else self.defaults.get(m) == r)
            for (m, r), admin in self.members.items()
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    sql: str
    effect: Callable[[Model], None]


# -- accounts


def create_user(who: Who, password: str | None, locked: bool) -> Step:
    """`password`: None for one that the socket lets in."""
    by = " identified via unix_socket" if password is None else f" identified by '{password}'" if password else ""
    full = None if password is None else bool(password)

    def effect(model: Model) -> None:
        model.accounts[who.key] = Account(PrincipalKind.USER, locked, full)

    return Step(f"create user {who.sql}{by}{' account lock' if locked else ''}", effect)


def create_role(role: Who, admin: Who) -> Step:
    def effect(model: Model) -> None:
        model.members[model.name(admin), role.key] = True
        model.accounts[role.key] = Account(PrincipalKind.ROLE)

    return Step(f"create role {role.sql} with admin {admin.sql}", effect)


def drop(who: Who) -> Step:
    def effect(model: Model) -> None:
        name = who.key
        del model.accounts[name]
        model.rights = {k: v for k, v in model.rights.items() if k[0] != name}
        model.members = {k: v for k, v in model.members.items() if name not in k}
        model.defaults.pop(name, None)

    return Step(f"drop {'role' if who.host is None else 'user'} {who.sql}", effect)


def rename(old: Who, new: Who) -> Step:
    def effect(model: Model) -> None:
        def now(name: str) -> str:
            return new.key if name == old.key else name

        model.accounts = {now(k): v for k, v in model.accounts.items()}
        model.rights = {(now(name), level): v for (name, level), v in model.rights.items()}
        model.members = {(now(m), r): v for (m, r), v in model.members.items()}
        model.defaults = {now(k): v for k, v in model.defaults.items()}

    return Step(f"rename user {old.sql} to {new.sql}", effect)


def lock(who: Who, locked: bool) -> Step:
    def effect(model: Model) -> None:
        model.accounts[who.key].locked = locked

    return Step(f"alter user {who.sql} account {'lock' if locked else 'unlock'}", effect)


# -- roles


def join(role: Who, member: Who, admin: bool) -> Step:
    def effect(model: Model) -> None:
        _known(model, member)
        key = (model.name(member), role.key)
        model.members[key] = model.members.get(key, False) or admin

    return Step(f"grant {role.sql} to {member.sql}{' with admin option' if admin else ''}", effect)


def leave(role: Who, member: Who, admin_only: bool) -> Step:
    def effect(model: Model) -> None:
        key = (model.name(member), role.key)
        if admin_only:
            model.members[key] = False
        else:
            del model.members[key]

    return Step(f"revoke {'admin option for ' if admin_only else ''}{role.sql} from {member.sql}", effect)


def default_role(role: Who | None, who: Who) -> Step:
    def effect(model: Model) -> None:
        model.defaults.pop(model.name(who), None)
        if role:
            model.defaults[model.name(who)] = role.key

    return Step(f"set default role {role.sql if role else 'none'} for {who.sql}", effect)


# -- rights


def level_sql(level: Level, stored_name: str = "") -> str:
    """`stored_name`: the database as it is written, with its escapes."""
    scope, path = level
    if scope is ScopeKind.GLOBAL:
        return "*.*"
    if scope in (ScopeKind.DATABASE, ScopeKind.DATABASE_PATTERN):
        return f"{ticked(stored_name or path[0])}.*"
    kind = f"{path[2]} " if scope is ScopeKind.ROUTINE else ""
    return f"{kind}{ticked(path[0])}.{ticked(path[1])}"


def grant(level: Level, names: list[str], who: Who, option: bool, written: str = "") -> Step:
    """`names` empty: ALL PRIVILEGES."""
    column = level[0] is ScopeKind.COLUMN

    def effect(model: Model) -> None:
        _known(model, who)
        held = model.at(model.name(who), level)
        held |= set(names or EVERY[level[0]])
        if option:
            model.at(model.name(who), (ScopeKind.TABLE, level[1][:2]) if column else level).add(OPTION)

    listed = _listed(level, names)
    return Step(f"grant {listed} on {level_sql(level, written)} to {who.sql}{' with grant option' * option}", effect)


def revoke(level: Level, names: list[str], who: Who, written: str = "") -> Step:
    """Privileges that are taken from a table are taken from its columns with it. GRANT OPTION goes only by name."""

    def effect(model: Model) -> None:
        gone = set(names or EVERY[level[0]])
        model.rights[model.name(who), level] = model.at(model.name(who), level) - gone
        if level[0] is ScopeKind.TABLE:
            for (name, (scope, path)), held in model.rights.items():
                if name == model.name(who) and scope is ScopeKind.COLUMN and path[:2] == level[1]:
                    held -= gone

    return Step(f"revoke {_listed(level, names)} on {level_sql(level, written)} from {who.sql}", effect)


def _listed(level: Level, names: list[str]) -> str:
    column = f" ({ticked(level[1][2])})" if level[0] is ScopeKind.COLUMN else ""
    return ", ".join(name.lower() + column for name in names) or "all privileges"


def revoke_everything(who: Who) -> Step:
    """All privileges on everything, and the roles too."""

    def effect(model: Model) -> None:
        model.rights = {k: v for k, v in model.rights.items() if k[0] != model.name(who) or k[1][0] is ScopeKind.PROXY}
        model.members = {k: v for k, v in model.members.items() if k[0] != model.name(who)}

    return Step(f"revoke all privileges, grant option from {who.sql}", effect)


def grant_proxy(proxied: Who, who: Who, option: bool) -> Step:
    """MariaDB gives GRANT OPTION on everything along with the one for the proxy, and keeps the first row as it is."""
    level: Level = (ScopeKind.PROXY, (proxied.key,))

    def effect(model: Model) -> None:
        model.rights.setdefault((model.name(who), level), {"PROXY"} | ({OPTION} if option else set()))
        if option:
            model.at(model.name(who), (ScopeKind.GLOBAL, ())).add(OPTION)

    return Step(f"grant proxy on {proxied.sql} to {who.sql}{' with grant option' * option}", effect)


def revoke_proxy(proxied: Who, who: Who) -> Step:
    def effect(model: Model) -> None:
        del model.rights[model.name(who), (ScopeKind.PROXY, (proxied.key,))]

    return Step(f"revoke proxy on {proxied.sql} from {who.sql}", effect)


def _known(model: Model, who: Who) -> None:
    """PUBLIC is there from the first grant to it on."""
    if who == PUBLIC:
        model.accounts.setdefault(who.key, Account(PrincipalKind.PUBLIC))
