"""History of accounts: the state as of any day is what was collected that day, whatever happened since."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from sync_assets.fleet.guard import ShrinkLimit
from sync_assets.fleet.model import (
    AccountReading,
    AccountState,
    Grant,
    GrantKey,
    Membership,
    Principal,
    ScopeKind,
    SectionKey,
    SectionName,
)
from sync_assets.fleet.state import ChangeKind, apply, completed, diff
from sync_assets.store.fleet.accounts import AccountStore
from sync_assets_tests.fix_fleet import MORNING, FleetBox, account, account_reading

NAMES = ["app", "App", "审计", 'o"neil', "ro", "rw", "🙂", "a@b"]
PARTS = ["shop", "Shop", "账务"]
ALL = ShrinkLimit(share=1)


class Server:
    """A database server in the mind: its accounts live from day to day, keep or change incarnations and names."""

    def __init__(self, chance: random.Random) -> None:
        self.chance, self.born = chance, 0
        self.people: dict[str, Principal] = {}
        self.rights: dict[GrantKey, Grant] = {}

    def day(self) -> None:
        for _ in range(self.chance.randrange(5)):
            acts: list[Callable[[], object]] = [
                self.create,
                self.create,
                self.drop,
                self.rename,
                self.again,
                self.alter,
            ]
            self.chance.choice(acts)()
        for _ in range(self.chance.randrange(6)):
            self.grant()
        self.rights = {
            key: g for key, g in self.rights.items() if g.principal in self.people and self.chance.random() > 0.1
        }

    def create(self, name: str = "") -> None:
        name = name or self.chance.choice(NAMES)
        if name not in self.people:
            self.born += 1
            self.people[name] = account(name, incarnation=str(self.born))

    def drop(self) -> str:
        name = self.chance.choice([*self.people, ""])
        self.people.pop(name, None)
        self.rights = {key: g for key, g in self.rights.items() if g.principal != name}
        return name

    def again(self) -> None:
        if name := self.drop():
            self.create(name)

    def rename(self) -> None:
        old, new = self.chance.choice([*self.people, ""]), self.chance.choice(NAMES)
        if old and new not in self.people:
            self.people[new] = replace(self.people.pop(old), name=new)
            moved = [replace(g, principal=new) if g.principal == old else g for g in self.rights.values()]
            self.rights = {g.key: g for g in moved}

    def alter(self) -> None:
        if self.people:
            name = self.chance.choice([*self.people])
            self.people[name] = replace(self.people[name], locked=self.chance.choice([True, False, None]))

    def grant(self) -> None:
        if self.people:
            part = self.chance.choice(PARTS)
            path, privilege = (part, "s", self.chance.choice(["t", "T"])), self.chance.choice(["SELECT", "INSERT"])
            name, grantable = self.chance.choice([*self.people]), self.chance.random() < 0.2
            one = Grant(name, ScopeKind.TABLE, path, privilege, grantable=grantable, part=part)
            self.rights[one.key] = one

    def look(self, at: Any) -> AccountReading:
        bad = [
            name
            for name in ("principals", "memberships", *(f"grants({p})" for p in PARTS))
            if self.chance.random() < 0.15
        ]
        roles = [Membership(m, r) for m in self.people for r in self.people if m < r and (len(m) + ord(r[0])) % 3 == 0]
        reading = account_reading(self.people.values(), self.rights.values(), roles, at=at, bad=bad)
        denied = account_reading(bad=[*bad, *(f"grants({p})" for p in PARTS)]).sections
        ok = account_reading((), [Grant("x", ScopeKind.TABLE, (p,), "S", part=p) for p in PARTS]).sections
        chosen: Mapping[SectionKey, Any] = {k: denied.get(k, s) if str(k) in bad else s for k, s in ok.items()}
        return replace(reading, sections=chosen)


@pytest.fixture
def accounts(fleet_box: FleetBox) -> AccountStore:
    return AccountStore(fleet_box.store.sessions)


@pytest.mark.parametrize("seed", range(4))
def test_5_3_7_the_state_as_of_any_of_sixty_days_is_what_was_collected(
    fleet_box: FleetBox, accounts: AccountStore, seed: int
) -> None:
    server, state = Server(random.Random(seed)), AccountState()
    days: list[tuple[Any, AccountState]] = []
    confirmed: dict[SectionKey, Any] = {}
    expected: list[dict[SectionKey, Any]] = []
    kinds: set[ChangeKind] = set()
    for number in range(60):
        server.create()
        server.day()
        at = MORNING + timedelta(days=number)
        reading = server.look(at)
        snapshot = accounts.stage(fleet_box.fleet, fleet_box.instance, f"run{number}", date(2026, 3, 4), reading)
        one = accounts.publish(snapshot, reading, ALL, accept=True)
        state = completed(state, reading)
        confirmed |= {key: at for key, how in reading.sections.items() if how.ok}
        assert one.after == state
        assert apply(one.changes, one.before) == state
        kinds |= {c.kind for c in one.changes}
        days.append((at, state))
        expected.append(dict(confirmed))
    for (at, then), parts in zip(days, expected, strict=True):
        for moment in (at, at + timedelta(hours=23)):
            found = accounts.as_of(fleet_box.fleet, fleet_box.instance, moment)
            assert found.state == then
            assert found.confirmed == parts
    assert kinds == set(ChangeKind)
    before = accounts.as_of(fleet_box.fleet, fleet_box.instance, MORNING - timedelta(microseconds=1))
    assert (before.state, before.snapshot, before.confirmed) == (AccountState(), None, {})
    _net_and_log(fleet_box, accounts, days, random.Random(seed))


def _net_and_log(
    box: FleetBox, accounts: AccountStore, days: list[tuple[Any, AccountState]], chance: random.Random
) -> None:
    """Net changes between two days lead from one to the other; so does the log, one publication after the other."""
    for _ in range(20):
        (first, a), (last, b) = sorted(chance.sample(days, 2), key=lambda pair: pair[0])
        net = accounts.changes(box.fleet, first, last).get(box.instance, ())
        assert net == diff(a, b)
        assert apply(net, a) == b
        state = a
        logged = accounts.log(box.fleet, first, last, box.instance)
        for snapshot in sorted({one.snapshot for one in logged}):
            state = apply([one.change for one in logged if one.snapshot == snapshot], state)
        assert set(state.principals) == set(b.principals)
        assert {(k.principal, k.path, k.privilege) for k in state.grants} == {
            (k.principal, k.path, k.privilege) for k in b.grants
        }


def test_what_came_and_went_in_between_shows_in_the_log_and_not_in_the_net_changes(
    fleet_box: FleetBox, accounts: AccountStore
) -> None:
    looks = [[account("app")], [account("app"), account("guest")], [account("app")]]
    for number, people in enumerate(looks):
        reading = account_reading(people, at=MORNING + timedelta(days=number))
        number = accounts.stage(fleet_box.fleet, fleet_box.instance, "run", date(2026, 3, 4), reading)
        accounts.publish(number, reading, ALL)
    last = MORNING + timedelta(days=2)
    assert accounts.changes(fleet_box.fleet, MORNING, last) == {}
    logged = [(str(one.change.kind), one.change.principal) for one in accounts.log(fleet_box.fleet, MORNING, last)]
    assert logged == [("added", "guest"), ("dropped", "guest")]


def test_moments_in_the_wrong_order_are_refused(accounts: AccountStore) -> None:
    with pytest.raises(ValueError, match="before the first"):
        accounts.changes("servers", MORNING, MORNING - timedelta(days=1))


def test_the_newest_look_tells_its_sections(fleet_box: FleetBox, accounts: AccountStore) -> None:
    assert accounts.newest(fleet_box.fleet) == {}
    reading = account_reading([account("app")], bad=["memberships"])
    number = accounts.stage(fleet_box.fleet, fleet_box.instance, "run", date(2026, 3, 4), reading)
    assert accounts.newest(fleet_box.fleet) == {}
    accounts.publish(number, reading, ALL)
    newest = accounts.newest(fleet_box.fleet)[fleet_box.instance]
    assert (newest.snapshot, newest.run_id, newest.observed_at, newest.day) == (
        number,
        "run",
        MORNING,
        date(2026, 3, 4),
    )
    assert newest.server == "PostgreSQL 15.20"
    assert newest.sections == reading.sections
    assert newest.sections[SectionKey(SectionName.MEMBERSHIPS)].reason == "a right is missing"
