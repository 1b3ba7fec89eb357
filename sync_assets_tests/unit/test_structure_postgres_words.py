"""New names in SQL that a server wrote; which types hold which."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync_assets.databases.postgres.definition.names import Name, Renaming, literal, loose, tokens, words_called
from sync_assets.databases.postgres.definition.widening import fit
from sync_assets.databases.quoting import quoted

T = Name("public", "t")
RENAMING = Renaming(
    {T: Name("new", "T t"), Name("Odd", 'q"'): Name("x", "y")},
    {T: {"a": "b c", "text": "words", "Q": "q", "time": "z"}},
)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("(a > 0)", '("b c" > 0)'),
        ("lower(a)", 'lower("b c")'),
        ("((text)::text <> 'a'::text)", "((\"words\")::text <> 'a'::text)"),
        ("a('x')", "a('x')"),  # a function
        ("other.a", "other.a"),
        ("'a' || 'public.t'", "'a' || 'public.t'"),
        ("nextval('public.t'::regclass)", 'nextval(\'"new"."T t"\'::regclass)'),
        ('"Q" COLLATE "C"', '"q" COLLATE "C"'),
        ('x COLLATE "Q"', 'x COLLATE "Q"'),
        ("(x)::public.t", '(x)::"new"."T t"'),
        ("(x)::timestamp(3) without time zone = time", '(x)::timestamp(3) without time zone = "z"'),
        ('CREATE INDEX i ON "Odd"."q""" USING btree (a)', 'CREATE INDEX i ON "x"."y" USING btree ("b c")'),
        (r"E'a\'a' || a", "E'a\\'a' || \"b c\""),
        ("$x$ a public.t $x$ || a", '$x$ a public.t $x$ || "b c"'),
    ],
)
def test_names_are_put_into_texts(old: str, new: str) -> None:
    assert RENAMING.text(old, T) == new


def test_both_sides_of_a_foreign_key_follow_their_own_table() -> None:
    text = "FOREIGN KEY (a, x) REFERENCES public.t(a, x) ON DELETE CASCADE"
    renamed = RENAMING.foreign_key(text, Name("public", "u"), T)
    assert renamed == 'FOREIGN KEY (a, x) REFERENCES "new"."T t"("b c", x) ON DELETE CASCADE'


@given(st.text())
def test_tokens_lose_nothing(text: str) -> None:
    assert "".join(t.text for t in tokens(text)) == text


@given(st.text(alphabet=st.characters(exclude_characters="\0", exclude_categories=("Cs",)), min_size=1))
def test_a_quoted_name_is_one_token(name: str) -> None:
    assert [t.text for t in tokens(quoted(name))] == [quoted(name)]
    assert [t.kind for t in tokens(literal(name))] == ["string"]


def test_spelling_does_not_count_but_meaning_does() -> None:
    assert loose("((a)::text = ANY ((ARRAY['x'::character varying])::text[]))") == loose(
        "(\"a\"::text = ANY (ARRAY[('x'::character varying)::text]))"
    )
    assert loose("a::numeric") != loose("a")
    assert loose("'A'") != loose("'a'")


def test_what_a_body_may_call() -> None:
    body = 'begin perform Helper(1); return public.other ( x ) + "Quoted"(y) /* z */; end'
    assert {"helper", "other", "Quoted"} <= words_called(body)


@pytest.mark.parametrize(
    ("source", "target", "how"),
    [
        ("integer", "integer", "same"), ("bigint", "integer", "widen"), ("smallint", "integer", "wider"),
        ("text", "character varying(3)", "widen"), ("character varying(3)", "text", "wider"),
        ("character varying(9)", "character varying(3)", "widen"),
        ("character varying", "character varying(3)", "widen"),
        ("numeric(10,2)", "numeric(8,2)", "widen"), ("numeric(10,4)", "numeric(10,2)", "retyped"),
        ("numeric", "numeric(10,2)", "widen"), ("numeric(4,-2)", "numeric(4,2)", "retyped"),
        ("timestamp without time zone", "timestamp(3) without time zone", "widen"),
        ("timestamp(6) without time zone", "timestamp without time zone", "wider"),
        ("timestamp with time zone", "timestamp without time zone", "retyped"),
        ("double precision", "real", "widen"), ("integer", "text", "retyped"),
        ("character(5)", "character(3)", "retyped"),
        ("character varying(9)[]", "character varying(3)[]", "widen"), ("public.mood", "public.food", "retyped"),
        ("bigint", "double precision", "retyped"), ("bit varying(9)", "bit varying(3)", "widen"),
    ],
)  # fmt: skip
def test_which_type_holds_which(source: str, target: str, how: str) -> None:
    assert fit(source, target) == how
