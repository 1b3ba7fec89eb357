"""A table's twin: built like it, filled, and put in its place so that readers see the old rows or the new ones.

The twin lies in the schema ``sync_assets`` until then. Long work (indexes, checking foreign keys) is done on the twin
while the old table is in use; the exchange itself only renames.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from sync_assets.databases.postgres.tables.quoting import literal
from sync_assets.databases.postgres.tables.session import Session
from sync_assets.databases.quoting import qualified, quoted
from sync_assets.engine.errors import SyncError
from sync_assets.engine.tables.shape import TableName
from sync_assets.store.sql import read_named

SQL = read_named(Path(__file__).with_name("swap.sql"))
_ON = re.compile(r'^(CREATE (?:UNIQUE )?INDEX )(?:"(?:[^"]|"")+"|\S+)( ON (?:ONLY )?)(?:(?:"(?:[^"]|"")+"|[^\s".]+)\.)?(?:"(?:[^"]|"")+"|[^\s".]+)')  # fmt: skip # noqa: E501
_LIKE = "including all excluding indexes"


@dataclass(frozen=True, slots=True)
class _Index:
    name: str
    definition: str
    constraint: str
    kind: str  # p, u, x; empty: a plain index
    deferrable: bool
    deferred: bool
    constraint_definition: str
    replica_identity: bool
    clustered: bool
    comment: str
    constraint_comment: str


def make_twin(session: Session, twin: TableName, table: TableName) -> None:
    """An empty table like `table`, without indexes and keys."""
    persistence, options, space, method = session.ask(SQL["make_facts"], (qualified(table),))[0]
    kind = "unlogged table" if persistence == "u" else "table"
    more = f" using {quoted(method)}" if method else ""
    more += f" with ({options})" if options else ""
    more += f" tablespace {quoted(space)}" if space else ""
    make = f"create {kind} {qualified(twin)} (like {qualified(table)} {_LIKE}){more}"
    session.ask(f"begin; drop table if exists {qualified(twin)}; {make}; commit")


def obstacle(session: Session, table: TableName) -> str:
    """What hangs on the table, in a word; empty: nothing that a swap would lose."""
    rows = session.ask(SQL["obstacles"], {"table": qualified(table)})  # type: ignore[arg-type]
    return str(rows[0][0]) if rows else ""


def prepare(session: Session, twin: TableName, table: TableName) -> None:
    """Give the twin what takes long: indexes, keys, foreign keys. Can be repeated after a broken attempt."""
    indexes = _indexes(session, table)
    for at, index in enumerate(indexes):
        _build_index(session, twin, index, f"{twin.name}_{at}")
    there = {row[0] for row in session.ask(SQL["foreign_keys"], (qualified(twin),))}
    for name, definition, validated in session.ask(SQL["foreign_keys"], (qualified(table),)):
        add = f"alter table {qualified(twin)} add constraint {quoted(name)} {definition.removesuffix(' NOT VALID')}"
        if name not in there:
            session.ask(f"{add} not valid")
        if validated:
            session.ask(f"alter table {qualified(twin)} validate constraint {quoted(name)}")
    if session.ask("select reltuples > 0 from pg_catalog.pg_class where oid = %s::regclass", (qualified(table),))[0][0]:
        session.ask(f"analyze {qualified(twin)}")  # whoever reads the old one has good plans; autovacuum comes late


def _build_index(session: Session, twin: TableName, index: _Index, name: str) -> None:
    """Under a name of the twin's; constraints are put on unique indexes, but exclusions make their own."""
    made = session.ask("select to_regclass(%s) is not null", (f"{quoted(twin.schema)}.{quoted(name)}",))[0][0]
    if made:
        return
    if index.kind == "x":
        add = f"alter table {qualified(twin)} add constraint {quoted(name)} {index.constraint_definition}"
        session.ask(add)
        return
    create = _ON.sub(lambda m: f"{m[1]}{quoted(name)}{m[2]}{qualified(twin)}", index.definition, count=1)
    word = {"p": "primary key", "u": "unique"}.get(index.kind)
    later = (" deferrable" if index.deferrable else "") + (" initially deferred" if index.deferred else "")
    add = f"alter table {qualified(twin)} add constraint {quoted(name)} {word} using index {quoted(name)}{later}"
    session.ask(f"begin; {create}; {f'{add};' if word else ''} commit")


