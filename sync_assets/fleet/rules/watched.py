"""Rights whose gain is worth an alert, under a few words that stay the same: who has which, and by what way.

The words name incidents, so they never change. Must not know what was before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType

from sync_assets.fleet.membership import Roles
from sync_assets.fleet.model import AccountState, Effect, Grant, PrincipalKind
from sync_assets.fleet.rules.facts import reach_of
from sync_assets.fleet.rules.scopes import everywhere, names_of

WRITE, READ, GRANT = "write everywhere", "read everywhere", "hand on rights everywhere"
ACCOUNTS, SERVER, FILES = "manage accounts", "administer the server", "reach the server's files"
REPLICATE, ROWS = "replicate", "pass row security"
_BY_PRIVILEGE: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(("INSERT", "UPDATE", "DELETE", "DROP", "ALTER", "CREATE", "INSERT ANY TABLE", "UPDATE ANY TABLE",
                   "DELETE ANY TABLE", "DROP ANY TABLE", "ALTER ANY TABLE", "ALTER ANY DATABASE"), WRITE)
    | dict.fromkeys(("SELECT", "SELECT ANY TABLE", "READ ANY TABLE", "SELECT ALL USER SECURABLES"), READ)
    | dict.fromkeys(("GRANT OPTION", "GRANT", "ROLE_ADMIN", "GRANT ANY PRIVILEGE", "GRANT ANY ROLE",
                     "GRANT ANY OBJECT PRIVILEGE", "CONTROL SERVER"), GRANT)
    | dict.fromkeys(("CREATE USER", "CREATE ROLE", "ALTER USER", "BECOME USER", "DROP USER", "ALTER ANY ROLE",
                     "ALTER ANY LOGIN", "ALTER ANY SERVER ROLE", "IMPERSONATE ANY LOGIN", "SET USER", "SET_USER_ID",
                     "SET_ANY_DEFINER"), ACCOUNTS)
    | dict.fromkeys(("SUPER", "SHUTDOWN", "RELOAD", "SYSTEM_USER", "SYSTEM_VARIABLES_ADMIN", "CONNECTION_ADMIN",
                     "CONNECTION ADMIN", "ALTER SYSTEM", "ALTER DATABASE", "ALTER SETTINGS", "UNSAFE ASSEMBLY"), SERVER)
    | dict.fromkeys(("FILE", "ADMINISTER BULK OPERATIONS", "CREATE ANY DIRECTORY", "CREATE EXTERNAL JOB"), FILES)
    | dict.fromkeys(("REPLICATION SLAVE", "REPLICATION SLAVE ADMIN", "REPLICATION_SLAVE_ADMIN"), REPLICATE)
    | {"EXEMPT ACCESS POLICY": ROWS}
)  # fmt: skip
_BY_ATTRIBUTE = {"create_role": ACCOUNTS, "replication": REPLICATE, "bypass_rls": ROWS}
_BY_ROLE: Mapping[str, str] = MappingProxyType({
    "pg_read_all_data": READ, "pg_write_all_data": WRITE, "pg_read_server_files": FILES,
    "pg_write_server_files": FILES, "pg_execute_server_program": FILES, "pg_create_subscription": REPLICATE,
    "securityadmin": ACCOUNTS, "serveradmin": SERVER, "setupadmin": SERVER, "processadmin": SERVER,
    "bulkadmin": FILES, "dbcreator": WRITE, "DBA": SERVER, "IMP_FULL_DATABASE": WRITE,
    "DATAPUMP_IMP_FULL_DATABASE": WRITE, "EXP_FULL_DATABASE": READ, "DATAPUMP_EXP_FULL_DATABASE": READ,
})  # fmt: skip
Held = Mapping[str, Mapping[str, str]]  # account -> right -> the way to it, "" for its own


def watched_rights(engine: str, state: AccountState) -> Held:
    """What each account holds of the watched set, by itself or by roles that it can take; PUBLIC stands for itself."""
    own = _own_rights(engine, state)
    roles = Roles(without_public(state))
    people = (name for name, p in state.principals.items() if p.kind is not PrincipalKind.ROLE)
    return {name: _collected(reach_of(roles, name, "reachable"), own) for name in people}


def without_public(state: AccountState) -> AccountState:
    """The state in which nobody has what everybody has."""
    principals = {name: p for name, p in state.principals.items() if p.kind is not PrincipalKind.PUBLIC}
    return AccountState(principals, state.memberships, state.grants)


def _collected(reach: Mapping[str, str], own: Mapping[str, set[str]]) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for holder, way in reach.items():
        for right in own.get(holder, ()):
            found.setdefault(right, way)
    return found


def _own_rights(engine: str, state: AccountState) -> Mapping[str, set[str]]:
    """What each principal is or was given itself. A role that is watched counts for the role."""
    found: dict[str, set[str]] = defaultdict(set)
    for one in state.principals.values():
        found[one.name].update(right for name, right in _BY_ATTRIBUTE.items() if one.attribute(name) is True)
    for member in state.memberships.values():
        found[member.role].update(_BY_ROLE[name] for name in names_of(engine, member.role) if name in _BY_ROLE)
        if member.admin:
            found[member.member].add(f"hand on the role {member.role}")
    for grant in state.grants.values():
        found[grant.principal].update(_of_grant(engine, grant))
    return found


def _of_grant(engine: str, one: Grant) -> Iterator[str]:
    if one.effect is not Effect.GRANT:
        return
    at_large = everywhere(engine, one)
    if at_large and one.privilege in _BY_PRIVILEGE:
        yield _BY_PRIVILEGE[one.privilege]
    if one.grantable or one.privilege == "GRANT OPTION":
        yield GRANT if at_large or not one.path else f"hand on rights in {one.path[0]}"


def every_right() -> Iterable[str]:
    """The words of the watched set, without those that name a role or a database."""
    return sorted({*_BY_PRIVILEGE.values(), *_BY_ATTRIBUTE.values(), *_BY_ROLE.values()})
