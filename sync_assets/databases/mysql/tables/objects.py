"""Views and triggers from one MySQL or MariaDB server to another, with the tables that they stand on.

Read as the server writes them itself (SHOW CREATE VIEW, asked from inside the database: names of its own tables then
stand without it), so that both sides can be compared as texts. A trigger cannot be switched off here, and would change
rows that a sync writes: its copy does nothing on a connection that says it is ours (`WRITING`, see `line`).

Definers and rights are not copied: all belongs to the target's user. Must not know rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from sync_assets.databases.base import ConnectionArgs
from sync_assets.databases.mysql.tables.line import WRITING, Line, quote, text
from sync_assets.engine.errors import Stop
from sync_assets.engine.tables.shape import TableName
from sync_assets.engine.tables.writing import Wanted

_NAME = r"`(?:[^`]|``)+`"
_HEAD = re.compile(
    rf"CREATE (?:ALGORITHM=(?P<algorithm>\w+) )?(?:DEFINER=(?:{_NAME}|``)(?:@(?:{_NAME}|``))? )?"
    rf"(?:SQL SECURITY (?P<security>\w+) )?VIEW (?:{_NAME}\.)?{_NAME} ?(?P<columns>\([^()]*\))? ?AS (?P<body>.*)",
    re.S,
)
_TOKEN = re.compile(rf"'(?:[^'\\]|\\.|'')*'|(?P<name>{_NAME})|(?P<word>\w+)|\s+|.", re.S)
_CTE = re.compile(rf"(?:\bwith|\brecursive|,)\s+({_NAME}|\w+)\s*(?:\([^()]*\))?\s*as\s*\(", re.I)
_CALL = re.compile(rf"({_NAME})\(")  # the server's own functions stand without quotes
_OTHER_SYNTAX = "ORACLE"  # a sql_mode of MariaDB in which bodies are written otherwise


@dataclass(frozen=True, slots=True)
class View:
    """As the server writes it. `uses` are places in the body (begin, name) where a table or view is named."""

    algorithm: str
    security: str
    columns: str
    body: str
    uses: tuple[tuple[int, str], ...] = ()
    trouble: str = ""  # why it cannot be made elsewhere

    @property
    def said(self) -> tuple[str, ...]:
        return (self.algorithm, self.security, self.columns, self.body)


@dataclass(frozen=True, slots=True)
class Trigger:
    table: str
    moment: str  # "before insert"
    body: str
    mode: str

    @property
    def said(self) -> tuple[str, ...]:
        return (self.table, self.moment, self.body, self.mode)


@dataclass(slots=True)
class Objects:
    """What must be done, to be appended to a design."""

    after: list[str] = field(default_factory=list)
    losses: list[str] = field(default_factory=list)
    drift: list[str] = field(default_factory=list)


def design(source: ConnectionArgs, target: ConnectionArgs, wanted: Sequence[Wanted]) -> Objects:
    """Views and triggers that the target lacks, and those that are another there. Changes nothing."""
    made = Objects()
    with closing(Line(source)) as here, closing(Line(target)) as there:
        for schema, tables in _by_schema(wanted).items():
            homes = {w.table.schema for w in tables}
            if len(homes) > 1:
                made.losses.append(f"views and triggers of {schema} are not made: its tables go to {len(homes)} places")
                continue
            into = homes.pop()
            whole = {w.source.name.name for w in tables if _is_whole(w)}
            _views(here, there, schema, into, whole, {w.source.name.name for w in tables}, made)
            _triggers(here, there, schema, into, {w.source.name.name: w for w in tables}, whole, made)
    return made


def _by_schema(wanted: Iterable[Wanted]) -> dict[str, list[Wanted]]:
    found: dict[str, list[Wanted]] = {}
    for one in wanted:
        if one.source.name.schema:  # the result of a query has none
            found.setdefault(one.source.name.schema, []).append(one)
    return found


def _is_whole(one: Wanted) -> bool:
    """Whether a view finds what it names: the table and all of its columns, called as in the source."""
    same = one.table.name == one.source.name.name and all(a == b for a, b in one.names.items())
    return same and {c.name for c in one.source.writable} <= {c.name for c in one.columns}


# -- views ----------------------------------------------------------------------------------------------------------


def _views(
    here: Line, there: Line, schema: str, into: str, whole: set[str], wanted: set[str], made: Objects
) -> None:  # fmt: skip
    found = {name: one for name, one in views(here, schema).items() if name not in wanted}
    existing, taken = views(there, into), _names(there, into)
    for name, why in _lost(found, whole).items():
        del found[name]
        made.losses.append(f"view {TableName(into, name)} is not made: {why}")
    for name in _in_order(found):
        if name in existing:
            if existing[name].said != found[name].said:
                made.drift.append(f"view {TableName(into, name)}: its definition in the target is another")
        elif name in taken:
            made.losses.append(f"view {TableName(into, name)} is not made: a table of that name is there")
        else:
            made.after.append(_creating(TableName(into, name), found[name]))


def views(line: Line, schema: str) -> dict[str, View]:
    """The views of a database, by name."""
    asked = f"select table_name from information_schema.views where table_schema = {text(schema)} order by 1"  # noqa: S608 (a literal)
    names = [str(row[0]) for row in line.ask(asked)]
    if not names:
        return {}
    databases = {str(row[0]) for row in line.ask("select schema_name from information_schema.schemata")}
    line.run(f"use {quote(schema)}")
    return {name: _view(line, schema, name, databases) for name in names}


def _view(line: Line, schema: str, name: str, databases: set[str]) -> View:
    try:
        head = _HEAD.fullmatch(str(line.ask(f"show create view {quote(schema, name)}")[0][1]))
    except Stop as error:
        return View("", "", "", "", trouble=f"its definition cannot be read ({error.message}): grant SHOW VIEW")
    if head is None:
        return View("", "", "", "", trouble="its definition is written in a way that is not known here")
    body = head["body"]
    uses, trouble = _uses(body, databases)
    return View(head["algorithm"] or "", head["security"] or "", head["columns"] or "", body, uses, trouble)


def _uses(body: str, databases: set[str]) -> tuple[tuple[tuple[int, str], ...], str]:
    """Where the body names tables, and why it cannot be made elsewhere, if so."""
    own = {plain(name) for name in _CTE.findall(_blank(body))}
    if calls := {plain(name) for name in _CALL.findall(_blank(body))} - own:
        return (), f"it calls the function {min(calls)}, which is not copied"
    found: list[tuple[int, str]] = []
    after_from = False
    for token in _TOKEN.finditer(body):
        if token["word"]:
            after_from = token["word"].lower() in ("from", "join")
        elif token["name"] and after_from:
            after_from, name = False, plain(token["name"])
            qualified = body[token.end() : token.end() + 1] == "."
            if qualified and name in databases:
                return (), f"it names tables of more than its own database ({name})"
            if not qualified and name not in own:  # qualified: extract(year from `t`.`c`)
                found.append((token.start(), name))
        elif not token[0].isspace() and token[0] != "(":
            after_from = False
    return tuple(found), ""


def _blank(body: str) -> str:
    """The body with nothing in its texts."""
    return _TOKEN.sub(lambda token: "''" if token[0][0] == "'" else token[0], body)


def plain(name: str) -> str:
    return name[1:-1].replace("``", "`") if name.startswith("`") else name


def _lost(found: Mapping[str, View], whole: set[str]) -> dict[str, str]:
    """Views that cannot be made, and those on them; why."""
    lost = {name: one.trouble for name, one in found.items() if one.trouble}
    more = True
    while more:
        had = whole | (found.keys() - lost.keys())
        new = {name: next((use for _, use in one.uses if use not in had), "") for name, one in found.items()}
        more = False
        for name, use in new.items():
            if use and name not in lost:
                lost[name] = f"it stands on {use}, which is not copied with it under its names"
                more = True
    return lost


def _in_order(found: Mapping[str, View]) -> Iterator[str]:
    """What a view stands on goes before it. The server lets no circle be made."""
    left = dict(found)
    while left:
        ready = [name for name, one in left.items() if not any(use in left for _, use in one.uses)] or list(left)
        for name in ready:
            del left[name]
        yield from ready


def _creating(name: TableName, view: View) -> str:
    body = view.body
    for at, _ in reversed(view.uses):
        body = f"{body[:at]}{quote(name.schema)}.{body[at:]}"
    algorithm = f"algorithm = {view.algorithm} " if view.algorithm else ""
    security = f"sql security {view.security} " if view.security else ""
    return f"create or replace {algorithm}{security}view {quote(name.schema, name.name)} {view.columns} as {body}"


def _names(line: Line, schema: str) -> set[str]:
    asked = f"select table_name from information_schema.tables where table_schema = {text(schema)}"  # noqa: S608
    return {str(row[0]) for row in line.ask(asked)}


# -- triggers -------------------------------------------------------------------------------------------------------


def _triggers(
    here: Line, there: Line, schema: str, into: str, tables: Mapping[str, Wanted], whole: set[str], made: Objects
) -> None:  # fmt: skip
    found = {name: one for name, one in triggers(here, schema).items() if one.table in tables}
    if not found and not _sees_triggers(here):
        made.losses.append(f"triggers of {schema} may be hidden: grant TRIGGER to the user of {here.place}")
    existing = triggers(there, into)
    for name, one in found.items():
        label = f"trigger {into}.{name} on {tables[one.table].table}"
        why = _trouble(one, schema, whole) or ("" if name in existing else _forbidden(there))
        copy = Trigger(one.table, one.moment, _guarded(one.body), one.mode)
        if why:
            made.losses.append(f"{label} is not made: {why}")
        elif name not in existing:
            made.losses.append(f"{label}: made so that it does nothing when a sync writes")
            made.after += _creating_trigger(TableName(into, name), copy)
        elif existing[name].said != copy.said:
            made.drift.append(f"{label}: its definition in the target is another")


def triggers(line: Line, schema: str) -> dict[str, Trigger]:
    """The triggers of a database by name, in the order in which they act."""
    rows = line.ask(
        "select trigger_name, event_object_table, lower(concat(action_timing, ' ', event_manipulation)),"  # noqa: S608
        " action_statement, sql_mode from information_schema.triggers"
        f" where event_object_schema = {text(schema)} order by event_object_table, 3, action_order"
    )
    return {str(name): Trigger(*map(str, row)) for name, *row in rows}


def _sees_triggers(line: Line) -> bool:
    """Who may not see them gets an empty list, and no error."""
    who, kinds = _grantee(line), ("user", "schema", "table")
    asked = " union all ".join(
        f"select 1 from information_schema.{kind}_privileges where privilege_type = 'TRIGGER' and grantee = {who}"  # noqa: S608
        for kind in kinds
    )
    return bool(line.ask(asked))


def _trouble(one: Trigger, schema: str, whole: set[str]) -> str:
    if one.table not in whole:
        return "columns or the name of its table are others in the target"
    if re.search(rf"(?<![\w`])(?:{re.escape(quote(schema))}|{re.escape(schema)})\s*\.", _blank(one.body)):
        return f"it names its database {schema}"
    return "it is written in the syntax of Oracle" if _OTHER_SYNTAX in one.mode.split(",") else ""


def _forbidden(line: Line) -> str:
    """With a binary log only some may make triggers; refused at the end of a run it would fail each run."""
    if not int(line.one("select @@log_bin and not @@log_bin_trust_function_creators")):
        return ""
    asked = "select count(*) from information_schema.user_privileges where privilege_type = 'SUPER' and grantee = "
    if int(line.one(asked + _grantee(line))):
        return ""
    return "the server keeps a binary log and asks for SUPER: set log_bin_trust_function_creators = 1 there"


def _grantee(line: Line) -> str:
    user, _, host = str(line.one("select current_user()")).rpartition("@")
    return text(f"'{user}'@'{host}'")


def _guarded(body: str) -> str:
    return f"begin if @{WRITING} is null then\n{body.strip().rstrip(';')}\n; end if; end"


def _creating_trigger(name: TableName, one: Trigger) -> tuple[str, ...]:
    """In the mode that its body was written for."""
    table = quote(name.schema, one.table)
    return (
        f"set @sync_assets_mode = @@session.sql_mode, session sql_mode = {text(one.mode)}",
        f"create trigger {quote(name.schema, name.name)} {one.moment} on {table} for each row {one.body}",
        "set session sql_mode = @sync_assets_mode",
    )
