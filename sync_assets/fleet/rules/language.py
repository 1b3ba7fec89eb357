"""The language of rules, version 4: ``{version: 4, expr: NODE}``, where a NODE is ``{op: AND | OR | NOT, args: [NODE,
...]}`` or ``{fn: NAME, args: {...}}``. Checked whole when it is read; every fault says where.

Must not know what the functions do: it is handed their signatures.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sync_assets.fleet.rules.logic import Verdict, all_of, any_of, negation

VERSION = 4
DEEPEST = 40  # nested nodes; a person writes five
Argument = str | int | bool | tuple[str, ...]


class ArgumentKind(StrEnum):
    TEXT = "text"
    TEXTS = "list of texts"
    COUNT = "whole number"
    FLAG = "true or false"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One argument of a function. `words`: the only ones that it may hold; `needed`: it may not be left out."""

    name: str
    kind: ArgumentKind
    about: str
    needed: bool = True
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Signature:
    """What a function takes."""

    name: str
    parameters: tuple[Parameter, ...] = ()


Signatures = Mapping[str, Signature]


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments, sorted by name."""

    fn: str
    arguments: tuple[tuple[str, Argument], ...] = ()


@dataclass(frozen=True, slots=True)
class Combined:
    """`op` is AND, OR or NOT; NOT has one argument."""

    op: str
    nodes: tuple[Node, ...]


Node = Call | Combined


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault of an expression, by its way into it: ``expr.args[1].args.name``."""

    way: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.way}: {self.message}" + (f" -> {self.hint}" if self.hint else "")


