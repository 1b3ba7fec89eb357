"""Defaults of columns between databases: constants mean the same, everything else is left out and said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_assets.databases.defaults import Default, parse
from sync_assets.databases.mysql import ddl as mysql
from sync_assets.databases.postgres import ddl as postgres
from sync_assets.databases.sqlite import ddl as sqlite
from sync_assets.databases.structure import prefixed, shortened
from sync_assets.engine.tables.shape import TableName

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=120)


@pytest.mark.parametrize(("said", "dialect", "means"), [
    ("0", "mysql", Default("number", "0")), ("(-1.50)", "sqlite", Default("number", "-1.50")),
    ("'7'::bigint", "postgres", Default("text", "7")),
    ("'it''s'::character varying(40)", "postgres", Default("text", "it's")),
    ("'a'", "mysql", Default("text", "a")), ("'\\n'", "mysql", Default("other", "'\\n'")),
    ("'\\n'::text", "postgres", Default("text", "\\n")), ("b'1'", "mysql", Default("bool", "1")),
    ("false", "postgres", Default("bool", "0")), ("NULL::character varying", "postgres", Default("null")),
    ("now()", "postgres", Default("now")), ("current_timestamp(6)", "mysql", Default("now")),
    ("CURRENT_DATE", "postgres", Default("today")), ("nextval('s'::regclass)", "postgres", Default("sequence")),
    ("gen_random_uuid()", "postgres", Default("other", "gen_random_uuid()")),
    ("'a'::text || 'b'::text", "postgres", Default("other", "'a'::text || 'b'::text")),
    ("(1) + (2)", "sqlite", Default("other", "(1) + (2)")), ("'{}'::jsonb", "postgres", Default("text", "{}")),
    ("(now() + '01:00:00'::interval)", "postgres", Default("other", "now() + '01:00:00'::interval")),
])  # fmt: skip
def test_what_a_default_means(said, dialect, means):
    assert parse(said, dialect) == means


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\\\0"), max_size=20))
def test_texts_survive_each_way(text):
    for here in (postgres, mysql, sqlite):
        assert parse(here.literal(text), "sqlite").text == text


@given(NAMES, NAMES, st.integers(20, 64))
def test_names_are_short_and_tell_tables_apart(one, other, limit):
    made = [prefixed(TableName("s", t), "by code", limit) for t in (one, other)]
    assert all(len(name.encode(errors="ignore")) <= limit for name in made)
    assert (made[0] == made[1]) == (one == other) or "by code".startswith((one, other))
    assert shortened("short", limit) == "short"
