"""What the target lacks of the structure that is expected, and where both differ: into a draft of the design.

Values in, statements and words out. Must not ask a server.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import replace

from sync_assets.databases.postgres.definition import alike, render, things
from sync_assets.databases.postgres.definition.columns import compare_columns
from sync_assets.databases.postgres.definition.draft import Draft
from sync_assets.databases.postgres.definition.names import Name, literal, loose
from sync_assets.databases.postgres.definition.parts import (
    Constraint,
    Index,
    Sequence,
    Structure,
    Table,
    Thing,
)
from sync_assets.databases.postgres.definition.structure import label
from sync_assets.databases.quoting import quoted

_LATE = ("view", "materialized view", "trigger", "rule")  # made after the rows


def compare(expected: Structure, actual: Structure, others: Collection[Name], draft: Draft) -> None:
    """Fill the draft. `others` are tables of the target that foreign keys may point to besides."""
    draft.losses += expected.losses
    sequences(expected, actual, draft)
    tables = {label(t.name): t for t in expected.tables.values()}
    for made in expected.order:
        if made in tables:
            _table(tables[made], expected, actual, draft)
        elif made in expected.things:
            _thing(expected.things[made], actual, draft)
    _owners(expected, actual, draft)
    constraints(expected, actual, others, draft)
    indexes(expected, actual, draft)
    statistics(expected, actual, draft)
    _only_there(expected, actual, draft)
    positions(expected, actual, draft)


# -- things


def _thing(thing: Thing, actual: Structure, draft: Draft) -> None:
    there = actual.things.get(thing.label)
    phase = draft.last if thing.kind in _LATE else draft.before
    if there is None:
        draft.schemas |= {thing.name.schema} if thing.kind not in ("trigger", "rule") else set()
        phase += [things.unlooked(c) for c in thing.create]
        phase += [things.comment(on, text) for on, text in ((thing.label, thing.comment), *thing.parts) if text]
        if thing.kind in ("trigger", "rule"):
            draft.losses.append(f"{thing.label}: made switched off, for it would change rows that a sync writes")
        return
    if thing.labels or there.labels:
        _enum(thing, there, draft)
    elif not _same_thing(thing, there):
        draft.odd(f"{thing.label}: its definition in the target is another")
    notes = dict(((there.label, there.comment), *there.parts))
    for on, text in ((thing.label, thing.comment), *thing.parts):
        if notes.get(on, "") != text:
            _comment(draft, on, text, thing.label)


def _same_thing(one: Thing, other: Thing) -> bool:
    if one.kind == "extension":
        return one.name.schema == other.name.schema
    if one.create == other.create:
        return True
    texts = [one.create[0], other.create[0]]
    if not all("multirange_type_name" in t for t in texts):  # there are none before PostgreSQL 14
        texts = [re.sub(r", multirange_type_name = [^,)]+", "", t) for t in texts]
    return loose(texts[0]) == loose(texts[1])


def _enum(thing: Thing, there: Thing, draft: Draft) -> None:
    gone = [v for v in there.labels if v not in thing.labels]
    new = [v for v in thing.labels if v not in there.labels]
    kept = [v for v in thing.labels if v in there.labels]
    if gone and new:
        draft.unsafe(f"{thing.label}: {len(gone)} of its labels went and {len(new)} came: renamed?")
    elif kept != [v for v in there.labels if v in thing.labels]:
        draft.unsafe(f"{thing.label}: its labels are in another order in the target")
    elif gone:
        draft.note(f"{thing.label}: the target has {len(gone)} labels more")
    elif new:
        words = f"{thing.label}: {len(new)} labels were added in the source"
        draft.safe(words, _new_labels(thing, there), of=thing.label, needed=True)


def _new_labels(thing: Thing, there: Thing) -> list[str]:
    """In an order in which each neighbour is there already."""
    made, known = [], list(there.labels)
    for at, value in enumerate(thing.labels):
        if value in there.labels:
            continue
        after = f" after {literal(thing.labels[at - 1])}" if at else f" before {literal(known[0])}" if known else ""
        made.append(f"alter {thing.label} add value if not exists {literal(value)}{after}")
    return made


def _comment(draft: Draft, on: str, text: str, of: str) -> None:
    draft.mend(f"{on}: another comment", [things.comment(on, text)], of=of)


# -- sequences


def sequences(expected: Structure, actual: Structure, draft: Draft) -> None:
    """Sequences that are not made with an identity column, and the settings of all that there are."""
    for sequence in expected.sequences.values():
        there = alike.sequence(sequence, actual)
        if there is None:
            _new_sequence(sequence, actual, draft)
        elif there.options != sequence.options or there.type != sequence.type:
            text = f"alter sequence {there.name.sql} as {sequence.type} {render.sequence_options(sequence)}"
            draft.mend(f"sequence {there.name}: other settings", [text], of=f"sequence {there.name.sql}")
        if there is not None and there.comment != sequence.comment:
            _comment(draft, f"sequence {there.name.sql}", sequence.comment, f"sequence {there.name.sql}")


def _new_sequence(sequence: Sequence, actual: Structure, draft: Draft) -> None:
    """With its table, or for a table that may be changed. That of an identity column is made with the column."""
    fresh = sequence.table not in actual.tables
    closed = sequence.name.schema in draft.closed or (sequence.table and label(sequence.table) in draft.strangers)
    if not fresh and (sequence.identity or closed or draft.policy != "apply"):
        return
    draft.sequences.add(sequence.name)
    draft.schemas.add(sequence.name.schema)
    if not sequence.identity:
        draft.before += [render.create_sequence(sequence), *_sequence_comment(sequence)]


def _sequence_comment(sequence: Sequence) -> list[str]:
    return [things.comment(f"sequence {sequence.name.sql}", sequence.comment)] if sequence.comment else []


def _owners(expected: Structure, actual: Structure, draft: Draft) -> None:
    for sequence in expected.sequences.values():
        there = alike.sequence(sequence, actual)
        made = sequence.name in draft.sequences
        if sequence.identity and made:
            draft.before += _sequence_comment(sequence)
        elif not sequence.identity and sequence.table and (made or (there and there.table is None and there.ours)):
            draft.before.append(render.owned_by(sequence))


def positions(expected: Structure, actual: Structure, draft: Draft) -> None:
    """Positions of sequences, as read from the source; never back, for rows may have been added in the target."""
    for sequence in expected.sequences.values():
        there = alike.sequence(sequence, actual)
        if sequence.position is None:
            continue
        if there is None:
            fresh = (sequence.position, sequence.called) == (sequence.start, False)
            if sequence.name in draft.sequences and not fresh:
                draft.positions.append(render.set_position(sequence))
        elif there.position is None or _spot(sequence) > _spot(there):
            if there.ours:
                draft.positions.append(render.set_position(replace(sequence, name=there.name)))
            else:
                draft.losses.append(f"sequence {there.name}: position not set: it belongs to another user")


def _spot(sequence: Sequence) -> tuple[int, bool]:
    position = sequence.position or 0
    return (position if sequence.increment > 0 else -position, sequence.called)


# -- tables


def _table(table: Table, expected: Structure, actual: Structure, draft: Draft) -> None:
    identities = _identities(expected)
    there = actual.tables.get(table.name)
    if there is None:
        if table.partition and table.parents[0] in actual.tables:
            draft.drift.append(f"{table.name}: a new partition of {table.parents[0]}")
            draft.altered.add(label(table.parents[0]))
        draft.schemas.add(table.name.schema)
        draft.before += [*render.create_table(table, expected, identities), *render.comments(table)]
        return
    if _partitioning(table) != _partitioning(there):
        draft.unsafe(f"{table.name}: is partitioned otherwise in the target")
    if table.parents != there.parents:
        draft.odd(f"{table.name}: has other parents in the target")
    compare_columns(table, there, expected, actual, identities, draft)
    _settings(table, there, draft)


def _partitioning(table: Table) -> tuple[str, str, str]:
    return table.kind, loose(table.partition_key), loose(table.bound)


def _identities(expected: Structure) -> Mapping[tuple[Name, str], Sequence]:
    return {(s.table, s.column): s for s in expected.sequences.values() if s.identity and s.table}


def _settings(table: Table, there: Table, draft: Draft) -> None:
    of = label(table.name)
    if table.comment != there.comment:
        _comment(draft, f"table {table.name.sql}", table.comment, of)
    if missing := [o for o in table.options if o not in there.options]:
        text = f"alter table {table.name.sql} set ({render.options_sql(missing)})"
        draft.mend(f"{table.name}: other storage options", [text], of=of)
    if table.unlogged != there.unlogged:
        draft.note(f"{table.name}: is {'logged' if table.unlogged else 'unlogged'} in the target")
    if table.replica != there.replica and table.replica != "i":
        draft.mend(f"{table.name}: another replica identity", render.set_replica(table), of=of)


# -- constraints, indexes, statistics


def constraints(expected: Structure, actual: Structure, others: Collection[Name], draft: Draft) -> None:
    """Keys and checks in the order of tables (parents first), foreign keys last."""
    order = {name: at for at, name in enumerate(_in_order(expected))}
    phases = {"p": draft.keys, "u": draft.keys, "x": draft.keys, "c": draft.checks}
    for constraint in sorted(expected.constraints.values(), key=lambda c: order[c.table]):
        if constraint.type in phases:
            _constraint(constraint, expected, actual, draft, phases[constraint.type])
    for constraint in expected.constraints.values():
        if constraint.type == "f" and constraint.to not in expected.tables and constraint.to not in others:
            words = f"foreign key {constraint.name} points to {constraint.to}, which the target does not have"
            draft.losses.append(f"{constraint.table}: {words}")
        elif constraint.type == "f":
            _constraint(constraint, expected, actual, draft, draft.foreign)


def _in_order(expected: Structure) -> list[Name]:
    at = {made: n for n, made in enumerate(expected.order)}
    return sorted(expected.tables, key=lambda t: at.get(label(t), len(at)))


def _constraint(constraint: Constraint, expected: Structure, actual: Structure, draft: Draft, phase: list[str]) -> None:
    table = expected.tables[constraint.table]
    there = actual.constraints.get((table.name, constraint.name)) or next(alike.constraints(constraint, actual), None)
    words = f"{table.name}: constraint {constraint.name}"
    if there is None:
        if not _comes_along(constraint.parent_index, table, actual):
            _add(words + " is missing", table, actual, draft, phase, render.add_constraint(constraint, table))
    elif alike.constraint_text(there) != alike.constraint_text(constraint):
        draft.odd(words + " is another in the target")
    on = f"constraint {quoted(constraint.name)} on {table.name.sql}"
    _marks(constraint, there, table, actual, draft, constraint.index)
    _late_comment(on, constraint.comment, there.comment if there else "", table, actual, draft)


def _comes_along(parent_index: Name | None, table: Table, actual: Structure) -> bool:
    """A new partition gets the indexes that its parent has in the target."""
    if parent_index is None or table.name in actual.tables or not table.parents:
        return False
    parent = table.parents[0]
    return (parent, parent_index.name) in actual.indexes or any(
        c.table == parent and c.index == parent_index.name for c in actual.constraints.values()
    )


def _add(words: str, table: Table, actual: Structure, draft: Draft, phase: list[str], made: list[str]) -> None:
    there = actual.tables.get(table.name)
    if there is not None and not there.owned:
        draft.note(f"{words}, and cannot be made: the table belongs to another user")
    else:
        draft.missing(words, there is None, phase, made)


def _marks(
    part: Constraint | Index, there: Constraint | Index | None, table: Table, actual: Structure, draft: Draft, name: str
) -> None:
    clustered = part.clustered and not (there and there.clustered)
    replica = part.replica and not (there and there.replica)
    if made := render.index_marks(table, name, clustered, replica):
        _add(f"{table.name}: index {name} is not marked as in the source", table, actual, draft, draft.indexes, made)


def _late_comment(on: str, text: str, there: str, table: Table, actual: Structure, draft: Draft) -> None:
    if text != there:
        _add(f"{on}: another comment", table, actual, draft, draft.last, [things.comment(on, text)])


def indexes(expected: Structure, actual: Structure, draft: Draft) -> None:
    order = {name: at for at, name in enumerate(_in_order(expected))}
    for index in sorted(expected.indexes.values(), key=lambda i: order[i.table]):
        table = expected.tables[index.table]
        there = actual.indexes.get((table.name, index.name)) or next(alike.indexes(index, actual), None)
        words = f"{table.name}: index {index.name}"
        if there is None:
            if not _comes_along(index.parent, table, actual):
                _add(words + " is missing", table, actual, draft, draft.indexes, render.create_index(index, table))
        elif alike.index_text(there) != alike.index_text(index):
            draft.note(words + " is another in the target; it is left as it is")
        elif not there.valid and not index.partitioned:
            draft.note(words + " is invalid in the target: drop it, and the next run makes it anew")
        on = f"index {Name(table.name.schema, there.name if there else index.name).sql}"
        _marks(index, there, table, actual, draft, there.name if there else index.name)
        if there or not _comes_along(index.parent, table, actual):
            _late_comment(on, index.comment, there.comment if there else "", table, actual, draft)


def statistics(expected: Structure, actual: Structure, draft: Draft) -> None:
    for statistic in expected.statistics.values():
        table = expected.tables[statistic.table]
        there = actual.statistics.get(statistic.name)
        words = f"{table.name}: statistics {statistic.name}"
        if there is None:
            _add(words + " are missing", table, actual, draft, draft.checks, render.create_statistics(statistic))
        elif alike.statistic_text(there) != alike.statistic_text(statistic):
            draft.note(words + " are others in the target")
        on = f"statistics {statistic.name.sql}"
        _late_comment(on, statistic.comment, there.comment if there else "", table, actual, draft)


def _only_there(expected: Structure, actual: Structure, draft: Draft) -> None:
    """What only the target has stays there, and is told."""
    for table in actual.tables.values():
        if table.name not in expected.tables and table.parents and table.parents[0] in expected.tables:
            draft.note(f"{table.name}: a partition that only the target has")
    for constraint in actual.constraints.values():
        known = (constraint.table, constraint.name) in expected.constraints or any(
            alike.constraints(constraint, expected)
        )
        if not known and constraint.table in expected.tables:
            draft.note(f"{constraint.table}: constraint {constraint.name} is only in the target")
    for index in actual.indexes.values():
        known_index = (index.table, index.name) in expected.indexes or any(alike.indexes(index, expected))
        if not known_index and index.table in expected.tables:
            draft.note(f"{index.table}: index {index.name} is only in the target")
