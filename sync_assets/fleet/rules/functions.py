"""What the functions of the rule language say of an account.

A function says "unknown" where a section that could hold the answer did not come out ok, and names that section.
Which functions there are, and what they take, is in `registry`. Must not know rules or classes.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from sync_assets.fleet.model import Effect, Grant, PrincipalKind, ScopeKind, SectionKey, SectionName
from sync_assets.fleet.rules.facts import AccountFacts, lacking, siblings
from sync_assets.fleet.rules.language import Argument
from sync_assets.fleet.rules.logic import FALSE, TRUE, Verdict, known, true, unknown
from sync_assets.fleet.rules.scopes import SCOPES, covers, everywhere, is_wildcard, names_of, within

Arguments = Mapping[str, Argument]
Answer = Callable[[AccountFacts, Arguments], Verdict]


# -- what the account itself says


def db_type_in(account: AccountFacts, args: Arguments) -> Verdict:
    here = account.instance
    return Verdict(any(word in (here.engine, here.flavour) for word in _texts(args, "types")))


def _own(account: AccountFacts) -> list[str]:
    """Why nothing can be said of the account's own flags, if so."""
    key = SectionKey(SectionName.PRINCIPALS, account.principal.part)
    section = account.instance.sections.get(key)
    if section is None:
        return [f"{key} was not read"]
    return [] if section.ok else [f"{key} is {section.status}"]


def _flag(account: AccountFacts, value: bool | None, name: str) -> Verdict:
    missing = _own(account)
    return unknown(missing) if missing else known(value, f"the server does not tell {name}")


def can_login(account: AccountFacts, args: Arguments) -> Verdict:
    return _flag(account, account.principal.can_login, "whether it can log in")


def is_locked(account: AccountFacts, args: Arguments) -> Verdict:
    return _flag(account, account.principal.locked, "whether it is locked")


def has_password(account: AccountFacts, args: Arguments) -> Verdict:
    return _flag(account, account.principal.has_password, "whether it has a password")


def is_expired(account: AccountFacts, args: Arguments) -> Verdict:
    return _flag(account, account.expired(), "whether it has expired")


def is_anonymous(account: AccountFacts, args: Arguments) -> Verdict:
    return _flag(account, account.user == "", "its name")


def is_system(account: AccountFacts, args: Arguments) -> Verdict:
    return _flag(account, account.principal.system, "whether it is its own")


def kind_in(account: AccountFacts, args: Arguments) -> Verdict:
    return _flag(account, str(account.principal.kind) in _texts(args, "kinds"), "its kind")


def name_matches(account: AccountFacts, args: Arguments) -> Verdict:
    return Verdict(fnmatch.fnmatchcase(account.user, _text(args, "pattern")))


def host_matches(account: AccountFacts, args: Arguments) -> Verdict:
    return Verdict(account.host is not None and fnmatch.fnmatchcase(account.host, _text(args, "pattern")))


def attribute_in(account: AccountFacts, args: Arguments) -> Verdict:
    value = account.principal.attribute(_text(args, "name"))
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    return _flag(account, value is not None and shown in _texts(args, "values"), "its attributes")


def auth_plugin_in(account: AccountFacts, args: Arguments) -> Verdict:
    found = [account.principal.attribute(a) for a in ("plugin", "password_type", "authentication")]
    found += str(account.principal.attribute("other_plugins") or "").split(", ")
    return _flag(account, any(one in _texts(args, "plugins") for one in found), "its plugin")


def password_age_gt(account: AccountFacts, args: Arguments) -> Verdict:
    return _older(account, "password_changed_at", args)


def last_seen_gt(account: AccountFacts, args: Arguments) -> Verdict:
    return _older(account, "last_seen_at", args)


def _older(account: AccountFacts, attribute: str, args: Arguments) -> Verdict:
    days = account.days_since(attribute)
    return _flag(account, None if days is None else days > _count(args, "days"), attribute)


def password_never_expires(account: AccountFacts, args: Arguments) -> Verdict:
    """By its own setting or the server's; without the attribute it has no password that could expire."""
    return _flag(account, account.principal.attribute("password_lifetime_days") == 0, "password_lifetime_days")


# -- what it may do


def is_superuser(account: AccountFacts, args: Arguments) -> Verdict:
    way = account.instance.superusers.get(account.name)
    if way is not None:
        return true(f"superuser: {way}")
    missing = [*_own(account), *_roles_missing(account)]
    missing += lacking(account.instance, SectionName.GRANTS, {ScopeKind.GLOBAL})
    if missing:
        return unknown(missing)
    return known(account.principal.superuser, "the server does not tell whether it is a superuser")


