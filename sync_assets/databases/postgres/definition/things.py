"""Types, functions, collations and extensions: read from the catalogue, rendered as the statements that make them.

Must not know tables. They keep their schema and name in the target: `public.mood` stays `public.mood`, so that values
can be passed on in binary and two replicas of one schema share it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sync_assets.databases.postgres.definition.catalogue import Ask, Row, literals
from sync_assets.databases.postgres.definition.names import Name, Renaming, literal
from sync_assets.databases.postgres.definition.parts import Thing
from sync_assets.databases.quoting import quoted

_ROUTINES = {"f": "function", "w": "function", "p": "procedure", "a": "aggregate"}


def types(ask: Ask, renaming: Renaming, oids: Sequence[int], names: Sequence[Name] = ()) -> dict[int, Thing]:
    rows = ask("types", oids=list(oids), **_split(names))
    return {row[0]: _type(row, renaming) for row in rows if row[3] in "edcr"}


def _split(names: Sequence[Name]) -> dict[str, list[str]]:
    return {"schemas": [n.schema for n in names], "names": [n.name for n in names]}


def _type(row: Row, renaming: Renaming) -> Thing:
    name, kind = Name(row[1], row[2]), row[3]
    word = "domain" if kind == "d" else "type"
    labels: Sequence[str] = row[4]
    made, notes = {"e": _enum, "d": _domain, "c": _composite, "r": _range}[kind](name, row)
    return Thing(
        word, name, f"{word} {name.sql}", tuple(renaming.text(m) for m in made), row[16], notes,
        tuple(labels) if kind == "e" else (), row[17],
    )  # fmt: skip


_Made = tuple[list[str], tuple[tuple[str, str], ...]]


def _enum(name: Name, row: Row) -> _Made:
    return [f"create type {name.sql} as enum ({literals(row[4])})"], ()


def _domain(name: Name, row: Row) -> _Made:
    text = f"create domain {name.sql} as {row[5]}"
    text += f" collate {row[8]}" if row[8] else ""
    text += f" default {row[7]}" if row[7] else ""
    text += " not null" if row[6] else ""
    later = []
    for check, definition in zip(row[9], row[10], strict=True):
        if definition.endswith(" NOT VALID"):
            later.append(f"alter domain {name.sql} add constraint {quoted(check)} {definition}")
        else:
            text += f" constraint {quoted(check)} {definition}"
    notes = zip(row[9], row[11], strict=True)
    return [text, *later], tuple((f"constraint {quoted(c)} on domain {name.sql}", n) for c, n in notes)


def _composite(name: Name, row: Row) -> _Made:
    inside = ", ".join(f"{quoted(a)} {t}" for a, t in zip(row[12], row[13], strict=True))
    notes = zip(row[12], row[14], strict=True)
    return [f"create type {name.sql} as ({inside})"], tuple((f"column {name.sql}.{quoted(a)}", n) for a, n in notes)


def _range(name: Name, row: Row) -> _Made:
    return [f"create type {name.sql} as range ({', '.join(o for o in row[15] if o)})"], ()


def functions(ask: Ask, renaming: Renaming, oids: Sequence[int], names: Sequence[Name] = ()) -> dict[int, Thing]:
    rows = ask("functions", oids=list(oids), **_split(names))
    return {row[0]: _function(row, renaming) for row in rows}


def bodies(ask: Ask, oids: Sequence[int]) -> dict[int, str]:
    """The texts of functions whose body the server does not look into until they are called."""
    return {row[0]: row[7] for row in ask("functions", oids=list(oids), schemas=[], names=[]) if row[8]}


def _function(row: Row, renaming: Renaming) -> Thing:
    name, word = Name(row[1], row[2]), _ROUTINES[row[3]]
    arguments = renaming.text(row[4])
    label = f"{word} {name.sql}({arguments})"
    create = _aggregate(name, arguments, row[9]) if word == "aggregate" else row[5].rstrip()
    if row[8]:
        head, mark, body = create.partition("\nAS ")
        create = renaming.text(head) + mark + body
    else:
        create = renaming.text(create)
    return Thing(word, name, label, (create,), row[10], owned=row[11])


def _aggregate(name: Name, arguments: str, options: Sequence[str | None]) -> str:
    return f"create aggregate {name.sql}({arguments or '*'}) ({', '.join(o for o in options if o)})"


def unlooked(statement: str) -> str:
    """A function, made without looking into its body: it may call what is made later."""
    if re.match(r"create (or replace )?(function|procedure)", statement, re.IGNORECASE):
        return "set check_function_bodies = off;\n" + statement + ";\nreset check_function_bodies"
    return statement


def collations(ask: Ask, oids: Sequence[int], names: Sequence[Name] = ()) -> dict[int, Thing]:
    return {row[0]: _collation(row) for row in ask("collations", oids=list(oids), **_split(names))}


def _collation(row: Row) -> Thing:
    name = Name(row[1], row[2])
    return Thing("collation", name, f"collation {name.sql}", (_collation_sql(name, row),), row[9])


def _collation_sql(name: Name, row: Row) -> str:
    provider = {"c": "libc", "i": "icu", "b": "builtin"}.get(row[3], "libc")
    options = [f"provider = {provider}"]
    if row[3] == "c":
        options += [f"lc_collate = {literal(row[5])}", f"lc_ctype = {literal(row[6])}"]
    else:  # before PostgreSQL 15 the locale of ICU was kept in collcollate
        options.append(f"locale = {literal(row[7] or row[5])}")
    if not row[4]:
        options.append("deterministic = false")
    if row[8]:
        options.append(f"rules = {literal(row[8])}")
    return f"create collation if not exists {name.sql} ({', '.join(options)})"


def extension(name: str, schema: str) -> Thing:
    """Made in the same schema as in the source, for the names of its types begin with that."""
    where = f" schema {quoted(schema)}"
    create = f"create extension if not exists {quoted(name)}{where}"
    return Thing("extension", Name(schema, name), f"extension {quoted(name)}", (create,))


def extensions(ask: Ask, oids: Sequence[int], names: Sequence[str] = ()) -> dict[int, Thing]:
    return {row[0]: extension(row[1], row[2]) for row in ask("extensions", oids=list(oids), names=list(names))}


def comment(on: str, text: str) -> str:
    """COMMENT ON `on`; no text takes it away."""
    return f"comment on {on} is {literal(text) if text else 'null'}"
