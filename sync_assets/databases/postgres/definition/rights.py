"""Whether the target's user may do what a design needs, before any of it is done: so that nothing is left half done."""

from __future__ import annotations

from sync_assets.databases.postgres.definition.catalogue import Ask
from sync_assets.databases.postgres.definition.draft import Draft
from sync_assets.databases.postgres.definition.parts import Structure
from sync_assets.databases.postgres.definition.things import comment
from sync_assets.databases.quoting import quoted
from sync_assets.engine.errors import Stop


def hold(ask: Ask, expected: Structure, actual: Structure, draft: Draft) -> list[str]:
    """Statements for the missing schemas. Raises `Stop` with the words of the grant that is missing."""
    user, database, may_make_schemas, _ = ask("myself")[0]
    _extensions(ask, expected, actual, user)
    rows = ask("schemas", names=sorted(draft.schemas))
    there = {row[0]: row[2] for row in rows}
    missing = sorted(draft.schemas - there.keys())
    if missing and not may_make_schemas:
        raise Stop(
            f"{ask.place}: user {user} may not create schema {missing[0]}",
            hint=f"grant create on database {quoted(database)} to {quoted(user)}, or create it",
            code="no_right",
        )
    for schema, may in there.items():
        if not may:
            raise Stop(
                f"{ask.place}: user {user} may not create tables in schema {schema}",
                hint=f"grant create on schema {quoted(schema)} to {quoted(user)}",
                code="no_right",
            )
    _owned(ask, draft, user)
    made = [f"create schema if not exists {quoted(s)}" for s in missing]
    return made + [comment(f"schema {quoted(s)}", expected.schemas[s]) for s in missing if s in expected.schemas]


def know(ask: Ask, expected: Structure, actual: Structure, draft: Draft) -> None:
    """Tell the draft what this user may not touch, so that it only tells of what can as well stay."""
    owned = {f"table {t.name.sql}": t.owned for t in actual.tables.values()}
    owned |= {f"sequence {s.name.sql}": s.ours for s in actual.sequences.values()}
    owned |= {label: thing.owned for label, thing in actual.things.items()}
    draft.strangers = frozenset(label for label, ours in owned.items() if not ours)
    rows = ask("schemas", names=sorted({t.schema for t in expected.tables}))
    draft.closed = frozenset(row[0] for row in rows if not row[2])


def _owned(ask: Ask, draft: Draft, user: str) -> None:
    for label in sorted(draft.altered):
        if label in draft.strangers:
            raise Stop(
                f"{ask.place}: user {user} may not alter {label}: it belongs to another user",
                hint=f"make {quoted(user)} a member of its owner, or set schema_changes: ignore",
                code="no_right",
            )


def _extensions(ask: Ask, expected: Structure, actual: Structure, user: str) -> None:
    wanted = [t for label, t in expected.things.items() if t.kind == "extension" and label not in actual.things]
    if not wanted:
        return
    allowed: dict[str, bool] = dict(ask("available", names=[t.name.name for t in wanted]))
    for thing in wanted:
        name = thing.name.name
        if name not in allowed:
            raise Stop(
                f"{ask.place}: the extension {name} is not installed on the server",
                hint="install it there, or leave out the columns that need it",
                code="no_extension",
            )
        if not allowed[name]:
            raise Stop(
                f"{ask.place}: user {user} may not create the extension {name}",
                hint=f"let a superuser run: create extension {quoted(name)} schema {quoted(thing.name.schema)}",
                code="no_right",
            )
