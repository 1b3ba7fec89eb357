"""PostgreSQL 12 to 18 as a member of a fleet: what `databases.base.open_collector` loads.

One login for what belongs to the whole server, and one for each further database, at most two of these at once; all
statements of a login go in one message. So a look costs 1 + D round trips, whatever the number of roles and objects.
The SQL is in the files beside; `accounts` and `capacity` turn its rows into values. Tried on 16 and 18; the other
versions follow the documentation of their catalogs (`statements`).
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

from sync_assets.databases.base import ConnectionArgs
from sync_assets.databases.postgres.collect import accounts, capacity, statements
from sync_assets.databases.postgres.collect.look import Look, ask_databases, first_look, part_of
from sync_assets.databases.postgres.collect.session import Answer, Session
from sync_assets.fleet.collecting import Clock
from sync_assets.fleet.model import AccountReading, CapacityReading

_USUAL_DATABASE = "postgres"


def _now() -> datetime:
    return datetime.now(UTC)


def open_collector(args: ConnectionArgs) -> PostgresCollector:
    return PostgresCollector(args)


class PostgresCollector:
    """`fleet.collecting.Collector` on psycopg 3. Every question logs in anew, and out at its end."""

    def __init__(self, args: ConnectionArgs, clock: Clock = _now) -> None:
        self.args = args if args.database else replace(args, database=_USUAL_DATABASE)
        self.clock = clock

    def close(self) -> None:
        """Nothing stays open between two questions."""

    def accounts(self) -> AccountReading:
        """The databases are asked first and the roles last: so no grant is met whose role is not known, and a role
        that went meanwhile takes its grants with it."""
        with closing(Session(self.args)) as main:
            look = first_look(main)
            asked = statements.database()
            ask_databases(look, self.args, asked)
            answer = _ask_main(look, statements.cluster(main.version, look.reads_passwords), asked)
            return accounts.reading(look, answer, self.clock())

    def capacity(self, top_tables: int = 20) -> CapacityReading:
        with closing(Session(self.args)) as main:
            look = first_look(main)
            asked = statements.tables(top_tables)
            ask_databases(look, self.args, asked)
            answer = _ask_main(look, statements.sizes(look.lists_wal), asked)
            return capacity.reading(look, answer, self.clock())


def _ask_main(look: Look, whole: statements.Asked, database: statements.Asked) -> Answer:
    """The second round trip of the first login: the server's own statements, and those of the database it is in."""
    answer = look.main.try_all(whole | database)
    look.parts[look.here] = part_of({name: answer[name] for name in database})
    return {name: answer[name] for name in whole}
