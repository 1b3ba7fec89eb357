"""A user's SQL: its parameters, and whether it only reads. Knows how three dialects write text, and no driver.

This is a guard against accidents and the clear message before the run. What holds against malice are the walls
behind it: the read-only transaction, one statement a request, and above all a role that may only SELECT
(`sync-assets check` looks for that). Functions that write inside an innocent SELECT are stopped there, not here,
except for the well-known ones in `_FUNCTIONS`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from sync_assets.engine.errors import Stop

Dialect = Literal["postgres", "mysql", "sqlite"]
PARAMETERS = ("start", "end", "value", "since")

# What is no code: one alternative each, in the order in which they must be tried. `word` and `param` are code.
_SHARED = r"""
  (?P<string>'(?:[^']|'')*')
| (?P<quoted>"(?:[^"]|"")*")
"""
_BLOCK = r"| (?P<comment>/\*.*?\*/)"
_CODE = r"""
| (?P<cast>::|:=)
| (?P<param>(?<![\w:$]):(?P<name>[A-Za-z_]\w*))
| (?P<number>\d[\w.]*)
| (?P<word>[^\W\d][\w$]*)
| (?P<mark>[;(),.@?%=\[\]])
| (?P<open>'|"|`|/\*|\$(?:[^\W\d]\w*)?\$)
| (?P<other>.)
"""
_GRAMMARS: Mapping[str, re.Pattern[str]] = {
    "postgres": re.compile(
        r"(?P<executable>(?!))|(?P<line>--[^\r\n]*)"
        r"|(?P<escaped>(?<![\w$])[eE]'(?:[^'\\]|''|\\.)*')"
        r"|(?P<dollar>(?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?\$(?P=tag)\$)"
        r"|" + _SHARED + _CODE,
        re.S | re.X,
    ),
    "mysql": re.compile(
        r"(?P<executable>/\*M?!)"
        r"|(?P<line>--(?=\s|\Z)[^\r\n]*|\#[^\r\n]*)"
        r"|(?P<string>'(?:[^'\\]|''|\\.)*')"
        r'|(?P<quoted>"(?:[^"\\]|""|\\.)*"|`(?:[^`]|``)*`)' + _BLOCK + _CODE,
        re.S | re.X,
    ),
    "sqlite": re.compile(
        r"(?P<executable>(?!))|(?P<line>--[^\r\n]*)|(?P<back>`(?:[^`]|``)*`|\[[^\]]*\])|" + _SHARED + _BLOCK + _CODE,
        re.S | re.X,
    ),
}
_SKIPPED = {"line", "comment", "executable"}

_STARTS = {"select", "with", "values", "table"}
# Statements and clauses that write, wherever they stand. INSERT( and REPLACE( are functions of text.
_WRITES = {
    "insert", "update", "delete", "merge", "replace", "truncate", "drop", "alter", "create", "grant", "revoke",
    "call", "copy", "vacuum", "reindex", "lock", "handler", "load", "rename", "attach", "detach", "pragma",
    "into", "outfile", "dumpfile", "procedure", "do", "execute", "prepare", "deallocate",
}  # fmt: skip
_MAYBE_FUNCTIONS = {"insert", "replace", "truncate"}  # of text or numbers, when a bracket follows
# Often the names of columns: refused only where a statement may begin.
_PLAIN_NAMES = {"call", "copy", "vacuum", "lock", "handler", "load", "rename", "attach", "detach", "pragma", "do",
                "execute", "prepare", "deallocate", "replace", "truncate", "reindex", "procedure", "merge",
                "dumpfile", "outfile"}  # fmt: skip
_FUNCTIONS = re.compile(
    r"nextval|setval|set_config|lo_\w+|lowrite|dblink\w*|pg_read_\w*file|pg_ls_\w+|pg_stat_file|pg_file_\w+"
    r"|pg_terminate_backend|pg_cancel_backend|pg_reload_conf|pg_rotate_logfile|pg_switch_wal|pg_promote"
    r"|pg_(?:try_)?advisory_\w+|pg_(?:create|drop|copy)_\w+|pg_logical_\w+|pg_replication_\w+|pg_sleep\w*|pg_notify"
    r"|query_to_\w+|cursor_to_\w+|database_to_\w+|load_file|sleep|benchmark|get_lock|release_(?:all_)?locks?"
    r"|master_\w+wait\w*|sys_(?:exec|eval|set)|load_extension|writefile|readfile|edit|fts3_tokenizer"
)


@dataclass(frozen=True, slots=True)
class Token:
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Query:
    """One statement that reads. `names` are the parameters that it binds, out of :start, :end, :value, :since."""

    text: str
    dialect: Dialect
    tokens: tuple[Token, ...]

    @classmethod
    def parse(cls, sql: str, dialect: Dialect = "postgres") -> Query:
        """Raises `Stop` for what is not exactly one statement that reads, or binds a name that nobody gives."""
        tokens = tuple(_without_end(list(_tokens(sql, dialect))))
        query = cls("".join(t.text for t in tokens), dialect, tokens)
        _one_statement(query)
        _only_reads([t for t in tokens if t.kind not in _SKIPPED and not t.text.isspace()])
        unknown = sorted(query.names - set(PARAMETERS))
        if unknown:
            raise Stop(
                f"the query binds :{unknown[0]}, which nothing gives",
                hint=f"only {', '.join(':' + p for p in PARAMETERS)} are bound; cast with CAST(x AS type)",
            )
        return query

    @property
    def names(self) -> frozenset[str]:
        return frozenset(t.text[1:] for t in self.tokens if t.kind == "param")

    def bind(self, dialect: Dialect | None = None, rename: Callable[[str], str] = str) -> tuple[str, tuple[str, ...]]:
        """The text in the driver's style, and the parameters in order of appearance.

        %(start)s with other percent signs doubled for PostgreSQL and MySQL, :start for SQLite. `rename` gives a
        parameter another name, so that one statement can hold the query several times.
        """
        style = dialect or self.dialect
        order, pieces = [], []
        for token in self.tokens:
            if token.kind == "param":
                name = rename(token.text[1:])
                order.append(name)
                pieces.append(f":{name}" if style == "sqlite" else f"%({name})s")
            else:
                pieces.append(token.text if style == "sqlite" else token.text.replace("%", "%%"))
        return "".join(pieces), tuple(order)


def _tokens(sql: str, dialect: Dialect) -> Iterator[Token]:
    at = 0
    while at < len(sql):
        if dialect == "postgres" and sql.startswith("/*", at):
            end = _nested_comment(sql, at)
            kind = "comment"
        else:
            match = _GRAMMARS[dialect].match(sql, at)
            assert match is not None  # noqa: S101 (`other` takes any character)
            kind, end = match.lastgroup or "other", match.end()
            kind = {"name": "param", "tag": "dollar"}.get(kind, kind)
        _refuse_odd(kind)
        yield Token(kind, sql[at:end])
        at = end


def _refuse_odd(kind: str) -> None:
    if kind == "open":
        raise Stop("the query has a quote or a comment that is never closed", hint="close it")
    if kind == "executable":
        raise Stop(
            "the query has a comment that the server would execute (/*! ... */)", hint="write it as SQL, or leave it"
        )


def _nested_comment(sql: str, at: int) -> int:
    """PostgreSQL's comments nest: where this one ends."""
    depth = 0
    for match in re.compile(r"/\*|\*/").finditer(sql, at):
        depth += 1 if match.group() == "/*" else -1
        if depth == 0:
            return match.end()
    raise Stop("the query has a comment that is never closed", hint="close it")


def _without_end(tokens: list[Token]) -> list[Token]:
    """Without blanks, comments and semicolons at the end: the text will stand in brackets."""
    while tokens and (tokens[-1].kind in _SKIPPED or tokens[-1].text.isspace() or tokens[-1].text == ";"):
        tokens.pop()
    return tokens


def _one_statement(query: Query) -> None:
    if not query.tokens:
        raise Stop("the query is empty", hint="write a SELECT")
    if "\x00" in query.text:
        raise Stop("the query holds a NUL character", hint="remove it")
    if any(t.text == ";" for t in query.tokens if t.kind == "mark"):
        raise Stop("the query is more than one statement", hint="keep one SELECT, without a semicolon inside")


def _only_reads(code: list[Token]) -> None:
    first = next((t.text.lower() for t in code if t.text != "("), "")
    if first not in _STARTS:
        raise Stop(
            f"the query begins with {first[:20].upper() or 'nothing'}, not with SELECT, WITH, VALUES or TABLE",
            hint="a source query can only read",
        )
    before = ""
    for at, token in enumerate(code):
        if token.kind == "word":
            after = code[at + 1].text.lower() if at + 1 < len(code) else ""
            _word(token.text.lower(), before, after)
        elif token.kind in ("quoted", "back") and at + 1 < len(code) and code[at + 1].text == "(":
            _function(token.text[1:-1].lower())
        before = token.text.lower()


def _word(word: str, before: str, after: str) -> None:
    if after == "(":
        _function(word)
    if word == "for" and after in ("update", "share", "no", "key"):
        raise Stop(f"the query locks rows (FOR {after.upper()})", hint="leave the locking clause out")
    if word == "procedure" and after in ("analyse", "analyze"):
        raise Stop("the query has a PROCEDURE clause", hint="leave it out")
    if word == "value" and before == "next":
        raise Stop("the query takes a value from a sequence", hint="a source query can only read")
    if word not in _WRITES or before in (".", "as") or after == ".":
        return
    if word in _MAYBE_FUNCTIONS and after == "(":
        return
    if word in _PLAIN_NAMES and before not in ("(", "", "analyze", "explain", "into") and word != "lock":
        return
    if word == "lock" and after != "in":
        return
    raise Stop(
        f"the query holds {word.upper()}, which does not read",
        hint="a source query can only read; if it is the name of a column, quote it",
    )


def _function(name: str) -> None:
    if _FUNCTIONS.fullmatch(name):
        raise Stop(f"the query calls {name}(), which does more than read", hint="leave it out")


@lru_cache(maxsize=256)
def parsed(sql: str, dialect: Dialect) -> Query:
    """`Query.parse`, remembered."""
    return Query.parse(sql, dialect)
