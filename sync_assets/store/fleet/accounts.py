"""The accounts of a fleet's instances in the control database: staged, published, as of any moment.

The published state of an instance is what its open intervals say; a publication is one transaction (`publication`),
history is a query (`history`). Must not know servers, Dagster or who is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime

import psycopg

from sync_assets.engine.errors import Stop
from sync_assets.fleet.guard import ShrinkLimit
from sync_assets.fleet.model import AccountReading, AccountState
from sync_assets.fleet.state import Change
from sync_assets.store.control import storable
from sync_assets.store.fleet import history, publication
from sync_assets.store.fleet.account_rows import MEMBERSHIPS, PRINCIPALS, as_json, storable_reading
from sync_assets.store.fleet.history import AsOf, Logged, Newest
from sync_assets.store.fleet.publication import SQL, Publication, PublicationState
from sync_assets.store.session import Cursor, Sessions

__all__ = ["AccountStore", "AsOf", "Logged", "Newest", "Publication", "PublicationState"]


class AccountStore:
    """Every method is one transaction. Safe to share between threads. Raises `Stop`, `Retry`, `Unclear`."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    # -- two phases, one publication

    def stage(self, fleet: str, instance: str, run_id: str, day: date, reading: AccountReading) -> int:
        """Keep a look, with its principals and memberships; nobody sees it. Returns its number: later, larger.

        Raises `Stop` for an instance that was never adopted.
        """
        fit = storable_reading(reading)
        values = {
            "fleet": fleet, "instance": instance, "run_id": run_id, "day": day, "observed_at": reading.observed_at,
            "server": storable(str(reading.server)), "inventory": _inventory(fit),
            "counts": as_json({"principals": len(fit.principals), "memberships": len(fit.memberships)}),
        }  # fmt: skip

        def keep(cursor: Cursor) -> int:
            row = cursor.execute(SQL["stage"], values).fetchone()
            return int(row[0]) if row else 0

        try:
            return self._sessions.run(keep)
        except psycopg.errors.ForeignKeyViolation:
            raise _unknown(fleet, instance) from None

    def publish(self, snapshot: int, reading: AccountReading, guard: ShrinkLimit, accept: bool = False) -> Publication:
        """Make the look that was staged from `reading` the state of its instance, or say why not.

        A look that was decided before is not decided again: what became of it is told. `accept` lets pass what the
        guard stops, but for an empty list of accounts.
        """
        fit = storable_reading(reading)
        return self._sessions.run(lambda cursor: publication.publish(cursor, snapshot, fit, guard, accept))

    # -- what was published

    def current(self, fleet: str, instance: str) -> AccountState:
        """The published state; empty for an instance of which nothing was published."""
        place = {"fleet": fleet, "instance": instance}

        def look(cursor: Cursor) -> AccountState:
            history.at_one_moment(cursor)
            return publication.load(cursor, place, None).state

        return self._sessions.run(look)

    def as_of(self, fleet: str, instance: str, moment: datetime) -> AsOf:
        """The state as it was known at a moment, and when each part of it had last been confirmed."""
        return self._sessions.run(lambda cursor: history.as_of(cursor, fleet, instance, moment))

    def changes(
        self, fleet: str, first: datetime, last: datetime, instance: str | None = None
    ) -> Mapping[str, tuple[Change, ...]]:
        """What differs between two moments, by instance; what came and went in between does not show.

        Raises ValueError when `last` is before `first`.
        """
        return self._sessions.run(lambda cursor: history.changes(cursor, fleet, first, last, instance))

    def log(
        self, fleet: str, first: datetime, last: datetime, instance: str | None = None, limit: int = 10_000
    ) -> Sequence[Logged]:
        """Every change after `first` until `last`, oldest first, at most `limit`."""
        return self._sessions.run(lambda cursor: history.log(cursor, fleet, first, last, instance, limit))

    def newest(self, fleet: str) -> Mapping[str, Newest]:
        """The newest publication of each instance that has one."""
        return self._sessions.run(lambda cursor: history.newest(cursor, fleet))


def _inventory(reading: AccountReading) -> str:
    principals = [list(PRINCIPALS.columns(one)) for one in reading.principals]
    return as_json(
        {"principals": principals, "memberships": [list(MEMBERSHIPS.columns(m)) for m in reading.memberships]}
    )


def _unknown(fleet: str, instance: str) -> Stop:
    return Stop(
        f"the fleet {fleet} has never had an instance {instance}",
        hint="list it in the fleet's YAML or table; it is adopted when the fleet is looked up",
        code="no_instance",
    )