def _roles_missing(account: AccountFacts) -> list[str]:
    return lacking(account.instance, SectionName.MEMBERSHIPS)


def grant_admin(account: AccountFacts, args: Arguments) -> Verdict:
    """May hand out rights at large: superusers, GRANT OPTION on everything, CREATEROLE, GRANT ANY, securityadmin."""
    super_one = is_superuser(account, args)
    if super_one.value:
        return super_one
    for holder, way in account.reach("effective").items():
        one = account.instance.proven.principals.get(holder)
        if one is not None and (
            one.attribute("create_role") is True or names_of(account.instance.engine, holder) & _ADMINS
        ):
            return true(f"grant admin: {way or holder}")
    for privilege, rows in account.rights("effective").items():
        for one_grant in rows:
            if everywhere(account.instance.engine, one_grant) and (one_grant.grantable or privilege in _GRANTING):
                return true(f"grant admin: {privilege}")
    return super_one  # what is missing for one is missing for the other


_ADMINS = frozenset({"securityadmin", "##MS_LoginManager##"})
_GRANTING = frozenset({
    "GRANT OPTION", "GRANT", "ROLE_ADMIN", "GRANT ANY PRIVILEGE", "GRANT ANY ROLE", "GRANT ANY OBJECT PRIVILEGE",
    "ALTER ANY LOGIN", "ALTER ANY SERVER ROLE", "CONTROL SERVER",
})  # fmt: skip


def _attribute(name: str) -> Answer:
    def answer(account: AccountFacts, args: Arguments) -> Verdict:
        return _flag(account, account.principal.attribute(name) is True, name)

    return answer


CAPABILITIES: Mapping[str, Answer] = MappingProxyType({
    "SUPERUSER": is_superuser, "GRANT_ADMIN": grant_admin, "LOCKED": is_locked, "EXPIRED": is_expired,
    "CAN_LOGIN": can_login, "CREATE_ROLE": _attribute("create_role"), "CREATE_DB": _attribute("create_db"),
    "REPLICATION": _attribute("replication"), "BYPASS_RLS": _attribute("bypass_rls"), "INHERIT": _attribute("inherit"),
})  # fmt: skip


def has_capability(account: AccountFacts, args: Arguments) -> Verdict:
    return CAPABILITIES[_text(args, "name")](account, {})


def has_role(account: AccountFacts, args: Arguments) -> Verdict:
    here, wanted = account.instance, _text(args, "name")
    for one in here.roles_of.get(account.name, ()):
        if wanted in names_of(here.engine, one.role):
            return true(f"role {one.role}")
    return _absent(_roles_missing(account))


def member_of(account: AccountFacts, args: Arguments) -> Verdict:
    here, wanted = account.instance, _text(args, "role")
    for role, way in account.reach(str(args.get("via", "reachable"))).items():
        if role != account.name and wanted in names_of(here.engine, role):
            return true(f"role {way}")
    return _absent(_roles_missing(account))


def _absent(missing: list[str]) -> Verdict:
    return unknown(missing) if missing else FALSE


def has_privilege(account: AccountFacts, args: Arguments) -> Verdict:
    return _privileges(account, [_text(args, "name")], args)


def has_any_privilege(account: AccountFacts, args: Arguments) -> Verdict:
    return _privileges(account, _texts(args, "names"), args)


def _privileges(account: AccountFacts, names: Iterable[str], args: Arguments) -> Verdict:
    via, scopes, database = str(args.get("via", "effective")), SCOPES[_text(args, "scope")], args.get("database")
    rights = account.rights(via)
    for name in names:
        rows = rights.get(name.upper(), ())
        for one in rows:
            if one.scope in scopes and _counts(one, args, account.instance.engine) and not _taken(one, rows, args):
                return true(f"{one.privilege} on {one.scope} {_shown(one)}{_by(account, one, via)}")
    missing = lacking(account.instance, SectionName.GRANTS, scopes, database if isinstance(database, str) else None)
    return _absent(missing + (_roles_missing(account) if via != "direct" else []))


def _counts(one: Grant, args: Arguments, engine: str) -> bool:
    if one.effect is not Effect.GRANT or (args.get("grantable") is True and not one.grantable):
        return False
    return within(one, {n: str(args[n]) for n in ("database", "schema", "object") if n in args}, engine)


