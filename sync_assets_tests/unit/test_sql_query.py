"""The parser of user SQL: what is a parameter, what is text, and what the drivers get."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_assets.sources.query import Query


@pytest.mark.parametrize(
    ("dialect", "sql", "bound", "names"),
    [
        ("postgres", "select a::date from t where a > :end", "select a::date from t where a > %(end)s", ("end",)),
        ("postgres", "select ':start', \":end\" , $$:value$$ -- :since", "select ':start', \":end\" , $$:value$$", ()),
        ("postgres", "select $x$ $$ :start $x$, e'\\':end'", "select $x$ $$ :start $x$, e'\\':end'", ()),
        ("postgres", "select :start::date - :start", "select %(start)s::date - %(start)s", ("start", "start")),
        ("postgres", "select 1 /* /* :start */ :end */ % 2", "select 1 /* /* :start */ :end */ %% 2", ()),
        ("mysql", "select 'a\\':start', `:end`, \"\\\":value\"", "select 'a\\':start', `:end`, \"\\\":value\"", ()),
        ("mysql", "select a # :start\nfrom t where b like '%x' and c = :value ;",
         "select a # :start\nfrom t where b like '%%x' and c = %(value)s", ("value",)),
        ("mysql", "select 1--:start", "select 1--%(start)s", ("start",)),
        ("sqlite", "select [:start] from t where a % 2 < :end", "select [:start] from t where a % 2 < :end",
         ("end",)),
    ],
)  # fmt: skip
def test_parameters_are_found_outside_of_texts(dialect: str, sql: str, bound: str, names: tuple[str, ...]) -> None:
    query = Query.parse(sql, dialect)
    assert query.bind() == (bound, names)
    assert query.names == set(names)


def test_parameters_can_be_renamed_so_that_a_query_stands_twice_in_one_statement() -> None:
    query = Query.parse("select 1 where :start < :end", "postgres")
    assert query.bind(rename="{}7".format) == ("select 1 where %(start7)s < %(end7)s", ("start7", "end7"))


def test_the_end_may_be_a_semicolon_and_comments() -> None:
    assert Query.parse("select 1 ; ; -- done\n /* yes */ \n", "mysql").bind()[0] == "select 1"


@pytest.mark.parametrize("dialect", ["postgres", "mysql", "sqlite"])
@given(text=st.text(max_size=60))
def test_any_text_in_a_literal_is_only_text(dialect: str, text: str) -> None:
    literal = "'" + text.replace("\x00", "").replace("\\", "").replace("'", "''") + "'"
    query = Query.parse(f"select {literal} as x", dialect)
    assert query.names == frozenset()
    assert query.bind()[0].replace("%%", "%") == f"select {literal} as x"
