"""From the rows of the catalogs to principals, memberships and grants.

Which ACL entries become grants, so that what nobody wrote makes no noise and what somebody took away is seen:
- Of databases, schemas, relations, routines, types, foreign servers and tablespaces each entry is a grant, also those
  of PUBLIC that PostgreSQL gives by itself: a REVOKE ... FROM PUBLIC is one grant less. An ACL that was never written
  and the same one written out are the same.
- What an owner may by owning is one grant OWNERSHIP. A right that an owner took from itself is a partial revoke.
- Of what initdb or an extension made (except relations and schemas of extensions, and schema public) only the
  differences from their making are told: entries added as grants, entries taken away as partial revokes. Likewise
  default privileges: what differs from PostgreSQL's own.
- Large objects are told only where somebody granted something. Temporary objects are nobody else's business: left out.
- An entry for a role that is gone, or that came after the roles were read, is nobody's yet: left out.

Names of roles come by oid from one list of one moment. Knows no SQL.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from sync_assets.databases.postgres.collect.look import Look, section
from sync_assets.databases.postgres.collect.session import Answer, Rows
from sync_assets.fleet.model import (
    AccountReading,
    Effect,
    Grant,
    Membership,
    Principal,
    PrincipalKind,
    Scalar,
    ScopeKind,
    SectionKey,
    SectionName,
    SectionState,
)

# PostgreSQL refuses a role of this name, in this spelling only: "PUBLIC" may be one.
PUBLIC = "public"
# Who is as good as a superuser at a provider that keeps the real one to itself.
CLOUD_SUPERUSERS = frozenset({"rds_superuser", "azure_pg_admin", "cloudsqlsuperuser", "alloydbsuperuser"})
_FIRST_NORMAL_OID = 16384  # below it is what initdb made
_BOOTSTRAP = 10  # the superuser that initdb was told to make: a person's account
Names = Mapping[str, str]  # oid -> role


def reading(look: Look, answer: Answer, observed_at: datetime) -> AccountReading:
    """`answer` holds the server's own statements, the look's `parts` those of the databases."""
    roles, roles_state = section(answer["principals"])
    names = {row[0]: row[1] for row in roles} | {"0": PUBLIC}
    joined, joined_state = section(answer["memberships"])
    sections = {
        SectionKey(SectionName.DATABASES): section(look.unlisted or [() for _ in look.databases])[1],
        SectionKey(SectionName.PRINCIPALS): roles_state,
        SectionKey(SectionName.MEMBERSHIPS): _named(joined_state, roles_state),
    }
    parts = {"": answer["cluster_grants"]} | look.parts
    grants: list[Grant] = []
    for part, found in parts.items():
        rows, state = section(found)
        sections[SectionKey(SectionName.GRANTS, part)] = _named(state, roles_state)
        grants += _grants(rows, names, part) if roles_state.ok else ()
    return AccountReading(
        look.server, observed_at, sections,
        principals=tuple(_principals(roles)),
        memberships=tuple(_memberships(joined, names)) if roles_state.ok else (),
        grants=tuple(grants),
        trips=look.all_trips,
    )  # fmt: skip


def _named(state: SectionState, roles: SectionState) -> SectionState:
    """Rights without the names of the roles say nothing: the section shares the fate of the principals."""
    return SectionState(roles.status, roles.reason) if state.ok and not roles.ok else state


def _principals(rows: Rows) -> Iterator[Principal]:
    yield Principal(PUBLIC, PrincipalKind.PUBLIC, can_login=False, superuser=False, locked=False, system=True)
    for oid, name, login, superuser, password, *more in rows:
        yield Principal(
            name, PrincipalKind.USER if login else PrincipalKind.ROLE, oid,
            can_login=login, superuser=superuser, locked=False, has_password=password,
            system=int(oid) < _FIRST_NORMAL_OID and int(oid) != _BOOTSTRAP,
            attributes=tuple(sorted(_attributes(name, superuser, more).items())),
        )  # fmt: skip


def _attributes(name: str, superuser: bool, row: list[Scalar]) -> dict[str, Scalar]:
    """Always the same keys for flags; the others only where there is something to say. No value of a setting but
    search_path is shown: a setting may hold a secret."""
    keys = ("password_type", "create_db", "create_role", "inherit", "replication", "bypass_rls", "connection_limit",
            "valid_until", "settings", "search_path")  # fmt: skip
    found: dict[str, Scalar] = {key: value for key, value in zip(keys, row, strict=True) if value is not None}
    if name in CLOUD_SUPERUSERS and not superuser:
        found["cloud_superuser"] = True
    return found


def _memberships(rows: Rows, names: Names) -> Iterator[Membership]:
    for member, role, grantor, admin, inherits, can_set in rows:
        if member in names and role in names:
            yield Membership(names[member], names[role], names.get(grantor, ""), admin, inherits, can_set)


def _grants(rows: Rows, names: Names, part: str) -> Iterator[Grant]:
    """`part` is the database that the paths lie in; "" for those of the server, whose paths are whole."""
    for scope, path, effect, grantee, grantor, privilege, grantable in rows:
        if grantee not in names:
            continue
        if scope == ScopeKind.DEFAULT:
            path[1] = names.get(path[1], path[1])
        yield Grant(
            names[grantee], ScopeKind(scope), (part, *path) if part else tuple(path), privilege, Effect(effect),
            "" if grantor == "0" else names.get(grantor, ""), grantable, part,
        )  # fmt: skip
