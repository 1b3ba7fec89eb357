"""What tables stand on: the walk through the catalogue's dependencies, and the order in which things can be made.

Functions whose body is text are followed too: by the words in it that are names of users' functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sync_assets.databases.postgres.definition import things
from sync_assets.databases.postgres.definition.catalogue import Ask, Scope
from sync_assets.databases.postgres.definition.names import words_called
from sync_assets.databases.postgres.definition.parts import Thing

Node = tuple[str, int]  # catalogue table, number

_FIRST = ("pg_extension", "pg_collation", "pg_type", "pg_proc", "pg_class")
# Belong to a table, or say only where something is; what they stand on has been walked.
_NO_NODES = frozenset({"pg_namespace", "pg_attrdef", "pg_constraint", "pg_statistic_ext", "pg_rewrite", "pg_language"})


@dataclass(frozen=True, slots=True)
class Walk:
    """`owners` says for each object found which node it is part of (its type, its table, its extension)."""

    owners: Mapping[Node, Node]
    words: Mapping[Node, str]
    order: Sequence[Node] = field(default_factory=tuple)
    edges: Mapping[Node, frozenset[Node]] = field(default_factory=dict)

    def numbers(self, kind: str) -> list[int]:
        return sorted({oid for cls, oid in self.owners.values() if cls == kind})


def walk(ask: Ask, scope: Scope, functions: Sequence[int] = (), views: Sequence[int] = ()) -> Walk:
    """Everything needed by the tables of `scope`, `functions` and `views`, in an order in which it can be made."""
    wanted = set(functions)
    skip = _skipped(ask, scope)
    while True:
        found = _one_walk(ask, scope.oids, sorted(wanted), list(views), skip)
        called = _called(ask, found.numbers("pg_proc"))
        if called <= wanted | set(found.numbers("pg_proc")):
            break
        wanted |= called
    edges = _edges(ask, found)
    nodes = dict.fromkeys(found.owners.values())
    tables: list[Node] = [("pg_class", oid) for oid in scope.oids]
    nodes |= dict.fromkeys(tables)
    order = _sorted(nodes, edges)
    return Walk(found.owners, found.words, order, {n: frozenset(e) for n, e in edges.items()})


def _skipped(ask: Ask, scope: Scope) -> list[tuple[int, int]]:
    """The columns that are left out: what only they stand on is not needed."""
    rows = ask("attributes", oids=[oid for oid, name in scope.tables.items() if name in scope.kept])
    return [(row[0], row[2]) for row in rows if not scope.keeps(scope.tables[row[0]], row[1])]


def _one_walk(ask: Ask, tables: list[int], functions: list[int], views: list[int], skip: list[tuple[int, int]]) -> Walk:
    rows = ask("walk", oids=tables, functions=functions, views=views,
               skip=[s[0] for s in skip], numbers=[s[1] for s in skip])  # fmt: skip
    parts: dict[Node, Node] = {}
    for cls, oid, owner_class, owner, extension, _ in rows:
        parts[cls, oid] = ("pg_extension", extension) if extension else (owner_class, owner)
    words = {(row[0], row[1]): row[5] for row in rows}
    return Walk({node: _end(parts, node) for node in parts}, words)


def _end(parts: Mapping[Node, Node], node: Node) -> Node:
    """The owner of the owner ...: an array of rows is of the rows' type, which is of a table."""
    seen = {node}
    while (owner := parts.get(node, node)) not in seen:
        seen.add(owner)
        node = owner
    return node


def _called(ask: Ask, functions: list[int]) -> set[int]:
    words: set[str] = set()
    for body in things.bodies(ask, functions).values():
        words |= words_called(body)
    return {row[0] for row in ask("callable", names=sorted(words))} if words else set()


def _edges(ask: Ask, found: Walk) -> dict[Node, set[Node]]:
    """Only of what is made before the rows: not of constraints, indexes and statistics of tables."""
    asked = [n for n in found.owners if n[0] in ("pg_class", "pg_attrdef", "pg_type", "pg_proc", "pg_rewrite")
             or (n[0] == "pg_constraint" and found.owners[n] != n)]  # fmt: skip
    edges: dict[Node, set[Node]] = {}
    rows = ask("edges", classes=[n[0] for n in asked], oids=[n[1] for n in asked])
    for cls, oid, to_class, to in rows:
        one = found.owners.get((cls, oid), (cls, oid))
        other = found.owners.get((to_class, to), (to_class, to))
        if one != other:
            edges.setdefault(one, set()).add(other)
    return edges


def _sorted(nodes: Iterable[Node], edges: Mapping[Node, set[Node]]) -> tuple[Node, ...]:
    """Each after what it stands on; cycles are cut where the walk meets them, starting with the simplest kinds."""
    known = set(nodes)
    rank = {kind: at for at, kind in enumerate(_FIRST)}
    done: dict[Node, None] = {}
    for start in sorted(known, key=lambda n: (rank.get(n[0], 9), n[1])):
        _visit(start, known, edges, done)
    return tuple(done)


def _visit(start: Node, known: set[Node], edges: Mapping[Node, set[Node]], done: dict[Node, None]) -> None:
    """Depth first, without recursion: chains of views can be long."""
    open_: set[Node] = set()
    stack = [(start, False)]
    while stack:
        node, finished = stack.pop()
        if finished:
            done[node] = None
        elif node not in done and node not in open_:
            open_.add(node)
            stack.append((node, True))
            stack += [(n, False) for n in sorted(edges.get(node, ()), reverse=True) if n in known and n not in done]


@dataclass(frozen=True, slots=True)
class Found:
    """The things of a walk, ready to be made. `broken` are nodes that stand on what cannot be had: why."""

    things: Mapping[Node, Thing]
    sequences: Sequence[int]
    broken: Mapping[Node, str]


def collect(ask: Ask, scope: Scope, found: Walk, views: Sequence[int] = ()) -> Found:
    """Read the things of a walk."""
    made: dict[Node, Thing] = {}
    for kind in ("pg_extension", "pg_collation", "pg_type", "pg_proc"):
        if numbers := found.numbers(kind):
            made |= {(kind, oid): thing for oid, thing in _read(ask, scope, kind, numbers).items()}
    known = {*made, *(("pg_class", oid) for oid in (*scope.oids, *views))}
    return Found(made, found.numbers("pg_class"), _broken(found, known))


def _read(ask: Ask, scope: Scope, kind: str, numbers: list[int]) -> dict[int, Thing]:
    if kind == "pg_extension":
        return things.extensions(ask, numbers)
    if kind == "pg_collation":
        return things.collations(ask, numbers)
    read = things.types if kind == "pg_type" else things.functions
    return read(ask, scope.renaming, numbers)


def _broken(found: Walk, known: set[Node]) -> dict[Node, str]:
    """Nodes that stand on something that we do not make, directly or not."""
    bad: dict[Node, str] = {}
    for node, owner in found.owners.items():
        foreign = node[0] == "pg_type" and owner[0] == "pg_class" and owner not in known
        if foreign or (owner not in known and owner[0] not in _NO_NODES and owner[0] != "pg_class"):
            bad[owner] = found.words.get(node, "an object of the catalogue")
    for node in found.order:
        reason = next((bad[n] for n in found.edges.get(node, ()) if n in bad), None)
        if reason is not None and node not in bad:
            bad[node] = reason
    return bad