class Invalid(ValueError):
    """An expression is wrong; `problems` holds every fault."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("; ".join(map(str, self.problems)))


def parse(raw: object, signatures: Signatures, way: str = "expr") -> Node:
    """A checked expression: a node, or ``{version: 4, expr: node}`` around one. Raises `Invalid` with every fault."""
    problems: list[Problem] = []
    if isinstance(raw, Mapping) and "expr" in raw:
        problems.extend(_wrapping(raw, way))
        raw, way = raw["expr"], f"{way}.expr"
    node = _Reading(signatures, problems).node(raw, way, 1)
    if problems or node is None:
        raise Invalid(problems)
    return node


def _wrapping(raw: Mapping[Any, Any], way: str) -> Iterator[Problem]:
    if raw.get("version") != VERSION or isinstance(raw.get("version"), bool):
        yield Problem(f"{way}.version", "is not 4", "write version: 4, or import older rules with import-rules")
    yield from _strangers(raw, ("version", "expr"), way)


def _strangers(raw: Mapping[Any, Any], known: Iterable[str], way: str) -> Iterator[Problem]:
    known = list(known)
    for key in raw:
        if key not in known:
            yield Problem(f"{way}.{key}", "is not known here", f"known: {listed(known, str(key))}")


def listed(known: Iterable[str], word: str = "") -> str:
    """The words that would be right, and the nearest of them to `word`."""
    names = list(known)
    near = difflib.get_close_matches(word.lower(), {n.lower(): n for n in names}, n=1)
    meant = next((n for n in names if near and n.lower() == near[0]), "")
    return (", ".join(names) or "nothing") + (f" (did you mean {meant}?)" if meant else "")


@dataclass(frozen=True, slots=True)
class _Reading:
    signatures: Signatures
    problems: list[Problem]

    def node(self, raw: object, way: str, depth: int) -> Node | None:
        if depth > DEEPEST:
            self._refuse(way, f"is nested deeper than {DEEPEST} levels", "cut the rule into several")
            return None
        if not isinstance(raw, Mapping):
            self._refuse(way, "is no node", "write {op: ..., args: [...]} or {fn: ..., args: {...}}")
            return None
        if "op" in raw and "fn" in raw:
            self._refuse(way, "has both op and fn", "keep one of them")
            return None
        if "op" in raw:
            return self._combined(raw, way, depth)
        if "fn" in raw:
            return self._call(raw, way)
        self._refuse(way, "has neither op nor fn", "write {op: ..., args: [...]} or {fn: ..., args: {...}}")
        return None

    def _refuse(self, way: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(way, message, hint))

    def _combined(self, raw: Mapping[Any, Any], way: str, depth: int) -> Combined | None:
        self.problems.extend(_strangers(raw, ("op", "args"), way))
        op, args = raw["op"], raw.get("args")
        if op not in ("AND", "OR", "NOT"):
            self._refuse(f"{way}.op", "is none of AND, OR, NOT", "write one of them, in capitals")
            return None
        if not isinstance(args, list):
            self._refuse(f"{way}.args", "is no list", "list the nodes that it joins")
            return None
        if not args:
            self._refuse(f"{way}.args", f"is empty: {op} of nothing would decide for every account", "add a node")
            return None
        if op == "NOT" and len(args) != 1:
            self._refuse(f"{way}.args", "has several nodes", "NOT takes one; join them with AND or OR")
            return None
        nodes = [self.node(one, f"{way}.args[{at}]", depth + 1) for at, one in enumerate(args)]
        return Combined(op, tuple(n for n in nodes if n is not None))

    def _call(self, raw: Mapping[Any, Any], way: str) -> Call | None:
        self.problems.extend(_strangers(raw, ("fn", "args"), way))
        name, args = raw["fn"], raw.get("args", {})
        signature = self.signatures.get(name) if isinstance(name, str) else None
        if signature is None:
            self._refuse(f"{way}.fn", "is no known function", f"known: {listed(self.signatures, str(name))}")
            return None
        if not isinstance(args, Mapping):
            self._refuse(f"{way}.args", "is no mapping", "write its arguments by name: {name: value}")
            return None
        self.problems.extend(_strangers(args, [p.name for p in signature.parameters], f"{way}.args"))
        given = [(p.name, self._argument(p, args, f"{way}.args.{p.name}")) for p in signature.parameters]
        return Call(signature.name, tuple(sorted((n, v) for n, v in given if v is not None)))

    def _argument(self, parameter: Parameter, args: Mapping[Any, Any], way: str) -> Argument | None:
        if parameter.name not in args:
            if parameter.needed:
                self._refuse(way, "is missing", f"{parameter.kind}: {parameter.about}")
            return None
        value = _CHECKS[parameter.kind](args[parameter.name])
        if value is None:
            self._refuse(way, f"is no {parameter.kind}", parameter.about)
            return None
        for word in value if isinstance(value, tuple) else [value]:
            if parameter.words and word not in parameter.words:
                self._refuse(way, "is not known", f"known: {listed(parameter.words, str(word))}")
                return None
        return value


def _text(raw: object) -> str | None:
    return raw if isinstance(raw, str) and raw != "" and raw.isprintable() else None


def _texts(raw: object) -> tuple[str, ...] | None:
    found = [_text(one) for one in raw] if isinstance(raw, list) else []
    return tuple(sorted({t for t in found if t is not None})) if found and None not in found else None


def _count(raw: object) -> int | None:
    return raw if isinstance(raw, int) and not isinstance(raw, bool) and 0 <= raw < 2**31 else None


def _flag(raw: object) -> bool | None:
    return raw if isinstance(raw, bool) else None


_CHECKS: Mapping[ArgumentKind, Callable[[object], Argument | None]] = {
    ArgumentKind.TEXT: _text,
    ArgumentKind.TEXTS: _texts,
    ArgumentKind.COUNT: _count,
    ArgumentKind.FLAG: _flag,
}


def written(node: Node) -> dict[str, Any]:
    """The node as JSON would hold it; `parse` of it gives the node again."""
    if isinstance(node, Combined):
        return {"op": node.op, "args": [written(n) for n in node.nodes]}
    arguments = {name: list(v) if isinstance(v, tuple) else v for name, v in node.arguments}
    return {"fn": node.fn, "args": arguments} if arguments else {"fn": node.fn}


def calls(node: Node) -> Iterator[Call]:
    """Every call in it, from left to right."""
    if isinstance(node, Call):
        yield node
    else:
        for one in node.nodes:
            yield from calls(one)


def decide(node: Node, ask: Callable[[Call], Verdict]) -> Verdict:
    """The verdict of an expression. Every call is asked, in order, so that the reasons are always the same."""
    if isinstance(node, Call):
        return ask(node)
    verdicts = [decide(one, ask) for one in node.nodes]
    if node.op == "NOT":
        return negation(verdicts[0])
    return all_of(verdicts) if node.op == "AND" else any_of(verdicts)
