"""Databases, their sizes, the logs and the largest tables: what is asked, and how each section came out.

MariaDB takes all questions as one compound statement in which each part has its own handler: one refusal costs one
part. MySQL has nothing of the kind: there the questions are one UNION, and are asked singly only if that is refused.
Must not know how sizes are added up (`sizes`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from sync_assets.databases.mysql.collect import sizes
from sync_assets.databases.mysql.collect.accounts import quoted
from sync_assets.databases.mysql.collect.line import Answer, Found, Line, Refusal, Version, version_of
from sync_assets.databases.mysql.collect.privileges import masked
from sync_assets.fleet.model import CapacityReading, LogSize, SectionKey, SectionName, SectionState, ServerFact, Status
from sync_assets.store.sql import read_named

_SQL = read_named(Path(__file__).with_name("capacity.sql"))
_ASKED = ("facts", "lent", "spaces", "databases", "tables", "binlogs", "relays")
_UNION = ("facts", "spaces", "databases", "tables")
_NO_BINLOG = 1381
# Any of these on *.* shows every table with its size; the last three without a single row of it.
_SHOWS_TABLES = frozenset({
    "SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP", "INDEX", "ALTER", "CREATE VIEW", "DELETE HISTORY",
    "SHOW VIEW", "REFERENCES", "TRIGGER",
})  # fmt: skip
_Rows = Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Answers:
    """What came back, by question, and what it depends on. `rights`: those of ours on everything that are proven."""

    server: ServerFact
    by: Mapping[str, Answer]
    facts: Mapping[str, str]
    rights: frozenset[str]
    failed: Mapping[str, Refusal] = field(default_factory=dict)

    @property
    def mariadb(self) -> bool:
        return self.server.flavour == "MariaDB"

    def rows(self, question: str) -> _Rows:
        answer = self.by.get(question)
        return answer.rows if isinstance(answer, Found) else ()

    def refusal(self, question: str) -> Refusal | None:
        answer = self.by.get(question)
        return answer if isinstance(answer, Refusal) else None

    def missing(self, what: str, right: str) -> str:
        reader = quoted(self.facts.get("reader", "reader@%"))
        return f"{what} -> GRANT {right} ON *.* TO {reader}"


def read_capacity(line: Line, now: Callable[[], datetime], top_tables: int) -> CapacityReading:
    """Raises `Stop` and `Retry` when nobody lets us in, or the line breaks."""
    sent = line.trips
    mariadb, version = line.connect()
    observed = now()
    by = _ask_mariadb(line) if mariadb else _ask_mysql(line, version)
    answers = _read(by, mariadb, version)
    found = sizes.added_up(answers.rows("databases"), answers.rows("spaces"), answers.rows("tables"))
    sections = {SectionKey(name): state for name, state in _sections(answers, found).items()}
    known = sections[SectionKey(SectionName.SIZES)].status in (Status.OK, Status.ERROR)
    return CapacityReading(
        answers.server, observed, sections,
        databases=sizes.databases(found, known) if sections[SectionKey(SectionName.DATABASES)].ok else (),
        logs=tuple(_logs(answers)),
        tables=sizes.largest(found, top_tables) if sections[SectionKey(SectionName.TABLES)].ok else (),
        trips=line.trips - sent,
    )  # fmt: skip


# -- asking


def _ask_mariadb(line: Line) -> dict[str, Answer]:
    texts = [_text(name, True, ()) for name in _ASKED]
    return dict(zip(_ASKED, line.ask_many(_compound(texts), len(_ASKED)), strict=True))


def _compound(texts: Sequence[str]) -> str:
    """Each statement in a block whose handler answers ``('!', number)`` in place of a result."""
    handler = (
        "declare exit handler for sqlexception begin get diagnostics condition 1 @n = mysql_errno; select '!', @n; end;"
    )
    return "begin not atomic\n" + "\n".join(f"begin {handler} {text}; end;" for text in texts) + "\nend"


def _ask_mysql(line: Line, version: Version) -> dict[str, Answer]:
    """What was refused is InnoDB's files, the only part that needs a right: the rest is asked again without them."""
    texts = {name: _text(name, False, version) for name in _UNION}
    whole = line.ask("\nunion all\n".join(texts.values()))
    if isinstance(whole, Refusal):
        rest = line.ask("\nunion all\n".join(text for name, text in texts.items() if name != "spaces"))
        answers = {name: _tagged(rest, name) for name in _UNION} | {"spaces": whole}
    else:
        answers = {name: _tagged(whole, name) for name in _UNION}
    return answers | {"binlogs": line.ask(str(_SQL["binlogs"]))}


_TAGS = {"facts": ("fact", "right"), "spaces": ("space",), "databases": ("database",), "tables": ("table",)}


def _tagged(answer: Answer, name: str) -> Answer:
    return answer if isinstance(answer, Refusal) else Found([r for r in answer.rows if r[0] in _TAGS[name]])


def _text(name: str, mariadb: bool, version: Version) -> str:
    if mariadb:
        settings = _SQL["settings_mariadb"]
    else:
        settings = _SQL["settings_mysql_capacity" if version >= (8, 0, 30) else "settings_mysql_files"]
    spaces = "innodb_sys_tablespaces" if mariadb or version < (8,) else "innodb_tablespaces"
    return str(_SQL[name]).replace("{settings}", settings).replace("{spaces}", spaces)