def exchange(session: Session, twin: TableName, table: TableName) -> None:
    """Inside a batch: the twin takes the table's place, name, owner and rights. Raises what the server says when
    something still hangs on the old one."""
    session.ask(f"lock table {qualified(table)} in access exclusive mode")
    indexes = _indexes(session, table)
    owner, replica, comment = session.ask(SQL["identity"], (qualified(table),))[0]
    rights = session.ask(SQL["rights"], {"table": qualified(table)})  # type: ignore[arg-type]
    new = TableName(table.schema, twin.name)
    moves = [f"alter table {qualified(twin)} set schema {quoted(table.schema)}"] if twin.schema != table.schema else []
    if comment:
        moves.append(f"comment on table {qualified(new)} is {literal(comment)}")
    if replica in ("f", "n"):
        moves.append(f"alter table {qualified(new)} replica identity {'full' if replica == 'f' else 'nothing'}")
    moves += [_granted(new, *right) for right in rights]
    session.ask("; ".join([*moves, "select 1"]))
    after = _sequences(session, new, table)
    last = [f"drop table {qualified(table)}", f"alter table {qualified(new)} rename to {quoted(table.name)}", *after]
    last += [s for at, index in enumerate(indexes) for s in _named(table, index, f"{twin.name}_{at}")]
    last.append(f"alter table {qualified(table)} owner to {quoted(owner)}")
    session.ask("; ".join(last))


def _indexes(session: Session, table: TableName) -> list[_Index]:
    return [_Index(*row) for row in session.ask(SQL["indexes"], (qualified(table),))]


def _granted(table: TableName, privilege: str, role: str, grantable: bool, column: str) -> str:
    what = f"{privilege} ({quoted(column)})" if column else privilege
    to = quoted(role) if role else "public"
    return f"grant {what} on {qualified(table)} to {to}{' with grant option' if grantable else ''}"


def _named(table: TableName, index: _Index, name: str) -> list[str]:
    """Names, comments and roles of the old indexes, for the new ones."""
    place = f"{quoted(table.schema)}.{quoted(index.name)}"
    renamed = [f"alter index {quoted(table.schema)}.{quoted(name)} rename to {quoted(index.name)}"]
    if index.constraint:
        renamed = [f"alter table {qualified(table)} rename constraint {quoted(name)} to {quoted(index.constraint)}"]
    if index.comment:
        renamed.append(f"comment on index {place} is {literal(index.comment)}")
    if index.constraint_comment:
        on = f"{quoted(index.constraint)} on {qualified(table)}"
        renamed.append(f"comment on constraint {on} is {literal(index.constraint_comment)}")
    if index.replica_identity:
        renamed.append(f"alter table {qualified(table)} replica identity using index {quoted(index.name)}")
    if index.clustered:
        renamed.append(f"alter table {qualified(table)} cluster on {quoted(index.name)}")
    return renamed


def _sequences(session: Session, new: TableName, table: TableName) -> list[str]:
    """Serial columns keep their sequence; an identity's new one takes the old one's place, name and rights. Returns
    what is to be done once the old table is gone."""
    made = {row[0]: row for row in session.ask(SQL["sequences"], (qualified(new),))}
    later: list[str] = []
    for column, how, place, schema, name in session.ask(SQL["sequences"], (qualified(table),)):
        if how == "a":
            session.ask(f"alter sequence {place} owned by {qualified(new)}.{quoted(column)}")
            continue
        twin = made[column]
        session.ask(f"select setval({literal(twin[2])}::regclass, s.last_value, s.is_called) from {place} s")  # noqa: S608
        rights = session.ask(SQL["rights"], {"table": f"{quoted(schema)}.{quoted(name)}"})  # type: ignore[arg-type]
        later.append(f"alter sequence {quoted(twin[3])}.{quoted(twin[4])} rename to {quoted(name)}")
        later += [_granted_sequence(schema, name, *right[:3]) for right in rights]
    return later


def _granted_sequence(schema: str, name: str, privilege: str, role: str, grantable: bool) -> str:
    to = quoted(role) if role else "public"
    more = " with grant option" if grantable else ""
    return f"grant {privilege} on sequence {quoted(schema)}.{quoted(name)} to {to}{more}"


def hangs_on(error: SyncError) -> bool:
    """Whether the old table could not go because something still needs it."""
    return error.code == "2BP01"
