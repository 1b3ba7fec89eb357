"""Names and texts of PostgreSQL: quoting, and putting new names into SQL that a server wrote.

A server spells its definitions in one way (with an empty search_path: every name of a user has its schema, words of
the language in capitals), so that a short lexer is enough to find the names in them. Must not know the catalogue.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import NamedTuple

from sync_assets.databases.quoting import quoted


class Name(NamedTuple):
    """A name with its schema."""

    schema: str
    name: str

    @property
    def sql(self) -> str:
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"


def literal(text: str) -> str:
    """A text as a literal that means the same under either setting of standard_conforming_strings."""
    doubled = text.replace("'", "''")
    return f"E'{doubled}'".replace("\\", "\\\\") if "\\" in text else f"'{doubled}'"


_IDENT = r'(?:"(?:[^"]|"")+"|[A-Za-z_][A-Za-z0-9_$]*)'
_TYPE = (
    rf"{_IDENT}(?:\.{_IDENT})?(?: precision| varying)?(?:\(\d+(?:,-?\d+)?\))?(?: with(?:out)? time zone)?"
    r"(?:\(\d+\))?(?:\[\])*"
)
_TOKEN = re.compile(
    rf"""(?P<cast>::{_TYPE})
    |(?P<string>[eE]'(?:[^'\\]|''|\\.)*'|'(?:[^']|'')*')
    |(?P<dollar>\$(?P<tag>[A-Za-z_]*)\$.*?\$(?P=tag)\$)
    |(?P<ident>{_IDENT})
    |(?P<space>\s+)
    |(?P<number>\d[\w.]*)
    |(?P<other>.)""".replace("\n    ", ""),
    re.DOTALL,
)


class Token(NamedTuple):
    kind: str
    text: str


def tokens(sql: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(sql):
        kind = "dollar" if match["dollar"] else str(match.lastgroup)
        yield Token(kind, match[0])


def plain(text: str) -> str:
    """An identifier of a definition as the name it stands for."""
    return text[1:-1].replace('""', '"') if text.startswith('"') else text


def words_called(body: str) -> set[str]:
    """Names before an opening bracket in the text of a function: what it may call."""
    found = [t for t in tokens(body) if t.kind != "space"]
    return {
        plain(a.text) if a.text[0] == '"' else a.text.lower()
        for a, b in pairwise(found)
        if a.kind == "ident" and b.text == "("
    }


def loose(sql: str) -> str:
    """A definition without brackets, blanks and casts to text, all names quoted: to compare two spellings.

    Servers add and move casts to text when they read their own definition again: ``x IN ('a')`` of a varchar is
    spelled anew by each dump and restore.
    """
    found = list(tokens(sql))
    pairs = pairwise([*found, Token("space", "")])
    kept = [_spelled(t, following) for t, following in pairs if t.kind != "space" and not _TEXT_CAST.match(t.text)]
    return " ".join(t for t in kept if t not in "()")


_TEXT_CAST = re.compile(r"::(text|character varying|character|bpchar|regclass)\b")


def _spelled(token: Token, following: Token) -> str:
    if token.kind == "cast":
        return token.text.replace('"', "")
    if token.kind == "ident":
        return quoted(plain(token.text))
    if following.text == "::regclass":  # a name inside of a literal
        return loose(token.text[1:-1].replace("''", "'"))
    return token.text


@dataclass(frozen=True, slots=True)
class Renaming:
    """New names for relations, and for columns of relations. What is not mentioned keeps its name.

    `columns` maps a relation (by its old name) to its renamed columns.
    """

    relations: Mapping[Name, Name] = field(default_factory=dict)
    columns: Mapping[Name, Mapping[str, str]] = field(default_factory=dict)

    def relation(self, name: Name) -> Name:
        return self.relations.get(name, name)

    def column(self, of: Name, name: str) -> str:
        return self.columns.get(of, {}).get(name, name)

    def text(self, sql: str, of: Name | None = None) -> str:
        """A definition with the new names; columns of `of` are renamed where they stand alone."""
        if not sql or not (self.relations or self.columns):
            return sql
        return _Rewriter(self, self.columns.get(of, {}) if of else {}).text(sql)

    def foreign_key(self, sql: str, of: Name, to: Name) -> str:
        """FOREIGN KEY (columns of `of`) REFERENCES `to` (columns of `to`) ..."""
        left, word, right = sql.partition(" REFERENCES ")
        return self.text(left, of) + word + self.text(right, to)


class _Rewriter:
    """One pass over one definition."""

    def __init__(self, names: Renaming, columns: Mapping[str, str]) -> None:
        self.names = names
        self.columns = columns

    def text(self, sql: str) -> str:
        found = list(tokens(sql))
        out: list[str] = []
        at = 0
        while at < len(found):
            used, text = self._step(found, at)
            out.append(text)
            at += used
        return "".join(out)

    def _step(self, found: list[Token], at: int) -> tuple[int, str]:
        token = found[at]
        if token.kind == "cast":
            return 1, "::" + self._qualified(token.text[2:])
        if token.kind == "string":
            after = found[at + 1].text if at + 1 < len(found) else ""
            return 1, self._regclass(token.text) if after == "::regclass" else token.text
        if token.kind != "ident":
            return 1, token.text
        if [t.text for t in found[at + 1 : at + 2]] == ["."] and at + 2 < len(found):
            return 3, self._qualified(token.text + "." + found[at + 2].text)
        return 1, self._alone(found, at)

    def _qualified(self, text: str) -> str:
        match = re.match(rf"({_IDENT})\.({_IDENT})", text)
        if match is None:
            return text
        old = Name(plain(match[1]), plain(match[2]))
        new = self.names.relations.get(old)
        return text if new is None else new.sql + text[match.end() :]

    def _regclass(self, text: str) -> str:
        if text[0] != "'":
            return text
        inner = self._qualified(text[1:-1].replace("''", "'"))
        return "'" + inner.replace("'", "''") + "'"

    def _alone(self, found: list[Token], at: int) -> str:
        new = self.columns.get(plain(found[at].text))
        if new is None or _next(found, at, 1) == "(" or _next(found, at, -1) in ("COLLATE", "."):
            return found[at].text
        return quoted(new)


def _next(found: list[Token], at: int, step: int) -> str:
    at += step
    while 0 <= at < len(found) and found[at].kind == "space":
        at += step
    return found[at].text if 0 <= at < len(found) else ""
