"""The filter of a table sync: one boolean expression over the columns of the row, and nothing else.

It is parsed, held to a short list of what may stand in it, and written anew in the source's dialect: what a user typed
never reaches a server. Everything in the list gives the same answer for the same row, whenever and by whomever it is
asked; a filter over the clock would make two reads of one table differ. Knows no driver; the parser is loaded when a
filter is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Literal

from sync_assets.engine.errors import Stop

if TYPE_CHECKING:
    from sqlglot import exp

Dialect = Literal["postgres", "mysql", "sqlite"]

_PLAIN = re.compile(r"[^\W\d]\w*")
LONGEST = 4000  # characters
_DEEPEST = 200  # nodes inside of each other

# By their names in sqlglot.
_PREDICATES = (
    "And", "Or", "Not", "Paren", "EQ", "NEQ", "GT", "GTE", "LT", "LTE", "Is", "In", "Between", "Like", "ILike",
    "Escape", "NullSafeEQ", "NullSafeNEQ", "Boolean", "Column",
)  # fmt: skip
_VALUES = (
    "Identifier", "Literal", "Null", "Neg", "Add", "Sub", "Mul", "Div", "Mod", "DPipe", "Case", "If", "Cast",
    "DataType", "DataTypeParam", "Tuple",
)  # fmt: skip
FUNCTIONS = {
    "Abs": "abs", "Ceil": "ceil", "Coalesce": "coalesce", "Floor": "floor", "Left": "left", "Length": "length",
    "Lower": "lower", "Nullif": "nullif", "Right": "right", "Round": "round", "Substring": "substring",
    "Trim": "trim", "Upper": "upper",
}  # fmt: skip
_EXAMPLE = "for example: status <> 'draft' and amount >= 10"


def rendered(text: str, dialect: Dialect) -> str:
    """The filter as SQL of `dialect`. Raises `Stop` for what is not one boolean expression over columns."""
    return _written(_parsed(text, dialect), dialect)


def columns_of(text: str, dialect: Dialect) -> tuple[str, ...]:
    """The columns that the filter names, as written. Raises as `rendered`."""
    from sqlglot import exp

    return tuple(dict.fromkeys(c.name for c in _parsed(text, dialect).find_all(exp.Column)))


@lru_cache(maxsize=1024)
def _parsed(text: str, dialect: Dialect) -> exp.Expr:
    if len(text) > LONGEST:
        raise _wrong(f"is longer than {LONGEST} characters", "make a view of it, and read that")
    found = _accepted(text, dialect)
    once = _written(found, dialect)
    again = _accepted(once, dialect)  # what is sent is held to the same list as what was typed
    if _written(again, dialect) != once:
        raise _wrong("cannot be written again with the same meaning", "write it more simply")
    return again


def _accepted(text: str, dialect: Dialect) -> exp.Expr:
    """The tree of a condition that holds nothing but what may stand in one."""
    found = _tree(text, dialect)
    for node, depth in _walked(found):
        if depth > _DEEPEST:
            raise _wrong("is nested too deeply", "make a view of it, and read that")
        _may_stand(node)
    if type(found).__name__ not in _PREDICATES:
        raise _wrong("is no condition: it is neither true nor false", _EXAMPLE)
    return found


def _written(tree: exp.Expr, dialect: Dialect) -> str:
    """As SQL. Names are quoted, as the server would fold them: `user` is a column here, and no function.

    SQLite has no such words, and takes a quoted name that is no column for a text.
    """
    if dialect == "sqlite":
        return tree.sql(dialect=dialect, comments=False)
    return _folded(tree, dialect).sql(dialect=dialect, comments=False)


def _folded(tree: exp.Expr, dialect: Dialect) -> exp.Expr:
    """With all names quoted, lower case where PostgreSQL would make them so."""
    from sqlglot import exp

    copy = tree.copy()
    for name in copy.find_all(exp.Identifier):
        if dialect == "postgres" and not name.quoted:
            name.set("this", str(name.this).lower())
        name.set("quoted", True)
    return copy


def _tree(text: str, dialect: Dialect) -> exp.Expr:
    """The one expression in `text`. The parser's own message quotes the text, and so values: it is not passed on."""
    import sqlglot
    from sqlglot.errors import SqlglotError

    if any(ord(c) < 32 and c not in "\t\r\n" for c in text):
        raise _wrong("holds a control character", _EXAMPLE)
    try:
        found = sqlglot.parse(text, read=dialect)
    except (SqlglotError, RecursionError):
        raise _wrong("cannot be parsed", _EXAMPLE) from None
    if len(found) != 1 or found[0] is None or text.rstrip().endswith(";"):
        raise _wrong("is not exactly one expression", "leave ; out, and join conditions with and, or")
    return found[0]


def _walked(node: exp.Expr, depth: int = 0) -> Iterator[tuple[exp.Expr, int]]:
    stack = [(node, depth)]
    while stack:
        one, deep = stack.pop()
        yield one, deep
        stack += [(child, deep + 1) for child in one.iter_expressions()]


def _may_stand(node: exp.Expr) -> None:
    """Raises `Stop` for a node that is not on the list."""
    from sqlglot import exp

    kind = type(node).__name__
    if node.comments:
        raise _wrong("holds a comment", "put it beside, as a comment of YAML: # ...")
    if isinstance(node, exp.Query | exp.Subquery | exp.Exists) or node.args.get("query"):
        raise _wrong("holds a subquery", "use query: in place of table:, or a view")
    if isinstance(node, exp.Placeholder | exp.Parameter | exp.SessionParameter):
        raise _wrong("holds a parameter, which nothing gives", "write the value; windows of time are partitions:")
    if isinstance(node, exp.Column) and node.table:
        raise _wrong(f"names the table of a column ({node.table[:63]})", "write the column alone")
    if isinstance(node, exp.DataType) and node.this is exp.DataType.Type.USERDEFINED:
        raise _wrong("casts to a type of your own", "compare with a text")
    if isinstance(node, exp.Identifier) and not node.quoted and not _PLAIN.fullmatch(str(node.this)):
        raise _wrong("holds a name with odd characters", "put it in quotes")  # $1 is a parameter for some
    if kind not in _all():
        raise _function(node) if isinstance(node, exp.Func) else _wrong(f"holds {_shown(kind)}", _EXAMPLE)


@cache
def _all() -> frozenset[str]:
    return frozenset({*_PREDICATES, *_VALUES, *FUNCTIONS})


def _function(node: exp.Expr) -> Stop:
    from sqlglot import exp

    name = str(node.this) if isinstance(node, exp.Anonymous) else getattr(node, "key", "")
    shown = f" {name.lower()}" if name.isidentifier() and len(name) <= 63 else ""
    return _wrong(f"calls the function{shown}", f"only {', '.join(FUNCTIONS.values())} and cast may be called")


def _shown(kind: str) -> str:
    return {"Select": "a statement", "Union": "a statement", "Alias": "a name for something (AS)",
            "Star": "a star", "RegexpLike": "a regular expression"}.get(kind, f"something else ({kind})")  # fmt: skip


def _wrong(what: str, hint: str) -> Stop:
    return Stop(f"the filter {what}", hint=hint, code="where")
