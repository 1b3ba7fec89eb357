"""Which tables a query reads, by its words alone: good enough for lineage, never used for safety.

Finds the names after FROM and JOIN, outside comments and texts, leaving out common table expressions, functions and
the FROM of ``extract(year from x)``. Must not know databases or Dagster.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r"""--[^\n]*|\#[^\n]*|/\*.*?\*/|'(?:[^'\\]|''|\\.)*'"""  # comments and texts say nothing here
    r"""|(?P<word>(?:"[^"]+"|`[^`]+`|[^\W\d][\w$]*)(?:\s*\.\s*(?:"[^"]+"|`[^`]+`|[^\W\d][\w$]*))*)"""
    r"""|(?P<mark>[(),;])""",
    re.VERBOSE | re.DOTALL,
)
_NOT_A_TABLE = {"select", "lateral", "only", "unnest", "values", "dual", "json_table"}
_ENDS_LIST = {"where", "group", "order", "having", "limit", "union", "on", "using", "window", "fetch", "offset"}
_STARTS_LIST = {"from", "join", "straight_join"}


def tables_read(query: str) -> tuple[str, ...]:
    """Names of tables as written, without quotes, in order of first appearance."""
    tokens = list(_tokens(query))
    made_here = {name.lower() for name in _common_tables(tokens)}
    found = (name for name in _after_from(tokens) if name.lower() not in made_here)
    return tuple(dict.fromkeys(found))


def _tokens(query: str) -> Iterator[str]:
    for match in _TOKEN.finditer(query):
        if word := match["word"]:
            yield re.sub(r'\s*\.\s*|["`]', lambda m: "." if "." in m[0] else "", word)
        elif mark := match["mark"]:
            yield mark


def _common_tables(tokens: list[str]) -> Iterator[str]:
    lower = [t.lower() for t in tokens]
    if "with" not in lower:
        return
    for i, word in enumerate(lower[:-1]):
        if word in ("with", "recursive", ",", ")") or i == 0:
            continue
        if lower[i + 1] == "as" and lower[i - 1] in ("with", "recursive", ",") and "(" in lower[i + 2 : i + 5]:
            yield tokens[i]


def _after_from(tokens: list[str]) -> Iterator[str]:
    """Walk with a stack of brackets: FROM counts only in a bracket that has a SELECT."""
    has_select, in_list = [False], [False]
    for i, token in enumerate(tokens):
        word, last = token.lower(), tokens[i - 1].lower() if i else ""
        if token == "(":  # noqa: S105
            has_select.append(False)
            in_list.append(False)
        elif token == ")" and len(has_select) > 1:  # noqa: S105
            has_select.pop()
            in_list.pop()
        elif word == "select":
            has_select[-1], in_list[-1] = True, False
        elif word in _STARTS_LIST:
            in_list[-1] = has_select[-1] and last != "distinct"
        elif word in _ENDS_LIST:
            in_list[-1] = False
        elif _names_table(tokens, i, in_list[-1]):
            yield token


def _names_table(tokens: list[str], i: int, in_list: bool) -> bool:
    if not in_list or i == 0 or tokens[i] in "(),;" or tokens[i].lower() in _NOT_A_TABLE:
        return False
    before = tokens[i - 1].lower()
    called = i + 1 < len(tokens) and tokens[i + 1] == "("
    return (before in _STARTS_LIST or before in (",", "only")) and not called
