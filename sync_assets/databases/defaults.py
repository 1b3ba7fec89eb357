"""Defaults of columns, from one database's words into what they mean: a constant, now, or something of its own.

Only what means the same everywhere is translated; the rest is declared as lost. Knows no connection.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Default:
    """`text` is the number's digits or the text's characters. ``other``: an expression of its own database."""

    kind: Literal["number", "text", "bool", "now", "today", "null", "sequence", "other"]
    text: str = ""


_NUMBER = re.compile(r"'?(-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)'?(?:::[\w ]+(?:\([\d,]+\))?)?", re.A)
_TEXT = re.compile(r"_?(?:utf8mb4)?'((?:[^']|'')*)'(?:::[\w \".]+(?:\([\d,]+\))?)?", re.S)
_NOW = re.compile(r"(current_timestamp|now|localtimestamp|transaction_timestamp|statement_timestamp)(\(\d*\))?"
                  r"(?:::[\w ]+)?", re.I)  # fmt: skip
_TODAY = re.compile(r"(current_date|curdate)(\(\))?", re.I)
_WORDS = {"true": Default("bool", "1"), "false": Default("bool", "0"), "b'1'": Default("bool", "1"),
          "b'0'": Default("bool", "0")}  # fmt: skip


def parse(expression: str, dialect: str) -> Default:
    """What the default `expression` of a database of `dialect` means."""
    text = _bare(expression.strip())
    word = _WORDS.get(text.lower())
    if word is not None:
        return word
    if re.fullmatch(r"null(::[\w ]+(\(\d+\))?)?", text, re.I):
        return Default("null")
    if text.lower().startswith("nextval("):
        return Default("sequence")
    if _NOW.fullmatch(text):
        return Default("now")
    if _TODAY.fullmatch(text):
        return Default("today")
    return _constant(text, dialect)


def _constant(text: str, dialect: str) -> Default:
    if match := _NUMBER.fullmatch(text):
        quoted = text.startswith("'")
        return Default("text" if quoted else "number", match[1])
    match = _TEXT.fullmatch(text)
    if match is None:
        return Default("other", text)
    inside = match[1].replace("''", "'")
    if "\\" in inside:  # MySQL escapes with it; what it means depends on settings
        return Default("other", text) if dialect == "mysql" else Default("text", inside)
    return Default("text", inside)


def _bare(text: str) -> str:
    """Without brackets around the whole."""
    while text.startswith("(") and text.endswith(")") and _matching(text):
        text = text[1:-1].strip()
    return text


def _matching(text: str) -> bool:
    depth = 0
    for at, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if depth == 0:
            return at == len(text) - 1
    return False


def plain(default: Default) -> str:
    """A constant as text; raises ValueError for what is none."""
    if default.kind in ("number", "text", "bool"):
        return default.text
    raise ValueError(default.kind)