def _taken(one: Grant, rows: Iterable[Grant], args: Arguments) -> bool:
    """Whether a DENY goes against it, or a partial revoke of everything in the database that is asked about."""
    database = (args.get("database"),)
    return any(
        (other.effect is Effect.DENY and covers(other, one))
        or (other.effect is Effect.PARTIAL_REVOKE and one.scope is ScopeKind.GLOBAL and other.path[:1] == database)
        for other in rows
    )


def _shown(one: Grant) -> str:
    return ".".join(one.path) or "*"


def _by(account: AccountFacts, one: Grant, via: str) -> str:
    return "" if one.principal == account.name else f" by {account.reach(via)[one.principal]}"


def count_grants_gt(account: AccountFacts, args: Arguments) -> Verdict:
    via, scopes = str(args.get("via", "direct")), SCOPES[str(args.get("scope", "any"))]
    rows = [g for some in account.rights(via).values() for g in some if g.scope in scopes and g.effect is Effect.GRANT]
    if len(rows) > _count(args, "count"):
        return true(f"{len(rows)} grants")
    return _absent(lacking(account.instance, SectionName.GRANTS, scopes))


def has_pattern_grant(account: AccountFacts, args: Arguments) -> Verdict:
    for one in _direct(account):
        if one.scope is ScopeKind.DATABASE_PATTERN and is_wildcard(one.path[0]):
            return true(f"{one.privilege} on {one.path[0]}")
    return _absent(lacking(account.instance, SectionName.GRANTS, {ScopeKind.DATABASE_PATTERN}))


def has_dangling_grant(account: AccountFacts, args: Arguments) -> Verdict:
    databases = account.instance.databases
    found = {g.path[0] for g in _direct(account) if g.scope in _IN_DATABASES and g.path and not is_wildcard(g.path[0])}
    gone = {name.replace("\\_", "_").replace("\\%", "%") for name in found} - (databases or found)
    if gone and databases is not None:
        return true(*(f"no database {name}" for name in sorted(gone)))
    missing = lacking(account.instance, SectionName.GRANTS, _IN_DATABASES)
    return _absent(missing + (["databases were not read"] if found and databases is None else []))


_IN_DATABASES = frozenset(
    {ScopeKind.DATABASE, ScopeKind.DATABASE_PATTERN, ScopeKind.TABLE, ScopeKind.COLUMN, ScopeKind.ROUTINE}
)


def _direct(account: AccountFacts) -> Iterable[Grant]:
    return account.instance.grants_of.get(account.name, ())


def has_inactive_role(account: AccountFacts, args: Arguments) -> Verdict:
    for one in account.instance.roles_of.get(account.name, ()):
        if one.default is False and not one.admin:
            return true(f"role {one.role}")
    return _absent(_roles_missing(account))


def is_unused_role(account: AccountFacts, args: Arguments) -> Verdict:
    """Who made a role administers it (MariaDB, PostgreSQL 16): that is no use of it."""
    here, one = account.instance, account.principal
    members = [m for m in here.members_of.get(one.name, ()) if not m.admin]
    if one.kind is not PrincipalKind.ROLE or members or here.grants_of.get(one.name):
        return FALSE
    missing = [*_own(account), *_roles_missing(account), *lacking(here, SectionName.GRANTS)]
    return unknown(missing) if missing else TRUE


def differs_by_host(account: AccountFacts, args: Arguments) -> Verdict:
    here, others = account.instance, siblings(account)
    if not others:
        return FALSE
    missing = [*lacking(here, SectionName.GRANTS), *_roles_missing(account)]
    mine = _everything(account)
    different = [name for name in others if _everything(here.account(name)) != mine]
    if missing:
        return unknown(missing)
    return true(*(f"differs from {name}" for name in different)) if different else FALSE


def _everything(account: AccountFacts) -> set[tuple[object, ...]]:
    roles = {("role", one.role) for one in account.instance.roles_of.get(account.name, ())}
    return {(g.scope, g.path, g.privilege, g.effect, g.grantable) for g in _direct(account)} | roles


# -- arguments, which the language has checked


def _text(args: Arguments, name: str) -> str:
    return str(args[name])


def _texts(args: Arguments, name: str) -> tuple[str, ...]:
    value = args[name]
    return value if isinstance(value, tuple) else ()


def _count(args: Arguments, name: str) -> int:
    value = args[name]
    return value if isinstance(value, int) else 0
