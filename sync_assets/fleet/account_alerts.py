"""What a publication of an instance's accounts says that a person should know. Pure.

Two states are compared by what holds in them: who is a superuser, who holds a watched right, who may log in without a
proof. Must not know incidents' store, nor servers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Any, Protocol

from sync_assets.fleet.alerts import Alert, AlertKind, Watch, incident_name, names_shown, quoted
from sync_assets.fleet.effective import superusers
from sync_assets.fleet.identity import Match, grant_now, match, membership_now
from sync_assets.fleet.model import AccountState, Principal, PrincipalKind, SectionKey, SectionName
from sync_assets.fleet.rules.watched import watched_rights, without_public

Condition = tuple[AlertKind, str, str]  # kind, account, right
Conditions = Mapping[Condition, str]  # and what to say of it


class Published(Protocol):
    """What became of a look: `store.fleet.accounts.Publication`."""

    @property
    def state(self) -> str: ...
    @property
    def before(self) -> AccountState: ...
    @property
    def after(self) -> AccountState: ...
    @property
    def message(self) -> str: ...
    @property
    def baseline(self) -> bool: ...


def watch_publication(
    fleet: str, instance: str, engine: str, publication: Published, new_parts: Collection[SectionKey] = ()
) -> Watch:
    """`watch_accounts` of what was published; a refusal is an alert of its own; a superseded look says nothing."""
    name = incident_name(fleet, instance, AlertKind.BLOCKED)
    if publication.state == "refused":
        text = f"accounts of {quoted(instance)} were not published: {publication.message}"
        return Watch((Alert(name, AlertKind.BLOCKED, instance, text),))
    if publication.state != "published":
        return Watch()
    watch = watch_accounts(
        fleet, instance, engine, publication.before, publication.after,
        baseline=publication.baseline, new_parts=new_parts,
    )  # fmt: skip
    return Watch(watch.alerts, (*watch.over, name), watch.moved)


def watch_accounts(
    fleet: str,
    instance: str,
    engine: str,
    before: AccountState,
    after: AccountState,
    *,
    baseline: bool = False,
    new_parts: Collection[SectionKey] = (),
) -> Watch:
    """What came that should be told, and what ended.

    `baseline`: the first look at the instance is told as one summary. `new_parts` were read for the first time: what
    is in them was there before, and is no news. An account that was renamed is the same one; one that was made again
    under its name is a new one.
    """
    if baseline or not before.principals:
        return Watch((_summary(fleet, instance, engine, after),))
    matched = match(before.principals, after.principals)
    old, was = _conditions(engine, before), _conditions(engine, _in_names_of_now(before, matched))
    now, known = _conditions(engine, after), _conditions(engine, _without(after, new_parts))
    every = superusers(after)
    came = [key for key in sorted(known) if key not in was and not (key[0] is AlertKind.GROWN and key[1] in every)]
    moved = {key: (key[0], matched.renamed[key[1]], key[2]) for key in old if key[1] in matched.renamed}
    over = [key for key in sorted(old) if matched.gone(key[1]) or moved.get(key, key) not in now]

    def name(key: Condition) -> str:
        return incident_name(fleet, instance, key[0], key[1], *([key[2]] if key[2] else []))

    return Watch(
        tuple(Alert(name(key), key[0], instance, f"on {quoted(instance)} {known[key]}", key[1]) for key in came),
        tuple(name(key) for key in over),
        {name(key): name(to) for key, to in moved.items() if to in now},
    )


def _conditions(engine: str, state: AccountState) -> Conditions:
    """What holds in a state, for every account and for PUBLIC. What all have by PUBLIC is said of PUBLIC only."""
    found: dict[Condition, str] = {}
    people = {name: p for name, p in state.principals.items() if p.kind is not PrincipalKind.ROLE}
    for name, way in _superusers(state).items():
        if name in people:
            found[AlertKind.SUPERUSER, name, ""] = f"{quoted(name)} is a superuser now, by {quoted(way)}"
    for name, rights in watched_rights(engine, state).items():
        for right, way in rights.items():
            by = f", by {quoted(way)}" if way else ""
            found[AlertKind.GROWN, name, right] = f"{quoted(name)} may {_shown(right)} now{by}"
    for name, one in people.items():
        for trouble in _open_login(engine, one):
            found[AlertKind.OPEN_LOGIN, name, ""] = f"{quoted(name)} {trouble}"
    return found


def _superusers(state: AccountState) -> Mapping[str, str]:
    everybody = {n: w for n, w in superusers(state).items() if state.principals[n].kind is PrincipalKind.PUBLIC}
    return {**superusers(without_public(state)), **everybody}


def _shown(right: str) -> str:
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in right)


def _open_login(engine: str, one: Principal) -> Iterator[str]:
    """PostgreSQL lets nobody in by a password that is not there: pg_hba.conf decides, which is not collected."""
    if one.kind is not PrincipalKind.USER or one.can_login is False or one.locked is True:
        return
    if one.has_password is False and engine != "postgres":
        yield "may log in without a password"
    elif engine == "mysql" and one.name.startswith("@") and one.name.count("@") == 1:
        yield "lets everybody in: it is an account without a name"


def _in_names_of_now(before: AccountState, matched: Match) -> AccountState:
    """What was, of the accounts that are still there, under the names that they have now."""
    principals = {matched.now(n): p for n, p in before.principals.items() if not matched.gone(n)}
    memberships = [membership_now(m, matched) for m in before.memberships.values()]
    grants = [grant_now(g, matched) for g in before.grants.values()]
    return AccountState(
        {name: _named(p, name) for name, p in principals.items()},
        {m.key: m for m in memberships if m is not None},
        {g.key: g for g in grants if g is not None},
    )


def _named(one: Principal, name: str) -> Principal:
    return one if one.name == name else replace(one, name=name)


def _without(state: AccountState, parts: Collection[SectionKey]) -> AccountState:
    if not parts:
        return state

    def kept(rows: Mapping[Any, Any], name: SectionName) -> Mapping[Any, Any]:
        return {key: row for key, row in rows.items() if SectionKey(name, row.part) not in parts}

    return AccountState(
        kept(state.principals, SectionName.PRINCIPALS),
        kept(state.memberships, SectionName.MEMBERSHIPS),
        kept(state.grants, SectionName.GRANTS),
    )


def _summary(fleet: str, instance: str, engine: str, after: AccountState) -> Alert:
    found = _conditions(engine, after)
    people = sum(p.kind in (PrincipalKind.USER, PrincipalKind.EXTERNAL) for p in after.principals.values())
    parts = [f"accounts of {quoted(instance)} are watched from now on: {people} accounts"]
    for kind, word in ((AlertKind.SUPERUSER, "superusers"), (AlertKind.OPEN_LOGIN, "logins without a proof")):
        names = [key[1] for key in found if key[0] is kind]
        if names:
            parts.append(f"{len(names)} {word} ({names_shown(names)})")
    name = incident_name(fleet, instance, AlertKind.BASELINE)
    return Alert(name, AlertKind.BASELINE, instance, ", ".join(parts))