def _read(by: Mapping[str, Answer], mariadb: bool, version: Version) -> Answers:
    """Rows as values, whatever the question that brought them; a question without any answer has an empty one."""
    rows: dict[str, list[Any]] = {}
    for name, answer in by.items():
        if isinstance(answer, Found) and name not in ("binlogs", "relays"):
            for tag, text in answer.rows:
                rows.setdefault(tag, []).append(json.loads(text, strict=False))
    facts = {k: str(v) for k, v in rows.get("fact", ())}
    server = ServerFact("mysql", "MariaDB" if mariadb else "MySQL", version_of(facts.get("version", "")) if facts
                        else version, facts.get("version", ""))  # fmt: skip
    read: dict[str, Answer] = {n: by.get(n) or Found(()) for n in _ASKED}
    for name, tag in (("spaces", "space"), ("databases", "database"), ("tables", "table")):
        if not isinstance(by.get(name), Refusal):
            read[name] = Found(rows.get(tag, []))
    rights = {r for (r,) in rows.get("right", ())}
    for access, written_by in rows.get("lent", ()):
        rights |= masked(int(access or 0), int(written_by or 0), server.version).names
    return Answers(server, read, facts, frozenset(rights))


# -- how it came out


def _sections(answers: Answers, found: sizes.Sizes) -> dict[SectionName, SectionState]:
    databases, tables = _databases(answers, found), _tables(answers, found)
    bare = _spaces(answers)
    broken = _broken(found)
    whole = next((s for s in (databases, bare, tables, broken) if s is not None), None)
    return {
        SectionName.DATABASES: databases or SectionState(Status.OK, rows=len(found.databases)),
        SectionName.SIZES: whole or SectionState(Status.OK, rows=len(found.databases)),
        SectionName.TABLES: bare or tables or SectionState(Status.OK, rows=len(found.tables)),
        SectionName.LOGS: _logs_state(answers),
    }


def _databases(answers: Answers, found: sizes.Sizes) -> SectionState | None:
    """The list is short, and nothing says so, for who lacks the right: only a proven right makes it whole."""
    if refusal := answers.refusal("databases"):
        return refusal.state("information_schema may not be read")
    enough = {"SHOW DATABASES"}
    if answers.mariadb and answers.facts.get("skip_show_database", "OFF") == "OFF":
        enough.add("SELECT")
    if answers.rights & enough:
        return None
    return SectionState(Status.DENIED, answers.missing("not all databases may be seen", "SHOW DATABASES"))


def _spaces(answers: Answers) -> SectionState | None:
    refusal = answers.refusal("spaces")
    return refusal.state(answers.missing("InnoDB's files may not be seen", "PROCESS")) if refusal else None


def _tables(answers: Answers, found: sizes.Sizes) -> SectionState | None:
    if refusal := answers.refusal("tables"):
        return refusal.state("information_schema may not be read")
    if answers.rights & _SHOWS_TABLES:
        return None
    return SectionState(Status.DENIED, answers.missing("not all tables may be seen", "SHOW VIEW"))


def _broken(found: sizes.Sizes) -> SectionState | None:
    names = sorted(found.broken)
    if not names:
        return None
    told = ", ".join(names[:5]) + (" ..." if len(names) > 5 else "")
    return SectionState(Status.ERROR, f"tables whose size the server cannot tell, locked or damaged, in: {told}")


def _logs(answers: Answers) -> Iterator[LogSize]:
    facts = answers.facts
    if capacity := facts.get("innodb_redo_log_capacity"):
        yield LogSize("redo", int(capacity))
    elif one := facts.get("innodb_log_file_size"):
        yield LogSize("redo", int(one) * int(facts.get("innodb_log_files_in_group") or 1))
    if answers.rows("binlogs"):
        yield LogSize("binlog", sum(int(row[1]) for row in answers.rows("binlogs")))
    relays = answers.by["relays"]
    if isinstance(relays, Found) and relays.rows:
        at = relays.names.index("Relay_Log_Space")
        yield LogSize("relay", sum(int(row[at]) for row in relays.rows))
    for kind, size in sizes.shared(answers.rows("spaces")):
        yield LogSize(kind, size)


def _logs_state(answers: Answers) -> SectionState:
    """A server without binary logs has none to count. Relay logs count only where a replica is at work."""
    binlogs, relays = answers.refusal("binlogs"), answers.refusal("relays")
    if binlogs and binlogs.number != _NO_BINLOG:
        return binlogs.state(answers.missing("binary logs may not be seen", _MONITOR[_split(answers)]))
    if relays and answers.facts.get("slaves_running", "0") != "0":
        return relays.state(answers.missing("relay logs may not be seen", "SLAVE MONITOR"))
    if answers.refusal("facts"):
        return SectionState(Status.ERROR, "the server's settings could not be read")
    return SectionState(Status.OK, rows=len(list(_logs(answers))))


_MONITOR = {True: "BINLOG MONITOR", False: "REPLICATION CLIENT"}


def _split(answers: Answers) -> bool:
    """Whether this server has split REPLICATION CLIENT in two."""
    return answers.mariadb and answers.server.version >= (10, 5, 2)
