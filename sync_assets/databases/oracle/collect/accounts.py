"""One look at all accounts of an Oracle server: a constant number of questions, each the matter of one section.

A view that we may not read is an error of the server (ORA-00942), so a section is `denied` when its question fails;
of the root of a multitenant database each section has a part for each container.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from sync_assets.databases.oracle.collect import grants, principals
from sync_assets.databases.oracle.collect.places import Places
from sync_assets.databases.oracle.collect.questions import Questions
from sync_assets.databases.oracle.collect.session import Session
from sync_assets.engine.errors import Retry, Stop
from sync_assets.fleet.model import (
    AccountReading,
    Grant,
    Membership,
    Principal,
    SectionKey,
    SectionName,
    SectionState,
    ServerFact,
    Status,
)

Cells = Sequence[str | None]
_OK = SectionState(Status.OK)


@dataclass(slots=True)
class Asker:
    """Asks, counts the trips, and turns what is refused into the state of a section."""

    session: Session
    trips: int = 0

    def begin(self) -> None:
        self.trips += 1
        self.session.begin()

    def ask(self, sql: str) -> Sequence[Cells] | SectionState:
        """The rows, or why there are none. Raises `Retry` for a line that broke."""
        self.trips += 1
        try:
            return self.session.rows(sql)
        except Stop as refusal:
            status = Status.DENIED if refusal.code == "privilege" else Status.ERROR
            return SectionState(status, str(refusal))
        except Retry as trouble:
            if trouble.code != "timeout":  # what takes too long takes too long again; the other questions go on
                raise
            return SectionState(Status.ERROR, str(trouble))


@dataclass(slots=True)
class Look:
    """What is put together while the questions are answered."""

    places: Places
    sections: dict[SectionKey, SectionState] = field(default_factory=dict)

    def settle(self, name: SectionName, rows: Mapping[str, int], refusal: SectionState | None) -> None:
        """The parts of a section: refused as a whole, or ok with so many rows, or hidden."""
        for part, state in self.places.states(rows).items():
            count = rows.get(part, 0) if state.ok else 0
            self.sections[SectionKey(name, part)] = refusal or replace(state, rows=count)


def reading(asker: Asker, server: ServerFact, asked: Questions, places: Places, at: datetime) -> AccountReading:
    """All sections. Raises `Retry` when the line breaks."""
    look = Look(places)
    look.sections[SectionKey(SectionName.DATABASES)] = replace(_OK, rows=len(places.by_number))
    people = _principals(asker, asked, look)
    joined = _memberships(asker, asked, look, people)
    granted = [*_grants(asker, asked, look), *_password_file(asker, asked, look)]
    return AccountReading(server, at, look.sections, people, joined, tuple(granted), asker.trips)


def _principals(asker: Asker, asked: Questions, look: Look) -> tuple[Principal, ...]:
    users, roles = asker.ask(asked.users), asker.ask(asked.roles)
    refusal = _refusal(users, roles)
    if isinstance(users, SectionState) or isinstance(roles, SectionState):
        look.settle(SectionName.PRINCIPALS, {}, refusal)
        return ()
    found = [*principals.users(users, look.places), *principals.roles(roles, look.places)]
    seen = Counter(p.part for p in found)
    found += [p for p in principals.publics(look.places) if p.part in seen]
    look.settle(SectionName.PRINCIPALS, Counter(p.part for p in found), None)
    return tuple(found)


def _memberships(asker: Asker, asked: Questions, look: Look, people: Iterable[Principal]) -> tuple[Membership, ...]:
    rows = asker.ask(asked.memberships)
    if isinstance(rows, SectionState):
        look.settle(SectionName.MEMBERSHIPS, {}, rows)
        return ()
    explicit = {m.key: m for m in principals.memberships(rows, look.places)}
    parts = {m.part for m in explicit.values()}
    public = [m for m in principals.in_public(people, look.places) if m.part in parts]
    if look.places.several and not public:
        look.settle(
            SectionName.MEMBERSHIPS, {}, SectionState(Status.DENIED, "accounts could not be read: see principals")
        )
        return ()
    found = (*explicit.values(), *public)
    look.settle(SectionName.MEMBERSHIPS, Counter(m.part for m in found), None)
    return found


def _grants(asker: Asker, asked: Questions, look: Look) -> Iterable[Grant]:
    rows = asker.ask(asked.grants)
    if isinstance(rows, SectionState):
        look.settle(SectionName.GRANTS, {}, rows)
        return ()
    found = grants.grants(rows, look.places).values()
    look.settle(SectionName.GRANTS, Counter(g.part for g in found), None)
    return found


def _password_file(asker: Asker, asked: Questions, look: Look) -> Iterable[Grant]:
    """A part of its own: its view needs a right of its own. An empty one is whole."""
    rows = asker.ask(asked.password_file)
    key = SectionKey(SectionName.GRANTS, grants.PASSWORD_FILE)
    if isinstance(rows, SectionState):
        look.sections[key] = rows
        return ()
    found = {g.key: g for g in grants.password_file(rows, look.places)}
    look.sections[key] = replace(_OK, rows=len(found))
    return found.values()


def _refusal(*answers: Sequence[Cells] | SectionState) -> SectionState | None:
    return next((a for a in answers if isinstance(a, SectionState)), None)
