"""Rows of users and roles as principals, and who is in which role.

An account is locked only if its status says LOCKED: EXPIRED(GRACE) logs in as ever, EXPIRED logs in and must set a new
password at once (docs.oracle.com, DBA_USERS, account_status). Where there are several containers, everybody of a
container is in its role PUBLIC.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sync_assets.databases.oracle.collect.places import Places
from sync_assets.databases.oracle.collect.questions import shipped_names
from sync_assets.fleet.model import Membership, Principal, PrincipalKind, Scalar

Cells = Sequence[str | None]
PUBLIC = "PUBLIC"
_SUPERUSER, _SUPERROLE = "SYS", "DBA"
_SHIPPED = shipped_names()


def users(rows: Iterable[Cells], places: Places) -> Iterator[Principal]:
    for cells in rows:
        place = places.of(cells[0])
        if place is not None and cells[1]:
            yield _user(cells, place.account(cells[1]), place.part, place.incarnation)


def _user(cells: Cells, account: str, part: str, container: str) -> Principal:
    (_, name, number, made, status, by, profile, expires, shipped, common, seen, verifiers, changed, default,
     lifetime) = (c or "" for c in cells)  # fmt: skip
    locked = "LOCKED" in status
    return Principal(
        name=account,
        kind=PrincipalKind.EXTERNAL if by in ("EXTERNAL", "GLOBAL") else PrincipalKind.USER,
        incarnation=f"{container}/{number}:{made}",
        can_login=not locked and by != "NONE",
        superuser=name == _SUPERUSER,
        locked=locked,
        has_password=bool(verifiers) if by in ("PASSWORD", "NONE") else None,
        system=_is_shipped(name, shipped),
        attributes=_sorted(
            account_status=status,
            authentication=by,
            profile=profile,
            password_expired=status.startswith("EXPIRED") and not status.startswith("EXPIRED(GRACE)"),
            password_expires_at=expires,
            password_changed_at=changed,
            password_lifetime_days=_days(lifetime),
            password_versions=verifiers.strip(),
            password_is_default=bool(default),
            common=common == "YES" if common else None,
            last_seen_at=seen,  # the Monday of that week: a login a day is a change a week
        ),
        part=part,
    )


def _days(lifetime: str) -> int | None:
    """PASSWORD_LIFE_TIME of the profile: UNLIMITED, or days, which may have a fraction."""
    whole = lifetime.split(".")[0]
    return int(whole) if whole.isdigit() else None


def roles(rows: Iterable[Cells], places: Places) -> Iterator[Principal]:
    for cells in rows:
        place = places.of(cells[0])
        if place is None:
            continue
        _, name, by, shipped, common = (c or "" for c in cells)
        attributes = _sorted(authentication=by, common=common == "YES" if common else None)
        yield Principal(
            place.account(name), PrincipalKind.ROLE, can_login=False, superuser=name == _SUPERROLE,
            system=_is_shipped(name, shipped), attributes=attributes, part=place.part,
        )  # fmt: skip


def publics(places: Places) -> Iterator[Principal]:
    """PUBLIC is no user and no role of the views. Of one container among several it is not everybody: a role."""
    kind = PrincipalKind.ROLE if places.several else PrincipalKind.PUBLIC
    for place in places.by_number.values():
        yield Principal(place.account(PUBLIC), kind, can_login=False, superuser=False, system=True, part=place.part)


def _is_shipped(name: str, flag: str) -> bool:
    """`oracle_maintained`; before 12.1.0.2 there was none."""
    return flag == "Y" if flag else name in _SHIPPED


def _sorted(**attributes: Scalar) -> tuple[tuple[str, Scalar], ...]:
    return tuple(sorted((n, v) for n, v in attributes.items() if v is not None and v != ""))


# -- who leads to whom


def memberships(rows: Iterable[Cells], places: Places) -> Iterator[Membership]:
    """Of rows: container, member, role, ADMIN OPTION, on at login, the member if it is a role itself."""
    for cells in rows:
        place = places.of(cells[0])
        if place is None:
            continue
        _, member, role, admin, default, is_role = (c or "" for c in cells)
        at_login = None if is_role else default == "YES"  # a role inside of a role comes on with it
        yield Membership(
            place.account(member), place.account(role), admin=admin == "YES",
            inherits=at_login is not False, can_set=True, default=at_login, part=place.part,
        )  # fmt: skip


def in_public(accounts: Iterable[Principal], places: Places) -> Iterator[Membership]:
    """Everybody of a container is in its PUBLIC, where that is a role."""
    if not places.several:
        return
    for one in accounts:
        if one.kind is not PrincipalKind.ROLE:
            yield Membership(one.name, f"{one.part}.{PUBLIC}", inherits=True, default=True, part=one.part)
