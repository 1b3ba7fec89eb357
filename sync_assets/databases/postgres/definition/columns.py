"""Differences between the columns of a table in the source and in the target, and what mends them.

A rename cannot be seen in the catalogues of two servers: one column that went and one that came in its place, of the
same type, may be one renamed column. That is never mended without a person. Must not ask a server.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from sync_assets.databases.postgres.definition import render, things
from sync_assets.databases.postgres.definition.draft import Draft
from sync_assets.databases.postgres.definition.names import Name, loose, tokens
from sync_assets.databases.postgres.definition.parts import Column, Sequence, Structure, Table
from sync_assets.databases.postgres.definition.widening import fit

_STABLE = frozenset({"now", "transaction_timestamp", "statement_timestamp", "current_setting"})


def compare_columns(
    table: Table,
    there: Table,
    expected: Structure,
    actual: Structure,
    identities: Mapping[tuple[Name, str], Sequence],
    draft: Draft,
) -> None:
    """Tell all differences, and mend what is safe. What a parent hands down is its own affair."""
    parents = [expected.tables[p] for p in table.parents if p in actual.tables]
    above = {c.name for p in parents for c in p.columns}
    came = [c for c in table.columns if there.column(c.name) is None and c.name not in above]
    went = [c for c in there.columns if table.column(c.name) is None and not _handed_down(c, table, actual)]
    renamed = _renamed(table, there, came, went)
    for old, new in renamed:
        draft.unsafe(
            f"{table.name}: column {new.name} ({new.type}) is missing, and {old.name} of the same type is in its "
            "place: renamed? rename it in the target too, or map the name"
        )
    for column in came:
        if column not in [n for _, n in renamed]:
            _added(table, column, identities.get((table.name, column.name)), draft)
    for column in went:
        if column not in [o for o, _ in renamed]:
            _dropped(table, column, draft)
    for column in table.columns:
        _both(table, column, there, column.name in above, identities.get((table.name, column.name)), draft)


def _handed_down(column: Column, table: Table, actual: Structure) -> bool:
    return any(p in actual.tables and actual.tables[p].column(column.name) for p in table.parents)


def _renamed(table: Table, there: Table, came: list[Column], went: list[Column]) -> list[tuple[Column, Column]]:
    """Pairs of a column that went and one that came in the same place, with the same type and default."""
    new_at = {c.name: at for at, c in enumerate(table.columns)}
    old_at = {c.name: at for at, c in enumerate(there.columns)}
    return [
        (old, new) for old in went for new in came
        if old_at[old.name] == new_at[new.name] and (old.type, loose(old.expression), old.generated) ==
        (new.type, loose(new.expression), new.generated)
    ]  # fmt: skip


def _added(table: Table, column: Column, identity: Sequence | None, draft: Draft) -> None:
    words = f"{table.name}: column {column.name} ({column.type}) was added in the source"
    fills = column.generated or (column.expression and not changing(column.expression))
    if column.not_null and not fills:
        draft.unsafe(f"{words}; it is NOT NULL, and rows that are there have no value: add it in the target")
        return
    made = [render.add_column(table.name, column, identity), *render.column_settings(table.name, column)]
    if column.comment:
        made.append(things.comment(render.on_column(table.name, column), column.comment))
    draft.safe(words, made, of=_label(table), needed=not column.generated)


def changing(expression: str) -> bool:
    """Whether a default may give each row another value: every call counts, but for the transaction's time."""
    found = [t for t in tokens(expression) if t.kind != "space"]
    return any(a.kind == "ident" and b.text == "(" and a.text not in _STABLE for a, b in pairwise(found))


def _dropped(table: Table, column: Column, draft: Draft) -> None:
    words = f"{table.name}: column {column.name} is only in the target"
    if column.not_null and not (column.expression or column.identity or column.generated):
        draft.unsafe(f"{words}, and it is NOT NULL without a default: new rows have no value for it")
    else:
        draft.note(f"{words}; it is kept")


