"""What a login learns first: who it is, which databases there are, and which of them can be asked.

Turns answers into the status of sections, in the words of what to grant. Must not know what is read afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace

from sync_assets.databases.base import ConnectionArgs
from sync_assets.databases.postgres.collect import statements
from sync_assets.databases.postgres.collect.session import Answer, Rows, Session
from sync_assets.databases.quoting import quoted
from sync_assets.engine.errors import Stop, SyncError
from sync_assets.fleet.model import SectionState, ServerFact, Status

_OLDEST = 120000
_AT_ONCE = 2  # logins to the databases of one server
_REFUSED = ("privilege", "auth")


@dataclass(frozen=True, slots=True)
class Entry:
    """A database of the server. `open`: takes logins at all; `ours`: takes this one."""

    oid: str
    name: str
    open: bool
    ours: bool
    system: bool


@dataclass
class Look:
    """One look at one server. `databases` is empty where `unlisted` says why they could not be listed."""

    main: Session
    me: str
    here: str
    server: ServerFact
    reads_passwords: bool
    lists_wal: bool
    sees_sizes: bool
    databases: tuple[Entry, ...] = ()
    unlisted: SyncError | None = None
    trips: int = 0  # of the other logins
    parts: dict[str, Rows | SectionState] = field(default_factory=dict)

    @property
    def all_trips(self) -> int:
        return self.trips + self.main.trips


def first_look(main: Session) -> Look:
    """The first round trip. Raises `Stop` for a server that is too old, and what the question for ourselves raises."""
    if main.version < _OLDEST:
        raise Stop(
            f"{main.place}: this server is older than PostgreSQL 12", hint="collect from 12 to 18", code="version"
        )
    answer = main.try_all(statements.first())
    me, here, text, *rights = rows_of(answer, "myself")[0]
    look = Look(main, me, here, _server(main.version, text), *rights)
    listed = answer["databases"]
    if isinstance(listed, SyncError):
        look.unlisted = listed
    else:
        look.databases = tuple(Entry(*row) for row in listed)
    return look


def _server(version: int, text: str) -> ServerFact:
    return ServerFact("postgres", "PostgreSQL", (version // 10000, version % 10000), text.partition(" on ")[0])


def ask_databases(look: Look, args: ConnectionArgs, asked: statements.Asked) -> None:
    """Ask every other database that takes us, each in a login of its own; the answers are the look's `parts`."""
    wanted = [d.name for d in look.databases if d.open and d.ours and d.name != look.here]
    plain = args.tls == "prefer" and not look.main.encrypted  # or each login would be refused once before
    each = replace(args, tls="off") if plain else args
    with ThreadPoolExecutor(_AT_ONCE, "postgres fleet") as pool:
        answers = pool.map(lambda name: _alone(replace(each, database=name), asked), wanted)
        for name, (answer, trips) in zip(wanted, answers, strict=True):
            look.parts[name] = part_of(answer)
            look.trips += trips
    for one in look.databases:
        if not (one.open and one.ours):
            look.parts[one.name] = _closed(look, one)


def _alone(args: ConnectionArgs, asked: statements.Asked) -> tuple[Answer, int]:
    try:
        with closing(Session(args)) as session:
            return session.try_all(asked), session.trips
    except SyncError as error:
        return dict.fromkeys(asked, error), 0


def part_of(answer: Mapping[str, Rows | SyncError]) -> Rows | SectionState:
    """The rows of an answer to one statement, or what became of it."""
    (one,) = answer.values()
    return failed(one) if isinstance(one, SyncError) else one


def _closed(look: Look, one: Entry) -> SectionState:
    if not one.open:
        return SectionState(Status.UNSUPPORTED, f"database {quoted(one.name)} takes no logins")
    return SectionState(Status.DENIED, f"no login to it -> {grant_connect(look, one)}")


def grant_connect(look: Look, one: Entry) -> str:
    return f"grant connect on database {quoted(one.name)} to {quoted(look.me)}"


def failed(error: SyncError) -> SectionState:
    """A statement that failed: `DENIED` where a right is missing, else `ERROR`."""
    text = error.message + (f" -> {error.hint}" if error.hint else "")
    return SectionState(Status.DENIED if error.code in _REFUSED else Status.ERROR, text)


def rows_of(answer: Answer, name: str) -> Rows:
    """Raises the error of the statement."""
    found = answer[name]
    if isinstance(found, SyncError):
        raise found
    return found


def section(found: Rows | SyncError | SectionState) -> tuple[Rows, SectionState]:
    """The rows (none where it failed) and the section's status."""
    if isinstance(found, SyncError):
        return [], failed(found)
    if isinstance(found, SectionState):
        return [], found
    return found, SectionState(Status.OK, rows=len(found))
