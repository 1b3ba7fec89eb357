"""What PostgreSQL's catalogs say after a script of GRANTs and REVOKEs, worked out without PostgreSQL.

A model of roles, memberships (since version 16), ACLs with their grantors, and default privileges, by the rules of the
documentation and of the server's own aclupdate and recursive_revoke. It holds what a collector should say of them.
Knows no SQL and no collector.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sync_assets.fleet.model import Effect, Grant, Membership, ScopeKind

PUBLIC = "public"
Entry = tuple[str, str, str]  # grantee, privilege, grantor
Acl = dict[Entry, bool]  # -> with grant option

# Kind -> what the owner has, what everybody has, from the making.
RIGHTS: dict[ScopeKind, tuple[tuple[str, ...], tuple[str, ...]]] = {
    ScopeKind.TABLE: (("INSERT", "SELECT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER"), ()),
    ScopeKind.COLUMN: ((), ()),
    ScopeKind.SEQUENCE: (("SELECT", "UPDATE", "USAGE"), ()),
    ScopeKind.ROUTINE: (("EXECUTE",), ("EXECUTE",)),
    ScopeKind.TYPE: (("USAGE",), ("USAGE",)),
    ScopeKind.SCHEMA: (("USAGE", "CREATE"), ()),
    ScopeKind.LANGUAGE: (("USAGE",), ("USAGE",)),
    ScopeKind.FOREIGN_DATA_WRAPPER: (("USAGE",), ()),
    ScopeKind.FOREIGN_SERVER: (("USAGE",), ()),
    ScopeKind.LARGE_OBJECT: (("SELECT", "UPDATE"), ()),
    ScopeKind.DATABASE: (("CREATE", "CONNECT", "TEMPORARY"), ("CONNECT", "TEMPORARY")),
    ScopeKind.TABLESPACE: (("CREATE",), ()),
    ScopeKind.PARAMETER: (("SET", "ALTER SYSTEM"), ()),
}
COLUMN_RIGHTS = ("INSERT", "SELECT", "UPDATE", "REFERENCES")
_UNOWNED = (ScopeKind.COLUMN, ScopeKind.LARGE_OBJECT, ScopeKind.PARAMETER, ScopeKind.LANGUAGE, ScopeKind.DEFAULT)
_DIFFERENCES = (ScopeKind.LANGUAGE, ScopeKind.DEFAULT)  # of what the server made itself only differences are told


@dataclass
class Thing:
    """Something with an ACL. `path` is without the database."""

    kind: ScopeKind
    path: tuple[str, ...]
    owner: str
    acl: Acl = field(default_factory=dict)
    usual: Acl = field(default_factory=dict)

    def grants(self) -> Iterator[tuple[str, str, Effect, str, bool]]:
        """What a collector says of it: grantee, privilege, effect, grantor, grantable."""
        told = self.usual if self.kind in _DIFFERENCES else {k: v for k, v in self.usual.items() if k[0] == self.owner}
        for entry, grantable in self.acl.items():
            if told.get(entry) is not grantable:
                yield entry[0], entry[1], Effect.GRANT, entry[2], grantable
        for grantee, privilege, grantor in told.keys() - self.acl.keys():
            yield grantee, privilege, Effect.PARTIAL_REVOKE, grantor, False
        if self.kind not in _UNOWNED:
            yield self.owner, "OWNERSHIP", Effect.GRANT, "", False


@dataclass
class Member:
    admin: bool
    inherits: bool
    can_set: bool


@dataclass
class World:
    """One server with one database. `boss` is its bootstrap superuser, by whom things are done unless said."""

    boss: str
    database: str
    roles: dict[str, bool] = field(default_factory=dict)  # name -> INHERIT
    members: dict[tuple[str, str, str], Member] = field(default_factory=dict)  # role, member, grantor
    things: list[Thing] = field(default_factory=list)
    version: int = 16

    def rights(self, kind: ScopeKind) -> tuple[str, ...]:
        """What an owner has."""
        more = ("MAINTAIN",) if kind is ScopeKind.TABLE and self.version >= 17 else ()
        return RIGHTS[kind][0] + more

    def made(self, kind: ScopeKind, owner: str) -> Acl:
        """The ACL of a new object without default privileges."""
        everybody = {(PUBLIC, p, owner): False for p in RIGHTS[kind][1]}
        return {(owner, p, owner): False for p in self.rights(kind)} | everybody

    # -- what a collector should say

    def memberships(self) -> set[Membership]:
        return {
            Membership(member, role, grantor, m.admin, m.inherits, m.can_set)
            for (role, member, grantor), m in self.members.items()
        }

    def grants(self, *, cluster: bool) -> set[Grant]:
        whole = (ScopeKind.DATABASE, ScopeKind.TABLESPACE, ScopeKind.PARAMETER)
        part = "" if cluster else self.database
        return {
            Grant(who, t.kind, t.path if cluster else (part, *t.path), right, effect, grantor, grantable, part)
            for t in self.things
            if (t.kind in whole) is cluster
            for who, right, effect, grantor, grantable in t.grants()
        }

    # -- roles

    def rename(self, old: str, new: str) -> None:
        def now(name: str) -> str:
            return new if name == old else name

        self.roles = {now(name): inherit for name, inherit in self.roles.items()}
        self.members = {(now(a), now(b), now(c)): m for (a, b, c), m in self.members.items()}
        for thing in self.things:
            thing.owner = now(thing.owner)
            thing.acl = {(now(a), p, now(c)): v for (a, p, c), v in thing.acl.items()}
            thing.usual = {(now(a), p, now(c)): v for (a, p, c), v in thing.usual.items()}
            if thing.kind is ScopeKind.DEFAULT:
                thing.path = (thing.path[0], now(thing.path[1]), thing.path[2])

    def drop(self, name: str) -> None:
        """DROP OWNED and DROP ROLE, which the server refuses where somebody but an owner granted something."""
        gone = {t.path[0] for t in self.things if t.kind is ScopeKind.SCHEMA and t.owner == name}
        inside = (ScopeKind.TABLE, ScopeKind.COLUMN, ScopeKind.SEQUENCE, ScopeKind.ROUTINE, ScopeKind.TYPE)
        self.things = [
            t for t in self.things
            if t.owner != name and not ((t.kind in inside or t.kind is ScopeKind.DEFAULT) and t.path[0] in gone)
        ]  # fmt: skip
        for thing in self.things:
            for privilege in {p for who, p, _ in thing.acl if who == name}:
                self.revoke(thing, (privilege,), name, by=thing.owner)
        del self.roles[name]
        self.members = {key: m for key, m in self.members.items() if name not in key}

    # -- memberships

    def join(self, role: str, member: str, by: str, admin: bool, inherits: bool | None, can_set: bool | None) -> None:
        """GRANT role TO member; None leaves an option as it is, or as it is usual."""
        key = (role, member, by)
        new = Member(False, self.roles[member], True)
        found = self.members.setdefault(key, new)
        found.admin = found.admin or admin
        found.inherits = found.inherits if inherits is None else inherits
        found.can_set = found.can_set if can_set is None else can_set

    def leave(self, role: str, member: str, by: str, *, only_admin: bool = False) -> None:
        """REVOKE ... CASCADE."""
        key = (role, member, by)
        if key not in self.members:
            return
        if only_admin:
            self.members[key].admin = False
        else:
            del self.members[key]
        if any(m.admin for (r, who, _), m in self.members.items() if (r, who) == (role, member)):
            return
        for r, who, grantor in list(self.members):
            if (r, grantor) == (role, member):
                self.leave(r, who, grantor)

    def has_rights_of(self, name: str) -> set[str]:
        """The role itself and all that it inherits from."""
        found, todo = set[str](), [name]
        while todo:
            one = todo.pop()
            if one not in found:
                found.add(one)
                todo += [r for (r, member, _), m in self.members.items() if member == one and m.inherits]
        return found

    # -- ACLs

    def grant(self, thing: Thing, rights: Iterable[str], to: str, by: str, *, option: bool = False) -> None:
        for right in rights:
            entry = (to, right, by)
            thing.acl[entry] = thing.acl.get(entry, False) or option

    def revoke(self, thing: Thing, rights: Iterable[str], whose: str, by: str, *, only_option: bool = False) -> None:
        """REVOKE ... CASCADE: who loses the option to grant loses what it granted, unless it has the option still."""
        for right in rights:
            entry = (whose, right, by)
            if entry not in thing.acl:
                continue
            had = thing.acl[entry]
            if only_option:
                thing.acl[entry] = False
            else:
                del thing.acl[entry]
            if had and not self._may_grant(thing, whose, right):
                for grantee, privilege, grantor in list(thing.acl):
                    if (privilege, grantor) == (right, whose):
                        self.revoke(thing, (right,), grantee, grantor)

    def _may_grant(self, thing: Thing, who: str, right: str) -> bool:
        held = self.has_rights_of(who)
        return thing.owner in held or any(v for (g, p, _), v in thing.acl.items() if p == right and g in held)

    def give(self, thing: Thing, owner: str) -> None:
        """ALTER ... OWNER TO: the new owner takes the old one's place in the ACL."""
        old = thing.owner
        swapped: Acl = {}
        for (who, right, by), option in thing.acl.items():
            entry = (owner if who == old else who, right, owner if by == old else by)
            swapped[entry] = swapped.get(entry, False) or option
        thing.acl, thing.owner = swapped, owner
        thing.usual = self.made(thing.kind, owner)