def _both(
    table: Table, column: Column, there: Table, handed_down: bool, identity: Sequence | None, draft: Draft
) -> None:
    other = there.column(column.name)
    if other is None:
        return
    if (column.generated, column.generated and loose(column.expression)) != (
        other.generated, other.generated and loose(other.expression)):  # fmt: skip
        draft.unsafe(f"{_words(table, column)} is generated otherwise in the target")
        return
    if not handed_down:
        _type(table, column, other, draft)
        _null(table, column, other, there.owned, draft)
    _identity(table, column, other, identity, draft)
    _default(table, column, other, draft)
    _settings(table, column, other, draft)


def _words(table: Table, column: Column) -> str:
    return f"{table.name}: column {column.name}"


def _label(table: Table) -> str:
    return f"table {table.name.sql}"


def _type(table: Table, column: Column, other: Column, draft: Draft) -> None:
    how = fit(column.type, other.type)
    if how == "same" and column.collation != other.collation:
        words = f"{_words(table, column)} has another collation in the target"
        (draft.note if _exact(column) and _exact(other) else draft.odd)(words)
    elif how == "wider":
        draft.note(f"{_words(table, column)} is {column.type}; the target's {other.type} holds all its values")
    elif how == "widen":
        words = f"{_words(table, column)} was widened from {other.type} to {column.type}"
        draft.safe(words, [render.set_type(table.name, column)], of=_label(table), needed=True)
    elif how == "retyped":
        draft.unsafe(f"{_words(table, column)} is {column.type} in the source and {other.type} in the target")


def _exact(column: Column) -> bool:
    """Whether equal values are the same values: only collations that users make can say otherwise."""
    return not column.collation or column.collation.startswith("pg_catalog.")


def _null(table: Table, column: Column, other: Column, owned: bool, draft: Draft) -> None:
    if column.not_null and not other.not_null:
        words = f"{_words(table, column)} is NOT NULL in the source"
        draft.missing(words, False, draft.keys, [render.set_null(table.name, column)] if owned else [])
    elif other.not_null and not column.not_null:
        words = f"{_words(table, column)} may be NULL in the source"
        draft.safe(words, [render.set_null(table.name, column)], of=_label(table), needed=True)


def _identity(table: Table, column: Column, other: Column, identity: Sequence | None, draft: Draft) -> None:
    """Rows have their own numbers in any case: a column that does not count by itself is none the worse for it."""
    if table.partition or column.identity == other.identity:  # from PostgreSQL 17 a partition has its parent's identity
        return
    if column.identity and other.identity:
        words = f"{_words(table, column)} has another kind of identity"
        draft.mend(words, [render.set_identity(table.name, column)], of=_label(table))
        return
    words = f"{_words(table, column)} is {'an' if column.identity else 'no'} identity in the source"
    able = other.not_null and not other.expression and table.name.schema not in draft.closed
    if identity is None or not able:
        draft.note(words)
        return
    draft.mend(words, [render.add_identity(table.name, column, identity)], of=_label(table))
    if draft.policy == "apply" and _label(table) not in draft.strangers:
        draft.sequences.add(identity.name)


def _default(table: Table, column: Column, other: Column, draft: Draft) -> None:
    if column.generated or loose(column.expression) == loose(other.expression):
        return
    words = f"{_words(table, column)} has another default"
    if "nextval(" in column.expression and table.name.schema in draft.closed:
        draft.note(f"{words}, and no sequence may be made in schema {table.name.schema}")
    elif column.identity or other.identity:
        draft.note(words)  # an identity has none besides
    else:
        draft.mend(words, [render.set_default(table.name, column)], of=_label(table))


def _settings(table: Table, column: Column, other: Column, draft: Draft) -> None:
    """How it is stored, and its comment. What the source leaves to the type is left alone."""
    have = set(render.column_settings(table.name, other))
    if made := [s for s in render.column_settings(table.name, column) if s not in have]:
        draft.mend(f"{_words(table, column)} is stored otherwise", made, of=_label(table))
    if column.comment != other.comment:
        on = render.on_column(table.name, column)
        draft.mend(f"{_words(table, column)} has another comment", [things.comment(on, column.comment)],
                   of=_label(table))  # fmt: skip
